"""`python -m tests.browser.picture`: take the picture of the error browser that the README shows.

Needs playwright and Chromium, as the tests here do; only rendered plates are in the picture.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from tests.browser import lab

TARGET = lab.COURSE / "data" / "pictures" / "browser.png"
CODE = """import ocrkit as ok
results = ok.Recognizer.load("plates").read(ok.load_samples("plates"))
ok.ErrorBrowser(results, alphabet="plates")"""


def main() -> None:
    """Run the browser over the shipped samples, mark two images, and write `data/pictures/browser.png`."""
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
        picture.quantize(128, dither=Image.Dither.NONE).save(TARGET, optimize=True)
    print(f"{TARGET}: {picture.width} x {picture.height} px, {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
