"""Reading, cropping, resizing and augmenting images."""

import io
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from ocrkit.data.augmentation import augment, augmentation
from ocrkit.data.images import ImageError, read_image, read_sample, resize, warp_corners

NAMES = ["none", "plates", "plates-resnet", "plates-vgg"]


@pytest.fixture
def picture():
    """(24, 40, 3), smooth, with a red top left and a blue bottom right."""
    y, x = np.mgrid[0:24, 0:40]
    return np.stack([255 - 6 * x, 5 * y + 60, 3 * x + 5 * y], axis=2).astype(np.uint8)


# --- reading ---


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "ppm"])
def test_reads_what_was_written(tmp_path, picture, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(picture).save(path, **({"lossless": True} if suffix == "webp" else {}))
    image = read_image(path)
    assert image.dtype == np.uint8 and image.flags.writeable
    np.testing.assert_array_equal(image, picture)
    assert read_image(str(path), "L").shape == (24, 40)


@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_exif_rotation(tmp_path, picture, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rot90(picture, turn))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_over_white(tmp_path, mode):
    image = Image.new("RGBA", (4, 2), (0, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    path = tmp_path / "a.png"
    if mode == "P":
        palette = Image.new("P", (4, 2), 1)
        palette.putpalette([255, 0, 0, 0, 0, 0])
        palette.putpixel((0, 0), 0)
        palette.save(path, transparency=0)
    else:
        image.convert(mode).save(path)
    pixels = read_image(path)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[1, 3].tolist() == [0, 0, 0]


def test_half_transparent_black_is_grey(tmp_path):
    Image.new("RGBA", (2, 2), (0, 0, 0, 128)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", "L")[0, 0] == 127


def test_sixteen_bit_grey_is_scaled_and_not_cut(tmp_path):
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", "L").tolist() == [[0, 1, 128, 255]]
    assert read_image(tmp_path / "a.png")[0, 2].tolist() == [128, 128, 128]


def test_floats_from_0_to_1(tmp_path):
    Image.fromarray(np.array([[0, 0.5, 1, np.nan]], dtype=np.float32)).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif", "L").tolist() == [[0, 128, 255, 0]]


def test_one_bit_grey_and_cmyk(tmp_path):
    Image.new("1", (3, 3), 1).save(tmp_path / "one.png")
    Image.new("L", (3, 3), 77).save(tmp_path / "grey.png")
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "cmyk.tif")
    assert (read_image(tmp_path / "one.png") == 255).all()
    assert (read_image(tmp_path / "grey.png") == 77).all()
    assert read_image(tmp_path / "cmyk.tif")[0, 0].tolist() == [255, 0, 0]


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (3, 3), color) for color in ("red", "lime")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


def encoded(kind, size=(60, 60)):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


def png_of(width, height):
    """A PNG that only claims to be so large."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"", r"empty \(0 bytes\)"),
        (b"<html>404</html>", "not an image that Pillow can read"),
        (encoded("JPEG")[:700], "truncated"),
        (encoded("PNG")[:700], "truncated"),
        (encoded("JPEG")[:20], "not an image|truncated"),
        (encoded("PNG")[:200] + b"\x00" * 400 + encoded("PNG")[600:], "damaged"),
        (png_of(30_000, 30_000), "too many pixels"),
        (png_of(12_000, 9_000), "too many pixels"),
        (png_of(0, 10), "no pixels|not an image|damaged"),
    ],
    ids=["missing", "empty", "html", "jpeg", "png", "stub", "bytes lost", "bomb", "small bomb", "no width"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_file_is_named_with_the_reason(tmp_path, content, words):
    path = tmp_path / "00017-皖A25V59.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=words) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert caught.value.path == str(path)
    assert caught.value.reason in str(caught.value)


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)


def test_other_modes_are_refused(tmp_path):
    with pytest.raises(ValueError, match='mode=\'BGR\': it must be "RGB" or "L"'):
        read_image(tmp_path / "a.png", "BGR")


# --- size and perspective ---


@pytest.mark.parametrize("size", [(32, 128), (12, 20), (24, 40)])
def test_resize(picture, size):
    assert resize(picture, size).shape == (*size, 3)
    assert resize(picture[..., 0], size).shape == size
    assert resize(picture, size).mean() == pytest.approx(picture.mean(), abs=2)


def test_shrinking_averages():
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (10, 50))
    assert resize(stripes, (5, 10)).std() < 15


def test_the_whole_image_stays_as_it_is(picture):
    corners = [(0, 0), (40, 0), (40, 24), (0, 24)]
    np.testing.assert_array_equal(warp_corners(picture, corners), picture)


def test_warp_undoes_a_perspective(picture):
    corners = np.array([(60, 30), (140, 50), (150, 110), (50, 80)], dtype=float)
    forward = np.array([(0, 0), (40, 0), (40, 24), (0, 24)], dtype=float)
    rows = []
    for (x, y), (u, v) in zip(corners, forward, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    coefficients = np.linalg.solve(np.array(rows), forward.ravel())
    photo = Image.fromarray(picture).transform((200, 140), Image.Transform.PERSPECTIVE, coefficients, 2)
    back = warp_corners(np.array(photo), corners, (24, 40))
    inner = np.abs(back.astype(int) - picture)[3:-3, 3:-3]
    assert inner.mean() < 3


def test_warp_size(picture):
    corners = [(5, 4), (35, 4), (35, 14), (5, 14)]
    assert warp_corners(picture, corners).shape == (10, 30, 3)
    assert warp_corners(picture[..., 0], corners, (32, 128)).shape == (32, 128)
    assert warp_corners(picture, corners, (5, 6)).shape == (5, 6, 3)


def test_outside_the_image_is_black(picture):
    corners = [(-40, 0), (0, 0), (0, 24), (-40, 24)]
    assert warp_corners(picture, corners)[:, :-1].max() == 0


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        ([(0, 0), (9, 0), (9, 9)], "four"),
        ([(0, 0), (9, 0), (9, 9), (0, float("nan"))], "four"),
        ([(1, 1)] * 4, "no area"),
        ([(0, 0), (3, 3), (6, 6), (9, 9)], "no area"),
    ],
)
def test_bad_corners(picture, corners, words):
    with pytest.raises(ValueError, match=words):
        warp_corners(picture, corners)


def test_read_sample_crops_by_corners_then_box(tmp_path, picture):
    path = str(tmp_path / "a.png")
    Image.fromarray(picture).save(path)
    corners, box = ((5, 4), (35, 4), (35, 14), (5, 14)), (10, 2, 30, 12)
    table = pd.DataFrame({"image": path, "corners": [corners, None, None], "box": [box, box, None]})
    shapes = [read_sample(row).shape for row in table.itertuples()]
    assert shapes == [(10, 30, 3), (10, 20, 3), (24, 40, 3)]
    assert [read_sample(row, "L").shape for _, row in table.iterrows()] == [s[:2] for s in shapes]
    np.testing.assert_array_equal(read_sample(table.loc[1]), picture[2:12, 10:30])


def test_read_sample_takes_an_image_in_memory(picture):
    row = pd.Series({"image": picture, "box": (10, 2, 30, 12)})
    np.testing.assert_array_equal(read_sample(row), picture[2:12, 10:30])
    assert read_sample(row, "L").shape == (10, 20)
    with pytest.raises(ImageError, match="must be uint8 of shape"):
        read_sample(pd.Series({"image": picture / 255}))
    with pytest.raises(ImageError, match="image in memory: the box"):
        read_sample(pd.Series({"image": picture, "box": (100, 2, 130, 12)}))


def test_a_crop_outside_the_image_is_an_image_error(tmp_path, picture):
    path = str(tmp_path / "a.png")
    Image.fromarray(picture).save(path)
    with pytest.raises(ImageError, match=r"a\.png: the box .* outside the image of 40 x 24"):
        read_sample(pd.Series({"image": path, "box": (100, 2, 130, 12)}))
    with pytest.raises(ImageError, match=r"a\.png: the corners .* no area"):
        read_sample(pd.Series({"image": path, "corners": ((1, 1),) * 4}))


# --- augmentation ---


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randint(0, 256, (40, 3, 32, 128), dtype=torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_augmentation_keeps_shape_and_type(batch, name, channels):
    for seed in range(4):
        torch.manual_seed(seed)
        out = augment(batch[:, :channels], augmentation(name))
        assert out.shape == (40, channels, 32, 128) and out.dtype == torch.uint8


@pytest.mark.parametrize("name", NAMES)
def test_augmentation_follows_the_seed(batch, name):
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(augment(batch, augmentation(name)))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2]) == (name == "none")


def test_each_chunk_has_values_of_its_own():
    same = torch.randint(0, 256, (1, 3, 32, 128), dtype=torch.uint8).repeat(32, 1, 1, 1)
    torch.manual_seed(0)
    out = augment(same, augmentation("plates-resnet"), chunks=16)
    assert len({image.numpy().tobytes() for image in out}) == 16


def test_augmentation_leaves_the_batch_itself_alone(batch):
    before = batch.clone()
    for name in NAMES:
        augment(batch, augmentation(name))
    assert torch.equal(batch, before)


def test_small_and_empty_batches(batch):
    assert augment(batch[:3], augmentation("plates")).shape == (3, 3, 32, 128)
    assert augment(batch[:0], augmentation("plates")).shape == (0, 3, 32, 128)


def test_unknown_augmentation():
    with pytest.raises(ValueError, match="no augmentation is named 'plate'; there are: none, plates"):
        augmentation("plate")
