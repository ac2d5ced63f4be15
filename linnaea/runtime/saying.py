"""All that is printed goes through here, so that no name of a file or class acts on the terminal."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging


def say(*lines: str, err: bool = False) -> None:
    """Print lines, if any, on standard error if `err`; each stays one line, whatever the names in it hold."""
    if not lines:
        return
    from linnaea.runtime.neutral import neutral  # help is shown sooner without it, here and below

    _write("\n".join(map(neutral, lines)), err=err)


def flush() -> None:
    """Let all that was said be out, before the process ends at once."""
    sys.stdout.flush()


def say_text(text: str) -> None:
    """Print a text of several lines, such as a table."""
    from linnaea.runtime.neutral import neutral_lines

    _write(neutral_lines(text))


def say_data(text: str) -> None:
    """Print what a program may read: just as it is, unless it goes to a terminal."""
    from linnaea.runtime.neutral import neutral_lines

    _write(neutral_lines(text) if sys.stdout.isatty() else text)


def say_json(content: Any) -> None:
    """Print what machines read."""
    import json

    from linnaea.runtime.neutral import in_json

    _write(in_json(json.dumps(content, indent=2, ensure_ascii=False)))


def say_findings(findings: Sequence[Any], as_json: bool) -> None:
    """A line for each finding, or all as JSON."""
    if as_json:
        say_json([finding.to_json() for finding in findings])
        return
    for finding in findings:
        say(f"{finding.severity:8} {finding.name}: {finding.summary}")


def say_result(result: Any, as_json: bool) -> None:
    """What a verb found, in its own words or as JSON."""
    if as_json:
        say_json(result.to_json())
    else:
        say_text(str(result))


def harmless(record: "logging.LogRecord") -> bool:
    """A filter of what is logged, which lets everything pass as one line that does not act on the terminal."""
    from linnaea.runtime.neutral import neutral

    record.msg, record.args = neutral(record.getMessage()), ()
    return True


def _write(text: str, *, err: bool = False) -> None:
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()
