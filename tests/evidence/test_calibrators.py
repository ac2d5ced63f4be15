"""Every calibrator: what was planted is found, few images are not overfitted, and bundle and export say the same."""

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.special import expit, log_softmax, logit, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from linnaea.classifier import Classifier, load
from linnaea.classifier.calibrators import CALIBRATORS, calibrators_for
from linnaea.classifier.calibrators.by_class import log_odds
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.errors import BundleError, DataError, UsageError
from linnaea.evidence.calibration import Aims, calibrate_with_findings
from linnaea.evidence.calibrator_choice import choose_calibrator, losses_of
from linnaea.models import build
from linnaea.task import TASKS

CLASSES = 4
SCALE = np.array([3.0, 1.0, 0.5, 2.0])
SHIFT = np.array([1.0, 0.0, -1.0, 1.0])
KINDS = [(name, False) for name in calibrators_for(several=False)]
KINDS += [(name, True) for name in calibrators_for(several=True)]


def simulated(count, seed=0, spread=2.0):
    """Logits whose softmax is the true distribution of the targets."""
    random = np.random.default_rng(seed)
    logits = spread * random.normal(size=(count, CLASSES))
    drawn = random.random((count, 1))
    return logits, (softmax(logits, axis=1).cumsum(axis=1) < drawn).sum(axis=1).clip(max=CLASSES - 1)


def of_labels(count, seed=0):
    """Logits whose sigmoid is the chance of each label, some of which nobody knows."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(count, CLASSES)) - 1
    there = (random.random(logits.shape) < expit(logits)).astype(np.float64)
    return logits, np.where(random.random(logits.shape) < 0.1, np.nan, there)


def fitted(name, several, count=600):
    raw, targets = of_labels(count) if several else simulated(count)
    return CALIBRATORS[name].fit(raw * SCALE + SHIFT, targets)


def mean_loss(calibrator, raw, targets):
    return losses_of(calibrator, raw, targets).mean()


@pytest.mark.parametrize(("name", "several"), KINDS)
def test_each_gives_logits_of_probabilities_and_undoes_a_part_of_what_is_wrong(name, several):
    calibrator = fitted(name, several)
    raw, targets = of_labels(4000, 1) if several else simulated(4000, 1)
    raw = raw * SCALE + SHIFT
    with torch.inference_mode():
        logits = calibrator(torch.from_numpy(raw.astype(np.float32))).numpy()
    assert logits.shape == raw.shape
    assert np.isfinite(logits).all()
    probabilities = TASKS["multilabel" if several else "multiclass"].probabilities(logits)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    before = mean_loss(CALIBRATORS["none"](), raw, targets)
    assert name == "none" or mean_loss(calibrator, raw, targets) < before


@pytest.mark.parametrize("name", [name for name in calibrators_for(several=False) if name != "none"])
def test_each_leaves_what_is_right_as_it_is(name):
    raw, targets = simulated(3000)
    new, truth = simulated(6000, 1)
    ideal = mean_loss(CALIBRATORS["none"](), new, truth)
    assert mean_loss(CALIBRATORS[name].fit(raw, targets), new, truth) < ideal + 0.025


def test_vector_and_per_label_undo_a_factor_and_a_shift_of_each():
    for name, make in (("vector", simulated), ("per_label", of_labels)):
        raw, targets = make(8000)
        calibrator = CALIBRATORS[name].fit(raw * SCALE + SHIFT, targets)
        factor, shift = calibrator.factor.numpy() * SCALE, calibrator.shift.numpy() + calibrator.factor.numpy() * SHIFT
        assert np.abs(factor - 1).max() < 0.15
        assert np.abs(shift - (shift.mean() if name == "vector" else 0)).max() < 0.2  # softmax knows no common shift


def test_per_label_is_platt_as_scikit_learn_fits_it():
    raw, targets = of_labels(4000)
    targets = np.nan_to_num(targets)
    calibrator = CALIBRATORS["per_label"].fit(raw * SCALE, targets)
    for k in range(CLASSES):
        theirs = LogisticRegression(C=1e6).fit((raw * SCALE)[:, k : k + 1], targets[:, k])
        assert calibrator.factor[k].item() == pytest.approx(theirs.coef_[0, 0], rel=0.03)
        assert calibrator.shift[k].item() == pytest.approx(theirs.intercept_[0], abs=0.03)


def test_isotonic_has_the_levels_of_scikit_learn():
    raw, targets = of_labels(3000)
    raw, targets = raw[:, :1] * 2, np.nan_to_num(targets[:, :1])
    calibrator = CALIBRATORS["isotonic"].fit(raw, targets)
    ours = expit(calibrator(torch.from_numpy(raw)).numpy()[:, 0])
    theirs = IsotonicRegression(out_of_bounds="clip").fit(raw[:, 0], targets[:, 0]).predict(raw[:, 0])
    assert np.abs(ours - theirs).mean() < 0.015
    assert (np.diff(ours[np.argsort(raw[:, 0])]) >= -1e-9).all()


def test_histogram_gives_the_share_seen_in_each_bin():
    random = np.random.default_rng(0)
    stated = np.repeat([0.1, 0.5, 0.9], 2000)
    truth = (random.random(6000) < np.repeat([0.3, 0.4, 0.6], 2000)).astype(np.float64)
    raw = (logit(stated) + random.normal(0, 0.01, 6000))[:, None]
    said = expit(CALIBRATORS["histogram"].fit(raw, truth[:, None])(torch.from_numpy(raw)).numpy()[:, 0])
    for value, share in ((0.1, 0.3), (0.5, 0.4), (0.9, 0.6)):
        assert said[stated == value].mean() == pytest.approx(share, abs=0.03)


def test_beta_undoes_a_beta_curve():
    random = np.random.default_rng(0)
    p = random.uniform(0.01, 0.99, 20_000)
    curved = 0.5 * np.log(p) - 2.0 * np.log1p(-p) - 0.7
    truth = (random.random(20_000) < expit(curved)).astype(np.float64)
    calibrator = CALIBRATORS["beta"].fit(logit(p)[:, None], truth[:, None])
    found = expit(calibrator(torch.from_numpy(logit(p)[:, None])).numpy()[:, 0])
    assert np.abs(found - expit(curved)).mean() < 0.01


def test_dirichlet_undoes_a_matrix_that_no_vector_can():
    mixing = np.eye(CLASSES)
    mixing[0, 1], mixing[2, 3] = 0.9, -0.6
    raw, targets = simulated(4000)
    new, truth = simulated(8000, 1)
    raw, new = (log_softmax(part, axis=1) @ mixing.T for part in (raw, new))
    losses = {name: mean_loss(CALIBRATORS[name].fit(raw, targets), new, truth) for name in ("vector", "dirichlet")}
    ideal = mean_loss(CALIBRATORS["none"](), simulated(8000, 1)[0], truth)
    assert losses["dirichlet"] < ideal + 0.02 < losses["vector"]


def test_log_odds_are_those_of_a_class_against_all_others():
    logits = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_allclose(log_odds(logits), logit(softmax(logits, axis=1)), atol=1e-9)


def test_temperature_is_chosen_where_a_temperature_is_wrong():
    raw, targets = simulated(600)
    calibrator, found = choose_calibrator(3 * raw, targets)
    assert calibrator.kind == "temperature"
    assert calibrator.temperature == pytest.approx(3, rel=0.2)
    assert "One temperature is used" in found.summary
    assert {row["calibrator"] for row in found.rows} == set(calibrators_for(several=False))


def test_more_is_chosen_where_classes_are_wrong_by_themselves_and_val_is_large():
    raw, targets = simulated(1500)
    calibrator, found = choose_calibrator(raw * SCALE + SHIFT, targets)
    assert calibrator.kind in ("vector", "dirichlet")
    assert f"The calibrator {calibrator.kind} was chosen" in found.summary
    rows = {row["calibrator"]: row for row in found.rows}
    assert rows[calibrator.kind]["difference"] < -rows[calibrator.kind]["standard_error"]
    labels, there = of_labels(800)
    assert choose_calibrator(labels * SCALE + SHIFT, there)[0].kind == "per_label"


def test_where_nothing_is_wrong_temperature_stays(monkeypatch):
    monkeypatch.setattr("linnaea.evidence.calibrator_choice.MOST_NUMBERS", 1500)  # leaves the slow one out
    kinds = [choose_calibrator(*simulated(300, seed))[0].kind for seed in range(20)]
    assert kinds.count("temperature") >= 17


def test_units_stay_together_in_folds_and_are_what_is_counted():
    raw, targets = simulated(120)
    units = np.repeat(np.arange(120), 3)
    _, found = choose_calibrator(np.repeat(raw, 3, axis=0), np.repeat(targets, 3), units=units)
    assert found.rows == []
    assert "there are 120 images to compare by, and 200 are needed" in found.summary


@pytest.mark.parametrize(
    ("raw", "targets", "said"),
    [
        (np.zeros((1, 3)), np.zeros(1, dtype=int), "there are 1 images to compare by"),
        (simulated(300)[0], np.zeros(300, dtype=int), "all images are of one class"),
    ],
)
def test_too_little_leaves_one_temperature_and_says_why(raw, targets, said):
    calibrator, found = choose_calibrator(raw, targets)
    assert calibrator.kind == "temperature"
    assert said in found.summary


@pytest.mark.parametrize(("name", "several"), KINDS)
def test_each_takes_one_image_one_class_and_an_absent_class_and_refuses_what_is_no_number(name, several):
    make = CALIBRATORS[name].fit
    cases = [(np.zeros((1, 3)), np.zeros(1, dtype=int)), (simulated(40)[0], np.zeros(40, dtype=int))]
    raw, targets = simulated(80)
    cases.append((raw, np.where(targets == 3, 0, targets)))
    for raw, targets in cases:
        given = np.eye(raw.shape[1])[targets] if several else targets
        with torch.inference_mode():
            said = make(raw, given)(torch.from_numpy(raw)).numpy()
        assert np.isfinite(said).all()
    raw[3, 1] = np.nan
    with pytest.raises(DataError, match="the scores of 1 of 80 images are not numbers"):
        make(raw, np.eye(CLASSES)[targets] if several else targets)


def test_a_calibrator_of_another_task_or_none_at_all_is_refused():
    with pytest.raises(
        UsageError, match="per_label is not for one label per image: expected auto or one of none, temp"
    ):
        choose_calibrator(*simulated(10), by="per_label")
    with pytest.raises(UsageError, match="Did you mean 'temperature'"):
        choose_calibrator(*simulated(10), by="temperatur")


def test_one_that_was_asked_for_and_is_worse_is_warned_of():
    raw, targets = simulated(400)
    calibrator, found = choose_calibrator(raw, targets, by="histogram")
    assert calibrator.kind == "histogram"
    assert found.severity == "warning"
    assert "higher than that of one temperature by" in found.summary


@pytest.mark.parametrize(("name", "several"), KINDS)
def test_a_bundle_answers_the_same_and_a_changed_one_is_refused(name, several, tmp_path):
    task = "multilabel" if several else "multiclass"
    torch.manual_seed(0)
    model = build("hog", {"classes": CLASSES, "size": 16}).eval()
    classifier = Classifier(TorchScorer(model), tuple("abcd"), task, Recipe(16))
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    targets = np.arange(40) % CLASSES
    given = np.eye(CLASSES)[targets] if several else targets
    ready, found = calibrate_with_findings(classifier, classifier.score(images), given, Aims(calibrator=name))
    assert found[0].name == "calibrators"
    loaded = load(ready.save(tmp_path / "bundle"))
    np.testing.assert_allclose(loaded.score(images).probabilities, ready.score(images).probabilities, rtol=1e-6)
    assert loaded.calibrator.describe() == ready.calibrator.describe()
    if "several" in ready.calibrator.arguments:
        swapped = CALIBRATORS[name](CLASSES, ready.calibrator.temperature, not several)
        with pytest.raises(BundleError, match="several is"):
            load(ready.with_(calibrator=swapped).save(tmp_path / "swapped"))


class Together(torch.nn.Module):
    """All calibrators at once, so that they are converted once."""

    def __init__(self, members):
        super().__init__()
        self.members = torch.nn.ModuleList(members)

    def forward(self, raw):
        return tuple(member(raw) for member in self.members)


@pytest.mark.filterwarnings("ignore")
def test_each_exports_with_the_same_answers(tmp_path):
    together = Together([fitted(name, several) for name, several in KINDS]).eval()
    raw = (of_labels(500, 3)[0] * SCALE + SHIFT).astype(np.float32)
    raw[:3] *= 30  # scores of a model that is very sure
    file = tmp_path / "calibrators.onnx"
    shapes = ({0: torch.export.Dim("images", min=1)},)
    torch.onnx.export(together, (torch.zeros(2, CLASSES),), file, dynamo=True, dynamic_shapes=shapes, verbose=False)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    theirs = session.run(None, {session.get_inputs()[0].name: raw})
    with torch.inference_mode():
        ours = together(torch.from_numpy(raw))
    for (_, several), one, other in zip(KINDS, ours, theirs, strict=True):
        task = TASKS["multilabel" if several else "multiclass"]
        assert np.abs(task.probabilities(one.numpy()) - task.probabilities(other)).max() < 1e-3
