"""Heat maps against captum, and against cases whose answer is known."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import ocrkit as ok
from ocrkit.ctc.alignment import Alignment
from ocrkit.data.images import ImageError
from ocrkit.maps import cam
from ocrkit.maps.receptive_fields import receptive_field
from ocrkit.maps.targets import character_target


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2),
                             nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(inplace=True))  # fmt: skip
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, 5))


@pytest.fixture(scope="module")
def photos():
    return torch.randn(3, 3, 16, 24, generator=torch.Generator().manual_seed(0))


def weights(model):
    return torch.cat([t.flatten().double() for t in model.state_dict().values()])


# --- maps against captum ---


@pytest.mark.parametrize("target", [2, [0, 4, 1]])
def test_grad_cam_equals_captum(classifier, photos, target):
    attr = pytest.importorskip("captum.attr")
    with ok.observed(classifier):
        theirs = attr.LayerGradCam(classifier, classifier[0][4]).attribute(photos, target, relu_attributions=True)
    theirs = attr.LayerAttribution.interpolate(theirs, (16, 24), "bilinear")[:, 0].detach().numpy()
    wanted = target if isinstance(target, int) else ok.class_target(target)
    ours = ok.grad_cam(classifier, photos, "0.4", wanted)
    assert ours.shape == (3, 16, 24) and theirs.max() > 1e-4
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * theirs.max())


def test_hires_cam_equals_captum_without_the_mean(classifier, photos):
    attr = pytest.importorskip("captum.attr")
    with ok.observed(classifier):
        theirs = attr.LayerGradientXActivation(classifier, classifier[0][4]).attribute(photos, 1)
    theirs = attr.LayerAttribution.interpolate(theirs.sum(1, keepdim=True).relu(), (16, 24), "bilinear")
    theirs = theirs[:, 0].detach().numpy()
    np.testing.assert_allclose(ok.hires_cam(classifier, photos, "0.4", 1), theirs, atol=1e-4 * theirs.max())


@pytest.mark.parametrize(("box", "stride"), [((4, 6), (2, 3)), ((4, 4), (4, 4)), ((16, 24), (1, 1))])
def test_occlusion_equals_captum(classifier, photos, box, stride):
    attr = pytest.importorskip("captum.attr")
    with ok.observed(classifier), torch.no_grad():
        theirs = attr.Occlusion(classifier).attribute(photos, (3, *box), (3, *stride), 0.0, target=2)[:, 0].numpy()
    ours = ok.occlusion_map(classifier, photos, 2, box, stride)
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


# --- maps whose answer is known ---


class Rooms(nn.Module):
    """Channel 0 hears the left half of the image, channel 1 the right; class k is the sum of channel k."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.conv.weight)
        self.halves = nn.Identity()

    def forward(self, x):
        x = self.conv(x)
        left = torch.cat([x[..., :4], torch.zeros_like(x[..., 4:])], -1)
        return self.halves(torch.cat([left, x - left], 1)).sum((2, 3))


@pytest.mark.parametrize("method", [ok.grad_cam, ok.grad_cam_plus_plus, ok.hires_cam])
def test_each_class_has_its_half(method):
    maps = [method(Rooms(), torch.ones(1, 1, 4, 8), "halves", k)[0] for k in (0, 1)]
    assert (maps[0][:, :4] > 0).all() and (maps[0][:, 4:] == 0).all()
    assert np.array_equal(maps[0], maps[1][:, ::-1])


def test_grad_cam_plus_plus_by_the_formula_of_the_paper(classifier, photos):
    with ok.observed(classifier), ok.Hook(classifier[0][5]) as hook:
        classifier(photos)[:, 3].sum().backward()
    a, g = hook.output.double(), hook.gradient.double()
    below = 2 * g**2 + a.sum((2, 3), keepdim=True) * g**3
    alpha = torch.where(g > 0, g**2 / below, 0.0)
    expected = ((alpha * g).sum((2, 3), keepdim=True) * a).sum(1).relu().numpy()
    whole = ok.grad_cam_plus_plus(classifier, photos, "0.5", 3)
    enlarged = nn.functional.interpolate(torch.from_numpy(expected)[:, None], (16, 24), mode="bilinear")[:, 0].numpy()
    assert enlarged.max() > 0
    np.testing.assert_allclose(whole, enlarged, rtol=1e-4, atol=1e-6 * enlarged.max())


def test_the_activation_map_is_the_mean_over_channels(classifier, photos):
    with ok.observed(classifier), torch.no_grad():
        expected = classifier[0](photos).mean(1, keepdim=True)
    enlarged = nn.functional.interpolate(expected, (16, 24), mode="bilinear")[:, 0].numpy()
    np.testing.assert_allclose(ok.activation_map(classifier, photos, classifier[0]), enlarged, atol=1e-6)


def test_occlusion_finds_the_only_pixel_that_counts():
    class Corner(nn.Conv2d):
        def forward(self, x):
            return x[:, 0, 5, 9:10]

    maps = ok.occlusion_map(Corner(1, 1, 1), torch.ones(2, 1, 10, 13), 0, (2, 3), (2, 3))
    assert (maps[:, 4:6, 9:12] > 0).all() and maps.sum() > 0
    assert (maps[:, :4] == 0).all() and (maps[:, :, :8] == 0).all()
    assert np.isfinite(maps).all()  # the last boxes stand at the edge, so no pixel is left out


def test_frozen_weights_have_maps_too(classifier, photos):
    expected = ok.grad_cam(classifier, photos, "0.5", 1)
    classifier.requires_grad_(False)
    try:
        with torch.no_grad():
            assert np.array_equal(ok.grad_cam(classifier, photos, "0.5", 1), expected)
    finally:
        classifier.requires_grad_(True)


def test_a_torchvision_network_has_maps():
    from torchvision.models import resnet18

    torch.manual_seed(0)
    model = resnet18(num_classes=3).train()
    before, images = weights(model), torch.randn(2, 3, 32, 32)
    maps = ok.grad_cam(model, images, "layer3", ok.class_target([0, 2], "log_prob"))
    assert maps.shape == (2, 32, 32) and maps.max() > 0
    assert torch.equal(weights(model), before) and model.training


def test_refusals(classifier, photos, reader, packed):
    with pytest.raises(ValueError, match="no layer 'conv9'"):
        ok.grad_cam(classifier, photos, "conv9", 0)
    with pytest.raises(ValueError, match="'4' gives .3, 5., which has no places"):
        ok.activation_map(classifier, photos, "4")
    with pytest.raises(ValueError, match="logit.*log_prob.*probability"):
        ok.class_target(0, "percent")
    with pytest.raises(ValueError, match="no method is named 'magic'; there are: hires_cam"):
        ok.character_maps(reader, packed.images[0].permute(1, 2, 0).numpy(), "magic")
    two = nn.ModuleDict({"used": nn.Conv2d(3, 2, 1), "idle": nn.Conv2d(3, 2, 1)})
    two.forward = lambda x: two["used"](x).mean((2, 3))
    with pytest.raises(ValueError, match="'idle' took no part"):
        ok.grad_cam(two, photos, "idle", 0)
    two.forward = lambda x: (two["idle"](x), two["used"](x).mean((2, 3)))[1]
    with pytest.raises(ValueError, match="does not depend on layer 'idle'"):
        ok.grad_cam(two, photos, "idle", 0)


# --- characters ---


@pytest.mark.parametrize("scale", ["logit", "log_prob", "probability"])
def test_the_score_of_a_character_is_taken_at_its_frames(scale):
    logits = torch.randn(4, 2, 5, generator=torch.Generator().manual_seed(0))
    alignments = [Alignment([(0, 1), (2, 4)], [3, 0, 4, 4], 0.0), Alignment([(1, 2)], [0, 3, 0, 0], 0.0)]
    values = {"logit": logits, "log_prob": logits.log_softmax(-1), "probability": logits.softmax(-1)}[scale]
    scores = character_target(alignments, scale)(logits, torch.arange(2))
    assert scores[0].tolist() == pytest.approx([values[0, 0, 3].item(), values[2:4, 0, 4].mean().item()])
    assert scores[1, 0] == pytest.approx(values[1, 1, 3].item()) and scores[1, 1].isnan()
    # Many variants of the second image, as occlusion makes them.
    again = character_target(alignments, scale)(logits[:, [1, 1, 1]], torch.tensor([1, 1, 1]))
    assert torch.equal(again[:, 0], scores[1:, 0].expand(3))


def few_boxes(model, images, layer, target):
    return ok.occlusion_map(model, images, target, (16, 32), (16, 32))


@pytest.mark.parametrize("method", [ok.hires_cam, ok.grad_cam, ok.grad_cam_plus_plus, few_boxes])
def test_a_batch_of_texts_equals_one_by_one(method):
    reader = ok.Recognizer.create(device="cpu")
    before, images = weights(reader.model), torch.randint(0, 256, (2, 3, 32, 128), dtype=torch.uint8)
    texts, layer = ["京A1", "沪C"], cam.feature_layers(reader.model)[-1]
    target, _ = ok.text_target(reader, images, texts)
    maps = method(reader.model, images, layer, target)
    assert maps.shape == (2, 3, 32, 128) and np.isnan(maps[1, 2]).all()
    for i, text in enumerate(texts):
        alone, _ = ok.text_target(reader, images[i : i + 1], [text])
        one = method(reader.model, images[i : i + 1], layer, alone)[0]
        np.testing.assert_allclose(maps[i, : len(text)], one, atol=2e-3 * np.abs(one).max())
    assert torch.equal(weights(reader.model), before) and all(p.grad is None for p in reader.model.parameters())


@pytest.mark.parametrize("method", list(cam.METHODS))
@pytest.mark.parametrize("layer", ["features.9", "lstm"])
def test_each_character_has_its_map(reader, plates, method, layer):
    row = plates.iloc[0]
    found = ok.character_maps(reader, row, method, layer)
    assert found.text == row["text"] and found.maps.shape == (len(row["text"]), 32, 128)
    assert len(found.frames) == len(found.text)
    assert np.isfinite(found.maps).all() and found.maps.max() > 0
    if layer == "lstm" and method in ("hires_cam", "grad_cam", "grad_cam_plus_plus"):
        assert (found.maps[:, :1] == found.maps).all()  # a time step is a column


def test_maps_stand_where_the_characters_are(reader, plates):
    """A plate of seven characters in a row: what counts for a later one lies further to the right."""
    for method in ("hires_cam", "occlusion"):
        maps = ok.character_maps(reader, plates.iloc[0], method).maps.clip(0)
        centers = (maps.sum(1) * np.arange(128)).sum(1) / maps.sum((1, 2))
        assert (np.diff(centers) > 0).all() and centers[-1] - centers[0] > 64, (method, centers)


def test_a_label_is_explained_where_it_would_stand(reader, plates):
    wrong = "沪" + plates["text"][0][1:-1] + "9"
    found = ok.character_maps(reader, plates.iloc[0], text=wrong)
    assert found.text == wrong and found.maps.shape[0] == len(wrong)
    with pytest.raises(ValueError, match="not in the alphabet"):
        ok.character_maps(reader, plates.iloc[0], text="äöü")
    with pytest.raises(ValueError, match="time steps"):
        ok.character_maps(reader, plates.iloc[0], text="1" * 17)
    for method in cam.METHODS:
        assert ok.character_maps(reader, plates.iloc[0], method, text="").maps.shape == (0, 32, 128)


def test_images_come_as_row_path_and_array(reader, plates, found, tmp_path):
    row = next(plates.itertuples())
    for image in (row, row.image, ok.read_image(row.image)):
        other = ok.character_maps(reader, image)
        assert np.array_equal(other.maps, found.maps) and np.array_equal(other.image, found.image)
    with pytest.raises(ImageError, match="no such file"):
        ok.character_maps(reader, tmp_path / "none.png")


def test_gray_recognizers_have_maps(plates):
    reader = ok.Recognizer.create("digits", mode="L", device="cpu")
    found = ok.character_maps(reader, plates.iloc[0], text="12")
    assert found.image.ndim == 2 and found.maps.shape == (2, 32, 128)
    assert ok.overlay(found.image, found.maps[0]).shape == (*found.image.shape, 3)
    assert str(ok.maps_html(found)).count("<img") == 2


# --- what a channel responds to ---


@pytest.mark.parametrize("layer", ["features.0", "features.2", "features.5", "features.9"])
def test_a_patch_holds_all_that_the_channel_saw(reader, packed, layer):
    """The response stays the same when everything outside the patch changes."""
    patches = ok.top_patches(reader.model, layer, packed.images, channel=5, n=3)
    assert [p.response for p in patches] == sorted((p.response for p in patches), reverse=True)
    assert len({p.row for p in patches}) == 3
    for patch in patches:
        left, top, right, bottom = patch.box
        inside = packed.images[patch.row, :, top:bottom, left:right]
        assert np.array_equal(patch.pixels, inside.permute(1, 2, 0).numpy())
        other = torch.randint(0, 256, packed.images[patch.row].shape, dtype=torch.uint8)
        other[:, top:bottom, left:right] = inside
        with ok.observed(reader.model), torch.no_grad(), ok.Hook(dict(reader.model.named_modules())[layer]) as hook:
            reader.model(cam.prepare(reader.model, other[None]))
        assert (hook.output[0, 5] - patch.response).abs().min() < 1e-4


def test_top_patches_refuses_strangers(reader, packed):
    with pytest.raises(ValueError, match="channels 0..47, and no channel 48"):
        ok.top_patches(reader.model, "features.0", packed.images, 48)
    with pytest.raises(ValueError, match="no layer 'stem'"):
        ok.top_patches(reader.model, "stem", packed.images, 0)
    with pytest.raises(ValueError, match='"columns" or "rows"'):
        receptive_field(reader.model, axis="depth")
    with pytest.raises(ValueError, match="no layer 'stem'"):
        receptive_field(reader.model, "stem")


def test_deeper_layers_see_more(reader):
    for axis, whole in (("columns", 128), ("rows", 32)):
        fields = [receptive_field(reader.model, layer, axis) for layer in cam.feature_layers(reader.model)]
        sizes = [(field.end - field.start).max() for field in fields]
        assert sizes[:3] == [4, 8, 18] and sizes == sorted(sizes) and sizes[-1] <= whole


def test_maps_of_right_to_left_text_are_those_of_its_characters():
    torch.manual_seed(0)
    reader = ok.Recognizer.create("persian", "light", (32, 96), "L")
    image = np.full((32, 96), 255, np.uint8)
    found = ok.character_maps(reader, image, text="ب ۱۲")
    assert found.order == [2, 3, 1, 0]  # on paper the number stands first
    starts = [found.frames[k][0] for k in found.order]
    assert starts == sorted(starts) and found.maps.shape == (4, 32, 96)
    page = str(ok.maps_html(found, [0]))
    cells = re.findall(r'<bdi style="[^"]*?(color|opacity):[^<>]*>([^<>]*)</bdi>', page)
    assert [c for _, c in cells if c in "ب۱۲"] == ["۱", "۲", "ب"]
    assert [c for look, c in cells if look == "color"] == ["ب"]
