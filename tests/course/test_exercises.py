"""The check cells of the exercises: right, wrong, or not there yet."""

import pytest

import ocrkit as ok


def double(number):
    return 2 * number


def halve(number):
    raise NotImplementedError


def test_a_right_answer(capsys):
    with ok.check("1. Double", double):
        assert double(3) == 6
    assert capsys.readouterr().out == "✓ 1. Double: right\n"


def test_a_wrong_answer_keeps_its_message(capsys):
    with pytest.raises(AssertionError, match="double\\(3\\) is 6"), ok.check("1. Double", double):
        assert double(3) == 7, f"double(3) is {double(3)}"
    assert capsys.readouterr().out == "✗ 1. Double: not right yet\n"


def test_an_answer_that_stops_shows_its_own_error(capsys):
    with pytest.raises(TypeError), ok.check("1. Double", double):
        double(None)
    assert capsys.readouterr().out == "✗ 1. Double: stopped with TypeError\n"


def test_an_answer_that_is_not_there_is_no_error(capsys):
    with ok.check("2. Halve"):
        assert halve(6) == 3
    half = None
    with ok.check("3. A number", half):
        assert half + 1 == 4
    with ok.check("3. A number", half):
        pass
    assert capsys.readouterr().out.splitlines() == [
        "○ 2. Halve: not done yet",
        "○ 3. A number: not done yet",
        "○ 3. A number: not done yet",
    ]


def test_stopping_by_hand_stops():
    with pytest.raises(KeyboardInterrupt), ok.check("3. A number", None):
        raise KeyboardInterrupt
