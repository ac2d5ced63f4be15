"""`ask` chooses images to label, leaves out what need not be asked, and says what random choice would bring."""

import json
import shutil

import numpy as np
import pytest
from material import run as command
from material import striped
from PIL import Image

import linnaea
from linnaea.errors import DataError, UsageError
from linnaea.experiments.asking.choosing import require_able
from linnaea.experiments.asking.retrospect import in_retrospect
from linnaea.learning.query_trials import Known, accuracies, best_strength, divided


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run of a classical model, the images it was trained on, and images without labels."""
    folder = tmp_path_factory.mktemp("asking")
    linnaea.train(striped(folder / "labelled", 110, noise=0.05), model="hog", img_size=32, out=folder / "run")
    striped(folder / "pool", 24, seed=9)
    return folder


def test_images_of_the_run_copies_and_broken_ones_are_not_asked_for(place, tmp_path, caplog):
    pool = shutil.copytree(place / "pool", tmp_path / "pool")
    first = sorted(pool.iterdir())[0]
    shutil.copy(first, pool / "copy.png")
    own = sorted((place / "labelled").iterdir())[0]
    shutil.copy(own, pool / "own.png")
    (pool / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    asked = linnaea.ask(place / "run", pool, n=50, method="margin", estimate=False)
    assert asked.images == 27
    assert len(asked.rows) == 24
    assert asked.left_out == {"already images of the run": 1, "copies of another": 1, "unreadable": 1}
    names = {row["path"].rsplit("/", 1)[1] for row in asked.rows}
    assert not names & {"own.png", "broken.png"}
    confidences = [row["confidence"] for row in asked.rows]
    assert confidences == sorted(confidences)
    assert set(asked.to_json()) >= {"chosen", "left_out", "retrospect", "untold"}


def test_of_images_that_are_nearly_the_same_one_is_asked_for(place, tmp_path):
    pool = shutil.copytree(place / "pool", tmp_path / "pool")
    for path in sorted(pool.iterdir())[:6]:
        image = Image.open(path)
        image.save(path.with_suffix(".jpg"), quality=95)
    asked = linnaea.ask(place / "run", pool, n=30, method="entropy", estimate=False)
    stems = [row["path"].rsplit("/", 1)[1].split(".")[0] for row in asked.rows]
    assert len(stems) == len(set(stems)) == 24
    assert asked.left_out == {"nearly the same as one that was chosen": 6}


@pytest.mark.parametrize("method", ["k_center", "badge", "mix", "random"])
def test_every_method_answers(place, method):
    asked = linnaea.ask(place / "run", place / "pool", n=5, method=method, estimate=False, seed=3)
    again = linnaea.ask(place / "run", place / "pool", n=5, method=method, estimate=False, seed=3)
    assert [row["path"] for row in asked.rows] == [row["path"] for row in again.rows]
    assert len({row["path"] for row in asked.rows}) == 5


def test_what_random_choice_would_bring_is_said(place):
    asked = linnaea.ask(place / "run", place / "pool", n=8)
    told = asked.retrospect
    assert told is not None
    assert told.draws == 10
    assert told.images >= 60
    assert told.difference.value == pytest.approx(told.by_method - told.at_random)
    assert told.labelled + told.asked < told.images
    assert "In retrospect" in str(asked)
    untold = linnaea.ask(place / "run", place / "pool", n=8, method="random")
    assert untold.retrospect is None
    assert "it is random choice" in str(untold)


def test_bald_is_refused_where_nobody_can_disagree(place):
    with pytest.raises(UsageError, match="--uncertainty"):
        linnaea.ask(place / "run", place / "pool", method="bald")


def test_bald_asks_members(place, tmp_path):
    options = {"img_size": 16, "epochs": 1, "batch_size": 16}
    labelled = striped(tmp_path / "few", 40)
    linnaea.train(labelled, model="textbook_cnn", uncertainty="mc_dropout:4", out=tmp_path / "run", **options)
    asked = linnaea.ask(tmp_path / "run", place / "pool", n=4, method="bald", estimate=False)
    informed = [row["information"] for row in asked.rows]
    assert informed == sorted(informed, reverse=True)


@pytest.mark.slow
def test_an_exported_folder_says_which_run_has_features(place, tmp_path):
    folder = shutil.copytree(place / "run", tmp_path / "run")
    exported = linnaea.export(folder, to="onnx").file.parent
    with pytest.raises(UsageError, match=f"name the run, {folder}"):
        linnaea.ask(exported, place / "pool", method="badge")
    asked = linnaea.ask(exported, place / "pool", n=4, method="margin")
    assert len(asked.rows) == 4
    assert "an exported folder gives no features" in asked.untold


def test_features_are_asked_for_before_any_image_is_read(place):
    from types import SimpleNamespace

    whole = SimpleNamespace(scorer=SimpleNamespace(whole=True))
    for method in ("k_center", "badge", "mix"):
        with pytest.raises(UsageError, match="margin, entropy, least_confident, bald or random"):
            require_able(whole, method, None)
    for method in ("margin", "bald", "random"):
        require_able(whole, method, None)


def test_nothing_to_ask_for(place):
    with pytest.raises(DataError, match="already images of the run"):
        linnaea.ask(place / "run", place / "labelled")
    with pytest.raises(UsageError, match="expected 1 images or more"):
        linnaea.ask(place / "run", place / "pool", n=0)
    with pytest.raises(UsageError, match="Did you mean 'margin'"):
        linnaea.ask(place / "run", place / "pool", method="margins")


def test_the_command_writes_a_list_to_fill_in(place, tmp_path, monkeypatch, capsys):
    pool = shutil.copytree(place / "pool", tmp_path / "=pool")
    table = pool / "asked.csv"
    code = command(["ask", place / "run", pool, "--n", 4, "--no-estimate", "--out", table], monkeypatch)
    assert code == 0
    said = capsys.readouterr().out
    assert f"Next: linnaea review {place / 'run'} --from {table}" in said
    header, *rows = table.read_text().splitlines()
    assert header.startswith("path,label,answer,confidence")
    assert len(rows) == 4
    assert all("/" not in row.split(",")[0] and row.split(",")[1] == "" for row in rows)
    table.write_text("\n".join([header, *(row.replace(",,", ",standing,", 1) for row in rows)]))
    assert linnaea.read(table).labels == ["standing"] * 4
    assert command(["ask", place / "run", pool, "--n", 2, "--no-estimate", "--json"], monkeypatch) == 0
    assert len(json.loads(capsys.readouterr().out)["chosen"]) == 2


def blobs(count, *, apart, seed=0):
    """Two classes of features that overlap where `apart` is small."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, 2, count)
    features = random.normal(0, 1, (count, 4)).astype(np.float32)
    features[:, 0] += apart * (2 * targets - 1)
    return Known(features, targets, 2)


def test_where_labels_are_noise_no_difference_is_shown():
    random = np.random.default_rng(1)
    known = Known(random.normal(size=(200, 2)).astype(np.float32), random.integers(0, 2, 200), 2)
    shown = 0
    for seed in range(4):
        told = in_retrospect(known, "margin", 0.2, seed=100 * seed, draws=5)
        covered = told.difference.lo <= 0 <= told.difference.hi
        assert ("No difference is shown" in str(told)) == covered
        shown += not covered
    assert shown <= 1


def unlike(kinds, count, seed=0):
    """Images of so many kinds, each of one of two classes: whoever has not seen a kind cannot know its class."""
    random = np.random.default_rng(seed)
    members = random.integers(0, kinds, count)
    return Known(np.eye(kinds, dtype=np.float32)[members], random.integers(0, 2, kinds)[members], 2)


def test_where_choosing_helps_the_difference_is_shown():
    told = in_retrospect(unlike(60, 400), "k_center", 1.3, draws=5)
    assert told.difference.lo > 0
    assert told.by_method > told.at_random > told.before
    assert "No difference" not in str(told)


def test_no_image_judges_that_was_asked_for():
    known = blobs(120, apart=1.0)
    parts = divided(known, 10, 40, 3)
    together = np.concatenate([parts.start, parts.pool, parts.judged])
    assert sorted(together.tolist()) == list(range(120))
    assert len(np.unique(known.targets[parts.start])) == 2
    strength = best_strength(known, parts, 10)
    curve = accuracies(known, parts, "bald", [5, 5], strength=strength, seed=1)
    assert len(curve) == 3
    assert all(0 <= value <= 1 for value in curve)
