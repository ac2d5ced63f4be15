"""Evaluation by groups from a table of images to the report."""

import numpy as np
import pytest
from material import run as command
from material import striped

import linnaea
from linnaea.errors import UsageError
from linnaea.runtime.files import read_json


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """A run on stripes, of which those of the site `blurred` are noise; every image has a site and a light."""
    folder = tmp_path_factory.mktemp("sites")
    dataset = striped(folder / "images", 60, splits=("train", "val", "test"))
    random = np.random.default_rng(0)
    site = np.where(random.random(len(dataset)) < 0.35, "blurred", "clear")
    from PIL import Image

    for path, where, split in zip(dataset.paths, site, dataset.column("split"), strict=True):
        if where == "blurred" and split == "test":
            Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    dataset = dataset.with_column("site", site.tolist()).with_column("light", random.random(len(dataset)).tolist())
    linnaea.train(dataset, model="hog", out=folder / "run")
    return folder / "run"


def test_columns_of_the_table_are_kept_by_the_run_and_its_predictions(sites):
    from linnaea.run import Run

    dataset = Run(sites).dataset()
    assert {"site", "light"} <= set(dataset.table.column_names)
    assert set(Run(sites).predictions("test").column("site")) == {"blurred", "clear"}


def test_a_run_is_judged_by_groups_as_one_look(sites, monkeypatch, capsys):
    before = len(read_json(sites / "run.json")["test_opened"])
    assert command(["evaluate", sites, "--by", "site,light"], monkeypatch) == 0
    assert len(read_json(sites / "run.json")["test_opened"]) == before + 1
    said = capsys.readouterr().out
    assert "By site the worst group is blurred" in said
    assert {"groups", "test"} <= set(read_json(sites / "metrics.json"))
    found = read_json(sites / "findings" / "groups.json")
    assert {row["by"] for finding in found for row in finding["rows"]} == {"site", "light", "site × light"}


def test_a_file_of_predictions_and_predictions_in_memory_give_the_same(sites):
    from linnaea.predictions import Predictions

    file = sites / "predictions" / "test.parquet"
    told = linnaea.evaluate(file, by="site", smallest=5)
    same = linnaea.evaluate(Predictions.read(file), by=["site"], smallest=5)
    assert told.figures["accuracy_difference_by_site"] == same.figures["accuracy_difference_by_site"]


def test_a_column_that_is_not_there_is_no_look_at_the_test_images(sites):
    before = read_json(sites / "run.json")["test_opened"]
    with pytest.raises(UsageError, match="no column 'sight' of metadata"):
        linnaea.evaluate(sites, by="sight")
    assert read_json(sites / "run.json")["test_opened"] == before


def test_the_report_shows_the_worst_group_first(sites):
    linnaea.evaluate(sites, by="site")
    html = linnaea.report(sites).read_text("utf-8")
    page = html[html.index('id="groups"') :]
    assert page.index("blurred (") < page.index("clear (")
    assert "more than chance" in page
    assert "findings/groups.json" not in page  # nor once more among further findings


def test_slices_that_look_alike_are_found_named_and_drawn(sites):
    told = linnaea.evaluate(sites, find_slices=True)
    found = [finding for finding in told.findings if finding.name == "bad_slices"]
    assert found
    for finding in found:
        if finding.severity == "warning":
            assert (sites / "bad_slices.png").is_file()
            assert finding.images
    with pytest.raises(UsageError, match="found in the features of images"):
        linnaea.evaluate(sites / "predictions" / "test.parquet", find_slices=True)


def test_what_was_not_asked_for_this_time_stays(sites):
    linnaea.evaluate(sites, by="site")
    linnaea.evaluate(sites, find_slices=True)
    names = [finding["name"] for finding in read_json(sites / "findings" / "groups.json")]
    assert {"worst_group", "gaps", "groups", "bad_slices"} <= set(names)
    assert "worst_group_by_site" in read_json(sites / "metrics.json")["groups"]
    linnaea.evaluate(sites, by="light")
    found = read_json(sites / "findings" / "groups.json")
    assert "bad_slices" in [finding["name"] for finding in found]
    assert {row["by"] for finding in found for row in finding["rows"] if "by" in row} == {"light"}


def test_many_figures_that_are_not_defined_take_one_line(sites):
    told = str(linnaea.evaluate(sites / "predictions" / "test.parquet", by="site,light", smallest=1000))
    assert len([line for line in told.splitlines() if "not defined" in line]) == 1
    assert "figures are not defined: accuracy_difference_by_site" in told
    assert "fewer than two groups have 1000 images" in told


def test_metadata_of_a_name_that_predictions_use_stays_with_the_images():
    import pyarrow as pa

    from linnaea.classifier import known_columns
    from linnaea.dataset import Dataset

    table = {"path": ["1.png"], "label": ["ant"], "confidence": ["high"], "site": ["n"], "boxes": [[1, 2]]}
    dataset = Dataset(pa.table(table), ("ant", "bee"), "binary", linnaea.__file__)
    assert dataset.metadata == ["confidence", "site"]
    assert list(known_columns(dataset)) == ["id", "truth", "site"]


@pytest.mark.slow
def test_a_planted_slice_of_images_is_found_and_shown(tmp_path):
    import pyarrow as pa
    from PIL import Image

    from linnaea.dataset import Dataset

    random, rows = np.random.default_rng(1), []
    (tmp_path / "images").mkdir()
    for split, count in (("train", 120), ("val", 60), ("test", 160)):
        for number in range(count):
            kind, night = number % 2, random.random() < 0.3
            wave = np.tile(128 + 90 * np.sin(np.arange(32) * 0.9 + random.uniform(0, 6)), (32, 1))
            pixels = random.normal(30, 12, (32, 32)) if night else (wave if kind else wave.T)
            pixels = np.clip(pixels + random.normal(0, 15, (32, 32)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).convert("RGB").save(tmp_path / "images" / f"{split}-{number}.png")
            light = "night" if night else "day"
            label = ("lying", "standing")[kind]
            rows.append({"path": f"{split}-{number}.png", "label": label, "split": split, "light": light})
    dataset = Dataset(pa.Table.from_pylist(rows), ("lying", "standing"), "binary", tmp_path / "images")
    linnaea.train(dataset, model="hog", out=tmp_path / "run")
    told = linnaea.evaluate(tmp_path / "run", find_slices=True)
    found = [finding for finding in told.findings if finding.name == "bad_slices"]
    assert found[0].severity == "warning"
    assert found[0].rows[0]["named"].startswith("light is night")
    assert (tmp_path / "run" / "bad_slices.png").is_file()
    html = linnaea.report(tmp_path / "run").read_text("utf-8")
    page = html[html.index('id="groups"') :]
    assert "light is night" in page
    assert page.count("data:image/jpeg") >= 8
