"""`linnaea compare` of several: files and folders of predictions, the page, and what is refused before any work."""

import json
from html import escape
from zlib import crc32

import numpy as np
import pytest
from material import run as command

import linnaea as ln
from linnaea.errors import DataError, UsageError
from linnaea.predictions import Predictions


def made(path, skill, seed=0, n=200, noise=0.0, **more):
    """Predictions of three classes, better with more skill; the same seed makes the same images."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, 3, n)
    logits = random.normal(size=(n, 3)) + skill * np.eye(3)[targets]
    logits += noise * np.random.default_rng(crc32(f"{path.parent.name}/{path.name}".encode())).normal(size=logits.shape)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    classes = ("ant", "bee", "wasp")
    columns = {
        "id": [f"{seed}-{row}" for row in range(n)],
        "truth": [classes[target] for target in targets],
        "probabilities": chances,
        "label": [classes[row] for row in chances.argmax(axis=1)],
        "confidence": chances.max(axis=1),
        "reason": ["ok"] * n,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    return Predictions.from_columns(columns | more, classes, "multiclass").write(path)


@pytest.fixture
def files(tmp_path):
    return [made(tmp_path / f"{name}.parquet", skill) for name, skill in (("old", 1.0), ("new", 2.5), ("newest", 2.6))]


def test_two_are_told_as_ever_and_more_pair_by_pair(files):
    assert set(ln.compare(files[0], files[1]).differences) > {"accuracy", "nll"}
    found = ln.compare(files[0], files[1], files[2:])
    assert [(pair.first, pair.second) for pair in found.pairs] == [("old", "new"), ("old", "newest"), ("new", "newest")]
    assert found.pairs[0].better == "new"
    assert ln.compare(files[0], files[1], metric="nll").metric == "nll"


@pytest.mark.parametrize("margin", [0.0, 1.0, float("nan")])
def test_a_margin_that_is_no_share_is_refused(margin, files):
    with pytest.raises(UsageError, match=r"margin is .*; expected a share between 0 and 1, such as 0.01"):
        ln.compare(files[0], files[1], margin=margin)


def test_the_page_and_the_json_are_written(files, tmp_path, monkeypatch, capsys):
    asked = ["compare", *files, "--margin", "0.05", "--out", tmp_path / "told"]
    assert command(asked, monkeypatch) == 0
    said, page = capsys.readouterr().out, (tmp_path / "told" / "comparison.html").read_text()
    told = json.loads((tmp_path / "told" / "comparison.json").read_text())
    assert told["sentence"] in said
    first, rest = told["sentence"].split(". ", 1)
    assert f"{escape(first)}." in page
    assert escape(rest) in page
    assert page.count("<svg") == 1
    assert told["margin"] == 0.05
    assert told["alike"] == [["newest", "new"]]


def test_folders_are_trainings_or_datasets(tmp_path):
    for name, skill in (("old", 1.0), ("new", 2.5)):
        for seed in range(3):
            made(tmp_path / "seeds" / name / f"{seed}.parquet", skill, noise=0.2)
            made(tmp_path / "sets" / name / f"{seed}.parquet", skill, seed=seed)
    found = ln.compare(tmp_path / "seeds" / "old", tmp_path / "seeds" / "new")
    assert found.trainings == {"old": 3, "new": 3}
    assert "over images and 3 and 3 trainings" in found.pairs[0].test
    over = ln.compare(tmp_path / "sets" / "old", tmp_path / "sets" / "new", out=tmp_path / "page")
    assert over.ranks.ranks == [2.0, 1.0]
    assert "cannot show much" in over.notes[0]
    assert "Mean rank" in (tmp_path / "page" / "comparison.html").read_text()
    with pytest.raises(UsageError, match="--margin asks about images"):
        ln.compare(tmp_path / "sets" / "old", tmp_path / "sets" / "new", margin=0.01)
    with pytest.raises(DataError, match="folders of the same kind"):
        ln.compare(tmp_path / "sets" / "old", tmp_path / "seeds" / "new")


def test_what_cannot_be_meant_is_refused(files):
    with pytest.raises(UsageError, match="Did you mean 'nll'"):
        ln.compare(*files[:2], metric="nl")
    with pytest.raises(UsageError, match="expected a share between 0 and 1"):
        ln.compare(*files[:2], margin=3)
    with pytest.raises(UsageError, match="given twice"):
        ln.compare(files[0], files[1], [files[0]])


def test_rows_twice_or_out_of_range_are_refused_by_evaluate(tmp_path):
    path = made(tmp_path / "ours.parquet", 1.0)
    known = Predictions.read(path)
    twice = known.with_table(known.table.take([*range(200), 4, 7])).write(tmp_path / "twice.parquet")
    with pytest.raises(DataError, match=r"2 ids more than once \(first '0-4'\)"):
        ln.evaluate(twice)
    turned = known.with_table(known.table.take(list(range(199, -1, -1)))).write(tmp_path / "turned.parquet")
    assert ln.evaluate(turned).figures["accuracy"] == ln.evaluate(path).figures["accuracy"]
    values = known.scores()
    values[3] *= 3.1
    columns = {name: known.column(name) for name in known.table.column_names} | {"probabilities": values}
    doubled = Predictions.from_columns(columns, known.classes, known.task).write(tmp_path / "doubled.parquet")
    with pytest.raises(DataError, match=r"1 images have probabilities below 0 or above 1 \(first '0-3'\)"):
        ln.evaluate(doubled)
    values[3] = np.nan
    columns |= {"probabilities": values}
    holes = Predictions.from_columns(columns, known.classes, known.task).write(tmp_path / "holes.parquet")
    with pytest.raises(DataError, match="no finite probabilities"):
        ln.evaluate(holes)


def test_a_figure_that_is_not_defined_is_null_with_its_reason(tmp_path, monkeypatch, capsys):
    path = made(tmp_path / "one.parquet", 1.0, n=1)
    assert command(["evaluate", path, "--json"], monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["roc_auc_ovr"]["value"] is None
    assert told["roc_auc_ovr"]["method"] == "not defined: all images belong to one class"
    assert told["nll"]["lo"] is None
    assert told["nll"]["method"] == "no interval: one image"
