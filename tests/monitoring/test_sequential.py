"""Tests that are looked at after every image: how often they are wrong where nothing changes, and what they notice."""

import json

import numpy as np
import pytest
from scipy.stats import kstest

from linnaea.errors import DataError
from linnaea.statistics.sequential import Capital
from linnaea.statistics.sequential_alarms import Guarantee, Stream
from linnaea.statistics.sequential_bets import FALLING, RISING, MeanBet, RankBet, mean_limits, of_ranks

EAGER = Guarantee(rate=0.1, run_length=1_000, quiet=200)
CALM = Guarantee(rate=0.01, run_length=10_000, quiet=200)
HOUR = 3600.0


def made(kind: str, reference: np.ndarray, guarantee: Guarantee = EAGER, seed: int = 0) -> Stream:
    if kind == "ranks":
        return Stream.of_ranks("confidence", reference, guarantee, seed=seed)
    return Stream.of_mean("confidence", reference, kind, guarantee)


def told(stream: Stream, values: np.ndarray) -> tuple[Stream, list]:
    return stream.told(values, HOUR * np.arange(len(values)))


@pytest.mark.parametrize("kind", ["falling", "rising", "ranks"])
def test_an_undrifted_stream_is_called_changed_at_any_time_no_more_often_than_promised(kind):
    random = np.random.default_rng(1)
    wrong = 0
    for number in range(100):
        reference, values = random.beta(8, 1, 200), random.beta(8, 1, 1000)
        _, changes = told(made(kind, reference, seed=number), values)
        wrong += any(change.status == "certain" for change in changes)
    assert wrong <= 18  # of 100 with a rate of 0.1; more would be one chance in two hundred


def test_a_bet_that_is_not_fair_would_be_noticed_by_the_test_above():
    random = np.random.default_rng(1)
    wrong = 0
    for _ in range(50):
        stream = Stream.beyond("confidence", 8 / 9 + 0.02, FALLING, EAGER)  # the true mean is below what is claimed
        wrong += any(change.status == "certain" for change in told(stream, random.beta(8, 1, 1000))[1])
    assert wrong > 25


def test_suspicions_come_as_seldom_as_promised():
    random = np.random.default_rng(2)
    lengths = []
    for number in range(50):
        values = random.normal(size=3000)
        _, changes = told(made("ranks", random.normal(size=300), seed=number), values)
        lengths.append(next((change.at for change in changes), len(values)))
    assert np.mean(lengths) >= 1_000  # cut off at 3,000, the mean is rather larger


@pytest.mark.parametrize(("kind", "after"), [("falling", (5, 1)), ("rising", (20, 1)), ("ranks", (5, 1))])
def test_a_change_is_noticed_and_dated(kind, after):
    random = np.random.default_rng(3)
    stream = made(kind, random.beta(8, 1, 2000))
    values = np.concatenate([random.beta(8, 1, 1000), random.beta(*after, 1500)])
    stream, changes = told(stream, values)
    first, second = changes[:2]
    assert (first.status, second.status) == ("suspected", "certain")
    assert 1000 < first.at < second.at
    assert first.since == pytest.approx(1000, abs=100)
    assert first.since_time == HOUR * first.since
    assert second.since == first.since
    assert np.sign(first.mean - first.expected) == (1 if kind == "rising" else -1)
    assert second.evidence >= 1 / EAGER.rate
    assert len(changes) == 2  # it lasts, and is told no more


def test_a_change_that_goes_is_resolved_and_another_one_told():
    random = np.random.default_rng(4)
    parts = [random.normal(size=500), random.normal(2, 1, 200), random.normal(size=1500), random.normal(3, 1, 200)]
    _, changes = told(made("ranks", random.normal(size=1000), CALM), np.concatenate(parts))
    assert [change.status for change in changes] == ["suspected", "certain", "resolved", "suspected", "certain"]
    assert (changes[0].since, changes[3].since) == (pytest.approx(500, abs=5), pytest.approx(2200, abs=5))


@pytest.mark.parametrize("kind", ["falling", "ranks"])
def test_a_change_that_lasts_does_not_become_usual(kind):
    random = np.random.default_rng(4)
    values = np.concatenate([random.beta(8, 1, 300), random.beta(3, 1, 5000)])
    stream, changes = told(made(kind, random.beta(8, 1, 1000), CALM), values)
    assert "resolved" not in [change.status for change in changes]
    assert stream.alarm.status == "certain"


@pytest.mark.parametrize("kind", ["falling", "ranks"])
def test_parts_and_restarts_change_nothing(kind):
    random = np.random.default_rng(5)
    values = np.concatenate([random.beta(8, 1, 150), random.beta(3, 1, 300), random.beta(8, 1, 500)])
    times = HOUR * np.arange(len(values))
    stream = made(kind, random.beta(8, 1, 300))
    once, expected = stream.told(values, times)
    again, found, place = Stream.from_json(json.loads(json.dumps(stream.to_json()))), [], 0
    for count in [1, 1, 97, 0, 300, 3, 10_000]:
        again, news = again.told(values[place : place + count], times[place : place + count])
        again = Stream.from_json(json.loads(json.dumps(again.to_json())))
        found, place = found + news, place + count
    assert [(c.status, c.at, c.since, c.since_time) for c in found] == [
        (c.status, c.at, c.since, c.since_time) for c in expected
    ]
    assert found
    assert again.evidence == pytest.approx(once.evidence)
    assert again.capital.told == len(values)


def test_a_clock_that_jumps_changes_what_is_told_and_not_whether():
    random = np.random.default_rng(6)
    reference, values = random.normal(size=300), np.concatenate([random.normal(size=300), random.normal(3, 1, 100)])
    times = np.arange(400.0)
    jumping = np.where(times > 200, times - 10_000, times)
    one, other = (made("ranks", reference).told(values, clock)[1] for clock in (times, jumping))
    assert [(change.status, change.at) for change in one] == [(change.status, change.at) for change in other]
    assert other[0].since_time == other[0].since - 10_000


def test_ranks_are_uniform_whatever_the_values_and_however_few_the_reference():
    random = np.random.default_rng(7)
    rounded = np.round(random.exponential(size=4000), 1)  # with many that are equal
    _, ranks = RankBet.after(rounded[:20]).ranks(rounded[20:])
    assert kstest(ranks, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(ranks[1:], ranks[:-1])[0, 1]) < 0.06


def test_bets_on_ranks_are_fair():
    uniform = (np.arange(10_000) + 0.5) / 10_000
    assert np.exp(of_ranks(uniform)).mean(axis=0) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("side", "bound"), [(FALLING, 0.9), (RISING, 0.2)])
def test_bets_on_a_mean_are_fair_at_its_bound_and_lose_within_it(side, bound):
    values = np.array([0.0, 1.0])
    _, gains = MeanBet(bound, side).gains(values)
    assert np.array([1 - bound, bound]) @ np.exp(gains) == pytest.approx(1)
    within = bound + (0.05 if side == FALLING else -0.05)
    assert (np.array([1 - within, within]) @ np.exp(gains) < 1).all()


def test_money_is_handed_out_once():
    capital, course = Capital.new(2).after(np.zeros((5000, 2)))
    assert np.exp(course.capital) == pytest.approx(1)
    assert course.detector == pytest.approx(np.log(np.arange(1, 5001)))
    assert capital.told == 5000


def test_limits_of_a_mean_hold_it_and_grow_narrow():
    random = np.random.default_rng(8)
    held = 0
    for _ in range(100):
        lo, hi = mean_limits(random.beta(8, 1, 100), 0.05)
        held += lo <= 8 / 9 <= hi
    assert held >= 90
    narrow = mean_limits(random.beta(8, 1, 10_000), 0.05)
    assert hi - lo > 3 * (narrow[1] - narrow[0])
    assert mean_limits(np.zeros(0), 0.05) == (0, 1)


def test_what_could_be_noticed_is_told():
    few, many = (made("falling", np.random.default_rng(9).beta(8, 1, n)) for n in (20, 5000))
    assert few.expected - few.detectable > 0.08
    assert many.expected - many.detectable < 0.01


def test_values_that_cannot_be_are_refused():
    with pytest.raises(DataError, match="expected two or more"):
        Stream.of_mean("confidence", np.ones(1), FALLING, EAGER)
    with pytest.raises(DataError, match="two or more to rank"):
        Stream.of_ranks("confidence", np.array([np.nan, 1.0]), EAGER)
    with pytest.raises(DataError, match="rate of false alarms"):
        Guarantee(rate=1.5)
    with pytest.raises(DataError, match="between 0 and 1"):
        MeanBet(1.0)


def test_sets_that_were_calibrated_on_few_images_break_no_promise_by_chance():
    random, certain = np.random.default_rng(5), 0
    for _ in range(30):
        held = np.sort(random.random(200))[180]  # what sets calibrated on 200 images hold, 0.9 on average
        reference = (random.random(200) <= held).astype(float)
        stream = Stream.of_mean("coverage", reference, FALLING, Guarantee(rate=0.01), most=0.9)
        _, changes = stream.told((random.random(10_000) <= held).astype(float), np.zeros(10_000))
        certain += any(change.status == "certain" for change in changes)
    assert certain == 0


def test_sets_that_hold_more_than_was_promised_may_come_to_hold_less():
    random = np.random.default_rng(6)
    stream = Stream.of_mean("coverage", np.ones(1000), FALLING, Guarantee(rate=0.01), most=0.9)
    _, changes = stream.told((random.random(5_000) < 0.93).astype(float), np.zeros(5_000))
    assert changes == []
    _, changes = stream.told((random.random(5_000) < 0.8).astype(float), np.zeros(5_000))
    assert changes[-1].status == "certain"
