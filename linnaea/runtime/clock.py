"""When the command began that is being run."""

import time

_started: float | None = None


def start_command() -> None:
    """Let a time limit count from now on, before the libraries that do the work are loaded."""
    global _started
    _started = time.monotonic()


def command_started() -> float:
    """The start of the command, as a time of `time.monotonic`; now where no command was started, or it was asked for.

    One command is one verb: the next one that is called in the same process begins when it is called.
    """
    global _started
    started, _started = _started, None
    return time.monotonic() if started is None else started
