"""The layout of handwritten names: CSV files with FILENAME,IDENTITY and their images, with every fault they have."""

import os
from pathlib import Path

import pytest
from PIL import Image

from ocrkit.data.lint import lint
from ocrkit.data.samples import assign_splits, load_samples
from ocrkit.text.tokenizer import Tokenizer


@pytest.fixture
def put(tmp_path):
    """Make images of the given names and CSV files of the given contents; returns the folder."""

    def write(*images, **files):
        for name in images:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (60, 16), 255).save(path)
        for stem, content in files.items():
            (tmp_path / f"{stem}.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write


def rows(samples):
    """(file name, text, problem) of each row."""
    problems = samples["problem"] if "problem" in samples else [""] * len(samples)
    return [(Path(i).name, t, p) for i, t, p in zip(samples["image"], samples["text"], problems, strict=True)]


def test_the_set_as_kaggle_has_it(put):
    folder = put(
        "train_v2/train/TRAIN_00001.jpg", "validation_v2/validation/VALIDATION_0001.jpg", "test_v2/test/TEST_0001.jpg",
        written_name_train_v2="FILENAME,IDENTITY\r\nTRAIN_00001.jpg,BALTHAZAR\r\n",
        written_name_validation_v2="FILENAME,IDENTITY\r\nVALIDATION_0001.jpg,JEAN-ROCH\r\n",
        written_name_test_v2="FILENAME,IDENTITY\r\nTEST_0001.jpg,DE L'ISLE\r\n",
    )  # fmt: skip
    samples = load_samples(folder).set_index("split")
    assert samples["text"].to_dict() == {"train": "BALTHAZAR", "valid": "JEAN-ROCH", "test": "DE L'ISLE"}
    assert list(samples.columns) == ["image", "text"]
    assert samples["image"]["train"] == str(folder / "train_v2" / "train" / "TRAIN_00001.jpg")
    assert all(map(os.path.isfile, samples["image"]))


def test_one_csv_file_alone(put):
    folder = put(
        "train_v2/train/a.jpg", "train_v2/train/b.jpg", "test_v2/test/c.jpg",
        written_name_train_v2="FILENAME,IDENTITY\na.jpg,LEO\n", written_name_test_v2="FILENAME,IDENTITY\nc.jpg,EVA\n",
    )  # fmt: skip
    samples = load_samples(folder / "written_name_train_v2.csv")
    assert rows(samples) == [("a.jpg", "LEO", "")], "the images of other files are no concern of this one"
    assert samples["split"].tolist() == ["train"] and os.path.isfile(samples["image"][0])


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffFILENAME,IDENTITY\r\na.jpg,LEO\r\nb.jpg,EVA\r\n",
        "IDENTITY, FILENAME\nLEO,a.jpg\nEVA,b.jpg\n",
        'FORM,IDENTITY,FILENAME\n1,"LEO",a.jpg\n1,EVA,"b.jpg"\n',
        "FILENAME,IDENTITY\nscans\\a.jpg,LEO\nscans/b.jpg,EVA",
    ],
    ids=["BOM and CRLF", "other order", "more columns", "with folder"],
)
def test_the_same_table_in_other_dress(put, content):
    samples = load_samples(put("scans/a.jpg", "scans/b.jpg", words=content))
    assert rows(samples) == [("a.jpg", "LEO", ""), ("b.jpg", "EVA", "")]
    assert all(map(os.path.isfile, samples["image"]))


def test_every_value_stays_a_string(put):
    names = ["NA", "NULL", "NONE", "NAN", "12.0", "007", "TRUE"]
    images = [f"{i}.jpg" for i in range(len(names))]
    content = "FILENAME,IDENTITY\n" + "".join(f"{i},{n}\n" for i, n in zip(images, names, strict=True))
    samples = load_samples(put(*images, written_name_dev=content))
    assert samples["text"].tolist() == names
    assert "problem" not in samples and "label_raw" not in samples


def test_labels_are_spelled_as_the_set_does_and_kept_as_they_were(put):
    content = 'FILENAME,IDENTITY\na.jpg,Zoé\nb.jpg," LEO "\nc.jpg,EVA\nd.jpg,ANNE  LISE\n'
    samples = load_samples(put(*[f"{c}.jpg" for c in "abcd"], written_name_dev=content))
    assert samples["text"].tolist() == ["ZOE", "LEO", "EVA", "ANNE LISE"]
    assert samples["label_raw"].tolist() == ["Zoé", " LEO ", "", "ANNE  LISE"]


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("", "the label is empty"),
        ("  ", "the label is empty"),
        ("EMPTY", "the label says EMPTY: nothing is written"),
        (" empty", "the label says EMPTY: nothing is written"),
        ("UNREADABLE", "the label says UNREADABLE"),
    ],
)
def test_labels_that_are_no_text(put, label, problem):
    samples = load_samples(put("a.jpg", "b.jpg", written_name_dev=f"FILENAME,IDENTITY\na.jpg,{label}\nb.jpg,EMPTYS\n"))
    assert rows(samples) == [("a.jpg", "", problem), ("b.jpg", "EMPTYS", "")]
    if label:
        assert samples["label_raw"].tolist() == [label, ""]


def test_absent_and_unlisted_images_and_other_files_are_reported(put):
    folder = put("x/a.jpg", "x/stray.jpg", written_name_dev="FILENAME,IDENTITY\na.jpg,LEO\ngone.jpg,Eva\na.jpg,LEO\n")
    (folder / "x" / "counts.tsv").write_text("LEO\t2\n")
    samples = load_samples(folder)
    assert rows(samples) == [
        ("a.jpg", "LEO", ""),
        ("gone.jpg", "", "no image of this name in the folders beside the CSV"),
        ("a.jpg", "LEO", ""),
        ("counts.tsv", "", "not an image file"),
        ("stray.jpg", "", "in no row of the CSV"),
    ]
    assert samples["label_raw"][1] == "Eva"


def test_rows_of_the_wrong_length(put):
    content = "FILENAME,IDENTITY\na.jpg,DUPONT, JEAN\nb.jpg\n,EVA\nc.jpg,LEO\n"
    samples = load_samples(put("a.jpg", "b.jpg", "c.jpg", written_name_dev=content))
    assert samples["text"].tolist() == ["", "", "", "LEO"]
    assert "line 2 of written_name_dev.csv has 3 values for 2 columns" in samples["problem"][0]
    assert "line 3 of written_name_dev.csv has 1 values for 2 columns" in samples["problem"][1]
    assert "line 4 of written_name_dev.csv has no file name" in samples["problem"][2]


def test_a_bad_csv_beside_a_good_one(put):
    good, bad = "FILENAME,IDENTITY\na.jpg,LEO\n", "FILENAME,IDENTITY\nb.jpg,ZOÉ\n".encode("latin-1")
    words = "file_name,text\na.jpg,x\n"
    samples = load_samples(put("a.jpg", written_name_dev=good, written_name_more=bad, words=words))
    problems = {name: problem for name, _, problem in rows(samples)}
    assert problems["a.jpg"] == "" and "not UTF-8" in problems["written_name_more.csv"]
    assert "no column 'FILENAME' and no column 'IDENTITY'" in problems["words.csv"]


# --- splits, and images of one name ---


@pytest.mark.parametrize(
    ("stem", "split"),
    [
        ("written_name_train_v2", "train"),
        ("written_name_validation_v2", "valid"),
        ("Written_Name_Test_v3", "test"),
        ("written_name_val", "valid"),
        ("train", "train"),
    ],
)
def test_the_name_of_the_file_tells_the_split(put, stem, split):
    assert load_samples(put("x/a.jpg", **{stem: "FILENAME,IDENTITY\na.jpg,LEO\n"}))["split"].tolist() == [split]


def test_a_file_that_tells_no_split_leaves_it_to_the_text(put):
    images = [f"dev/{i}.jpg" for i in range(40)]
    content = "FILENAME,IDENTITY\n" + "".join(f"{i}.jpg,{chr(65 + i % 26) * (1 + i // 26)}\n" for i in range(40))
    samples = load_samples(put(*images, written_name_dev=content))
    assert samples.equals(assign_splits(samples)) and set(samples["split"]) == {"train", "valid", "test"}


def test_a_file_that_tells_no_split_takes_that_of_the_folder(put):
    folder = put("train/a.jpg", "test/b.jpg", labels="FILENAME,IDENTITY\na.jpg,LEO\nb.jpg,EVA\n")
    assert load_samples(folder)["split"].tolist() == ["train", "test"]


def test_of_two_images_with_one_name_the_folder_of_the_split_counts(put):
    folder = put(
        "a/1.jpg", "test_v2/test/1.jpg", "train_v2/train/1.jpg",
        written_name_train_v2="FILENAME,IDENTITY\n1.jpg,LEO\n", written_name_test_v2="FILENAME,IDENTITY\n1.jpg,EVA\n",
    )  # fmt: skip
    found = {Path(r.image).relative_to(folder).as_posix(): (r.text, r.split) for r in load_samples(folder).itertuples()}
    assert found == {
        "train_v2/train/1.jpg": ("LEO", "train"),
        "test_v2/test/1.jpg": ("EVA", "test"),
        "a/1.jpg": ("", ""),
    }


def test_of_two_images_with_one_name_the_folder_with_the_word_of_the_file_counts(put):
    samples = load_samples(put("all/1.jpg", "dev/1.jpg", written_name_dev="FILENAME,IDENTITY\n1.jpg,LEO\n"))
    assert [(Path(r.image).parent.name, r.problem) for r in samples.itertuples()] == [
        ("dev", ""),
        ("all", "in no row of the CSV"),
    ]


def test_an_image_of_another_split_is_never_taken(put):
    samples = load_samples(put("test_v2/test/1.jpg", written_name_train_v2="FILENAME,IDENTITY\n1.jpg,LEO\n"))
    assert [problem for _, _, problem in rows(samples)] == [
        "no image of this name in the folders beside the CSV",
        "in no row of the CSV",
    ]


# --- lint ---


def test_lint_reports_the_faults_of_the_set(put, capsys):
    labels = ["LEO", "Zoé", "EMPTY", "EMPTY", "UNREADABLE", "", "R2D2"]
    content = "FILENAME,IDENTITY\n" + "".join(f"{i}.jpg,{label}\n" for i, label in enumerate(labels)) + "9.jpg,EVA\n"
    folder = put(written_name_train_v2=content)
    for i in range(len(labels)):
        Image.effect_noise((60, 16), 80).save(folder / f"{i}.jpg")
    findings = lint(load_samples(folder), Tokenizer.from_name("names"))
    assert findings["check"].value_counts().to_dict() == {
        "unusable file": 5, "label rewritten": 1, "not in the alphabet": 1
    }  # fmt: skip
    assert "'Zoé' is stored as 'ZOE'" in findings["detail"].tolist()
    assert "'2' (U+0032)" in findings["detail"].tolist()
    printed = capsys.readouterr().out
    assert "2    the label says EMPTY: nothing is written" in printed
    assert "1    no image of this name in the folders beside the CSV" in printed


@pytest.fixture
def real():
    folder = os.environ.get("OCRKIT_REAL_DATA")
    if not folder or not Path(folder, "names").is_dir():
        pytest.skip("OCRKIT_REAL_DATA does not name a folder with names/ in it")
    return Path(folder) / "names"


def test_real_names(real):
    samples = load_samples(real / "written_name_dev.csv")
    assert samples["problem"].value_counts().to_dict() == {
        "": 883, "the label says EMPTY: nothing is written": 6, "the label is empty": 3, "the label says UNREADABLE": 1
    }  # fmt: skip
    assert (samples["text"] != "").sum() == 883 and samples["split"].nunique() == 3
    findings = lint(samples, Tokenizer.from_name("names"), 64)
    assert set(findings["check"]) == {"unusable file"} and len(findings) == 10
