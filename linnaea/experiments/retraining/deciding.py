"""Whether a run that was trained again takes the place of the old one: reasons, each of which must hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linnaea.classifier import Classifier
from linnaea.dataset import Dataset
from linnaea.errors import UsageError
from linnaea.evidence.comparison.many import Comparisons, compare_many, require_margin
from linnaea.experiments.evaluation_images import known_images
from linnaea.experiments.release import check_run
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.statistics.margins import BETTER, EQUIVALENT, NOT_WORSE

OLD, NEW = "old", "new"
CHOSEN = (
    "It is so of images that were reviewed: where these were chosen because the old one was in doubt or wrong, another "
    "run that is no better than it may do better on them."
)
GOOD_ENOUGH = (EQUIVALENT, NOT_WORSE, BETTER)
ASKED_OF_NEW = ("better", "not_worse")


@dataclass(frozen=True)
class Reason:
    """One thing that is asked before a promotion: its name, whether it holds, and the sentence that says why."""

    name: str
    holds: bool
    because: str

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {"name": self.name, "holds": self.holds, "because": self.because}


@dataclass(frozen=True)
class Demands:
    """What is asked: on the old test set not worse by `margin`; on the new one `better`, or `not_worse` by it.

    `rules` are those of the release gate, see `linnaea.check`.
    """

    margin: float = 0.02
    on_new: str = "better"
    rules: Mapping[str, Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Judged:
    """The reasons, and the comparisons on the old and on the new test set that they rest on."""

    reasons: Sequence[Reason]
    comparisons: Mapping[str, Comparisons]

    @property
    def passed(self) -> bool:
        """Whether all of them hold."""
        return all(reason.holds for reason in self.reasons)


def require_test_set(run: Run) -> None:
    """Raise UsageError for a run without a test split: nothing could be compared on it."""
    if run.judged_on != "test":
        raise UsageError(
            f"{run.folder} has no test split, so that nothing could tell whether another run is better: train one with "
            "a test split first."
        )


def judged(old: Run, new: Run, before: Classifier, fresh: Sequence[str], demands: Demands, device: str) -> Judged:
    """Compare a new run with the old one, on what the old one was tested on and on `fresh` images, and check it.

    `before` is the classifier of the old run. All are looks at a test split, which are counted.
    """
    answers = new.predictions("test")
    images = new.dataset()
    comparisons = {
        OLD: _compared(old.predictions("test"), answers, demands.margin),
        NEW: _compared(before.predict(known_images(_only(images, fresh), before)), answers, demands.margin),
    }
    for run, other in ((old, new), (new, old)):
        with run.locked():
            run.count_test(f"retrain, compared with {other.folder.name}")
    reasons = [_not_worse(comparisons[OLD], "old_test", "old", demands.margin)]
    if demands.on_new == "better":
        reasons.append(_better(comparisons[NEW]))
    else:
        reasons.append(_not_worse(comparisons[NEW], "new_test", "new", demands.margin))
    reasons.append(_checked(new, demands.rules or {}, device))
    return Judged(reasons, comparisons)


def _only(images: Dataset, ids: Sequence[str]) -> Dataset:
    wanted = set(ids)
    return images.take(row for row, name in enumerate(images.ids) if name in wanted)


def _compared(before: Predictions, after: Predictions, margin: float) -> Comparisons:
    return compare_many({OLD: before, NEW: after}, margin=margin)


def _not_worse(found: Comparisons, name: str, which: str, margin: float) -> Reason:
    (pair,) = found.pairs
    verdict = None if pair.within is None else pair.within.verdict
    holds = verdict in GOOD_ENOUGH
    size = f"by {_amount(margin, found)} or more"
    told = f"On the {which} test set of {found.n:,} images {_figures(found)}"
    if holds:
        return Reason(name, True, f"{told}: it is shown not to be worse {size}.")
    needed = pair.images_for_margin[0] if pair.images_for_margin is not None else None
    more = f"; about {needed:,} images would decide it, were it to stay so" if needed else ""
    why = verdict or pair.test.removeprefix("none: ")
    return Reason(name, False, f"{told}: it is not shown that it is not worse {size} ({why}){more}.")


def _better(found: Comparisons) -> Reason:
    (pair,) = found.pairs
    told = f"On the new test set of {found.n:,} images {_figures(found)}"
    p = "" if pair.p_value is None else f", {pair.test} p = {pair.p_value:.3g}"
    if pair.better == NEW:
        return Reason("new_test", True, f"{told}: it is shown to be better{p}. {CHOSEN}")
    needed = f"; about {pair.images_to_decide:,} images would show it" if pair.images_to_decide else ""
    return Reason("new_test", False, f"{told}: it is not shown to be better{p}{needed}.")


def _figures(found: Comparisons) -> str:
    old, new = (found.values[name].value for name in (OLD, NEW))
    if old is None or new is None:
        return f"{found.metric} is not defined"
    return f"{found.metric} was {_shown(old, found)} and is {_shown(new, found)}"


def _shown(value: float, found: Comparisons) -> str:
    return f"{100 * value:.1f} %" if found.share else f"{value:.3f}"


def _amount(margin: float, found: Comparisons) -> str:
    return f"{100 * margin:g} points" if found.share else f"{margin:g}"


def _checked(run: Run, rules: Mapping[str, Mapping[str, Any]], device: str) -> Reason:
    found = check_run(run, rules, device=device)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in found.counts.items())
    failed = found.failed()
    if not failed:
        return Reason("check", True, f"The release gate found: {counts}.")
    told = "; ".join(f"{verdict.rule}: {verdict.sentence}" for verdict in failed)
    return Reason("check", False, f"The release gate fails ({counts}): {told}")


def require_demands(margin: float, on_new: str, rules: Mapping[str, Mapping[str, Any]]) -> Demands:
    """What is asked; raises UsageError for a margin that is none."""
    require_margin(margin)
    if on_new not in ASKED_OF_NEW:
        raise UsageError(f"on_new is {on_new!r}; expected one of {', '.join(ASKED_OF_NEW)}.")
    return Demands(margin, on_new, rules)
