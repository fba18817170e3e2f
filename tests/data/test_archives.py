"""Tar files: good ones, damaged ones, and ones that mean harm."""

import io
import os
import tarfile

import pytest

from ocrkit.data.layouts.archives import ArchiveError, unpack
from ocrkit.data.samples import load_samples


def entry(name, data=b"x", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


@pytest.fixture
def make(tmp_path):
    """Write a tar of entries and return its path."""

    def write(*entries, name="set.tar", mode="w", form=tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / name, mode, format=form) as tar:
            for info, data in entries:
                tar.addfile(info, io.BytesIO(data))
        return tmp_path / name

    return write


def listing(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def nothing_left(tmp_path):
    """After the test, neither the folder nor anything beside the tar is there, nor anything outside."""
    yield
    assert [p.name for p in tmp_path.iterdir() if p.name != "set.tar"] == []


GLYPHS = [entry(f"glyphs/{s}/{c}/{k}.png") for s in ("train", "test") for c in ("7", "Date") for k in range(2)]


@pytest.mark.parametrize(("ending", "mode"), [("", "w"), (".gz", "w:gz"), (".bz2", "w:bz2"), (".xz", "w:xz")])
def test_unpacks_and_skips_the_junk(make, tmp_path, ending, mode):
    junk = [entry("glyphs/.DS_Store"), entry("glyphs/train/._7"), entry("__MACOSX/glyphs/1.png")]
    folders = [entry("glyphs", b"", type=tarfile.DIRTYPE), entry("./glyphs/train", b"", type=tarfile.DIRTYPE)]
    tar = make(*folders, *junk, *GLYPHS, name=f"set.tar{ending}", mode=mode)
    folder = unpack(tar, tmp_path / "out")
    assert listing(folder) == sorted(info.name for info, _ in GLYPHS)
    assert (folder / "glyphs/train/7/0.png").read_bytes() == b"x"
    assert set(load_samples(folder / "glyphs")["text"]) == {"7", "Date"}
    assert {p.name for p in tmp_path.iterdir()} == {"out", tar.name}


def test_rights_are_those_of_new_files(make, tmp_path):
    folder = unpack(make(entry("a/1.png", mode=0o4777)), tmp_path / "out")
    assert not os.stat(folder / "a/1.png").st_mode & 0o4111


def test_an_empty_folder_may_be_there_and_a_full_one_not(make, tmp_path):
    tar = make(*GLYPHS)
    (tmp_path / "out").mkdir()
    unpack(tar, tmp_path / "out")
    with pytest.raises(FileExistsError, match="out is there and not empty"):
        unpack(tar, tmp_path / "out")
    assert len(listing(tmp_path / "out")) == 8


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (entry("../evil.png"), r"'\.\./evil\.png' leads out of the folder"),
        (entry("a/../../evil.png"), "leads out of the folder"),
        (entry("/tmp/evil.png"), "leads out of the folder"),
        (entry("a\\..\\..\\evil.png"), "leads out of the folder"),
        (entry("C:/evil.png"), "leads out of the folder"),
        (entry("a/link", b"", type=tarfile.SYMTYPE, linkname="/etc"), "'a/link' is a link to '/etc'"),
        (entry("a/hard", b"", type=tarfile.LNKTYPE, linkname="../x"), "is a link to"),
        (entry("a/null", b"", type=tarfile.CHRTYPE), "is a device, a pipe"),
        (entry("a/disk", b"", type=tarfile.BLKTYPE), "is a device, a pipe"),
        (entry("a/pipe", b"", type=tarfile.FIFOTYPE), "is a device, a pipe"),
        (entry("glyphs/test/7/0.png"), "is there twice"),
        (entry("glyphs/test/7/0.png/1.png"), "is there twice"),
    ],
)
def test_hostile_entries_are_refused_and_nothing_is_left(make, tmp_path, nothing_left, bad, words):
    with pytest.raises(ArchiveError, match=words):
        unpack(make(*GLYPHS, bad), tmp_path / "out")


def test_a_link_and_a_file_through_it(make, tmp_path, nothing_left):
    link = entry("a", b"", type=tarfile.SYMTYPE, linkname=str(tmp_path))
    with pytest.raises(ArchiveError, match="is a link"):
        unpack(make(link, entry("a/evil.png")), tmp_path / "out")


def test_too_many_files(make, tmp_path, nothing_left):
    with pytest.raises(ArchiveError, match="more than 7 files: pass a larger max_files"):
        unpack(make(*GLYPHS), tmp_path / "out", max_files=7)


def test_a_bomb_of_zeros(make, tmp_path, nothing_left):
    bomb = make(entry("a/1.png", bytes(30 << 20)), mode="w:gz")
    assert bomb.stat().st_size < 100_000
    with pytest.raises(ArchiveError, match=r"unpacks to more than 1,000,000 bytes \(at 'a/1.png'\)"):
        unpack(bomb, tmp_path / "out", max_bytes=1_000_000)


@pytest.mark.parametrize("kind", ["pax", "junk", "long name"])
def test_a_bomb_where_no_file_is(make, tmp_path, nothing_left, kind):
    if kind == "junk":
        bad, words = entry("a/._1.png", bytes(30 << 20)), "unpacks to more than"
    elif kind == "pax":
        bad, words = entry("a/1.png", pax_headers={"comment": "0" * (30 << 20)}), "than a megabyte between two files"
    else:
        bad, words = entry("a" * (30 << 20)), "than a megabyte between two files"
    form = tarfile.GNU_FORMAT if kind == "long name" else tarfile.PAX_FORMAT
    with pytest.raises(ArchiveError, match=words):
        unpack(make(bad, mode="w:gz", form=form), tmp_path / "out", max_bytes=1_000_000)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_file_that_ends_too_early(make, tmp_path, nothing_left, mode):
    tar = make(entry("a/1.png", os.urandom(100_000)), mode=mode)
    tar.write_bytes(tar.read_bytes()[:50_000])
    with pytest.raises(ArchiveError, match="is damaged"):
        unpack(tar, tmp_path / "out")


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_file_with_a_wrong_byte(make, tmp_path, nothing_left, mode):
    tar = make(entry("a/1.png", os.urandom(100_000)), mode=mode)
    data = bytearray(tar.read_bytes())
    data[40_000:40_004] = b"oops"
    tar.write_bytes(data)
    with pytest.raises(ArchiveError, match="is damaged"):
        unpack(tar, tmp_path / "out")


@pytest.mark.parametrize("blocks", range(0, 17))
def test_a_plain_tar_that_ends_too_early(make, tmp_path, nothing_left, blocks):
    """8 files are 16 blocks; tarfile itself would take an end between two of them for the end of the archive."""
    tar = make(*GLYPHS)
    tar.write_bytes(tar.read_bytes()[: blocks * tarfile.BLOCKSIZE])
    with pytest.raises(ArchiveError, match="is damaged or no tar file"):
        unpack(tar, tmp_path / "out")


def test_a_plain_tar_with_a_wrong_byte_in_a_header(make, tmp_path, nothing_left):
    tar = make(*GLYPHS)
    data = bytearray(tar.read_bytes())
    data[4 * tarfile.BLOCKSIZE] ^= 1  # the name of the third file
    tar.write_bytes(data)
    with pytest.raises(ArchiveError, match="it has a broken entry .*; copy it again"):
        unpack(tar, tmp_path / "out")


def test_no_tar_at_all(tmp_path, nothing_left):
    with pytest.raises(FileNotFoundError, match="no tar file"):
        unpack(tmp_path / "gone.tar", tmp_path / "out")
    for content in (b"", b"hello" * 1000):
        (tmp_path / "set.tar").write_bytes(content)
        with pytest.raises(ArchiveError, match="damaged or no tar file|holds no files"):
            unpack(tmp_path / "set.tar", tmp_path / "out")
    (tmp_path / "set.tar").unlink()


def test_nothing_in_it(make, tmp_path, nothing_left):
    with pytest.raises(ArchiveError, match="holds no files"):
        unpack(make(entry("a/.DS_Store")), tmp_path / "out")
