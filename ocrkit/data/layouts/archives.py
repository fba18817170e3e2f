"""Archives: a data set out of a tar file, without harm from a damaged or a hostile one.

A tar file can name places outside of the folder, hold links and devices, and be a bomb: a few bytes that unpack to a
disk full. Here all of that is refused, and nothing is left behind. Taught in notebook 09.
"""

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

#: Bytes that may stand between two files: their headers, with long names, and what is read ahead.
_BETWEEN = 1 << 20
_BLOCK = 1 << 20
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


class ArchiveError(ValueError):
    """A tar file that is not unpacked; the message names the file, the entry and the reason."""


def unpack(tar: str | Path, folder: str | Path, max_bytes: int = 4 << 30, max_files: int = 1_000_000) -> Path:
    """Unpack a data set's `.tar`, `.tar.gz`, `.tar.bz2` or `.tar.xz` into a new `folder`, which is returned.

    Only folders and plain files are made, with the rights that new files have. Junk of a Mac is skipped:
    `.DS_Store`, `._*` and `__MACOSX`. Taught in notebook 09.

    Args:
        folder: must not be there yet, or be empty. It is there with all files, or not at all.
        max_bytes, max_files: what all files together may have; empty files and folders count as files too.

    Raises:
        FileNotFoundError, FileExistsError: there is no such tar file, or `folder` holds something.
        ArchiveError: the file is damaged, too large, empty, or has an entry that does not belong into a data set: an
            absolute path or `..`, a link, a device, a sparse file, or one name twice.
    """
    tar, folder = Path(tar), Path(folder)
    if not tar.is_file():
        raise FileNotFoundError(f"there is no tar file {tar}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there and not empty: choose a new folder for {tar.name}, or delete it")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        with _opened(tar) as stream:
            _unpack_into(_Metered(stream), temporary, tar, max_bytes, max_files)
        if folder.exists():
            folder.rmdir()  # it is empty; Windows would not replace it
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _unpack_into(stream: "_Metered", folder: Path, tar: Path, max_bytes: int, max_files: int) -> None:
    total = written = 0
    # Not tarfile's filter="data", which accepts links, names that come twice, and an archive that stops too early.
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Entry) as archive:
        for count, member in enumerate(archive, start=1):
            total += member.size
            if count > max_files:
                raise ArchiveError(f"{tar} has more than {max_files:,} files: pass a larger max_files if you trust it")
            if total > max_bytes:
                raise ArchiveError(
                    f"{tar} unpacks to more than {max_bytes:,} bytes (at {member.name!r}): "
                    "pass a larger max_bytes if you trust it"
                )
            path = _checked_path(member, tar)
            stream.left = member.size + _BETWEEN
            if path is None or member.isdir():
                continue
            place = folder / path
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                with open(place, "xb") as file:
                    shutil.copyfileobj(archive.extractfile(member), file, _BLOCK)
            except (FileExistsError, NotADirectoryError) as error:
                raise ArchiveError(f"{tar}: {member.name!r} is there twice, so one would be lost") from error
            written += 1
            stream.left = _BETWEEN
    while stream.read(_BLOCK):  # the checksum of what is compressed stands at the very end
        pass
    if not written:
        raise ArchiveError(f"{tar} holds no files")


def _checked_path(member: tarfile.TarInfo, tar: Path) -> PurePosixPath | None:
    """Where an entry belongs below the folder, or None for junk; raises ArchiveError where it belongs nowhere."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or PureWindowsPath(member.name).drive:
        raise ArchiveError(f"{tar}: {member.name!r} leads out of the folder; do not trust this file")
    if path.name.startswith("._") or path.name == ".DS_Store" or "__MACOSX" in path.parts:
        return None
    if member.issym() or member.islnk():
        raise ArchiveError(f"{tar}: {member.name!r} is a link to {member.linkname!r}; a data set needs files")
    if member.issparse() or not (member.isreg() or member.isdir()):
        raise ArchiveError(f"{tar}: {member.name!r} is a device, a pipe or a sparse file; a data set needs plain files")
    return path


class _Entry(tarfile.TarInfo):
    """An entry whose broken header is an error: `tarfile` takes it for the end, and what follows would be lost."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # a block of zeros, which is the end
            raise
        except tarfile.EmptyHeaderError as error:
            raise tarfile.ReadError("it stops without the end that every tar has") from error
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"it has a broken entry ({error})") from error


class _Metered:
    """A stream from which only `left` more bytes may be read: what stands between the files can be a bomb too."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.left = stream, _BETWEEN

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise ArchiveError("more than a megabyte between two files or after the last: do not trust this tar")
        return data


@contextmanager
def _opened(tar: Path) -> Iterator[BinaryIO]:
    """The bytes of the tar file, unpacked; what the libraries say of damage is said in one way."""
    with open(tar, "rb") as file:
        start = file.read(8)
    opener = next((o for magic, o in _OPENERS.items() if start.startswith(magic)), open)
    try:
        with opener(tar, "rb") as stream:
            yield stream
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # of the disk; those of damaged data have no number
            raise
        raise ArchiveError(f"{tar} is damaged or no tar file: {error}; copy it again") from error
