"""Padding: proportions kept, columns counted, readings that do not depend on the batch."""

import numpy as np
import pandas as pd
import pytest
import torch

from ocrkit.data.batches import collate, loader, set_epoch
from ocrkit.data.packed import Mixed, pack
from ocrkit.data.sizes import MARGIN, Buckets, batch_width, fit_size, used_columns
from ocrkit.maps.cam import read_one
from ocrkit.reader.crnn import step_mask
from ocrkit.reader.recognizer import Recognizer
from ocrkit.training.loop import fit, set_aside
from ocrkit.training.recipe import Recipe
from ocrkit.training.step import Stepper


def strokes(width, height=20, ink=None):
    """White paper with upright strokes up to column `ink`."""
    image = np.full((height, width), 255, np.uint8)
    image[4:-4, 5 : ink or width - 5 : 6] = 0
    return image


@pytest.fixture(scope="module")
def reader():
    return Recognizer.create("digits", image_size=(32, 128), mode="L", seed=1, device="cpu", resize="pad")


@pytest.fixture(scope="module")
def packed():
    images = [strokes(w) for w in (40, 50, 61, 80, 100, 120)] + [strokes(200, 30)]
    texts = ["1", "22", "12", "123", "4", "55", "6"]
    return pack(pd.DataFrame({"image": images, "text": texts, "split": "train"}), (32, 128), "L", "pad")


def test_small_images_keep_their_size_and_large_ones_shrink_in_proportion():
    canvas, width = fit_size(strokes(40), (32, 128), "pad")
    assert canvas.shape == (32, 128) and width == 128
    assert np.array_equal(canvas[6:26, :40], strokes(40))
    assert (canvas[:6] == 255).all() and (canvas[:, 40:] == 255).all()
    canvas, width = fit_size(strokes(512, 64), (32, 128), "pad")
    assert width == 512 and (canvas[16 - 8 : 16 + 8].min(axis=1) < 255).any() and (canvas[:8] == 255).all()
    colored, _ = fit_size(np.zeros((10, 20, 3), np.uint8), (32, 128), "pad")
    assert colored.shape == (32, 128, 3) and not colored[11:21, :20].any()


def test_squeeze_is_what_it_was():
    canvas, width = fit_size(strokes(40), (32, 128))
    assert canvas.shape == (32, 128) and width == 40 and canvas[:, 80:].min() < 128
    with pytest.raises(ValueError, match='"squeeze" or "pad"'):
        fit_size(strokes(40), (32, 128), "crop")


def test_used_columns_end_after_the_last_ink():
    images = torch.full((3, 1, 8, 100), 255, dtype=torch.uint8)
    images[0, 0, 3, 30] = 0
    images[1, 0, :, 99] = 100
    images[2, 0, 0, 50] = 250  # the noise of JPEG is no ink
    assert used_columns(images).tolist() == [31 + MARGIN, 100, MARGIN]
    assert batch_width(torch.tensor([10, 33]), 100) == 64 and batch_width(torch.tensor([97]), 100) == 100
    assert used_columns(images[:0]).tolist() == []


def test_a_reading_does_not_depend_on_its_batch(reader, packed):
    together = reader.logits(packed.images)
    assert together.shape == (32, 7, reader.tokenizer.num_classes)
    for i in range(len(packed)):
        alone = reader.logits(packed.images[i : i + 1])
        assert torch.allclose(alone[:, 0], together[:, i], atol=1e-5)


def test_padding_is_blank_and_does_not_reach_the_lstm(reader, packed):
    steps, logits = reader.steps(packed.images), reader.logits(packed.images)
    assert steps.tolist() == [-(-u * 32 // 128) for u in used_columns(packed.images).tolist()]
    rest = ~step_mask(steps, 32)
    assert (logits.argmax(-1)[rest] == 0).all() and (logits.softmax(-1)[..., 0][rest] == 1).all()
    images, counted = reader.trim(packed.images[:1])
    other = images.clone()
    other[..., int(counted) * 4 + 16 :] = 0  # dirt farther off than a convolution sees
    with torch.no_grad():
        a, b = (reader.model.eval()(x.float() / 127.5 - 1, counted) for x in (images, other))
    assert torch.allclose(a[: int(counted)], b[: int(counted)], atol=1e-5)


def test_the_loss_counts_only_the_steps_of_an_image(reader, packed):
    stepper = Stepper(reader, Recipe(alphabet="digits", amp="off", augment="none"))
    reader.model.eval()
    with torch.no_grad():
        at_once = stepper.loss(collate(packed.__getitems__(range(7)), reader.tokenizer))
        # `CTCLoss` means over the images of loss / length of the label.
        apart = [stepper.loss(collate(packed.__getitems__([i]), reader.tokenizer)) for i in range(7)]
    assert at_once.item() == pytest.approx(torch.stack(apart).mean().item(), rel=0.02)


def test_spans_are_in_pixels_of_the_image_as_it_was(reader):
    image = strokes(512, 64)
    results = reader.read([image])
    assert all(0 <= s.start < s.end <= 512 for s in results["spans"].iloc[0])
    assert pack(pd.DataFrame({"image": [image], "text": ["1"]}), (32, 128), "L", "pad").widths == [512]


def test_buckets_deal_each_image_once_and_alike_ones_together():
    used = np.random.default_rng(0).integers(20, 120, 500)
    buckets = Buckets(used, 16, seed=3)
    first = list(buckets)
    assert sorted(i for batch in first for i in batch) == list(range(500)) and len(first) == len(buckets)
    waste = np.mean([used[b].max() - used[b].mean() for b in first])
    assert waste < 5 and np.mean([used[i : i + 16].max() - used[i : i + 16].mean() for i in range(0, 500, 16)]) > 30
    assert list(buckets) == first
    buckets.epoch = 1
    assert list(buckets) != first


def test_the_loader_takes_buckets(packed, reader):
    batches = loader(packed, reader.tokenizer, 3, seed=0, used=reader.steps(packed.images).numpy())
    set_epoch(batches, 4)
    texts = [t for batch in batches for t in batch.texts]
    assert batches.batch_sampler.epoch == 4 and sorted(texts) == sorted(packed.texts)


def test_a_label_must_fit_into_the_steps_of_its_image(reader):
    samples = pd.DataFrame({"image": [strokes(20)] * 2, "text": ["12", "1234567890"], "split": "train"})
    usable, lost = set_aside(pack(samples, (32, 128), "L", "pad"), reader)
    assert usable.texts == ["12"] and "needs 10 time steps, the image has 7" in lost.reason.iloc[0]


def test_a_padded_recognizer_trains_and_keeps_its_way_of_resizing(tmp_path, packed):
    recipe = Recipe(alphabet="digits", mode="L", resize="pad", augment="names", epochs=2, batch_size=4)
    reader = Recognizer.create("digits", image_size=(32, 128), mode="L", device="cpu", resize=recipe.resize)
    history = fit(reader, Mixed([packed, packed], [1, 2]), packed, recipe, tmp_path)
    assert len(history) == 2 and np.isfinite(history["train_loss"]).all()
    again = Recognizer.load(tmp_path, device="cpu")
    assert again.resize == "pad" and "padded" in repr(again)
    assert torch.equal(again.logits(packed.images), reader.logits(packed.images))
    with pytest.raises(ValueError, match='"squeeze" or "pad"'):
        Recognizer(reader.model, reader.tokenizer, "L", resize="crop")


def test_heat_maps_see_a_padded_image_as_the_reader_does(reader, packed):
    image = strokes(80)
    pixels, tensor = read_one(reader, image)
    assert pixels.shape == (32, 128) and np.array_equal(tensor[0, 0].numpy(), pixels)
    assert torch.equal(tensor, pack(pd.DataFrame({"image": [image], "text": ["1"]}), (32, 128), "L", "pad").images)
    squeezed = Recognizer.create("digits", image_size=(32, 128), mode="L", device="cpu")
    assert read_one(squeezed, image)[0].shape == image.shape


def test_other_backbones_are_padded_or_refused(packed):
    vgg = Recognizer.create("digits", "vgg", (32, 128), "L", device="cpu", resize="pad")
    loss = Stepper(vgg, Recipe(alphabet="digits", amp="off", augment="none")).loss(
        collate(packed.__getitems__([0, 5]), vgg.tokenizer)
    )
    assert torch.isfinite(loss) and loss > 0
    with pytest.raises(ValueError, match="stretches every image"):
        Recognizer.create("digits", "resnet", (32, 128), "L", device="cpu", resize="pad")
