"""The edit distance and the alignment, against nltk and jiwer and against what they must keep."""

import jiwer
import nltk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrkit.text.edits import Edit, align, distance_table, edit_distance, operations

# Few letters, so that ties and runs of equal characters are common; and plain Unicode.
texts = st.one_of(st.text("ab1", max_size=8), st.text(max_size=12))
CHARACTERS = jiwer.ReduceToListOfListOfChars()


@given(texts, texts)
def test_distance_equals_nltk_and_jiwer(reference, prediction):
    counted = jiwer.process_characters(reference, prediction, CHARACTERS, CHARACTERS)
    distance = edit_distance(reference, prediction)
    assert distance == nltk.edit_distance(reference, prediction)
    assert distance == counted.substitutions + counted.insertions + counted.deletions


@given(texts, texts)
def test_alignment_rebuilds_both_texts_and_costs_the_distance(reference, prediction):
    edits = align(reference, prediction)
    assert "".join(e.reference for e in edits) == reference
    assert "".join(e.prediction for e in edits) == prediction
    assert sum(e.kind != "equal" for e in edits) == edit_distance(reference, prediction)
    i = j = 0
    for edit in edits:
        assert (edit.ref_index, edit.pred_index) == (i, j)
        expected = {
            "equal": edit.reference == edit.prediction != "",
            "substitute": "" not in (edit.reference, edit.prediction) and edit.reference != edit.prediction,
            "insert": edit.reference == "" and edit.prediction != "",
            "delete": edit.prediction == "" and edit.reference != "",
        }
        assert expected[edit.kind]
        i, j = i + (edit.kind != "insert"), j + (edit.kind != "delete")
    assert (i, j) == (len(reference), len(prediction))


@given(texts, texts, texts)
def test_distance_is_a_metric(a, b, c):
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))


@given(texts, texts)
def test_operations_are_the_edits_that_are_not_equal(reference, prediction):
    wrong = operations(reference, prediction)
    assert wrong == [e for e in align(reference, prediction) if e.kind != "equal"]
    assert len(wrong) == edit_distance(reference, prediction)


@pytest.mark.parametrize(
    ("reference", "prediction", "wrong"),
    [
        ("皖A25V59", "皖A25V59", []),
        ("皖A25V59", "皖A2SV59", [Edit("substitute", "5", "S", 3, 3)]),
        ("皖A25V59", "A25V59", [Edit("delete", "皖", "", 0, 0)]),
        ("皖A25V59", "皖A25V599", [Edit("insert", "", "9", 6, 6)]),
        ("", "京", [Edit("insert", "", "京", 0, 0)]),
        ("京A", "", [Edit("delete", "京", "", 0, 0), Edit("delete", "A", "", 1, 0)]),
        # Ties: two substitutions and not a delete with an insert; of equal characters the first is odd.
        ("ab", "ba", [Edit("substitute", "a", "b", 0, 0), Edit("substitute", "b", "a", 1, 1)]),
        ("AA8", "A8", [Edit("delete", "A", "", 0, 0)]),
        ("A8", "AA8", [Edit("insert", "", "A", 0, 0)]),
    ],
)
def test_known_edits(reference, prediction, wrong):
    assert operations(reference, prediction) == wrong


def test_table_of_the_textbook_example():
    table = distance_table("kitten", "sitting")
    assert (len(table), len(table[0])) == (7, 8)
    assert table[0] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert [row[0] for row in table] == [0, 1, 2, 3, 4, 5, 6]
    assert table[-1][-1] == edit_distance("kitten", "sitting") == 3


def test_grapheme_clusters_count_once():
    reference, prediction = ["e\u0301", "क्षि", "a"], ["e\u0301", "क", "a"]
    assert edit_distance(reference, prediction) == 1
    assert operations(reference, prediction) == [Edit("substitute", "क्षि", "क", 1, 1)]
    assert edit_distance("".join(reference), "".join(prediction)) == 3
    assert edit_distance(tuple(reference), reference) == 0
