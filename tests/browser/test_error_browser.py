"""The error browser as a person uses it: JupyterLab and Chromium, both real, on loopback."""

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.browser import lab

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "all is there")

CODE = """import ocrkit as ok
results = ok.Recognizer.load("plates").read(ok.load_samples("plates"))
ok.ErrorBrowser(results, alphabet="plates", marks="marks.json")"""


@pytest.fixture
def shot(tmp_path):
    """Keeps screenshots in the folder OCRKIT_SCREENSHOTS, or in pytest's temporary one."""
    folder = Path(os.environ.get("OCRKIT_SCREENSHOTS", tmp_path))

    def save(page, name):
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png")

    return save


def status(page, wanted):
    """Wait until the line of the browser says `wanted`, and return the whole line."""
    line = page.locator(".ok-note").first
    page.wait_for_function(
        "([e, wanted]) => new RegExp(wanted).test(e.textContent)", arg=[line.element_handle(), wanted]
    )
    return line.text_content()


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def choose(page, name, value):
    page.locator(f'.widget-dropdown:has(label:text-is("{name}")) select').select_option(value)


def field(page, name):
    return page.locator(f'.widget-text:has(label:text-is("{name}")) input')


def test_a_person_finds_marks_and_keeps(tmp_path, shot):
    lab.write_notebook(tmp_path / "browse.ipynb", CODE)
    with lab.jupyter_lab(tmp_path) as address, lab.browser_page() as page:
        lab.open_notebook(page, address.format("browse.ipynb"))
        lab.run_all(page)
        first = status(page, "of 500 images")
        page.wait_for_timeout(500)
        shot(page, "first_paint")
        assert "0 marked" in first
