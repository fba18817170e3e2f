"""Pages tables out of COCO files, and what is said about files that cannot be used."""

import json

import pytest
from PIL import Image

import ocrkit as ok
from ocrkit.data.layouts.pages import FIELDS, PageField, read_coco

NAMES = [*FIELDS, "stamp"]


@pytest.fixture
def content():
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 80, "height": 100},
            {"id": 9, "file_name": "b.png", "width": 80, "height": 100},
        ],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 1, "bbox": [10, 20, 30, 8], "text": "۱۴۰۲/۰۵/۱۷"},
            {"id": 2, "image_id": 9, "category_id": 5, "bbox": [50, 60, 20.5, 30], "area": 615, "iscrowd": 0},
            {"id": 3, "image_id": 7, "category_id": 4, "bbox": [0.5, 90, 80, 10.4], "text": "موضوع"},
        ],
        "categories": [{"id": k, "name": name} for k, name in enumerate(NAMES, start=1)],
    }


@pytest.fixture
def write(tmp_path, content):
    """Writes the content, after a change, beside two images; returns the file."""

    def write(change=None, name="train.json", images="train"):
        (tmp_path / images).mkdir(exist_ok=True)
        for image in ("a.png", "b.png"):
            Image.new("L", (80, 100), 255).save(tmp_path / images / image)
        if change:
            change(content)
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
        return tmp_path / name

    return write


def test_pages_come_in_the_order_of_the_file_with_boxes_as_corners(write, tmp_path):
    pages = read_coco(write())
    assert pages["image"].tolist() == [str(tmp_path / "train" / name) for name in ("a.png", "b.png")]
    assert pages["split"].tolist() == ["train", "train"]
    assert pages["fields"][1] == [PageField("date", "۱۴۰۲/۰۵/۱۷", (10, 20, 40, 28))]
    assert pages["other"][1] == [PageField("stamp", "", (50, 60, 70.5, 90))]
    # A box that stands out by rounding is cut to the page.
    assert pages["fields"][0][0].box == (0.5, 90, 80, 100)


def test_images_beside_the_file_and_no_split(write):
    pages = read_coco(write(name="all.json", images="."))
    assert [f.kind for f in pages["fields"][1]] == ["date"] and [f.kind for f in pages["other"][1]] == ["stamp"]
    assert pages["split"].tolist() == ["", ""]


def test_load_pages_takes_a_folder_and_a_split(write, tmp_path):
    write()
    write(name="test.json", images="test")
    assert ok.load_pages(tmp_path)["split"].value_counts().to_dict() == {"train": 2, "test": 2}
    assert ok.load_pages(tmp_path, "test")["split"].tolist() == ["test", "test"]
    assert len(ok.load_pages(tmp_path / "train.json")) == 2
    with pytest.raises(ValueError, match=r"no split 'valid'; it has 'test' \(2 pages\), 'train' \(2 pages\)"):
        ok.load_pages(tmp_path, "valid")


def test_load_pages_without_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no .json file"):
        ok.load_pages(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder or file"):
        ok.load_pages(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_coco(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda c: c["annotations"][0].update(category_id=6),
            "annotation 1 has the unknown category 6; there are: 1 date",
        ),
        (lambda c: c["annotations"][0].update(image_id=8), "annotation 1 is of image 8, which is not among"),
        (lambda c: c["annotations"][0].update(bbox=[60, 20, 30, 8]), "lies outside its page of 80 x 100 pixels"),
        (lambda c: c["annotations"][0].update(bbox=[60, 20, 0, 8]), "which has no area"),
        (lambda c: c["annotations"][0].update(bbox=[60, float("nan"), 5, 8]), "which has no area"),
        (lambda c: c["annotations"][0].update(bbox=[60, 20, 8]), "must be four numbers"),
        (lambda c: c["annotations"][0].pop("bbox"), "entry 1 of 'annotations' lacks bbox"),
        (lambda c: c["images"][1].update(id=7), "two images have the id 7"),
        (lambda c: c["images"][1].update(width="80"), "'80' x 100 pixels: whole numbers above 0"),
        (lambda c: c.pop("categories"), "is no COCO file: it has no list 'categories'"),
        (lambda c: c["images"].clear(), "lists no images"),
    ],
)
def test_files_that_are_refused(write, change, words):
    path = write(change)
    with pytest.raises(ValueError, match=words) as error:
        read_coco(path)
    assert str(path) in str(error.value)


def test_a_missing_image_and_broken_json(write, tmp_path):
    path = write(lambda c: c["images"][0].update(file_name="c.png"))
    with pytest.raises(FileNotFoundError, match="lists the image 'c.png', which is neither beside it nor in train/"):
        read_coco(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="is not valid JSON"):
        read_coco(path)
