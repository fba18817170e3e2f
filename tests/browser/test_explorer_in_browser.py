"""The map explorer and the error browser's map button as a person uses them: JupyterLab and Chromium, both real."""

import re

import pytest

from tests.browser import lab

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "all is there")

CODE = """import ocrkit as ok
reader = ok.Recognizer.load("plates")
results = reader.read(ok.load_samples("plates", split="test"))"""
PICTURES = ".widget-vbox .widget-html-content img"


def test_choose_and_see(tmp_path, shots):
    lab.write_notebook(tmp_path / "maps.ipynb", CODE, "ok.MapExplorer(reader, results)")
    with lab.jupyter_lab(tmp_path) as address, lab.browser_page(shots) as page:
        lab.open_notebook(page, address.format("maps.ipynb"))
        lab.run_all(page)
        page.wait_for_selector(PICTURES)
        content = page.locator(".widget-vbox .widget-html-content")
        before = content.inner_html()
        assert page.locator(PICTURES).count() == 7 and "hires_cam of features.16" in content.inner_text()
        assert page.locator(PICTURES).first.evaluate("image => image.complete && image.naturalWidth > 30")
        page.screenshot(path=shots / "explorer.png")

        characters = page.locator('.widget-dropdown:has(label:text-is("character")) option')
        for name, option, note in (
            ("image", {"index": 3}, "hires_cam of features.16"),
            ("layer", "features.5", "hires_cam of features.5"),
            ("method", "grad_cam", "grad_cam of features.5"),
            ("character", {"index": 2}, "grad_cam of features.5"),
        ):
            options = option if isinstance(option, dict) else {"label": option}
            page.locator(f'.widget-dropdown:has(label:text-is("{name}")) select').select_option(**options)
            page.wait_for_function(
                "([selector, before]) => document.querySelector(selector).innerHTML !== before",
                arg=[".widget-vbox .widget-html-content", before],
            )
            before = content.inner_html()
            shown = 1 if name == "character" else characters.count() - 1  # the first option is "(all)"
            assert note in content.inner_text() and page.locator(PICTURES).count() == shown, name
            page.wait_for_timeout(300)
            page.screenshot(path=shots / f"explorer_{name}.png")


def test_the_button_shows_a_map(tmp_path, shots):
    browser = 'ok.ErrorBrowser(results, marks=None, buttons={"map": ok.map_button(reader)})'
    lab.write_notebook(tmp_path / "errors.ipynb", CODE, browser)
    with lab.jupyter_lab(tmp_path) as address, lab.browser_page(shots) as page:
        lab.open_notebook(page, address.format("errors.ipynb"))
        lab.run_all(page)
        page.locator("button.jupyter-widgets", has_text=re.compile(r"^\s*map\s*$")).click()
        note = page.get_by_text(re.compile("what (speaks|would speak) for"))
        note.wait_for()
        assert note.locator("xpath=../..").locator("img").count() == 1
        note.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        page.screenshot(path=shots / "map_button.png")
