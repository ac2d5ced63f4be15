"""Alarms of a log that is looked at again and again, such as every night: each is told once, until it is over."""

from collections.abc import Sequence
from pathlib import Path

from linnaea.delivery.monitoring import ALARM
from linnaea.delivery.monitoring.alerts import Channel, Telling
from linnaea.errors import RunError
from linnaea.finding import Finding
from linnaea.runtime.files import read_json, write_json
from linnaea.runtime.words import counted

OF_ALL = "sequential"  # says what the findings of its streams say


def tell_alarms(findings: Sequence[Finding], channels: Sequence[Channel], file: Path, name: str) -> list[str]:
    """Tell the channels of alarms that are new, and of those that are over; what went wrong, in sentences.

    `file` remembers what was told, and what no channel took; without channels nobody is told, and nothing remembered.
    """
    if not channels:
        return []
    telling, notes = Telling(channels, model=name), list[str]()
    if file.exists():
        try:
            telling.restore(read_json(file))
        except (RunError, LookupError, TypeError, ValueError) as error:
            notes.append(f"{file} cannot be used, and alarms may be told again: {error}")
    told = telling.findings([finding for finding in findings if finding.name != OF_ALL], ALARM)
    if telling.waiting:
        notes.append(f"{counted(telling.waiting, 'alert was', 'alerts were')} not sent, and will be tried next time.")
    if told:
        notes.append(
            f"{counted(len(told), 'alert')}, told {', '.join(type(one).__name__.lower() for one in channels)}."
        )
    write_json(file, telling.to_json())
    return notes
