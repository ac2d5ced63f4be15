"""Classes below groups, the whole way: losses, answers that roll up for a stated risk, figures, report and export."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.special import softmax
from torch.nn import functional

import linnaea as ln
from linnaea.data.images.pixels import decode_files
from linnaea.decisions import ROOT, Policy, decide, reasons
from linnaea.errors import DataError, UsageError
from linnaea.evidence import compare, figures, findings, judge
from linnaea.evidence.calibration import Aims, calibrate_with_findings
from linnaea.evidence.metrics import METRICS, TREE_METRICS, scores_of
from linnaea.evidence.roll_up import NEVER, fit_roll_up, highest_wrong
from linnaea.learning.balance import Balance
from linnaea.learning.losses import LOSSES, Context, criterion_for, require_loss
from linnaea.predictions import Predictions
from linnaea.task import TASKS
from linnaea.taxonomy import Taxonomy

CLASSES = ("cat", "dog", "frog", "car", "bus", "stone")
PARENTS = {"cat": "mammal", "dog": "mammal", "mammal": "animal", "frog": "animal", "car": "vehicle", "bus": "vehicle"}
TREE = Taxonomy.of(CLASSES, PARENTS)
RISK = 0.1


def drawn(n, seed=0, sharpness=0.2):
    """Probabilities (n, 6), and classes that are as likely as these say."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(len(CLASSES), sharpness), n)
    return probabilities, (probabilities.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)


def answered(probabilities, targets, threshold=0.7, tree=TREE, unreadable=(), **more):
    policy = Policy(parents=tree.parents, thresholds=(threshold,), confidence_threshold=threshold)
    decided = decide("hierarchical", tree.classes, probabilities, policy)
    read = ~np.isin(np.arange(len(targets)), list(unreadable))
    why = reasons(decided.confidence, None, policy)
    columns = {
        "id": [f"{row}.png" for row in range(len(targets))],
        "truth": [tree.classes[target] for target in targets],
        "probabilities": np.where(read[:, None], probabilities, np.nan),
        "label": [label if ok else None for label, ok in zip(decided.labels, read, strict=True)],
        "confidence": np.where(read, decided.confidence, np.nan),
        "prediction_set": [held if ok else None for held, ok in zip(decided.sets, read, strict=True)],
        "reason": [reason if ok else "unreadable" for reason, ok in zip(why, read, strict=True)],
    }
    return Predictions.from_columns(columns | more, tree.classes, "hierarchical", dict(tree.parents))


# The risk.


@pytest.mark.parametrize(("n", "sharpness"), [(40, 0.2), (200, 0.1), (200, 0.5)])
def test_the_expected_share_of_wrong_answers_is_the_one_allowed(n, sharpness):
    probabilities, targets = drawn(20_000, sharpness=sharpness)
    stages = highest_wrong(probabilities, targets, TREE)
    random, risks, informed = np.random.default_rng(1), [], []
    for _ in range(300):
        rows = random.choice(len(targets), n, replace=False)
        fitted = fit_roll_up(probabilities[rows], targets[rows], TREE, RISK)
        # An answer may be wrong below the threshold where it was last wrong, never above.
        assert fitted.threshold == pytest.approx(threshold_by_hand(stages[rows], n), abs=2e-5)
        rest = random.choice(len(targets), 500, replace=False)
        scores = scores_of(answered(probabilities[rest], targets[rest], fitted.threshold))
        risks.append(scores.wrong.mean())
        informed.append(scores.information.mean())
    error = np.std(risks) / np.sqrt(len(risks))
    assert np.mean(risks) <= RISK + 3 * error
    assert np.mean(risks) >= RISK - 2 / (n + 1) - 0.015 - 3 * error  # and hardly more cautious than it must be


def threshold_by_hand(highest, n):
    """The lowest threshold on a fine grid at which one more wrong answer than seen would still be allowed."""
    for threshold in np.unique(np.append(highest[highest >= 0], 0.0)):
        for candidate in (threshold, threshold + 1e-9):
            if ((highest >= candidate).sum() + 1) / (n + 1) <= RISK + 1e-9 or not (highest >= candidate).any():
                return candidate
    return NEVER


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_nothing_is_answered_wrongly_above_the_last_time(seed):
    probabilities, targets = drawn(12, seed, sharpness=0.5)
    highest = highest_wrong(probabilities, targets, TREE)
    for threshold in np.linspace(0, 1, 41):
        wrong = scores_of(answered(probabilities, targets, float(threshold))).wrong
        assert not wrong[threshold > highest + 1e-6].any()
    for row in np.flatnonzero(highest >= 0):
        at = scores_of(answered(probabilities[[row]], targets[[row]], float(highest[row])))
        assert at.wrong[0]


def test_images_that_count_more_move_the_threshold():
    probabilities, targets = drawn(500, seed=3)
    wrong = highest_wrong(probabilities, targets, TREE) >= 0
    plain = fit_roll_up(probabilities, targets, TREE, RISK)
    heavier = fit_roll_up(probabilities, targets, TREE, RISK, np.where(wrong, 3.0, 1.0))
    lighter = fit_roll_up(probabilities, targets, TREE, RISK, np.where(wrong, 0.3, 1.0))
    assert lighter.threshold < plain.threshold < heavier.threshold


def test_what_cannot_be_kept_is_said():
    probabilities, targets = drawn(5)
    few = fit_roll_up(probabilities, targets, TREE, RISK)
    assert (few.threshold, few.declined, few.finding.severity) == (NEVER, 1.0, "warning")
    assert "5 val images are too few" in few.finding.summary
    sure = np.eye(6)[np.zeros(100, dtype=int)]
    wrong = fit_roll_up(sure, np.full(100, 3), TREE, RISK)
    assert wrong.threshold > 1
    assert wrong.finding.severity == "warning"
    right = fit_roll_up(sure, np.zeros(100, dtype=int), TREE, RISK)
    assert (right.threshold, right.declined) == (0.0, 0.0)
    assert "100.0% of the answers are classes" in right.finding.summary


# The losses.


def logits_and_targets(n=30, scale=3.0):
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(n, len(CLASSES), generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, len(CLASSES), (n,), generator=generator)


def made(name):
    plain, amount = require_loss(name, "hierarchical")
    return lambda logits, targets: LOSSES[plain](logits, targets, Context(amount=amount, tree=TREE))


def of_node(logits, node):
    held = [name == node or node in TREE.ancestors(name) for name in CLASSES]
    return logits.softmax(dim=1)[:, held].sum(dim=1).log()


def test_the_marginal_loss_is_the_mean_of_the_levels():
    logits, targets = logits_and_targets()
    ways = [[*way, *[way[-1]] * (TREE.depth - len(way))] for way in TREE.ways]
    expected = [
        -np.mean([float(of_node(logits[[row]], node)) for node in ways[target]]) for row, target in enumerate(targets)
    ]
    assert made("marginal")(logits, targets).numpy() == pytest.approx(expected)


@pytest.mark.parametrize("amount", [0.0, 0.5, 2.0])
def test_the_loss_per_level_is_hierarchical_cross_entropy(amount):
    logits, targets = logits_and_targets()
    expected = []
    for row, target in enumerate(targets):
        above = [torch.zeros(1), *[of_node(logits[[row]], node) for node in TREE.ways[target]]]
        steps = [float(lower - upper) for upper, lower in pairwise(above)]
        fall = amount / (TREE.depth - 1)
        expected.append(-sum(np.exp(-fall * depth) * step for depth, step in enumerate(steps)))
    found = made(f"per_level:{amount}")(logits, targets)
    assert found.numpy() == pytest.approx(expected)
    if amount == 0:
        assert torch.allclose(found, functional.cross_entropy(logits, targets, reduction="none"))


@pytest.mark.parametrize("name", ["marginal", "per_level", "cross_entropy"])
def test_losses_take_class_weights_and_stay_finite(name):
    logits, targets = logits_and_targets()
    loss, weights = made(name), functional.one_hot(targets, len(CLASSES)).double()
    assert torch.allclose(loss(logits, targets), loss(logits, weights))
    mixed = 0.3 * weights + 0.7 * weights.roll(1, dims=0)
    assert torch.allclose(loss(logits, mixed), 0.3 * loss(logits, targets) + 0.7 * loss(logits, targets.roll(1)))
    far = (1e4 * logits.float()).requires_grad_()
    value = loss(far, targets).mean()
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(far.grad).all()


def test_a_mistake_within_a_group_costs_less():
    loss = made("marginal")
    near, far = torch.zeros(1, 6), torch.zeros(1, 6)
    near[0, 1], far[0, 3] = 4.0, 4.0
    cat = torch.tensor([0])
    assert float(loss(near, cat)) < float(loss(far, cat))
    plain = made("cross_entropy")
    assert float(plain(near, cat)) == float(plain(far, cat))


def test_a_task_uses_its_loss_everywhere():
    criterion = criterion_for(TASKS["hierarchical"], None, TREE)
    logits, targets = logits_and_targets()
    logits = logits.float()
    assert torch.equal(criterion.losses(logits, targets), made("per_level:1.5")(logits, targets))
    smoothed = 0.9 * functional.one_hot(targets, 6).float() + 0.1 / 6
    assert torch.allclose(criterion.mean(logits, targets, 0.1), made("per_level")(logits, smoothed).mean())
    balance = Balance.of("class_weights", np.array([0] * 10 + [1, 2, 3, 4, 5]), 6)
    weighted = balance.loss(criterion, logits, targets)
    assert not torch.allclose(
        weighted, balance.loss(criterion_for(TASKS["hierarchical"], "cross_entropy", TREE), logits, targets)
    )
    assert criterion_for(TASKS["multiclass"], None, TREE).name == "cross_entropy"


# The figures.


def by_hand(predictions):
    """Every figure from sets of ancestors, image by image."""
    tree, rows = predictions.tree, []
    best = [tree.classes[number] if number >= 0 else None for number in predictions.answers]
    for truth, label, likeliest in zip(predictions.column("truth"), predictions.column("label"), best, strict=True):
        above = {truth, *tree.ancestors(truth)} - {tree.root}
        said = set() if label is None else {label, *tree.ancestors(label)} - {tree.root}
        common = None if likeliest is None else tree.common(truth, likeliest)
        rows.append(
            {
                "shared": len(above & said),
                "said": len(said),
                "true": len(above),
                "wrong": not said <= above,
                "read": label is not None,
                "height": None if common is None else int(tree.heights[tree.index[common]]),
                "mistaken": likeliest not in (None, truth),
                "steps": None if likeliest is None else tree.distance(truth, likeliest),
            }
        )
    return rows


@pytest.mark.parametrize("seed", [0, 1])
def test_figures_are_those_of_their_papers(seed):
    probabilities, targets = drawn(80, seed)
    predictions = answered(probabilities, targets, unreadable=(0, 7))
    rows, found = by_hand(predictions), figures(predictions, replicates=100)
    read = [row for row in rows if row["read"]]
    shared, said, true = (sum(row[name] for row in rows) for name in ("shared", "said", "true"))
    mistakes = [row["height"] for row in rows if row["mistaken"]]
    expected = {
        "hierarchical_precision": shared / said,
        "hierarchical_recall": shared / true,
        "hierarchical_f1": 2 * shared / (said + true),
        "information": np.mean([0 if row["wrong"] else row["said"] / row["true"] for row in rows]),
        "risk": np.mean([row["wrong"] for row in read]),
        "answer_depth": np.mean([row["said"] for row in read]),
        "mistake_severity": np.mean(mistakes),
        "tree_distance": np.mean([row["steps"] for row in read]),
        "top_level_accuracy": np.mean(list(top_level(predictions))),
    }
    assert set(expected) == set(TREE_METRICS)
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value), name
        assert found[name].lo <= value <= found[name].hi
    answers = np.where(np.isin(np.arange(80), (0, 7)), -1, probabilities.argmax(axis=1))
    assert found["accuracy"].value == pytest.approx((answers == targets).mean())
    assert {name for name in METRICS if name in found} >= {"accuracy", "f1_macro", "nll", "ece"}
    plain = [row for row, reason in zip(rows, predictions.column("reason"), strict=True) if reason == "ok"]
    assert found["answered_accuracy"].value == pytest.approx(1 - np.mean([row["wrong"] for row in plain]))


def top_level(predictions):
    tops = {name: way[0] for name, way in zip(TREE.classes, TREE.ways, strict=True)}
    for row, truth in zip(np.nan_to_num(predictions.scores()), predictions.column("truth"), strict=True):
        sums = {top: row[[tops[name] == top for name in TREE.classes]].sum() for top in tops.values()}
        yield bool(row.any()) and max(sums, key=sums.get) == tops[truth]


def test_figures_of_classes_are_those_without_groups():
    probabilities, targets = drawn(120)
    tree = answered(probabilities, targets)
    labels = [CLASSES[number] for number in probabilities.argmax(axis=1)]
    columns = {name: tree.column(name) for name in ("id", "truth", "reason", "prediction_set")}
    columns |= {"probabilities": probabilities, "label": labels, "confidence": probabilities.max(axis=1)}
    flat = Predictions.from_columns(columns, CLASSES, "multiclass")
    both = figures(tree, replicates=60), figures(flat, replicates=60)
    assert all(both[0][name].value == pytest.approx(both[1][name].value) for name in METRICS if name in both[1])
    tables = [{finding.name: finding for finding in findings(each)} for each in (tree, flat)]
    assert all(tables[0][name].rows == tables[1][name].rows for name in ("per_class", "confusion", "reliability"))


def test_perfect_answers_and_none_at_all():
    sure, targets = np.eye(6), np.arange(6)
    perfect = figures(answered(sure, targets), replicates=60)
    assert [perfect[name].value for name in ("hierarchical_f1", "information", "top_level_accuracy")] == [1, 1, 1]
    assert perfect["mistake_severity"].value is None
    assert "not defined" in perfect["mistake_severity"].method
    assert perfect["information"].lo < 1
    silent = figures(answered(sure, targets, NEVER), replicates=60)
    assert (silent["information"].value, silent["risk"].value, silent["unsure_rate"].value) == (0, 0, 1)
    assert silent["hierarchical_precision"].value is None
    assert silent["accuracy"].value == 1


def test_the_tables_of_the_tree_count_every_answer():
    probabilities, targets = drawn(200)
    predictions = answered(probabilities, targets, unreadable=(5,))
    tree, levels = findings(predictions)[-2:]
    assert [finding.name for finding in (tree, levels)] == ["tree", "levels"]
    rows = {row["node"]: row for row in tree.rows}
    assert next(iter(rows)) == ROOT
    assert sum(row["stops"] for row in tree.rows) == 199
    assert rows["animal"]["n"] == sum(CLASSES[target] in ("cat", "dog", "frog") for target in targets)
    for row in tree.rows[1:]:
        assert list(rows).index(row["parent"]) < list(rows).index(row["node"])
        held = {row["node"], *(name for name in TREE.nodes if row["node"] in TREE.ancestors(name))}
        pairs = list(zip(predictions.column("truth"), predictions.column("label"), strict=True))
        hits = sum(truth in held and label in held for truth, label in pairs)
        assert row["recall"] == pytest.approx(hits / row["n"])
        assert row["precision"] == pytest.approx(hits / sum(label in held for _, label in pairs))
    assert [row["nodes"] for row in levels.rows] == [3, 5, 6]
    assert levels.rows[-1]["accuracy"] == pytest.approx(figures(predictions, replicates=60)["accuracy"].value)
    assert levels.rows[0]["accuracy"] == pytest.approx(np.mean(list(top_level(predictions))))


def test_predictions_keep_their_taxonomy(tmp_path):
    probabilities, targets = drawn(20)
    predictions = answered(probabilities, targets)
    again = Predictions.read(predictions.write(tmp_path / "answers.parquet"))
    assert (again.taxonomy, again.tree.nodes) == (dict(TREE.parents), TREE.nodes)
    assert figures(again, replicates=60) == figures(predictions, replicates=60)
    with pytest.raises(DataError, match="'animal' is neither a class nor a group"):
        scores_of(replace(predictions, taxonomy={}))


def test_two_are_compared_within_one_taxonomy():
    probabilities, targets = drawn(200)
    first = answered(probabilities, targets)
    better = answered(0.7 * probabilities + 0.3 * np.eye(6)[targets], targets)
    found = compare(first, better)
    assert found.better == "B"
    assert {*TREE_METRICS} <= {*found.differences}
    assert found.differences["information"].lo > 0
    other = Taxonomy.of(CLASSES, PARENTS | {"stone": "vehicle"})
    with pytest.raises(DataError, match="different groups above the classes"):
        compare(first, answered(probabilities, targets, tree=other))


# The whole way.


def draw(folder, each=60, seed=0):
    """Images told apart by colour with ease and by shape with trouble; labels are paths, one of them short."""
    random, rows = np.random.default_rng(seed), ["path,label"]
    down, across = np.mgrid[:24, :24] - 11.5
    shapes = {"disc": np.hypot(down, across) < 8, "square": np.maximum(abs(down), abs(across)) < 7}
    colours = {"warm": (200, 90, 40), "cold": (40, 90, 200)}
    for number in range(each):
        for label in ("warm/disc", "warm/square", "cold/disc", "cold/square", "empty"):
            pixels = random.normal(110, 60, (24, 24, 3))
            if label != "empty":
                colour, shape = label.split("/")
                pixels[shapes[shape]] += 0.55 * (np.array(colours[colour]) - 110)
            name = f"{label.replace('/', '_')}_{number}.png"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
            rows.append(f"{name},{label}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "shapes"
    ln.train(photos, out=folder, model="majority,hog", weights="none", risk=0.08)
    return folder


def test_a_run_answers_with_classes_and_groups(run, photos):
    record = json.loads((run / "run.json").read_text())
    assert record["dataset"]["task"] == "hierarchical"
    classifier = ln.load(run)
    assert classifier.taxonomy.nodes[-2:] == ("cold", "warm")
    assert (classifier.policy.risk, classifier.policy.confidence_threshold) == (0.08, classifier.policy.thresholds[0])
    predictions = ln.Run.open(run).predictions("test")
    labels = set(predictions.column("label"))
    assert labels & {"warm", "cold"}
    assert labels & set(classifier.classes)
    assert labels <= {*classifier.taxonomy.nodes, ROOT}
    for answer in predictions:
        assert (answer["reason"] == "unsure") == (answer["label"] == ROOT) or answer["reason"] == "unfamiliar"
        assert answer["confidence"] >= classifier.policy.thresholds[0] or answer["label"] == ROOT
    told = json.loads((run / "metrics.json").read_text())["test"]
    assert {*TREE_METRICS, "accuracy", "answered_accuracy"} <= set(told)
    assert told["top_level_accuracy"]["value"] > told["accuracy"]["value"]
    assert told["information"]["value"] > 0.4


def test_the_run_tells_the_tree(run):
    names = [finding["name"] for finding in json.loads((run / "findings" / "test.json").read_text())]
    assert names[-2:] == ["tree", "levels"]
    page = (run / "report.html").read_text()
    assert "The tree" in page
    assert "that of a group being the sum over its classes" in page
    assert "names only the whole tree" in page
    thresholds = json.loads((run / "findings" / "thresholds.json").read_text())
    assert "for a risk of 8%" in thresholds[0]["summary"]


def test_an_evaluation_again_says_the_same(run):
    told = json.loads((run / "metrics.json").read_text())["test"]
    again = ln.evaluate(run)
    assert {name: figure.value for name, figure in again.figures.items()} == pytest.approx(
        {name: figure["value"] for name, figure in told.items()}
    )


def test_an_export_rolls_up_in_the_same_way(run, photos, tmp_path):
    exported = ln.export(run, out=tmp_path / "onnx")
    assert exported.parity.severity == "info"
    dataset = ln.Run.open(run).dataset().split("test")
    ours = ln.predict(run, [str(path) for path in dataset.paths])
    command = [sys.executable, str(tmp_path / "onnx" / "predict.py"), *map(str, dataset.paths)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = [json.loads(line) for line in printed.splitlines()]
    for name in ("label", "reason", "prediction_set"):
        assert [answer[name] for answer in theirs] == ours.column(name)
    assert {"warm", "cold"} & {answer["label"] for answer in theirs}


def test_another_risk_and_loss(photos, run, tmp_path):
    ln.train(photos, out=tmp_path / "run", model="hog", weights="none", risk=0.3, loss="cross_entropy")
    bold = ln.load(tmp_path / "run").policy
    assert bold.thresholds[0] < ln.load(run).policy.thresholds[0]
    found = ln.compare(run, tmp_path / "run")
    assert "mistake_severity" in found.differences
    assert found.differences["answer_depth"].value > 0


def test_a_network_learns_by_the_same_loss(photos, tmp_path):
    ln.train(
        photos, out=tmp_path / "run", model="scratch", weights="none", epochs=2, augment=["mixup"], precision="float32"
    )
    history = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert history[0].endswith("val_accuracy")
    losses = [float(line.split(",")[-2]) for line in history[1:]]
    assert len(losses) == 2
    assert np.isfinite(losses).all()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"risk": 0.0}, "risk is 0.0; expected a share between 0 and 1"),
        ({"unsure_rate": 0.1}, "with a taxonomy the risk decides how many answers are unsure"),
        ({"aim": "f1"}, "the task is hierarchical, which needs none"),
        ({"loss": "margnal"}, "unknown loss 'margnal'.*marginal"),
        ({"loss": "per_level:9"}, "a number from 0 to 5"),
        ({"loss": "marginal", "balance": "focal"}, "'focal' is a loss itself"),
    ],
)
def test_what_does_not_fit_a_taxonomy_is_refused(photos, tmp_path, flags, message):
    with pytest.raises(UsageError, match=message):
        ln.train(photos, out=tmp_path / "run", model="hog", weights="none", **flags)
    assert not (tmp_path / "run").exists()


def test_without_a_taxonomy_risk_and_loss_are_refused(photos, tmp_path):
    flat = ln.read(photos).with_taxonomy({})
    with pytest.raises(UsageError, match=r"risk is 0\.1, but the task is multiclass"):
        ln.train(flat, out=tmp_path / "run", model="hog", weights="none", risk=0.1)
    with pytest.raises(UsageError, match="'marginal' is for hierarchical data, but these are multiclass"):
        ln.train(flat, out=tmp_path / "run", model="hog", weights="none", loss="marginal")


def test_a_taxonomy_that_is_no_tree_is_refused_with_its_names(photos, tmp_path):
    with pytest.raises(DataError, match="'warm' below 'colour' below 'warm'"):
        ln.read(photos).with_taxonomy({"warm/disc": "warm", "warm": "colour", "colour": "warm"})
    table = draw(tmp_path, each=1)
    (table / "taxonomy.csv").write_text("child,parent\nempty,warm\nempty,cold\n")
    with pytest.raises(DataError, match="gives 'empty' two parents, 'warm' and 'cold'"):
        ln.read(table)


def test_a_classifier_from_before_answers_with_classes(run, tmp_path):
    classifier = ln.load(run)
    content = json.loads(json.dumps(classifier.describe()["policy"]))
    old = {name: value for name, value in content.items() if name not in ("parents", "risk")}
    policy = Policy.from_json(old)
    assert (policy.parents, policy.risk) == ((), None)
    assert Policy.from_json(content) == classifier.policy


def test_calibration_says_what_it_did(run):
    classifier = ln.load(run)
    dataset = ln.Run.open(run).dataset().split("val")
    predictions = classifier.predict(dataset)
    outputs = classifier.score(decode_files(dataset.paths, classifier.recipe).images)
    fitted, told = calibrate_with_findings(classifier, outputs, dataset.targets, Aims(risk=0.2))
    assert fitted.policy.risk == 0.2
    assert [finding.name for finding in told] == ["calibrators", "roll_up"]
    assert softmax(predictions.scores("logits"), axis=1) == pytest.approx(predictions.scores(), abs=1e-5)
    with pytest.raises(UsageError, match="the task is multiclass"):
        calibrate_with_findings(classifier.with_(task="multiclass"), outputs, dataset.targets, Aims(risk=0.2))


def test_mistakes_and_the_risk_go_by_what_was_answered_and_tables_of_classes_say_that_they_do_not():
    probabilities, targets = drawn(400, sharpness=0.5)
    policy = Policy(parents=TREE.parents, thresholds=(0.7,), confidence_threshold=0.7, risk=RISK, n=400)
    told = judge(answered(probabilities, targets), policy)
    found = {finding.name: finding for finding in told.findings}
    assert found["mistakes"].count == round(told.figures["risk"].value * 400)
    assert found["mistakes"].count < round((1 - told.figures["accuracy"].value) * 400)
    for row in found["mistakes"].rows:
        assert row["label"] not in (row["truth"], *TREE.ancestors(row["truth"]))
    assert {row["label"] for row in found["mistakes"].rows} & {"mammal", "animal", "vehicle"}
    assert next(iter(found)) == "promise_risk"
    assert found["promise_risk"].figure == told.figures["risk"]
    assert "at most 10 % was promised" in found["promise_risk"].summary
    for name in ("per_class", "confusion"):
        assert found[name].summary.endswith("Where a group was answered, its most probable class counts here.")
    assert found["reliability"].summary.startswith("The mean probability of the most probable class is")
