"""How a log is kept: how surely, in files of which size, with the images or without, and what when it cannot be."""

from dataclasses import dataclass

SYNC = ("answer", "second", "system")
ON_FAILURE = ("refuse", "continue")
IMAGES = "images"  # the folder of those that are kept, within that of the log
ROTATE_BYTES = 64 * 10**6


@dataclass(frozen=True)
class LogPolicy:
    """How a log is kept.

    A record is always handed to the operating system before its answer leaves, so that it outlives the server. `sync`
    is when it must be on the disk, to outlive the machine: with "answer" before the answer leaves, with "second" a
    second later at most, with "system" whenever the system writes it. `rotate_bytes` is the size at which a next file
    is begun. `on_failure` says what happens to answers that cannot be logged: "refuse" withholds them, "continue" gives
    them, counts them and says so in the log as soon as it can be written again.
    """

    sync: str = "second"
    rotate_bytes: int = ROTATE_BYTES
    keep_images: bool = False
    on_failure: str = "refuse"
