"""The detectors of fields, their training, what they find, and how that is scored; on small drawn pages."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.ops import box_iou

import ocrkit as ok
from ocrkit.data.images import ImageError
from ocrkit.data.layouts.pages import FIELDS, PageField
from ocrkit.errors.intervals import wilson_interval
from ocrkit.tasks.letters import detector_models
from ocrkit.tasks.letters.detector import FieldDetector, Found, PackedPages, fit_page
from ocrkit.tasks.letters.detector_models import TextAnchors
from ocrkit.tasks.letters.detector_training import augment_pages, one_cycle, validate
from ocrkit.tasks.letters.scores import evaluate_fields, overlap, score_letters

SIZE = (128, 128)


@pytest.fixture(scope="module", autouse=True)
def small_pages():
    """Anchors as high as the values that are drawn here: 6 pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector_models, "ANCHOR_PAGE", SIZE[0] * 8 / 6)
        yield


def draw(rng, size=SIZE):
    """A page with a block of four values: a bar, a comb, a double line and a chequered bar, in any order."""
    page, fields, y = np.full(size, 255, np.uint8), [], 12 + int(rng.integers(0, 20))
    for kind in rng.permutation(FIELDS):
        x, width = int(rng.integers(10, 50)), int(rng.integers(16, 40))
        box = page[y : y + 6, x : x + width]
        if kind == "date":
            box[:] = 0
        elif kind == "number":
            box[:, ::3] = 0
        elif kind == "attachment":
            box[[0, 1, 4, 5]] = 0
        else:
            box[:3, :: 2 * 3] = box[3:, 3 :: 2 * 3] = box[:, 1] = box[:, -1] = 0
        fields.append(PageField(str(kind), "", (x, y, x + width, y + 6)))
        y += int(rng.integers(12, 24))
    return page, fields


@pytest.fixture(scope="module")
def pages():
    rng = np.random.default_rng(0)
    return pd.DataFrame([draw(rng) for _ in range(4)], columns=["image", "fields"])


@pytest.fixture(scope="module")
def untrained():
    return FieldDetector.create(image_size=SIZE, device="cpu")


@pytest.fixture(scope="module")
def trained(pages):
    detector = FieldDetector.create(image_size=SIZE, device="cpu")
    packed = detector.pack(pages)
    more = PackedPages(packed.images.repeat(15, 1, 1, 1), packed.boxes * 15, packed.labels * 15)
    history = ok.fit_detector(detector, more, packed, 6, 3e-3, batch_size=2, augment=False, amp="off")
    return detector, history


# --- the networks ---


def test_anchors_have_the_widths_and_the_height():
    anchors = TextAnchors((10.0, 30.0), 4.0)
    assert anchors.num_anchors_per_location() == [2]
    assert anchors.cell_anchors[0].tolist() == [[-5, -2, 5, 2], [-15, -2, 15, 2]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"architecture": "yolo"}, "no detector is named 'yolo'; there are: faster-rcnn"),
        ({"image_size": (100, 96)}, "both sides must be multiples of 32"),
        ({"kinds": ()}, "at least one kind of field"),
        ({"kinds": ("date", "date")}, "a kind of field is there twice: date, date"),
    ],
)
def test_settings_that_cannot_work(settings, words):
    with pytest.raises(ValueError, match=words):
        FieldDetector.create(device="cpu", **settings)


# --- pages in, boxes out ---


def test_pages_are_fitted_in_proportion():
    page = np.full((100, 50), 200, np.uint8)
    image, scale = fit_page(page, (64, 64))
    assert image.shape == (64, 64) and scale == 0.64 and (image == 200).all()
    wide, scale = fit_page(np.zeros((1, 5000), np.uint8), (64, 64))
    assert wide.shape == (64, 64) and scale == 64 / 5000


def test_pack_scales_the_boxes_with_the_page(untrained):
    page = np.full((256, 256), 255, np.uint8)
    table = pd.DataFrame({"image": [page], "fields": [[PageField("title", "", (20, 40, 60, 50))]]})
    packed = untrained.pack(table)
    assert packed.images.shape == (1, 1, *SIZE) and packed.labels[0].tolist() == [4]
    assert packed.boxes[0].tolist() == [[10, 20, 30, 25]]
    with pytest.raises(ValueError, match="has 256 x 256 pixels, and its boxes are for 827 x 1170"):
        untrained.pack(table.assign(width=827, height=1170))
    with pytest.raises(ValueError, match="row 0 has a field 'stamp'"):
        untrained.pack(pd.DataFrame({"image": [page], "fields": [[PageField("stamp", "", (1, 1, 2, 2))]]}))
    with pytest.raises(ImageError, match="there is no such file"):
        untrained.pack(pd.DataFrame({"image": ["/no/page.jpg"], "fields": [[]]}))


def test_a_few_pages_are_learned_by_heart(trained, pages):
    detector, history = trained
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0] / 4
    assert history["valid_recall"].max() == 1 and not detector.model.training
    scores = evaluate_fields(detector.detect(pages), pages).set_index("kind")
    assert scores.n["all"] == 16 and scores.recall["all"] == 1 and scores.precision["all"] == 1


def test_other_sizes_and_colors_give_boxes_of_the_page_as_it_was(trained, pages, tmp_path):
    detector, _ = trained
    page, box = pages["image"][0], {f.kind: f.box for f in pages["fields"][0]}
    large = page.repeat(3, axis=0).repeat(3, axis=1)
    Image.fromarray(np.stack([large] * 3, axis=2)).save(tmp_path / "page.png")
    for form in (large, str(tmp_path / "page.png"), [tmp_path / "page.png"], pd.DataFrame({"image": [large]})):
        found = detector.detect(form)
        assert len(found) == 4
        for row in found.itertuples():
            assert overlap(row.box, tuple(3 * value for value in box[row.kind])) > 0.5


def test_pages_with_nothing_on_them(trained):
    detector, _ = trained
    odd = [np.full((1, 1), 7, np.uint8), np.full((2, 3000), 255, np.uint8), np.full((1170, 827), 255, np.uint8)]
    found = detector.detect([*odd, np.zeros((300, 200), np.uint8)])
    assert found.empty and list(found) == ["page", "image", "kind", "box", "score"]
    assert detector.detect([]).empty and detector.detect(pd.DataFrame({"image": []})).empty


def test_bad_images_are_set_aside_with_the_reason(trained, pages, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    table = pd.DataFrame({"image": [str(tmp_path / "bad.png"), pages["image"][0], "/no/page.jpg"]}, index=[5, 6, 7])
    found = trained[0].detect(table, batch_size=1)
    assert set(found["page"]) == {6}
    problems = found.attrs["set_aside"]
    assert problems == {5: "is not an image that Pillow can read", 7: "there is no such file"}


@pytest.mark.parametrize("wrong", [7, [7], pd.DataFrame({"file": ["a"]})])
def test_what_is_no_page(untrained, wrong):
    with pytest.raises((TypeError, ValueError), match="image"):
        untrained.detect(wrong)


def test_a_page_has_each_kind_once_and_each_place_once(untrained, monkeypatch):
    boxes = torch.tensor([[0.0, 0, 40, 8], [1, 0, 40, 8], [50, 0, 90, 8], [0, 30, 40, 38], [0, 60, 9, 68]])
    result = {
        "boxes": boxes,
        "labels": torch.tensor([1, 2, 1, 2, 3]),
        "scores": torch.tensor([0.9, 0.8, 0.7, 0.6, 0.2]),
    }
    monkeypatch.setattr(untrained.model, "forward", lambda images: [result] * len(images))
    page = torch.zeros(1, 1, *SIZE, dtype=torch.uint8)
    (best,), (every,) = untrained.find(page), untrained.find(page, best_only=False)
    # The second box is a number at the place of a better date, the third a second date.
    assert [(f.kind, f.box[:2]) for f in best] == [("date", (0, 0)), ("number", (0, 30))]
    assert len(every) == 4 and len(untrained.find(page, 0.1, best_only=False)[0]) == 5


# --- files ---


def test_a_saved_detector_finds_the_same(trained, pages, tmp_path):
    detector, _ = trained
    detector.save(tmp_path / "a")
    again = ok.load_model(tmp_path / "a", device="cpu")
    assert isinstance(again, FieldDetector) and repr(again) == repr(detector)
    pd.testing.assert_frame_equal(again.detect(pages), detector.detect(pages))
    detector.save(tmp_path / "half", half=True)
    assert len(FieldDetector.load(tmp_path / "half", "cpu").detect(pages)) == 16


def test_files_that_do_not_belong_together(untrained, tmp_path, monkeypatch):
    config = untrained.save(tmp_path) / "config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps(facts | {"kinds": ["date", "number", "title", "attachment"]}))
    with pytest.raises(ValueError, match="different kinds of fields"):
        FieldDetector.load(tmp_path)
    config.write_text(json.dumps(facts))
    with monkeypatch.context() as other, pytest.raises(ValueError, match="does not fit the model in config.json"):
        other.setattr(detector_models, "STAGES", (16, 32, 64, 96, 64))
        FieldDetector.load(tmp_path)
    config.write_text(json.dumps({k: v for k, v in facts.items() if k != "kinds"}))
    with pytest.raises(ValueError, match="lacks kinds"):
        FieldDetector.load(tmp_path)
    with pytest.raises(ValueError, match="holds a FieldDetector, not a Recognizer"):
        ok.Recognizer.load(tmp_path)


# --- training ---


def test_augmented_boxes_stay_on_their_ink():
    torch.manual_seed(0)
    images = torch.full((12, 1, *SIZE), 255, dtype=torch.uint8)
    images[:, :, 60:70, 40:100] = 0
    boxes, labels = [torch.tensor([[40.0, 60, 100, 70]])] * 12, [torch.tensor([3])] * 12
    moved, new, kept = augment_pages(images, boxes, labels)
    assert moved.shape == images.shape and moved.min() >= 0 and moved.max() <= 255
    assert [k.tolist() for k in kept] == [[3]] * 12
    for page, (box,) in zip(moved[:, 0], new):
        dark = page < 128
        rows, columns = dark.any(1).nonzero().flatten(), dark.any(0).nonzero().flatten()
        ink = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        assert (torch.stack(ink) - box).abs().max() <= 1.0
    assert len({tuple(box[0].tolist()) for box in new}) == 12


def test_what_leaves_the_page_is_cut_or_dropped(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *shape: torch.zeros(shape[0] if len(shape) == 1 else shape))
    images = torch.zeros((1, 1, 100, 100), dtype=torch.uint8)
    boxes = torch.tensor([[0.0, 50, 4, 60], [0, 50, 40, 60], [50, 50, 90, 60]])
    _, (moved,), (labels,) = augment_pages(images, [boxes], [torch.tensor([1, 2, 3])])
    # All is scaled by 0.9 around the middle and moved by 4 pixels to the left and up: 0 comes to 1, 50 to 46.
    torch.testing.assert_close(moved, torch.tensor([[1.0, 46, 4.6, 55], [1, 46, 37, 55], [46, 46, 82, 55]]))
    monkeypatch.setattr(torch, "rand", lambda *shape: torch.ones(shape) / 2 if shape[-1] != 2 else torch.zeros(shape))
    wide = torch.tensor([[-9.0, 50, 4, 60], [-9, 50, 40, 60]])
    _, (moved,), (labels,) = augment_pages(images, [wide], [torch.tensor([1, 2])])
    assert labels.tolist() == [2] and moved[0, 0] == 0


def test_the_learning_rate_goes_up_and_down():
    rates = [one_cycle(k / 100) for k in range(101)]
    assert rates[0] == pytest.approx(1 / 25) and max(rates) == rates[25] == 1 and rates[-1] == pytest.approx(1 / 2500)
    assert rates[:26] == sorted(rates[:26]) and rates[25:] == sorted(rates[25:], reverse=True)


def test_the_same_seed_trains_the_same_and_ctrl_c_keeps_the_best(pages, capsys):
    def run(on_epoch=None):
        detector = FieldDetector.create(image_size=SIZE, device="cpu")
        packed = detector.pack(pages.head(2))
        history = ok.fit_detector(detector, packed, packed, 2, batch_size=2, amp="off", on_epoch=on_epoch)
        return detector.model.state_dict(), history["train_loss"].tolist()

    def stop(history):
        raise KeyboardInterrupt

    (first, losses), (second, again) = run(), run()
    assert losses == again and all(torch.equal(first[name], second[name]) for name in first)
    _, short = run(stop)
    assert len(short) == 1 and "the weights of the best epoch are kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: PackedPages(p.images[..., :64], p.boxes, p.labels), r"the detector takes uint8 \(N, 1, 128, 128\)"),
        (lambda p: PackedPages(p.images, p.boxes[:2], p.labels), "4 images, 2 boxes, 4 labels: one each a page"),
        (lambda p: PackedPages(p.images, p.boxes, [k + 1 for k in p.labels]), "a label that is not from 1 to 4"),
        (lambda p: PackedPages(p.images, [b[:, [2, 1, 0, 3]] for b in p.boxes], p.labels), "a box of no area"),
        (lambda p: PackedPages(p.images[:0], [], []), "0 images"),
    ],
)
def test_pages_that_cannot_be_learned(untrained, pages, change, words):
    packed = untrained.pack(pages)
    with pytest.raises(ValueError, match=words):
        ok.fit_detector(untrained, change(packed), packed)
    with pytest.raises(ValueError, match=words):
        ok.fit_detector(untrained, packed, change(packed))


def test_settings_of_training_that_cannot_work(untrained, pages):
    packed = untrained.pack(pages)
    with pytest.raises(ValueError, match="epochs=0, .* all must be above 0"):
        ok.fit_detector(untrained, packed, packed, epochs=0)
    empty = PackedPages(packed.images, [b[:0] for b in packed.boxes], [k[:0] for k in packed.labels])
    with pytest.raises(ValueError, match="have no field to find"):
        validate(untrained, empty)


# --- scores ---

BOX = st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 20)] * 2).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@given(BOX, BOX)
def test_overlap_is_that_of_torchvision(a, b):
    wanted = box_iou(torch.tensor([a]), torch.tensor([b])).item()
    assert overlap(a, b) == overlap(b, a) == pytest.approx(wanted)


def table(*rows):
    return pd.DataFrame(rows, columns=["page", "image", "kind", "box", "score"])


def test_fields_are_counted_kind_by_kind():
    fields = [[PageField("date", "۱", (0, 0, 10, 10)), PageField("title", "ب", (0, 50, 10, 60))], []]
    pages = pd.DataFrame({"image": ["a", "b"], "fields": fields}, index=[3, 8])
    found = table(
        (3, "a", "date", (0, 0, 10, 9), 0.4),
        (3, "a", "date", (0, 0, 10, 10), 0.9),  # chooses first; the other one has nothing left
        (3, "a", "title", (30, 50, 40, 60), 0.9),
        (8, "b", "number", (0, 0, 10, 10), 0.9),
    )
    scores = evaluate_fields(found, pages).set_index("kind")
    assert scores.index.tolist() == ["date", "number", "title", "all"]
    assert scores.n.tolist() == [1, 0, 1, 2] and scores.found.tolist() == [2, 1, 1, 4]
    assert scores.recall["date"] == 1 and scores.precision["date"] == 0.5 and scores.recall["title"] == 0
    assert np.isnan(scores.recall["number"]) and scores.recall["all"] == 0.5 and scores.precision["all"] == 0.25
    low, high = wilson_interval(1, 2)
    assert (scores.recall_low["all"], scores.recall_high["all"]) == (low, high)
    assert evaluate_fields(found, pages, 0.95).set_index("kind").recall["date"] == 1
    assert evaluate_fields(found.head(1), pages, 0.95).set_index("kind").recall["date"] == 0


def test_pages_are_told_apart_by_their_index():
    page = [PageField("date", "۱", (0, 0, 10, 10))]
    pages = pd.DataFrame({"image": ["a", "b"], "fields": [page, page]}, index=[0, 0])
    found = table((0, "a", "date", (0, 0, 10, 10), 0.9)).assign(text="۱")
    for score in (evaluate_fields, score_letters):
        with pytest.raises(ValueError, match=r"the index of the pages has 0 twice.*reset_index\(drop=True\)"):
            score(found, pages)
    pages.index = pd.MultiIndex.from_tuples([("x", 1), ("x", 2)])
    scores = score_letters(found.assign(page=[("x", 2)]), pages).set_index("kind")
    assert scores.n["all"] == 2 and scores.recall["all"] == scores.exact["all"] == 0.5


def test_texts_count_also_where_the_box_is_off():
    fields = [[PageField("date", "۱۴۰۲", (0, 0, 10, 10)), PageField("title", "آب", (0, 50, 10, 60))]]
    pages = pd.DataFrame({"image": ["a"], "fields": fields})
    found = table(
        (0, "a", "date", (7, 0, 17, 10), 0.9), (0, "a", "title", (0, 50, 10, 60), 0.9), (0, "a", "number", None, 0)
    )
    # The same word in two code points for its first letter.
    scores = score_letters(found.assign(text=["۱۴۰۲", "ا\u0653ب", ""]), pages).set_index("kind")
    assert scores.recall[["date", "title", "all"]].tolist() == [0, 1, 0.5]
    assert scores.exact[["date", "title", "all"]].tolist() == [1, 1, 1]
    scores = score_letters(found.assign(text=["۱۴۰۳", "", ""]), pages).set_index("kind")
    assert scores.exact["all"] == 0 and scores.exact_high["all"] == wilson_interval(0, 2)[1]


def test_found_fields_are_plain_tuples():
    assert Found("date", (0, 0, 1, 1), 0.5) == ("date", (0, 0, 1, 1), 0.5)
