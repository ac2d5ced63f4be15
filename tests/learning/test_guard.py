"""Augmentations that change what an image shows are found by evidence, left out or named."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import interpolate

from linnaea.experiments.balancing import augmentation_findings
from linnaea.learning import trials
from linnaea.learning.examples import Examples
from linnaea.learning.least_squares import BIAS_PENALTY, LeastSquares
from linnaea.learning.rungs import Job, Options
from linnaea.learning.rungs.guard import choose_augmentations, trials_of
from linnaea.learning.trials import Confusion, Trial
from linnaea.task import TASKS


def arrows(count, sided, seed):
    """A bright square at the left or the right; the class is the side, or the height when `sided` is false."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 40, (count, 16, 16, 3), dtype=np.uint8)
    left, top = generator.integers(0, 2, count), generator.integers(0, 2, count)
    for image, across, down in zip(images, left, top, strict=True):
        image[8 * down + 2 : 8 * down + 6, 8 * across + 2 : 8 * across + 6] = 230
    return Examples(images, (left if sided else top).astype(np.int64))


def job_on(sided, count=80, **options):
    names = ("left", "right") if sided else ("above", "below")
    return Job(
        arrows(2 * count, sided, 0), arrows(count, sided, 1), 2, TASKS["binary"], Options(**options), names=names
    )


@pytest.fixture(scope="module")
def digits():
    """Scikit-learn's digits, enlarged to 16 pixels, a quarter of them for val."""
    data = load_digits()
    small = torch.from_numpy((data.images * 255 / 16).astype(np.float32)).unsqueeze(1)
    large = interpolate(small, size=16, mode="bilinear").round().to(torch.uint8)[:, 0].numpy()
    rows = np.random.default_rng(0).permutation(len(large))[:1_000]
    examples = Examples(np.repeat(large[rows][..., None], 3, axis=3), data.target[rows].astype(np.int64))
    border = len(rows) * 3 // 4
    train, val = (
        Examples(examples.images[part], examples.targets[part]) for part in (slice(border), slice(border, None))
    )
    return Job(train, val, 10, TASKS["multiclass"], Options(), names=tuple("0123456789"))


def test_mirrored_digits_are_not_digits(digits):
    names, (said, *reasons) = choose_augmentations(digits, ("shift", "flip", "vertical_flip"))
    assert names == ("shift",)
    assert said == "Augmentations: shift."
    assert "mistaken for" in " ".join(reasons)
    two_and_five = {(2, 5), (5, 2)}
    assert two_and_five <= {(item.truth, item.taken_for) for item in digits.trials["vertical_flip"].exchanged}


def test_sides_are_lost_by_one_flip_and_heights_by_the_other():
    both = ("flip", "vertical_flip", "shift")
    assert choose_augmentations(job_on(sided=True), both)[0] == ("vertical_flip", "shift")
    assert choose_augmentations(job_on(sided=False), both)[0] == ("flip", "shift")


def test_the_user_has_the_last_word_and_is_told_which_classes_suffer():
    names, notes = choose_augmentations(job_on(sided=True, augmentations=("flip", "shift")), ("shift",))
    assert names == ("flip", "shift")
    assert notes[0] == "Augmentations as requested: flip, shift."
    assert len(notes) == 2
    assert notes[1].startswith("The evidence is against flip (")
    assert "left is mistaken for right" in notes[1]
    assert "right is mistaken for left" in notes[1]


def test_each_augmentation_is_tried_once_per_run(monkeypatch):
    job, tried = job_on(sided=False), []
    real = trials.augment
    monkeypatch.setattr(trials, "augment", lambda *given: (tried.append(given[2]), real(*given))[1])
    trials_of(job, ("flip", "shift"))
    first = len(tried)
    trials_of(replace(job, deadline=1.0), ("shift", "flip", "shift"))
    assert len(tried) == first
    assert list(job.trials) == ["flip", "shift"]


def test_mixed_labels_are_tried_too():
    (trial,) = trials_of(job_on(sided=False, count=40), ("mixup",))
    assert trial.n == 40
    assert trial.confusions == ()
    assert not trial.against


def test_an_augmentation_that_changes_nothing_costs_nothing():
    (trial,) = trials_of(job_on(sided=True, count=20), ("rotation:0",))
    assert (trial.cost, trial.p_value, trial.confusions) == (0, 1, ())


def test_large_pictures_are_tried_small():
    small = job_on(sided=True, count=20)
    large = replace(
        small,
        train=Examples(small.train.images.repeat(4, axis=1).repeat(4, axis=2), small.train.targets),
        val=Examples(small.val.images.repeat(4, axis=1).repeat(4, axis=2), small.val.targets),
        trials={},
    )
    assert trials_of(large, ("flip",))[0].against


def test_findings_have_the_cost_with_its_interval_and_the_classes():
    confusion = Confusion(truth=0, taken_for=1, count=30, kept=5, n=40)
    back = Confusion(truth=1, taken_for=0, count=20, kept=10, n=40)
    trial = Trial("flip", 100, 90, 12, 2, (confusion, back))
    (finding,) = augmentation_findings([trial], ("6", "9"), asked=("flip",))
    assert finding.severity == "warning"
    assert finding.summary.endswith("It was kept, as requested.")
    assert finding.figure.value == pytest.approx(0.10)
    assert 0 < finding.figure.lo < 0.10 < finding.figure.hi
    assert finding.rows[0] == {"class": "6", "taken_for": "9", "count": 30, "n": 40, "share": 0.75}
    assert "6 is mistaken for 9 in 75%" in finding.summary
    (same,) = augmentation_findings([trial], ("6", "9"))
    assert same.severity == "info"
    assert same.summary.endswith("It was left out.")
    (other,) = augmentation_findings([Trial("shift", 100, 90, 3, 2)], ("6", "9"))
    assert (other.severity, other.figure.value) == ("info", 0.01)


def test_only_both_ways_is_an_exchange():
    """A sink, which all that is unfamiliar is mistaken for, is no reason to leave an augmentation out."""
    sink = (Confusion(0, 2, 38, 1, 40), Confusion(1, 2, 39, 0, 40))
    assert not Trial("flip", 120, 118, 1, 1, sink).against
    assert Trial("flip", 120, 118, 1, 1, (*sink, Confusion(2, 1, 30, 4, 40))).against


def test_least_squares_equals_scikit_learns_ridge():
    generator = np.random.default_rng(0)
    features = (3 * generator.normal(size=(80, 12)) + 5).astype(np.float32)
    targets = generator.integers(0, 3, 80)
    learner = LeastSquares.on(features, 3)
    half = [learner.sums(features[rows], torch.from_numpy(targets[rows])) for rows in (slice(30), slice(30, None))]
    weights = learner.solve(half[0] + half[1])
    reference = Ridge(alpha=learner.penalty).fit(StandardScaler().fit_transform(features), 2 * np.eye(3)[targets] - 1)
    np.testing.assert_allclose(weights[:-1].T, reference.coef_, atol=1e-4)
    np.testing.assert_allclose(weights[-1], reference.intercept_, atol=BIAS_PENALTY)
    assert (
        learner.answers(features, weights) == reference.predict(StandardScaler().fit_transform(features)).argmax(1)
    ).all()
