"""Statistics of two samples and their draws: against other implementations, and where nothing differs."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from linnaea.statistics.embedded_samples import (
    cross_fitted_separation,
    energy_distance,
    kernel_discrepancy,
    median_distance,
    projected_discrepancy,
    projected_energy,
)
from linnaea.statistics.exchanging import (
    Exchange,
    distribution_distances,
    draws_for,
    judge_jointly,
    p_of_first,
    tail_scores,
)


def squared(values):
    return cdist(values, values, "sqeuclidean").astype(np.float32)


@pytest.mark.parametrize("sizes", [(50, 20), (20, 50), (4_000, 3_000), (10, 9_000)])
def test_blocks_hold_each_image_once_on_its_own_side(sizes):
    exchange = Exchange.drawn(*sizes, draws=9)
    rows = exchange.blocks.ravel()
    assert len(set(rows.tolist())) == len(rows)
    inside = np.repeat(exchange.inside[0] > 0, exchange.blocks.shape[1])
    assert (rows[inside] >= sizes[0]).all()
    assert (rows[~inside] < sizes[0]).all()
    assert (exchange.inside.sum(axis=1) == exchange.inside[0].sum()).all()
    assert exchange.images == ((~inside).sum(), inside.sum())
    assert len(exchange.blocks) <= 2_000
    assert min(exchange.images) > 0.7 * min(sizes)


def test_means_and_distances_are_those_of_the_two_sides_and_of_every_draw():
    random = np.random.default_rng(0)
    one, other = random.normal(size=(60, 3)), random.normal(0.5, 1, size=(40, 3))
    other[3, 1] = np.nan
    exchange, pooled = Exchange.drawn(60, 40, 5), np.concatenate([one, other])
    assert exchange.mean_differences(pooled)[0] == pytest.approx(np.nanmean(other, 0) - one.mean(0), abs=1e-6)
    rows = exchange.blocks[:, 0]
    for draw in range(6):
        side = exchange.inside[draw] > 0
        apart = np.nanmean(pooled[rows[side]], 0) - np.nanmean(pooled[rows[~side]], 0)
        assert exchange.mean_differences(pooled)[draw] == pytest.approx(apart, abs=1e-6)
    found = distribution_distances(exchange, pooled, places=101)[0]
    known = [stats.ks_2samp(one[:, c], other[~np.isnan(other[:, c]), c]).statistic for c in range(3)]
    assert found == pytest.approx(known, abs=0.02)


def test_the_discrepancy_is_that_of_its_definition():
    random = np.random.default_rng(1)
    one, other = random.normal(size=(30, 4)), random.normal(0.7, 1, size=(20, 4))
    pooled = np.concatenate([one, other])
    exchange = Exchange.drawn(30, 20, 3)
    picked = pooled[exchange.picked]
    contrast = exchange.contrast(np.ones(50, dtype=bool))
    kernel = lambda a, b: np.exp(-cdist(a, b, "sqeuclidean") / (2 * 5.0)).mean()  # noqa: E731
    expected = kernel(one, one) + kernel(other, other) - 2 * kernel(one, other)
    assert kernel_discrepancy(squared(picked), contrast, 5.0)[0] == pytest.approx(expected, abs=1e-5)
    apart = lambda a, b: cdist(a, b).mean()  # noqa: E731
    energy = 2 * apart(one, other) - apart(one, one) - apart(other, other)
    assert energy_distance(squared(picked), contrast)[0] == pytest.approx(energy, abs=1e-4)
    line = squared(picked[:, :1])
    scipy = stats.energy_distance(one[:, 0], other[:, 0]) ** 2
    assert energy_distance(line, contrast)[0] == pytest.approx(scipy, abs=1e-4)


def test_projections_come_near_to_what_they_estimate():
    random = np.random.default_rng(2)
    pooled = np.concatenate([random.normal(size=(300, 8)), random.normal(0.6, 1, size=(200, 8))]).astype(np.float32)
    scaled = pooled / np.sqrt(8, dtype=np.float32)
    exchange = Exchange.drawn(300, 200, 3)
    projected = scaled @ random.standard_normal((8, 1_024)).astype(np.float32)
    contrast = exchange.contrast(np.ones(500, dtype=bool))
    distances = squared(scaled[exchange.picked])
    median = median_distance(distances)
    exact = kernel_discrepancy(distances, contrast, median)[0]
    assert projected_discrepancy(exchange, projected, median)[0] == pytest.approx(exact, rel=0.1)
    energy = energy_distance(distances, contrast)[0]
    assert projected_energy(exchange, projected, 8)[0] == pytest.approx(energy, rel=0.15)


def test_a_classifier_tells_samples_apart_only_where_they_differ():
    random = np.random.default_rng(3)
    one, same, other = (random.normal(at, 1, size=(80, 5)).astype(np.float32) for at in (0, 0, 1))
    found = []
    for window in (same, other):
        exchange = Exchange.drawn(80, 80, 99)
        picked = np.concatenate([one, window])[exchange.picked]
        values, area = cross_fitted_separation(picked @ picked.T, exchange, exchange.contrast(np.ones(160, bool)))
        found.append((p_of_first(values), area))
    assert found[0][0] > 0.05
    assert found[0][1] == pytest.approx(0.5, abs=0.12)
    assert found[1][0] == 0.01
    assert found[1][1] == pytest.approx(stats.norm.cdf(np.sqrt(5) / np.sqrt(2)), abs=0.06)


def test_values_beyond_all_others_are_still_told_apart():
    values = np.random.default_rng(4).exponential(size=(1_000, 2))
    values[0] = [12.0, 40.0]
    scores = tail_scores(values)
    assert scores[0, 1] > scores[0, 0] > scores[1:].max()
    order = np.argsort(values[:, 0])
    assert (np.diff(scores[order, 0]) >= 0).all()


def test_equal_values_are_no_rarer_than_each_other():
    assert p_of_first(np.zeros(100)) == 1.0
    assert judge_jointly([np.zeros(100), np.ones(100)]).p == 1.0
    assert judge_jointly([]).p == 1.0


def test_several_statistics_together_keep_the_rate():
    random = np.random.default_rng(5)
    alarms = np.zeros(2)
    for _ in range(800):
        base = random.standard_normal(100)
        values = [base, base**2, base + random.standard_normal(100), random.standard_normal(100).round(1)]
        joint = judge_jointly(values)
        alarms += [joint.p <= 0.1, min(map(p_of_first, values)) <= 0.1]
    low, high = stats.binom.ppf([0.005, 0.995], 800, 0.1)
    assert low <= alarms[0] <= high
    assert alarms[1] > 1.5 * high  # which is why they are judged together


def test_draws_are_enough_for_the_rate():
    assert draws_for(0.01) == 999
    assert draws_for(0.05) == 199
    assert draws_for(0.5) == 99
    assert draws_for(1e-6) == 9_999
