"""Metrics of several labels: each against scikit-learn, label by label where something is unknown."""

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from linnaea.errors import DataError
from linnaea.evidence.metrics import LABEL_METRICS, LabelScores
from linnaea.evidence.uncertainty import of_metric
from linnaea.predictions import Predictions
from linnaea.statistics.intervals import estimate
from linnaea.statistics.spread import Sample

NAMES = list(LABEL_METRICS)


def drawn(n, labels=4, *, skill=1.5, seed=0, unknown=0.0, unreadable=(), rate=0.3, digits=None):
    """Scores of `n` images, each label there at the `rate`, a share of them `unknown`."""
    random = np.random.default_rng(seed)
    there = (random.random((n, labels)) < rate).astype(float)
    probabilities = expit(random.normal(size=(n, labels)) + skill * there + logit(rate) - skill * rate)
    probabilities = probabilities if digits is None else np.round(probabilities, digits)
    targets = np.where(random.random((n, labels)) < unknown, np.nan, there)
    return scores_from(targets, probabilities, unreadable)


def scores_from(targets, probabilities, unreadable=()):
    readable = ~np.isin(np.arange(len(targets)), list(unreadable))
    chosen = np.where(targets == 1, probabilities, 1 - probabilities)
    chosen[np.isnan(targets)] = np.nan
    shown = np.where(readable[:, None], probabilities, np.nan)
    answers = np.where(readable[:, None], probabilities >= 0.5, 0).astype(float)
    likelihood = np.log(np.maximum(np.where(readable[:, None], chosen, np.nan), 1e-38))
    return LabelScores(np.asarray(targets, dtype=float), answers, shown, likelihood, readable)


def value(name, scores, weights=None):
    return LABEL_METRICS[name](scores, np.ones((1, len(scores))) if weights is None else weights[None])[0]


def counted(n, seed=1, most=4):
    """A number of times for each image."""
    return np.random.default_rng(seed).integers(0, most, n).astype(float)


def by_label(function, scores, weights, values, **more):
    """Somebody else's figure of each label, on the readable images of which it is known."""
    found = []
    for number in range(scores.classes):
        rows = scores.known[:, number] & scores.readable & (weights > 0)
        truth = scores.targets[rows, number]
        if len(np.unique(truth)) == 2:
            found.append(function(truth, values[rows, number], sample_weight=weights[rows], **more))
    return found


HARD = {"unknown": 0.3, "unreadable": (3, 17)}


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=25)
@given(counts=st.lists(st.integers(0, 4), min_size=40, max_size=40))
def test_a_weight_is_the_same_as_that_many_images(name, counts):
    weights = np.array(counts, dtype=float)
    for scores in (drawn(40, **HARD), drawn(40, digits=1, **HARD)):
        repeated = scores.take(np.repeat(np.arange(40), counts))
        if not len(repeated):
            assert np.isnan(value(name, scores, weights))
            continue
        np.testing.assert_allclose(value(name, scores, weights), value(name, repeated), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**16))
def test_the_order_of_images_and_of_labels_does_not_matter(name, seed):
    scores, random = drawn(40, **HARD), np.random.default_rng(seed)
    order, labels = random.permutation(40), random.permutation(4)
    turned = scores_from(scores.targets[:, labels], drawn(40).probabilities[:, labels], HARD["unreadable"])
    np.testing.assert_allclose(value(name, scores.take(order)), value(name, scores), rtol=1e-12)
    np.testing.assert_allclose(value(name, turned), value(name, scores), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**16))
def test_what_is_unknown_changes_nothing_whatever_was_answered(name, seed):
    scores, random = drawn(30, unknown=0.4), np.random.default_rng(seed)
    other = np.where(scores.known, scores.probabilities, random.random((30, 4)))
    np.testing.assert_allclose(value(name, scores_from(scores.targets, other)), value(name, scores), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("skill", [-3.0, 0.0, 1.0, 20.0])
def test_values_stay_in_their_range_and_come_one_per_weighting(name, skill):
    scores = drawn(60, skill=skill, unknown=0.2)
    weights = np.random.default_rng(0).multinomial(60, np.full(60, 1 / 60), size=37).astype(float)
    values = LABEL_METRICS[name](scores, weights)
    assert values.shape == (37,)
    assert (values >= 0).all()
    assert name == "nll" or (values <= 1).all()
    np.testing.assert_allclose(values[33], value(name, scores, weights[33]))


@pytest.mark.parametrize("name", NAMES)
def test_better_scores_are_better_in_the_direction_that_the_metric_says(name):
    poor, good = (value(name, drawn(300, skill=skill)) for skill in (0.5, 12.0))
    assert (good > poor) == LABEL_METRICS[name].higher_is_better


@pytest.mark.parametrize("name", NAMES)
def test_without_images_or_knowledge_nothing_is_defined(name):
    assert np.isnan(value(name, drawn(5).take(np.zeros(0, dtype=int))))
    assert np.isnan(value(name, drawn(5, unknown=1.0)))
    found = estimate({name: of_metric(LABEL_METRICS[name], drawn(5, unknown=1.0), Sample(5))}, Sample(5))[name]
    assert (found.value, found.method) == (None, "not defined: no images with a known label")


@pytest.mark.parametrize("name", NAMES)
def test_parts_have_the_metric_as_their_mean_and_images_behind_them(name):
    metric, scores = LABEL_METRICS[name], drawn(40, **HARD)
    if metric.parts:
        values, images = metric.parts(scores)
        assert values.shape == images.shape
        assert (images[~np.isnan(values)] > 0).all()
        assert np.nanmean(values) == pytest.approx(value(name, scores))
    if metric.flags:
        assert metric.flags(scores)[scores.counted].mean() == pytest.approx(value(name, scores))


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("how", [{}, {"unknown": 0.3}, HARD])
def test_map_is_the_mean_of_scikit_learns_average_precisions(digits, how):
    scores, weights = drawn(150, 5, skill=0.7, digits=digits, **how), counted(150)
    expected = by_label(reference.average_precision_score, scores, weights, scores.probabilities)
    assert len(expected) == 5
    assert value("map", scores, weights) == pytest.approx(np.mean(expected))
    if not how:
        whole = reference.average_precision_score(scores.targets, scores.probabilities, average="macro")
        assert value("map", scores) == pytest.approx(whole)


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("how", [{}, {"unknown": 0.3}, HARD])
def test_roc_auc_is_the_mean_of_scikit_learns_areas(digits, how):
    scores, weights = drawn(150, 5, skill=0.7, digits=digits, **how), counted(150)
    expected = by_label(reference.roc_auc_score, scores, weights, scores.probabilities)
    assert value("roc_auc_macro", scores, weights) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("name", ["map", "roc_auc_macro"])
def test_a_label_that_no_image_shows_or_every_one_is_left_out_in_resamples_too(name):
    scores = drawn(60, 3)
    scores.targets[:, 0], scores.targets[:, 1] = 0, 1
    scores.targets[5:, 2], scores.targets[:5, 2] = 0, 1
    one = {"map": reference.average_precision_score, "roc_auc_macro": reference.roc_auc_score}[name]
    expected = one(scores.targets[:, 2], scores.probabilities[:, 2])
    assert value(name, scores) == pytest.approx(expected)
    assert np.isnan(value(name, scores, (np.arange(60) >= 5).astype(float)))
    assert np.isnan(value(name, scores, (np.arange(60) < 5).astype(float)))
    found = estimate({name: of_metric(LABEL_METRICS[name], scores.take(np.arange(5, 60)), Sample(55))}, Sample(55))
    assert found[name].method == "not defined: no label is known to be present in some images and absent in others"


@pytest.mark.parametrize("labels", [2, 6])
def test_decisions_agree_with_scikit_learn(labels):
    scores, weights = drawn(200, labels), counted(200)
    truth, answers = scores.targets, scores.answers
    more = {"sample_weight": weights}
    for average, empty in (("micro", np.nan), ("macro", np.nan), ("samples", 1.0)):
        expected = reference.f1_score(truth, answers, average=average, zero_division=empty, **more)
        assert value(f"f1_{average}", scores, weights) == pytest.approx(expected)
    assert value("hamming_loss", scores, weights) == pytest.approx(reference.hamming_loss(truth, answers, **more))
    assert value("subset_accuracy", scores, weights) == pytest.approx(reference.accuracy_score(truth, answers, **more))


def test_decisions_with_unknown_labels_agree_with_scikit_learn_on_the_known_ones():
    scores, weights = drawn(200, 5, unknown=0.3), counted(200)
    known, each = scores.known, np.repeat(weights, 5).reshape(200, 5)
    truth, answers = scores.targets[known].astype(int), scores.answers[known].astype(int)
    expected = reference.f1_score(truth, answers, sample_weight=each[known])
    assert value("f1_micro", scores, weights) == pytest.approx(expected)
    assert value("hamming_loss", scores, weights) == pytest.approx(
        reference.zero_one_loss(truth, answers, sample_weight=each[known])
    )
    macro = [
        reference.f1_score(*(v[known[:, k], k] for v in (scores.targets, scores.answers)), sample_weight=w)
        for k in range(5)
        for w in [weights[known[:, k]]]
    ]
    assert value("f1_macro", scores, weights) == pytest.approx(np.mean(macro))


def test_an_image_is_judged_by_its_known_labels_alone():
    targets = np.array([[1, np.nan, 0], [0, 1, np.nan], [np.nan, np.nan, np.nan], [0, 0, 0]])
    scores = scores_from(targets, np.array([[0.9, 0.9, 0.1], [0.9, 0.9, 0.9], [0.9, 0.1, 0.9], [0.1, 0.1, 0.1]]))
    assert value("subset_accuracy", scores) == pytest.approx(2 / 3)
    assert value("f1_samples", scores) == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert value("hamming_loss", scores) == pytest.approx(1 / 7)
    assert value("f1_micro", scores) == pytest.approx(4 / 5)
    assert value("f1_macro", scores) == pytest.approx((2 / 3 + 1) / 2)  # nobody shows or got the third label


def test_f1_leaves_out_a_label_that_is_neither_true_nor_answered():
    scores = scores_from(np.array([[1.0, 0], [0, 0]]), np.array([[0.9, 0.1], [0.9, 0.2]]))
    assert value("f1_macro", scores) == pytest.approx(2 / 3)


def test_an_unreadable_image_is_answered_with_no_label_and_has_no_part_in_probabilities():
    whole, cut = drawn(50), drawn(50, unreadable=range(10))
    rest, silent = whole.take(np.arange(10, 50)), whole.answers.copy()
    silent[:10] = 0
    assert value("f1_micro", cut) == pytest.approx(reference.f1_score(whole.targets, silent, average="micro"))
    assert value("hamming_loss", cut) == pytest.approx(reference.hamming_loss(whole.targets, silent))
    assert (whole.targets[:10].sum(axis=1) == 0).any()
    assert value("subset_accuracy", cut) == pytest.approx(value("subset_accuracy", rest) * 40 / 50)
    assert value("f1_samples", cut) == pytest.approx(value("f1_samples", rest) * 40 / 50)
    for name in ("map", "roc_auc_macro", "nll", "brier", "ece"):
        assert value(name, cut) == pytest.approx(value(name, rest))


@pytest.mark.parametrize("how", [{}, {"unknown": 0.3}, HARD])
def test_probabilities_agree_with_scikit_learn(how):
    scores, weights = drawn(150, 5, **how), counted(150)
    used = scores.known & scores.readable[:, None]
    each = np.repeat(weights, 5).reshape(150, 5)[used]
    truth, probabilities = scores.targets[used], scores.probabilities[used]
    loss = reference.log_loss(truth, probabilities, sample_weight=each)
    assert value("nll", scores, weights) == pytest.approx(loss)
    brier = reference.brier_score_loss(truth, probabilities, sample_weight=each)
    assert value("brier", scores, weights) == pytest.approx(brier)


def test_ece_agrees_with_torchmetrics_over_all_decisions():
    import torch
    from torchmetrics.functional.classification import binary_calibration_error

    scores = drawn(300, 4, unknown=0.2)
    known = scores.known
    expected = binary_calibration_error(
        torch.tensor(scores.probabilities[known]), torch.tensor(scores.targets[known]).int(), n_bins=15, norm="l1"
    )
    assert value("ece", scores) == pytest.approx(float(expected), abs=1e-6)


def predictions_of(logits, probabilities=None, truth=(["a"], []), **more):
    columns = {
        "id": [f"image {row}" for row in range(len(logits))],
        "truth": list(truth),
        "logits": np.array(logits),
        "probabilities": expit(np.array(logits)) if probabilities is None else np.array(probabilities),
        "label": [[]] * len(logits),
        "confidence": [0.5] * len(logits),
        "reason": ["ok"] * len(logits),
    }
    return Predictions.from_columns(columns | more, ("a", "b"), "multilabel")


def test_nll_is_exact_where_a_probability_is_too_small_for_a_float():
    scores = LabelScores.of(predictions_of([[-400.0, 0.5], [0.0, 0.0]]))
    assert value("nll", scores) == pytest.approx((400 + np.log1p(np.exp(0.5)) + 2 * np.log(2)) / 4, rel=1e-6)


def test_nll_follows_the_probabilities_where_they_are_not_the_sigmoid_of_the_logits():
    scores = LabelScores.of(predictions_of([[2.0, 0.0], [0.0, 4.0]], [[0.6, 0.4], [0.2, 0.8]]))
    assert value("nll", scores) == pytest.approx(-np.log([0.6, 0.6, 0.8, 0.2]).mean(), rel=1e-6)


def test_scores_are_read_from_predictions_with_what_is_unknown():
    labels = {"label": [["b", "a"], None], "unknown": [["b"], []], "reason": ["ok", "unreadable"]}
    scores = LabelScores.of(predictions_of([[2.0, 0.0], [np.nan, np.nan]], **labels))
    np.testing.assert_array_equal(scores.targets, [[1, np.nan], [0, 0]])
    np.testing.assert_array_equal(scores.answers, [[1, 1], [0, 0]])
    assert scores.readable.tolist() == [True, False]
    assert scores.hits.tolist() == [True, False]


def test_a_readable_image_without_probabilities_is_refused():
    with pytest.raises(DataError, match=r"1 readable images have no finite probabilities.*'image 1'"):
        LabelScores.of(predictions_of([[1.0, 2.0], [np.nan, 1.0]]))


SIMULATED = ("map", "roc_auc_macro", "f1_macro", "f1_micro", "f1_samples", "hamming_loss", "nll", "brier")


def test_intervals_cover_the_truth_as_often_as_they_say():
    shares = coverage(SIMULATED, n=300, rate=0.2)
    assert all(0.9 <= share <= 0.985 for share in shares.values()), shares


def test_the_average_precision_of_rare_labels_is_too_high_and_the_interval_knows():
    truth, found = value("map", drawn(100_000, seed=99, rate=0.05)), [drawn(250, seed=s, rate=0.05) for s in range(150)]
    high = np.mean([value("map", scores) for scores in found]) - truth
    assert high > 0.02
    assert coverage(["map"], n=250, rate=0.05)["map"] >= 0.91


def coverage(names, n, rate, samples=150):
    """The share of samples whose interval holds the truth, by metric."""
    truth = {name: value(name, drawn(100_000, seed=99, rate=rate)) for name in names}
    covered = dict.fromkeys(names, 0)
    for seed in range(samples):
        scores, sample = drawn(n, seed=seed, rate=rate), Sample(n)
        statistics = {name: of_metric(LABEL_METRICS[name], scores, sample) for name in names}
        for name, found in estimate(statistics, sample, seed=seed, replicates=80).items():
            covered[name] += found.lo <= truth[name] <= found.hi
    return {name: count / samples for name, count in covered.items()}
