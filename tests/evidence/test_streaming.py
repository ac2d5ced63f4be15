"""Predictions that are only opened: the same figures, without their scores in memory."""

import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest
from material import run as command

import linnaea
from linnaea.errors import DataError, RunError, UsageError
from linnaea.evidence import compare, figures, findings
from linnaea.evidence.metrics.columns import Columns
from linnaea.predictions import Predictions


@pytest.fixture(scope="module")
def file(random_ones, tmp_path_factory):
    predictions = random_ones(3_000, 12, unreadable=(3, 17, 2_999))
    return predictions.write(tmp_path_factory.mktemp("scores") / "scores.parquet")


@pytest.mark.parametrize("at_once", [12, 12 * 700, 2**23])
def test_every_figure_is_the_same(file, monkeypatch, at_once):
    monkeypatch.setattr("linnaea.predictions.AT_ONCE", at_once * 100 if at_once == 12 else at_once)
    opened, read = (figures(make(file), replicates=50) for make in (Predictions.open, Predictions.read))
    assert opened.keys() == read.keys()
    for name, figure in read.items():
        assert opened[name].method == figure.method
        for field in ("value", "lo", "hi"):
            own, other = getattr(opened[name], field), getattr(figure, field)
            assert own == other or own == pytest.approx(other, rel=1e-9, nan_ok=True), name


def test_so_is_every_table(file):
    opened, read = (findings(make(file), replicates=50) for make in (Predictions.open, Predictions.read))
    assert [finding.to_json() for finding in opened] == [finding.to_json() for finding in read]


def test_no_image_at_all(random_ones, tmp_path):
    nothing = random_ones(4, 3).with_table(random_ones(4, 3).table.slice(0, 0))
    path = nothing.write(tmp_path / "none.parquet")
    assert figures(Predictions.open(path))["accuracy"].value is None


def test_columns_are_what_was_written():
    values = np.random.default_rng(0).random((40, 3)).astype(np.float32)
    columns = Columns(40, 3)
    columns[0:25], columns[25:40] = values[:25], values[25:]
    some = np.array([3, 39, 3, 0])
    np.testing.assert_array_equal(columns[:, 2], values[:, 2])
    np.testing.assert_array_equal(columns[some, 1], values[some, 1])
    kept = values[:, 0] > 0.5
    np.testing.assert_array_equal(columns[kept][[5, 0, 5]][:, 0], values[kept][[5, 0, 5], 0])
    with pytest.raises(IndexError):
        columns[:, 3]


@pytest.mark.parametrize("kind", ["multilabel", "hierarchical"])
def test_other_tasks_may_be_opened_too(kind, tmp_path, random_ones):
    plain = random_ones(60, 3)
    classes = plain.classes
    if kind == "multilabel":
        lists = [[name] for name in plain.column("truth")]
        columns = {name: plain.column(name) for name in plain.table.column_names if name not in ("truth", "label")}
        columns |= {"truth": lists, "label": lists, "logits": plain.scores("logits")}
        columns |= {"probabilities": plain.scores()}
        made = Predictions.from_columns(columns, classes, "multilabel")
    else:
        made = Predictions(plain.table, classes, "hierarchical", {classes[0]: "both", classes[1]: "both"})
    path = made.write(tmp_path / "made.parquet")
    opened, read = (figures(make(path), replicates=40) for make in (Predictions.open, Predictions.read))
    assert opened == read


def test_evaluate_takes_a_file_of_predictions(file, monkeypatch, capsys):
    found = linnaea.evaluate(file)
    assert found.figures["accuracy"].n == 3_000
    assert command(["evaluate", file], monkeypatch) == 0
    assert str(found.figures["roc_auc_ovr"]) in capsys.readouterr().out
    with pytest.raises(UsageError, match="finished predictions"):
        linnaea.evaluate(file, data="elsewhere")


def test_memory_does_not_grow_with_the_scores(tmp_path, random_ones, monkeypatch):
    monkeypatch.setattr("linnaea.predictions.AT_ONCE", 2**17)
    monkeypatch.setattr("linnaea.statistics.spread._ELEMENTS", 2**15)
    path = random_ones(20_000, 250).write(tmp_path / "scores.parquet")
    tracemalloc.start()
    try:
        figures(Predictions.open(path), replicates=40)
        assert tracemalloc.get_traced_memory()[1] < 12e6  # in memory the scores take 40 MB
    finally:
        tracemalloc.stop()


def test_what_was_only_opened_is_not_torn_from_its_scores(file, tmp_path):
    opened, read = Predictions.open(file), Predictions.read(file)
    with pytest.raises(DataError, match="are read-only"):
        opened.with_table(opened.table.slice(0, 5))
    assert Predictions.read(opened.write(tmp_path / "copy.parquet")).table.equals(read.table)
    turned = read.with_table(read.table.take(list(range(2_999, -1, -1)))).write(tmp_path / "turned.parquet")
    found = compare(opened, Predictions.open(turned), ("a", "b"))
    assert found.differences["nll"].value == pytest.approx(0, abs=1e-12)


def test_files_that_hold_no_scores_are_refused(file, tmp_path):
    narrow = Predictions.read(file).table.drop_columns(["probabilities"])
    pq.write_table(narrow, tmp_path / "narrow.parquet")
    with pytest.raises(DataError, match="no column 'probabilities'"):
        figures(Predictions.open(tmp_path / "narrow.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    (tmp_path / "damaged.parquet").write_bytes(content)
    with pytest.raises(RunError, match=r"is damaged|not a readable"):
        linnaea.evaluate(tmp_path / "damaged.parquet")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(RunError, match="not a readable Parquet file"):
        linnaea.evaluate(tmp_path / "folder.parquet")
