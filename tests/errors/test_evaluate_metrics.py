"""The metrics as Hugging Face `evaluate` modules: the same numbers as ours, and never a network."""

import os
import socket
import subprocess
import sys

import pytest

from ocrkit.errors.metrics import accuracy, cer

evaluate = pytest.importorskip("evaluate")
modules = pytest.importorskip("ocrkit.errors.hf_metrics")

REFERENCES = ["皖A25V59", "皖A25V59", "Jose\u0301", " a", ""]
PREDICTIONS = ["皖A25V59", "皖A2SV5", "José", "a", "x"]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a metric tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def metrics(tmp_path):
    cache = str(tmp_path)
    return [modules.CharacterErrorRate(cache_dir=cache), modules.ExactMatch(cache_dir=cache)]


def test_they_agree_with_ours_when_combined(metrics):
    both = evaluate.combine(metrics)
    expected = {"cer": cer(REFERENCES, PREDICTIONS), "exact_match": accuracy(REFERENCES, PREDICTIONS)}
    assert expected == pytest.approx({"cer": 4 / 20, "exact_match": 2 / 5})
    assert both.compute(references=REFERENCES, predictions=PREDICTIONS) == pytest.approx(expected)
    for reference, prediction in zip(REFERENCES, PREDICTIONS, strict=True):
        both.add(reference=reference, prediction=prediction)
    assert both.compute() == pytest.approx(expected)


def test_an_entry_that_is_not_text_names_its_row(metrics):
    with pytest.raises(TypeError, match="row 1: the prediction is None"):
        metrics[0].compute(references=["a", "b"], predictions=["a", None])


def test_evaluate_loads_the_file_by_its_path(tmp_path):
    # In a process of its own, because `evaluate` copies what it loads into HF_HOME, read at import.
    script = """
import socket, sys
def refuse(*args, **kwargs): raise AssertionError("network")
socket.socket.connect = socket.getaddrinfo = refuse
import evaluate
metric = evaluate.load(sys.argv[1])
print(type(metric).__name__, metric.compute(references=["ABCD"], predictions=["ABXD"]))
"""
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    command = [sys.executable, "-c", script, modules.__file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "CharacterErrorRate {'cer': 0.25}"
