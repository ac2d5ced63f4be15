"""Every so often, and always: by the clock, whatever was seen."""

import re
from datetime import datetime, timedelta

from linnaea.errors import UsageError
from linnaea.experiments.retraining.triggers.contract import TRIGGERS, Called, Signs
from linnaea.experiments.retraining.triggers.drift import nothing_more

USUAL = "30d"
DAYS = {"h": 1 / 24, "d": 1, "w": 7}
LENGTH = re.compile(r"(\d+(?:\.\d+)?)([hdw])")
DAY = timedelta(days=1)


@TRIGGERS.register(
    "every",
    title="Calendar",
    meaning="So much time has passed since the run was trained: `every:30d` unless given otherwise, in h, d or w.",
    order=40,
)
class Every:
    """Calls where the run is older than that."""

    @staticmethod
    def read(given: str) -> timedelta:
        """Hours, days or weeks."""
        found = LENGTH.fullmatch(given or USUAL)
        if found is None or not float(found[1]) > 0:
            raise UsageError(f"every:{given} is no time: expected hours, days or weeks, such as every:{USUAL}.")
        return timedelta(days=float(found[1]) * DAYS[found[2]])

    @staticmethod
    def judge(signs: Signs, asked: timedelta) -> Called:
        """By when the run was finished; a clock that stands before that is no reason to train."""
        record = signs.run.record()
        ended = datetime.fromisoformat(record.get("finished") or record["started"])
        age = signs.now - ended
        if age < timedelta(0):
            return Called(
                False, f"The clock stands {_days(-age)} before {ended.isoformat()}, when the run ended: set it."
            )
        return Called(age >= asked, f"The run is {_days(age)} old, and {_days(asked)} were asked for.")


@TRIGGERS.register("always", title="Always", meaning="Whenever it is asked, whatever was seen.", order=50)
class Always:
    """Calls."""

    @staticmethod
    def read(given: str) -> None:
        """It takes nothing."""
        nothing_more("always", given)

    @staticmethod
    def judge(signs: Signs, asked: None) -> Called:
        """It was asked."""
        return Called(True, "It was asked for.")


def _days(time: timedelta) -> str:
    return f"{time / DAY:.1f} days"
