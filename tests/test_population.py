"""Population-based training: poor members go on from good ones; a broken search goes on as it would have."""

import itertools
import json
import random

import pytest
from material import striped

import linnaea as ln
from linnaea.errors import UsageError
from linnaea.experiments.search import population
from linnaea.experiments.search.book import Book
from linnaea.experiments.search.space import Choices, Range, Space

QUICK = {
    "model": "lenet5",
    "weights": "none",
    "precision": "float32",
    "memory_format": "contiguous",
    "optimizer": "adamw",
    "search": "pbt",
    "epochs": 4,
}
RATES = {"learning_rate": {"low": 1e-8, "high": 0.01, "log": True}}


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    return striped(tmp_path_factory.mktemp("data"), 48)


@pytest.fixture(scope="module")
def tuned(stripes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tuned"
    ln.tune(stripes, out=folder, space=RATES, trials=4, **QUICK)
    return folder


def entries_of(folder):
    return Book.open(folder / "search.journal", "search").entries


def test_a_poor_member_goes_on_from_a_good_one(tuned):
    entries = entries_of(tuned)
    assert [entry.status for entry in entries] == ["finished"] * 4
    histories = [entry.told["history"] for entry in entries]
    replaced = 0
    for number, history in enumerate(histories):
        assert [row["epoch"] for row in history] == [1, 2, 3, 4]
        for before, after in itertools.pairwise(history):
            if before["member"] != number and after["member"] == number:
                replaced += 1
                donor = histories[before["member"]][before["epoch"] - 1]
                assert donor["val_loss_calibrated"] == before["val_loss_calibrated"], "it has the other's weights"
                factor = after["learning_rate"] / before["learning_rate"]
                assert min(abs(factor - 0.8), abs(factor - 1.25)) < 1e-9 or after["learning_rate"] in (1e-8, 0.01)
    assert replaced >= 2
    assert not (tuned / "checkpoints" / "search" / "members").exists()


def test_what_mattered_is_not_claimed_of_members_that_share_their_weights(tuned):
    found = json.loads((tuned / "findings" / "search.json").read_text())
    (importance,) = (one for one in found if one["name"] == "importance")
    assert "cannot be told from 4 trials that went on from one another" in importance["summary"]
    assert not importance.get("rows")


def test_the_poorest_is_replaced_by_the_best(tuned):
    histories = [entry.told["history"] for entry in entries_of(tuned)]
    last = {number: row for number, history in enumerate(histories) for row in history if row["epoch"] == 3}
    replaced = [number for number, row in last.items() if row["member"] != number]
    assert len(replaced) == 1
    (good,) = {last[number]["member"] for number in replaced}
    losses = {number: row["val_loss_calibrated"] for number, row in last.items() if number not in replaced}
    assert losses[good] == min(losses.values())


def test_a_population_that_is_broken_off_goes_on_as_it_would_have(tuned, stripes, tmp_path, monkeypatch):
    usual, calls = population._trained, []

    def broken(*given):
        calls.append(given)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return usual(*given)

    options = {**QUICK, "space": RATES, "trials": 4, "out": tmp_path / "run"}
    monkeypatch.setattr(population, "_trained", broken)
    with pytest.raises(KeyboardInterrupt):
        ln.tune(stripes, **options)
    monkeypatch.setattr(population, "_trained", usual)
    ln.tune(stripes, resume=True, **options)
    found, expected = entries_of(tmp_path / "run"), entries_of(tuned)
    assert [entry.values for entry in found] == [entry.values for entry in expected]
    assert [entry.loss for entry in found] == pytest.approx([entry.loss for entry in expected], abs=1e-6)


def test_values_are_changed_within_their_ranges():
    space = Space((Range("learning_rate", 1e-4, 1e-2, log=True), Choices("clip_norm", (0.5, 1.0, 2.0))))
    numbers = random.Random(0)
    found = [population.changed(space, {"learning_rate": 9e-3, "clip_norm": 1.0}, numbers) for _ in range(200)]
    assert {round(one["learning_rate"], 6) for one in found} == {0.0072, 0.01}
    kept = sum(one["clip_norm"] == 1.0 for one in found) / 200
    assert 0.7 < kept < 0.95


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"epochs": None}, "give --epochs 2 or more"),
        ({"epochs": 1}, "give --epochs 2 or more"),
        ({"inner_folds": 3}, "leave --inner-folds out"),
        ({"space": {"batch_size": [8, 16]}}, "batch_size cannot change while a network trains"),
    ],
)
def test_what_a_population_cannot_do_is_refused_before_any_work(stripes, tmp_path, more, why):
    with pytest.raises(UsageError, match=why):
        ln.tune(stripes, out=tmp_path / "run", **{**QUICK, "space": RATES, **more})
    assert not (tmp_path / "run").exists()


def test_a_budget_that_ends_too_early_says_so_and_a_longer_one_goes_on(tuned, stripes, tmp_path):
    options = {**QUICK, "space": RATES, "trials": 4, "out": tmp_path / "run"}
    with pytest.raises(UsageError, match=r"none of 4 members finished: .* Set a longer --budget, with --resume"):
        ln.tune(stripes, budget=0.01, **options)
    ln.tune(stripes, resume=True, **options)
    found, expected = entries_of(tmp_path / "run"), entries_of(tuned)
    assert [entry.loss for entry in found] == pytest.approx([entry.loss for entry in expected], abs=1e-6)


def test_the_run_says_how_it_was_found(tuned):
    record = json.loads((tuned / "run.json").read_text())
    assert record["search"]["search"] == "pbt"
    assert record["search"]["trials"] == {"finished": 4}
