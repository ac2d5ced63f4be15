"""All that the command line prints goes through here, so that no name of a file or class acts on the terminal."""

import logging
import sys

import typer

from linnaea.runtime.neutral import neutral, neutral_lines


def say(*lines: str, err: bool = False) -> None:
    """Print lines, on standard error if `err`; each stays one line, whatever the names in it hold."""
    typer.echo("\n".join(map(neutral, lines)), err=err)


def say_text(text: str) -> None:
    """Print a text of several lines, such as a table."""
    typer.echo(neutral_lines(text))


def say_data(text: str) -> None:
    """Print what a program may read: just as it is, unless it goes to a terminal."""
    typer.echo(neutral_lines(text) if sys.stdout.isatty() else text, color=True)


def harmless(record: logging.LogRecord) -> bool:
    """A filter of what is logged, which lets everything pass as one line that does not act on the terminal."""
    record.msg, record.args = neutral(record.getMessage()), ()
    return True
