"""Drift: monitoring raised an alarm."""

from collections.abc import Sequence

from linnaea.errors import UsageError
from linnaea.experiments.retraining.triggers.contract import TRIGGERS, Called, Signs
from linnaea.finding import Finding

ALARM = "error"  # the severity of a finding of monitoring that is an alarm
OF_COVERAGE = ("late_coverage", "sequential_coverage")
UNKNOWN = "Nobody monitored what was answered: `linnaea monitor` does, or give its file with --monitoring."


def alarms_in(found: Sequence[Finding]) -> list[Finding]:
    """The findings that are alarms."""
    return [finding for finding in found if finding.severity == ALARM]


def nothing_more(name: str, given: str) -> None:
    """Raise UsageError where something follows the colon of a trigger that takes nothing."""
    if given:
        raise UsageError(f"the retraining trigger {name!r} takes nothing after it, and {given!r} was given.")


def is_of_coverage(finding: Finding) -> bool:
    """Whether a finding is about the coverage that was promised, by labels that came late."""
    return finding.name in OF_COVERAGE


@TRIGGERS.register(
    "drift", title="Drift", meaning="Monitoring raised an alarm, of another kind than one of coverage.", order=10
)
class Drift:
    """Calls where `monitoring.json` holds an alarm that is not about coverage."""

    @staticmethod
    def read(given: str) -> None:
        """It takes nothing."""
        nothing_more("drift", given)

    @staticmethod
    def judge(signs: Signs, asked: None) -> Called:
        """By the first alarm."""
        if signs.monitored is None:
            return Called(False, UNKNOWN)
        alarms = [finding for finding in alarms_in(signs.monitored) if not is_of_coverage(finding)]
        if not alarms:
            return Called(False, "Monitoring raised no alarm of drift.")
        return Called(True, alarms[0].summary)
