import json
import types

import pandas as pd
import pytest
import torch

import ocrkit as ok
from ocrkit.synth import write_names
from tools.benchmarks import center_report, centers
from tools.benchmarks.lprnet import LPRNet
from tools.benchmarks.measures import own_memory, per_second
from tools.benchmarks.names import SIZE, KerasNames, NamesLaptop, held_out, names
from tools.benchmarks.report import END, START, draw, seconds_to, write_readme
from tools.benchmarks.systems import PLATE_SYSTEMS, system


def results():
    speed = {"images_per_second": 50.0, "without_loading": 60.0, "memory_mb": 900.0, "batch": 128}
    race = {
        "light": {"curve": [[10, 0.5], [30, 0.08], [60, 0.02]], "n": 100},
        "vgg": {"curve": [[60, 1.0], [600, 0.3]], "n": 100},
    }
    return {
        "machine": "a laptop", "torch": "2", "training": {"light": {**speed, "images_per_second": 600.0}, "vgg": speed},
        "race": race, "reading": {"light": {"batch 1": 400.0, "batch 64": 1300.0}},
    }  # fmt: skip


def test_time_to_a_goal_is_the_first_point_at_or_below_it():
    curve = [[1, 0.9], [2, 0.1], [3, 0.2], [4, 0.05]]
    assert seconds_to(curve, 0.1) == 2 and seconds_to(curve, 0.06) == 4 and seconds_to(curve, 0.01) is None


def test_tables_go_between_the_marks_and_nothing_else_changes(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}\nold\n{END}\nafter\n", encoding="utf-8")
    text = write_readme(results(), readme)
    assert readme.read_text(encoding="utf-8") == f"before\n{START}\n{text}\n{END}\nafter\n" and "old" not in text
    assert "| VGG plate system | 128 | 50 | 12.0 | 17% | 900 MB |" in text
    assert "| ours: laptop recipe | 0.5 min | 1.0 min | 0.020 |" in text
    assert "| VGG plate system | not in 10 min (over 20.0 x ours) | not in 10 min (over 10.0 x ours) | 0.300 |" in text
    again = write_readme(results(), readme)
    assert again == text
    readme.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the marks"):
        write_readme(results(), readme)


def test_the_plot_is_drawn_of_what_was_measured(tmp_path):
    draw(results(), tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_the_compared_networks_have_their_published_sizes():
    assert sum(p.numel() for p in LPRNet().parameters()) == pytest.approx(450_000, rel=0.02)
    assert LPRNet().eval()(torch.zeros(2, 3, 24, 94)).shape == (2, 68, 18)
    vgg = system("vgg", ok.load_samples("plates")[:2], None)
    assert sum(p.numel() for p in vgg.model.parameters()) == pytest.approx(16_300_000, rel=0.02)


@pytest.mark.parametrize("name", ["light", *PLATE_SYSTEMS])
def test_each_system_trains_and_reads(tmp_path, name):
    samples = ok.load_samples("plates")[:4]
    run = system(name, samples, tmp_path)
    model = run.recognizer.model if name == "light" else run.model
    before = model.state_dict()["features.0.weight"].clone()
    batch = next(run.batches())
    assert len(batch.texts) == 4 and batch.images.shape[2:] == (32, 96 if name == "light" else 128)
    run(batch)
    assert not torch.equal(before, model.state_dict()["features.0.weight"])
    assert [type(text) for text in run.read(samples[:2])] == [str, str]


class PathModel(torch.nn.Module):
    """Whatever the images, the best classes are those of one path."""

    def __init__(self, path: list[int], classes: int):
        super().__init__()
        self.logits = torch.nn.functional.one_hot(torch.tensor(path), classes)

    def forward(self, images):
        return self.logits[:, None].expand(-1, len(images), -1)


def test_plate_systems_merge_repeats_before_they_drop_blanks():
    run = system("vgg", ok.load_samples("plates")[:1], None)
    code = run.tokenizer.encode("皖A1")
    path = [0, code[0], code[0], 0, code[1], code[1], code[2], 0, code[2], code[2], 0]
    run.model = PathModel(path, run.tokenizer.num_classes)
    assert run.read(ok.load_samples("plates")[:2]) == ["皖A11", "皖A11"]


@pytest.fixture(scope="module")
def few_names(tmp_path_factory):
    """Four files of names and their table."""
    return write_names(tmp_path_factory.mktemp("names"), {"train": (4, 1)})


def test_the_keras_names_system_has_the_network_and_the_steps_of_the_original(few_names):
    run = KerasNames(few_names)
    learned = sum(p.numel() for p in run.model.parameters() if p.requires_grad)
    # 571,615 for 31 classes; each class has 128 weights and a bias in the last layer.
    assert learned == 571_615 + (run.tokenizer.num_classes - 31) * 129
    batch = next(run.batches())
    assert batch.images.shape == (4, 1, *SIZE) and 0 <= batch.images.min() < 0.5 < batch.images.max() <= 1
    before = run.model.state_dict()["features.0.weight"].clone()
    run(batch)
    assert not torch.equal(before, run.model.state_dict()["features.0.weight"])
    norms = torch.stack([p.grad.norm() for p in run.model.parameters() if p.requires_grad])
    assert norms.max() <= 5.001 and norms.norm() > 5.001, "each tensor is clipped alone"
    group = run.optimizer.param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.9, True) and group["lr"] == pytest.approx(0.002 / (1 + 1e-6))


@pytest.mark.parametrize("fill_counts", [False, True])
def test_loss_of_the_names_system_is_a_sum_over_each_label_from_the_third_step_on(few_names, fill_counts):
    run = KerasNames(few_names, fill_counts)
    run.model.eval()
    batch = next(run.batches())
    with torch.no_grad():
        log_p = run.model(batch.images).log_softmax(-1)[2:]
        costs = []
        for i, text in enumerate(batch.texts):
            target = run.tokenizer.encode(text)
            target += [run.tokenizer.PAD] * (22 - len(target)) * fill_counts
            one = torch.tensor([target]), torch.tensor([62]), torch.tensor([len(target)])
            costs.append(torch.nn.functional.ctc_loss(log_p[:, i : i + 1], *one, reduction="none").item())
        assert run.loss(batch).item() == pytest.approx(sum(costs) / 4, rel=1e-5)


def test_the_names_system_stops_early_and_keeps_its_best_weights(few_names, monkeypatch):
    run, losses, heads = KerasNames(few_names), iter([5.0, 3.0, 4.0, 3.5, 1.0]), []

    def validate(samples):
        heads.append(run.model.classifier[-1].weight.clone())
        return next(losses)

    monkeypatch.setattr(run, "validate", validate)
    history = run.fit(few_names, epochs=5, steps=1, patience=2)
    assert history.valid_loss.tolist() == [5.0, 3.0, 4.0, 3.5] and history.epoch.tolist() == [1, 2, 3, 4]
    assert torch.equal(run.model.classifier[-1].weight, heads[1]) and not torch.equal(heads[1], heads[3])
    assert KerasNames(few_names).validate(few_names) > 0


def test_our_names_recipe_spreads_its_learning_rate_over_the_time(few_names, tmp_path):
    # Enough steps that the peak of the rate is one of them.
    run = NamesLaptop(pd.concat([few_names] * (640 // len(few_names)), ignore_index=True), tmp_path / "store")
    recipe, rate = run.recipe, lambda: run.stepper.optimizer.param_groups[0]["lr"]
    assert (recipe.backbone, recipe.image_size, recipe.mode, recipe.resize) == ("light", (64, 384), "L", "pad")
    run(next(run.batches()))
    rates = [rate()]
    for share in (0.3, 0.6, 1.0, 1.2):
        run.pace(share)
        rates.append(rate())
    assert rates[0] < rates[1] > rates[2] > rates[3] == rates[4]


def test_names_are_raced_on_files_and_read_at_the_end(tmp_path, few_names):
    real = few_names["image"][0].rsplit("/", 2)[0]
    found = names(tmp_path, "lenet", 0.01, 3, 2, real)
    assert found["batch"] == 128 and found["images_per_second"] > 0 and len(found["curve"]) == 1
    assert {what: exam["n"] for what, exam in found["exams"].items()} == {
        "rendered names": 2, f"real: {real.rsplit('/', 1)[1]}": len(held_out(real)),
    }  # fmt: skip
    table = pd.read_csv(tmp_path / "names-train-3.csv")
    assert len(table) == len(list((tmp_path / "names-train-3").iterdir())) == 3
    again = names(tmp_path, "light", 0.01, 3, 2)
    assert again["batch"] == 64 and list(again["exams"]) == ["rendered names"]


def test_table_of_the_names_systems(tmp_path):
    def run(speed, curve, exact):
        exams = {"rendered names": {"n": 90, "accuracy": exact, "interval": [0.0, 0.5], "cer": 0.125}}
        return {"seconds": 300.0, "batch": 64, "images_per_second": speed, "curve": curve, "exams": exams}

    both = {"light": run(200.0, [[9, 0.9], [40, 0.4], [90, 0.1]], 0.25), "lenet": run(50.0, [[99, 0.45]], 0.0)}
    readme = tmp_path / "README.md"
    readme.write_text(f"{START}{END}", encoding="utf-8")
    text = write_readme(results() | {"names": both}, readme)
    assert "| ours: recipe names-start | 64 | 200 | 1.0 | 40 s | 90 s | 0.250 (0.000 to 0.500) | 0.1250 |" in text
    assert "| Keras names system | 64 | 50 | 4.0 | 99 s | not reached | 0.000 (0.000 to 0.500) | 0.1250 |" in text
    assert "| names, 300 s of training each |" in text and "rendered names (90): exact match at the end" in text


def test_measuring_tools():
    assert per_second(10, lambda: None) > 0
    assert own_memory() > 10


def center_runs():
    def run(variant, seed, exact, alike):
        return {"variant": variant, "seed": seed, "accuracy": exact, "look_alikes": alike, "confused": 0.05}

    runs = [run("plain CTC", 0, 0.6, 0.8), run("plain CTC", 1, 0.7, 0.9)]
    runs += [run("center 0.01", 0, 0.65, 0.85), run("center 0.01", 1, 0.69, 0.92), run("focal CTC", 0, 0.5, 0.7)]
    settings, start = {"test": 100, "epochs": 1, "train": 10}, {"accuracy": 0.5, "look_alikes": 0.6}
    return {"runs": runs, "step_ms": {"plain CTC": 20.0, "center 0.01": 25.0}, "settings": settings, "start": start}


def test_center_page_has_each_variant_beside_plain_ctc():
    text = center_report.page({"look-alikes": center_runs()})
    assert "## look-alikes\n" in text and "50.0% of the 100 test images" in text
    row = (
        "| center 0.01 | 2 | 67.0 ± 2.8 | +2.00 (-1.00 to +5.00) | 88.5 ± 4.9 | +3.50 (+2.00 to +5.00) | 5.0 | x 1.25 |"
    )
    assert row in text
    assert "| plain CTC | 2 | 65.0 ± 7.1 |  | 85.0 ± 7.1 |  | 5.0 | x 1.00 |" in text


def test_committed_page_is_made_from_the_committed_records():
    records = json.loads(centers.RESULTS.read_text(encoding="utf-8"))
    assert centers.RESULTS.with_suffix(".md").read_text(encoding="utf-8") == center_report.page(records)


def test_center_experiment_runs_goes_on_and_refuses_other_settings(tmp_path, capsys):
    sizes = {"train": 24, "test": 8, "epochs": 1, "start-train": 8, "start-epochs": 1, "rounds": 1}
    words = [f"--{name}={n}" for name, n in sizes.items()]
    words += ["--results", tmp_path / "centers.json", "--picture", tmp_path / "a.png", "--folder", tmp_path / "runs"]
    run = lambda *more: centers.main([str(w) for w in (*words, *more)])  # noqa: E731
    run("--seeds", 1, "--only", "plain CTC;center 0.01, random")
    first = json.loads((tmp_path / "centers.json").read_text())["look-alikes"]
    assert [(r["variant"], r["seed"]) for r in first["runs"]] == [("plain CTC", 0), ("center 0.01, random", 0)]
    assert set(first["step_ms"]) == {"plain CTC", "center 0.01, random"} and len(first["alignments"]) == 3
    run("--seeds", 2, "--only", "plain CTC")
    second = json.loads((tmp_path / "centers.json").read_text())["look-alikes"]
    assert second["runs"][:2] == first["runs"] and second["runs"][2]["seed"] == 1
    assert (tmp_path / "centers.md").read_text(encoding="utf-8").count("\n|") == 4 and (tmp_path / "a.png").exists()
    with pytest.raises(SystemExit, match="pass the same, or another --results"):
        run("--epochs", 2)
    with pytest.raises(SystemExit, match="no variant is named 'magic'; there are: plain CTC; center 0.001"):
        run("--only", "magic")
    run("--draw")
    assert "center 0.01, random" in capsys.readouterr().out


def test_reading_of_look_alikes_is_counted_by_character():
    class Reader:
        def decode(self, images, batch_size):
            return [types.SimpleNamespace(text=t) for t in ("8A", "B", "00", "X")]

    test = types.SimpleNamespace(texts=["BA", "B8", "0O", "X"], images=None)
    found = centers.read_test(Reader(), test, ("8B", "0O"))
    assert found["accuracy"] == 0.25 and found["look_alikes"] == pytest.approx(2 / 5)
    assert found["confused"] == pytest.approx(2 / 5)
