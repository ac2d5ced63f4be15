"""What the machine may do, and what makes it do the same again."""

from dataclasses import dataclass
from typing import Annotated

from linnaea.options import checks
from linnaea.options.option import Option, Options
from linnaea.runtime.arguments import DEVICES, MEMORY_FORMATS, PRECISIONS, STRATEGIES, require_seed
from linnaea.runtime.duration import parse_duration


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Machine(Options):
    """What the machine may do.

    `time_limit` is in seconds or like "10m" and holds for the whole command: each step of the ladder looks at it while
    it works, and learns from fewer images or for fewer epochs where time is short. `checkpoint_every` is also a time:
    at most that much is lost when the machine fails. `precision` and `memory_format` "auto" measure which formats are
    fastest here; fix the precision ("float32", "bfloat16") for runs that are to be repeated to the last digit. `seed`
    is the seed for all random numbers. `strategy` says how several processes, which torchrun starts, share a network.
    """

    title = "Machine"

    time_limit: Annotated[
        str | float | None,
        Option(
            "Time limit for the whole command, such as 90s, 10m or 1h30m. Default: no limit.",
            checks.readable_by(parse_duration),
        ),
    ] = None
    checkpoint_every: Annotated[
        str | float,
        Option(
            "Time between checkpoints within an epoch; longer where writing takes more than 2 % of it.",
            checks.readable_by(parse_duration),
        ),
    ] = "60s"
    seed: Annotated[int, Option("Seed for all random numbers.", lambda name, given: require_seed(given, name))] = 0
    device: Annotated[str, Option("Device to compute on: auto, cpu, cuda or mps.", checks.one_of(*DEVICES))] = "auto"
    precision: Annotated[
        str,
        Option(
            "Number format: auto (the fastest, as measured), float32, bfloat16, or float16 on cuda.",
            checks.one_of(*PRECISIONS),
        ),
    ] = "auto"
    memory_format: Annotated[
        str,
        Option(
            "Memory layout: auto (the fastest, as measured), channels_last or contiguous.",
            checks.one_of(*MEMORY_FORMATS),
        ),
    ] = "auto"
    strategy: Annotated[
        str,
        Option(
            "How several processes share a network: auto, ddp (each has all of it) or fsdp (each has a part).",
            checks.one_of(*STRATEGIES),
        ),
    ] = "auto"
