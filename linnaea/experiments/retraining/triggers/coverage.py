"""Coverage: prediction sets hold the true class less often than promised."""

from linnaea.experiments.retraining.triggers.contract import TRIGGERS, Called, Signs
from linnaea.experiments.retraining.triggers.drift import ALARM, UNKNOWN, is_of_coverage, nothing_more

MISSED = {"late_coverage": ("warning", ALARM), "sequential_coverage": (ALARM,)}  # the severities that say so


@TRIGGERS.register(
    "coverage",
    title="Coverage",
    meaning="Monitoring found, by labels that came late, that prediction sets hold the true class too seldom.",
    order=20,
)
class Coverage:
    """Calls where `monitoring.json` says that coverage, by labels that came late, is missed."""

    @staticmethod
    def read(given: str) -> None:
        """It takes nothing."""
        nothing_more("coverage", given)

    @staticmethod
    def judge(signs: Signs, asked: None) -> Called:
        """By the first finding that coverage is missed, or by what else is said of it; a suspicion is none."""
        if signs.monitored is None:
            return Called(False, UNKNOWN)
        told = [finding for finding in signs.monitored if is_of_coverage(finding)]
        missed = next((finding for finding in told if finding.severity in MISSED[finding.name]), None)
        if missed is not None:
            return Called(True, missed.summary)
        if told:
            return Called(False, told[0].summary)
        return Called(False, "Monitoring says nothing of coverage: it needs labels that came late.")
