"""The largest batch that is still faster, found by doubling."""

from collections.abc import Callable
from dataclasses import replace

from linnaea.runtime.plan.contract import Plan, Timing
from linnaea.runtime.plan.memory import is_shortage, release
from linnaea.runtime.plan.timing import Clock, finish
from linnaea.runtime.plan.workload import Workload

GAIN = 1.05  # times as many images per second: what a batch twice as large must reach
TIMED = 2  # steps of each, after one that is not timed


def grown(workload: Workload, plan: Plan, seconds: float, clock: Clock) -> Plan:
    """The plan with the batch that is reached by doubling while it fits into memory and gains speed, and a note on it.

    No batch is tried that has more images than `workload.most`, or for which the `seconds` would not suffice.
    """
    assert workload.most is not None, "whoever asks for it says so"
    deadline, size = clock() + seconds, workload.batch_size
    speeds = {size: _speed(workload, replace(plan, batch_size=size), clock)}
    while size in speeds:
        why = _against(workload, plan, 2 * size, deadline - clock(), speeds[size] or 0.0)
        if why:
            break
        found = _speed(workload, replace(plan, batch_size=2 * size), clock)
        if found is None:
            why = f"{2 * size} do not fit into memory"
            break
        speeds[2 * size] = found
        if found < GAIN * (speeds[size] or 0.0):
            why = f"{2 * size} are no faster"
            break
        size *= 2
    told = ", ".join(f"{each} at {speed:,.0f} images/s" for each, speed in speeds.items() if speed is not None)
    note = f"Batches of {size} images, chosen for speed: {why}{f' ({told})' if told else ''}."
    timings = tuple(Timing(plan.precision, plan.memory_format, each, speed) for each, speed in speeds.items())
    return replace(plan, batch_size=size, source="measured", measured=timings, notes=(*plan.notes, note))


def _against(workload: Workload, plan: Plan, size: int, left: float, speed: float) -> str:
    """Why a batch of this size is not tried; "" where nothing is against it."""
    if not speed:
        return "no step went through"
    if workload.most is not None and size > workload.most:
        return f"with {size} an epoch would have too few steps"
    if workload.bounded(replace(plan, batch_size=size)).batch_size != size:
        return f"{size} do not fit into memory"
    if (1 + TIMED) * size / speed > left:
        return f"there was no time to try {size}"
    return ""


def _speed(workload: Workload, plan: Plan, clock: Clock) -> float | None:
    """Images per second of the fastest of a few steps; None where memory runs out."""
    assert plan.batch_size is not None, "its size is what is tried"
    try:
        took = [_seconds(workload.step, plan, clock) for _ in range(1 + TIMED)]
    except (RuntimeError, MemoryError) as error:
        if not is_shortage(error):
            raise
        took = []
    if not took:
        release()
        return None
    return round(plan.batch_size / max(min(took[1:]), 1e-9), 2)


def _seconds(step: Callable[[Plan], bool], plan: Plan, clock: Clock) -> float:
    began = clock()
    step(plan)
    finish(plan.device)
    return clock() - began
