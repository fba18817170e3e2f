"""Where data sets lie, on each platform."""

import sys
import types

import pytest

from ocrkit.data import platforms, sources


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without any data: its root, its course folder and its working folder are empty."""
    for name in ("OCRKIT_DATA", "KAGGLE_KERNEL_RUN_TYPE", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(platforms, "ROOT", tmp_path)
    monkeypatch.setattr(platforms, "COURSE", tmp_path / "course")
    return tmp_path


def fill(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "file").touch()
    return folder


@pytest.mark.parametrize(
    "place",
    [
        "kaggle/input/ccpd",
        "kaggle/input/CCPD2019-full",
        "kaggle/input/datasets/someone/my-ccpd",
        "content/ccpd",
        "work/data/full/ccpd",
        "course/data/full/ccpd",
    ],
)
def test_ccpd_is_found_where_each_platform_keeps_it(bare, place):
    there = fill(bare / place)
    assert sources.locate("ccpd") == there


def test_the_environment_variable_goes_first(bare, monkeypatch):
    fill(bare / "content" / "ccpd")
    monkeypatch.setenv("OCRKIT_DATA", str(bare / "disk"))
    assert sources.locate("ccpd") == bare / "content" / "ccpd"
    there = fill(bare / "disk" / "ccpd")
    assert sources.locate("ccpd") == there


def test_an_empty_folder_does_not_count(bare):
    (bare / "content" / "ccpd").mkdir(parents=True)
    there = fill(bare / "course" / "data" / "full" / "ccpd")
    assert sources.locate("ccpd") == there


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        (None, "unpack it to data/full/ccpd in the course folder"),
        ("KAGGLE_KERNEL_RUN_TYPE", "Add Input"),
        ("COLAB_RELEASE_TAG", "OCRKIT_DATA"),
    ],
)
def test_a_set_that_is_not_here_says_how_to_get_it(bare, monkeypatch, variable, words):
    if variable:
        monkeypatch.setenv(variable, "x")
    with pytest.raises(FileNotFoundError) as caught:
        sources.locate("ccpd")
    assert "https://github.com/detectRecog/CCPD" in str(caught.value)
    assert words in str(caught.value)


def test_shipped_samples(bare):
    with pytest.raises(FileNotFoundError, match="the course folder is not complete"):
        sources.locate("plates")
    there = fill(bare / "course" / "data" / "samples" / "plates")
    assert sources.locate("plates") == there


def test_unknown_name():
    with pytest.raises(ValueError, match="no data set is named 'plate'; there are: plates, ccpd"):
        sources.locate("plate")


# --- names, a set of Kaggle ---


@pytest.mark.parametrize(
    "place",
    [
        "kaggle/input/handwriting-recognition",
        "kaggle/input/datasets/landlord/handwriting-recognition",
        "content/names-full",
        "work/data/full/names-full",
    ],
)
def test_names_are_found_where_each_platform_keeps_them(bare, place):
    there = fill(bare / place)
    assert sources.locate("names-full") == there


def test_a_folder_with_the_whole_name_goes_first(bare):
    fill(bare / "kaggle" / "input" / "a-handwriting-recognition-model")
    there = fill(bare / "kaggle" / "input" / "handwriting-recognition")
    assert sources.locate("names-full") == there


def test_the_newest_whole_version_in_the_cache_of_kagglehub(bare):
    folder = bare / "cache" / "datasets" / "landlord" / "handwriting-recognition"
    for version in (9, 10, 11):
        fill(folder / "versions" / str(version))
    with pytest.raises(FileNotFoundError):
        sources.locate("names-full")
    for version in (9, 10):  # the download of the eleventh has not come to its end
        (folder / f"{version}.complete").touch()
    assert sources.locate("names-full") == folder / "versions" / "10"


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        (None, "unpack it to data/full/names-full in the course folder"),
        ("KAGGLE_KERNEL_RUN_TYPE", "(Add Input), under a name that contains 'handwriting-recognition'"),
        ("COLAB_RELEASE_TAG", "content/names-full"),
    ],
)
def test_names_that_are_not_here_say_how_to_get_them(bare, monkeypatch, variable, words):
    if variable:
        monkeypatch.setenv(variable, "x")
    with pytest.raises(FileNotFoundError) as caught:
        sources.locate("names-full")
    message = str(caught.value).replace("\\", "/")
    assert "https://www.kaggle.com/datasets/landlord/handwriting-recognition" in message
    assert words in message and "ocrkit.data.sources.download('names-full')" in message


def test_ccpd_offers_no_download(bare):
    with pytest.raises(FileNotFoundError) as caught:
        sources.locate("ccpd")
    assert "download(" not in str(caught.value)


# --- download ---


@pytest.mark.parametrize("slug", ["plates", "a/b/c", "https://kaggle.com/a/b", ""])
def test_download_wants_owner_and_data_set(slug):
    with pytest.raises(ValueError, match='give "owner/dataset"'):
        sources.download(slug)


def test_download_without_kagglehub(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(RuntimeError, match="pip install kagglehub.*kaggle.com/datasets/owner/set"):
        sources.download("owner/set")


def test_download(monkeypatch, tmp_path):
    kagglehub = types.ModuleType("kagglehub")
    kagglehub.dataset_download = lambda slug: str(tmp_path / slug)
    monkeypatch.setitem(sys.modules, "kagglehub", kagglehub)
    assert sources.download("owner/set") == tmp_path / "owner" / "set"
    assert sources.download("names-full") == tmp_path / "landlord" / "handwriting-recognition"


def test_download_without_internet(monkeypatch):
    def fail(slug):
        raise ConnectionError("no route to host")

    kagglehub = types.ModuleType("kagglehub")
    kagglehub.dataset_download = fail
    monkeypatch.setitem(sys.modules, "kagglehub", kagglehub)
    with pytest.raises(RuntimeError, match="no route to host.*online.*kaggle.com/datasets/owner/set"):
        sources.download("owner/set")
