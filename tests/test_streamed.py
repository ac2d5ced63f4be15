"""Images that are streamed: the same pixels, in little memory, each once per epoch over all processes."""

import json
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from material import pack, run, smooth

from linnaea.data.images.pixels import Recipe, decode_files, rows_of
from linnaea.data.images.streamed import Streamed, decoded_or_streamed, room_for_pixels
from linnaea.data.sources import read
from linnaea.errors import DataError, UsageError
from linnaea.learning.batches import InMemory
from linnaea.learning.examples import Examples
from linnaea.models.embedding import embed
from linnaea.models.hog import Hog
from linnaea.runtime.files import read_json


@pytest.fixture
def shards(tmp_path):
    """Two tars of forty photos each."""
    for shard in range(2):
        members = {}
        for number in range(40):
            file = tmp_path / "one.png"
            smooth(100 * shard + number, 40).save(file)
            members |= {f"{number:03}.png": file.read_bytes(), f"{number:03}.cls": (b"ant", b"bee")[number % 2]}
            file.unlink()
        pack(tmp_path / "shards" / f"{shard}.tar", members)
    return tmp_path / "shards"


@pytest.fixture
def both(shards):
    """The same pixels, decoded at once and streamed."""
    paths, recipe = read(shards).paths, Recipe(24)
    decoded = decode_files(paths, recipe)
    found, note = decoded_or_streamed(paths, recipe, stream=True)
    assert found.sha256 == decoded.sha256
    assert "as requested" in note
    return decoded.images, found.images


def test_pixels_are_those_of_decoding_at_once_byte_for_byte(both):
    at_once, streamed = both
    assert isinstance(streamed, Streamed)
    assert streamed.shape == at_once.shape
    assert streamed.nbytes == at_once.nbytes
    for rows in (slice(None), slice(3, 60, 7), np.array([5, 2, 79]), np.arange(80) % 3 == 0):
        part = streamed[rows]
        assert isinstance(part, Streamed), "rows of it are streamed as well"
        assert np.array_equal(np.asarray(part), at_once[rows])
    assert np.array_equal(streamed[7], at_once[7])
    assert all(np.array_equal(one, other) for one, other in zip(streamed, at_once, strict=True))
    assert isinstance(rows_of(streamed, [1, 2]), Streamed)
    assert np.array_equal(embed(Hog(2, 24), streamed), embed(Hog(2, 24), at_once))


def test_batches_are_the_same_and_a_training_goes_on_within_an_epoch(both):
    targets = np.arange(80)
    kept, streamed = (
        InMemory(Examples(images, targets), 12, lambda seed: np.arange(80), ("shift", "flip")) for images in both
    )
    expected = list(kept.epoch(4).batches)
    for (images, rows), (again, same) in zip(streamed.epoch(4).batches, expected, strict=True):
        assert torch.equal(images, again)
        assert torch.equal(rows, same)
    begun = streamed.epoch(4)
    for _ in range(3):
        next(begun.batches)
    drawn = begun.generator.get_state()
    left = list(streamed.epoch(4).after(3, drawn))
    assert all(torch.equal(one[0], two[0]) for one, two in zip(left, expected[3:], strict=True))
    for rank in (0, 1):
        for (images, rows), (whole, all_rows) in zip(streamed.epoch(4, rank, 2).batches, expected, strict=True):
            assert torch.equal(images, whole[rank::2]), "as where one process has the whole batch"
            assert torch.equal(rows, all_rows[rank::2])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 4), st.integers(0, 1000))
def test_each_image_comes_once_per_epoch_over_all_processes(count, batch_size, ranks, seed):
    pixels = np.zeros((count, 4, 4, 3), dtype=np.uint8)
    source = InMemory(Examples(pixels, np.arange(count)), batch_size, lambda seed: np.arange(count))
    try:
        epochs = [list(source.epoch(seed, rank, ranks).batches) for rank in range(ranks)]
    except UsageError:
        assert min(map(len, np.array_split(np.arange(count), -(-count // batch_size)))) < ranks
        return
    assert len({len(batches) for batches in epochs}) == 1, "every one gets as many batches"
    seen = torch.cat([rows for batches in epochs for _, rows in batches])
    assert sorted(seen.tolist()) == list(range(count))
    again = [rows.tolist() for _, rows in source.epoch(seed, 0, ranks).batches]
    assert again == [rows.tolist() for _, rows in epochs[0]]


def test_only_a_processs_own_images_are_decoded(both, monkeypatch):
    _, streamed = both
    seen = []
    decode = Recipe.decode
    monkeypatch.setattr(Recipe, "decode", lambda self, path: (seen.append(path), decode(self, path))[1])
    source = InMemory(Examples(streamed, np.arange(80)), 16, lambda seed: np.arange(80))
    list(source.epoch(0, 1, 4).batches)
    assert len(seen) == len(set(seen)) == 20


def test_memory_is_that_of_a_few_batches(both):
    streamed = both[1]
    many = Streamed(streamed.paths * 10, streamed.sha256 * 10, streamed.recipe)
    source = InMemory(Examples(many, np.arange(800)), 8, lambda seed: np.arange(800))
    tracemalloc.start()
    for _ in source.epoch(0).batches:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < many.nbytes / 4


def test_a_file_that_changes_meanwhile_is_refused(tmp_path):
    for number in range(4):
        smooth(number, 24).save(tmp_path / f"{number}.png")
    paths = sorted(tmp_path.glob("*.png"))
    found, _ = decoded_or_streamed(paths, Recipe(16), stream=True)
    smooth(9, 24).save(paths[2])
    with pytest.raises(DataError, match=r"2\.png has changed since it was first read"):
        np.asarray(found.images)


def test_room_is_what_the_environment_says(monkeypatch, both, shards):
    monkeypatch.setenv("LINNAEA_PIXEL_ROOM", "100KB")
    assert room_for_pixels() == 100_000
    found, note = decoded_or_streamed(read(shards).paths, Recipe(24))
    assert isinstance(found.images, Streamed)
    assert "there is room for 0.0001 GB" in note
    monkeypatch.setenv("LINNAEA_PIXEL_ROOM", "200KB")
    assert isinstance(decoded_or_streamed(read(shards).paths, Recipe(24))[0].images, np.ndarray)


@pytest.mark.slow
def test_a_run_without_room_comes_to_the_same_and_says_so(shards, tmp_path, monkeypatch):
    words = "--weights none --model lenet5,hog --epochs 2 --img-size 24 --precision float32"
    words = [*words.split(), "--augment", "flip"]
    figures = []
    for name, room in (("kept", "1GB"), ("streamed", "10KB")):
        monkeypatch.setenv("LINNAEA_PIXEL_ROOM", room)
        assert run(["train", shards, *words, "--out", tmp_path / name], monkeypatch) == 0
        figures.append(read_json(tmp_path / name / "metrics.json"))
    assert json.dumps(figures[0]) == json.dumps(figures[1])
    told = [finding["name"] for finding in read_json(tmp_path / "streamed" / "findings" / "audit.json")]
    assert "streamed" in told
