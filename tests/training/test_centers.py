"""Center loss: gradients by finite differences, a brute-force twin, alignments, training, tracking."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from test_training import RECIPE, bars, reader, same, weights

from ocrkit.reader.crnn import BACKBONES, CRNN
from ocrkit.text.alphabets import LOOK_ALIKES, brothers
from ocrkit.text.tokenizer import Tokenizer
from ocrkit.training.center_tracking import Tracker, center_distances
from ocrkit.training.centers import (
    ALIGNMENTS,
    Aligned,
    AlignedLoss,
    CenterLoss,
    align_features,
    alignment_report,
    collect,
)
from ocrkit.training.loop import fit
from tools.benchmarks.extra_losses import AdditiveMargin, FocalCTC, LabelSmoothing, SupervisedContrastive


def logits_of(paths, classes=5, strength=9.0):
    """Logits `(T, N, K)` whose best classes are these paths, a text of digits an image."""
    codes = torch.tensor([[int(c) for c in path] for path in paths]).T
    return strength * torch.nn.functional.one_hot(codes, classes).float()


def features_of(steps, images, dim=3):
    return torch.arange(steps * images * dim, dtype=torch.float32).reshape(steps, images, dim)


def labels(*texts):
    rows = [[int(c) for c in text] for text in texts]
    longest = max(map(len, rows))
    return torch.tensor([row + [2] * (longest - len(row)) for row in rows]), torch.tensor([len(row) for row in rows])


# --- alignment -----------------------------------------------------------------------------------------


def test_merged_takes_runs_and_drops_images_of_another_length():
    # The second image misses a character, the third reads 4 for 3.
    logits, features = logits_of(["0330440", "0330000", "0440330"]), features_of(7, 3)
    found = align_features(features, logits, *labels("34", "34", "33"), "merged")
    assert found.images.tolist() == [0, 0, 2, 2] and found.classes.tolist() == [3, 4, 3, 3]
    expected = torch.stack([features[[a, a + 1], n].mean(0) for n, a in ((0, 1), (0, 4), (2, 1), (2, 4))])
    assert torch.allclose(found.features, expected)
    assert found.confidence[2] < 0.01 < 0.9 < found.confidence[0]


def test_frames_believe_the_reading_and_leave_the_blank_out():
    found = align_features(features_of(5, 2), logits_of(["03304", "00000"]), *labels("33", "3"), "frames")
    assert found.images.tolist() == [0, 0, 0] and found.classes.tolist() == [3, 3, 4]
    assert torch.equal(found.features, features_of(5, 2)[[1, 2, 4], 0])


def test_forced_uses_every_character_of_every_image():
    logits = logits_of(["0330440", "0330000", "0000000"], strength=2.0)
    found = align_features(features_of(7, 3), logits, *labels("34", "34", "4"), "forced")
    assert found.images.tolist() == [0, 0, 1, 1, 2] and found.classes.tolist() == [3, 4, 3, 4, 4]
    assert torch.allclose(found.features[0], features_of(7, 3)[[1, 2], 0].mean(0))


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_alignment_by_the_plain_definition(alignment):
    torch.manual_seed(0)
    logits, features = torch.randn(9, 6, 5), torch.randn(9, 6, 3)
    targets, lengths = labels("34", "43", "344", "4", "3", "33")
    found = align_features(features, logits, targets, lengths, alignment)
    path = logits.argmax(-1).T.tolist()
    for n in range(6):
        mine = found.classes[found.images == n].tolist()
        if alignment == "frames":
            assert mine == [c for c in path[n] if c]
        elif alignment == "forced":
            assert mine == targets[n, : lengths[n]].tolist()
        else:
            runs = [c for t, c in enumerate(path[n]) if c and (t == 0 or path[n][t - 1] != c)]
            assert mine == (targets[n, : lengths[n]].tolist() if len(runs) == lengths[n] else [])


def test_unknown_alignment():
    with pytest.raises(ValueError, match="alignment='best': it must be one of 'merged', 'frames', 'forced'"):
        align_features(features_of(2, 1), logits_of(["03"]), *labels("3"), "best")


@pytest.mark.parametrize("backbone", BACKBONES)
def test_features_are_what_the_last_linear_layer_sees(backbone):
    model = CRNN(8, backbone).eval()
    images = torch.rand(2, 3, 32, 128)
    with torch.no_grad():
        features, logits = model.features_and_logits(images)
        assert torch.equal(logits, model(images))
        assert features.shape == (model.time_steps, 2, model.feature_size)
        assert torch.allclose(model.classifier[-1](features), logits, atol=1e-5)


# --- the loss ------------------------------------------------------------------------------------------


def brute_force(features, classes, centers, rate):
    """Wen et al. (2016), equations 2 to 4, character by character; the loss is the mean."""
    loss, moved = 0.0, centers.clone()
    for x, c in zip(features, classes):
        loss += sum((float(a) - float(b)) ** 2 for a, b in zip(x, centers[c])) / 2 / len(features)
    for c in range(len(centers)):
        own = [x for x, y in zip(features, classes) if y == c]
        delta = sum((centers[c] - x for x in own), torch.zeros_like(centers[c])) / (1 + len(own))
        moved[c] -= rate * delta
    return loss, moved


def test_loss_and_moving_centers_equal_the_brute_force_twin():
    torch.manual_seed(1)
    loss = CenterLoss(6, 4, rate=0.3).double()
    for _ in range(3):
        features, classes = torch.randn(11, 4, dtype=torch.float64), torch.randint(1, 6, (11,))
        expected, moved = brute_force(features, classes, loss.centers, 0.3)
        assert loss(features, classes).item() == pytest.approx(expected, rel=1e-12)
        assert torch.allclose(loss.centers, moved, rtol=1e-12)
    before = loss.eval().centers.clone()
    loss(features, classes)
    assert torch.equal(loss.centers, before)


@pytest.mark.parametrize("rule", ["moving", "learned"])
def test_gradient_of_the_center_loss(rule):
    torch.manual_seed(2)
    loss, classes = CenterLoss(5, 3, rule).double().eval(), torch.tensor([1, 3, 3, 4, 0])
    features = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: loss(x, classes), features)
    loss(features, classes).backward()
    by_hand = (features - loss.centers[classes]).detach() / 4
    by_hand[4] = 0  # the blank
    assert torch.allclose(features.grad, by_hand)
    if rule == "learned":
        assert torch.allclose(loss.centers.grad[3], -by_hand[1:3].sum(0)) and not loss.centers.grad[0].any()


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize(
    "criterion",
    [CenterLoss(5, 3, "learned"), SupervisedContrastive(), AdditiveMargin(5, 3)],
    ids=lambda c: type(c).__name__,
)
def test_gradient_through_the_alignment(criterion, alignment):
    torch.manual_seed(3)
    extra = AlignedLoss(criterion, 0.7, alignment).double()
    logits = logits_of(["0330440", "4403300", "0303040"], strength=3.0).double()
    features = torch.randn(7, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: extra(x, logits, *labels("34", "43", "334")), features)


@pytest.mark.parametrize("extra", [LabelSmoothing(0.3), FocalCTC(), FocalCTC(2.0)], ids=repr)
def test_gradient_of_the_losses_on_outputs(extra):
    torch.manual_seed(4)
    logits = torch.randn(6, 2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: extra(None, x, *labels("34", "3")), logits)


def test_no_character_gives_no_loss_and_no_change():
    for criterion in (CenterLoss(5, 3), SupervisedContrastive(), AdditiveMargin(5, 3)):
        extra, features = AlignedLoss(criterion, 1.0, "merged"), features_of(4, 1).requires_grad_()
        before = {k: v.clone() for k, v in criterion.state_dict().items()}
        loss = extra(features, logits_of(["0000"]), *labels("3"))
        loss.backward()
        assert loss.item() == 0 and not features.grad.any() and same(before, criterion.state_dict())


def test_label_smoothing_is_the_divergence_from_uniform():
    logits = torch.randn(4, 3, 5)
    expected = (-logits.log_softmax(-1).mean(-1) - np.log(5)).mean()
    assert LabelSmoothing(0.5)(None, logits, None, None).item() == pytest.approx(0.5 * expected.item(), rel=1e-5)
    assert LabelSmoothing()(None, torch.zeros(4, 3, 5), None, None).item() == pytest.approx(0, abs=1e-6)


def test_focal_ctc_added_to_ctc_is_the_focal_loss():
    logits, (targets, lengths) = torch.randn(6, 2, 5), labels("34", "3")
    steps = torch.tensor([6, 6])
    each = torch.nn.functional.ctc_loss(logits.log_softmax(-1), targets, steps, lengths, reduction="none")
    plain = torch.nn.CTCLoss()(logits.log_softmax(-1), targets, steps, lengths)
    focal = ((1 - (-each).exp()) ** 2 * each / lengths).mean()
    assert (plain + FocalCTC(2.0)(None, logits, targets, lengths)).item() == pytest.approx(focal.item(), rel=1e-5)


def test_contrastive_and_margin_by_the_plain_definition():
    torch.manual_seed(5)
    x, y = torch.nn.functional.normalize(torch.randn(6, 4), dim=1), [1, 1, 2, 2, 2, 3]
    terms = []
    for i in range(5):  # the last is alone in its class
        others = [j for j in range(6) if j != i]
        total = sum(torch.exp(x[i] @ x[j] / 0.1) for j in others)
        partners = [j for j in others if y[j] == y[i]]
        terms.append(-sum(torch.log(torch.exp(x[i] @ x[j] / 0.1) / total) for j in partners) / len(partners))
    assert SupervisedContrastive()(3 * x, torch.tensor(y)).item() == pytest.approx((sum(terms) / 5).item(), rel=1e-4)

    margin = AdditiveMargin(4, 4, margin=0.2, scale=8)
    w = torch.nn.functional.normalize(margin.directions.detach(), dim=1)
    terms = []
    for i in range(6):
        scores = [8 * (x[i] @ w[c] - 0.2 * (c == y[i])) for c in range(4)]
        terms.append(torch.logsumexp(torch.stack(scores), 0) - scores[y[i]])
    assert margin(3 * x, torch.tensor(y)).item() == pytest.approx((sum(terms) / 6).item(), rel=1e-4)


def test_centers_begin_by_chance_or_in_the_means():
    assert torch.equal(CenterLoss(5, 3, seed=1).centers, CenterLoss(5, 3, "learned", seed=1).centers)
    assert not torch.equal(CenterLoss(5, 3, seed=1).centers, CenterLoss(5, 3, seed=2).centers)
    features, classes = torch.randn(6, 3), torch.tensor([1, 1, 3, 3, 3, 4])
    for rule in ("moving", "learned"):
        loss = CenterLoss(5, 3, rule)
        loss.initialize(features, classes)
        assert torch.allclose(loss.centers[3], features[2:5].mean(0))
        assert torch.allclose(loss.centers[2], features.mean(0))
    with pytest.raises(ValueError, match="no character was read correctly; train first"):
        loss.initialize(features[:0], classes[:0])


def test_weight_grows_and_is_kept_in_the_state():
    extra = AlignedLoss(CenterLoss(5, 3), weight=0.8, warmup=4)
    seen = []
    for _ in range(6):
        extra(features_of(4, 1), logits_of(["0330"]), *labels("3"))
        seen.append(extra.current_weight)
    assert seen == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])
    other = AlignedLoss(CenterLoss(5, 3, seed=9), weight=0.8, warmup=4)
    other.load_state_dict(extra.state_dict())
    assert other.steps == 6 and torch.equal(other.criterion.centers, extra.criterion.centers)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"rule": "fixed"}, "moving.*learned"), ({"rate": 0}, "above 0"), ({"rate": 2}, "at most 1")],
)
def test_centers_that_cannot_work(settings, words):
    with pytest.raises(ValueError, match=words):
        CenterLoss(5, 3, **settings)


# --- in training ---------------------------------------------------------------------------------------


def extra_of(kind, recognizer):
    k, d = recognizer.tokenizer.num_classes, recognizer.model.feature_size
    return {
        "moving": lambda: AlignedLoss(CenterLoss(k, d), 0.01, "forced", warmup=5),
        "learned": lambda: AlignedLoss(CenterLoss(k, d, "learned"), 0.01, "frames"),
        "margin": lambda: AlignedLoss(AdditiveMargin(k, d), 0.1),
        "focal": FocalCTC,
    }[kind]()


@pytest.mark.parametrize("kind", ["moving", "learned", "margin", "focal"])
def test_a_stopped_run_goes_on_to_the_same_weights_and_centers(tmp_path, kind):
    recipe = dataclasses.replace(RECIPE, epochs=2, batch_size=8)
    train, valid = bars(24), bars(8, seed=1)
    whole = reader()
    extra = extra_of(kind, whole)
    start = {k: v.clone() for k, v in extra.state_dict().items()}
    fit(whole, train, valid, recipe, extra=extra)
    assert not start or not same(start, extra.state_dict())

    def stop(history):
        raise KeyboardInterrupt

    broken, resumed = reader(), reader()
    fit(broken, train, valid, recipe, tmp_path, on_epoch=stop, extra=extra_of(kind, broken))
    again, steps = extra_of(kind, resumed), []
    fit(resumed, train, valid, recipe, tmp_path, resume=True, extra=again, on_step=steps.append)
    assert same(weights(resumed), weights(whole)) and same(again.state_dict(), extra.state_dict())
    assert steps == [4, 5, 6]


def test_resume_refuses_another_extra_loss(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=1)
    fit(reader(), bars(16), bars(8), recipe, tmp_path, extra=LabelSmoothing(0.1))
    with pytest.raises(ValueError, match=r"extra was 'LabelSmoothing\(weight=0.1\)', is None"):
        fit(reader(), bars(16), bars(8), recipe, tmp_path, resume=True)


QUICK = dataclasses.replace(RECIPE, epochs=3, batch_size=8, augment="none", learning_rate=5e-3)


@pytest.fixture(scope="module")
def trained():
    recognizer = reader()
    fit(recognizer, bars(240), bars(16, seed=1), QUICK)
    return recognizer


def test_center_loss_draws_features_together(trained):
    # Much weight and no warm-up: after one more epoch, features lie nearer to the means of their classes.
    spread = {}
    for weight in (0.0, 0.3):
        recognizer = copy.deepcopy(trained)
        extra = AlignedLoss(CenterLoss(recognizer.tokenizer.num_classes, recognizer.model.feature_size), weight)
        fit(recognizer, bars(120), bars(16, seed=1), dataclasses.replace(QUICK, epochs=1), extra=extra)
        found = collect(recognizer, bars(16, seed=1))
        spread[weight] = center_distances(found, recognizer.tokenizer, groups=()).own.mean()
    assert spread[0.3] < 0.85 * spread[0.0]


def test_collect_and_report(trained):
    recognizer, packed = trained, bars(30, seed=4)
    recognizer.model.train()
    found = collect(recognizer, packed, batch_size=8)
    assert recognizer.model.training
    assert found.features.shape == (60, recognizer.model.feature_size) and len(found.classes) == 60
    assert [recognizer.tokenizer.decode(found.classes[found.images == n].tolist()) for n in range(30)] == packed.texts
    right = {n for n, r in enumerate(recognizer.decode(packed.images)) if r.text == packed.texts[n]}
    assert set(collect(recognizer, packed, correct_only=True).images.tolist()) == right != set()
    report = alignment_report(recognizer, packed).set_index("alignment")
    assert report.share["forced"] == 1 and report.characters["forced"] == report.features["forced"] == 60
    assert report.characters["merged"] == report.features["merged"] == 2 * report.images["merged"]
    assert report.wrong[["merged", "forced"]].eq(0).all()


# --- tracking ------------------------------------------------------------------------------------------


def test_distances_to_own_and_brother_centers():
    tokenizer = Tokenizer("08Bx")
    zero, eight, b, x = (tokenizer.encode(c)[0] for c in "08Bx")
    centers = torch.zeros(tokenizer.num_classes, 2)
    centers[eight], centers[b], centers[x], centers[zero] = (
        torch.tensor(p) for p in ([0.0, 0.0], [4.0, 0.0], [0.0, 9.0], [50.0, 50.0])
    )
    points = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 8.0], [4.0, 3.0]])
    found = Aligned(
        points, torch.tensor([eight, eight, x, b]), torch.tensor([0, 0, 1, 2]), torch.tensor([0.9, 0.4, 1, 0.8])
    )
    table = center_distances(found, tokenizer, centers, ("8B", "0O"))
    assert table.text.tolist() == list("88xB") and table.nearest.tolist() == ["B", "B", "", "8"]
    assert table.own.tolist() == [1, 3, 1, 3] and table.margin.iloc[[0, 1, 3]].tolist() == [2, -2, 2]
    assert np.isnan(table.margin[2]) and np.isnan(table.brother[2])
    means = center_distances(found, tokenizer, groups=("8B",))
    assert means.own[:2].tolist() == [2, 2] and means.own[2:].isna().all()  # each to the mean of the others
    assert means.brother[0] == pytest.approx(np.hypot(3, 3))


def test_a_feature_is_left_out_of_its_own_mean():
    torch.manual_seed(5)
    tokenizer = Tokenizer("8B")
    eight, b = (tokenizer.encode(c)[0] for c in "8B")
    points, classes = torch.randn(9, 6), torch.tensor([eight] * 5 + [b] * 4)
    table = center_distances(Aligned(points, classes, torch.arange(9), torch.ones(9)), tokenizer, groups=("8B",))
    for i in range(9):
        others = (classes == classes[i]) & (torch.arange(9) != i)
        assert table.own[i] == pytest.approx((points[i] - points[others].mean(0)).norm().item(), rel=1e-5)


def test_brothers():
    table = brothers()
    assert table["未"] == "末" and set(table["己"]) == {"已", "巳"} and len(table) == len("".join(LOOK_ALIKES))
    assert "国" not in table


def test_tracker_measures_every_so_many_steps_and_changes_nothing(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=2, batch_size=8)
    plain, tracked = reader(), reader()
    fit(plain, bars(24), bars(8), recipe)
    loss = CenterLoss(tracked.tokenizer.num_classes, tracked.model.feature_size)
    tracker = Tracker(tracked, bars(12, seed=3), groups=("17", "38"), every=2, keep=(0, 3))
    fit(tracked, bars(24), bars(8), recipe, on_step=tracker)
    assert same(weights(plain), weights(tracked))
    table = tracker.table
    assert table.step.tolist() == [0, 2, 4, 6] and sorted(tracker.maps) == [0, 3]
    assert list(table.columns[1:]) == [
        "own", "brother", "margin", "astray", "agreement", "spread", "between_brothers", "between_all",
    ]  # fmt: skip
    assert table.margin.to_numpy() == pytest.approx((table.brother - table.own).to_numpy(), rel=1e-5)
    other = Tracker(tracked, bars(12, seed=3), loss, groups=("17",), every=2).table
    assert not np.isclose(other.own[0], table.own.iloc[-1])
