"""Figures of open-set recognition beside scikit-learn, by hand, and their intervals by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from linnaea.errors import DataError
from linnaea.evidence.openset import openset_figures
from linnaea.evidence.openset.figures import SEPARATIONS, Strangeness

# What auroc, fpr_at_tpr and oscr_score of pytorch-ood 0.4.0 give for these scores. There the unknown are the positives
# of fpr_at_tpr; with the signs and the labels turned round it is the figure of the literature, as here.
PYTORCH_OOD = {"auroc": 0.8285714285714285, "fpr_at_95_tpr": 0.7142857142857143, "oscr": 0.6714285714285714}
KNOWN = np.array([0.1, 0.4, 0.35, 0.8, 0.2, 0.15, 0.6, 0.55, 0.05, 0.3])
UNKNOWN = np.array([0.9, 0.45, 0.7, 0.38, 0.65, 0.95, 0.5])
HITS = np.array([1, 1, 0, 1, 1, 1, 0, 1, 1, 1], dtype=bool)


def values(known, unknown, hits):
    scores = Strangeness.of(np.asarray(known, float), np.asarray(unknown, float), np.asarray(hits, bool))
    weights = np.ones((1, len(known) + len(unknown)))
    return {name: float(function(scores, weights)[0]) for name, function in SEPARATIONS.items()}


levels = st.integers(0, 5).map(lambda number: number / 5)


@settings(deadline=None, max_examples=60)
@given(st.lists(levels, min_size=1, max_size=30), st.lists(levels, min_size=1, max_size=30), st.data())
def test_figures_are_those_of_scikit_learn_and_of_counting(known, unknown, data):
    hits = data.draw(st.lists(st.booleans(), min_size=len(known), max_size=len(known)))
    found = values(known, unknown, hits)
    truth, scores = np.repeat([0, 1], [len(known), len(unknown)]), np.array([*known, *unknown])
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, scores))
    assert found["aupr"] == pytest.approx(average_precision_score(truth, scores))
    pairs = np.array([[hit * ((a < b) + (a == b) / 2) for b in unknown] for a, hit in zip(known, hits, strict=True)])
    assert found["oscr"] == pytest.approx(pairs.mean())
    limit = min(level for level in known if np.mean(np.array(known) <= level) >= 0.95)
    assert found["fpr_at_95_tpr"] == pytest.approx(np.mean(np.array(unknown) <= limit))


def test_figures_are_those_of_pytorch_ood():
    found = values(KNOWN, UNKNOWN, HITS)
    assert found["auroc"] == pytest.approx(PYTORCH_OOD["auroc"])
    assert found["fpr_at_95_tpr"] == pytest.approx(PYTORCH_OOD["fpr_at_95_tpr"])
    assert found["oscr"] == pytest.approx(PYTORCH_OOD["oscr"])


@settings(deadline=None, max_examples=30)
@given(st.lists(levels, min_size=2, max_size=20), st.lists(levels, min_size=2, max_size=20), st.data())
def test_weights_count_as_repetitions(known, unknown, data):
    size = len(known) + len(unknown)
    counts = data.draw(st.lists(st.integers(1, 3), min_size=size, max_size=size))
    scores = Strangeness.of(np.array(known), np.array(unknown), np.ones(len(known), dtype=bool))
    repeated = np.repeat(known, counts[: len(known)]), np.repeat(unknown, counts[len(known) :])
    expected = values(*repeated, np.ones(len(repeated[0])))
    for name, function in SEPARATIONS.items():
        assert function(scores, np.array([counts], dtype=np.float64))[0] == pytest.approx(expected[name])


def test_every_figure_has_an_interval_around_it_and_says_how():
    random = np.random.default_rng(0)
    found = openset_figures(random.normal(size=200), random.normal(1, 1, 80), random.random(200) < 0.8, threshold=1.0)
    assert list(found) == ["auroc", "aupr", "fpr_at_95_tpr", "oscr", "unknown_rejected", "known_rejected"]
    for figure in found.values():
        assert 0 <= figure.lo <= figure.value <= figure.hi <= 1
    assert found["auroc"].method == "jackknife, 200 parts"
    assert found["fpr_at_95_tpr"].method == "bootstrap, 200 replicates"
    assert (found["known_rejected"].n, found["known_rejected"].method) == (200, "Wilson")
    assert found["oscr"].value < found["auroc"].value


def test_perfect_figures_are_not_certain():
    found = openset_figures(np.zeros(20), np.ones(10), np.ones(20, dtype=bool))
    assert found["auroc"].value == 1
    assert found["auroc"].lo < 0.9


def test_groups_of_pictures_widen_the_interval():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 20)
    known = random.normal(size=10)[groups] + 0.1 * random.normal(size=200)
    unknown, hits = random.normal(1, 1, 100), np.ones(200, dtype=bool)
    alone = openset_figures(known, unknown, hits)["auroc"]
    together = openset_figures(known, unknown, hits, groups=groups.tolist())["auroc"]
    assert together.hi - together.lo > 1.5 * (alone.hi - alone.lo)
    assert "groups" in together.method


def test_intervals_cover_the_truth():
    """AUROC of two normal distributions one apart is known; 95 % of the intervals should hold it."""
    random, truth, held = np.random.default_rng(1), 0.7602499, 0
    for _ in range(200):
        found = openset_figures(
            random.normal(size=80), random.normal(1, 1, 50), np.ones(80, dtype=bool), replicates=200
        )["auroc"]
        held += found.lo <= truth <= found.hi
    assert 0.90 <= held / 200 <= 0.99


def test_what_cannot_be_judged_is_refused_in_words():
    with pytest.raises(DataError, match="10 known and 0 unknown scores"):
        openset_figures(KNOWN, np.zeros(0), HITS)
    with pytest.raises(DataError, match="1 of them not finite"):
        openset_figures(KNOWN, np.array([0.1, np.nan]), HITS)
