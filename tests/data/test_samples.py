"""Folders and CSV files -> the samples table."""

import hashlib
import os
import sys
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from ocrkit.data.layouts import find
from ocrkit.data.samples import assign_splits, load_samples

CCPD_NAME = "025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg"
CCPD_GREEN = "04-90_267-158&448_542&553-541&553_162&551_158&448_542&450-0_1_3_24_27_33_30_24-99-116.jpg"


@pytest.fixture
def put(tmp_path):
    """Write files below a folder: an image where there is no content. Returns the folder."""

    def write(*names, **contents):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 12), "navy").save(path)
        for name, content in contents.pop("files", {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write


def named(samples, name):
    """The one row whose image has this file name."""
    (row,) = [r for r in samples.itertuples() if Path(r.image).name == name]
    return row


# --- plates ---


def test_plates_layout_with_split_folders(put):
    folder = put("train/1-皖A25V59.jpg", "val/a-b-沪AD12345.png", "test/x-使123456.JPG")
    samples = load_samples(folder)
    assert list(samples.columns) == ["image", "text", "split", "province", "length", "kind"]
    assert samples["text"].tolist() == ["使123456", "皖A25V59", "沪AD12345"]
    assert samples["split"].tolist() == ["test", "train", "valid"]
    assert samples["province"].tolist() == ["", "皖", "沪"]
    assert samples["length"].tolist() == [7, 7, 8]
    assert samples["kind"].tolist() == ["embassy", "standard", "new energy"]
    assert all(os.path.isabs(p) and os.path.isfile(p) for p in samples["image"])


def test_a_set_with_train_and_test_gets_no_valid(put):
    samples = load_samples(put("train/1-皖A25V59.jpg", "test/2-皖A25V58.jpg"))
    assert set(samples["split"]) == {"train", "test"}


def test_the_folder_itself_may_name_the_split(put):
    folder = put("test/2-皖A25V58.jpg", "test/3-皖A25V57.jpg")
    assert set(load_samples(folder / "test")["split"]) == {"test"}


def test_a_set_without_splits_gets_them_from_the_text(put):
    samples = load_samples(put(*[f"{i}-皖A{i:05d}.jpg" for i in range(60)]))
    pd.testing.assert_frame_equal(samples, assign_splits(samples))
    assert set(samples["split"]) == {"train", "valid", "test"}


def test_one_split(put):
    folder = put("train/1-皖A25V59.jpg", "val/2-皖A25V58.jpg", "val/3-皖A25V57.jpg")
    for word in ("valid", "val"):
        part = load_samples(folder, split=word)
        assert part["text"].tolist() == ["皖A25V58", "皖A25V57"]
        assert part.index.tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"no split 'test'; it has 'valid' \(2 images\), 'train' \(1 images\)"):
        load_samples(folder, split="test")


def test_clutter_is_skipped_without_a_word(put):
    clutter = [".DS_Store", "._1-皖A25V59.jpg", "Thumbs.db", "desktop.ini", "README.md", "LICENSE"]
    clutter += [".ipynb_checkpoints/1-皖A25V59.jpg", "__MACOSX/1-皖A25V59.jpg"]
    put(files=dict.fromkeys(clutter, "junk"))
    samples = load_samples(put("1-皖A25V59.jpg", "license-皖A25V58.jpg"))
    assert samples["text"].tolist() == ["皖A25V59", "皖A25V58"]
    assert "problem" not in samples


def test_what_cannot_be_used_is_kept_with_its_problem(put):
    put(files={"notes.txt": "hello", "4-皖A25V56.jpg.part": ""})
    samples = load_samples(put("1-皖A25V59.jpg", "photo.jpg", "3-.jpg"))
    assert len(samples) == 5
    problems = dict(zip([Path(p).name for p in samples["image"]], samples["problem"], strict=True))
    assert problems["1-皖A25V59.jpg"] == ""
    assert problems["photo.jpg"] == problems["3-.jpg"] == "no label between the last '-' and the '.' of the name"
    assert problems["notes.txt"] == problems["4-皖A25V56.jpg.part"] == "not an image file"
    assert (samples.loc[samples["problem"] != "", "text"] == "").all()
    assert samples["length"].dtype.kind == "i"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such file names")
def test_a_name_in_another_encoding_is_a_problem_and_not_a_crash(put):
    folder = put("1-皖A25V59.jpg")
    bad = os.path.join(os.fsencode(folder), b"2-" + "皖A25V58".encode("gbk") + b".jpg")
    Path(folder, "1-皖A25V59.jpg").rename(folder / "x-沪A11111.jpg")
    with open(bad, "wb") as file:
        file.write(b"")
    samples = load_samples(folder)
    assert len(samples) == 2
    assert sorted(samples["text"]) == ["", "沪A11111"]
    assert samples["problem"].str.contains("not UTF-8").sum() == 1


def test_a_link_that_leads_back_up_ends(put):
    folder = put("train/1-皖A25V59.jpg")
    try:
        (folder / "train" / "loop").symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("this system does not allow links")
    assert len(load_samples(folder)) == 1


# --- CCPD ---


def test_ccpd_original_name(put):
    row = next(load_samples(put(f"ccpd_base/{CCPD_NAME}")).itertuples())
    assert (row.text, row.province, row.length, row.kind) == ("皖AY339S", "皖", 7, "standard")
    assert row.corners == ((154, 383), (363, 402), (386, 473), (177, 454))
    assert row.box == (154, 383, 386, 473)
    assert (row.tilt_horizontal, row.tilt_vertical, row.area) == (95, 113, 0.025)
    assert (row.brightness, row.blur, row.part) == (37, 15, "ccpd_base")


def test_ccpd_green_has_eight_characters_and_folder_splits(put):
    row = next(load_samples(put(f"ccpd_green/val/{CCPD_GREEN}")).itertuples())
    assert (row.text, row.length, row.kind, row.split) == ("皖BD03960", 8, "new energy", "valid")


def test_ccpd_own_split_lists(put):
    names = [CCPD_NAME.replace("-37-15", f"-{i}-1") for i in range(5)]
    put(
        files={
            "splits/train.txt": f"ccpd_base/{names[0]}\n",
            "splits/val.txt": f"ccpd_base/{names[1]}\n",
            "splits/ccpd_blur.txt": f"ccpd_blur/{names[2]}\n",
            "splits/test.txt": f"ccpd_blur/{names[2]}\nccpd_db/{names[3]}\n",
        }
    )
    parts = ["ccpd_base", "ccpd_base", "ccpd_blur", "ccpd_db", "ccpd_weather"]
    samples = load_samples(put(*[f"{p}/{n}" for p, n in zip(parts, names, strict=True)]))
    assert samples["split"].tolist() == ["train", "valid", "test", "test", ""]
    assert samples["part"].tolist() == parts


def test_ccpd_bad_names_are_kept_with_their_problem(put):
    outside = CCPD_NAME.replace("-0_0_22_", "-40_0_22_")
    samples = load_samples(put(f"ccpd_base/{CCPD_NAME}", f"ccpd_base/{outside}", "ccpd_np/1000.jpg"))
    assert named(samples, outside).problem == "character number 40 is not in CCPD's table of 34"
    assert named(samples, outside).text == ""
    assert named(samples, "1000.jpg").problem == "the name has no CCPD label"


def test_ccpd_letter_o_means_no_character(put):
    (text,) = load_samples(put(CCPD_NAME.replace("_16-37", "_34-37")))["text"]
    assert text == "皖AY339"


# --- word lists ---


def test_word_list_keeps_every_value_a_string(put):
    put("a.png", "sub/b.png", "c.png", "d.png")
    folder = put(
        files={
            "words.csv": '\ufefffile_name, text,writer_id\na.png,NA,007\nsub\\b.png,NULL,1\nc.png,"x, y",\nd.png,,2\n'
        }
    )
    samples = load_samples(folder / "words.csv")
    assert samples["text"].tolist() == ["NA", "NULL", "x, y", ""]
    assert samples["writer_id"].tolist() == ["007", "1", "", "2"]
    assert os.path.isfile(samples["image"][1])
    assert "problem" not in samples


def test_word_list_normalizes_and_remembers_the_raw_label(put):
    raw = unicodedata.normalize("NFD", "Käbschütztal")
    folder = put("a.png", "b.png", files={"words.csv": f"file_name,text\na.png,{raw}\nb.png,Nöda\n"})
    samples = load_samples(folder)
    assert samples["text"].tolist() == ["Käbschütztal", "Nöda"]
    assert samples["label_raw"].tolist() == [raw, ""]


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        ({"w.csv": "file_name,text,split\na.png,x,train\nb.png,y,Val\nc.png,z,\n"}, ["train", "valid", ""]),
        ({"w.csv": "file_name,text\ntrain/a.png,x\ntest/u/b.png,y\n"}, ["train", "test"]),
        ({"train.csv": "file_name,text\na.png,x\n", "test.csv": "file_name,text\nb.png,y\n"}, ["test", "train"]),
        ({"val/metadata.csv": "file_name,text\na.png,x\n"}, ["valid"]),
    ],
)
def test_word_list_splits(put, files, splits):
    assert load_samples(put(files=files))["split"].tolist() == splits


def test_absent_files_and_duplicates_are_kept_and_unlisted_images_reported(put):
    folder = put("a.png", "stray.png", files={"w.csv": "file_name,text\na.png,x\na.png,x\ngone.png,y\n"})
    samples = load_samples(folder)
    assert [Path(p).name for p in samples["image"]] == ["a.png", "a.png", "gone.png", "stray.png"]
    assert samples["problem"].tolist() == ["", "", "", "in no row of the CSV"]


def test_rows_of_the_wrong_length_are_kept_with_their_problem(put):
    folder = put(files={"w.csv": "file_name,text\na.png,x, y\nb.png\n,z\nc.png,ok\n"})
    samples = load_samples(folder / "w.csv")
    assert samples["text"].tolist() == ["", "", "", "ok"]
    assert "line 2 of w.csv has 3 values for 2 columns" in samples["problem"][0]
    assert "line 3 of w.csv has 1 values for 2 columns" in samples["problem"][1]
    assert "line 4 of w.csv has no file name" in samples["problem"][2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,score\na.png,1\n", "no column 'file_name' and no column 'text'; it has: name, score"),
        ("FILENAME,NAME\na.png,x\n", "no column 'IDENTITY'; it has: FILENAME, NAME"),
        ("FILENAME,IDENTITY\n", "no rows below"),
        ("file_name,label\na.png,x\n", "no column 'text'; it has: file_name, label"),
        ("file_name;text\na.png;x\n", "it has: file_name;text; put a comma between the columns"),
        ("", "is empty: its first line must be 'file_name,text'"),
        ("file_name,text\n", "no rows below"),
        ("file_name,text\na.png,é\n".encode("latin-1"), "not UTF-8 text"),
        ("file_name,text\na.png,é\n".encode("utf-16"), "not UTF-8 text"),
        ('file_name,text\na.png,"never closed\n', "not a CSV file that can be read"),
    ],
)
def test_bad_csv_says_what_is_wrong_and_where(put, content, words):
    folder = put("a.png", files={"words.csv": content})
    for where in (folder / "words.csv", folder):
        with pytest.raises(ValueError) as caught:
            list(load_samples(where)["text"])
        assert words in str(caught.value)
        assert "words.csv" in str(caught.value)


def test_a_bad_csv_beside_a_good_one_is_reported_and_stops_nothing(put):
    files = {"good.csv": "file_name,text\na.png,x\n", "other.csv": "name,score\na.png,1\n"}
    samples = load_samples(put("a.png", files=files))
    assert samples["text"].tolist() == ["x", ""]
    assert "other.csv has no column 'file_name' and no column 'text'" in named(samples, "other.csv").problem


# --- where ---


def test_unknown_layout_tells_what_was_found_and_what_is_known(put):
    with pytest.raises(ValueError) as caught:
        load_samples(put("a.png", "b.png", "c.png", files={"x.bin": "1"}))
    message = str(caught.value)
    assert "Found: 3 .png files, 1 .bin file, no label in the name" in message
    for layout in find.LAYOUTS:
        assert layout.name in message and layout.looks_like in message


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="Found: no files"):
        load_samples(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder or file .*gone.*plates, ccpd"):
        load_samples(tmp_path / "gone")


def test_a_file_that_is_no_csv(put):
    with pytest.raises(ValueError, match=r"1-皖A25V59\.jpg is neither a folder nor a \.csv or \.cdb file"):
        load_samples(put("1-皖A25V59.jpg") / "1-皖A25V59.jpg")


def test_a_name_is_looked_up(put, monkeypatch):
    monkeypatch.setenv("OCRKIT_DATA", str(put(f"ccpd/ccpd_base/{CCPD_NAME}")))
    assert load_samples("ccpd")["text"].tolist() == ["皖AY339S"]


# --- splits by text ---


def test_splits_are_the_same_on_every_machine():
    samples = assign_splits(pd.DataFrame({"text": ["皖A25V59", "é", "e\u0301", ""]}))
    places = [int(hashlib.sha1(t.encode()).hexdigest()[:16], 16) / 2**64 for t in ("皖A25V59", "é", "é", "")]
    expected = ["train" if p < 0.6 else "valid" if p < 0.7 else "test" for p in places]
    assert samples["split"].tolist() == expected
    assert samples["split"][1] == samples["split"][2]


def test_splits_have_the_shares_asked_for():
    samples = pd.DataFrame({"text": [f"皖A{i:05d}" for i in range(20_000)]})
    shares = assign_splits(samples)["split"].value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx({"train": 0.6, "valid": 0.1, "test": 0.3}, abs=0.01)
    assert set(assign_splits(samples, {"test": 1.0})["split"]) == {"test"}
    assert "split" not in samples, "the table that was given stays as it was"


@pytest.mark.parametrize("fractions", [{"train": 0.5}, {"train": 1.5, "test": -0.5}, {}])
def test_bad_shares(fractions):
    with pytest.raises(ValueError, match="add up to 1"):
        assign_splits(pd.DataFrame({"text": ["a"]}), fractions)


def test_splits_by_writer_keep_a_writer_together():
    samples = pd.DataFrame({"text": [f"w{i}" for i in range(400)], "writer_id": [str(i % 40) for i in range(400)]})
    parted = assign_splits(samples, by="writer_id")
    assert (parted.groupby("writer_id")["split"].nunique() == 1).all()
    assert set(parted["split"]) == {"train", "valid", "test"}
    with pytest.raises(ValueError, match="no column 'writer'; it has: text, writer_id"):
        assign_splits(samples, by="writer")
