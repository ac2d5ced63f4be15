"""Whatever bytes come in: the right pixels, or the reason why not, quickly and without a warning."""

import ast
import io
import struct
import sys
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from linnaea.data.images import bands, damage, decoding, fits, opening
from linnaea.data.images.decoding import FITS, decode
from linnaea.data.images.opening import MOST_PIXELS, UnreadableError
from linnaea.data.images.pixels import Recipe, decode_files, decode_in_batches
from linnaea.errors import UnreadableImageError, UsageError
from linnaea.runtime import reading

RED, GREEN, BLUE, YELLOW = (200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30)
ORIENTATION = 0x0112
TOLERANCE = 12


def quarters(size=32):
    """Red and green above, blue and yellow below: no two turns or mirrorings of it look the same."""
    half = size // 2
    pixels = np.zeros((size, size, 3), dtype=np.uint8)
    pixels[:half, :half], pixels[:half, half:], pixels[half:, :half], pixels[half:, half:] = RED, GREEN, BLUE, YELLOW
    return Image.fromarray(pixels)


def encode(image, form="PNG", **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def png_header(width, height):
    """A PNG file that claims a size and holds almost no data."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


def assert_quarters(pixels):
    size = len(pixels)
    for colour, (row, column) in zip((RED, GREEN, BLUE, YELLOW), ((1, 1), (1, 3), (3, 1), (3, 3)), strict=True):
        assert np.abs(pixels[row * size // 4, column * size // 4].astype(int) - colour).max() <= TOLERANCE


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientations_are_undone(orientation, form):
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that a camera in this position applied
    image = quarters() if orientation == 1 else quarters().transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(form, {})
    assert_quarters(decode(encode(image, form, exif=exif, **options), 32))


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("RGB", "PNG"),
        ("RGB", "JPEG"),
        ("RGB", "WEBP"),
        ("RGB", "BMP"),
        ("RGB", "TIFF"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("P", "BMP"),
        ("P", "TIFF"),
        ("RGBA", "PNG"),
        ("RGBA", "WEBP"),
        ("RGBA", "TIFF"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("YCbCr", "TIFF"),
    ],
)
def test_colours_survive_every_mode(mode, form):
    image = quarters().quantize(8) if mode == "P" else quarters().convert(mode)
    assert_quarters(decode(encode(image, form, **({"quality": 95, "subsampling": 0} if form == "JPEG" else {})), 32))


@pytest.mark.parametrize(("mode", "form"), [("1", "PNG"), ("1", "TIFF"), ("L", "PNG"), ("L", "JPEG"), ("LA", "PNG")])
def test_grey_modes_become_three_equal_channels(mode, form):
    ramp = np.repeat(np.where(np.arange(32) < 16, 0, 255)[None].astype(np.uint8), 32, axis=0)
    pixels = decode(encode(Image.fromarray(ramp).convert(mode), form), 32)
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 0] == pixels[..., 2]).all()
    assert pixels[:, :15].max() < 10
    assert pixels[:, 17:].min() > 245


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "RGB", "L"])
def test_transparency_lies_over_white(mode):
    image, options, form = Image.new("RGBA", (8, 8), (0, 0, 0, 0)), {}, "PNG"
    if mode in ("P", "RGB", "L"):
        image, options = Image.new(mode, (8, 8), 0), {"transparency": (0, 0, 0) if mode == "RGB" else 0}
    elif mode == "LA":
        image = image.convert("LA")
    elif mode == "PA":
        image, form = Image.new("PA", (8, 8)), "TIFF"
    assert (decode(encode(image, form, **options), 8) == 255).all()


def test_a_palette_with_a_transparency_per_colour_is_read_without_a_warning():
    image = quarters().quantize(4)
    pixels = decode(encode(image, "PNG", transparency=bytes([0, 255, 255, 255])), 32)
    assert (pixels == 255).all(axis=2).mean() == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_levels(form):
    ramp = np.linspace(0, 65535, 256 * 256).astype(np.uint16).reshape(256, 256)
    pixels = decode(encode(Image.fromarray(ramp), form), 256)
    assert len(np.unique(pixels)) >= 250
    assert pixels[0, 0, 0] == 0
    assert pixels[-1, -1, 0] == 255
    assert (np.diff(pixels[:, 128, 0].astype(int)) >= 0).all()


def test_big_endian_sixteen_bits_are_the_same():
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    big = Image.frombytes("I;16B", (64, 64), ramp.astype(">u2").tobytes())
    assert (decode(encode(big, "TIFF"), 64) == decode(encode(Image.fromarray(ramp), "TIFF"), 64)).all()


@pytest.mark.parametrize(
    "values", [np.full((8, 8), 0.5, np.float32), np.full((8, 8), 70_000, np.int32), np.full((8, 8), -1, np.int32)]
)
def test_numbers_without_an_agreed_brightness_are_refused(values):
    with pytest.raises(UnreadableError, match="no standard brightness"):
        decode(encode(Image.fromarray(values), "TIFF"), 8)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_counts(form):
    later = [Image.new("RGB", (32, 32), YELLOW), Image.new("RGB", (32, 32), BLUE)]
    options = {"lossless": True} if form == "WEBP" else {}
    pixels = decode(encode(quarters(), form, save_all=True, append_images=later, duration=50, **options), 32)
    assert_quarters(pixels)


def test_a_gif_with_a_transparent_colour_keeps_the_others():
    palette = quarters().quantize(8)
    content = encode(palette, "GIF", transparency=palette.getpixel((0, 0)))
    expected = np.asarray(quarters()).copy()
    expected[:16, :16] = 255
    np.testing.assert_array_equal(decode(content, 32), expected)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_says_so(form, share):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    content = encode(noise, form)
    with pytest.raises(UnreadableError, match=r"damaged image: \w"):
        decode(content[: int(len(content) * share)], 32)


@pytest.mark.parametrize("content", [b"", b"hello, I am no picture", b"\0" * 100, b"%PDF-1.7", b"<svg/>"])
def test_bytes_that_are_no_image_name_the_formats(content):
    with pytest.raises(UnreadableError, match="not an image in a supported format"):
        decode(content, 32)


@pytest.mark.parametrize("name", ["absent.png", "folder.png", "text.jpg", "empty.png"])
def test_a_recipe_says_why_a_file_cannot_be_read(tmp_path, name):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "text.jpg").write_text("words")
    (tmp_path / "empty.png").touch()
    reasons = {"absent": "file not found", "folder": "a folder", "text": "not an image", "empty": "0 bytes"}
    with pytest.raises(UnreadableImageError, match=reasons[name.split(".")[0]]):
        Recipe(32).decode(tmp_path / name)


@pytest.mark.parametrize("name", ["absent.png", "folder.png"])
def test_paths_that_cannot_be_opened_are_refused_by_decode_too(tmp_path, name):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UnreadableError, match=r"file not found|cannot be read: a folder, not a file"):
        decode(tmp_path / name, 32)


@pytest.mark.parametrize("side", [7_072, 50_000, 200_000])
def test_a_picture_of_too_many_pixels_is_refused_at_once(side):
    assert side**2 > MOST_PIXELS
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(UnreadableError, match=r"200,000|50,000|7,072"):
        decode(png_header(side, side), 32)
    assert time.perf_counter() - started < 1
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("most", [None, 1, 10**9])
def test_no_setting_of_pillow_moves_the_limit_or_warns(monkeypatch, most):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    assert_quarters(decode(encode(quarters()), 32))
    with pytest.raises(UnreadableError, match="over the limit of"):
        decode(png_header(20_000, 20_000), 32)


def test_between_pillows_warning_and_the_limit_threads_stay_quiet():
    content = png_header(10_000, 10_000)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(io.BytesIO(content))
    with ThreadPoolExecutor(4) as pool:  # a warning would be raised here
        sizes = list(pool.map(lambda _: opening.open_image(content, 10**9).size, range(32)))
    assert sizes == [(10_000, 10_000)] * 32


def test_bytes_and_path_give_the_same(tmp_path):
    content = encode(quarters(48), "JPEG")
    (tmp_path / "ä picture.jpeg").write_bytes(content)
    from_path = decode(tmp_path / "ä picture.jpeg", 32)
    assert (from_path == decode(content, 32)).all()
    assert (from_path == decode(str(tmp_path / "ä picture.jpeg"), 32)).all()
    assert from_path.flags.writeable


def test_fits_differ_as_they_say():
    wide = Image.new("RGB", (60, 20), BLUE)
    wide.paste(Image.new("RGB", (20, 20), RED), (20, 0))
    crop, pad, stretch = (decode(encode(wide), 30, fit) for fit in FITS)
    assert np.abs(crop.astype(int) - RED).max() < 40
    assert (pad[:9] == decoding.PAD_GREY).all()
    assert (pad[21:] == decoding.PAD_GREY).all()
    assert np.abs(pad[15, 2].astype(int) - BLUE).max() <= TOLERANCE
    assert np.abs(stretch[:, 2].astype(int) - BLUE).max() <= TOLERANCE
    assert np.abs(stretch[:, 15].astype(int) - RED).max() <= TOLERANCE


def test_an_unknown_fit_is_refused():
    with pytest.raises(ValueError, match="crop, pad, stretch"):
        decode(encode(quarters()), 32, "bend")
    with pytest.raises(UsageError, match="crop, pad, stretch"):
        Recipe(32, "bend")


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3)])
@pytest.mark.parametrize("fit", FITS)
def test_tiny_and_thin_pictures(size, fit):
    pixels = decode(encode(Image.new("RGB", size, GREEN)), 16, fit)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == GREEN).all(axis=2).any()


CONTENTS = [encode(quarters(), form) for form in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")]


@settings(max_examples=150, deadline=None)
@given(
    content=st.sampled_from(CONTENTS),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
    length=st.integers(16, 5000),
)
def test_damaged_bytes_never_raise_anything_else(content, changes, length):
    damaged = bytearray(content[:length])
    for position, value in changes:
        damaged[position % len(damaged)] = value
    try:
        assert decode(bytes(damaged), 8).shape == (8, 8, 3)
    except UnreadableError as error:
        assert str(error)  # noqa: PT017  either outcome is right


def test_many_files_keep_their_order_and_their_failures(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(70)]
    for number, path in enumerate(paths):
        path.write_bytes(encode(Image.new("RGB", (8, 8), (number, 0, 0))) if number % 10 else b"broken")
    decoded = decode_files(paths, Recipe(8))
    assert sorted(decoded.failed) == list(range(0, 70, 10))
    assert [int(image[0, 0, 0]) for image in decoded.images] == [number if number % 10 else 0 for number in range(70)]
    assert decoded.excluded([path.name for path in paths])[1].path == "10.png"
    kept = decoded.kept()
    assert len(kept.images) == len(kept.sha256) == 63
    assert all(kept.sha256)
    batches = list(decode_in_batches(paths, Recipe(8), batch_size=32))
    assert (np.concatenate([batch.images for batch in batches]) == decoded.images).all()


@pytest.mark.parametrize("size", [7, 2049])
def test_a_recipe_refuses_odd_sizes(size):
    with pytest.raises(UsageError, match="8 to 2048"):
        Recipe(size)


def test_decoding_needs_nothing_but_numpy_and_pillow_and_what_travels_with_it():
    for module in (reading, damage, bands, fits, opening, decoding):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))
        known = {*sys.stdlib_module_names, "numpy", "PIL", *(["tifffile"] if module is bands else [])}
        others = {name for name in names if name.split(".")[0] not in known}
        ours = ("images.damage", "images.bands", "images.fits", "images.opening")
        assert others <= {*(f"linnaea.data.{name}" for name in ours), "linnaea.runtime.reading"}
