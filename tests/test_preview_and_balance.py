"""What a run writes down about augmentations and balance, and the sheet that shows what a network will see."""

import json

import numpy as np
import pytest
from PIL import Image

import linnaea as ln
from linnaea.delivery.sheet import Strip, draw_sheet
from linnaea.errors import DataError, UsageError
from linnaea.experiments.preview_sheet import DRAWS


def width_of(file):
    with Image.open(file) as image:
        return image.width


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Noise with a bright square at the left (30 images), at the right (30) or in the middle (8)."""
    folder, random = tmp_path_factory.mktemp("data") / "sides", np.random.default_rng(0)
    for name, count, left in (("left", 30, 1), ("right", 30, 15), ("middle", 8, 8)):
        for number in range(count):
            picture = random.integers(0, 90, (24, 24, 3), dtype=np.uint8)
            top = random.integers(0, 16)
            picture[top : top + 8, left : left + 8] = random.integers(180, 255)
            place = folder / name / f"{number:02}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(place)
    return folder


@pytest.fixture(scope="module")
def run(sides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "sides"
    ln.train(
        sides,
        out=folder,
        model="hog,scratch",
        weights="none",
        epochs=1,
        balance="synthetic",
        augment=["flip", "cutout"],
    )
    return folder


def test_the_run_says_what_speaks_against_an_augmentation(run):
    findings = {found["name"]: found for found in json.loads((run / "findings" / "augmentations.json").read_text())}
    assert findings["flip"]["severity"] == "warning"
    assert {"left", "right"} == {row["class"] for row in findings["flip"]["rows"][:2]}
    assert findings["flip"]["figure"]["lo"] is not None
    assert findings["cutout"]["severity"] == "info"
    notes = {row.split(",")[0]: row for row in (run / "ladder.csv").read_text().splitlines()}
    assert "Augmentations as requested: flip, cutout. The evidence is against flip" in notes["scratch"]


def test_the_run_says_how_classes_were_balanced_and_shows_what_was_made(run):
    (finding,) = json.loads((run / "findings" / "balance.json").read_text())
    made = {row["class"]: row["images"] + row["made"] for row in finding["rows"]}
    assert len(set(made.values())) == 1
    assert finding["count"] == sum(row["made"] for row in finding["rows"])
    assert "temperature does not mend" in finding["summary"]
    assert width_of(run / "synthetic.png") > 8 * 96
    assert json.loads((run / "run.json").read_text())["arguments"]["balance"] == "synthetic"
    assert "synthetic" in (run / "report.html").read_text()


def test_what_cannot_be_balanced_is_refused_before_anything_is_written(sides, tmp_path):
    with pytest.raises(UsageError, match="hog can be balanced by"):
        ln.train(sides, out=tmp_path / "run", model="hog", weights="none", balance="focal")
    with pytest.raises(UsageError, match="from 0 to 180"):
        ln.train(sides, out=tmp_path / "run", model="hog", weights="none", augment=["rotation:181"])
    assert not (tmp_path / "run").exists()


def test_a_preview_shows_one_picture_of_each_class(sides, tmp_path):
    shown = ln.preview(sides, augment=["rotation:30", "mixup"], weights="none", out=tmp_path / "sheet.png", seed=3)
    assert shown.augmentations == ("rotation:30", "mixup")
    again = ln.preview(sides, augment=["rotation:30", "mixup"], weights="none", out=tmp_path / "again.png", seed=3)
    assert shown.file.read_bytes() == again.file.read_bytes()
    other = ln.preview(sides, augment=["rotation:30", "mixup"], weights="none", out=tmp_path / "other.png", seed=4)
    assert shown.file.read_bytes() != other.file.read_bytes()
    assert width_of(shown.file) > (1 + DRAWS) * 96


def test_a_preview_without_names_shows_what_training_would_take(sides, tmp_path):
    shown = ln.preview(sides, weights="none", out=tmp_path / "sheet.png")
    assert shown.augmentations == ("shift",)
    assert "Left out because the evidence is against it: flip" in shown.notes[1]


def test_a_preview_of_nothing_readable_says_so(tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "1.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match="none could be read"):
        ln.preview(tmp_path / "data", augment=[], weights="none", out=tmp_path / "sheet.png")


def test_a_sheet_shows_pictures_pixel_by_pixel_and_cuts_long_names():
    picture = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    picture[0, :, 4:] = 200
    sheet = draw_sheet(
        "Title", ["as decoded"], [Strip("a name that is far too long for its place on a sheet", picture)]
    )
    colours = {colour for _, colour in sheet.crop((150, 60, 246, 140)).getcolors()}
    assert colours == {(0, 0, 0), (200, 200, 200)}
