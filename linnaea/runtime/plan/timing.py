"""Candidates in a race: a few real steps of each, in turn, against one clock."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from linnaea.runtime.plan.agreement import Agreement, agreement, reference
from linnaea.runtime.plan.contract import Plan, Timing
from linnaea.runtime.plan.workload import Workload

SHARE = 0.5  # of the images to come, at most, are worked on for measuring
ROUNDS = 5
PLANNED = 4  # steps of each candidate, the first of them unmeasured, for which the time should suffice
FEWEST = 2  # images in a step
COST = {"embed": 1.0, "train": 3.0}  # of a step, in forward passes
MARGIN = 1.05  # times faster than one before it in the list a plan has to be
HOPELESS = 1.5  # times slower than the fastest: not timed again
PATIENCE = 2.0  # times the seconds, after which a machine has too much other work to measure on
GROWTH = (4, 16)  # times as many images per batch, for accelerators
Clock = Callable[[], float]
Steps = dict[Plan, list[float]]


class _TooSlowError(Exception):
    """There is no time to see all candidates."""


def race(workload: Workload, plans: Sequence[Plan], seconds: float, clock: Clock) -> Plan:
    """The fastest of the plans whose answers agree with float32, by the median of its steps; the first ones win ties.

    Steps are taken in turn, forwards and backwards through the list, so that whatever else the machine does meets all
    alike; what is hopeless after a step is not timed again. A race that would take longer than `seconds` is not begun,
    and one that takes twice as long before every candidate was timed, on a machine that has other work, is given up:
    the first plan is taken, with a note.
    """
    try:
        return _raced(workload, plans, seconds, clock)
    except _TooSlowError:
        return replace(plans[0], notes=(f"Nothing was measured, because it would have taken more than {seconds:g} s.",))


def _raced(workload: Workload, plans: Sequence[Plan], seconds: float, clock: Clock) -> Plan:
    started = clock()
    expected = workload.answers(reference(plans[0]))
    if not bool(torch.isfinite(expected).all()):
        return replace(plans[0], notes=("float32 gives NaN or infinity too: nothing was compared.",))
    per_image = _seconds_per_image(workload, plans[0], len(expected), clock) * COST[workload.purpose]
    count = _images_per_step(workload, plans[0], len(plans), per_image, seconds)
    if len(plans) * count * per_image > seconds:
        raise _TooSlowError
    deadline, limit = started + seconds, started + PATIENCE * seconds
    batch, timings = workload.batch_size, list[Timing]()
    if _may_grow(workload, plans[0]):
        batch, timings = _batch(workload, plans[0], clock, deadline, limit)
        count = max(count, batch)
    tried = {replace(plan, batch_size=count): plan for plan in plans}
    found = {}
    for plan in tried:
        _require_time(clock, limit)
        found[plan] = agreement(plan, workload, expected)
    steps = _timed([plan for plan in tried if not found[plan].refusal], workload, clock, deadline, limit)
    chosen = _fastest(steps) or next(iter(tried))
    timings += [_timing(plan, steps, found[plan]) for plan in tried]
    return replace(tried[chosen], batch_size=batch, source="measured", notes=_notes(found), measured=tuple(timings))


def _seconds_per_image(workload: Workload, plan: Plan, images: int, clock: Clock) -> float:
    """Of a forward pass, by one that is not the first."""
    started = clock()
    workload.answers(plan)
    finish(plan.device)
    return (clock() - started) / images


def _images_per_step(workload: Workload, plan: Plan, plans: int, seconds_per_image: float, seconds: float) -> int:
    """As many images as a batch has, or fewer where the time or the images to come are few; at least 2."""
    share = int(workload.images * SHARE) // (plans * PLANNED)
    affordable = int(seconds / (plans * PLANNED * max(seconds_per_image, 1e-9)))
    return max(FEWEST, min(workload.bounded(plan).batch_size or 1, share, affordable))


def _require_time(clock: Clock, limit: float) -> None:
    if clock() > limit:
        raise _TooSlowError


def _timed(plans: Sequence[Plan], workload: Workload, clock: Clock, deadline: float, limit: float) -> Steps:
    """Seconds per image of each step, by plan in the order of the list; no round begins after the `deadline`."""
    steps: Steps = {plan: [] for plan in plans}
    alive = list(plans)
    for number in range(ROUNDS):
        for plan in alive if number % 2 == 0 else reversed(alive):
            if number == 0:
                _require_time(clock, limit)
            started = clock()
            workload.step(plan)
            finish(plan.device)
            steps[plan].append((clock() - started) / (plan.batch_size or 1))
        medians = {plan: statistics.median(steps[plan]) for plan in alive}
        alive = [plan for plan in alive if medians[plan] <= HOPELESS * min(medians.values())]
        if len(alive) <= 1 or clock() >= deadline:
            break
    return steps


def finish(device: str) -> None:
    """Wait for an accelerator, which takes work faster than it does it."""
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize()
    elif kind == "mps":
        torch.mps.synchronize()


def _fastest(steps: Steps) -> Plan | None:
    """The first in the list of those that are as fast as the fastest, but for a margin; None where there is none."""
    medians = {plan: statistics.median(times) for plan, times in steps.items()}
    least = min(medians.values(), default=0.0)
    return next((plan for plan, median in medians.items() if median <= MARGIN * least), None)


def _may_grow(workload: Workload, plan: Plan) -> bool:
    """Processors work best on what fits their caches; accelerators on as much as there is."""
    return workload.purpose == "embed" and torch.device(plan.device).type != "cpu"


def _batch(workload: Workload, plan: Plan, clock: Clock, deadline: float, limit: float) -> tuple[int, list[Timing]]:
    """The batch that is fastest, of the usual one and larger ones that fit into memory and come more than once.

    Formats are compared with that batch: in small ones an accelerator mostly waits for its orders.
    """
    usual = workload.batch_size
    sizes = [usual * factor for factor in GROWTH if usual * factor * PLANNED <= workload.images]
    tried = [replace(plan, batch_size=size) for size in (usual, *sizes)]
    steps = _timed([larger for larger in tried if _fits(larger, workload)], workload, clock, deadline, limit)
    chosen = _fastest(steps)
    timings = [_timing(larger, steps, Agreement(0.0)) for larger in steps if larger != chosen]
    return (usual if chosen is None else chosen.batch_size or usual), timings


def _fits(plan: Plan, workload: Workload) -> bool:
    """Whether a step goes through, which also is the unmeasured first one."""
    if workload.bounded(plan) != plan:
        return False
    try:
        return workload.step(plan)
    except RuntimeError:  # no memory
        return False


def _timing(plan: Plan, steps: Steps, found: Agreement) -> Timing:
    times = steps.get(plan)
    speed = round(1 / max(statistics.median(times), 1e-9), 2) if times else None
    wrong = None if found.difference is None else float(f"{found.difference:.2g}")
    return Timing(plan.precision, plan.memory_format, plan.batch_size or 1, speed, wrong, found.refusal)


def _notes(found: Mapping[Plan, Agreement]) -> tuple[str, ...]:
    """A sentence for each format that was refused."""
    return tuple(
        f"{plan.precision} in {plan.memory_format} {seen.refusal}: it is not used."
        for plan, seen in found.items()
        if seen.refusal
    )
