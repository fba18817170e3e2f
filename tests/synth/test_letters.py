"""Rendered Persian letters: boxes that hold the ink, fonts and layouts that never mix, real dates, COCO files."""

import json
import re
from copy import copy

import numpy as np
import pytest
from PIL import Image

from ocrkit.data.layouts.pages import FIELDS, load_pages
from ocrkit.data.platforms import COURSE
from ocrkit.synth import LETTER_LAYOUTS, render_letter, render_letters
from ocrkit.synth.joined import CHARACTERS, joined_faces, joined_ink
from ocrkit.synth.letter_scan import random_turn, turned
from ocrkit.synth.letter_sheet import EDGE, Print, Sheet
from ocrkit.synth.letter_text import fill, month_days, phrases, random_date, random_number, random_title
from ocrkit.synth.letters import OTHER_KINDS, compose
from ocrkit.synth.persian_faces import ALEF, DIGITS
from tools.atlases.__main__ import LETTER_PARTS, LETTERS, describe_letters
from tools.samples import write_letters

SMALL = (585, 414)
DATE = re.compile(rf"(?:[{DIGITS}]{{4}}|[{DIGITS}]{{2}})([/.-])[{DIGITS}]{{1,2}}\1[{DIGITS}]{{1,2}}"
                  rf"|[{DIGITS}]{{1,2}}([/.-])[{DIGITS}]{{1,2}}\2[{DIGITS}]{{4}}")  # fmt: skip


def ink_box(layer: np.ndarray) -> tuple[int, int, int, int]:
    y, x = np.nonzero(layer > EDGE)
    return int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1


def painted(sheet: Sheet, piece) -> np.ndarray:
    alone = copy(sheet)
    alone.pieces = [piece]
    return alone.paint()


# --- what letters say ----------------------------------------------------------------------------------


def test_months_are_as_long_as_the_calendar_says():
    # Leap years as published by the calendar center of the University of Tehran, and those around them.
    leap = {1342, 1346, 1350, 1354, 1358, 1362, 1366, 1370, 1375, 1379, 1383, 1387, 1391, 1395, 1399, 1403, 1408}
    assert {year for year in range(1339, 1411) if month_days(year, 12) == 30} == leap
    for year in (1402, 1403):
        assert sum(month_days(year, month) for month in range(1, 13)) == (366 if year in leap else 365)


def test_dates_are_real_days_in_all_styles():
    rng = np.random.default_rng(0)
    texts = [random_date(rng) for _ in range(3000)]
    styles = set()
    for text in texts:
        assert DATE.fullmatch(text), text
        numbers = [int(number) for number in re.split("[/.-]", text)]
        day_first = numbers[-1] > 31
        year, month, day = numbers[::-1] if day_first else numbers
        year += 0 if year > 100 else 1400 if year < 30 else 1300
        assert 1330 <= year <= 1410 and 1 <= month <= 12 and 1 <= day <= month_days(year, month), text
        styles.add((day_first, numbers[0] < 100, re.search("[/.-]", text)[0]))
    assert styles == {(d, short, s) for d, short in ((True, True), (False, True), (False, False)) for s in "/.-"}
    assert len(set(texts)) > 2500


def test_all_texts_can_be_drawn_and_say_no_digit_but_persian():
    rng = np.random.default_rng(1)
    lines = [fill(line, rng) for part in phrases().values() for line in part]
    lines += [random_number(rng) for _ in range(200)] + [random_title(rng) for _ in range(50)]
    assert not set("".join(lines)) - CHARACTERS
    assert not set("".join(lines)) & set("0123456789٠١٢٣٤٥٦٧٨٩")
    assert len(phrases()["sentence"]) + len(phrases()["first sentence"]) >= 60


# --- layouts and fonts ---------------------------------------------------------------------------------


def test_no_layout_and_no_face_is_in_two_splits():
    for a, b in (("train", "valid"), ("train", "test"), ("valid", "test")):
        assert not set(LETTER_LAYOUTS[a]) & set(LETTER_LAYOUTS[b])
        assert not set(joined_faces(a)) & set(joined_faces(b))
    for part in ("place", "arrangement", "frame"):  # tests join what training shows apart
        seen = {getattr(layout, part) for layout in LETTER_LAYOUTS["train"]}
        assert {getattr(layout, part) for layout in LETTER_LAYOUTS["test"]} <= seen


@pytest.mark.parametrize("split", LETTER_LAYOUTS)
def test_every_layout_draws_fields_that_stand_apart_on_the_page(split):
    for k, layout in enumerate(LETTER_LAYOUTS[split]):
        letter = render_letter([7, k], split, SMALL, layout=layout.name)
        assert letter.layout == layout.name and letter.face in joined_faces(split)
        assert letter.image.shape == SMALL and letter.image.dtype == np.uint8
        page = np.zeros(SMALL, int)
        for field in letter.fields:
            x0, y0, x1, y1 = field.box
            assert 0 <= x0 < x1 <= SMALL[1] and 0 <= y0 < y1 <= SMALL[0]
            page[y0:y1, x0:x1] += 1
        assert page.max(initial=1) == 1, layout.name
        assert letter.fields == sorted(letter.fields, key=lambda field: FIELDS.index(field.kind))
        assert {field.kind for field in letter.other} <= set(OTHER_KINDS)
        assert sum(field.kind == "label" for field in letter.other) >= len(letter.fields)


def test_fields_come_as_often_as_letters_have_them():
    _, table = render_letters(60, seed=4, size=(400, 300))
    kinds = [field.kind for fields in table.fields for field in fields]
    assert [kind for kind, least in zip(FIELDS, (48, 42, 38, 30)) if kinds.count(kind) < least] == []
    assert all(len({field.kind for field in fields}) == len(fields) for fields in table.fields)
    assert {field.kind for other in table.other for field in other} == set(OTHER_KINDS)
    dates = [field.text for fields in table.fields for field in fields if field.kind == "date"]
    assert all(DATE.fullmatch(text) for text in dates)


# --- boxes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1170, 827), (704, 512)])
def test_boxes_of_a_clean_page_are_those_of_its_ink(size):
    for seed in range(6):
        sheet = compose(np.random.default_rng(seed), "train", size)[0]
        letter = render_letter(seed, "train", size, degrade=False)
        found = {(field.kind, field.text): field.box for field in [*letter.fields, *letter.other]}
        for piece in sheet.pieces:
            if piece.kind in FIELDS:
                layer = painted(sheet, piece)
                box = found[piece.kind, piece.text]
                assert box == ink_box(layer)
                x0, y0, x1, y1 = box
                assert (255 - letter.image >= layer)[y0:y1, x0:x1].all()  # it is on the picture, where the box is


def test_boxes_of_a_turned_page_are_tight():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        sheet = compose(rng, "test", (1170, 827))[0]
        forward = random_turn(rng, sheet.size)
        letter = render_letter(seed, "test")
        assert letter.fields
        for field in letter.fields:
            (piece,) = [piece for piece in sheet.pieces if (piece.kind, piece.text) == (field.kind, field.text)]
            mask = ink_box(turned(painted(sheet, piece), forward))
            assert np.abs(np.subtract(field.box, mask)).max() <= 2, (seed, field)


def test_turns_are_small_and_of_both_hands():
    turns = [random_turn(np.random.default_rng(seed), (1170, 827)) for seed in range(200)]
    angles = np.degrees([np.arctan2(turn[1, 0], turn[0, 0]) for turn in turns])
    assert np.abs(angles).max() <= 1.51 and angles.min() < -0.5 and angles.max() > 0.5


def test_ink_of_a_field_is_its_text_in_the_face_of_the_letter():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        sheet, _ = compose(rng, "train", (1170, 827))
        for piece in sheet.pieces:
            if piece.kind == "date":
                ink = Image.fromarray(joined_ink(piece.text, sheet.print.value, arabic_digits=sheet.arabic))
                again = np.asarray(ink.resize(piece.ink.shape[::-1], Image.Resampling.HAMMING)).astype(float)
                assert np.corrcoef(again.ravel(), piece.ink.ravel())[0, 1] > 0.97
                assert not set(piece.text) & set("٠١٢٣٤٥٦٧٨٩")


def test_pages_of_all_sizes_are_the_same_letter():
    large, small = render_letter(3), render_letter(3, size=SMALL)
    assert [(f.kind, f.text) for f in large.fields] == [(f.kind, f.text) for f in small.fields]
    for a, b in zip(large.fields, small.fields):
        assert np.abs(np.array(a.box) / 2 - b.box).max() <= 2.5


def test_paper_is_light_and_ink_dark_and_clean_pages_are_straight():
    clean = render_letter(5, size=SMALL, degrade=False).image
    assert np.median(clean) == 255 and clean.min() < 30
    images, _ = render_letters(12, seed=6, size=SMALL)
    assert (np.median(images, axis=(1, 2)) > 170).all()
    assert (images.min(axis=(1, 2)) < 110).all()


def test_piece_over_the_edge_is_cut_and_one_beyond_it_has_no_box():
    face = joined_faces("test")[0]
    sheet = Sheet((300, 300), np.random.default_rng(0), Print(face, face, face, face, 10))
    for x in (0, -500):
        sheet.write("تاریخ", x, 500, 20, face, "label", "center")
    (field,) = sheet.fields(np.eye(2, 3))
    assert field.text == "تاریخ" and field.box[:3] == ink_box(sheet.paint())[:3] and field.box[0] == 0
    width = sheet.measure("تاریخ", face, ALEF)
    assert width == joined_ink("تاریخ", face).shape[1]


# --- many pages, files ---------------------------------------------------------------------------------


def test_same_seed_same_pixels():
    images, table = render_letters(5, seed=3, size=SMALL)
    again, part = render_letters(2, seed=3, size=SMALL, workers=2, first=3)
    assert images.shape == (5, *SMALL) and images.dtype == np.uint8
    assert np.array_equal(images[3:], again) and part.fields.tolist() == table.fields.tolist()[3:]
    assert list(table.columns) == ["face", "layout", "fields", "other", "split"]
    assert not np.array_equal(images, render_letters(5, seed=4, size=SMALL)[0])
    assert render_letters(0)[0].shape == (0, 1170, 827)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="no split is named 'dev'; there are: train, valid, test"):
        render_letter(0, "dev")
    with pytest.raises(ValueError, match="no layout is named 'upside down'; there are: left column, "):
        render_letter(0, layout="upside down")
    with pytest.raises(ValueError, match=r"size=\(100, 70\): a page needs at least 200 pixels"):
        render_letters(1, size=(100, 70))


def test_files_hold_what_was_drawn(tmp_path):
    table = write_letters(tmp_path, {"train": (2, 1), "test": (1, 2)})
    assert table.split.tolist() == ["train", "train", "test"]
    coco = json.loads((tmp_path / "train.json").read_text(encoding="utf-8"))
    assert [c["name"] for c in coco["categories"]] == [*FIELDS, *OTHER_KINDS]
    assert [c["id"] for c in coco["categories"]] == list(range(1, len(FIELDS + OTHER_KINDS) + 1))
    names = {c["id"]: c["name"] for c in coco["categories"]}
    assert len({a["id"] for a in coco["annotations"]}) == len(coco["annotations"])
    for row, page in zip(table.itertuples(), coco["images"]):
        with Image.open(tmp_path / page["file_name"]) as image:
            assert image.mode == "L" and image.size == (page["width"], page["height"]) == (827, 1170)
        assert row.image == str((tmp_path / page["file_name"]).resolve())
        boxes = [a for a in coco["annotations"] if a["image_id"] == page["id"]]
        assert all(a["area"] == a["bbox"][2] * a["bbox"][3] > 0 and a["iscrowd"] == 0 for a in boxes)
        read = [(names[a["category_id"]], a["text"], a["bbox"]) for a in boxes]
        assert read == [(kind, text, [x0, y0, x1 - x0, y1 - y0])
                        for kind, text, (x0, y0, x1, y1) in [*row.fields, *row.other]]  # fmt: skip
    pages = load_pages(tmp_path)
    assert sorted(pages.image) == sorted(table.image)
    for row in pages.merge(table[["image", "fields", "other"]], on="image").itertuples():
        assert row.fields_x == row.fields_y and row.other_x == row.other_y


def test_shipped_sample_is_what_the_command_writes_and_the_datasheet_says(tmp_path):
    table = write_letters(tmp_path, {split: (3, seed) for split, (_, seed) in LETTER_PARTS.items()})
    for row in table.itertuples():
        a, b = (np.asarray(Image.open(f)).astype(int) for f in
                (row.image, LETTERS / row.split / row.image.rsplit("/", 1)[-1].rsplit("\\", 1)[-1]))  # fmt: skip
        assert a.shape == b.shape and np.abs(a - b).mean() < 3  # another JPEG library may round otherwise
    datasheet = (COURSE / "data" / "README.md").read_text(encoding="utf-8")
    for split, (n, _) in LETTER_PARTS.items():
        again = json.loads((tmp_path / f"{split}.json").read_text(encoding="utf-8"))
        shipped = json.loads((LETTERS / f"{split}.json").read_text(encoding="utf-8"))
        assert len(shipped["images"]) == n and shipped["images"][:3] == again["images"]
        assert shipped["annotations"][: len(again["annotations"])] == again["annotations"]
        counts = [sum(a["category_id"] == k for a in shipped["annotations"]) for k in range(1, 5)]
        faces = {page["face"] for page in shipped["images"]}
        layouts = {page["layout"] for page in shipped["images"]}
        said = f"{split}: {n} pages, {len(faces)} faces, {len(layouts)} layouts; "
        assert said + ", ".join(f"{c} {kind}" for c, kind in zip(counts, FIELDS)) in datasheet
        assert layouts <= {layout.name for layout in LETTER_LAYOUTS[split]} and faces <= set(joined_faces(split))
    assert describe_letters(table).startswith("train: 3 pages, ")
    assert sum(f.stat().st_size for f in LETTERS.rglob("*") if f.is_file()) < 3_500_000
