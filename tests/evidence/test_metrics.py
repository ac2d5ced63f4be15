"""The contract every metric keeps, and each against an independent implementation."""

import numpy as np
import pytest
import sklearn.metrics as reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from linnaea.errors import DataError
from linnaea.evidence.metrics import METRICS, Scores
from linnaea.evidence.metrics.scores import totals

BOUNDS = {"nll": np.inf, "brier": 2.0}


def value(name, scores, weights=None):
    return METRICS[name](scores, np.ones((1, len(scores))) if weights is None else weights[None])[0]


def coarse(scores):
    """The same scores with many equal probabilities and confidences."""
    probabilities = np.round(scores.probabilities, 1)
    confidence = np.round(scores.confidence, 1)
    return Scores.of_arrays(scores.targets, scores.answers, probabilities, confidence, scores.readable)


def scores_for(name, ones, n, **more):
    """Scores that the metric applies to: of twelve classes, or of two."""
    scores = Scores.of(ones(n, 12, **more))
    return scores if METRICS[name].needs(scores) else Scores.of(ones(n, 2, **more))


@pytest.fixture(scope="module")
def forty(random_ones):
    return {name: scores_for(name, random_ones, 40, unreadable=(3, 17)) for name in METRICS}


@pytest.mark.parametrize("name", list(METRICS))
@settings(deadline=None, max_examples=25)
@given(counts=st.lists(st.integers(0, 4), min_size=40, max_size=40))
def test_a_weight_is_the_same_as_that_many_images(name, forty, counts):
    weights = np.array(counts, dtype=float)
    for scores in (forty[name], coarse(forty[name])):
        repeated = scores.take(np.repeat(np.arange(40), counts))
        if not len(repeated):
            assert np.isnan(value(name, scores, weights))
            continue
        np.testing.assert_allclose(value(name, scores, weights), value(name, repeated), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", list(METRICS))
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**16))
def test_the_order_of_images_does_not_matter(name, forty, seed):
    scores, order = forty[name], np.random.default_rng(seed).permutation(40)
    np.testing.assert_allclose(value(name, scores.take(order)), value(name, scores), rtol=1e-12)


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("skill", [-3.0, 0.0, 1.0, 20.0])
def test_values_stay_in_their_range_and_come_one_per_weighting(name, skill, random_ones):
    scores = scores_for(name, random_ones, 60, skill=skill)
    weights = np.random.default_rng(0).multinomial(60, np.full(60, 1 / 60), size=7).astype(float)
    values = METRICS[name](scores, weights)
    assert values.shape == (7,)
    assert (values >= 0).all()
    assert (values <= BOUNDS.get(name, 1.0)).all()
    np.testing.assert_allclose(values[3], value(name, scores, weights[3]))


@pytest.mark.parametrize("name", list(METRICS))
def test_better_scores_are_better_in_the_direction_that_the_metric_says(name, random_ones):
    poor, good = (value(name, scores_for(name, random_ones, 300, skill=skill)) for skill in (0.5, 12.0))
    assert (good > poor) == METRICS[name].higher_is_better


@pytest.mark.parametrize("name", list(METRICS))
def test_without_images_nothing_is_defined(name, forty):
    assert np.isnan(value(name, forty[name].take(np.zeros(0, dtype=int))))


@pytest.mark.parametrize("name", list(METRICS))
def test_parts_have_the_metric_as_their_mean_and_images_behind_them(name, forty):
    metric, scores = METRICS[name], forty[name]
    if metric.parts:
        values, images = metric.parts(scores)
        assert values.shape == images.shape
        assert (images[~np.isnan(values)] > 0).all()
        assert np.nanmean(values) == pytest.approx(value(name, scores))
    if metric.flags:
        assert metric.flags(scores).mean() == pytest.approx(value(name, scores))
    if metric.share:
        flags, counted = metric.share(scores)
        assert flags[counted].mean() == pytest.approx(value(name, scores))


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_decisions_agree_with_scikit_learn(classes, random_ones):
    scores = Scores.of(random_ones(200, classes))
    weights = np.random.default_rng(1).integers(0, 4, 200).astype(float)
    truth, answers, kept = scores.targets, scores.answers, weights > 0
    assert value("accuracy", scores, weights) == pytest.approx(
        reference.accuracy_score(truth, answers, sample_weight=weights)
    )
    assert value("balanced_accuracy", scores, weights) == pytest.approx(
        reference.balanced_accuracy_score(truth, answers, sample_weight=weights)
    )
    assert value("f1_macro", scores, weights) == pytest.approx(
        reference.f1_score(truth[kept], answers[kept], sample_weight=weights[kept], average="macro", zero_division=0)
    )


def test_top5_agrees_with_scikit_learn_and_applies_above_ten_classes(random_ones):
    scores = Scores.of(random_ones(200, 12))
    weights = np.random.default_rng(1).integers(0, 4, 200).astype(float)
    expected = reference.top_k_accuracy_score(
        scores.targets, scores.probabilities, k=5, sample_weight=weights, labels=np.arange(12)
    )
    assert value("top5_accuracy", scores, weights) == pytest.approx(expected)
    assert METRICS["top5_accuracy"].needs(scores)
    assert not METRICS["top5_accuracy"].needs(Scores.of(random_ones(20, 10)))


def test_of_equally_probable_classes_five_are_among_the_first_five(from_logits):
    scores = Scores.of(from_logits(np.zeros((12, 12)), np.arange(12)))
    assert value("top5_accuracy", scores) == pytest.approx(5 / 12)


@pytest.mark.parametrize("classes", [2, 5])
def test_probabilities_agree_with_scikit_learn(classes, random_ones):
    scores = Scores.of(random_ones(150, classes))
    weights = np.random.default_rng(2).integers(0, 4, 150).astype(float)
    probabilities = scores.probabilities / scores.probabilities.sum(axis=1, keepdims=True)
    labels = np.arange(classes)
    loss = reference.log_loss(scores.targets, probabilities, sample_weight=weights, labels=labels)
    assert value("nll", scores, weights) == pytest.approx(loss, rel=1e-5)
    brier = reference.brier_score_loss(
        scores.targets, probabilities, sample_weight=weights, labels=labels, scale_by_half=False
    )
    assert value("brier", scores, weights) == pytest.approx(brier, rel=1e-5)


def test_ece_agrees_with_torchmetrics(random_ones):
    from torchmetrics.functional.classification import multiclass_calibration_error

    scores = Scores.of(random_ones(300, 4))
    expected = multiclass_calibration_error(
        torch.tensor(scores.probabilities), torch.tensor(scores.targets), num_classes=4, n_bins=15, norm="l1"
    )
    assert value("ece", scores) == pytest.approx(float(expected), abs=1e-6)


def test_nll_is_exact_where_a_probability_is_too_small_for_a_float(from_logits):
    sure = from_logits(np.array([[400.0, 0.0], [0.5, 0.0]]), [1, 0])
    expected = (400 + np.log1p(np.exp(-0.5))) / 2
    assert value("nll", Scores.of(sure)) == pytest.approx(expected, rel=1e-5)


def test_nll_follows_the_probabilities_where_they_are_not_the_softmax_of_the_logits(from_logits):
    calibrated = from_logits(np.array([[2.0, 0.0], [0.0, 4.0]]), [0, 0], probabilities=[[0.6, 0.4], [0.2, 0.8]])
    assert value("nll", Scores.of(calibrated)) == pytest.approx(-np.log([0.6, 0.2]).mean(), rel=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("tied", [False, True])
def test_roc_auc_agrees_with_scikit_learn(classes, tied, random_ones):
    scores = Scores.of(random_ones(150, classes, skill=0.7))
    scores = coarse(scores) if tied else scores
    weights = np.random.default_rng(3).integers(0, 4, 150).astype(float)
    areas = [
        reference.roc_auc_score(scores.targets == number, scores.probabilities[:, number], sample_weight=weights)
        for number in ([1] if classes == 2 else range(classes))
    ]
    assert value("roc_auc_ovr", scores, weights) == pytest.approx(np.mean(areas))


def test_roc_auc_leaves_out_classes_without_images_and_is_undefined_for_one_class(random_ones):
    scores = Scores.of(random_ones(120, 4))
    three = scores.take(scores.targets != 2)
    areas = [reference.roc_auc_score(three.targets == k, three.probabilities[:, k]) for k in (0, 1, 3)]
    assert value("roc_auc_ovr", three) == pytest.approx(np.mean(areas))
    assert np.isnan(value("roc_auc_ovr", scores.take(scores.targets == 1)))


def test_aurc_is_the_mean_risk_over_coverages(random_ones):
    scores = Scores.of(random_ones(80, 5))
    wrong = ~scores.hits[np.argsort(-scores.confidence)]
    assert value("aurc", scores) == pytest.approx(np.mean([wrong[:j].mean() for j in range(1, 81)]))


def test_aurc_with_ties_is_the_mean_over_the_orders_of_equal_images(random_ones):
    scores = coarse(Scores.of(random_ones(30, 5)))
    random, drawn = np.random.default_rng(0), []
    for _ in range(4000):
        order = np.lexsort((random.random(30), -scores.confidence))
        drawn.append(np.mean(np.cumsum(~scores.hits[order]) / np.arange(1, 31)))
    assert value("aurc", scores) == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(4000) + 1e-12)


def test_an_unreadable_image_is_a_wrong_answer_and_has_no_part_in_probabilities(random_ones):
    whole, cut = Scores.of(random_ones(50, 12)), Scores.of(random_ones(50, 12, unreadable=range(10)))
    rest = whole.take(np.arange(10, 50))
    assert value("accuracy", cut) == pytest.approx(rest.hits.sum() / 50)
    assert value("top5_accuracy", cut) == pytest.approx(value("top5_accuracy", rest) * 40 / 50)
    truth = cut.targets
    expected = reference.f1_score(truth, cut.answers, labels=np.arange(12), average="macro", zero_division=0)
    assert value("f1_macro", cut) == pytest.approx(expected)
    for name in ("nll", "brier", "ece", "roc_auc_ovr", "aurc"):
        assert value(name, cut) == pytest.approx(value(name, rest))


def test_f1_leaves_out_a_class_that_is_neither_truth_nor_answer(from_logits):
    scores = Scores.of(from_logits(np.array([[3.0, 0, 0], [0, 3.0, 0], [3.0, 0, 0]]), [0, 1, 1]))
    assert value("f1_macro", scores) == pytest.approx(2 / 3)
    assert value("balanced_accuracy", scores) == pytest.approx(0.75)


def test_a_readable_image_without_probabilities_is_refused(from_logits):
    broken = from_logits(np.array([[1.0, 0.0], [0.0, 1.0]]), [0, 1], probabilities=[[0.7, 0.3], [np.nan, np.nan]])
    with pytest.raises(DataError, match=r"1 readable images have no finite probabilities.*'image 1'"):
        Scores.of(broken)


def test_totals_sum_by_place_and_skip_minus_one():
    summed = totals(np.array([[1.0, 2.0, 4.0, 8.0]]), np.array([1, -1, 0, 1]), 3)
    assert summed.tolist() == [[4.0, 9.0, 0.0]]
