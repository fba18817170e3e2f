"""Sources: a data set's name -> the folder it lies in on this platform. Taught in notebook 01."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ocrkit.data import platforms


@dataclass(frozen=True)
class Source:
    """A data set that can be asked for by name.

    It lies in `data/samples` where it is `shipped`; else `homepage` says where to get it, or `kaggle`,
    `"owner/dataset"`, the end of its address there.
    """

    name: str
    about: str
    shipped: bool = False
    homepage: str | None = None
    kaggle: str | None = None

    @property
    def mounted(self) -> str:
        """What the name of its folder contains where it is attached to a Kaggle notebook."""
        return self.kaggle.rpartition("/")[2] if self.kaggle else self.name

    def places(self) -> list[Path]:
        """Folders where the set may lie, the first choice first; they need not exist."""
        if self.shipped:
            return [platforms.COURSE / "data" / "samples" / self.name]
        places = [Path(data) / self.name] if (data := os.environ.get("OCRKIT_DATA")) else []
        places += _mounted(self.mounted) + (_cached(self.kaggle) if self.kaggle else [])
        places.append(platforms.ROOT / "content" / self.name)
        return places + [folder / "data" / "full" / self.name for folder in (Path.cwd(), platforms.COURSE)]


SOURCES = {
    source.name: source
    for source in (
        Source("plates", "rendered Chinese license plates", shipped=True),
        Source(
            "ccpd",
            "Chinese City Parking Dataset (CCPD2019, CCPD2020): photos of cars with plates",
            homepage="https://github.com/detectRecog/CCPD",
        ),
        Source("look-alikes", "rendered lines of look-alike characters", shipped=True),
        Source("names", "rendered handwritten names", shipped=True),
        Source("persian-glyphs", "rendered Persian digits and words, 18 classes", shipped=True),
        Source("letters", "rendered Persian business letters with boxes", shipped=True),
        Source(
            "names-full",
            "Handwriting Recognition: 410,000 names, cut from scanned forms",
            kaggle="landlord/handwriting-recognition",
        ),
    )
}


def locate(name: str) -> Path:
    """Return the folder of a registered data set.

    Raises:
        ValueError: no set has that name.
        FileNotFoundError: the set is not on this machine; the message says how to get it there.
    """
    if name not in SOURCES:
        raise ValueError(f"no data set is named {name!r}; there are: {', '.join(SOURCES)}")
    source = SOURCES[name]
    places = list(dict.fromkeys(source.places()))
    for place in places:
        if place.is_dir() and any(place.iterdir()):
            return place
    looked = "; ".join(str(p) for p in places)
    if source.shipped:
        raise FileNotFoundError(
            f"the samples {name!r} should lie in {looked}: the course folder is not complete, get it again"
        )
    if (platform := platforms.platform()) == "kaggle":
        put = f"attach it to the notebook (Add Input), under a name that contains {source.mounted!r}"
    else:
        place = platforms.ROOT / "content" / name if platform == "colab" else f"data/full/{name} in the course folder"
        put = f"unpack it to {place}, or set the environment variable OCRKIT_DATA to a folder that holds {name}/"
    by_program = f"; or run ocrkit.data.sources.download({name!r})" if source.kaggle else ""
    raise FileNotFoundError(
        f"the data set {name!r} is not on this machine ({source.about}). Get it from "
        f"{source.homepage or _kaggle_page(source.kaggle)}, then {put}{by_program}. Looked in: {looked}"
    )


def download(slug: str) -> Path:
    """Download a Kaggle data set with `kagglehub` and return its folder; one that is in its cache is not loaded again.

    Args:
        slug: `"owner/dataset"`, the end of the set's address on kaggle.com; or the name of a registered set that
            lies there, `"names-full"`, which `locate` finds from then on.

    Raises:
        ValueError: `slug` does not look like that.
        RuntimeError: kagglehub is not installed, or the download failed.
    """
    if slug in SOURCES:
        slug = SOURCES[slug].kaggle or slug
    if not re.fullmatch(r"[\w-]+/[\w.-]+", slug):
        raise ValueError(f'{slug!r} is not a Kaggle data set: give "owner/dataset", the end of its address')
    by_hand = f"download {_kaggle_page(slug)} and pass the folder to load_samples"
    try:
        import kagglehub
    except ImportError as error:
        raise RuntimeError(f"kagglehub is missing: run `pip install kagglehub`, or {by_hand}") from error
    try:
        return Path(kagglehub.dataset_download(slug))
    except Exception as error:  # kagglehub passes on whatever requests and the file system raise
        raise RuntimeError(
            f"the Kaggle data set {slug!r} could not be downloaded ({error}): check that you are online, or {by_hand}"
        ) from error


def _kaggle_page(slug: str) -> str:
    return f"https://www.kaggle.com/datasets/{slug}"


def _cached(slug: str) -> list[Path]:
    """The versions of a Kaggle data set that lie whole in kagglehub's cache, the newest first."""
    cache = os.environ.get("KAGGLEHUB_CACHE") or os.path.expanduser("~/.cache/kagglehub")
    folder = Path(cache, "datasets", slug)
    whole = [int(mark.stem) for mark in folder.glob("*.complete") if mark.stem.isdecimal()]
    return [folder / "versions" / str(version) for version in sorted(whole, reverse=True)]


def _mounted(name: str) -> list[Path]:
    """Data sets attached to a Kaggle notebook whose folder name contains `name`, in any case; a whole name first."""
    kaggle = platforms.ROOT / "kaggle" / "input"
    folders = [*kaggle.glob("*"), *kaggle.glob("datasets/*/*")]
    found = [f for f in folders if name in f.name.lower() and f.is_dir()]
    return sorted(found, key=lambda f: (f.name != name, f))
