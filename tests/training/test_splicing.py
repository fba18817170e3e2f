"""Splicing: bounds between letters, words out of pieces, and nothing where a letter is missing."""

import numpy as np
import pandas as pd
import pytest
import torch

from ocrkit.reader.recognizer import Recognizer
from ocrkit.text.words import read_counts
from ocrkit.training.splicing import Cut, Splicer, cut_letters, splice_words

SHADES = {"A": 10, "B": 60, "C": 110}


def word(text, width=200, height=30):
    """Each letter is a block of its own shade, 10 px wide, 6 px apart, from column 20 on."""
    image = np.full((height, width), 255, np.uint8)
    bounds = [17]
    for k, c in enumerate(text):
        image[8:22, 20 + 16 * k : 30 + 16 * k] = SHADES[c]
        bounds.append(33 + 16 * k)
    return Cut(image, text, bounds)


def spell(image):
    """The text of such an image, by the shades of its blocks."""
    row = image[image.shape[0] // 2]
    starts = np.flatnonzero((row[1:] < 200) & (row[:-1] >= 200)) + 1
    shades = {v: k for k, v in SHADES.items()}
    return "".join(shades[int(row[x])] for x in starts)


def test_a_word_is_made_of_pieces_of_others():
    splicer = Splicer([word("ABC"), word("CA"), word("BB", height=34)], {"CAB": 9, "ABBA": 4, "BACA": 1})
    rng = np.random.default_rng(0)
    made = [splicer.splice(rng) for _ in range(60)]
    assert {text for text, _ in made} == {"CAB", "ABBA", "BACA"}
    for text, image in made:
        assert image.dtype == np.uint8 and image.shape in {(30, 200), (34, 200)}
        assert spell(image) == text


def test_words_without_all_letters_or_room_are_drawn_anew():
    splicer = Splicer([word("AB", width=70)], {"ABC": 100, "AB": 1, "ABABABAB": 100})
    assert {splicer.splice(np.random.default_rng(i))[0] for i in range(20)} == {"AB"}
    with pytest.raises(ValueError, match="shorter words"):
        Splicer([word("AB", width=70)], {"ABABABAB": 1}).splice(np.random.default_rng(0))
    with pytest.raises(ValueError, match="cannot make any"):
        Splicer([word("AB")], {"C": 1})
    with pytest.raises(ValueError, match="0 cut images"):
        Splicer([], {"AB": 1})


class Peaks(Recognizer):
    """Sees each block where it is: aligns as a good model would."""

    def logits(self, images, batch_size=64):
        logits = torch.zeros(self.model.time_steps, len(images), self.model.num_classes)
        logits[..., 0] = 5.0
        for i, image in enumerate(images[:, 0].numpy()):
            row = image[image.shape[0] // 2]
            for t in range(self.model.time_steps):
                shade = int(row[min(len(row) - 1, 4 * t + 2)])
                if shade in SHADES.values():
                    logits[t, i, self.tokenizer.encode("ABC")[list(SHADES.values()).index(shade)]] = 10.0
        return logits


@pytest.fixture(scope="module")
def reader():
    made = Recognizer.create("names", image_size=(32, 256), mode="L", device="cpu", resize="pad")
    return Peaks(made.model, made.tokenizer, "L", "cpu", "pad")


def test_bounds_stand_in_the_gaps(reader):
    cut = word("ABCA")
    table = pd.DataFrame({"image": [cut.image, cut.image], "text": ["ABCA", ""], "split": "train"})
    (found,) = cut_letters(reader, table)
    assert found.text == "ABCA" and len(found.bounds) == 5
    for bound, k in zip(found.bounds[1:-1], range(3)):
        assert 30 + 16 * k <= bound < 36 + 16 * k
    assert found.bounds[0] < 20 and found.bounds[-1] >= 78


def test_splice_words_gives_a_samples_table(reader):
    rows = pd.DataFrame({"image": [word(t).image for t in ("ABC", "CAB")], "text": ["ABC", "CAB"], "split": "train"})
    made = splice_words(reader, rows, {"BAC": 2, "CCC": 1}, 12, seed=3)
    assert made.columns.tolist() == ["image", "text", "split"] and set(made["text"]) == {"BAC", "CCC"}
    assert [spell(image) for image in made["image"]] == made["text"].tolist()
    again = splice_words(reader, rows, {"BAC": 2, "CCC": 1}, 12, seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(made["image"], again["image"]))


def test_counts_are_read_as_they_are(tmp_path):
    path = tmp_path / "names.tsv"
    path.write_text("name\tcount\nNULL\t3\nNA\t2\nNA\t1\nLE GALL\t5\n", encoding="utf-8")
    assert read_counts(path) == {"NULL": 3, "NA": 3, "LE GALL": 5}
    path.write_text("name\tcount\nLEA 4\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2 of .*'LEA 4'"):
        read_counts(path)
    path.write_text("name\tcount\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no names"):
        read_counts(path)
