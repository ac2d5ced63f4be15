"""Intervals hold what they claim: reference values, coverage by simulation, and honesty at the edges."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binomtest

from linnaea.errors import UsageError
from linnaea.evidence.evaluation import figures
from linnaea.evidence.metrics import METRICS, Scores
from linnaea.evidence.uncertainty import of_metric
from linnaea.statistics.intervals import Statistic, estimate
from linnaea.statistics.shares import shares, slack_of_parts, unvaried, wilson
from linnaea.statistics.spread import Sample, Spread, left_out, limits_of, resample

Z2 = 1.959963984540054**2


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (3, 10), (181, 200), (1, 1)])
def test_wilson_agrees_with_scipy(successes, n):
    expected = binomtest(successes, n).proportion_ci(method="wilson")
    lo, hi = wilson(successes, n)
    assert (float(lo), float(hi)) == pytest.approx((expected.low, expected.high))


def test_wilson_works_on_columns_and_is_not_defined_for_no_images():
    lo, hi = wilson(np.array([0.0, 3.0]), np.array([0.0, 4.0]))
    assert np.isnan(lo[0])
    assert np.isnan(hi[0])
    assert 0 < lo[1] < 0.75 < hi[1] < 1


def test_a_resample_draws_n_of_n_and_repeats_with_its_seed():
    weights = np.concatenate(list(resample(Sample(50), 200, seed=1)))
    assert weights.shape == (200, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert (weights == np.concatenate(list(resample(Sample(50), 200, seed=1)))).all()
    assert (weights != np.concatenate(list(resample(Sample(50), 200, seed=2)))).any()
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.05)


def test_large_samples_come_in_small_chunks():
    for chunks in (list(resample(Sample(400_000), 5, 0)), list(left_out(Sample(400_000), 5, 0))):
        assert sum(len(chunk) for chunk in chunks) == 5
        assert max(chunk.nbytes for chunk in chunks) <= 2**23


def test_groups_are_drawn_whole_and_images_without_one_are_their_own():
    sample = Sample.of(6, ["a", "a", "b", "b", None, None])
    weights = np.concatenate(list(resample(sample, 300, seed=0)))
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2] == weights[:, 3]).all()
    assert (weights[:, 4] != weights[:, 5]).any()
    assert (weights[:, [0, 2, 4, 5]].sum(axis=1) == 4).all()
    assert np.concatenate(list(left_out(sample, 200, seed=0))).tolist() == [
        [0, 0, 1, 1, 1, 1],
        [1, 1, 0, 0, 1, 1],
        [1, 1, 1, 1, 0, 1],
        [1, 1, 1, 1, 1, 0],
    ]


def test_of_many_units_each_is_left_out_once_in_as_many_parts_as_allowed():
    weights = np.concatenate(list(left_out(Sample(105), 50, seed=0)))
    assert weights.shape == (50, 105)
    assert ((weights == 0).sum(axis=0) == 1).all()
    assert set((weights == 0).sum(axis=1)) == {2, 3}


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(size=40)
    without = np.array([np.delete(values, row).mean() for row in range(40)])
    found = Spread.of_left_out(without)
    assert found.error == pytest.approx(values.std(ddof=1) / np.sqrt(40))
    assert 25 < found.freedom <= 39
    told = Spread.of_influence((values - values.mean()) / 40, Sample(40))
    assert (told.error, told.freedom) == pytest.approx((found.error, found.freedom))


def test_few_images_that_carry_the_variance_leave_few_degrees_of_freedom():
    rare = np.zeros(1000)
    rare[:3] = 1
    assert Spread.of_influence(rare - rare.mean(), Sample(1000)).freedom == pytest.approx(6, abs=0.1)


def test_limits_stay_within_the_bounds_of_a_figure():
    values, errors = np.array([0.0, 0.02, 0.5, 0.98, 1.0]), np.array([0.0, 0.1, 0.1, 0.1, 0.1])
    lo, hi = limits_of(values, errors, 30, (0.0, 1.0))
    assert (lo[[0, 4]] == values[[0, 4]]).all()
    assert (lo[1:4] > 0).all()
    assert (hi[1:4] < 1).all()
    assert 1 - lo[1:4] == pytest.approx(hi[1:4][::-1])
    lo, hi = limits_of(np.array([0.2]), np.array([0.1]), 1e9, (0.0, np.inf))
    assert (lo[0] * hi[0], hi[0]) == (pytest.approx(0.04), pytest.approx(0.2 * np.exp(1.959964 / 2)))
    lo, hi = limits_of(np.array([0.2]), np.array([0.1]), 9, (-np.inf, np.inf))
    assert (lo[0], hi[0]) == pytest.approx((0.2 - 0.2262157, 0.2 + 0.2262157))


def test_shares_of_groups_are_worth_as_many_images_as_vary_alike():
    hits = np.repeat(np.arange(40) % 4 != 0, 5)
    places, groups = np.zeros(200, dtype=np.int64), np.repeat(np.arange(40), 5)
    alike = shares(places, hits.astype(float), 1, groups)
    few = binomtest(30, 40).proportion_ci(method="wilson")
    assert (alike.value[0], alike.lo[0], alike.hi[0]) == pytest.approx((0.75, few.low, few.high), abs=0.01)
    flawless = shares(places, np.ones(200), 1, groups)
    assert 0.89 < flawless.lo[0] < 0.92
    single = shares(np.array([0, 0, 1, 1]), np.ones(4), 3, np.array([0, 0, 1, 2]))
    assert np.isnan(single.lo).tolist() == [True, False, True]
    assert single.value[:2].tolist() == [1, 1]


def test_groups_of_one_image_each_are_no_groups():
    assert Sample.of(3, ["a", "b", "c"]).groups is None
    assert Sample.of(3, None).units == 3


SIMULATED = ("accuracy", "balanced_accuracy", "f1_macro", "nll", "brier", "roc_auc_ovr")


def simulated(random, n):
    """Scores of `n` images drawn anew, four classes of unequal size."""
    targets = random.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    logits = random.normal(size=(n, 4))
    logits[np.arange(n), targets] += 2.0
    probabilities = softmax(logits, axis=1)
    answers = probabilities.argmax(axis=1)
    return Scores.of_arrays(targets, answers, probabilities, probabilities.max(axis=1), np.ones(n, dtype=bool))


def test_intervals_cover_the_truth_as_often_as_they_say():
    random = np.random.default_rng(7)
    large = simulated(random, 200_000)
    truth = {name: METRICS[name](large, np.ones((1, len(large))))[0] for name in SIMULATED}
    covered = dict.fromkeys(SIMULATED, 0)
    for seed in range(400):
        scores, sample = simulated(random, 200), Sample(200)
        statistics = {name: of_metric(METRICS[name], scores, sample) for name in SIMULATED}
        for name, found in estimate(statistics, sample, seed=seed, replicates=200).items():
            covered[name] += found.lo <= truth[name] <= found.hi
    for name in SIMULATED:
        assert 0.92 <= covered[name] / 400 <= 0.98, (name, covered[name] / 400)


def test_the_calibration_error_of_a_calibrated_classifier_may_be_none():
    random, reached = np.random.default_rng(2), 0
    for seed in range(100):
        scores, sample = simulated(random, 200), Sample(200)
        probabilities = scores.probabilities
        targets = (probabilities.cumsum(axis=1) < random.random((200, 1))).sum(axis=1)
        answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        scores = Scores.of_arrays(targets, answers, probabilities, confidence, scores.readable)
        found = estimate({"ece": of_metric(METRICS["ece"], scores, sample)}, sample, seed=seed, replicates=100)["ece"]
        reached += found.lo == 0 < found.value <= found.hi
    assert reached / 100 >= 0.9
    assert found.method.startswith("inverted test, corrected for what chance adds")


def test_the_calibration_error_of_an_overconfident_classifier_is_above_none(random_ones):
    found = figures(random_ones(400, 3, skill=0.0), replicates=100)["ece"]
    assert 0.1 < found.lo < found.value


def test_a_loss_that_rests_on_few_mistakes_says_so(from_logits):
    targets = np.arange(60) % 2
    logits = 4 * np.eye(2)[targets]
    logits[:2] = logits[:2, ::-1]
    found = figures(from_logits(logits, targets), replicates=50)
    assert found["nll"].method == "jackknife, 50 parts, too narrow: only 2 mistakes seen"


def test_intervals_over_groups_cover_where_images_of_a_group_are_alike():
    random, covered, naive = np.random.default_rng(3), 0, 0
    for seed in range(200):
        flags = np.repeat(random.random(40) < 0.7, 5)
        function = {"share": Statistic(lambda weights, flags=flags: weights @ flags / weights.sum(axis=1), 200)}
        groups = np.repeat(np.arange(40), 5).tolist()
        wide = estimate(function, Sample.of(200, groups), seed=seed, replicates=200)["share"]
        narrow = estimate(function, Sample(200), seed=seed, replicates=200)["share"]
        covered += wide.lo <= 0.7 <= wide.hi
        naive += narrow.lo <= 0.7 <= narrow.hi
    assert 0.9 <= covered / 200 <= 0.99
    assert naive / 200 < 0.75


def test_no_mistake_seen_is_not_no_mistake(from_logits):
    perfect = from_logits(20 * np.eye(4)[np.arange(40) % 4], np.arange(40) % 4)
    found = figures(perfect, replicates=50)
    for name in ("accuracy", "balanced_accuracy", "f1_macro"):
        assert (found[name].value, found[name].hi) == (1.0, 1.0)
        assert found[name].lo == pytest.approx(1 - Z2 / (40 + Z2))
    assert found["roc_auc_ovr"].lo < 0.95
    assert found["aurc"].value == pytest.approx(0)
    assert found["aurc"].hi == pytest.approx(Z2 / (40 + Z2))
    assert found["accuracy"].method == "Wilson"
    assert found["balanced_accuracy"].method == "jackknife, widened by Wilson where nothing varied"
    for name in ("nll", "brier", "ece"):
        assert found[name].method.endswith("ignores mistakes not seen yet")


def test_no_mistake_seen_in_groups_counts_the_groups(from_logits):
    groups = [f"animal {row // 10}" for row in range(40)]
    found = figures(from_logits(20 * np.eye(4)[np.arange(40) % 4], np.arange(40) % 4, group=groups), replicates=50)
    assert found["accuracy"].lo < 1 - Z2 / (4 + Z2)
    assert found["accuracy"].method == "Wilson over 4 groups"
    assert found["balanced_accuracy"].lo < 0.55


def test_a_small_flawless_class_widens_a_balanced_figure(from_logits):
    targets = np.array([0] * 190 + [1] * 10)
    logits = 5 * np.eye(2)[targets]
    logits[:5] = logits[:5, ::-1]
    found = figures(from_logits(logits, targets), replicates=200)["balanced_accuracy"]
    assert found.lo < found.value - Z2 / (10 + Z2) / 2
    assert found.hi < 1.0
    assert found.method == "jackknife, widened by Wilson where nothing varied"


def test_parts_that_are_one_or_zero_are_where_a_figure_may_be_off():
    down, up = slack_of_parts(np.array([1.0, 0.0, 0.5, np.nan]), np.array([10.0, 20.0, 5.0, 1.0]))
    assert down == 0
    assert up == 0
    down, up = slack_of_parts(np.array([1.0, 0.0, np.nan]), np.array([10.0, 20.0, 1.0]))
    assert down == pytest.approx(Z2 / (10 + Z2) / 2)
    assert up == pytest.approx(Z2 / (20 + Z2) / 2)
    assert unvaried(np.array([np.nan]), np.array([9.0]), 1) == 0
    assert slack_of_parts(np.array([1.0, 0.2, 0.5, 0.1]), np.full(4, 9.0)) == (0, 0)  # the others tell of it


def test_the_interval_holds_the_value_and_stays_in_range(random_ones):
    for seed in range(10):
        for name, found in figures(random_ones(12, 3, seed=seed), replicates=60).items():
            if name == "p_calibrated":  # a probability of chance, of which there is no interval
                assert 0 < found.value <= 1
                continue
            assert found.lo <= found.value <= found.hi, name
            assert found.lo >= 0 or name.startswith("brier_"), "less what chance adds, parts may lie below"
            assert name in ("nll", "brier", "mean_set_size") or found.hi <= 1


def test_what_is_not_defined_says_why(random_ones, from_logits):
    nothing = figures(random_ones(4, 3, unreadable=range(4)), replicates=50)
    assert nothing["nll"].value is None
    assert (nothing["nll"].n, nothing["nll"].method) == (0, "not defined: no readable images")
    assert (nothing["accuracy"].value, nothing["accuracy"].lo) == (0.0, 0.0)
    assert nothing["accuracy"].hi > 0.4
    one_class = figures(from_logits(np.eye(3)[[0, 1, 0]], [0, 0, 0]), replicates=50)
    assert one_class["roc_auc_ovr"].method == "not defined: all images belong to one class"
    empty = figures(random_ones(0, 3), replicates=50)
    assert all(found.value is None and found.n == 0 and "not defined" in found.method for found in empty.values())


def test_one_image_or_one_group_gives_no_interval(random_ones):
    one = figures(random_ones(1, 3), replicates=50)
    assert (one["nll"].lo, one["nll"].method) == (None, "no interval: one image")
    assert one["accuracy"].lo is not None
    group = figures(random_ones(10, 3, group=["g"] * 10), replicates=50)
    assert (group["accuracy"].lo, group["accuracy"].method) == (None, "no interval: all images belong to one group")


def test_a_figure_that_hangs_on_one_image_gets_no_interval():
    alone = Statistic(lambda weights: np.where(weights[:, 0] > 0, 1.0, np.nan), 8)
    found = estimate({"alone": alone}, Sample(8))["alone"]
    assert (found.value, found.lo, found.method) == (
        1.0,
        None,
        "no interval: the figure is not defined without one image",
    )
    rarely = Statistic(lambda weights: np.where((weights >= 1).all(axis=1), 1.0, np.nan), 8, smooth=False)
    assert estimate({"rarely": rarely}, Sample(8))["rarely"].method == (
        "no interval: the figure is undefined in most resamples"
    )


def test_too_few_replicates_are_refused(random_ones):
    with pytest.raises(UsageError, match="replicates is 10: a 95 % interval needs at least 40"):
        figures(random_ones(10, 3), replicates=10)
