"""Figures held to a bound by their interval: shown to keep it, shown to miss it, or too few images to tell."""

from collections.abc import Sequence
from dataclasses import dataclass

from linnaea.evidence.gate.contract import FAIL, PASS, TOO_FEW, Evidence, Judgement
from linnaea.evidence.outlook import images_to_aim_for
from linnaea.finding import Estimate
from linnaea.runtime.words import counted

AT_LEAST, AT_MOST = "at least", "at most"
WORST_FIRST = (FAIL, TOO_FEW, PASS)


@dataclass(frozen=True)
class Held:
    """A figure with its 95 % interval that is asked to be at least or at most a bound.

    `surely` are wider limits, by which alone it is said to miss the bound where several figures are held to one: the
    interval of one in many lies on the wrong side by chance. `noun` is what it is a figure of, in singular and plural;
    `is_share` says that more images narrow it as they do a share; `unit` is "%" or "points" or nothing.
    """

    what: str
    figure: Estimate
    side: str
    bound: float
    file: str
    noun: tuple[str, str] = ("image", "images")
    surely: tuple[float, float] | None = None
    is_share: bool = True
    unit: str = "%"

    @property
    def outcome(self) -> str:
        """Pass where the whole interval is on the right side of the bound, fail where all of it is on the wrong one."""
        lo, hi = self.figure.lo, self.figure.hi
        if lo is None or hi is None:
            return TOO_FEW
        low, high = self.surely or (lo, hi)
        if self.side == AT_LEAST:
            return PASS if lo >= self.bound else FAIL if high < self.bound else TOO_FEW
        return PASS if hi <= self.bound else FAIL if low > self.bound else TOO_FEW

    @property
    def needed(self) -> int | None:
        """About how many further images would decide it, should it stay where it is; None where it is or none would."""
        if self.outcome != TOO_FEW:
            return None
        total = images_to_aim_for(self.figure, self.bound, is_share=self.is_share)
        return None if total is None else total - self.figure.n

    @property
    def distance(self) -> float:
        """How far the figure lies on the wrong side of the bound; below 0 on the right one."""
        value = self.bound if self.figure.value is None else self.figure.value
        return self.bound - value if self.side == AT_LEAST else value - self.bound

    def __str__(self) -> str:
        figure = self.figure
        if figure.value is None:
            return f"{self.what} is not known, as there are no {self.noun[1]}, and {self.asked} {self._is} asked"
        ends = (
            "no interval" if figure.lo is None or figure.hi is None else f"{self._n(figure.lo)} to {self._n(figure.hi)}"
        )
        return (
            f"{self.what} is {self._n(figure.value)}{self._unit} ({ends}) on {counted(figure.n, *self.noun)}, and "
            f"{self.asked} {self._is} asked"
        )

    @property
    def asked(self) -> str:
        """What is asked, in words."""
        return f"{self.side} {100 * self.bound:.4g}{self._unit}" if self.unit else f"{self.side} {self.bound:.4g}"

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""

    @property
    def _is(self) -> str:
        return "are" if self.unit == "points" else "is"

    def _n(self, value: float) -> str:
        return f"{100 * value + 0.0:.1f}" if self.unit else f"{value:.3f}"

    @property
    def evidence(self) -> Evidence:
        """As a fact of a verdict."""
        return Evidence(self.what, self.file, self.outcome, self.figure, self.asked, self.needed)


def held(facts: Sequence[Held], mend: str, shown: str = "") -> Judgement:
    """What figures say that are held to bounds: the gravest outcome of all, told by the worst of them.

    `mend` is how to mend what fails; `shown` is said first of what passes.
    """
    worst = min(facts, key=lambda fact: (WORST_FIRST.index(fact.outcome), -fact.distance))
    outcome = worst.outcome
    alike = sum(fact.outcome == outcome for fact in facts)
    of = f" The same holds for {alike} of {len(facts)} figures." if len(facts) > 1 and outcome != PASS else ""
    evidence = [fact.evidence for fact in facts]
    told = str(worst)
    told = f"{told[0].upper()}{told[1:]}"
    if outcome == PASS:
        which = f"{shown} " if shown else ""
        return Judgement(PASS, f"{which}{'The weakest of them: ' + str(worst) if len(facts) > 1 else told}.", evidence)
    if outcome == FAIL:
        return Judgement(FAIL, f"{told}.{of}", evidence, mend)
    return Judgement(
        TOO_FEW, f"Too few {worst.noun[1]} to tell: {worst}{_more(worst)}.{of}", evidence, _get_more(worst)
    )


def _more(fact: Held) -> str:
    if fact.needed is None:
        return "; no realistic number of images would decide it"
    return f"; about {fact.needed:,} more would decide it, should it stay there"


def _get_more(fact: Held) -> str:
    count = "more" if fact.needed is None else f"about {fact.needed:,} more"
    return f"Add {count} {fact.noun[1]} to the test split, or ask for less."
