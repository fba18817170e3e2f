"""Where data sets lie, on each platform."""

import sys
import types

import pytest

from ocrkit import platforms, sources


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without any data: its root, its course folder and its working folder are empty."""
    for name in ("OCRKIT_DATA", "KAGGLE_KERNEL_RUN_TYPE", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
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


def test_download_without_internet(monkeypatch):
    def fail(slug):
        raise ConnectionError("no route to host")

    kagglehub = types.ModuleType("kagglehub")
    kagglehub.dataset_download = fail
    monkeypatch.setitem(sys.modules, "kagglehub", kagglehub)
    with pytest.raises(RuntimeError, match="no route to host.*online.*kaggle.com/datasets/owner/set"):
        sources.download("owner/set")
