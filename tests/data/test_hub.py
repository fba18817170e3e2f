"""Imagefolders and the package `datasets`: what goes out comes back, label by label and pixel by pixel."""

import runpy
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import ocrkit as ok
from ocrkit.data.images import ImageError, read_image, read_sample
from ocrkit.data.layouts.hub import export_imagefolder, from_datasets, to_datasets

LABELS = ["NA", "", " leading", "007", "سلام، «دنیا»", 'a "quoted", b\nline', "皖A25V59", "null"]


def pixels(i):
    return np.random.default_rng(i).integers(0, 256, (12, 30 + i, 3), dtype=np.uint8)


@pytest.fixture
def samples(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    paths = [source / f"train-{i} ü.{'PNG' if i % 2 else 'bmp'}" for i in range(len(LABELS))]
    for i, path in enumerate(paths):
        Image.fromarray(pixels(i)).save(path)
    return pd.DataFrame({
        "image": [str(p) for p in paths],
        "text": LABELS,
        "split": ["train"] * 4 + ["valid"] * 2 + ["test", ""],
        "writer": [f"w{i}" for i in range(len(LABELS))],
        "length": range(len(LABELS)),
    })  # fmt: skip


def test_an_imagefolder_reads_back_as_it_was(samples, tmp_path):
    folder = tmp_path / "out"
    assert export_imagefolder(samples, folder).empty
    assert sorted(p.name for p in folder.iterdir()) == ["other", "test", "train", "validation"]
    back = ok.load_samples(folder).sort_values("writer", ignore_index=True)
    for column in ("text", "split", "writer"):
        assert back[column].tolist() == samples[column].tolist()
    assert back["length"].tolist() == list(map(str, range(8)))
    assert back["original_name"].tolist() == [p.rpartition("/")[2] for p in samples["image"]]
    for old, new in zip(samples["image"], back["image"]):
        with open(old, "rb") as a, open(new, "rb") as b:
            assert a.read() == b.read(), "an image was not copied as it is"
        assert new.rpartition("/")[2].isascii()
    assert "problem" not in back


def test_crops_and_images_in_memory_are_written_as_png(tmp_path):
    Image.fromarray(pixels(1)).save(tmp_path / "1.jpg")
    corners = np.array([[2, 2], [22, 2], [22, 10], [2, 10]])
    table = pd.DataFrame({
        "image": [pixels(0), str(tmp_path / "1.jpg"), str(tmp_path / "1.jpg")],
        "corners": [None, corners, None], "box": [None, None, (3, 1, 20, 9)], "text": ["A", "B", "C"],
    })  # fmt: skip
    assert export_imagefolder(table, tmp_path / "out").empty
    back = ok.load_samples(tmp_path / "out")
    assert not {"corners", "box"} & {*back} and back["text"].tolist() == ["A", "B", "C"]
    for (_, row), path in zip(table.iterrows(), back["image"]):
        assert np.array_equal(read_image(path), read_sample(row))


def test_what_cannot_be_written_is_told_and_nothing_is_overwritten(samples, tmp_path):
    samples.loc[2, "image"] = str(tmp_path / "none.png")
    samples["box"] = [None] * 7 + [(90, 90, 99, 99)]
    lost = export_imagefolder(samples, tmp_path / "out")
    assert lost.index.tolist() == [2, 7]
    assert lost["reason"].tolist()[0] == "there is no such file" and "lies outside the image" in lost["reason"][7]
    assert len(ok.load_samples(tmp_path / "out")) == 6
    with pytest.raises(FileExistsError, match="out is not empty: choose another folder"):
        export_imagefolder(samples, tmp_path / "out")
    with pytest.raises(ValueError, match="no column 'text'; it has: image"):
        export_imagefolder(samples[["image"]], tmp_path / "new")


def test_datasets_reads_the_folder_and_its_table_comes_back(samples, tmp_path):
    datasets = pytest.importorskip("datasets")
    samples = samples.assign(text=["A1", "B", "پ", " C", "D", "E", "F", "G"]).head(7)
    export_imagefolder(samples, tmp_path / "out")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in loaded.items()} == {"train": 4, "validation": 2, "test": 1}
    table = from_datasets(loaded).sort_values("writer", ignore_index=True)
    for column in ("text", "split", "writer", "length"):
        assert table[column].tolist() == samples[column].tolist()
    assert all(np.array_equal(image, pixels(i)) for i, image in enumerate(table["image"]))
    assert ok.pack(table, (8, 16)).rejected.empty


def test_labels_that_datasets_has_changed_are_noticed(samples, tmp_path):
    datasets = pytest.importorskip("datasets")
    export_imagefolder(samples.assign(split="", text=["007"] * 8), tmp_path / "numbers")
    choice = {"cache_dir": str(tmp_path / "cache"), "split": "train"}
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "numbers"), **choice)
    with pytest.raises(ValueError, match="'text' are int64, not strings, so that 007 has become 7"):
        from_datasets(loaded)
    export_imagefolder(samples.assign(split=""), tmp_path / "missing")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "missing"), **choice)
    table = from_datasets(loaded)
    assert (table["problem"] != "").sum() == 3 and (table["text"] == "").sum() == 3
    assert 'datasets reads "NA" and "" in a CSV as that' in table["problem"][0]


def test_to_datasets_and_back_changes_nothing(samples):
    datasets = pytest.importorskip("datasets")
    samples["box"] = [None] * 6 + [(1, 2, 20, 9), None]
    made = to_datasets(samples.assign(other=[[1]] * 8))
    assert isinstance(made, datasets.DatasetDict) and {*made} == {"train", "validation", "test"}
    assert made["train"].features["text"].dtype in ("string", "large_string")
    assert made["train"][0]["image"].size == (30, 12) and "other" not in made["train"].features
    back = from_datasets(made).sort_values("writer", ignore_index=True)
    assert back["text"].tolist() == samples["text"].tolist()
    assert back["split"].tolist() == ["train"] * 4 + ["valid"] * 2 + ["test", "train"]
    for (_, row), image in zip(samples.iterrows(), back["image"]):
        assert np.array_equal(image, read_sample(row))
    with pytest.raises(ImageError, match="no such file"):
        to_datasets(samples.assign(image="none.png"))


def test_sets_of_classes_and_what_is_refused():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({
        "image": datasets.Image(), "label": datasets.ClassLabel(names=["be", "pe"]), "split": datasets.Value("string")
    })  # fmt: skip
    png = to_datasets(pd.DataFrame({"image": [pixels(0)], "text": [""]}))["train"].cast_column(
        "image", datasets.Image(decode=False)
    )[0]["image"]
    rows = {"image": [png, {"bytes": b"no image", "path": "x.png"}], "label": [1, 0], "split": ["validation", "test"]}
    table = from_datasets(datasets.Dataset.from_dict(rows, features), text="label")
    assert table["text"].tolist() == ["pe", ""] and table["split"].tolist() == ["valid", "test"]
    assert table["image"][1] == "x.png" and "not an image" in table["problem"][1]
    with pytest.raises(ValueError, match="no column 'words'; it has: image, label"):
        from_datasets(datasets.Dataset.from_dict(rows, features), text="words")
    with pytest.raises(TypeError, match="not IterableDataset"):
        from_datasets(datasets.Dataset.from_dict(rows, features).to_iterable_dataset())


def test_without_the_package_the_module_works_and_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.delitem(sys.modules, "ocrkit.data.layouts.hub", raising=False)
    hub = runpy.run_module("ocrkit.data.layouts.hub")
    with pytest.raises(ImportError, match="pip install datasets"):
        hub["to_datasets"](pd.DataFrame())
