"""A retraining from what calls for it to the decision: nothing is promoted silently, and nothing kept back silently."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from linnaea.classifier import load
from linnaea.classifier.content import DESCRIPTION
from linnaea.classifier.signature import Trust
from linnaea.delivery.bill_of_materials import with_bill
from linnaea.delivery.model_registries.promotion import Moved, Place, description_of, in_use, promote
from linnaea.delivery.report import write_report
from linnaea.delivery.report.retraining import render_retraining
from linnaea.errors import DataError, RegistryError, UsageError
from linnaea.experiments.asked_training import train_as_asked
from linnaea.experiments.finished_run import placed
from linnaea.experiments.retraining.deciding import Demands, Judged, judged, require_test_set
from linnaea.experiments.retraining.settings import free_beside, settings_of
from linnaea.experiments.retraining.triggers import Called, Signs, called, read_triggers
from linnaea.experiments.retraining.version import NewVersion, Shares, new_to, new_version, reviewed_images
from linnaea.finding import Finding
from linnaea.run import Run, now
from linnaea.runtime.files import sha256_of, write_json, write_text

logger = logging.getLogger("linnaea")
RECORD, PAGE, FINDING = "retraining.json", "retraining.html", "retrained"
PROMOTED, KEPT_BACK, PASSED, NOT_CALLED = "promoted", "kept back", "passed", "not called for"


@dataclass(frozen=True)
class Retrained:
    """What came of it: what called, and where something did, the new run, its data, what was judged, and the move.

    `outcome` is one of `PROMOTED`, `KEPT_BACK`, `PASSED` (all reasons hold, and no place was given) and `NOT_CALLED`.
    `why_not` says what kept it from being promoted other than the reasons, "" where nothing did.
    """

    old: Path
    called: Mapping[str, Called]
    decided: str
    new: Path | None = None
    version: NewVersion | None = None
    judged: Judged | None = None
    moved: Moved | None = None
    place: Place | None = None
    why_not: str = ""

    @property
    def outcome(self) -> str:
        """What came of it, in a word."""
        if self.judged is None:
            return NOT_CALLED
        if self.moved is not None:
            return PROMOTED
        return PASSED if self.judged.passed and not self.why_not else KEPT_BACK

    @property
    def sentence(self) -> str:
        """The decision."""
        if self.judged is None or self.new is None:
            return f"{self.old} is not trained again: nothing calls for it."
        if self.moved is not None:
            return f"{self.new} is promoted: {self.place} is version {self.moved.move.version} now."
        if self.outcome == PASSED:
            return f"{self.new} may take the place of {self.old}; nothing was promoted, since no place was given."
        lacking = [reason.name for reason in self.judged.reasons if not reason.holds]
        why = ", ".join(lacking) + " does not hold" if lacking else self.why_not
        return f"{self.new} is kept back, and {self.old} stays in use: {why}."

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types: the decision with each of its reasons."""
        return {
            "outcome": self.outcome,
            "sentence": self.sentence,
            "decided": self.decided,
            "old": str(self.old),
            "new": None if self.new is None else str(self.new),
            "called": {words: asdict(one) for words, one in self.called.items()},
            "data": None if self.version is None else self.version.to_json(),
            "reasons": [] if self.judged is None else [reason.to_json() for reason in self.judged.reasons],
            "comparisons": {}
            if self.judged is None
            else {name: found.to_json() for name, found in self.judged.comparisons.items()},
            "place": None if self.place is None else self.place.source,
            "moved": None if self.moved is None else self.moved.to_json(),
            "why_not": self.why_not,
        }

    def __str__(self) -> str:
        lines = [f"{'calls' if one.calls else 'silent':8} {words}: {one.because}" for words, one in self.called.items()]
        if self.version is not None:
            lines.append(str(self.version))
        for reason in self.judged.reasons if self.judged is not None else ():
            lines.append(f"{'holds' if reason.holds else 'fails':8} {reason.name}: {reason.because}")
        return "\n".join([*lines, "", self.sentence])


@dataclass(frozen=True)
class Order:
    """What is asked of a retraining; see `linnaea.retrain`."""

    review: Path | None = None
    when: Sequence[str] = ()
    out: Path | None = None
    shares: Shares = field(default_factory=Shares)
    demands: Demands = field(default_factory=Demands)
    place: Place | None = None
    warm_start: bool = False
    resume: bool = False
    device: str = "auto"
    trust: Trust = None
    monitored: Callable[[], Sequence[Finding] | None] = field(default=lambda: None)


def retrain(run: Run, order: Order) -> Retrained:
    """Look whether anything calls for a training; if so train, compare, check, and promote where all of it holds."""
    if order.resume and order.out is None:
        raise UsageError(
            "there is nothing to resume without the folder of the new run, which would be another one each time: name "
            "the one that was interrupted with --out."
        )
    run.require_finished()
    require_test_set(run)
    read_triggers(order.when)
    settings = settings_of(run, warm_start=order.warm_start)
    given = None if order.review is None else new_to(run, reviewed_images(run, order.review))
    signs = Signs(run, datetime.now(UTC), order.monitored(), None if given is None else len(given[0]))
    answers = called(signs, order.when)
    result = Retrained(run.folder, answers, now(), place=order.place)
    if not any(one.calls for one in answers.values()):
        return result
    if given is None or not len(given[0]):
        raise _nothing_new(run, order, answers, given is not None)
    before = placed(load(run.model_folder, trust=order.trust), None, order.device)
    expected = None if order.place is None else _incumbent(run, order.place, order.trust)
    version = new_version(run, *given, order.shares, before.recipe)
    logger.info(str(version))
    out = free_beside(run) if order.out is None else order.out
    facts = {"retrained_from": str(run.folder.resolve()), "reviewed": str(order.review)}
    if order.resume and _waits(out, version, facts):
        logger.info(f"{out} is trained, and was never judged: that is what is left.")
    else:
        train_as_asked(version.dataset, settings, out, resume=order.resume, more=facts)
    new = Run.open(out)
    found = judged(run, new, before, version.fresh["test"], order.demands, order.device)
    result = replace(result, new=out, version=version, judged=found)
    if order.place is not None and found.passed:
        result = _promoted(result, run, new, order.place, expected)
    _record(result, new)
    return result


def _waits(out: Path, version: NewVersion, facts: Mapping[str, str]) -> bool:
    """Whether this retraining was stopped between the training and the decision."""
    if not Run.is_in(out) or (out / RECORD).exists():
        return False
    run = Run.open(out)
    record = run.record()
    same = all(record["arguments"].get(name) == value for name, value in facts.items())
    return same and record["status"] == "finished" and run.dataset().fingerprint == version.dataset.fingerprint


def _nothing_new(run: Run, order: Order, answers: Mapping[str, Called], reviewed: bool) -> DataError:
    calling = "; ".join(f"{words}: {one.because}" for words, one in answers.items() if one.calls)
    lacking = (
        f"every image in {order.review} is one of the run already" if reviewed else "no reviewed labels were given"
    )
    return DataError(
        f"{run.folder} should be trained again ({calling}), but {lacking}: label images with `linnaea review "
        f"{run.folder}` and give their folder with --review."
    )


def _incumbent(run: Run, place: Place, trust: Trust) -> int | None:
    """The version in use, which is that of the old run; None where nothing is in use.

    What a push needs is looked at before the training: raises MissingExtraError where a library is missing. Raises
    RegistryError where something else is in use: then the comparison would be with the wrong one.
    """
    with_bill(run.model_folder)
    version = in_use(place)
    if version is None:
        return None
    if description_of(place, version, trust) != sha256_of(run.model_folder / DESCRIPTION):
        raise RegistryError(
            f"{place} is version {version.number}, which is not the classifier of {run.folder}: retrain the run that "
            f"is in use, or put this one there with `linnaea push {run.folder} {place.target} --tag {place.tag}`."
        )
    return version.number


def _promoted(result: Retrained, old: Run, new: Run, place: Place, expected: int | None) -> Retrained:
    """With the move, or with the reason why somebody else's move was respected.

    Where nothing was in use, the old run is promoted first, so that it can be brought back.
    """
    assert result.judged is not None, "it was judged"
    reason = " ".join(one.because for one in result.judged.reasons)
    try:
        if expected is None:
            before = f"It was in use before {old.folder.name} was trained again."
            expected = promote(old.model_folder, place, expected=None, reason=before).version.number
        return replace(result, moved=promote(new.model_folder, place, expected=expected, reason=reason))
    except (RegistryError, OSError) as error:
        logger.warning(str(error))
        return replace(result, why_not=str(error))


def _record(result: Retrained, new: Run) -> None:
    """Write the decision into the new run: as JSON, as a page, and as a finding of its report."""
    content = result.to_json()
    write_json(new.folder / RECORD, content)
    write_text(new.folder / PAGE, render_retraining(content))
    rows = [{"reason": one["name"], "holds": one["holds"], "because": one["because"]} for one in content["reasons"]]
    severity = "info" if result.outcome in (PROMOTED, PASSED) else "warning"
    new.write_findings(FINDING, [Finding(FINDING, result.sentence, severity, rows=rows)])
    write_report(new.folder)
