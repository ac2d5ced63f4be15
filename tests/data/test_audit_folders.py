"""Folders that are not what they seem: masks beside photos, and a folder one level too high."""

import numpy as np
import pytest
from material import draw_pets, smooth
from PIL import Image

import linnaea
from linnaea.errors import DataError


def findings(folder):
    return {finding.name: finding for finding in linnaea.audit(folder, weights="none", duplicates="exact")}


def draw(place, number, *, mask=False):
    place.parent.mkdir(parents=True, exist_ok=True)
    image = smooth(number, 48)
    (image.convert("L").point(lambda level: 255 * (level > 128)) if mask else image).save(place)


def test_masks_named_after_their_photo_are_named(tmp_path):
    for number in range(12):
        label = "ab"[number % 2]
        draw(tmp_path / label / f"{number}.png", number)
        draw(tmp_path / label / f"{number}_mask.png", number, mask=True)
    finding = findings(tmp_path)["masks"]
    assert {row["path"] for row in finding.rows} == {f"{'ab'[n % 2]}/{n}_mask.png" for n in range(12)}
    assert "12 of 24 images look like masks" in finding.summary
    assert "move them out" in finding.summary


def test_a_folder_of_masks_beside_one_of_images_is_named(tmp_path):
    for number in range(8):
        draw(tmp_path / "ab"[number % 2] / "images" / f"{number}.png", number)
        draw(tmp_path / "ab"[number % 2] / "masks" / f"{number}.png", number, mask=True)
    assert findings(tmp_path)["masks"].count == 8


def test_photos_of_the_same_names_and_drawings_are_no_masks(tmp_path):
    for number in range(12):
        draw(tmp_path / "photos" / "ab"[number % 2] / f"{number // 2}.png", number)
        draw(tmp_path / "photos" / "ab"[number % 2] / f"{number // 2}_2.png", 20 + number)
        draw(tmp_path / "drawings" / "ab"[number % 2] / f"{number // 2}.png", number, mask=True)
    assert "masks" not in findings(tmp_path / "photos")
    assert "masks" not in findings(tmp_path / "drawings")


@pytest.mark.parametrize("sets", [["photos"], ["first", "second"]])
def test_a_folder_one_level_too_high_says_which_to_use(tmp_path, sets):
    for name in sets:
        draw_pets(tmp_path / name, *(f"{number}.png" for number in range(6)))
    finding = findings(tmp_path)["one_level_too_high"]
    assert "(cat, dog)" in finding.summary
    assert f"give {tmp_path / sets[0]}" in finding.summary
    assert "one_level_too_high" not in findings(tmp_path / sets[0])
    if len(sets) == 1:
        with pytest.raises(DataError, match=f"give {tmp_path / 'photos'} instead"):
            linnaea.split(tmp_path)


def test_folders_within_classes_that_differ_are_no_classes(tmp_path):
    for number in range(12):
        label, day = "ab"[number % 2], ("monday", "tuesday", "friday")[number % 3 if number % 2 else 0]
        draw(tmp_path / label / day / f"{number}.png", number)
    assert "one_level_too_high" not in findings(tmp_path)


def test_a_group_of_few_values_is_refused_with_what_it_takes(tmp_path):
    dataset = linnaea.read(draw_pets(tmp_path, *(f"{number}.png" for number in range(30))))
    with pytest.raises(DataError, match=r"`group` has 2 values.*test would be empty: expected at least 3 values"):
        linnaea.split(dataset.with_column("group", [f"site {number % 2}" for number in range(30)]))
    parts = linnaea.split(dataset.with_column("group", [f"site {number % 6}" for number in range(30)]))
    assert all(len(parts.split(name)) for name in ("train", "val", "test"))


def test_a_mix_that_grouping_changes_is_told_and_one_that_it_does_not_is_not(tmp_path, caplog):
    dataset = linnaea.read(draw_pets(tmp_path, *(f"{number}.png" for number in range(120))))
    lopsided = [f"{label} {number % 3 if label == 'cat' else number}" for number, label in enumerate(dataset.labels)]
    linnaea.split(dataset.with_column("group", lopsided))
    said = [message for message in caplog.messages if "changes the mix of classes" in message]
    assert len(said) == 1
    assert "'cat' is" in said[0]
    caplog.clear()
    even = linnaea.split(dataset.with_column("group", [f"{name} {n % 20}" for n, name in enumerate(dataset.labels)]))
    assert not [message for message in caplog.messages if "mix of classes" in message]
    assert np.unique(even.column("split")).tolist() == ["test", "train", "val"]


def test_a_leak_is_told_first_in_images_and_shares(tmp_path):
    folder = draw_pets(tmp_path, *(f"{number}.png" for number in range(40)))
    dataset = linnaea.read(folder)
    parts = ["train"] * 20 + ["val"] * 10 + ["test"] * 10
    copy = folder / dataset.ids[35]
    copy.write_bytes((folder / dataset.ids[0]).read_bytes())
    Image.open(copy).verify()
    found = linnaea.audit(dataset.with_column("split", parts), weights="none")
    assert found[0].name == "duplicates_across_splits"
    assert "1 of 20 images in train (5.0%), 1 of 10 images in test (10.0%)" in found[0].summary


def test_findings_that_only_inform_are_said_too(tmp_path, caplog):
    folder = draw_pets(tmp_path, *(f"{number}.png" for number in range(40)))
    (folder / "cat" / "copy.png").write_bytes((folder / "cat" / "0.png").read_bytes())
    caplog.set_level("INFO", "linnaea")
    linnaea.split(folder)
    assert any(message.startswith("1 image repeats another image") for message in caplog.messages)
