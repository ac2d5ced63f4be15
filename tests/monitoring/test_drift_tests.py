"""Drift tests: what every member promises, what is called changed, and how it is said."""

import numpy as np
import pytest
from scipy import stats
from windows import CLASSES, made

from linnaea.decisions import Policy
from linnaea.delivery.monitoring import ALARM, MONITORS, Watched, Window
from linnaea.delivery.monitoring.drift import DRIFT_TESTS, Comparison
from linnaea.delivery.monitoring.drift.contract import _HAS
from linnaea.delivery.monitoring.drift.detectable import detectable, smallest_shift
from linnaea.delivery.monitoring.drift.testing import judge_window
from linnaea.statistics.exchanging import Exchange


def compared(reference, window, draws=99, seed=0):
    return Comparison(reference, window, CLASSES, Exchange.drawn(len(reference), len(window), draws, seed), seed)


def watched(reference, *windows, rate=0.05):
    parts = [Window(f"window {number}", seen) for number, seen in enumerate(windows, 1)]
    return Watched(CLASSES, "multiclass", Policy(), reference, parts, rate=rate)


def said(*windows, **more):
    return {finding.name: finding for finding in MONITORS["drift"](watched(*windows, **more))}


@pytest.mark.parametrize("name", DRIFT_TESTS)
def test_every_member_keeps_the_contract(name):
    about, test = DRIFT_TESTS.about(name), DRIFT_TESTS[name]
    assert set(about.capabilities.get("needs", ())) <= set(_HAS)
    found = test(compared(made(90, 1), made(60, 2)))
    assert found.values.shape == (100,)
    assert np.isfinite(found.values).all()
    assert 0 < found.p <= 1
    assert found.what
    assert found.measure
    again = test(compared(made(90, 1), made(60, 2)))
    assert np.array_equal(found.values, again.values)


@pytest.mark.parametrize("name", DRIFT_TESTS)
def test_every_member_sees_what_it_is_for(name):
    window = made(80, 2, shift=2.0, darker=0.3, mix=[0.8, 0.1, 0.1])
    window.logits[:30] = np.nan
    window = window.with_(
        confidence=window.confidence - 0.3, ood_scores=window.ood_scores + 5, sets=[list(CLASSES)] * 80
    )
    assert DRIFT_TESTS[name](compared(made(80, 1), window)).p == 0.01


def test_p_values_are_even_where_nothing_changed():
    found = {name: [] for name in DRIFT_TESTS}
    for seed in range(60):
        case = compared(made(40, 2 * seed), made(30, 2 * seed + 1), draws=39, seed=seed)
        for name, test in DRIFT_TESTS.items():
            found[name].append(test(case).p)
    for name, values in found.items():
        assert np.mean(np.array(values) <= 0.25) <= stats.binom.ppf(0.9995, 60, 0.25) / 60, name


@pytest.mark.slow
def test_the_rate_of_false_alarms_is_the_one_asked_for():
    alarms = sum(
        judge_window(made(50, 2 * seed), made(30, 2 * seed + 1), CLASSES, rate=0.1, seed=seed).alarm
        for seed in range(200)
    )
    low, high = stats.binom.ppf([0.005, 0.995], 200, 0.1)
    assert low <= alarms <= high


def test_what_changed_is_said_in_words_and_since_when():
    found = said(made(200, 1), made(60, 2), made(60, 3, darker=0.12), made(60, 4, darker=0.12, mix=[0.7, 0.25, 0.05]))
    overall = found["drift"]
    assert overall.severity == ALARM
    assert [row["alarm"] for row in overall.rows] == [False, True, True]
    assert "last in window 3: darker by 0.1" in overall.summary
    assert "since window 2" in overall.summary
    assert "`ant` " in overall.summary
    assert " % instead of " in overall.summary
    assert "sharp" not in overall.summary


def test_nothing_is_said_where_nothing_changed():
    found = said(made(200, 1), made(60, 2), made(60, 3), rate=0.01)
    assert found["drift"].severity == "info"
    assert "No drift is shown in 2 windows" in found["drift"].summary
    assert all(finding.severity == "info" for finding in found.values())


def test_features_that_only_a_network_sees_are_named():
    found = said(made(200, 1), made(100, 2, shift=1.2))
    assert found["drift"].severity == ALARM
    assert "feature 3" in found["drift_feature_ks"].summary
    assert "feature 4" in found["drift_feature_ks"].summary


def test_without_features_logits_are_compared_and_that_is_said():
    found = said(made(200, 1, scores=False), made(100, 2, scores=False, mix=[0.9, 0.05, 0.05]))
    assert "logit of" in found["drift_feature_ks"].summary


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_window_or_reference_too_small_is_not_tested_and_says_so(count):
    found = said(made(200, 1), made(count, 2))
    assert found["drift"].severity == "warning"
    assert f"the window has {count} images" in found["drift"].summary
    found = said(made(count, 1), made(200, 2))
    assert f"the reference has {count} images" in found["drift"].summary
    assert found["detectable"].severity == "warning"
    assert "make the reference larger" in found["detectable"].summary


def test_constant_features_and_missing_looks_are_no_drift():
    flat = [made(60, seed).with_(features=np.ones((60, 4), np.float32), looks={}) for seed in (1, 2)]
    found = said(*flat)
    assert found["drift"].severity == "info"
    assert "Pixels and files (there are no looks)" in found["drift_left_out"].summary
    assert all(row["p"] == 1.0 for row in found["drift_embedding_mmd"].rows)


def test_answers_that_are_no_numbers_are_a_change_of_their_own():
    broken = made(80, 2)
    broken.logits[:40] = np.nan
    broken = broken.with_(features=np.where(np.arange(80)[:, None] < 40, np.nan, broken.features))
    found = said(made(80, 1), broken)
    assert "50 % without an answer instead of 0 %" in found["drift"].summary
    assert not found["drift_embedding_mmd"].rows[0]["alarm"]


def test_images_change_sides_in_blocks_where_there_are_many():
    reference, window = made(6_000, 1), made(5_000, 2, shift=0.15)
    tested = judge_window(reference, window, CLASSES, rate=0.05)
    assert tested.adjusted["embedding_mmd"] == 0.005
    assert judge_window(reference, made(5_000, 3), CLASSES, rate=0.01).p > 0.01


def test_what_could_be_seen_is_what_is_seen():
    shift = smallest_shift(400, 100, 0.05, tests=1)
    seen = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        z = random.normal(shift, 1, 100).mean() - random.normal(0, 1, 400).mean()
        seen += abs(z) / np.sqrt(1 / 100 + 1 / 400) > 1.96
    assert 70 <= seen <= 90
    assert "80 of 100" in detectable(400, 100, 0.05).summary
