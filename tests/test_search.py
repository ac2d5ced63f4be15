"""A search finds the good region of a space, says what mattered and what did not, resumes, and refuses nonsense."""

import csv
import json
import logging
import math
import tomllib

import numpy as np
import optuna
import pytest
from material import run as command
from material import striped
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import kruskal

import linnaea as ln
from linnaea.errors import RunError, UsageError
from linnaea.experiments.search import contract
from linnaea.experiments.search.book import FINISHED, PRUNED, Book, Entry
from linnaea.experiments.search.importance import importance_finding
from linnaea.experiments.search.space import Choices, Range, Space, read_space
from linnaea.experiments.search.trying import Ended, Watch
from linnaea.run import Run
from linnaea.statistics.association import PERMUTATIONS, between, groups_of, holm, p_of_dependence

QUICK = {"model": "lenet5", "weights": "none", "precision": "float32", "memory_format": "contiguous"}
RATES = {"learning_rate": {"low": 1e-8, "high": 0.01, "log": True}, "label_smoothing": {"low": 0.0, "high": 0.1}}


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    return striped(tmp_path_factory.mktemp("data"), 48)


@pytest.fixture(scope="module")
def tuned(stripes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tuned"
    ln.tune(stripes, out=folder, epochs=4, optimizer="adamw", space=RATES, trials=16, **QUICK)
    return folder


def trials_of(folder):
    with (folder / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_good_region_is_found_among_useless_ones(tuned):
    rows = trials_of(tuned)
    assert [int(row["trial"]) for row in rows] == list(range(16))
    chosen = next(row for row in rows if row["chosen"] == "yes")
    finished = [row for row in rows if row["status"] == "finished"]
    assert float(chosen["loss"]) == min(float(row["loss"]) for row in finished)
    assert float(chosen["learning_rate"]) > 1e-4
    assert all(float(row["loss"]) > 0.6 for row in rows if float(row["learning_rate"]) < 1e-6)


def test_the_winner_is_a_run_like_any_other(tuned):
    run = Run.open(tuned)
    record = run.record()
    assert record["status"] == "finished"
    assert [entry["by"] for entry in record["test_opened"]] == ["train"]
    assert "of 16 trials (bayes)" in record["chosen_because"]
    assert sum(record["search"]["trials"].values()) == 16
    assert record["search"]["space"] == RATES
    assert len(run.read_rows("history.csv")) == 4
    assert ln.load(tuned).task == "binary"


def test_the_loss_of_the_winner_is_that_of_its_answers(tuned):
    found = Run.open(tuned).predictions("val")
    scores, truth = found.scores("raw_scores"), found.targets

    def loss(logarithm):
        return -log_softmax(np.exp(logarithm) * scores, axis=1)[np.arange(len(truth)), truth].mean()

    lowest = minimize_scalar(loss, bounds=(-6, 6), method="bounded").fun
    assert Run.open(tuned).record()["search"]["loss"] == pytest.approx(min(lowest, loss(0.0)), abs=2e-3)


def test_the_winner_trains_again_from_its_recipe(stripes, tuned, tmp_path):
    recipe = tomllib.loads((tuned / "recipe.toml").read_text())
    chosen = next(row for row in trials_of(tuned) if row["chosen"] == "yes")
    assert recipe["learning"]["learning_rate"] == pytest.approx(float(chosen["learning_rate"]), rel=1e-5)
    assert "searching" not in recipe
    ln.train(stripes, **recipe, out=tmp_path / "again")
    old, new = (json.loads((run / "metrics.json").read_text()) for run in (tuned, tmp_path / "again"))
    assert old == new


def test_the_search_is_repeated_from_its_own_recipe(tuned):
    recipe = tomllib.loads((tuned / "search.toml").read_text())
    assert recipe["searching"] == {"trials": 16, "space": RATES}
    assert "learning_rate" not in recipe["learning"]


def test_only_trials_that_are_better_are_told_and_the_others_counted(stripes, tmp_path, caplog):
    caplog.set_level(logging.INFO, "linnaea")
    ln.tune(stripes, out=tmp_path / "run", epochs=1, optimizer="adamw", space=RATES, trials=6, **QUICK)
    losses = [float(row["loss"]) for row in trials_of(tmp_path / "run")]
    better = [number for number, loss in enumerate(losses) if loss < min(losses[:number], default=math.inf)]
    told = [message for message in caplog.messages if "trial " in message and "loss on val" in message]
    assert [message.split(":")[0] for message in told] == [f"best so far, trial {number}" for number in better]
    assert len(better) < 6
    assert any(message.startswith("6 trials: 6 finished") for message in caplog.messages)


def test_what_mattered_is_named_and_what_did_not_is_not(tuned):
    findings = {one["name"]: one for one in json.loads((tuned / "findings" / "search.json").read_text())}
    matters = {row["option"]: row["matters"] for row in findings["importance"]["rows"]}
    assert matters == {"learning_rate": "yes", "label_smoothing": "no"}
    assert "sealed test split" in findings["optimism"]["summary"]
    report = (tuned / "report.html").read_text()
    assert 'id="importance-' in report
    assert findings["importance"]["summary"].split("(")[0] in report
    assert 'id="best-loss-' in report
    assert "<summary>16 trials</summary>" in report
    chosen = next(row for row in trials_of(tuned) if row["chosen"] == "yes")
    assert f"<td>{float(chosen['loss']):.3g}</td>" in report
    assert f"<td>{chosen['loss']}</td>" not in report


def test_only_the_best_trial_is_kept_on_the_disk(tuned):
    best = Run.open(tuned).record()["search"]["trial"]
    assert [path.name for path in (tuned / "checkpoints" / "search").iterdir()] == [f"trial-{best:04}"]


SPACE = Space((Range("learning_rate", 1e-5, 1.0, log=True), Choices("optimizer", ("sgd", "adamw", "lion"))))


def entries_of(losses, rates, names):
    return [
        Entry(number, {"learning_rate": rate, "optimizer": name}, FINISHED, loss, {})
        for number, (loss, rate, name) in enumerate(zip(losses, rates, names, strict=True))
    ]


def test_importance_follows_what_was_planted():
    random = np.random.default_rng(0)
    rates, names = 10.0 ** random.uniform(-5, 0, 40), random.choice(["sgd", "adamw", "lion"], 40).tolist()
    shaped = np.abs(np.log10(rates) + 2.5) + random.normal(0, 0.2, 40)  # best in the middle: not monotone
    found = importance_finding(SPACE, entries_of(shaped, rates.tolist(), names))
    assert {row["option"]: row["matters"] for row in found.rows} == {"learning_rate": "yes", "optimizer": "no"}
    assert found.rows[0]["option"] == "learning_rate"
    chosen = np.array([{"sgd": 1.0, "adamw": 0.0, "lion": 2.0}[name] for name in names]) + random.normal(0, 0.2, 40)
    assert "optimizer" in importance_finding(SPACE, entries_of(chosen, rates.tolist(), names)).summary.split("Of ")[0]


def test_where_nothing_matters_nothing_is_claimed():
    random = np.random.default_rng(1)
    rates, names = 10.0 ** random.uniform(-5, 0, 30), random.choice(["sgd", "adamw", "lion"], 30).tolist()
    found = importance_finding(SPACE, entries_of(random.normal(size=30), rates.tolist(), names))
    assert {row["matters"] for row in found.rows} == {"no"}
    assert found.summary.startswith("None of 2 options is seen to matter")
    assert (
        "cannot be told from 5 trials" in importance_finding(SPACE, entries_of(range(5), rates[:5], names[:5])).summary
    )


def test_trials_that_all_end_alike_claim_nothing_for_what_drifted_meanwhile():
    rates, names = np.geomspace(1e-4, 1e-2, 24).tolist(), ["sgd"] * 8 + ["adamw"] * 16  # as a search that settles
    found = importance_finding(SPACE, entries_of([0.5] * 24, rates, names))
    assert {row["matters"] for row in found.rows} == {"no"}
    assert {row["share"] for row in found.rows} == {0.0}


def test_a_claim_by_chance_is_as_rare_as_it_should_be():
    random = np.random.default_rng(2)
    claims = 0
    for number in range(150):
        columns = [random.random(20).tolist(), random.choice(list("abc"), 20).tolist(), random.random(20).tolist()]
        claims += min(holm([p_of_dependence(column, random.normal(size=20), number) for column in columns])) < 0.05
    assert claims <= 15  # of 7.5 expected; more in 1 of 100 cases


def test_dependence_is_that_of_kruskal_and_wallis():
    random = np.random.default_rng(3)
    values = random.choice(list("abc"), 60).tolist()
    figures = random.normal(size=60) + 0.6 * np.array([value == "a" for value in values])
    parts = [figures[np.array(values) == name] for name in "abc"]
    assert p_of_dependence(values, figures) == pytest.approx(
        kruskal(*parts).pvalue, abs=4 / np.sqrt(PERMUTATIONS) * 0.3
    )
    groups = groups_of(values)
    by_hand = sum((groups == one).sum() * (figures[groups == one].mean() - figures.mean()) ** 2 for one in range(3))
    assert between(groups, figures[None])[0] == pytest.approx(by_hand)
    assert np.bincount(groups_of(random.random(20).tolist())).tolist() == [5, 5, 5, 5]
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])  # Holm 1979


def watched(study, epochs, losses):
    """Train so many epochs with these losses; whether it was broken off, and after which."""
    trial = study.ask()
    watch = Watch(trial, np.inf, epochs)
    try:
        for epoch, loss in enumerate(losses, 1):
            watch({"epoch": epoch, "val_loss_calibrated": loss})
    except Ended as ended:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return ended.status, len(watch.history)
    study.tell(trial, losses[-1])
    return "", len(watch.history)


def test_a_poor_trial_is_broken_off_even_if_it_is_longer_than_the_others(tmp_path):
    study = Book.open(tmp_path / "journal", "search").study
    for _ in range(4):
        assert watched(study, 5, [0.9, 0.5, 0.4, 0.3, 0.2]) == ("", 5)
    assert watched(study, 10, [0.95] * 10) == (PRUNED, 3)
    assert watched(study, 10, [0.8, 0.6, 0.4, 0.3, 0.2, 0.15, 0.1, 0.1, 0.1, 0.1]) == ("", 10)
    assert watched(study, 2, [0.5, 0.1]) == ("", 2)


def test_a_grid_is_tried_point_by_point(stripes, tmp_path):
    space = {"label_smoothing": {"low": 0.0, "high": 0.2, "step": 0.1}, "optimizer": ["sgd", "adamw"]}
    ln.tune(stripes, out=tmp_path / "run", search="grid", epochs=1, space=space, **QUICK)
    met = {(row["label_smoothing"], row["optimizer"]) for row in trials_of(tmp_path / "run")}
    assert met == {(share, name) for share in ("0", "0.1", "0.2") for name in ("sgd", "adamw")}


def test_a_search_that_was_stopped_goes_on_as_it_would_have(stripes, tmp_path, monkeypatch):
    options = {**QUICK, "epochs": 1, "optimizer": "adamw", "space": RATES, "trials": 5}
    ln.tune(stripes, out=tmp_path / "whole", **options)
    tell = contract.Hunt.tell

    def stopped(hunt, number):
        tell(hunt, number)
        if number == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(contract.Hunt, "tell", stopped)
        with pytest.raises(KeyboardInterrupt):
            ln.tune(stripes, out=tmp_path / "stopped", **options)
    journal = tmp_path / "stopped" / "search.journal"
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 4, "wor')  # as kill -9 leaves it
    other = {**RATES, "learning_rate": {"low": 1e-4, "high": 0.1, "log": True}}
    with pytest.raises(RunError, match=r"space was .*1e-08.* and is now .*0\.0001"):
        ln.tune(stripes, out=tmp_path / "stopped", resume=True, **{**options, "space": other})
    ln.tune(stripes, out=tmp_path / "stopped", resume=True, **options)
    first, second = trials_of(tmp_path / "whole"), trials_of(tmp_path / "stopped")
    for row in (*first, *second):
        del row["seconds"]
    assert first == second


def test_a_search_is_cross_validated_within_and_without(stripes, tmp_path):
    space = {"model": ["majority", "hog"]}
    quick = {"weights": "none", "precision": "float32", "folds": 2, "inner_folds": 2, "seeds": 2, "search": "grid"}
    ln.tune(stripes, out=tmp_path / "run", space=space, **quick)
    finding = json.loads((tmp_path / "run" / "findings" / "folds.json").read_text())[0]
    assert [row["chosen"] for row in finding["rows"]] == ["model hog", "model hog"]
    assert finding["figure"]["value"] > 0.8
    record = Run.open(tmp_path / "run").record()
    assert record["chosen"] == "hog"
    assert "has the lowest mean loss over 2 inner folds of train and val" in record["chosen_because"]
    (optimism,) = (
        one
        for one in json.loads((tmp_path / "run" / "findings" / "search.json").read_text())
        if one["name"] == "optimism"
    )
    assert "was chosen by inner folds" in optimism["summary"]
    assert "chance" not in optimism["summary"], "without an interval nobody knows"
    assert len(json.loads((tmp_path / "run" / "findings" / "seeds.json").read_text())[0]["rows"]) == 2


def test_a_budget_too_short_for_a_trial_is_told(stripes, tmp_path):
    with pytest.raises(UsageError, match=r"none of 1 trial finished: the budget was over in epoch 1\. Set a longer"):
        ln.tune(stripes, out=tmp_path / "run", epochs=30, budget="0.01s", **QUICK)


def test_more_trials_than_the_budget_holds_are_left_out(stripes, tmp_path):
    ln.tune(stripes, out=tmp_path / "run", epochs=1, budget="2s", **QUICK)
    record = Run.open(tmp_path / "run").record()
    assert record["timings"]["search"] < 20
    assert record["search"]["trials"]["finished"] >= 1


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "names no option"),
        ({"learning_rat": [0.1, 0.2]}, "Did you mean 'learning_rate'"),
        ({"seed": [1, 2]}, "luck"),
        ({"img_size": [32, 64]}, "give it to tune itself"),
        ({"learning_rate": 0.1}, "--learning-rate"),
        ({"learning_rate": {"low": 0.1, "high": 0.01}}, "low below high"),
        ({"learning_rate": {"low": 0.0, "high": 0.1}}, "above 0"),
        ({"label_smoothing": {"low": 0, "high": 0.1, "log": True}}, "has no logarithm"),
        ({"label_smoothing": {"low": 0, "high": 0.95}}, "from 0 to 0.9"),
        ({"learning_rate": {"low": 0.1}}, "both low and high"),
        ({"learning_rate": {"low": 0.1, "hihg": 1}}, "Did you mean 'high'"),
        ({"epochs": {"low": 1.5, "high": 3}}, "whole number"),
        ({"epochs": {"low": 1, "high": 10, "step": 20}}, "at most 9"),
        ({"optimizer": {"low": 1, "high": 2}}, "takes words"),
        ({"optimizer": ["sgd", "adamm"]}, "Did you mean 'adam"),
        ({"optimizer": ["sgd"]}, "two choices"),
        ({"epochs": [1, True]}, "whole numbers"),
        ({"layer_decay": {"low": 0.5, "high": 1.0}}, "cannot be tried"),
        ({"loss": ["cross_entropy", "marginal"]}, "cannot be tried"),
    ],
)
def test_an_impossible_space_is_refused_before_any_work(stripes, tmp_path, space, said):
    with pytest.raises(UsageError, match=said):
        ln.tune(stripes, out=tmp_path / "run", space=space, **QUICK)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"learning_rate": 0.1, "space": RATES}, "given and searched"),
        ({"model": "hog,lenet5"}, "name one"),
        ({"model": "hog"}, "--space"),
        ({"space": "nowhere.toml"}, "cannot be read"),
    ],
)
def test_what_cannot_be_searched_is_refused(stripes, tmp_path, options, said):
    with pytest.raises(UsageError, match=said):
        ln.tune(stripes, out=tmp_path / "run", **{**QUICK, **options})


def test_a_space_says_the_same_in_a_file(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text('epochs = {low = 2, high = 10}\naugment = [["flip", "shift"], "none"]\n')
    space = read_space(file)
    assert space.to_json() == {"epochs": {"low": 2, "high": 10}, "augment": ["flip,shift", "none"]}
    assert space.grid[0] == {"epochs": 2, "augment": "flip,shift"}
    assert [point["epochs"] for point in space.grid[::2]] == [2, 4, 6, 8, 10]


def test_a_recipe_searches(stripes, tmp_path, monkeypatch, capsys):
    table = stripes.root / "labels.csv"
    table.write_text(
        "path,label\n" + "".join(f"{name},{label}\n" for name, label in zip(stripes.ids, stripes.labels, strict=True))
    )
    (tmp_path / "space.toml").write_text('optimizer = ["sgd", "adamw"]\n')
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'data = "{table.as_posix()}"\nout = "{(tmp_path / "run").as_posix()}"\n'
        f'[searching]\nsearch = "random"\ntrials = 2\nspace = "{(tmp_path / "space.toml").as_posix()}"\n'
        '[learning]\nmodel = "lenet5"\nweights = "none"\nepochs = 1\n'
    )
    assert command(["tune", recipe], monkeypatch) == 0
    assert "Trial" in capsys.readouterr().out
    assert len(trials_of(tmp_path / "run")) == 2
    assert command(["tune", tmp_path / "run" / "search.toml", "--out", tmp_path / "again"], monkeypatch) == 0
    assert [row["loss"] for row in trials_of(tmp_path / "again")] == [
        row["loss"] for row in trials_of(tmp_path / "run")
    ]
    assert command(["train", tmp_path / "run" / "recipe.toml", "--out", tmp_path / "trained"], monkeypatch) == 0


def test_batches_are_counted_or_chosen_by_a_word():
    assert read_space({"batch_size": [8, 16, "auto"]}).parameters == (Choices("batch_size", (8, 16, "auto")),)
    assert read_space({"batch_size": {"low": 8, "high": 64, "log": True}}).parameters[0].whole
    with pytest.raises(UsageError, match=r"batch_size has the choice 8\.5: expected whole numbers"):
        read_space({"batch_size": [8.5, 16]})


def test_the_recipe_of_a_winner_holds_what_it_follows_alone(stripes, tmp_path):
    folder = tmp_path / "run"
    ln.tune(stripes, out=folder, weights="none", epochs=1, space={"model": ["hog", "lenet5"]}, search="grid")
    chosen = next(row for row in trials_of(folder) if row["chosen"] == "yes")
    told = (folder / "recipe.toml").read_text()
    assert ("epochs" in told) == (chosen["model"] == "lenet5")
    assert chosen["model"] == "hog", "one epoch is too short for the other"
