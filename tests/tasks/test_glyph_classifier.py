"""`GlyphClassifier`, its network, its training and what is said about its errors; small, and without a network."""

import json
import shutil
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw

import ocrkit as ok
from ocrkit.__main__ import main
from ocrkit.data.augmentation import augment, augmentation
from ocrkit.data.sizes import cut_to_ink, fit_size
from ocrkit.errors.plots import plot_history, plot_lr_find
from ocrkit.maps.cam import feature_layers
from ocrkit.tasks.glyphs import network, training
from ocrkit.tasks.glyphs.classifier import GlyphClassifier
from ocrkit.tasks.glyphs.network import GlyphNet, imagenet_weights
from ocrkit.tasks.glyphs.training import GlyphStepper, group_rates

CLASSES = ("-", "7", "Date")
SMALL = {"backbone": "resnet18-short", "image_size": (32, 32), "mode": "L", "device": "cpu"}


def draw(name, rng):
    """A glyph that a small network tells apart after some steps: a bar, a wedge, a block with a hole."""
    image = Image.new("L", (50, 90), 255)
    pen, (x, y) = ImageDraw.Draw(image), rng.integers(-4, 5, 2)
    if name == "-":
        pen.line((10 + x, 45 + y, 40 + x, 45 + y), 0, 6)
    elif name == "7":
        pen.line((10 + x, 20 + y, 25 + x, 70 + y, 40 + x, 20 + y), 0, 6)
    else:
        pen.rectangle((8 + x, 30 + y, 42 + x, 64 + y), 0)
        pen.rectangle((20 + x, 42 + y, 30 + x, 52 + y), 255)
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("glyphs")
    for split, n in (("train", 24), ("valid", 4), ("test", 4)):
        for name in CLASSES:
            (folder / split / name).mkdir(parents=True)
            for k in range(n):
                draw(name, rng).save(folder / split / name / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def samples(folder):
    return ok.load_samples(folder)


@pytest.fixture(scope="module")
def packs(samples):
    reader = GlyphClassifier.create(CLASSES, **SMALL)
    return {split: reader.pack(part) for split, part in samples.groupby("split")}


@pytest.fixture(scope="module")
def trained(packs):
    reader = GlyphClassifier.create(CLASSES, **SMALL)
    history = ok.fit_glyphs(reader, packs["train"], packs["valid"], 4, 3e-3, batch_size=16, amp="off")
    return reader, history


@pytest.fixture
def fresh():
    return GlyphClassifier.create(CLASSES, **SMALL)


# --- the network ---


@pytest.mark.parametrize("backbone", list(network.BACKBONES))
def test_network_shapes_and_groups(backbone):
    model = GlyphNet(5, backbone).eval()
    assert model(torch.zeros(2, 3, 32, 48)).shape == (2, 5)
    body = sum(p.numel() for p in model.features.parameters())
    sizes = {"resnet18-short": 2.8e6, "resnet18": 11.2e6, "resnet34": 21.3e6, "resnet50": 23.5e6, "mobilenet-v2": 2.2e6}
    wanted = sizes[backbone]
    assert body == pytest.approx(wanted, rel=0.02)
    groups = model.groups()
    assert len(groups) == 3 and sum(p.numel() for g in groups for p in g) == sum(p.numel() for p in model.parameters())


def test_body_is_that_of_torchvision_with_imagenet_statistics():
    from torchvision import models
    from torchvision.transforms.v2.functional import normalize

    theirs = models.resnet18(weights=None).eval()
    ours = GlyphNet(4, "resnet18").eval()
    ours.features.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")})
    photos = torch.rand(2, 3, 64, 64)
    scaled = normalize(photos, network.IMAGENET_MEAN, network.IMAGENET_STD)
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(scaled))))
    for stage in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4):
        x = stage(x)
    found = ours.features((2 * photos - 1 - ours.mean) / ours.std)
    torch.testing.assert_close(found, x, rtol=1e-3, atol=1e-4)
    assert ours.head[0](x).shape == (2, 1024)
    torch.testing.assert_close(ours.head[0](x)[:, 512:], theirs.avgpool(x).flatten(1), rtol=1e-4, atol=1e-5)


def test_gray_and_equal_colors_are_the_same():
    model = GlyphNet(3, "resnet18-short").eval()
    gray = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(model(gray), model(gray.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backbone": "resnet99"}, "no backbone is named 'resnet99'; there are: resnet18-short"),
        ({"classes": ("a",)}, "num_classes=1"),
        ({"classes": ("a", "a")}, "class 'a' is there twice"),
        ({"image_size": (16, 64)}, "at least 32 pixels"),
        ({"mode": "CMYK"}, "mode='CMYK'"),
        ({"resize": "crop"}, "resize='crop'"),
        ({"weights": "mine.pth"}, "goes into start="),
    ],
)
def test_settings_that_cannot_work(settings, words):
    with pytest.raises(ValueError, match=words):
        GlyphClassifier.create(**({"classes": CLASSES} | SMALL | settings))


# --- weights to start from ---


def fake_hub(monkeypatch, error=None):
    """What torchvision would load: a whole ResNet-18 with known numbers, or an error."""
    from torchvision import models

    whole = models.resnet18(weights=None)
    for tensor in whole.state_dict().values():
        tensor.fill_(1)

    def state_dict(self, **options):
        if error:
            raise error
        return whole.state_dict()

    monkeypatch.setattr(models.ResNet18_Weights, "get_state_dict", state_dict)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet18-short"])
def test_imagenet_weights_go_into_the_body(monkeypatch, backbone, capsys):
    fake_hub(monkeypatch)
    reader = GlyphClassifier.create(CLASSES, **SMALL | {"backbone": backbone}, weights="imagenet")
    assert set(imagenet_weights(backbone)) <= set(reader.model.features.state_dict())
    assert all((p == 1).all() for p in reader.model.features.parameters())
    assert not (reader.model.head[3].weight == 1).any() and capsys.readouterr().out == ""


@pytest.mark.parametrize("error", [URLError("no route"), RuntimeError("invalid hash value"), TimeoutError("timed out")])
def test_without_a_network_one_line_says_so(monkeypatch, capsys, fresh, error):
    fake_hub(monkeypatch, error)
    scratch = GlyphClassifier.create(CLASSES, **SMALL, weights="imagenet")
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and "cannot be had" in out and "training starts from scratch" in out
    for one, other in zip(scratch.model.parameters(), fresh.model.parameters(), strict=True):
        assert torch.equal(one, other)
    GlyphClassifier.create(CLASSES, **SMALL, weights="imagenet", start=fresh)
    assert "the body of start= is taken" in capsys.readouterr().out


def test_start_takes_the_body_and_makes_a_new_head(trained, tmp_path):
    reader, _ = trained
    for start in (reader, reader.save(tmp_path / "start")):
        other = GlyphClassifier.create(("a", "b"), **SMALL, start=start, seed=1)
        for name, tensor in reader.model.features.state_dict().items():
            assert torch.equal(tensor, other.model.features.state_dict()[name])
        assert other.classes == ("a", "b")
        assert other.logits(torch.zeros(1, 1, 32, 32, dtype=torch.uint8)).shape == (1, 2)
    with pytest.raises(ValueError, match="has the backbone 'resnet18-short', not 'resnet18'"):
        GlyphClassifier.create(CLASSES, "resnet18", start=reader)


# --- training ---


def test_training_learns_and_keeps_the_best_epoch(trained, packs):
    reader, history = trained
    assert list(history.columns) == [
        "epoch", "train_loss", "valid_loss", "valid_accuracy", "learning_rate", "seconds", "images_per_second"
    ]  # fmt: skip
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    read = reader.read(packs["valid"])
    assert (read["text"] == read["prediction"]).mean() == pytest.approx(history["valid_accuracy"].max())
    assert history["valid_accuracy"].max() > 0.9
    assert plot_history(history).axes[0].get_ylabel() == "cross-entropy"
    assert not reader.model.training


def test_the_same_seed_gives_the_same_weights(packs):
    found = []
    for _ in range(2):
        reader = GlyphClassifier.create(CLASSES, **SMALL)
        ok.fit_glyphs(reader, packs["train"].keep([k % 3 == 0 for k in range(72)]), packs["valid"], 1, batch_size=12)
        found.append(reader.logits(packs["test"].images))
    assert torch.equal(*found)


@pytest.mark.parametrize(
    ("rate", "wanted"),
    [
        (1e-3, [1e-3] * 3),
        (slice(1e-5, 1e-3), [1e-5, 1e-4, 1e-3]),
        (slice(1e-3), [1e-4, 1e-4, 1e-3]),
        (slice(None, 1e-3), [1e-4, 1e-4, 1e-3]),
    ],
)
def test_rates_of_the_groups(fresh, rate, wanted):
    assert group_rates(rate) == pytest.approx(wanted)
    stepper = GlyphStepper(fresh, rate)
    assert [g["lr"] for g in stepper.optimizer.param_groups] == pytest.approx(wanted)


@pytest.mark.parametrize("rate", [0, -1e-3, slice(0, 1e-3), slice(1e-5, None)])
def test_rates_that_cannot_work(rate):
    with pytest.raises(ValueError, match="must be above 0"):
        group_rates(rate)


def test_low_rates_move_the_body_less_than_the_head(fresh, packs):
    before = [[p.clone() for p in group] for group in fresh.model.groups()]
    stepper = GlyphStepper(fresh, slice(1e-6, 1e-2), weight_decay=0.0, amp="off")
    stepper(packs["train"].images[:8], fresh.codes(packs["train"].texts[:8]))
    moved = [
        max((p - old).abs().max().item() for p, old in zip(group, olds))
        for group, olds in zip(fresh.model.groups(), before)
    ]
    assert moved == pytest.approx([1e-6, 1e-4, 1e-2], rel=0.05)  # the first step of Adam is as long as its rate


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_frozen_body_stays(fresh, packs, batch_norm):
    before = {name: t.clone() for name, t in fresh.model.state_dict().items()}
    fresh.freeze(batch_norm)
    ok.fit_glyphs(fresh, packs["train"], packs["valid"], 1, 1e-2, batch_size=36, amp="off")
    changed = {name for name, t in fresh.model.state_dict().items() if not torch.equal(t, before[name])}
    assert {"head.3.weight", "head.7.weight"} <= changed
    assert not any(name.startswith("features") and ("conv" in name or "downsample.0" in name) for name in changed)
    assert any(name.startswith("features") for name in changed) == batch_norm
    fresh.unfreeze()
    assert all(p.requires_grad for p in fresh.model.parameters())


def test_rate_finder_puts_the_weights_back(fresh, packs):
    before = {name: t.clone() for name, t in fresh.model.state_dict().items()}
    found = ok.lr_find_glyphs(fresh, packs["train"], batch_size=12, steps=12, amp="off")
    assert all(torch.equal(t, before[name]) for name, t in fresh.model.state_dict().items())
    assert found["learning_rate"].is_monotonic_increasing and len(found) > 6
    assert 1e-7 <= found.attrs["suggestion"] <= 1.0 and not fresh.model.training
    assert plot_lr_find(found).axes[0].get_xlabel() == "learning rate"


def test_progressive_resizing(trained, packs, samples):
    reader = GlyphClassifier.create(CLASSES, **SMALL, start=trained[0])
    reader.image_size = (48, 48)
    with pytest.raises(ValueError, match=r"images are 32 x 32 and the classifier reads 48 x 48: set .*image_size"):
        ok.fit_glyphs(reader, packs["train"], packs["valid"])
    train, valid = (reader.pack(samples[samples["split"] == s].iloc[::4]) for s in ("train", "valid"))
    assert train.images.shape[1:] == (1, 48, 48)
    assert len(ok.fit_glyphs(reader, train, valid, 1, slice(1e-5, 1e-3), batch_size=9)) == 1


def test_labels_that_are_no_class_are_set_aside(fresh, packs, capsys):
    train = packs["train"].keep([k % 4 == 0 for k in range(72)])
    train.samples = train.samples.assign(text=["", "unheard", *train.texts[2:]])
    train.__post_init__()
    history = ok.fit_glyphs(fresh, train, packs["valid"], 1, batch_size=8)
    reasons = [row["reason"] for row in history.attrs["set_aside"]]
    assert reasons == ["the label is empty", "'unheard' is no class of the model"]
    assert "2 samples are set aside" in capsys.readouterr().out
    with pytest.raises(ValueError, match="0 usable training"):
        ok.fit_glyphs(fresh, train.keep([k < 2 for k in range(18)]), packs["valid"])
    with pytest.raises(ValueError, match="batch_size=1"):
        ok.fit_glyphs(fresh, train, packs["valid"], batch_size=1)


def test_a_last_batch_of_one_image_is_left_out(fresh, packs):
    assert [len(b) for b in training._orders(9, 4, 0, 0)] == [4, 4]
    nine = packs["train"].keep([k < 9 for k in range(72)])
    assert len(ok.fit_glyphs(fresh, nine, packs["valid"], 1, batch_size=4, augment="none")) == 1


def test_stopped_by_hand_keeps_the_best(fresh, packs, capsys):
    def stop(history):
        if len(history) == 2:
            raise KeyboardInterrupt

    few = packs["train"].keep([k < 8 for k in range(72)])
    history = ok.fit_glyphs(fresh, few, packs["valid"], 5, batch_size=8, on_epoch=stop)
    assert len(history) == 2 and "the weights of the best epoch are kept" in capsys.readouterr().out


def test_a_loss_that_is_no_number_is_told(fresh, packs):
    with torch.no_grad():
        fresh.model.head[7].bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        ok.fit_glyphs(fresh, packs["train"], packs["valid"], 1)


def test_augmentation_keeps_paper_white_and_nothing_is_flipped():
    torch.manual_seed(0)
    image = torch.full((64, 1, 64, 64), 255, dtype=torch.uint8)
    image[:, :, 12:52, 14:20] = 0  # an L that leans nowhere: its foot goes right
    image[:, :, 46:52, 14:44] = 0
    seen = augment(image, augmentation("glyphs"))
    assert seen.shape == image.shape and seen.dtype == torch.uint8
    assert seen[:, :, :3].float().mean() > 240  # no dark border comes in
    ink = 255 - seen.float()
    left, right = ink[..., :32].sum((1, 2, 3)), ink[..., 32:].sum((1, 2, 3))
    top, bottom = ink[:, :, :32].sum((1, 2, 3)), ink[:, :, 32:].sum((1, 2, 3))
    assert (left > right).all() and (bottom > top).all()
    assert len({image.numpy().tobytes() for image in seen}) > 8


# --- reading ---


def test_results_table(trained, samples, folder):
    reader, _ = trained
    table = samples[samples["split"] == "test"].copy()
    table.loc[table.index[1], "image"] = str(folder / "gone.png")
    results = reader.read(table)
    assert results.index.equals(table.index)
    assert set(results) == {*table, "prediction", "confidence", "second", "margin", "error", "distance", "operations"}
    read = results[results["error"] == ""]
    assert len(read) == len(table) - 1 and "no such file" in results["error"].iloc[1]
    assert read["prediction"].isin(CLASSES).all() and (read["prediction"] != read["second"]).all()
    assert read["confidence"].between(1 / 3, 1).all() and (read["margin"] <= read["confidence"]).all()
    logits = reader.logits(reader.pack(table).images).softmax(-1)
    np.testing.assert_allclose(read["confidence"], logits.amax(1), rtol=1e-5)
    assert (read["distance"] == (read["text"] != read["prediction"])).all()


def test_read_takes_what_a_recognizer_takes(trained, samples):
    reader, _ = trained
    path = samples["image"][0]
    for images in (path, [path], ok.read_image(path), [ok.read_image(path, "L")], pd.DataFrame({"image": [path]})):
        (row,) = reader.read(images).itertuples()
        assert row.prediction in CLASSES
    with pytest.raises(TypeError, match="paths or uint8 arrays"):
        reader.read(7)
    with pytest.raises(ValueError, match="gone.png: there is no such file"):
        reader.read("gone.png")


@pytest.mark.parametrize("half", [False, True])
def test_save_and_load(trained, packs, tmp_path, half):
    reader, _ = trained
    reader.save(tmp_path / "a", half)
    again = GlyphClassifier.load(tmp_path / "a", "cpu")
    assert repr(again) == repr(reader) and again.classes == CLASSES
    torch.testing.assert_close(
        again.logits(packs["test"].images), reader.logits(packs["test"].images), atol=0.05 if half else 0, rtol=0
    )
    again.save(tmp_path / "b", half)
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert isinstance(ok.load_model(tmp_path / "a"), GlyphClassifier)
    assert isinstance(ok.load_model("plates"), ok.Recognizer)


def change(folder, **values):
    config = json.loads((folder / "config.json").read_text()) | values
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: change(f, classes=["-", "Date", "7"]), "different classes"),
        (lambda f: change(f, backbone="resnet18"), "does not fit the model in config.json .*'resnet18', 3 classes"),
        (lambda f: change(f, classes=None), "lacks classes"),
        (lambda f: change(f, format="ocrkit glyph classifier 9"), "glyph classifier 9.*this ocrkit reads"),
        (lambda f: change(f, format="ocrkit recognizer 1"), "holds a Recognizer, not a GlyphClassifier"),
        (lambda f: (f / "model.safetensors").write_bytes(b"short"), "damaged"),
        (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
    ],
)
def test_spoiled_folders_say_what_is_wrong(fresh, tmp_path, spoil, words):
    spoil(fresh.save(tmp_path / "model"))
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        GlyphClassifier.load(tmp_path / "model")


# --- what is said about errors ---


@pytest.fixture
def results():
    pairs = [("Date", "Date"), ("Date", "dated"), ("Date", "dated"), ("_", "-"), ("_", "_"), ("3", "2"), ("2", "2")]
    table = pd.DataFrame(pairs, columns=["text", "prediction"])
    return table.assign(confidence=np.linspace(0.3, 0.9, len(table)), image="x.png")


def test_confusions_of_class_names(results):
    assert ok.most_confused(results, unit="text").iloc[0].tolist() == ["Date", "dated", 2, 3, 2 / 3]
    matrix = ok.confusion_matrix(results, unit="text")
    wanted = pd.crosstab(results["text"], results["prediction"])
    wanted = wanted.reindex(index=matrix.index, columns=matrix.columns, fill_value=0)
    np.testing.assert_array_equal(matrix.to_numpy(), wanted.to_numpy())
    assert len(ok.confusions(results, unit="text")) == 3


def test_scores_by_class(results):
    table = ok.by_class(results)
    names = ["text", "n", "right", "accuracy", "predicted", "precision"]
    rows = [tuple(row) for row in table[names].itertuples(index=False)]
    assert rows[:5] == [
        ("3", 1, 0, 0.0, 0, pytest.approx(np.nan, nan_ok=True)),
        ("Date", 3, 1, 1 / 3, 1, 1.0),
        ("_", 2, 1, 1 / 2, 1, 1.0),
        ("2", 1, 1, 1.0, 2, 0.5),
        ("-", 0, 0, pytest.approx(np.nan, nan_ok=True), 1, 0.0),
    ]
    assert (table["low"] <= table["accuracy"].fillna(0.5)).all() and (table["accuracy"].fillna(0.5) <= table.high).all()
    score = ok.score_classes(results).set_index("metric")
    assert score.loc["accuracy", ["value", "n"]].tolist() == [3 / 7, 7]
    assert score.low["accuracy"] < 3 / 7 < score.high["accuracy"]
    assert score.value["class_accuracy"] == pytest.approx(np.mean([1 / 3, 1 / 2, 0, 1]))
    with pytest.raises(ValueError, match="no column 'prediction'; it has: "):
        ok.score_classes(results.drop(columns="prediction"))


def test_top_losses_of_a_classifier(trained, samples):
    reader, _ = trained
    table = samples[samples["split"] == "test"].copy()
    table.loc[table.index[0], "text"] = "Date" if table["text"].iloc[0] != "Date" else "7"
    table.loc[table.index[1], "text"] = "unheard"
    table.loc[table.index[2], "image"] = "gone.png"
    losses = ok.label_losses(reader, table)
    assert np.isinf(losses.iloc[1]) and np.isnan(losses.iloc[2])
    chances = reader.logits(reader.pack(table.iloc[3:]).images).softmax(-1)
    wanted = [-np.log(chances[k, CLASSES.index(text)].item()) for k, text in enumerate(table["text"].iloc[3:])]
    np.testing.assert_allclose(losses.iloc[3:], wanted, atol=1e-5)
    results = reader.read(table).assign(loss=losses)
    assert ok.top_losses(results, 2).index.tolist() == list(table.index[[1, 0]])
    assert ok.likely_mislabelled(results).index[0] == table.index[1]


def test_heat_maps_of_a_classifier(trained, samples):
    """The map for the block lies on the block, and all methods of `cam` take the network as it is."""
    reader, _ = trained
    rng = np.random.default_rng(5)
    packed = reader.pack([np.array(draw(name, rng)) for name in ("Date", "7")])
    layer = feature_layers(reader.model)[-1]
    before = {name: t.clone() for name, t in reader.model.state_dict().items()}
    target = ok.class_target(reader.codes(["Date", "7"]).tolist())
    for method in (ok.grad_cam, ok.hires_cam, ok.grad_cam_plus_plus):
        maps = method(reader.model, packed.images, layer, target)
        assert maps.shape == (2, 32, 32) and np.isfinite(maps).all() and maps.min() >= 0
    occluded = ok.occlusion_map(reader.model, packed.images, target, fill=1.0)
    ink = packed.images[:, 0].numpy() < 128
    # To cover a glyph with paper costs more than to cover paper.
    assert occluded[0][ink[0]].mean() > occluded[0][~ink[0]].mean()
    assert ok.activation_map(reader.model, packed.images, layer).shape == (2, 32, 32)
    assert all(torch.equal(t, before[name]) for name, t in reader.model.state_dict().items())


# --- the command line ---


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory):
    return trained[0].save(tmp_path_factory.mktemp("models") / "small")


def test_evaluate(saved, folder, capsys, tmp_path):
    capsys.readouterr()
    out = tmp_path / "results.csv"
    assert main(["evaluate", str(saved), str(folder), "--split", "test", "--json", "--out", str(out)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["n"] == 12 and facts["cer"] is None and facts["cer_ci"] is None
    assert facts["accuracy_ci"][0] <= facts["accuracy"] <= facts["accuracy_ci"][1]
    table = pd.read_csv(out, keep_default_na=False, dtype=str)
    assert facts["accuracy"] == pytest.approx((table["text"] == table["prediction"]).mean())
    assert main(["evaluate", str(saved), str(folder)]) == 0
    assert "class_accuracy" in capsys.readouterr().out


def test_evaluate_names_what_cannot_count(saved, folder, capsys, tmp_path):
    shutil.copytree(folder / "test", tmp_path / "set")
    (tmp_path / "set" / "7" / "broken.png").write_bytes(b"no image")
    (tmp_path / "set" / "7" / "notes.txt").write_text("hello")
    assert main(["evaluate", str(saved), str(tmp_path / "set"), "--json"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert (facts["n"], facts["set_aside"]) == (12, 2) and "broken.png" in err and "notes.txt" in err


def test_read_and_doctor(saved, folder, capsys, monkeypatch):
    image = str(folder / "test" / "7" / "0.png")
    assert main(["read", str(saved), image]) == 0
    path, text, confidence = capsys.readouterr().out.rstrip("\n").split("\t")
    assert path == image and text in CLASSES and 0 <= float(confidence) <= 1
    assert main(["read", str(saved), image, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts.keys() == {"image", "text", "confidence", "second", "margin"} and facts["text"] == text
    monkeypatch.setattr("ocrkit.reader.model_files.MODELS", saved.parent)
    main(["doctor"])
    assert "[OK] model small: GlyphClassifier(resnet18-short" in capsys.readouterr().out


def test_lint_with_a_glyph_model_says_what_it_needs(saved, capsys):
    assert main(["lint", "plates", "--model", str(saved)]) == 2
    assert "holds a GlyphClassifier, not a Recognizer" in capsys.readouterr().err


# --- cut to the ink ---


@pytest.mark.parametrize("size", [(32, 32), (48, 32), (32, 64)])
def test_a_glyph_is_seen_alike_wherever_it_stands(size):
    glyph = np.array(draw("7", np.random.default_rng(1)))
    small = np.full((200, 197), 250, np.uint8)
    small[100:190, 120:170] = np.where(glyph < 128, 10, 250)
    one, other = (fit_size(image, size, "ink")[0] for image in (np.where(glyph < 128, 10, 250).astype(np.uint8), small))
    assert one.shape == other.shape == size
    assert np.abs(one.astype(int) - other).mean() < 4
    ink = np.argwhere(one < 128)
    extent = (np.ptp(ink, axis=0) + 1) / size
    assert 0.7 < extent.max() < 0.9 and abs(ink.mean(0) / size - 0.5).max() < 0.12


def test_a_dot_stays_small_and_an_empty_image_whole():
    dot = np.full((200, 200, 3), (230, 220, 210), np.uint8)
    dot[150:158, 20:28] = 0
    seen, width = fit_size(dot, (64, 64), "ink")
    assert width == 67 and 40 < (seen[..., 0] < 128).sum() < 100
    assert seen[0, 0].tolist() == [230, 220, 210]
    noise = np.random.default_rng(0).integers(225, 256, (90, 50), dtype=np.uint8)
    assert cut_to_ink(noise, (64, 64)) is noise
    with pytest.raises(ValueError, match='resize=\'crop\': it must be "squeeze" or "pad", or "ink"'):
        fit_size(dot, (64, 64), "crop")


def test_a_classifier_that_cuts_to_the_ink(samples, tmp_path):
    reader = GlyphClassifier.create(CLASSES, **SMALL, resize="ink")
    again = GlyphClassifier.load(reader.save(tmp_path / "model"), "cpu")
    assert again.resize == "ink" and len(again.read(samples.head(3))) == 3
    with pytest.raises(ValueError, match='resize=\'ink\': it must be "squeeze" or "pad"'):
        ok.Recognizer.create(resize="ink")
