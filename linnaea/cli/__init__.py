"""The command line: one command per stage, its flags the keyword arguments of the verb."""

import copy
import errno
import functools
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from linnaea.cli import answering, data, learning, machine
from linnaea.cli.application import app
from linnaea.cli.saying import harmless, say
from linnaea.errors import LinnaeaError
from linnaea.runtime.clock import start_command

__all__ = ["app", "main"]

GOES_ON = "A training goes on where it was with the same command and --resume."

for part in (learning, data, answering, machine):
    app.registered_commands += part.commands.registered_commands


def main() -> None:
    """Run the command line; errors raised on purpose become one line and an exit code."""
    start_command()
    with _stopped_alike() as signals:
        _run(signals)


def _run(signals: Sequence[int]) -> None:
    """Run the command line; `signals` are those that have arrived."""
    try:
        _only(sys.argv[1:2])(prog_name="linnaea")
    except LinnaeaError as error:
        say(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as stop:  # typer answers Ctrl-C with an exit of its own, in silence
        if isinstance(stop, SystemExit) and stop.code != 130:
            raise
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


def _only(wanted: Sequence[str]) -> typer.Typer:
    """The command line on which only the wanted command knows its options: to read those of all takes twice as long."""
    narrow = copy.copy(app)
    narrow.registered_commands = [copy.copy(info) for info in app.registered_commands]
    for info in narrow.registered_commands:
        assert info.callback is not None, "every command is a function"
        name = info.name or info.callback.__name__.replace("_", "-")
        info.callback = _logged(info.callback) if name in wanted else _named_only(info.callback)
    return narrow


def _logged(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, which tells the user what it does."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        import logging
        import warnings

        warnings.filterwarnings("ignore", module=r"PIL\.")  # broken remarks in an image that is read all the same
        logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
        logging.getLogger("linnaea").addFilter(harmless)
        logging.getLogger("linnaea").setLevel(logging.INFO)
        return command(*arguments, **options)

    return run


def _named_only(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command for the list of commands."""

    def listed() -> None:
        raise AssertionError("only the wanted command is called")

    listed.__name__, listed.__doc__ = command.__name__, command.__doc__
    return listed


def _what_the_system_said(error: OSError) -> str:
    named = f": {error.filename}" if error.filename else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    mend = f"Make room. {GOES_ON}" if full else "Check the path and its permissions."
    return f"{error.strerror or error}{named}. Nothing half-written was left behind. {mend}"
