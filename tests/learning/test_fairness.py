"""Trainings that are fair to groups of images."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

import linnaea
from linnaea.classifier.calibrators.uncalibrated import Uncalibrated
from linnaea.dataset import Dataset
from linnaea.decisions import Outputs, Policy, answer
from linnaea.errors import UsageError
from linnaea.experiments.conclusion import Calibrated
from linnaea.experiments.groups.membership import FAIR_GROUP, groups_in, with_fair_groups
from linnaea.experiments.groups.thresholds import require_thresholds_for_groups, thresholds_for
from linnaea.learning.examples import Examples
from linnaea.learning.fairness.balance import GroupBalance, drawn_by
from linnaea.learning.fairness.group_dro import group_dro
from linnaea.learning.fairness.reweighing import reweighing
from linnaea.learning.fairness.thresholds import equalized_odds
from linnaea.learning.heads import fit_path
from linnaea.learning.losses import criterion_for
from linnaea.runtime.files import read_json
from linnaea.task import TASKS


def planted(n, rare, seed, *, by_tint=False):
    """Features of a faint form and a strong tint, which agrees with the class but in a `rare` share of images.

    The groups are the images with a rare tint, or those of either tint.
    """
    random = np.random.default_rng(seed)
    targets, odd = random.integers(0, 2, n), random.random(n) < rare
    tint = np.where(odd, 1 - targets, targets)
    form = np.stack([targets * 2 - 1 + random.normal(0, 1.5, n) for _ in range(6)], axis=1)
    features = np.concatenate([form, (tint * 2 - 1)[:, None] * 3 + random.normal(0, 0.3, (n, 1))], axis=1)
    return features.astype(np.float32), targets, (tint if by_tint else odd).astype(np.int64), odd


def balance_of(name, targets, groups):
    images = np.zeros((len(targets), 4, 4, 3), dtype=np.uint8)
    return GroupBalance.over(name, Examples(images, targets, groups), 2)


def worst_of(name, *, by_tint=False):
    """The accuracy in the worst group, tint and class, of a head that was fitted by this method; None for no method."""
    features, targets, groups, _ = planted(600, 0.05, 0, by_tint=by_tint)
    weights = None
    if name is not None:
        _, _, weights = balance_of(name, targets, groups).for_head(features, targets, 0, groups)
    (head,) = fit_path(features, targets, 2, strengths=(0.01,), weights=weights)
    fresh, truth, _, odd = planted(4000, 0.5, 1)
    right = head.logits(fresh).argmax(axis=1) == truth
    return min(right[odd].mean(), right[~odd].mean())


def test_reweighing_makes_groups_and_classes_independent():
    random = np.random.default_rng(0)
    groups = random.integers(0, 3, 500)
    targets = (random.random(500) < np.array([0.2, 0.5, 0.9])[groups]).astype(np.int64)
    weights = reweighing(groups, targets)
    assert weights.mean() == pytest.approx(1)
    for group in range(3):
        for target in range(2):
            both = weights[(groups == group) & (targets == target)].sum() / 500
            assert both == pytest.approx((groups == group).mean() * (targets == target).mean())


def test_rows_are_drawn_as_often_as_their_weights_say():
    weights = np.repeat([0.5, 1.5], 100)
    rows = drawn_by(weights, 0)
    assert len(rows) == 200
    assert np.bincount(rows, minlength=200)[:100].sum() == pytest.approx(50, abs=1)
    assert np.bincount(rows, minlength=200).max() == 2
    assert (drawn_by(weights, 1) != rows).any()


def test_group_dro_follows_the_losses():
    weights = group_dro(np.array([0.5, 0.5]), np.array([1.0, 3.0]), 0.5)
    assert weights == pytest.approx(np.array([1, np.e]) / (1 + np.e))


@pytest.mark.parametrize(("name", "by_tint"), [("group_dro", False), ("reweighing", True)])
def test_a_planted_gap_is_narrowed(name, by_tint):
    assert worst_of(name, by_tint=by_tint) > worst_of(None, by_tint=by_tint) + 0.1


def test_the_loss_of_a_batch_is_that_of_its_groups_by_their_weights():
    targets, groups = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    balance = balance_of("group_dro:1", targets, groups)
    shown = balance.shown(Examples(np.zeros((4, 4, 4, 3), dtype=np.uint8), targets, groups))
    assert shown.targets.tolist() == [0, 1, 2, 3]
    logits = torch.tensor([[2.0, 0], [0, 1], [0, 0], [1, 0]])
    criterion = criterion_for(TASKS["binary"])
    losses = torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets), reduction="none")
    means = torch.stack([losses[:2].mean(), losses[2:].mean()])
    weights = (means.exp() / means.exp().sum()).double()
    found = balance.loss(criterion, logits, torch.from_numpy(shown.targets))
    assert found.item() == pytest.approx(float((weights * means).sum()), rel=1e-5)
    assert balance.adversary.weights == pytest.approx(weights.numpy(), rel=1e-5)
    (hook,) = balance.hooks
    kept = hook.tensors()
    hook.begin(None)
    assert balance.adversary.weights.tolist() == [0.5, 0.5]
    hook.restore(kept)
    assert balance.adversary.weights == pytest.approx(weights.numpy(), rel=1e-5)


def test_parts_of_a_batch_in_two_processes_add_up_to_the_loss_of_the_batch(monkeypatch):
    random = np.random.default_rng(0)
    targets, groups = random.integers(0, 2, 11), np.array([0] * 9 + [1] * 2)
    logits = torch.from_numpy(random.normal(size=(11, 2)).astype(np.float32))
    criterion = criterion_for(TASKS["binary"])
    losses = torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets), reduction="none")

    def of(rows):
        balance = balance_of("group_dro:1", targets, groups)
        shown = balance.shown(Examples(np.zeros((11, 4, 4, 3), dtype=np.uint8), targets, groups))
        return balance.loss(criterion, logits[rows], torch.from_numpy(shown.targets[rows])).item()

    whole = of(np.arange(11))
    together = {True: losses, False: torch.from_numpy(groups)}
    monkeypatch.setattr(
        "linnaea.learning.fairness.balance.whole_batch", lambda part: together[part.is_floating_point()]
    )
    parts = np.arange(0, 11, 2), np.arange(1, 11, 2)  # each process has every other row, one of the rare group each
    assert sum(of(rows) * len(rows) / 11 for rows in parts) == pytest.approx(whole, rel=1e-5)
    alone = np.arange(9), np.array([9, 10])  # the rare group is with one process alone
    assert sum(of(rows) * len(rows) / 11 for rows in alone) == pytest.approx(whole, rel=1e-5)


def scored(n, seed):
    """Probabilities that are lower in the second group, whether the class is true, and the groups."""
    random = np.random.default_rng(seed)
    groups, positive = random.integers(0, 2, n), random.random(n) < 0.5
    scores = positive * 2.0 - 1 + random.normal(0, 1, n) - 1.0 * groups
    return 1 / (1 + np.exp(-scores)), positive, groups


def odds(answers, positive, groups):
    fairlearn = pytest.importorskip("fairlearn.metrics")
    return fairlearn.equalized_odds_difference(positive, answers, sensitive_features=groups)


def test_thresholds_of_groups_make_odds_nearly_equal():
    thresholds = equalized_odds(*scored(2000, 0))
    probabilities, positive, groups = scored(2000, 1)
    fair = probabilities >= thresholds[groups]
    assert odds(fair, positive, groups) < 0.08 < odds(probabilities >= 0.5, positive, groups) - 0.1
    assert (fair == positive).mean() > (probabilities >= 0.5).mean() - 0.02
    assert thresholds[1] < thresholds[0]


def test_a_group_of_few_images_is_left_to_the_common_threshold():
    probabilities, positive, groups = scored(400, 2)
    groups[[*np.flatnonzero(positive)[:50], *np.flatnonzero(~positive)[:9]]] = 2
    found = equalized_odds(probabilities, positive, groups)
    assert np.isnan(found).tolist() == [False, False, True]
    alone = groups < 2
    assert found[:2].tolist() == equalized_odds(probabilities[alone], positive[alone], groups[alone]).tolist()
    groups[groups == 1] = 0
    assert np.isnan(equalized_odds(probabilities, positive, groups)).all(), "one group alone has nothing to equal"


def test_wrong_answers_count_by_images():
    """Probabilities say nothing: a large group is best answered with yes, a small one with no, at the same rates."""
    random = np.random.default_rng(3)
    groups = np.repeat([0, 1], [1000, 100])
    positive = np.concatenate([np.arange(1000) < 700, np.arange(100) < 10])
    probabilities = random.random(1100)
    answered = probabilities >= equalized_odds(probabilities, positive, groups)[groups]
    assert answered[groups == 0].mean() > 0.9


class Ready:
    """A classifier that says what it is given of the val images, as far as thresholds ask it."""

    task, classes, calibrator = "binary", ("ant", "bee"), Uncalibrated()

    def __init__(self, policy):
        self.policy = policy

    def score_features(self, features):
        return Outputs(features, features, features)

    def with_(self, *, policy):
        return Ready(policy)


def test_few_images_are_told_of_and_the_share_of_unsure_images_is_kept():
    probabilities, positive, groups = scored(1000, 4)
    values = [*np.array(["n", "s"])[groups[:-2]], "rare", "rare"]
    val = Examples(np.zeros((1000, 1, 1, 3), np.uint8), positive.astype(np.int64))
    material = SimpleNamespace(columns={"site": values}, val=val)
    features = np.log(np.stack([1 - probabilities, probabilities], axis=1))
    policy = Policy(unsure_rate=0.05, confidence_threshold=0.5)
    ready = Calibrated(Ready(policy), [], features, val.targets, features)
    fitted = thresholds_for("equalized_odds", "site", material)(ready)
    assert [name for name, _ in fitted.classifier.policy.group_thresholds] == ["n", "s"]
    (found,) = fitted.findings
    assert found.severity == "warning"
    assert "rare (by 'site') have no threshold of their own: it takes 10 val images" in found.summary
    outputs = Outputs(features, features, np.exp(features))
    _, reasons = answer("binary", Ready.classes, outputs, fitted.classifier.policy, values)
    assert reasons.count("unsure") == pytest.approx(50, abs=2)


def test_the_threshold_of_a_group_decides_and_the_common_one_where_it_is_not_known():
    outputs = Outputs(*[np.array([[0.6, 0.4]] * 4)] * 3)
    policy = Policy(group_by="site", group_thresholds=(("n", 0.3), ("s", 0.7)))
    decided, _ = answer("binary", ("ant", "bee"), outputs, policy, ["n", "s", "else", None])
    assert decided.labels == ["bee", "ant", "ant", "ant"]
    assert decided.confidence == pytest.approx([0.4, 0.6, 0.6, 0.6])
    assert answer("binary", ("ant", "bee"), outputs, policy)[0].labels == ["ant"] * 4
    assert Policy.from_json(json.loads(json.dumps(asdict(policy)))) == policy


@pytest.mark.parametrize(
    ("dataset", "aim", "said"),
    [
        ({"task": "multiclass"}, None, "thresholds between two classes"),
        ({}, "recall=0.9", "both choose the threshold"),
        ({"number": True}, None, "holds numbers or dates"),
    ],
)
def test_thresholds_of_groups_are_refused_where_they_do_not_fit(dataset, aim, said):
    made = table(task=dataset.get("task", "binary"))
    by = "level" if dataset.get("number") else "site"
    made = made.with_column("level", [row % 2 for row in range(len(made))])
    with pytest.raises(UsageError, match=said):
        require_thresholds_for_groups(made, "equalized_odds", by, aim)


@pytest.mark.slow
def test_a_training_sets_thresholds_for_groups_and_says_where_they_cannot_be_used(tmp_path, caplog):
    dataset = draw(tmp_path / "images", 100)
    run = tmp_path / "run"
    classifier = linnaea.train(dataset, model="hog", weights="none", fair="equalized_odds", fair_by="kind", out=run)
    assert {name for name, _ in classifier.policy.group_thresholds} == {"odd", "usual"}
    assert linnaea.load(run).policy == classifier.policy
    (told,) = read_json(run / "findings" / "fairness.json")
    assert "fitted to four fifths of the val images and judged on the rest" in told["summary"]
    linnaea.evaluate(run, by="kind")
    assert "come without that column" not in caplog.text
    classifier.predict(dataset.paths[:2])
    assert "come without that column: the common threshold decides" in caplog.text


def table(n=40, task="binary"):
    rows = [
        {"path": f"{row}.png", "label": ["ant", "bee"][row % 2], "site": ["n", "s", "s"][row % 3], "same": "x"}
        for row in range(n)
    ]
    return Dataset(pa.Table.from_pylist(rows), ("ant", "bee"), task, linnaea.__file__)


def test_groups_are_a_column_of_the_dataset():
    dataset = with_fair_groups(table(), "reweighing", "site")
    assert dataset.column(FAIR_GROUP) == dataset.column("site")
    assert groups_in(dataset)[:3].tolist() == [0, 1, 1]
    assert groups_in(table()) is None


@pytest.mark.parametrize(
    ("fair", "by", "clashing", "said"),
    [
        ("reweighing", None, (), "--fair was given without --fair-by"),
        (None, "site", (), "--fair-by was given without --fair"),
        ("reweighing", "sight", (), "no column 'sight' of metadata"),
        ("reweighing", "same", (), "there is nothing to compare"),
        ("reweigh", "site", (), "Did you mean 'reweighing'"),
        ("reweighing", "site", ("--balance",), "and so does --balance"),
    ],
)
def test_what_does_not_go_together_is_refused(fair, by, clashing, said):
    with pytest.raises(UsageError, match=said):
        with_fair_groups(table(), fair, by, clashing=clashing)


def draw(folder, n):
    """Faint stripes that lie or stand, tinted as their class but in few images of train."""
    random, rows = np.random.default_rng(0), []
    folder.mkdir()
    for split in ("train", "val", "test"):
        for number in range(n):
            kind, odd = number % 2, random.random() < (0.1 if split == "train" else 0.4)
            wave = np.tile(128 + 30 * np.sin(np.arange(16) * 0.9 + random.uniform(0, 6)), (16, 1))
            pixels = np.repeat(((wave if kind else wave.T) + random.normal(0, 60, (16, 16)))[..., None], 3, 2)
            pixels[..., 0 if (kind != odd) else 2] += 60
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{split}-{number}.png")
            label, kind = ["lying", "standing"][kind], "odd" if odd else "usual"
            rows.append({"path": f"{split}-{number}.png", "label": label, "split": split, "kind": kind})
    return Dataset(pa.Table.from_pylist(rows), ("lying", "standing"), "binary", folder)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["hog", "lenet5"])
def test_a_training_tells_what_fairness_costs_and_gains(model, tmp_path):
    dataset = draw(tmp_path / "images", 200)
    options = {} if model == "hog" else {"epochs": 4, "batch_size": 16}
    linnaea.train(
        dataset, model=model, weights="none", fair="group_dro:1", fair_by="kind", out=tmp_path / "run", **options
    )
    (told,) = read_json(tmp_path / "run" / "findings" / "fairness.json")
    without, fair = told["rows"]
    assert (without["way"], fair["way"]) == ("without", "group_dro:1")
    if model == "hog":
        assert fair["gap"] < without["gap"] - 0.1
    assert read_json(tmp_path / "run" / "run.json")["test_opened"][0]["by"] == "train"
    assert len(read_json(tmp_path / "run" / "run.json")["test_opened"]) == 1
    assert any(finding["name"] == "worst_group" for finding in read_json(tmp_path / "run" / "findings" / "groups.json"))
    html = linnaea.report(tmp_path / "run").read_text("utf-8")
    assert "What fairness costs" in html.replace("\n", " ")
    assert "worst group, group_dro:1" in html
    assert model == "hog" or "group_weight" in (tmp_path / "run" / "history.csv").read_text()
