"""Copies of an image are found; different images are not taken for copies."""

import io

import numpy as np
import pytest
from material import smooth
from PIL import Image

import linnaea
from linnaea.data.duplicates import alignment, grouping, sameness
from linnaea.data.duplicates.grouping import duplicate_groups, thumbnails_of
from linnaea.data.images.decoding import decode


def pixels(*images, size=64):
    return np.stack([np.asarray(image.resize((size, size))) for image in images])


def groups_of(images, sha256=None):
    names = sha256 or [str(number) for number in range(len(images))]
    groups, complete = duplicate_groups(thumbnails_of(images), names, look=images.__getitem__)
    assert complete
    return groups


def recompressed(image, quality):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.fromarray(decode(out.getvalue(), image.width))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: recompressed(image, 60),
        lambda image: image.resize((40, 40)).resize((64, 64)),
        lambda image: Image.fromarray(np.clip(np.asarray(image).astype(int) + 1, 0, 255).astype(np.uint8)),
    ],
    ids=["recompressed", "shrunk", "a little brighter"],
)
def test_nearly_the_same_picture_is_a_duplicate(change):
    found = groups_of(pixels(smooth(0), smooth(1), change(smooth(0))))
    assert found[0] == found[2] != found[1]


def test_equal_bytes_are_duplicates_even_of_flat_pictures():
    flat = np.zeros((3, 32, 32, 3), dtype=np.uint8)
    found = groups_of(flat, ["x", "y", "x"])
    assert found[0] == found[2] != found[1]


def test_flat_pictures_are_not_all_one():
    grey = np.stack([np.full((32, 32, 3), value, dtype=np.uint8) for value in range(100, 140)])
    assert len(set(groups_of(grey).tolist())) == 40


@pytest.mark.parametrize("size", [8, 17, 32, 64, 100])
def test_different_pictures_are_no_duplicates(size):
    images = pixels(*[smooth(number) for number in range(120)], size=size)
    assert len(set(groups_of(images).tolist())) == 120


def test_mirrored_and_turned_pictures_are_different():
    image = np.asarray(smooth(0))
    found = groups_of(np.stack([image, image[:, ::-1], image[::-1], np.rot90(image)]))
    assert len(set(found.tolist())) == 4


def test_groups_do_not_depend_on_order():
    images = pixels(*[smooth(number % 15) for number in range(45)])
    order = np.random.default_rng(0).permutation(45)
    straight, mixed = groups_of(images), groups_of(images[order])
    same = straight[:, None] == straight[None]
    assert (same[np.ix_(order, order)] == (mixed[:, None] == mixed[None])).all()
    assert len(set(straight.tolist())) == 15


def test_a_crowd_of_one_picture_is_one_group():
    assert len(set(groups_of(pixels(*[smooth(3)] * 200)).tolist())) == 1


def test_it_is_said_where_only_the_closest_were_compared(tmp_path, monkeypatch, caplog):
    for number in range(12):
        picture = np.asarray(smooth(0)).copy()
        picture[4 * number : 4 * number + 8, 20:32] = 255 * (number % 2)
        place = tmp_path / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(place)
    assert linnaea.check_split(linnaea.split(tmp_path))[0].name == "shares"
    monkeypatch.setattr(grouping, "MOST_PAIRS", 0)
    monkeypatch.setattr(grouping, "FEW_PAIRS", 3)
    finding = linnaea.check_split(linnaea.split(tmp_path))[0]
    assert (finding.name, finding.severity, finding.count) == ("not_all_compared", "warning", 12)
    caplog.clear()
    linnaea.split(tmp_path, folds=2)
    assert caplog.messages == [finding.summary]


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_and_one_picture(count):
    assert groups_of(np.zeros((count, 32, 32, 3), dtype=np.uint8)).tolist() == list(range(count))


def test_verdicts_are_remembered_and_the_same(tmp_path, monkeypatch):
    images = pixels(*[smooth(number) for number in range(40)])
    images = np.concatenate([images, images // 2 + 40])
    monkeypatch.setenv("LINNAEA_CACHE", "none")
    fresh = groups_of(images)
    assert len(set(fresh.tolist())) == 40
    monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path / "cache"))
    assert (groups_of(images) == fresh).all()
    monkeypatch.delattr(alignment, "agree_when_small")
    monkeypatch.delattr(sameness, "differences")
    assert (groups_of(images) == fresh).all()
