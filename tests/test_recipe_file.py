"""Every run leaves the recipe that repeats it, to the last bit of its weights, from the shell and from Python."""

import json
import shutil
import tomllib

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

import linnaea
from linnaea.cli.application import app
from linnaea.experiments.recipe_file import recipe_of
from linnaea.options import Decision, Learning, Machine, Preparation


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Bright and dark squares, 24 of each."""
    folder, generator = tmp_path_factory.mktemp("data") / "shades", np.random.default_rng(0)
    for number in range(24):
        for name, low in (("bright", 110), ("dark", 0)):
            place = folder / name / f"{number:02}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(low, low + 140, (24, 24, 3), dtype=np.uint8)).save(place)
    return folder


def weights(run):
    return {name: value.numpy().tobytes() for name, value in load_file(run / "model/weights.safetensors").items()}


WORDS = (
    "--model test_resnet --weights none --model-arg drop_rate=0.2 --epochs 2 --batch-size 8 --augment shift,mixup:0.4 "
    "--optimizer sgd:0.01 --ema 0.9 --img-size 32 --precision float32 --seed 5 --coverage 0.8"
)


def test_a_run_repeats_itself(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos.parent)
    words = WORDS.split()
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    assert CliRunner().invoke(app, ["train", "shades", "--out", str(first), *words]).exit_code == 0
    file = first / "recipe.toml"
    recipe = tomllib.loads(file.read_text())
    assert recipe == {
        "data": str(photos),
        "preparation": {"img_size": 32},
        "learning": {
            "model": "test_resnet",
            "weights": "none",
            "model_args": {"drop_rate": "0.2"},
            "epochs": 2,
            "batch_size": 8,
            "augment": ["shift", "mixup:0.4"],
            "optimizer": "sgd:0.01",
            "ema": 0.9,
        },
        "decision": {"coverage": 0.8},
        "machine": {"seed": 5, "precision": "float32"},
    }
    assert str(tmp_path) not in file.read_text()
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["train", str(file), "--out", str(second)])
    assert done.exit_code == 0, done.output
    linnaea.train(**recipe, out=third)
    for other in (second, third):
        assert weights(other) == weights(first)
        assert tomllib.loads((other / "recipe.toml").read_text()) == recipe
        kept = [json.loads((run / "run.json").read_text())["arguments"] | {"out": ""} for run in (first, other)]
        assert kept[0] == kept[1]


def test_a_path_in_a_recipe_is_found_beside_it(photos, tmp_path, monkeypatch):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "shades").symlink_to(photos)
    file = tmp_path / "kept" / "recipe.toml"
    file.write_text('data = "shades"\n[learning]\nmodel = "majority"\nweights = "none"\n')
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["train", "kept/recipe.toml", "--out", "run"])
    assert done.exit_code == 0, done.output
    for name, source in (("left", "bright"), ("right", "dark")):  # what lies where the command runs comes first
        shutil.copytree(photos / source, tmp_path / "shades" / name)
    done = CliRunner().invoke(app, ["train", "kept/recipe.toml", "--out", "other"])
    assert done.exit_code == 0, done.output
    assert linnaea.load("other").classes == ("left", "right")


def test_only_what_differs_and_the_seed_are_written(tmp_path):
    groups = {"preparation": Preparation(), "learning": Learning(), "decision": Decision(), "machine": Machine()}
    text = recipe_of("train", {"data": 'C:\\photos "of" ants', "log": ()}, groups)
    assert tomllib.loads(text) == {"data": 'C:\\photos "of" ants', "machine": {"seed": 0}}
    groups["learning"] = Learning(augment=[], model_args={"drop_rate": 0.1, "deep": [1, 2], "ä b": True})
    learning = tomllib.loads(recipe_of("train", {"data": tmp_path}, groups))["learning"]
    assert learning == {"augment": [], "model_args": {"drop_rate": 0.1, "deep": [1, 2], "ä b": True}}


def test_a_run_on_a_dataset_says_that_no_file_names_it(photos, tmp_path):
    linnaea.train(linnaea.read(photos), out=tmp_path / "run", model="majority", weights="none")
    text = (tmp_path / "run" / "recipe.toml").read_text()
    assert "# data was a dataset made in Python: put the place of its images here, as data = ..." in text
    assert "data" not in tomllib.loads(text)


def test_a_grown_run_has_one_too(photos, tmp_path):
    linnaea.train(photos, out=tmp_path / "run", model="hog", weights="none")
    more = tmp_path / "more"
    for number in range(12):
        place = more / "white" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(240, 255, (24, 24, 3), dtype=np.uint8)).save(place)
    for name in ("bright", "dark"):
        (more / name).symlink_to(photos / name)
    linnaea.grow(tmp_path / "run", more, out=tmp_path / "grown")
    recipe = tomllib.loads((tmp_path / "grown" / "recipe.toml").read_text())
    assert recipe == {"run": str(tmp_path / "run"), "data": str(more)}
    done = CliRunner().invoke(
        app, ["grow", "--recipe", str(tmp_path / "grown" / "recipe.toml"), "--out", str(tmp_path / "again")]
    )
    assert done.exit_code == 0, done.output
    assert weights(tmp_path / "again") == weights(tmp_path / "grown")
