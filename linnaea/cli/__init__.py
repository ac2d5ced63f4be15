"""The command line: one command per verb, its flags the options of the verb."""

import atexit
import errno
import gc
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from linnaea.cli.application import app
from linnaea.errors import LinnaeaError
from linnaea.runtime.clock import start_command
from linnaea.runtime.saying import say

__all__ = ["app", "main"]

GOES_ON = "A training goes on where it was with the same command and --resume."


def main() -> None:
    """Run the command line; errors raised on purpose become one line and an exit code."""
    start_command()
    atexit.register(_leave)
    with _stopped_alike() as signals:
        _run(signals)


def _leave() -> None:
    """Leave without looking for garbage first where no work was done: that takes as long as all the rest."""
    if "numpy" not in sys.modules:
        gc.freeze()


def _run(signals: Sequence[int]) -> None:
    """Run the command line; `signals` are those that have arrived."""
    try:
        with app.make_context("linnaea", sys.argv[1:]) as context:
            app.invoke(context)
        sys.exit(0)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except LinnaeaError as error:
        say(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        say("Stopped.", err=True)
        sys.exit(128 + (signals[0] if signals else signal.SIGINT))
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        say(f"Error: {_what_the_system_said(error)}", err=True)
        sys.exit(2)


@contextmanager
def _stopped_alike() -> Iterator[list[int]]:
    """Let SIGTERM, as a batch system or `kill` sends it, end a command as Ctrl-C does; gives the signals that came."""
    arrived: list[int] = []

    def stop(number: int, _: object) -> None:
        if not arrived:  # a second one would break off what the first began to put in order
            arrived.append(number)
            raise KeyboardInterrupt

    if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:  # whoever started this process wants something else
        yield arrived
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield arrived
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if arrived else signal.SIG_DFL)


def _what_the_system_said(error: OSError) -> str:
    named = f": {error.filename}" if error.filename else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    goes_on = f" {GOES_ON}" if sys.argv[1:2] in (["train"], ["tune"]) else ""
    mend = f"Make room.{goes_on}" if full else "Check the path and its permissions."
    return f"{error.strerror or error}{named}. Nothing half-written was left behind. {mend}"
