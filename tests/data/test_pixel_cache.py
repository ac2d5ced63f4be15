"""Pixels that were decoded once are not decoded again, and never those of another file."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linnaea.data.images import decoding, opening, pixels
from linnaea.data.images.pixels import Recipe, decode_files


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(5):
        Image.fromarray(generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / f"photos/{number}.png")
        os.utime(tmp_path / f"photos/{number}.png", ns=(10**18, 10**18))
    (tmp_path / "photos/broken.png").write_bytes(b"no image")
    return sorted((tmp_path / "photos").iterdir())


@pytest.fixture
def decoded_files(monkeypatch):
    """The files that were really decoded."""
    seen, decode = [], pixels.decode
    monkeypatch.setattr(pixels, "decode", lambda content, *rest: (seen.append(content), decode(content, *rest))[1])
    return seen


def test_a_second_pass_decodes_only_what_changed(photos, decoded_files):
    first = decode_files(photos, Recipe(32))
    assert len(decoded_files) == 6
    decoded_files.clear()
    again = decode_files(photos, Recipe(32))
    assert [content == b"no image" for content in decoded_files] == [True]
    assert (again.images == first.images).all()
    assert (again.sha256, again.failed) == (first.sha256, first.failed)
    decoded_files.clear()
    Image.new("RGB", (40, 50), "red").save(photos[2])
    changed = decode_files(photos, Recipe(32))
    assert len(decoded_files) == 2
    assert (changed.images[2] == [255, 0, 0]).all()
    assert changed.sha256[2] != first.sha256[2]
    decoded_files.clear()
    decode_files(photos, Recipe(32, "pad"))
    assert len(decoded_files) == 6


def test_a_file_that_is_replaced_while_it_is_decoded_is_read_again(photos, monkeypatch):
    decode = pixels.decode

    def replaced_meanwhile(content, *rest):
        if content == original:
            Image.new("RGB", (40, 50), "blue").save(photos[1])
            os.utime(photos[1], ns=(10**18 + 5, 10**18 + 5))
        return decode(content, *rest)

    original = photos[1].read_bytes()
    monkeypatch.setattr(pixels, "decode", replaced_meanwhile)
    assert (decode_files(photos, Recipe(32)).images[1] != [0, 0, 255]).any()
    assert (decode_files(photos, Recipe(32)).images[1] == [0, 0, 255]).all()


def test_prediction_leaves_the_cache_alone(photos, decoded_files):
    for _ in pixels.decode_in_batches(photos, Recipe(32)):
        pass
    decoded_files.clear()
    decode_files(photos, Recipe(32))
    assert len(decoded_files) == 6


def test_a_full_disk_only_costs_time(photos, decoded_files, monkeypatch, caplog):
    def refuse(path, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("linnaea.runtime.store.Path.replace", refuse)
    first = decode_files(photos, Recipe(32))
    assert "the work continues without it" in caplog.text
    assert (decode_files(photos, Recipe(32)).images == first.images).all()
    assert len(decoded_files) == 12
    assert not [path for path in photos[0].parents[1].glob("cache/*") if path.suffix in (".rows", ".partial")]


@pytest.mark.parametrize("fit", decoding.FITS)
def test_scaled_decoding_of_large_jpegs_stays_close(tmp_path, monkeypatch, fit):
    ramp = np.linspace(0, 255, 640)[:, None] + np.zeros(480)
    waves = 40 * np.sin(np.arange(480) / 9)[None] + ramp * 0.7 + 30
    picture = (
        np.stack([waves, waves.T[:480, :640].mean() + 0 * waves, waves[::-1]], axis=2).clip(0, 255).astype(np.uint8)
    )
    Image.fromarray(picture).save(tmp_path / "large.jpg", quality=95)
    scaled = decoding.decode(Path(tmp_path / "large.jpg"), 64, fit)
    monkeypatch.setattr(opening, "_scaled", lambda image, size: image)
    whole = decoding.decode(Path(tmp_path / "large.jpg"), 64, fit)
    assert (scaled != whole).any()
    assert np.abs(scaled.astype(int) - whole).mean() < 1
