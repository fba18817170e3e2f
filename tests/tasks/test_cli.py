import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from ocrkit.__main__ import main
from ocrkit.data.samples import load_samples
from ocrkit.reader.recognizer import Recognizer

QUICK = ["rendered=48", "epochs=1", "batch_size=16", "image_size=32,64"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "quick"
    assert main(["train", "plates", *QUICK, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def plates(tmp_path):
    """Four labeled plates, one of them broken, and one file without a label."""
    table = load_samples("plates", split="test").head(4)
    for i, row in enumerate(table.itertuples()):
        shutil.copy(row.image, tmp_path / f"{i}-{row.text}.jpg")
    broken = sorted(tmp_path.glob("3-*"))[0]
    broken.write_bytes(broken.read_bytes()[:200])
    shutil.copy(table.image[0], tmp_path / "nolabel.jpg")
    return tmp_path


def test_train_leaves_a_whole_run(run_dir):
    names = {p.name for p in run_dir.iterdir()}
    assert names == {
        "model.safetensors", "config.json", "checkpoint.safetensors", "history.csv", "set_aside.csv",
        "run.json", "README.md",
    }  # fmt: skip
    facts = json.loads((run_dir / "run.json").read_text())
    card = (run_dir / "README.md").read_text()
    assert facts["recipe"]["rendered"] == 48 and facts["command"] in card
    assert "48 rendered plates for training (seed 0)" in card
    assert Recognizer.load(run_dir).image_size == (32, 64)


def test_train_refuses_to_overwrite_and_resumes(run_dir, capsys):
    assert main(["train", "plates", *QUICK, "--out", str(run_dir)]) == 2
    assert "pass --resume" in capsys.readouterr().err
    before = (run_dir / "model.safetensors").read_bytes()
    assert main(["train", "plates", *QUICK, "--out", str(run_dir), "--resume"]) == 0
    assert (run_dir / "model.safetensors").read_bytes() == before


def test_train_never_sees_the_test_split(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    table = load_samples("plates").head(60)
    for i, row in enumerate(table.itertuples()):
        shutil.copy(row.image, tmp_path / "set" / f"{i}-{row.text}.jpg")
    counts = load_samples(tmp_path / "set").split.value_counts()
    main(
        [
            "train",
            "plates",
            *QUICK,
            "rendered=0",
            f"samples={tmp_path / 'set'}",
            "repeat=2",
            "--out",
            str(tmp_path / "run"),
        ]
    )
    printed = capsys.readouterr().out
    assert f"{2 * counts['train']} training and {counts['valid']} validation images" in printed


def test_train_stopped_at_once_says_that_there_is_no_model(tmp_path, monkeypatch, capsys):
    def stop(self, batch):
        raise KeyboardInterrupt

    monkeypatch.setattr("ocrkit.training.step.Stepper.__call__", stop)
    assert main(["train", "plates", *QUICK, "--out", str(tmp_path / "run")]) == 2
    assert "holds no model" in capsys.readouterr().err


def test_train_goes_on_from_a_model(run_dir, tmp_path):
    out = tmp_path / "more"
    assert main(["train", "plates", *QUICK, f"start={run_dir}", "--out", str(out)]) == 0
    assert Recognizer.load(out).image_size == (32, 64)


def test_evaluate_json(run_dir, plates, capsys, tmp_path):
    capsys.readouterr()
    status = main(["evaluate", str(run_dir), str(plates), "--json", "--out", str(tmp_path / "results.csv")])
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert status == 0
    assert {
        "n", "accuracy", "cer", "accuracy_ci", "cer_ci", "images_per_second", "model", "samples"
    } <= facts.keys()  # fmt: skip
    assert (facts["n"], facts["set_aside"]) == (3, 2)
    assert facts["accuracy_ci"][0] <= facts["accuracy"] <= facts["accuracy_ci"][1]
    assert facts["cer_ci"][0] <= facts["cer"] <= facts["cer_ci"][1]
    assert "nolabel.jpg" in err and "3-" in err
    assert len(pd.read_csv(tmp_path / "results.csv")) == 4


def test_evaluate_table(run_dir, capsys):
    assert main(["evaluate", str(run_dir), "plates", "--split", "test"]) == 0
    out = capsys.readouterr().out
    assert "accuracy" in out and "cer" in out and "images/s" in out


def test_read(run_dir, plates, capsys):
    good = str(sorted(plates.glob("0-*"))[0])
    assert main(["read", str(run_dir), good]) == 0
    path, text, confidence = capsys.readouterr().out.rstrip("\n").split("\t")
    assert path == good and 0 <= float(confidence) <= 1
    assert main(["read", str(run_dir), good, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == text


def test_read_names_the_bad_image_and_reads_the_others(run_dir, plates, capsys):
    good, bad = (str(sorted(plates.glob(f"{i}-*"))[0]) for i in (0, 3))
    assert main(["read", str(run_dir), bad, good]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(good) and err.startswith(bad)


def test_lint(plates, capsys, tmp_path):
    assert main(["lint", str(plates), "--alphabet", "plates", "--out", str(tmp_path / "found.csv")]) == 1
    assert "nolabel.jpg" in pd.read_csv(tmp_path / "found.csv").to_string()
    assert main(["lint", "plates"]) == 0


def test_lint_against_a_model(run_dir, tmp_path, capsys):
    Image.new("RGB", (100, 30)).save(tmp_path / "long.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\nlong.png,1111111111\n")
    assert main(["lint", str(tmp_path), "--model", str(run_dir)]) == 1
    assert "needs 19 time steps, the model has 16" in capsys.readouterr().out


def test_doctor(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("[OK]", "[NOTE]")) for line in lines)
    assert any("torch" in line for line in lines) and any("data plates" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "nothing"], "no recipe 'nothing'"),
        (["train", "plates", "epochs"], "'epochs' is not key=value"),
        (["train", "plates", "epoch=3"], "unknown setting epoch"),
        (["train", "plates", "--resume", "epoch=3"], "unknown setting epoch"),
        (["train", "plates", "rendered=0", "samples="], "names no data"),
        (["train", "plates", "samples=/no/such/place"], "/no/such/place"),
        (["evaluate", "nothing", "plates"], "no model 'nothing'"),
        (["evaluate", "MODEL", "nothing"], "nothing"),
        (["evaluate", "MODEL", "plates", "--split", "valid"], "no split 'valid'"),
        (["read", "nothing", "a.jpg"], "no model 'nothing'"),
        (["lint", "plates", "--alphabet", "klingon"], "no alphabet is named 'klingon'"),
    ],
)
def test_messages_for_wrong_arguments(arguments, words, run_dir, capsys, tmp_path):
    arguments = [str(run_dir) if a == "MODEL" else a for a in arguments]
    out = ["--out", str(tmp_path / "run")] if arguments[0] == "train" else []
    assert main([*arguments, *out]) == 2
    err = capsys.readouterr().err
    assert words in err and "Traceback" not in err


def test_help_and_unknown_verbs(capsys):
    stray = ["train", "plates", "--resume", "epochs"]
    for arguments, status in ((["--help"], 0), (["dance"], 2), ([], 2), (stray, 2), (["doctor", "a=b"], 2)):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == status
    assert "evaluate" in capsys.readouterr().out


def test_as_a_command(run_dir, tmp_path):
    Image.new("RGB", (100, 30)).save(tmp_path / "a.png")
    command = [sys.executable, "-m", "ocrkit", "read", str(run_dir), str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(str(tmp_path / "a.png"))


@pytest.mark.skipif("OCRKIT_REAL_DATA" not in os.environ, reason="OCRKIT_REAL_DATA names no folder of real plates")
def test_training_on_real_plates_makes_the_reader_better(tmp_path, capsys):
    """The real road at small scale: train on real crops beside rendered ones, evaluate on other plates."""
    real = Path(os.environ["OCRKIT_REAL_DATA"]) / "plates" / "ccpd" / "dev"
    small = ["rendered=200", f"samples={real}", "epochs=1", "learning_rate=1e-4", "schedule=constant", "start=plates"]
    assert main(["train", "plates", *small, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run"), str(real), "--split", "test", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["n"] > 100
    assert facts["accuracy"] > 0.8 and facts["cer"] < 0.05
