"""The error browser as a person uses it: JupyterLab and Chromium, both real, on loopback."""

import re
import shutil

import pandas as pd
import pytest

from ocrkit.data.samples import load_samples
from ocrkit.errors.browser.marks import apply_changes
from ocrkit.errors.report import report
from ocrkit.reader.recognizer import Recognizer
from tests.browser import lab

pytestmark = pytest.mark.skipif(bool(lab.missing()), reason=lab.missing() or "all is there")

CODE = """import ocrkit as ok
results = ok.Recognizer.load("plates").read(ok.load_samples("plates")).drop(columns="operations")
hostile = '<img src=x onerror="document.title=1">'
results.loc[0, ["text", "prediction", "confidence"]] = [hostile, "</td><script>document.title=1</script>", 1.0]
ok.ErrorBrowser(results, alphabet="plates", marks="marks.json", on_select=lambda row: print("looking at", row["text"]),
                buttons={"map": lambda row: f"map of {row['text']}"})"""


@pytest.fixture
def shot(shots):
    return lambda page, name: page.screenshot(path=shots / f"{name}.png")


def wait(page, selector, wanted):
    """Wait until the text of an element fits the pattern `wanted`, and return it."""
    page.wait_for_function(
        "([selector, wanted]) => new RegExp(wanted).test(document.querySelector(selector)?.textContent)",
        arg=[selector, wanted],
    )
    return page.locator(selector).first.text_content()


def status(page, wanted):
    return wait(page, ".ok-status", wanted)


def press(page, name):
    page.locator("button.jupyter-widgets", has_text=re.compile(rf"^\s*{name}\s*$")).click()


def choose(page, name, value):
    page.locator(f'.widget-dropdown:has(label:text-is("{name}")) select').select_option(value)


def field(page, name):
    return page.locator(f'.widget-text:has(label:text-is("{name}")) input')


def use(page, shot):
    """Filter, page, look, mark, undo and export, in a browser that shows the shipped plates; two marks stay."""
    start = status(page, r"of \d+ images · page 1")
    shown = int(start.split()[0])
    assert page.locator(".ok-tile").count() == min(shown, 12) and shown > 4
    assert page.locator(".ok-tile img").first.evaluate("image => image.complete && image.naturalWidth > 30")
    shot(page, "first_paint")

    choose(page, "show", "all")
    status(page, r"^(\d+) of \1 images · page 1 ")
    page.locator('button[title="next page"]').click()
    status(page, "page 2")
    press(page, "spans")
    press(page, "enlarge")
    page.wait_for_timeout(500)
    shot(page, "page_2_spans_enlarged")
    press(page, "reset")
    status(page, start.split(" images")[0])

    field(page, "text").fill("皖")
    assert int(status(page, rf"^(?!{shown} of)\d").split()[0]) < shown
    field(page, "text").fill("")
    status(page, start.split(" images")[0])
    page.locator(".widget-gridbox button:not([disabled])", has_text=re.compile(r"^\d+$")).first.click()
    assert 0 < int(status(page, rf"^(?!{shown} of)\d").split()[0]) < 5
    page.get_by_text("now only").wait_for()
    page.wait_for_timeout(500)
    shot(page, "one_confusion")
    press(page, "reset")
    status(page, start.split(" images")[0])
    choose(page, "edit", "delete")
    assert int(status(page, rf"^(?!{shown} of)\d").split()[0]) < shown
    choose(page, "show", "all")
    choose(page, "edit", "any")
    status(page, r"^(\d+) of \1 ")
    press(page, "reset")
    status(page, start.split(" images")[0])

    page.locator("button.jupyter-widgets", has_text="look").nth(3).click()
    page.wait_for_function("() => document.querySelectorAll('.ok-tile')[3].classList.contains('ok-chosen')")
    field(page, "new label").fill("皖A·1")
    press(page, "2 wrong label")
    assert "'·' (U+00B7), which is not in the alphabet" in wait(page, ".ok-message", "alphabet")
    shot(page, "refused_label")
    field(page, "new label").fill("皖A25V5")
    press(page, "2 wrong label")
    status(page, "1 marked")
    press(page, "4 exclude")
    status(page, "2 marked")
    press(page, "undo")
    status(page, "1 marked")
    keys = field(page, "keys")
    keys.click()
    keys.press_sequentially("j3np")
    status(page, "page 1 of .* 2 marked")
    assert page.locator(".jp-CodeCell").count() == page.locator(".jp-CodeCell:visible").count()
    page.wait_for_timeout(500)
    shot(page, "marked")
    press(page, "export")
    wait(page, ".ok-message", "2 marked images are listed in")


def check(marks, samples):
    """The CSV that `use` left corrects the table."""
    changes = pd.read_csv(marks.with_suffix(".csv"), dtype=str, keep_default_na=False)
    assert changes["mark"].tolist() == ["wrong label", "unreadable"]
    fixed = apply_changes(samples, marks.with_suffix(".csv"))
    assert len(fixed) == len(samples) - 1 and "皖A25V5" in set(fixed["text"])


def test_a_person_finds_marks_and_keeps(tmp_path, shots, shot):
    lab.write_notebook(tmp_path / "browse.ipynb", CODE)
    with lab.jupyter_lab(tmp_path) as address, lab.browser_page(shots) as page:
        lab.open_notebook(page, address.format("browse.ipynb"))
        lab.run_all(page)
        wait(page, ".ok-facts", "</td><script>document")
        page.get_by_text("looking at <img").wait_for()
        press(page, "map")
        page.get_by_text("map of <img").wait_for()
        use(page, shot)
        lab.run_all(page, restart=True)
        status(page, "2 marked")
        assert "2 marks found" in page.locator(".ok-message").text_content()
        shot(page, "after_restart")
        assert page.title() != "1"
    check(tmp_path / "marks.json", load_samples("plates"))


def test_notebook_05(tmp_path, shots, shot, monkeypatch):
    notebook = next((lab.COURSE / "notebooks").glob("05*.ipynb"), None)
    if notebook is None:
        pytest.skip("there is no notebook 05")
    shutil.copy(notebook, tmp_path / "05.ipynb")
    monkeypatch.setenv("OCRKIT_PROFILE", "tiny")
    monkeypatch.setenv("OCRKIT_HOME", str(lab.COURSE))
    with lab.jupyter_lab(tmp_path) as address, lab.browser_page(shots) as page:
        lab.open_notebook(page, address.format("05.ipynb"))
        lab.run_all(page)
        page.locator(".ok-status").scroll_into_view_if_needed()
        use(page, lambda page, name: shot(page, f"05_{name}"))
        lab.run_all(page, restart=True)
        page.locator(".ok-status").scroll_into_view_if_needed()
        status(page, "2 marked")
    check(tmp_path / "runs" / "marks" / "plates.json", load_samples("plates"))


def test_report_page(tmp_path, shots, shot):
    results = Recognizer.load("plates").read(load_samples("plates", split="test")).drop(columns="operations")
    results.loc[0, ["text", "prediction"]] = [
        '<img src=x onerror="document.title=1">',
        "<script>document.title=1</script>",
    ]
    path = report(results, tmp_path / "errors.html", title="Errors of the test plates")
    wrong = results["text"] != results["prediction"]

    def shown():
        return page.locator("#ok-cards > div:visible").count()

    with lab.browser_page(shots) as page:
        page.goto(path.as_uri())
        n = len(results)
        wait(page, "output", f"^{n} of {n} images")
        shot(page, "report")
        page.locator("[name=state]").select_option("wrong")
        wait(page, "output", f"^{wrong.sum()} of {n} images")
        assert shown() == wrong.sum()
        page.locator("[name=text]").fill("onerror")
        wait(page, "output", f"^1 of {n} images")
        assert shown() == 1 and '<img src=x onerror="' in page.locator("#ok-cards > div:visible").text_content()
        page.get_by_text("reset").click()
        wait(page, "output", f"^{n} of {n} images")
        page.locator("[name=low]").fill("0.9")
        wait(page, "output", f"^{(results['confidence'] >= 0.9).sum()} of {n} images")
        page.locator("[name=kind]").select_option("delete")
        page.locator("[name=low]").fill("0")
        page.locator("[name=sort]").select_option("label")
        wait(page, "output", rf"^\d of {n} images|^\d\d of {n} images")
        shot(page, "report_filtered")
        assert 0 < shown() < wrong.sum() and page.title() == "Errors of the test plates"
