"""16-bit grey is as bright as the bits that a set uses, for all of the set and for what comes after it."""

import logging

import numpy as np
import pytest
from PIL import Image

from linnaea.data.images.decoding import decode, read_rgb
from linnaea.data.images.greys import recipe_for
from linnaea.data.images.opening import UnreadableError
from linnaea.data.images.pixels import Recipe, decode_files


def ramps(folder, *highest, ending="png"):
    """16-bit images, each from 0 to a value."""
    paths = []
    for number, value in enumerate(highest):
        levels = np.linspace(0, value, 64 * 64).round().astype(np.uint16).reshape(64, 64)
        paths.append(folder / f"{number}.{ending}")
        Image.fromarray(levels).save(paths[-1])
    return paths


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize(("bits", "white"), [(8, 255), (10, 1_023), (12, 4_095), (14, 16_383), (16, 65_535)])
def test_white_is_the_highest_value_of_the_bits_in_use(tmp_path, caplog, bits, white, ending):
    paths = ramps(tmp_path, white, white // 3, ending=ending)
    with caplog.at_level(logging.INFO, "linnaea"):
        recipe = recipe_for(paths, 64)
    assert recipe.white == white
    assert (f"use {bits} bits" in caplog.text) == (bits < 16)
    bright, dark = decode_files(paths, recipe).images
    assert len(np.unique(bright)) >= 250
    assert 80 <= dark.max() <= 90  # a dark image stays dark


def test_sets_without_such_pictures_are_as_ever(tmp_path, caplog):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    with caplog.at_level(logging.INFO, "linnaea"):
        assert recipe_for([tmp_path / "a.png", tmp_path / "gone.png"], 64) == Recipe(64)
        assert recipe_for([], 64) == Recipe(64)
        (black,) = ramps(tmp_path, 0)
        assert recipe_for([black], 64) == Recipe(64)
    assert caplog.text == ""


@pytest.mark.parametrize("white", [255, 1_023, 4_095, 16_383, 65_535])
def test_where_there_was_no_set_the_picture_itself_says_how_many_bits_it_uses(tmp_path, white):
    (path,) = ramps(tmp_path, white)
    levels = decode(path, 64)
    assert (levels.min(), levels.max()) == (0, 255)
    assert len(np.unique(levels)) >= 250
    assert decode(ramps(tmp_path, white // 3)[0], 64).max() in range(80, 91)


def test_a_later_picture_of_another_scale_is_named(tmp_path):
    recipe = recipe_for(ramps(tmp_path, 4_095, 900), 64)
    (later,) = ramps(tmp_path, 60_000)
    assert "grey values up to 60,000, but white is 4,095" in decode_files([later], recipe).failed[0]


def test_fractions_are_refused_for_what_they_are(tmp_path):
    Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableError, match=r"values from 0 to 1 \(mode F\) have no standard brightness: save it"):
        decode(tmp_path / "a.tif", 8)
    Image.fromarray(np.full((8, 8), 70_000, np.int32)).save(tmp_path / "b.tif")
    with pytest.raises(UnreadableError, match=r"to 70,000 \(mode I\)"):
        decode(tmp_path / "b.tif", 8)


def test_a_tiff_of_twelve_bits_says_so_itself(tmp_path):
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    pairs = values.reshape(-1, 2)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], axis=1)
    Image.fromarray(values).save(tmp_path / "a.tif")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    at = content.index(b"\x02\x01\x03\x00\x01\x00\x00\x00\x10")  # bits per sample
    content[at + 8] = 12
    content[-8192:] = packed.astype(np.uint8).tobytes().ljust(8192, b"\0")
    levels = np.asarray(read_rgb(bytes(content), 64))[..., 0].ravel()
    assert (levels[0], levels[-1]) == (0, 255)
    assert (np.diff(levels.astype(int)) >= 0).all()
