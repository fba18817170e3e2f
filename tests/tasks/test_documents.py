"""Letters: crops, the reader of fields with readers that say what they are told, files, and the command line."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import ocrkit as ok
from ocrkit.__main__ import main
from ocrkit.data.layouts.pages import PageField
from ocrkit.tasks.letters.detector import FieldDetector, Found
from ocrkit.tasks.letters.reader import DATE_ENDS, MARGIN, LetterReader, crop_field, day_decode
from ocrkit.text.tokenizer import Tokenizer

PAGE = np.full((300, 200), 255, np.uint8)
#: What the detector is made to find, in pixels of its own size; the page is brought to that by 96 / 300.
SCALE = 96 / 300
FOUND = [Found("date", (10, 10, 30, 16), 0.9), Found("title", (8, 40, 50, 47), 0.8)]


class Says:
    """Stands in for a recognizer: gives one text after the other and keeps what it was shown."""

    tokenizer = Tokenizer.from_name("persian-dates")

    def __init__(self, *texts):
        self.texts, self.seen = list(texts), []

    def read(self, images, decoder=None):
        self.seen += images
        texts = [self.texts.pop(0) for _ in images]
        return pd.DataFrame({"prediction": texts, "confidence": [0.75] * len(texts)})


@pytest.fixture
def detector(monkeypatch):
    """Finds `FOUND` on pages that are not all white."""
    detector = FieldDetector.create(image_size=(96, 96), device="cpu")
    found = lambda images, *_: [FOUND if (page < 128).any() else [] for page in images]  # noqa: E731
    monkeypatch.setattr(detector, "find", found)
    return detector


@pytest.fixture
def page():
    page = PAGE.copy()
    page[100:140] = 0
    return page


def test_a_day_wins_over_a_likelier_text_that_is_none():
    tokenizer = Tokenizer.from_name("persian-dates")
    texts = {"۱۴۰۲/۱/۳۱": 0.3, "۱۴۰۲/۱/۳۹": 0.6}  # Farvardin has 31 days
    steps = [dict.fromkeys(range(tokenizer.num_classes), 1e-6) for _ in range(9)]
    for text, p in texts.items():
        for t, code in enumerate(tokenizer.encode(text)):
            steps[t][code] += p
    logits = torch.tensor([[*step.values()] for step in steps])[:, None].log()
    assert ok.beam_decode(logits, tokenizer)[0].text == "۱۴۰۲/۱/۳۹"
    choice = day_decode(logits, tokenizer, order="ymd")[0]
    assert (choice.text, choice.runner_up) == ("۱۴۰۲/۱/۳۱", "۱۴۰۲/۱/۳۹")
    assert choice.margin == pytest.approx(np.log(0.3 / 0.6 / 0.02), rel=1e-3)
    sure = torch.where(logits > np.log(0.5), logits + 9, logits)
    assert day_decode(sure, tokenizer)[0].text == "۱۴۰۲/۱/۳۹"  # what stands there for certain is read, day or not


def recognizers():
    return [ok.Recognizer.create("digits", image_size=(32, 64), mode="L", device="cpu", seed=k) for k in (1, 2)]


# --- crops ---


def test_a_crop_has_a_margin_and_ends_at_the_page():
    page = np.arange(100 * 80, dtype=np.int64).reshape(100, 80)
    assert (crop_field(page, (20, 30, 50, 40), 0.3) == page[27:43, 17:53]).all()
    assert (crop_field(page, (20.4, 30.6, 49.6, 39.2), 0) == page[30:40, 20:50]).all()
    assert (crop_field(page, (20, 30, 50, 40), 0.3, 0.6) == page[27:43, 14:56]).all()
    assert (crop_field(page, (0, 0, 80, 100), 0.5) == page).all()
    assert crop_field(np.zeros((9, 9, 3), np.uint8), (2, 2, 5, 4), 0).shape == (2, 3, 3)


@pytest.mark.parametrize("box", [(5, 5, 5, 5), (-9, -9, -2, -2), (200, 300, 210, 310)])
def test_a_crop_is_never_empty(box):
    assert crop_field(PAGE, box).size > 0


# --- reading ---


def test_fields_are_read_by_their_readers(detector, page):
    dates, texts = Says("۱۴۰۲/۰۵/۱۷"), Says("موضوع نامه")
    results = LetterReader(detector, dates, texts).read(page)
    assert results["kind"].tolist() == ["date", "number", "attachment", "title"]
    date, number, _, title = results.to_dict("records")
    assert (date["text"], date["iso"], date["confidence"], date["score"]) == ("۱۴۰۲/۰۵/۱۷", "2023-08-08", 0.75, 0.9)
    assert date["box"] == pytest.approx([value / SCALE for value in FOUND[0].box])
    assert (title["text"], title["iso"], title["problem"]) == ("موضوع نامه", "", "")
    assert (number["text"], number["box"], number["problem"]) == ("", None, "no number found")
    assert (dates.seen[0] == crop_field(page, date["box"], MARGIN, DATE_ENDS)).all() and (
        texts.seen[0] == crop_field(page, title["box"])
    ).all()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("۱۴۰۲/۱۳/۱۷", "there is no month 13"),
        ("۱۴۰۲/۰۵", "has 2 numbers"),
        ("۰۲/۰۵/۱۷", "is ambiguous"),
        ("", "nothing could be read in the box"),
    ],
)
def test_why_there_is_no_day(detector, page, text, problem):
    row = LetterReader(detector, Says(text), Says("")).read(page).iloc[0]
    assert row["text"] == text and row["iso"] == "" and problem in row["problem"]


def test_the_order_of_dates_can_be_said(detector, page):
    reader = LetterReader(detector, Says("۰۲/۰۵/۱۷"), Says(""), date_order="ymd")
    assert reader.read(page)["iso"][0] == "2023-08-08"
    with pytest.raises(ValueError, match="date_order='mdy': it must be one of auto, ymd, dmy"):
        LetterReader(detector, None, None, "mdy")


def test_a_place_that_gives_a_day_is_the_date(detector, page, monkeypatch):
    high, low = (10.0, 10.0, 50.0, 20.0), (10.0, 30.0, 50.0, 40.0)
    both = [Found("date", high, 0.8), Found("number", low, 0.5), Found("date", low, 0.4), Found("number", high, 0.1)]
    monkeypatch.setattr(detector, "find", lambda images, *_: [both])
    results = LetterReader(detector, Says("۹۸-۱۲۳", "۱۴۰۲/۰۵/۱۷"), Says("۹۸-۱۲۳")).read(page).set_index("kind")
    assert results.loc["date", "iso"] == "2023-08-08" and results.loc["date", "score"] == 0.4
    assert results.loc["number", "text"] == "۹۸-۱۲۳" and results.loc["number", "score"] == pytest.approx(0.9)
    assert results.loc["number", "box"][1] < results.loc["date", "box"][1]
    assert results.loc["title", "problem"] == "no title found"


def test_without_a_day_the_detector_decides(detector, page, monkeypatch):
    boxes = [Found("date", (10.0, 10.0, 50.0, 20.0), 0.6), Found("date", (10.0, 30.0, 50.0, 40.0), 0.2)]
    monkeypatch.setattr(detector, "find", lambda images, *_: [boxes])
    row = LetterReader(detector, Says("۱۴۰۲/۱۳/۰۱", "۹"), Says()).read(page).iloc[0]
    assert (row["text"], row["score"], row["iso"]) == ("۱۴۰۲/۱۳/۰۱", 0.6, "") and "no month 13" in row["problem"]
    unsure = LetterReader(detector, Says("۱۴۰۲/۱۳/۰۱", "۹"), Says()).read(page, min_score=0.7).iloc[0]
    assert unsure["problem"] == "no date found" and unsure["box"] is None


def test_pages_of_all_kinds_and_those_that_cannot_be_read(detector, page, tmp_path):
    Image.fromarray(np.stack([page] * 3, axis=2)).save(tmp_path / "color.png")
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    images = [PAGE, str(tmp_path / "bad.jpg"), str(tmp_path / "color.png"), np.zeros((1, 1), np.uint8) + 255]
    table = pd.DataFrame({"image": pd.Series(images, dtype=object, index=[4, 5, 6, 7])})
    results = LetterReader(detector, Says("۱۴۰۲/۰۵/۱۷"), Says("الف")).read(table, batch_size=2)
    assert results.groupby("page").size().to_dict() == {4: 4, 5: 4, 6: 4, 7: 4}
    assert set(results.loc[results["page"] == 5, "error"]) == {"is not an image that Pillow can read"}
    assert results.loc[results["page"].isin([4, 7]), "problem"].str.contains("found").all()
    assert results.loc[results["page"] == 6, "text"].tolist() == ["۱۴۰۲/۰۵/۱۷", "", "", "الف"]
    assert LetterReader(detector, Says(), Says()).read([]).empty


def test_real_readers_take_the_crops(detector, page):
    results = LetterReader(detector, *recognizers()).read([page, page])
    assert len(results) == 8 and results["text"].map(type).eq(str).all()
    assert results["confidence"].between(0, 1).all()


# --- files ---


@pytest.fixture
def saved(tmp_path):
    detector = FieldDetector.create(image_size=(96, 96), device="cpu")
    return LetterReader(detector, *recognizers(), date_order="ymd").save(tmp_path / "letters")


def test_a_saved_reader_comes_back(saved):
    reader = ok.load_model(saved, "cpu")
    assert isinstance(reader, ok.LetterReader) and reader.date_order == "ymd"
    dates, texts = recognizers()
    for part, same, other in ((reader.date_reader, dates, texts), (reader.text_reader, texts, dates)):
        weights = part.model.state_dict()
        assert all(t.equal(weights[name]) for name, t in same.model.state_dict().items())
        assert not all(t.equal(weights[name]) for name, t in other.model.state_dict().items())
    # Each part is a model folder by itself.
    assert isinstance(ok.load_model(saved / "detector", "cpu"), FieldDetector)


def test_a_folder_with_a_part_missing(saved):
    with pytest.raises(ValueError, match="holds a LetterReader, not a FieldDetector"):
        FieldDetector.load(saved)
    shutil.rmtree(saved / "texts")
    with pytest.raises(FileNotFoundError, match="has no model in texts/: the model folder is not complete"):
        LetterReader.load(saved)


# --- the command line ---


@pytest.fixture
def on_command(detector, page, tmp_path, monkeypatch):
    """The command line finds a reader that reads the one page of a COCO set, and the folder of that set."""
    (tmp_path / "test").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(page).save(tmp_path / "test" / name)
    boxes = [[v / SCALE for v in (x0, y0, x1 - x0, y1 - y0)] for _, (x0, y0, x1, y1), _ in FOUND]
    texts = zip(boxes, ("۱۴۰۲/۰۵/۱۷", "الف"), (1, 2))
    content = {
        "images": [
            {"id": k, "file_name": name, "width": 200, "height": 300} for k, name in enumerate(("a.png", "b.png"))
        ],
        "annotations": [{"image_id": k, "category_id": c, "bbox": b, "text": t} for b, t, c in texts for k in (0, 1)],
        "categories": [{"id": 1, "name": "date"}, {"id": 2, "name": "title"}],
    }
    (tmp_path / "test.json").write_text(json.dumps(content), encoding="utf-8")
    reader = LetterReader(detector, Says("۱۴۰۲/۰۵/۱۷", "۱۴۰۲/۱۳/۱۷"), Says("الف", "الف"))
    monkeypatch.setattr("ocrkit.tasks.load.load_model", lambda where: detector if where == "boxes" else reader)
    return tmp_path


def test_read_prints_an_object_a_page(on_command, capsys):
    images = [str(on_command / "test" / name) for name in ("a.png", "none.png", "b.png")]
    assert main(["read", "letters", *images]) == 1
    out, err = capsys.readouterr()
    first, bad, second = map(json.loads, out.splitlines())
    date = first["fields"]["date"]
    assert first["image"] == images[0] and first["fields"]["number"] is None
    assert (date["text"], date["iso"], date["score"]) == ("۱۴۰۲/۰۵/۱۷", "2023-08-08", 0.9) and "problem" not in date
    assert date["box"] == pytest.approx([v / SCALE for v in FOUND[0].box], abs=0.1)
    assert first["fields"]["title"].keys() == {"text", "confidence", "box", "score"}
    assert second["fields"]["date"]["iso"] is None and "no month 13" in second["fields"]["date"]["problem"]
    assert bad == {"image": images[1], "error": "there is no such file"} and images[1] in err


def test_evaluate_measures_pages(on_command, capsys, tmp_path):
    out = str(tmp_path / "table.csv")
    assert main(["evaluate", "letters", str(on_command), "--split", "test", "--json", "--out", out]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["n"], facts["set_aside"], facts["split"]) == (2, 0, "test")
    assert facts["fields"]["date"]["recall"] == 1 and facts["fields"]["date"]["exact"] == 0.5
    assert facts["fields"]["title"]["exact"] == 1 and facts["fields"]["all"]["n"] == 4
    assert len(pd.read_csv(out)) == 8


def test_evaluate_measures_a_detector_alone(on_command, capsys):
    (on_command / "test" / "b.png").write_bytes(b"no image")
    assert main(["evaluate", "boxes", str(on_command), "--json"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert facts["n"] == 1 and facts["set_aside"] == 1 and facts["fields"]["all"]["recall"] == 1 and "b.png" in err
    assert main(["evaluate", "boxes", str(on_command)]) == 0
    assert "precision" in capsys.readouterr().out
    assert main(["read", "boxes", "a.png"]) == 2
    assert "finds fields and reads no text" in capsys.readouterr().err


def test_page_fields_of_shipped_letters_lie_on_their_ink():
    pages = ok.load_pages("letters")
    assert set(pages["split"]) == {"train", "test"} and len(pages) == 60
    for row in pages.head(5).itertuples():
        page = ok.read_image(row.image, "L")
        for field in row.fields:
            assert isinstance(field, PageField) and field.text
            crop = crop_field(page, field.box, 0)
            assert crop.min() < np.median(page) - 60
