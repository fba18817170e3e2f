"""Rendered Persian words and dates: pixels that hang on the seed, splits that share no word and no font."""

import re
import unicodedata

import numpy as np
import pytest

import ocrkit as ok
from ocrkit.synth import persian_words, render_crop
from ocrkit.synth.joined import BOTH, CHARACTERS, joined_faces
from ocrkit.synth.letter_text import phrases
from ocrkit.synth.persian_faces import SPLITS
from ocrkit.synth.store import RENDERERS, rendered_store
from ocrkit.synth.words import LIST
from ocrkit.tasks.letters import dates
from ocrkit.text.alphabets import ALPHABETS, PERSIAN_LETTERS
from ocrkit.text.tokenizer import Tokenizer, min_steps
from ocrkit.training.recipe import Recipe

RENDER = {"words": ok.render_words, "dates": ok.render_dates}


def test_words_are_parted_and_can_be_written():
    words = {split: persian_words(split) for split in SPLITS}
    assert len(words["train"]) > 1500 and min(len(words["valid"]), len(words["test"])) > 150
    together = sorted(w for part in words.values() for w in part)
    assert together == LIST.read_text(encoding="utf-8").split() == sorted(set(together))
    for word in together:
        assert set(word) <= set(PERSIAN_LETTERS + "\u200c") and unicodedata.is_normalized("NFC", word), word
        # After a letter that never joins, nobody sees a ZWNJ.
        assert all(a in BOTH for a, b in zip(word, word[1:]) if b == "\u200c") and word[-1] != "\u200c", word
    assert set("".join(words["train"])) == set(PERSIAN_LETTERS + "\u200c") <= CHARACTERS
    with pytest.raises(ValueError, match="no split is named 'dev'; there are: train, valid, test"):
        persian_words("dev")


@pytest.mark.parametrize("render", RENDER.values(), ids=RENDER)
def test_pictures_hang_on_seed_and_number_alone(render):
    images, table = render(6, seed=3)
    assert images.shape == (6, 32, 160, 3) and images.dtype == np.uint8 and table.split.unique().tolist() == ["train"]
    again, rows = render(4, seed=3, first=2)
    assert np.array_equal(images[2:], again) and table.text[2:].tolist() == rows.text.tolist()
    both, _ = render(6, seed=3, workers=2)
    assert np.array_equal(images, both)
    assert render(6, seed=4)[1].text.tolist() != table.text.tolist()
    own, named = render(6, 3, None)
    assert len({image.shape for image in own}) > 3 and named.equals(table)
    assert all(image.shape[0] >= 8 and image.shape[2] == 3 and np.ptp(image) > 40 for image in own)
    assert render(0)[0].shape == (0, 32, 160, 3) and list(render(0)[1]) == ["text", "face", "split"]


def test_texts_are_those_that_the_readers_write():
    for split in SPLITS:
        _, words = ok.render_words(150, 1, None, split=split)
        assert set("".join(words.text)) <= set(ALPHABETS["persian"]) and set(words.face) <= set(joined_faces(split))
        tokenizer = Tokenizer.from_name("persian")
        assert all(tokenizer.decode(tokenizer.encode(text)) == text for text in words.text)
        assert max(min_steps(tokenizer.encode(text)) for text in words.text) <= 40  # those of a picture 160 wide


def test_words_of_other_splits_are_unseen():
    of_fields = set(" ".join(phrases()["attachment"]).split())  # what fields say is the same everywhere
    for split in SPLITS:
        texts = ok.render_words(200, 5, None, split=split)[1].text
        words = set(re.findall(f"[{PERSIAN_LETTERS}\u200c]{{2,}}", " ".join(texts))) - of_fields
        known = words & set(persian_words(split))
        assert len(known) > 90 and (words == known) == (split != "train")  # for training, some are invented


def test_dates_are_days_of_the_calendar():
    _, table = ok.render_dates(300, 2, None)
    assert set("".join(table.text)) <= set(ALPHABETS["persian-dates"]) and table.text.nunique() > 290
    years = []
    for text in table.text:
        orders = [order for order in ("ymd", "dmy") if _is_day(text, order)]
        assert orders, text
        years.append(dates.parse_jalali(text, orders[0]).year)
    assert {text[-1 - text[::-1].index(s)] for s in "/-." for text in table.text if s in text} == set("/-.")
    assert min(years) < 1345 and any(len(text) == 8 for text in table.text)


def _is_day(text: str, order: str) -> bool:
    try:
        return bool(dates.parse_jalali(text, order))
    except ValueError:
        return False


def test_a_crop_shows_its_text():
    text, face = "۱۴۰۲/۰۵/۱۷", "Vazirmatn-Bold"
    image = render_crop(text, face, 1)
    assert np.array_equal(image, render_crop(text, face, 1)) and not np.array_equal(image, render_crop(text, face, 2))
    dark = (image[..., 0] < 128).any(axis=0)
    assert dark.mean() > 0.4 and image.shape[1] > 3 * image.shape[0]
    with pytest.raises(ValueError, match="no joined face is named 'Nazanin'"):
        render_crop(text, "Nazanin")
    with pytest.raises(ValueError, match="'Fax 12' has .*'F'"):
        render_crop("Fax 12", face)


@pytest.mark.parametrize("render", RENDER.values(), ids=RENDER)
def test_unknown_splits_are_refused(render):
    with pytest.raises(ValueError, match="no split is named 'dev'; there are: train, valid, test"):
        render(3, split="dev")


@pytest.mark.parametrize("name", ["persian-words", "persian-dates"])
def test_stores_hold_them(name, tmp_path):
    assert Recipe(renderer=name, rendered=10).renderer in RENDERERS
    packed = rendered_store(5, 1, tmp_path / "store", (32, 160), "L", name, "pad", split="valid")
    assert packed.images.shape == (5, 1, 32, 160) and packed.samples.face.isin(joined_faces("valid")).all()
