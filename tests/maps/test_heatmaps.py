"""Pictures of heat maps: what is drawn where, and every text shown as text."""

import re
from html import unescape

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import ocrkit as ok
from ocrkit.maps import cam, pictures


def test_a_notebook_shows_figures_before_pyplot_was_used(reader, plates):
    assert ok.ctc_frames(reader, plates.iloc[0])._repr_png_().startswith(b"\x89PNG")


def test_overlay_mixes_the_image_with_magma():
    image = np.full((4, 6, 3), 100, np.uint8)
    heat = np.zeros((4, 6))
    heat[0, 0], heat[3, 5] = 2.0, -7.0
    mixed = ok.overlay(image, heat)
    assert mixed.shape == image.shape and mixed.dtype == np.uint8
    assert mixed[0, 0].tolist() == [round(40 + 0.6 * v) for v in (251.64, 252.79, 191.25)]
    assert (mixed[3, 5] == mixed[1, 1]).all() and mixed[1, 1].max() < 45  # below 0 is as 0
    assert np.array_equal(ok.overlay(image, heat, alpha=0), image)
    assert ok.overlay(image[..., 0], np.ones((2, 3))).shape == (4, 6, 3)


def test_frames_under_the_image(reader, plates, found, monkeypatch):
    monkeypatch.setattr(pictures, "find_fonts", lambda text: (["DejaVu Sans"], [c for c in text if not c.isascii()]))
    top, below = ok.ctc_frames(reader, plates.iloc[0]).axes[:2]
    names = [t.get_text() for t in below.get_yticklabels()]
    assert names[0].startswith("[") and names[0].isascii() and names[1:7] == list(found.text[1:])
    assert names[-1] == "blank" and len(names) == 7 + 2 + 1
    assert [(b.get_x(), b.get_x() + b.get_width(), b.get_y()) for b in below.patches] == [
        (start, end, k) for k, (start, end) in enumerate(found.frames)
    ]
    shown = below.images[0].get_array()
    assert shown.shape == (10, 32) and shown.max() <= 1.0
    assert all(shown[k, start:end].min() > 0.3 for k, (start, end) in enumerate(found.frames))
    assert "[" in top.get_title() and "confidence" in top.get_title()
    label = ok.ctc_frames(reader, plates.iloc[0], text="京A1", others=0).axes[1]
    assert len(label.get_yticklabels()) == 4


@given(st.text("<>&\"'$ab京", min_size=1, max_size=6))
def test_every_text_is_escaped(text):
    n = len(text)
    image = np.zeros((8, 16, 3), np.uint8)
    frames, order = [(k, k + 1) for k in range(n)], list(range(n))
    found = cam.CharacterMaps(image, text, frames, np.ones((n, 8, 16)), "m", "l", order)
    page = str(ok.maps_html(found))
    strip = re.findall(r"<bdi[^<>]*>([^<>]*)</bdi>", page)
    assert "".join(map(unescape, strip)) == n * text
    assert set(re.findall(r"<(\w+)", page)) == {"div", "img", "bdi"}


def test_maps_as_html(found):
    assert str(ok.maps_html(found)).count("<img") == 7 and str(ok.maps_html(found, [2])).count("<img") == 1
    assert "no characters" in str(ok.maps_html(found, []))


def test_png_can_be_written(reader, plates, tmp_path):
    ok.ctc_frames(reader, plates.iloc[3]).savefig(tmp_path / "frames.png")
    assert np.asarray(Image.open(tmp_path / "frames.png")).std() > 10
