"""Which of several processes this is, by what whoever started it has left in the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from linnaea.errors import UsageError
from linnaea.runtime.duration import parse_duration

START = "start the processes with `torchrun --nproc-per-node N -m linnaea train ...`"
PATIENCE = "LINNAEA_RANK_TIMEOUT"
USUAL_PATIENCE = 90.0  # seconds
REQUIRED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Place:
    """A process is the `rank`-th, from 0, of `ranks` that train together; on its machine the `local_rank`-th."""

    rank: int = 0
    ranks: int = 1
    local_rank: int = 0
    local_ranks: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that reads, decides, tells and writes."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.ranks > 1

    def __str__(self) -> str:
        return f"process {self.rank} of {self.ranks}"


ALONE = Place()


def place_in(environment: Mapping[str, str] = os.environ) -> Place:
    """The place that RANK and WORLD_SIZE, as torchrun sets them, give this process; alone where they are not set.

    Raises UsageError where some of the variables are missing, or are no numbers that fit together.
    """
    given = {name: environment[name] for name in REQUIRED if environment.get(name)}
    if not {"RANK", "WORLD_SIZE"} & given.keys():
        return ALONE
    for name in ("WORLD_SIZE", "RANK"):
        if name not in given:
            other = "RANK" if name == "WORLD_SIZE" else "WORLD_SIZE"
            raise UsageError(f"{other} is {given[other]}, but {name} is not set: {START}, or unset {other}.")
    ranks = _number(environment, "WORLD_SIZE", 1, None)
    if ranks == 1:
        return ALONE
    missing = [name for name in REQUIRED if name not in given]
    if missing:
        raise UsageError(f"WORLD_SIZE is {ranks}, but {' and '.join(missing)} is not set: {START}, or set it.")
    rank = _number(environment, "RANK", 0, ranks)
    local_ranks = _number(environment, "LOCAL_WORLD_SIZE", 1, ranks + 1, ranks)
    if ranks % local_ranks:
        raise UsageError(
            f"LOCAL_WORLD_SIZE is {local_ranks} and WORLD_SIZE {ranks}: expected as many processes on every machine."
        )
    return Place(rank, ranks, _number(environment, "LOCAL_RANK", 0, local_ranks, rank % local_ranks), local_ranks)


def patience_in(environment: Mapping[str, str] = os.environ) -> float:
    """After how many seconds without a sign of life a process is lost: LINNAEA_RANK_TIMEOUT, or 90."""
    given = environment.get(PATIENCE)
    try:
        return parse_duration(given) or USUAL_PATIENCE if given else USUAL_PATIENCE
    except UsageError as error:
        raise UsageError(f"{PATIENCE}: {error}") from None


def _number(environment: Mapping[str, str], name: str, least: int, below: int | None, usual: int | None = None) -> int:
    text = environment.get(name)
    if not text and usual is not None:
        return usual
    number = int(text) if text and text.isascii() and text.isdigit() else -1
    if number < least or (below is not None and number >= below):
        expected = f"{least} to {below - 1}" if below is not None else f"{least} or more"
        raise UsageError(f"{name} is {text!r}; expected a whole number, {expected}: {START}.")
    return number
