"""`python -m tools.browser_picture`: take the two pictures of the README, of readings and of the error browser.

Needs playwright and Chromium, as the tests here do; only rendered plates are in the picture.
"""

from __future__ import annotations

import tempfile
from html import escape
from pathlib import Path

from PIL import Image

from ocrkit.data.images import read_sample
from ocrkit.data.samples import load_samples
from ocrkit.errors.gallery import image_tag
from ocrkit.reader.recognizer import Recognizer
from tests.browser import lab

PICTURES = lab.COURSE / "data" / "pictures"
LOOK = """<meta charset="utf-8"><style>
body{margin:14px;font:21px sans-serif;display:grid;grid-template-columns:repeat(4,282px);gap:14px 12px;align-items:end}
img{width:270px;height:auto!important;display:block;margin-bottom:4px} i{font-style:normal;color:#666}
.right{color:#007a3d} .wrong{color:#c00000}</style>"""
CODE = """import ocrkit as ok
results = ok.Recognizer.load("plates").read(ok.load_samples("plates"))
ok.ErrorBrowser(results, alphabet="plates")"""


def readings() -> None:
    """The first twelve test plates with what is read and how sure it is; the label too where that is wrong."""
    boxes = []
    for row in Recognizer.load("plates").read(load_samples("plates", split="test")[:12]).itertuples():
        right = row.prediction == row.text
        note = f"{row.confidence:.2f}" + ("" if right else f" ({escape(row.text)})")
        text = f'<span class="{"right" if right else "wrong"}">{escape(row.prediction)}</span> <i>{note}</i>'
        boxes.append(f"<div>{image_tag(read_sample(row))}{text}</div>")
    with tempfile.TemporaryDirectory() as folder, lab.browser_page(Path(folder), 1200, 400) as page:
        page.set_content(LOOK + "".join(boxes))
        page.screenshot(path=PICTURES / "readings.jpg", type="jpeg", quality=85, full_page=True)


def error_browser() -> None:
    """The error browser over the shipped samples, with two images marked."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lab.write_notebook(root / "picture.ipynb", CODE)
        with lab.jupyter_lab(root) as address, lab.browser_page(root) as page:
            lab.open_notebook(page, address.format("picture.ipynb"))
            lab.run_all(page)
            page.locator("button:has-text('1 fine')").click()
            page.get_by_text("1 marked").wait_for()
            page.locator("button:has-text('2 wrong label')").click()
            page.get_by_text("2 marked").wait_for()
            page.locator("button:has-text('spans')").click()
            page.wait_for_timeout(2000)
            page.locator(".jp-OutputArea-output").first.screenshot(path=root / "browser.png")
        picture = Image.open(root / "browser.png").convert("RGB")
        picture.quantize(256, dither=Image.Dither.NONE).save(PICTURES / "browser.png", optimize=True)


if __name__ == "__main__":
    readings()
    error_browser()
    for picture in ("readings.jpg", "browser.png"):
        print(f"{PICTURES / picture}: {(PICTURES / picture).stat().st_size / 1000:.0f} kB")
