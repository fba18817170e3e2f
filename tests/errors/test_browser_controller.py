"""The error browser without a page: its state, the marks, the corrected samples, and the view by its widgets."""

import json
import os
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import ocrkit as ok
from ocrkit.ctc.greedy import Span
from ocrkit.errors.browser.browser import SORTS, ErrorBrowser
from ocrkit.errors.browser.html import details
from ocrkit.errors.browser.marks import MARKS, Rows
from ocrkit.errors.confusions import confusions
from ocrkit.text.edits import operations

HOSTILE = '<img src=x onerror="alert(1)">'
PAIRS = [("皖A25V59", "皖A2SV59"), ("京B08D11", "京B0BD11"), ("沪C12345", "沪C12345"), ("皖A25V58", "皖A25V5"),
         ("粤D00001", "粤D000012"), ("苏E8B8B8", "苏E888B8")]  # fmt: skip


def make(n=6, folder=None, pairs=PAIRS, **columns):
    """A results table as `Recognizer.read` gives it, over files that need not exist."""
    chosen = [pairs[i % len(pairs)] for i in range(n)]
    edits = [operations(t, p) for t, p in chosen]
    table = {
        "image": [os.path.join(folder or os.path.join(os.sep, "set"), f"{i}.png") for i in range(n)],
        "text": [t for t, _ in chosen],
        "split": ["test" if i % 2 else "train" for i in range(n)],
        "prediction": [p for _, p in chosen],
        "confidence": [0.5 + 0.5 * i / max(n, 1) for i in range(n)],
        "spans": [[Span(c, 4.0 * k, 4.0 * k + 4, 0.9) for k, c in enumerate(p)] for _, p in chosen],
        "error": "",
        "distance": [len(e) for e in edits],
        "operations": edits,
        **columns,
    }
    return pd.DataFrame(table)


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    """Marks go to the working folder by default."""
    monkeypatch.chdir(tmp_path)


def shown(table):
    return table.order.tolist()


# --- filters, sorts, pages ---


@pytest.mark.parametrize(
    ("filters", "rows"),
    [
        ({}, [0, 1, 3, 4, 5]),
        ({"show": "all"}, [0, 1, 2, 3, 4, 5]),
        ({"show": "right"}, [2]),
        ({"show": "marked"}, []),
        ({"show": "not marked"}, [0, 1, 2, 3, 4, 5]),
        ({"show": "not an image"}, []),
        ({"kind": "insert"}, [4]),
        ({"kind": "delete"}, [3]),
        ({"kind": "substitute"}, [0, 1, 5]),
        ({"text": "皖a25"}, [0, 3]),
        ({"text": "2s"}, [0]),
        ({"text": "[^"}, []),
        ({"pair": ("8", "B")}, [1]),
        ({"pair": ("", "2")}, [4]),
        ({"pair": ("8", "")}, [3]),
        ({"pair": ("never", "seen")}, []),
        ({"where": {"split": "train"}}, [0, 4]),
        ({"where": {"split": "train", "distance": "1"}, "kind": "insert"}, [4]),
        ({"confidence": (0.6, 0.8)}, [3]),
        ({"confidence": (0.9, 1.0), "show": "all"}, [5]),
    ],
)
def test_filters(filters, rows):
    table = ErrorBrowser(make())
    table.sort("table order")
    table.filter(**filters)
    assert shown(table) == rows
    table.reset()
    assert shown(table) == [0, 1, 3, 4, 5]


@pytest.mark.parametrize(
    "wrong", [{"show": "bad"}, {"kind": "x"}, {"no": 1}, {"where": {"split": "valid"}}, {"where": {"spans": ""}}]
)
def test_a_filter_that_cannot_be_says_so_and_changes_nothing(wrong):
    table = ErrorBrowser(make())
    before = shown(table)
    with pytest.raises(ValueError, match="there is no|must be one of|has no (value|column)"):
        table.filter(**wrong)
    assert shown(table) == before and table.filters["show"] == "wrong"
    with pytest.raises(ValueError, match="surest first"):
        table.sort("nicest")


def test_sorts():
    table = ErrorBrowser(make(margin=[1.0, 2.0, 0.0, np.inf, 0.5, 3.0]))
    expected = {
        "surest first": [5, 4, 3, 1, 0],
        "least sure first": [0, 1, 3, 4, 5],
        "highest CER first": [0, 1, 3, 4, 5],
        "label": [1, 3, 0, 4, 5],
        "reading": [1, 3, 0, 4, 5],
        "table order": [0, 1, 3, 4, 5],
        "smallest margin first": [4, 0, 1, 5, 3],
    }
    assert expected.keys() == SORTS.keys() == set(table.sorts)
    for by, rows in expected.items():
        table.sort(by)
        if by in ("label", "reading"):
            rows = sorted(rows, key=lambda i: (table.results.iloc[i]["text" if by == "label" else "prediction"], i))
        assert shown(table) == rows, by


def test_sort_by_margin_is_offered_where_there_is_one():
    table = ErrorBrowser(make())
    assert "smallest margin first" not in table.sorts
    with pytest.raises(ValueError, match="there is no sort 'smallest margin first'; there are: surest first"):
        table.sort("smallest margin first")


def test_details_show_what_nearly_won():
    row = {"image": "a.png", "text": "皖A25V59", "prediction": "皖A2SV59", "confidence": 0.7}

    def shown_for(**facts):
        return details(pd.Series({**row, **facts}), "a.png", None)

    html = shown_for(runner_up="皖A25V59", margin=1.234, log_prob=-0.3)
    assert '<td>nearly</td><td><bdi dir="auto">皖A25V59</bdi> <small>behind by 1.23 nats</small></td>' in html
    assert '<bdi dir="auto">سلام</bdi> <small>' in shown_for(runner_up="سلام", margin=1.0, log_prob=-0.3)
    assert "<td>nearly</td><td><i>(nothing)</i>" in shown_for(runner_up="", margin=1.0, log_prob=-0.3)
    hostile = shown_for(runner_up=HOSTILE, margin=1.0, log_prob=-0.3)
    assert "<img src=x" not in hostile and "&lt;img src=x" in hostile
    for facts in ({}, {"runner_up": "", "margin": np.inf, "log_prob": -0.3}, {"runner_up": float("nan"), "margin": 1.0},
                  {"runner_up": "", "margin": 0.0, "log_prob": -np.inf}):  # fmt: skip
        assert "nearly" not in shown_for(**facts)


def test_a_runner_up_is_no_slice():
    assert "runner_up" not in ErrorBrowser(make(runner_up="x", margin=1.0, log_prob=-np.inf)).columns


def test_sort_by_confidence_without_confidence():
    table = ErrorBrowser(make().drop(columns=["confidence", "spans", "error", "split"]))
    assert shown(table) == [0, 1, 3, 4, 5] and table.columns == ["distance"]
    table.filter(confidence=(0.1, 1))
    assert shown(table) == []


def test_pages_and_steps():
    table = ErrorBrowser(make(100), page_size=12)
    assert (table.pages, len(table.order)) == (7, 83)
    table.go(99)
    assert table.page == 6 and len(table.shown) == 11 and table.selected == table.shown[0]
    table.go(-1)
    assert table.page == 0
    table.step(12)
    assert table.page == 1 and table.selected == table.order[12]
    table.step(-1)
    assert table.page == 0 and table.selected == table.order[11]
    table.select(table.order[40])
    assert table.page == 3 and table.selected == table.order[40]
    with pytest.raises(ValueError, match="row 2 does not pass the filters"):
        table.select(2)
    table.step(-50)
    assert table.selected == table.order[0]
    table.step(1000)
    assert table.page == 6 and table.selected == table.order[-1]
    assert "83 of 100 images · page 7 of 7 · 0 marked" in table.status()


def test_slices():
    numbers = list(range(29)) + [np.nan]
    table = ErrorBrowser(make(30, province=["皖", "京", None] * 10, blur=numbers, corners=[[[0, 0]] * 4] * 30))
    assert table.columns == ["split", "distance", "province", "blur"]
    assert table.values("split") == {"train": 15, "test": 15}
    assert table.values("province") == {"皖": 10, "京": 10}
    assert sum(table.values("blur").values()) == 29 and len(table.values("blur")) == 5
    table.filter(show="all", where={"blur": next(iter(table.values("blur")))})
    assert len(table.order) == next(iter(table.values("blur").values()))
    table.filter(where={"province": "皖"})
    assert set(table.results["province"].iloc[table.order]) == {"皖"}


def test_matrix_counts_every_confusion_and_follows_the_filters():
    table = ErrorBrowser(make(60))
    matrix = table.confusions()
    assert matrix.to_numpy().sum() == table.results["distance"].sum() == 50
    assert matrix.at["8", "B"] == matrix.at["B", "8"] == matrix.at["5", "S"] == matrix.at["8", ""] == 10
    assert matrix.at["", "2"] == 10
    for row in confusions(table.results).to_dict("records"):
        assert matrix.at[row["reference"], row["prediction"]] == row["count"]
    table.filter(pair=("8", "B"))
    assert table.confusions().equals(matrix) and len(table.order) == 10
    table.filter(pair=None, kind="insert")
    assert table.confusions().to_numpy().tolist() == [[10]]
    assert table.confusions(1).shape == (1, 1)


def test_operations_are_computed_where_they_are_missing_or_came_from_a_csv(tmp_path):
    results = make()
    results.to_csv(tmp_path / "results.csv", index=False)
    read = pd.read_csv(tmp_path / "results.csv", keep_default_na=False)
    for other in (read, results.drop(columns="operations")):
        assert ErrorBrowser(other).confusions().equals(ErrorBrowser(results).confusions())


@pytest.mark.parametrize("column", ["image", "text", "prediction"])
def test_missing_columns(column):
    with pytest.raises(ValueError, match=f"no column '{column}'; it has: .*Recognizer.read"):
        ErrorBrowser(make().drop(columns=column))


def test_texts_that_are_no_texts():
    with pytest.raises(TypeError, match="row 1: the text is nan \\(float\\), not text"):
        ErrorBrowser(make(3, text=["a", np.nan, "b"]))
    with pytest.raises(ValueError, match="page_size=0"):
        ErrorBrowser(make(), page_size=0)


def test_empty_table():
    table = ErrorBrowser(make().head(0))
    assert table.selected is None and table.pages == 1 and table.confusions().empty
    assert table.mark("fine") is False and "no image" in table.message
    table.undo()
    table.step(1)
    table.filter(show="all", text="a", kind="insert", confidence=(0.1, 0.2))
    assert table.changes().empty and table.values("split") == {}
    assert "0 of 0 images" in ErrorBrowser(make().head(0))._repr_mimebundle_()["text/html"]


# --- marks ---


def test_marks_are_saved_reloaded_and_undone_to_the_start(tmp_path):
    table = ErrorBrowser(make(), alphabet="plates", marks="my.json")
    table.sort("table order")
    assert table.mark("wrong label", "皖A2SV59") and table.selected == 1
    assert table.mark("fine") and table.mark("unreadable") and table.mark("exclude")
    assert (tmp_path / "my.json").is_file() and not list(tmp_path.glob(".*tmp"))

    again = ErrorBrowser(make(), marks="my.json")
    assert again.changes().equals(table.changes()) and "4 marks found" in again.message
    assert again.changes()["mark"].tolist() == ["wrong label", "fine", "unreadable", "exclude"]
    assert again.changes()["new_text"].tolist() == ["皖A2SV59", "", "", ""]
    again.undo()
    assert "nothing to undo" in again.message and len(again.changes()) == 4
    again.filter(show="marked")
    assert sorted(shown(again)) == [0, 1, 3, 4]

    for rows in (3, 2, 1, 0, 0):
        table.undo()
        assert len(table.changes()) == rows
    assert table.selected == 0 and "nothing to undo" in table.message
    assert ErrorBrowser(make(), marks="my.json").changes().empty


def test_a_mark_can_be_changed_and_taken_away():
    table = ErrorBrowser(make(), alphabet="plates")
    first = table.selected
    for mark, new in (("fine", ""), ("wrong label", "苏E"), (None, "")):
        table.select(first)
        assert table.mark(mark, new)
    assert table.changes().empty
    table.undo()
    assert table.changes()[["mark", "new_text"]].to_numpy().tolist() == [["wrong label", "苏E"]]
    table.undo()
    assert table.changes()["mark"].tolist() == ["fine"]
    with pytest.raises(ValueError, match="there is no mark 'nice'; there are: fine, wrong label"):
        table.mark("nice")


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("皖A·25V59", r"'·' \(U\+00B7\), which is not in the alphabet"),
        ("   ", "is empty"),
        (" 苏E8B8B8 ", "is the label already"),
        ("苏Ｅ8B8B8", r"'Ｅ' \(U\+FF25\)"),
    ],
)
def test_a_new_label_is_checked(new, message):
    table = ErrorBrowser(make(), alphabet="plates")
    assert table.results.iloc[table.selected]["text"] == "苏E8B8B8"
    assert table.mark("wrong label", new) is False
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(table.message)
    assert table.changes().empty and not table.marks.path.exists()


def test_a_new_label_is_stored_in_nfc():
    table = ErrorBrowser(make(1, pairs=[("cafe", "café")]))
    assert table.mark("wrong label", "cafe\u0301")
    assert table.changes()["new_text"].tolist() == ["café"]


def test_one_marks_file_serves_a_set_and_its_parts(tmp_path):
    whole = make(20, folder=str(tmp_path / "words" / "test"))
    first, second = ErrorBrowser(whole.head(10)), ErrorBrowser(whole.tail(10))
    assert first.marks.path == tmp_path / "runs" / "marks" / "words.json" == second.marks.path
    first.mark("fine")
    second.mark("exclude")  # opened before the first one wrote: both marks must be there
    first.mark("unreadable")
    first.undo()
    both = ErrorBrowser(whole)
    assert both.changes()["mark"].tolist() == ["fine", "exclude"]
    other = ErrorBrowser(make(3, folder=str(tmp_path / "other")), marks=first.marks.path)
    assert other.changes().empty and "2 more are of images that are not in this table" in other.message
    other.mark("fine")
    assert len(json.loads(first.marks.path.read_text(encoding="utf-8"))["marks"]) == 3


@pytest.mark.parametrize("content", ["{", "[]", '{"format": "other"}', '{"format": "ocrkit marks 1", "marks": [{}]}'])
def test_a_file_that_holds_no_marks_is_left_as_it_is(tmp_path, content):
    path = tmp_path / "my.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="my.json is damaged or no marks file"):
        ErrorBrowser(make(), marks=path)
    assert path.read_text() == content


def test_marks_that_cannot_be_saved_live_in_memory(tmp_path):
    (tmp_path / "file").write_text("")
    table = ErrorBrowser(make(), marks=tmp_path / "file" / "marks.json")
    assert table.mark("fine") and "could not be saved" in table.message
    assert len(table.changes()) == 1
    kept = ErrorBrowser(make(), marks=None)
    assert kept.mark("fine") and os.listdir(tmp_path) == ["file"]


def test_rows_with_one_image_are_told_apart_by_label_and_crop():
    results = make(4, pairs=[("ab", "xb"), ("cd", "xd"), ("ab", "xb"), ("ab", "yb")])
    results = results.assign(image="page.png", box=[[0, 0, 9, 9], None, [0, 10, 9, 19], [0, 10, 9, 19.0]])
    table = ErrorBrowser(results)
    table.sort("table order")
    table.mark("fine")
    assert table.marks.codes.tolist() == [1, 0, 0, 0]
    table.mark("exclude")
    table.mark("unreadable")  # rows 2 and 3 are one sample: same file, label and box
    assert table.marks.codes.tolist() == [1, 4, 3, 3]
    assert ErrorBrowser(results).marks.codes.tolist() == [1, 4, 3, 3]
    assert len(ok.apply_changes(results, table.changes())) == 1


def test_images_in_memory():
    images = [np.full((8, 20, 3), 30 * i, dtype=np.uint8) for i in range(6)]
    results = make(6, image=images)
    table = ErrorBrowser(results)
    assert table.marks.path.name.startswith("in-memory-")
    table.mark("exclude")
    assert table.changes()["image"].tolist() == ["row 5"]
    assert ErrorBrowser(results).marks.codes.tolist() == [0, 0, 0, 0, 0, 4]
    assert ErrorBrowser(results.tail(2)).marks.path != table.marks.path
    assert ok.apply_changes(results, table.changes()).index.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="reset_index"):
        ErrorBrowser(pd.concat([results, results]))
    assert "data:image" in ErrorBrowser(results).html()


def test_default_path_without_a_common_name():
    assert Rows(make(2, image=["a.png", "b.png"])).default_path().parent.parts == ("runs", "marks")
    assert Rows(make(2, image=[os.path.join(os.sep, "a.png"), np.nan])).default_path().suffix == ".json"


# --- corrected samples ---


def test_apply_changes_through_a_csv(tmp_path):
    results = make(6, pairs=[(HOSTILE, "a"), ('a,"b"\r\nc', "b"), ("NA", "c"), ("=1+1", "d"), (" x ", "e"), ("", "f")])
    samples = results[["image", "text", "split"]].set_index(pd.Index(list("uvwxyz")))
    samples.attrs["source"] = "kept"
    before = samples.copy(deep=True)
    browser = ErrorBrowser(results, alphabet="abcdef NA=1+")
    browser.sort("table order")
    for mark, new in (
        ("fine", ""),
        ("wrong label", "NA"),
        ("wrong label", "=1+1+1"),
        ("unreadable", ""),
        ("exclude", ""),
    ):
        assert browser.mark(mark, new), browser.message
    assert browser.mark("fine")
    path = browser.export(tmp_path / "out" / "changes.csv")

    for changes in (path, str(path), browser.changes()):
        fixed = ok.apply_changes(samples, changes)
        assert fixed["text"].tolist() == [HOSTILE, "NA", "=1+1+1", ""]
        assert fixed.index.tolist() == list("uvwz") and fixed["text"].dtype == samples["text"].dtype
        assert fixed.attrs["source"] == "kept"
        assert fixed.attrs["changes"] == {"relabeled": 2, "dropped": samples["image"].tolist()[3:5], "unknown": []}
    pd.testing.assert_frame_equal(samples, before)
    assert browser.export() == browser.marks.path.with_suffix(".csv")


def test_apply_changes_updates_what_follows_from_the_label():
    results = make(1).assign(province=pd.Categorical(["皖"]), length=7, kind="standard")
    changes = results.assign(mark="wrong label", new_text="京A2SV5")[["image", "text", "mark", "new_text"]]
    row = ok.apply_changes(results, changes).iloc[0]
    assert (row["province"], row["length"], row["kind"]) == ("京", 6, "")
    assert row["distance"] == 2 and row["operations"] == operations("京A2SV5", "皖A2SV59")


def test_apply_changes_reports_unknown_images_and_conflicts():
    samples = make(3)
    changes = pd.DataFrame(
        {"image": [samples["image"][0], "other.png", samples["image"][1]],
         "text": [samples["text"][0], "x", "old label"], "mark": "exclude", "new_text": ""}
    )  # fmt: skip
    with pytest.warns(UserWarning, match="2 of 3 marked images are not in the table.*other.png"):
        fixed = ok.apply_changes(samples, changes)
    assert fixed.attrs["changes"]["unknown"] == ["other.png", samples["image"][1]] and len(fixed) == 2
    twice = pd.concat([changes.head(1), changes.head(1).assign(mark="fine")])
    with pytest.raises(ValueError, match="row 2 of the changes, .*0.png: it is marked 'fine' .*'exclude'"):
        ok.apply_changes(samples, twice)
    for column, value, message in (
        ("mark", "nice", "'nice' is no mark"), ("mark", "wrong label", "needs the right label"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            ok.apply_changes(samples, changes.assign(**{column: value}))
    with pytest.raises(ValueError, match="table of changes has no column 'mark'"):
        ok.apply_changes(samples, changes.drop(columns="mark"))
    with pytest.raises(ValueError, match="samples table has no column 'image'"):
        ok.apply_changes(samples.drop(columns="image"), changes)


# --- the view ---


@pytest.fixture
def plates(tmp_path):
    """100 rows over real image files, one of them broken, with labels that would run as HTML."""
    results = make(100, folder=str(tmp_path), pairs=[*PAIRS, (HOSTILE, "</div><script>x</script>")])
    for i, path in enumerate(results["image"]):
        Image.new("RGB", (80, 24), (i, 2 * i, 90)).save(path)
    (tmp_path / "0.png").write_bytes(b"no image")
    return results


def test_view_filters_pages_marks_and_undoes(plates):
    browser = ErrorBrowser(plates, alphabet="plates", marks="my.json")
    view, table = browser.view, browser
    assert "86 of 100 images · page 1 of 8 · 0 marked" in view.status.value
    assert view.split.label == view.column.label == view.value.label == "(any)"
    assert len(view.cards.children) == 12
    view.pager[2].click()
    view.pager[3].click()
    assert "page 8 of 8" in view.status.value and len(view.cards.children) == 2
    view.show.value, view.split.value, view.text.value = "all", "test", "皖A"
    assert "14 of 100" in view.status.value
    view.column.value = "distance"
    offered = [(f"{value} ({n})", value) for value, n in table.values("distance").items()]
    assert view.value.options[1:] == tuple(offered) and offered[0] == ("1 (72)", "1")
    view.value.value = "1"
    view.confidence.value = (0.6, 1)
    view.sort.value = "least sure first"
    view.kind.value = "delete"
    assert 0 < len(table.order) < 14 and table.filters["where"] == {"split": "test", "distance": "1"}
    view.reset.click()
    assert (
        table.filters == ErrorBrowser(plates, marks=None).filters
        and view.text.value == ""
        and view.show.value == "wrong"
    )
    assert view.split.label == view.column.label == view.value.label == "(any)"

    view._card_button[3].click()
    assert table.selected == table.shown[3]
    view.new_text.value = "皖A?"
    view.marks["wrong label"].click()
    assert "&#39;?&#39; (U+003F)" in view.message.value and browser.changes().empty
    assert view.new_text.value == "皖A?"
    view.new_text.value = "皖A25V57"
    view.marks["wrong label"].click()
    assert browser.changes()["new_text"].tolist() == ["皖A25V57"] and "1 marked" in view.status.value
    assert view._card_button[3].description == "wrong label 皖A25V57"
    assert table.selected == table.shown[4] and view.new_text.value == table.results.iloc[table.selected]["prediction"]
    view._card_button[3].click()
    assert view.new_text.value == "皖A25V57"
    view.undo.click()
    assert browser.changes().empty and view._card_button[3].description == "look"
    for mark in MARKS[::2]:
        view.marks[mark].click()
    view.clear.click()
    assert len(browser.changes()) == 2
    view.export.click()
    assert "2 marked images are listed in" in view.message.value and table.marks.path.with_suffix(".csv").is_file()


def test_view_matrix(plates):
    view = ErrorBrowser(plates, alphabet="plates", marks=None).view
    counts = view.browser.confusions(8)
    i, j = counts.index.get_loc("8"), counts.columns.get_loc("B")
    assert view._cells[i][j].description == str(counts.at["8", "B"])
    view._cells[i][j].click()
    assert view.browser.filters["pair"] == ("8", "B") and len(view.browser.order) == counts.at["8", "B"]
    assert "8 read as B" in view._matrix_note.value
    view._cells[i][j].click()
    assert view.browser.filters["pair"] is None
    view._cells[i][j].click()
    view.any_pair.click()
    assert view.browser.filters["pair"] is None
    view.text.value = "nothing has this"
    assert all(cell.disabled for line in view._cells for cell in line) and view.cards.children == ()
    assert view.detail.layout.visibility == "hidden"
    view.marks["fine"].click()
    assert "no image is selected" in view.message.value


def test_view_keys(plates):
    view = ErrorBrowser(plates, alphabet="plates", marks=None).view
    table = view.browser
    view.keys.value = "n"
    view.keys.value = "nnp"  # as it comes where the page was faster than the kernel
    assert table.page == 1
    view.keys.value = "nnpj"
    assert table.selected == table.shown[1]
    view.keys.value = "nnpjk134"
    assert table.changes()["mark"].tolist() == ["fine", "unreadable", "exclude"]
    view.keys.value = "nnpjk134uU"
    assert table.changes()["mark"].tolist() == ["fine"]
    view.keys.value = "nnp"  # taken back with the backspace key: nothing happens
    assert table.page == 1 and len(table.changes()) == 1
    view.keys.value = "nnpx"
    assert "&#39;x&#39; does nothing" in view.message.value


def test_view_keys_that_come_together_relabel_each_image_by_its_own_reading(plates):
    view = ErrorBrowser(plates, alphabet="plates", marks=None).view
    readings = plates["prediction"].iloc[view.browser.shown[:2]].tolist()
    view.keys.value = "2x2"
    assert view.browser.changes()["new_text"].tolist() == readings and readings[0] != readings[1]


def test_view_escapes_every_text(plates):
    browser = ErrorBrowser(plates.assign(province=HOSTILE), marks=None)
    view = browser.view
    view.text.value = "onerror"
    view.spans.value = view.enlarge.value = True
    page = "".join([browser.html(), view.picture.value, view.message.value, *(c.value for c in view._card_html),
                    *(head.value for heads in view._heads for head in heads), view._matrix_note.value])  # fmt: skip
    assert "<script" not in page and "<img src" not in page and len(view.browser.order) == 14


def test_view_shows_broken_images_by_their_reason(plates):
    browser = ErrorBrowser(plates.assign(error=["not an image", *[""] * 99]), marks=None)
    browser.view.show.value = "not an image"
    assert "is not an image" in browser.html() and "is not an image" in browser.view.picture.value


def test_view_calls_what_was_handed_in(plates):
    seen = []
    browser = ErrorBrowser(
        plates,
        marks=None,
        on_select=lambda row: seen.append(row["text"]),
        buttons={"heatmap": lambda row: seen.append("map")},
    )
    view = browser.view
    view._card_button[1].click()
    view.own[0].click()
    rows = browser.shown
    assert seen == [plates["text"][rows[0]], plates["text"][rows[1]], "map"]


def test_bundle_with_and_without_widgets(plates, monkeypatch):
    bundle = ErrorBrowser(plates, marks=None)._repr_mimebundle_()
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} <= bundle.keys()
    assert "data:image/jpeg" in bundle["text/html"]
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.delitem(sys.modules, "ocrkit.errors.browser.view", raising=False)
    browser = ErrorBrowser(plates, marks=None)
    assert browser._repr_mimebundle_().keys() == {"text/plain", "text/html"}
    assert repr(browser) == "ErrorBrowser(86 of 100 images · page 1 of 8 · 0 marked)"
