"""`tools.same` finds what a change of structure must not change."""

import json
from copy import deepcopy

import pytest
import torch

import ocrkit as ok
from ocrkit.data.platforms import COURSE
from tools import same

RECORD = {
    "pixels": {"render_plates seed=0 00": 'aa11 "皖A25V59"', "render_names seed=0 00": 'bb22 "ANNE"'},
    "losses": {"plates step 01": "loss 3.5, rates 0.001", "plates step 02": "loss 2.25, rates 0.002"},
    "tests": {"test_ctc::test_blank[2]": "passed", "test_ctc::test_repeat": "skipped"},
}


@pytest.fixture
def now():
    return deepcopy(RECORD)


def test_equal_records_have_no_difference(now):
    assert same.compare(RECORD, now) == ("pixels: 2 the same\nlosses: 2 the same\ntests: 2 the same", 0)


@pytest.mark.parametrize(
    "section, key, value, line",
    [
        ("pixels", "render_plates seed=0 00", 'aa12 "皖A25V59"', 'aa11 "皖A25V59" -> aa12 "皖A25V59"'),
        ("losses", "plates step 02", "loss 2.5, rates 0.002", "loss 2.25, rates 0.002 -> loss 2.5, rates 0.002"),
        ("tests", "test_ctc::test_repeat", "failure", "skipped -> failure"),
    ],
)
def test_a_changed_value_is_named_with_before_and_after(now, section, key, value, line):
    now[section][key] = value
    text, differences = same.compare(RECORD, now)
    assert differences == 1
    assert f"{section}: 1 the same, 1 DIFFER\n  {key}: {line}" in text


def test_the_last_bit_of_a_loss_counts(now):
    now["losses"]["plates step 01"] = f"loss {3.5 + 2**-51!r}, rates 0.001"
    assert same.compare(RECORD, now)[1] == 1


def test_a_vanished_test_is_a_difference(now):
    del now["tests"]["test_ctc::test_blank[2]"]
    text, differences = same.compare(RECORD, now)
    assert differences == 1 and "  test_ctc::test_blank[2]: vanished: passed" in text


def test_a_test_that_appeared_is_a_difference(now):
    now["tests"]["test_ctc::test_new"] = "passed"
    text, differences = same.compare(RECORD, now)
    assert differences == 1 and "  test_ctc::test_new: appeared: passed" in text


def test_a_difference_can_be_allowed(now):
    now["pixels"]["render_names seed=0 00"] = "cc33"
    now["losses"]["plates step 01"] = "loss 4.0, rates 0.001"
    text, differences = same.compare(RECORD, now, ["pixels/render_names *"])
    assert differences == 1
    assert text.splitlines()[:2] == ["pixels: 1 the same, 1 differ as allowed", "losses: 1 the same, 1 DIFFER"]


def test_a_section_of_one_record_alone_is_said(now):
    del now["tests"]
    assert same.compare(RECORD, now)[0].endswith("tests: not compared, recorded only before")


def test_of_many_and_long_differences_the_beginning_is_shown():
    before, after = ({"pixels": {str(k): "x" * 500 + end for k in range(30)}} for end in ("old", "new"))
    text, differences = same.compare(before, after)
    lines = text.splitlines()
    assert differences == 30 and len(lines) == 22 and lines[-1] == "  and 10 more"
    assert lines[1] == f"  0: {'x' * 20}old -> {'x' * 20}new"


def test_the_folder_of_a_test_file_does_not_count(tmp_path):
    def junit(module):
        file = tmp_path / f"{module}.xml"
        file.write_text(
            f'<testsuites><testsuite><testcase classname="{module}" name="test_a[x.y]"/>'
            f'<testcase classname="{module}.TestB" name="test_b"><skipped/></testcase>'
            f'<testcase classname="{module}" name="test_c"><failure>1 != 2</failure></testcase>'
            "</testsuite></testsuites>"
        )
        return same.tests(file)

    assert junit("tests.test_x") == {
        "test_x::test_a[x.y]": "passed", "test_x.TestB::test_b": "skipped", "test_x::test_c": "failure"
    }  # fmt: skip
    assert junit("tests.ctc.test_x") == junit("tests.test_x")


def test_every_public_renderer_is_recorded():
    recorded = {name for name, *_ in (*same.batches(), *same.singles())}
    assert recorded == {name for name in ok._HOME if name.startswith("render_")}


def test_every_shipped_model_is_recorded():
    shipped = {path.parent.name for path in COURSE.glob("data/models/*/config.json")}
    assert set(same.SAMPLES) == shipped


def test_steps_are_noted_whatever_loop_takes_them():
    weight = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.25)
    with same.steps_noted() as steps:
        for _ in range(2):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()
    (weight**2).sum().backward()  # after it, nothing is noted any more
    optimizer.step()
    assert steps == ["loss 1.0, rates 0.25", "loss 0.25, rates 0.25"]


def test_the_command_says_by_its_status_whether_something_differs(tmp_path, capsys, now):
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(json.dumps(RECORD), encoding="utf-8")
    now["losses"]["plates step 02"] = "loss 2.5, rates 0.002"
    after.write_text(json.dumps(now), encoding="utf-8")
    assert same.main(["compare", str(before), str(before)]) == 0
    assert same.main(["compare", str(before), str(after)]) == 1
    assert "losses: 1 the same, 1 DIFFER" in capsys.readouterr().out
    assert same.main(["compare", str(before), str(after), "--except", "losses/plates *"]) == 0
