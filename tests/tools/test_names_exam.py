"""The exam of the names model: what is taken off the answers of other programs, and the table."""

import pytest

from tools.benchmarks.names_exam import markdown, strip_printed, timed


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("PRENOM : LEA", "LEA"),
        ("NOM: LE GALL", "LE GALL"),
        ("19:1 PRENOM : HUGO", "HUGO"),
        ("PRENOM", ""),
        ("NOMINE", "NOMINE"),
        ("ARNOM", "ARNOM"),
        ("MARIE", "MARIE"),
        ("", ""),
    ],
)
def test_printed_words_are_taken_off(answer, name):
    assert strip_printed(answer) == name


def test_figures_and_table():
    row = timed(["LEA", "HUGO"], lambda: ["LEA", "HUGE"])
    assert row["accuracy"] == 0.5 and row["cer"] == pytest.approx(1 / 7)
    low, high = row["interval"]
    assert 0 < low < 0.5 < high < 1
    page = markdown({"n": 2, "in_lexicon": 0.5, "weight": 0.3, "readers": {"greedy": row}})
    assert "| greedy | 0.500 (" in page and "| 0.143 |" in page and "2 crops, of which 50%" in page
