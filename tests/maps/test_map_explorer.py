"""The explorer by its choices and its widgets, and the button of the error browser."""

import sys

import pandas as pd
import pytest

import ocrkit as ok
from ocrkit.errors.gallery import Gallery
from ocrkit.maps.explorer import MapExplorer, map_button
from ocrkit.text.edits import operations

HOSTILE = '<img src=x onerror="alert(1)">'


def test_explorer_chooses(reader, plates):
    explorer = MapExplorer(reader, plates)
    assert explorer.maps.method == "hires_cam" and explorer.layer == "features.16"
    assert explorer.html().count("<img") == len(explorer.text) == 7
    explorer.choose(character=3, method="grad_cam", layer="lstm")
    assert explorer.html().count("<img") == 1 and "grad_cam of lstm" in explorer.html()
    assert explorer.maps is explorer.maps and explorer.maps.layer == "lstm"
    assert (
        explorer.choose(image=1).character == "all" and repr(explorer) == "MapExplorer(image 1 of 4, grad_cam of lstm)"
    )
    for wrong in ({"image": 4}, {"layer": "x"}, {"method": "x"}, {"character": 8}, {"image": 0, "character": 7}):
        with pytest.raises(ValueError, match="there is no"):
            explorer.choose(**wrong)
        assert (explorer.image, explorer.layer, explorer.method, explorer.character) == (1, "lstm", "grad_cam", "all")
    with pytest.raises(ValueError, match="at least one row"):
        MapExplorer(reader, plates.head(0))


def test_explorer_widgets(reader, plates):
    pytest.importorskip("ipywidgets")
    explorer = MapExplorer(reader, plates.assign(text=[HOSTILE, *plates["text"][1:]]))
    row, picture = explorer.view.children
    image, layer, method, character = row.children
    assert HOSTILE in image.options[0][0] and HOSTILE not in picture.value  # the field shows text, never HTML
    character.value = 2
    assert picture.value.count("<img") == 1
    method.value, layer.value = "activation", "features.2"
    assert (explorer.character, character.value) == (2, 2) and "activation of features.2" in picture.value
    image.value = 1
    assert character.value == "all" and len(character.options) == 1 + len(explorer.text)
    assert picture.value == explorer.html() and picture.value.count("<img") == len(explorer.text)


def test_explorer_shows_why_there_are_no_maps(reader, plates, tmp_path):
    (tmp_path / "<b>.png").write_bytes(b"no image")
    explorer = MapExplorer(reader, pd.DataFrame({"image": [str(tmp_path / "<b>.png"), plates["image"][0]]}))
    assert "&lt;b&gt;.png" in explorer.html() and "<b>" not in explorer.html() and explorer.text == ""
    assert explorer.choose(image=1).text == plates["text"][0]


def test_explorer_stands_still_without_widgets(reader, plates, monkeypatch):
    bundle = MapExplorer(reader, plates)._repr_mimebundle_()
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} <= bundle.keys()
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    bundle = MapExplorer(reader, plates)._repr_mimebundle_()
    assert bundle.keys() == {"text/plain", "text/html"} and "data:image/jpeg" in bundle["text/html"]


def row(plates, text, prediction):
    return pd.Series({**plates.iloc[0], "text": text, "prediction": prediction})


@pytest.mark.parametrize(
    ("label", "read", "note", "pictures", "bold"),
    [
        ("京C24G3E", "京C24G8E", "3 was read as 8: what speaks for 8", 1, "8"),
        ("京C24G3", "京C24G3E", "E is not in the label", 1, "E"),
        ("京C24G3E", "京C24GE", "3 was not read", 1, "3"),
        ("京C24G3E", "京C24G3E", "read right", 7, "京"),
        ("京C24G3E", "", "京 was not read", 1, "京"),
    ],
)
def test_the_button_shows_the_first_wrong_character(reader, plates, label, read, note, pictures, bold):
    shown = map_button(reader)(row(plates, label, read))
    assert isinstance(shown, Gallery) and note in str(shown) and str(shown).count("<img") == pictures
    assert f'font-weight:700">{bold}</bdi>' in str(shown)


def test_the_button_says_what_it_cannot_show(reader, plates, tmp_path):
    show = map_button(reader)
    page = str(show(row(plates, HOSTILE, "京C24G3E")))
    assert "&lt;img src=x" in page and "<img src=x" not in page
    missing = row(plates, "", "")
    assert "no characters" in str(show(missing))
    missing["image"] = str(tmp_path / "<i>none")
    assert "no such file" in str(show(missing)) and "<i>none" not in str(show(missing))
    assert "not in the alphabet" in str(show(row(plates, "京C24G3ä", "京C24G3")))


def test_the_error_browser_has_the_button(reader, plates):
    pytest.importorskip("ipywidgets")
    results = reader.read(plates.head(1)).assign(text="京C24G8E")
    results = results.assign(operations=[operations(t, p) for t, p in zip(results["text"], results["prediction"])])
    shown = []
    button = map_button(reader)
    browser = ok.ErrorBrowser(results, marks=None, buttons={"map": lambda r: shown.append(button(r))})
    browser.view._card_button[0].click()
    browser.view.own[0].click()
    assert len(shown) == 1 and "8 was read as 3" in str(shown[0])
