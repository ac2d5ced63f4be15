"""Predictions in a run are known again by their SHA-256."""

import shutil
import subprocess

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import linnaea as ln
from linnaea.errors import RunError
from linnaea.predictions import Predictions
from linnaea.run import Run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on dark and bright noise."""
    root, generator = tmp_path_factory.mktemp("kept"), np.random.default_rng(0)
    for label, level in (("bright", 150), ("dark", 20)):
        (root / "photos" / label).mkdir(parents=True)
        for number in range(20):
            pixels = generator.integers(level, level + 90, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "photos" / label / f"{number:03}.png")
    ln.train(root / "photos", out=root / "run", model="majority,hog", weights="none")
    return root / "run"


@pytest.fixture
def runs(finished, tmp_path):
    """Two copies of it."""
    return tuple(shutil.copytree(finished, tmp_path / name) for name in ("one", "two"))


def change(file):
    """Another label for the first image, in a file that is whole."""
    table = pq.read_table(file)
    names = table.column("label").to_pylist()
    changed = table.set_column(table.column_names.index("label"), "label", [[names[-1], *names[1:]]])
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), file)


def test_what_was_changed_is_refused_with_words(runs):
    change(runs[0] / "predictions" / "test.parquet")
    for read in (
        lambda: ln.compare(*runs),
        lambda: ln.report(runs[0]),
        lambda: ln.evaluate(runs[0] / "predictions" / "test.parquet"),
        lambda: Run(runs[0]).predictions("test"),
    ):
        with pytest.raises(RunError, match=r"test\.parquet has changed since it was written .*evaluate the run again"):
            read()
    ln.evaluate(runs[0])
    assert ln.compare(*runs).better is None


def test_thresholds_are_not_chosen_by_changed_predictions(runs):
    change(runs[0] / "predictions" / "val.parquet")
    with pytest.raises(RunError, match=r"val\.parquet has changed"):
        ln.evaluate(runs[0])


def test_what_was_not_changed_is_read_in_silence(runs, caplog):
    ln.compare(*runs)
    ln.report(runs[0])
    assert "SHA-256" not in caplog.text


def test_a_run_of_an_earlier_version_opens_and_says_so(runs, caplog):
    (runs[0] / "predictions" / "SHA256SUMS").unlink()
    ln.compare(*runs)
    assert f"{runs[0] / 'predictions' / 'test.parquet'} has no recorded SHA-256" in caplog.text
    assert ln.report(runs[0]).exists()


def test_the_sums_are_those_of_the_usual_tool(runs):
    tool = shutil.which("sha256sum")
    if tool is None:
        pytest.skip("there is no sha256sum")
    done = subprocess.run([tool, "-c", "SHA256SUMS"], cwd=runs[0] / "predictions", capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["test.parquet: OK", "val.parquet: OK"])


@pytest.mark.parametrize(
    "facts", [b"{", b"[]", b'{"classes": 3, "task": "binary"}', b'{"classes": ["a"], "task": "?"}']
)
def test_facts_that_cannot_be_read_are_told(runs, tmp_path, facts):
    table = pq.read_table(runs[0] / "predictions" / "test.parquet")
    pq.write_table(table.replace_schema_metadata({b"linnaea": facts}), tmp_path / "strange.parquet")
    with pytest.raises(RunError, match=r"the classes and the task in .* cannot be read"):
        Predictions.read(tmp_path / "strange.parquet")
