"""A simulation: photos and their planted copies (re-encoded, resized, cropped, brightened) never lie in two parts."""

import io
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw, ImageEnhance

import linnaea
from linnaea.data.images.pixels import Recipe
from linnaea.data.splits import SPLITTERS, assign_folds, split
from linnaea.experiments.preparation import usable

SCENES = 40
SEEDS = range(25)


def scene(number):
    """A photo-like image of 160 x 120 pixels: soft light, and some things in it."""
    random = np.random.default_rng(number)
    light = Image.fromarray(random.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize(
        (160, 120), Image.Resampling.BICUBIC
    )
    pen = ImageDraw.Draw(light)
    for _ in range(8):
        x, y = random.integers(0, 150), random.integers(0, 110)
        width, height = random.integers(8, 45, 2)
        draw = pen.ellipse if random.random() < 0.5 else pen.rectangle
        draw((x, y, x + width, y + height), fill=tuple(random.integers(0, 256, 3).tolist()))
    return light


def re_encoded(image):
    return Image.open(io.BytesIO(_jpeg(image, 60)))


def resized(image):
    return image.resize((107, 80), Image.Resampling.LANCZOS)


def cropped(image):
    return image.crop((3, 2, 158, 118))


def brightened(image):
    return ImageEnhance.Brightness(image).enhance(1.06)


PLANTS = (re_encoded, resized, cropped, brightened)


def _jpeg(image, quality):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Photos of 40 scenes with one or two copies of each, as a table with a time, and which scene each shows."""
    root, random = tmp_path_factory.mktemp("planted"), np.random.default_rng(0)
    rows = []
    for number in range(SCENES):
        image = scene(number)
        copies = [plant(image) for plant in random.permutation(np.array(PLANTS))[: 1 + number % 2]]
        for place, copy in enumerate([image, *copies]):
            name = f"{number:02}-{place}.{'png' if place else 'jpg'}"
            copy.save(root / name, quality=95)
            rows.append(f"{name},{'ab'[number % 2]},{random.integers(0, 1000)}")
    (root / "labels.csv").write_text("path,label,time\n" + "\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def found(planted):
    return usable(linnaea.read(planted), Recipe(64))


@pytest.fixture(scope="module")
def several_labels(found):
    """The same photos, each with up to three labels."""
    random, dataset = np.random.default_rng(1), found.dataset
    labels = [["a", "b", "c"][: random.integers(0, 4)] for _ in dataset.ids]
    column = dataset.table.column_names.index("label")
    table = dataset.table.set_column(column, "label", pa.array(labels, pa.list_(pa.string())))
    return replace(dataset, table=table, task="multilabel", classes=("a", "b", "c"))


def scenes_of(dataset):
    return [path.split("-")[0] for path in dataset.ids]


def torn(dataset, parts):
    """Scenes that lie in more than one part."""
    places = defaultdict(set)
    for name, part in zip(scenes_of(dataset), parts, strict=True):
        places[name].add(part)
    return sorted(name for name, found in places.items() if len(found) > 1)


def test_every_planted_copy_is_found_and_no_two_scenes_are_taken_for_one(found):
    together = defaultdict(set)
    for unit, name in zip(found.units.tolist(), scenes_of(found.dataset), strict=True):
        together[unit].add(name)
    assert all(len(names) == 1 for names in together.values())
    assert len(together) == SCENES


@pytest.mark.parametrize("by", SPLITTERS)
@pytest.mark.parametrize("labels", ["one", "several"])
def test_no_planted_copy_is_ever_in_another_part(found, several_labels, by, labels):
    dataset = found.dataset if labels == "one" else several_labels
    for seed in SEEDS:
        done = split(dataset, found.units, by=by, seed=seed)
        assert torn(done, done.column("split")) == []
        assert set(done.column("split")) == {"train", "val", "test"}
        assert len(done) == len(dataset) or by == "time"


@pytest.mark.parametrize("labels", ["one", "several"])
def test_no_planted_copy_is_ever_in_another_fold(found, several_labels, labels):
    dataset = found.dataset if labels == "one" else several_labels
    for seed in SEEDS:
        for column in assign_folds(dataset, found.units, folds=5, repeats=2, seed=seed).T:
            assert torn(dataset, column.tolist()) == []


def test_without_looking_for_copies_the_same_splits_would_leak(found):
    """What the tests above would see if they could see nothing."""
    done = split(found.dataset, seed=0)
    assert len(torn(done, done.column("split"))) > SCENES / 10


def test_the_verbs_keep_copies_together_and_the_check_agrees(planted):
    for by in SPLITTERS:
        done = linnaea.split(planted, split_by=by, seed=3)
        assert torn(done, done.column("split")) == []
        names = {finding.name for finding in linnaea.check_split(done, split_by=by)}
        assert names <= ({"shares"} if by == "time" else {"shares", "time_across_splits"})
    for part in linnaea.folds(planted, folds=4, repeats=2, seed=3):
        assert torn(part, part.column("split")) == []
