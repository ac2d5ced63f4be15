"""Population-based training: poor networks go on from the weights of good ones, their values changed a little."""

import random
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from linnaea.errors import UsageError
from linnaea.experiments.attempt import attempt
from linnaea.experiments.search.book import CUT, FAILED, FINISHED
from linnaea.experiments.search.contract import SEARCHES, Hunt
from linnaea.experiments.search.space import Range, Space, Value
from linnaea.experiments.search.trying import Ended, Field, outcome_of
from linnaea.runtime.files import read_json, write_json

MEMBERS = 8
GENERATIONS = 10  # at most: members are compared after each tenth of their epochs
FACTORS = (0.8, 1.25)
REPLACED = 0.25  # of the members in each generation
REDRAWN = 0.25  # the probability that a choice is drawn anew
POPULATION, HISTORY = "population.json", "history.json"


class Paused(Exception):  # noqa: N818  nothing went wrong
    """A member has come to the end of a generation."""


@dataclass
class Member:
    """One of the networks: its values, and how it ended, `status` being empty while it trains."""

    number: int
    values: dict[str, Value]
    status: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@SEARCHES.register(
    "pbt",
    title="Population-based training",
    meaning="Networks train side by side; poor ones go on from good ones with changed values.",
    order=4,
    changing=True,
)
def search_population(hunt: Hunt) -> None:
    """Jaderberg et al. 2017, with truncation selection: a quarter is replaced by copies of the best quarter.

    A trial is a member, `trials` of them (8), and its values are those that it ended with.
    """
    epochs = hunt.field.ways(hunt.field.learning).options.epochs
    assert epochs is not None, "without it the search was refused"
    generations = min(epochs, GENERATIONS)
    done, members = _population(hunt)
    for generation in range(done + 1, generations + 1):
        _advance(hunt, members, round(epochs * generation / generations), epochs)
        _require_going_on(members)
        if generation < generations:
            _select(hunt, members, generation)
        write_json(
            hunt.field.place / POPULATION, {"generation": generation, "members": [asdict(each) for each in members]}
        )
    for member in members[len(hunt.book.entries) :]:  # of a run that is resumed some may have been written down before
        _write_down(hunt, member)
    shutil.rmtree(hunt.field.place / "members", ignore_errors=True)


def _population(hunt: Hunt) -> tuple[int, list[Member]]:
    """The generations that are over, and the members as they then were: of a search that was broken off, or new."""
    file = hunt.field.place / POPULATION
    if file.exists():
        kept = read_json(file)
        return int(kept["generation"]), [Member(**each) for each in kept["members"]]
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=hunt.seed))
    drawn = [hunt.space.suggested(study.ask()) for _ in range(hunt.limits.trials or MEMBERS)]
    return 0, [Member(number, values) for number, values in enumerate(drawn)]


def _advance(hunt: Hunt, members: Sequence[Member], target: int, epochs: int) -> None:
    """Train every member up to the epoch `target`, one after the other or, on ray, at the same time."""
    training = [member for member in members if not member.status]
    places = [_folder(hunt.field, member) for member in training]
    if hunt.on == "ray":
        from linnaea.experiments.ray_cluster import cluster

        with cluster("tune") as ray:
            remote, where = ray.remote(_in_worker), ray.put(replace(hunt.field, remembered={}))
            left = hunt.limits.until - time.monotonic()
            begun = [
                remote.remote(where, member, place, (target, epochs), left)
                for member, place in zip(training, places, strict=True)
            ]
            found = ray.get(begun)
    else:
        found = [
            _trained(hunt.field, member, place, (target, epochs), hunt.limits.until)
            for member, place in zip(training, places, strict=True)
        ]
    for member, after in zip(training, found, strict=True):
        member.status, member.told, member.seconds = after.status, after.told, after.seconds


def _require_going_on(members: Sequence[Member]) -> None:
    """Raise UsageError where the budget is over before a member finished; a resumed search goes on from here."""
    cut = [member for member in members if member.status == CUT]
    if cut and not any(member.status == FINISHED for member in members):
        raise UsageError(
            f"none of {len(members)} members finished: {cut[0].told['note']}. Set a longer --budget, with --resume to "
            "go on from there, or fewer --epochs."
        )


def _in_worker(where: Field, member: Member, folder: Path, span: tuple[int, int], seconds: float) -> Member:
    torch.set_num_threads(1)
    return _trained(where, member, folder, span, time.monotonic() + seconds)


def _trained(where: Field, member: Member, folder: Path, span: tuple[int, int], until: float) -> Member:
    """The member after the epochs up to the first of `span`, of as many as the second; it goes on in its folder."""
    target, epochs = span
    reached = _history(folder)
    if reached and reached[-1]["epoch"] >= target and target < epochs:
        return member  # before the search was broken off
    started = time.perf_counter()

    def hand_on(row: dict[str, Any]) -> None:
        known = [old for old in _history(folder) if old["epoch"] < row["epoch"]]
        told = {name: value for name, value in row.items() if value == value}  # JSON has no NaN
        write_json(folder / HISTORY, [*known, {**told, "member": member.number, **member.values}])
        if time.monotonic() > until:
            raise Ended(CUT, f"the budget was over in epoch {row['epoch']}")
        if target <= row["epoch"] < epochs:
            raise Paused

    folder.mkdir(parents=True, exist_ok=True)
    try:
        way = where.way(member.values)
        patient = replace(way.options, recipe=replace(way.options.recipe, patience=epochs))
        way = replace(way, options=patient)
        job = replace(where.job(way, where.material), on_kept=hand_on)
        loss, figure = outcome_of(attempt(way.step, where.material, job, folder))
    except Paused:
        return _after(member, started)
    except Ended as ended:
        return _after(member, started, ended.status, loss=None, note=str(ended))
    return _after(member, started, FINISHED, loss=loss, figure=asdict(figure))


def _after(member: Member, started: float, status: str = "", **told: Any) -> Member:
    return replace(member, status=status, told=told, seconds=member.seconds + time.perf_counter() - started)


def _select(hunt: Hunt, members: Sequence[Member], generation: int) -> None:
    """Let the poorest members, as many as are replaced, go on from the best ones."""
    random_numbers = random.Random(hunt.seed_of(generation))
    training = [member for member in members if not member.status]
    losses = {each.number: _history(_folder(hunt.field, each))[-1]["val_loss_calibrated"] for each in training}
    order = sorted(training, key=lambda member: losses[member.number])
    count = min(max(1, round(REPLACED * len(order))), len(order) // 2)
    for poor in order[len(order) - count :]:
        good = random_numbers.choice(order[:count])
        shutil.rmtree(_folder(hunt.field, poor))
        shutil.copytree(_folder(hunt.field, good), _folder(hunt.field, poor))
        poor.values = changed(hunt.space, good.values, random_numbers)


def changed(space: Space, values: Mapping[str, Value], random_numbers: random.Random) -> dict[str, Value]:
    """Each number a fifth smaller or a quarter larger, within its range; a choice is at times drawn anew."""
    found: dict[str, Value] = {}
    for one in space.parameters:
        value: Any = values[one.name]
        if isinstance(one, Range):
            moved = min(one.high, max(one.low, value * random_numbers.choice(FACTORS)))
            found[one.name] = round(moved) if one.whole else moved
        else:
            found[one.name] = random_numbers.choice(one.points) if random_numbers.random() < REDRAWN else value
    return found


def _folder(where: Field, member: Member) -> Path:
    return where.place / "members" / f"{member.number:04}"


def _history(folder: Path) -> list[dict[str, Any]]:
    file = folder / HISTORY
    found: list[dict[str, Any]] = read_json(file) if file.is_file() else []
    return found


def _write_down(hunt: Hunt, member: Member) -> None:
    """Write a member into the book, and keep what it left where it is the best so far."""
    folder = _folder(hunt.field, member)
    told = {"status": FAILED, "loss": None} | member.told | {"status": member.status, "seconds": member.seconds}
    number = hunt.book.add(member.values, hunt.space.distributions, **told, history=_history(folder))
    if folder.is_dir():
        shutil.copytree(folder, hunt.field.folder_of(number), dirs_exist_ok=True)
    hunt.tidy()
    hunt.tell(number)
