"""Schedules fall as torch's own do, rise first, and are told at the middle of a step."""

import itertools

import pytest
import torch
from torch.optim import lr_scheduler

from linnaea.errors import UsageError
from linnaea.learning.schedule import Schedule
from linnaea.learning.schedules import SCHEDULES

STEPS, RATE = 60, 0.4


def ours(name, warm_up=0.0):
    schedule = Schedule(1, 1, RATE, name=name, warm_up=warm_up)
    return [schedule.rate(step / STEPS) for step in range(STEPS)]


def torchs(make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler, found = make(optimizer), []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("constant", lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1.0)),
        ("cosine", lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, STEPS)),
        ("polynomial:2", lambda optimizer: lr_scheduler.PolynomialLR(optimizer, STEPS, power=2.0)),
        ("polynomial", lambda optimizer: lr_scheduler.PolynomialLR(optimizer, STEPS, power=0.9)),
        ("step:0.2", lambda optimizer: lr_scheduler.StepLR(optimizer, STEPS // 3, gamma=0.2)),
        ("one_cycle", lambda optimizer: lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=STEPS)),
        ("cyclical:2", lambda optimizer: lr_scheduler.CyclicLR(optimizer, RATE / 10, RATE, STEPS // 4)),
    ],
)
def test_rates_are_those_of_torch(name, make):
    assert ours(name) == pytest.approx(torchs(make), abs=1e-7)


def test_it_rises_before_it_falls():
    rates = ours("cosine", warm_up=0.5)
    assert rates[: STEPS // 2] == pytest.approx([RATE * step / (STEPS / 2) for step in range(STEPS // 2)])
    expected = [RATE * (1 + torch.cos(torch.tensor(torch.pi * step / 30))).item() / 2 for step in range(30)]
    assert rates[STEPS // 2 :] == pytest.approx(expected, abs=1e-6)


def test_one_cycle_is_what_a_training_does_unless_told_otherwise():
    usual = Schedule(1, 1, RATE)
    assert [usual.rate(step / STEPS) for step in range(STEPS)] == [
        RATE * max(0.0, min(step / STEPS / 0.15, (1 - step / STEPS) / (1 - 0.15))) for step in range(STEPS)
    ]


def test_a_plateau_is_seen_as_torch_sees_it():
    losses = [1.0, 0.8, 0.8, 0.8, 0.8, 0.79999, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.4]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    schedule = Schedule(len(losses), 1, RATE, name="plateau:0.5", warm_up=0.0)
    for epoch in range(len(losses)):
        scheduler.step(losses[epoch])
        history = [{"val_loss_calibrated": loss} for loss in losses[: epoch + 1]]
        assert schedule.rate(0.5, history) == pytest.approx(optimizer.param_groups[0]["lr"]), epoch
    assert schedule.rate(0.5, history) < RATE / 2


@pytest.mark.parametrize("name", list(SCHEDULES))
@pytest.mark.parametrize("warm_up", [None, 0.0, 0.3])
def test_rates_stay_between_nothing_and_the_highest(name, warm_up):
    schedule = Schedule(1, 1, RATE, name=name, warm_up=warm_up)
    rates = [schedule.rate(step / 1000) for step in range(1001)]
    assert all(0 <= rate <= RATE for rate in rates)
    assert max(rates) == pytest.approx(RATE, rel=0.01)
    rising = rates[: round(1000 * (warm_up or 0))]
    assert all(first < second for first, second in itertools.pairwise(rising)) or name == "cyclical"


def test_a_number_that_is_none_is_refused():
    with pytest.raises(UsageError, match=r"step:0\.1"):
        Schedule(1, 1, RATE, name="step:soon").rate(0.5)
