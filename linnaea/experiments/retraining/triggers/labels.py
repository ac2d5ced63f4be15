"""Labels: enough images were reviewed."""

from linnaea.errors import UsageError
from linnaea.experiments.retraining.triggers.contract import TRIGGERS, Called, Signs
from linnaea.runtime.words import counted

USUAL = 200


@TRIGGERS.register(
    "labels",
    title="Label budget",
    meaning="So many reviewed images are new to the run: `labels:200` unless another number is given.",
    order=30,
)
class Labels:
    """Calls where as many labels are there as were to be bought before a training is worth its while."""

    @staticmethod
    def read(given: str) -> int:
        """A whole number from 1 up."""
        if given and (not given.isdecimal() or int(given) < 1):
            raise UsageError(f"labels:{given} has no number of labels: expected 1 or more, such as labels:{USUAL}.")
        return int(given or USUAL)

    @staticmethod
    def judge(signs: Signs, asked: int) -> Called:
        """By their number."""
        if signs.labels is None:
            return Called(False, "There are no reviewed labels: `linnaea review` makes some; give them with --review.")
        found = counted(signs.labels, "reviewed image is", "reviewed images are")
        return Called(signs.labels >= asked, f"{found} new to the run, and {asked:,} were asked for.")
