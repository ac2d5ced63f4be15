"""Whether anything of the test split was seen before: copies, groups, times, and weights that have learnt from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from linnaea.data.audit import is_leak
from linnaea.errors import RunError
from linnaea.evidence.gate.contract import FAIL, NOT_DONE, PASS, RULES, TEST, Case, Evidence, Judgement, NotDoneError
from linnaea.evidence.gate.parameters import Parameter
from linnaea.run import Run
from linnaea.runtime.words import counted

AUDIT = "findings/audit.json"
MISSED = ("not_all_compared", "alike")  # findings that near-duplicates may be missed
LEARNT_FROM = ("train", "val")
MEND = "Leave out the splits that were given, so that Linnaea keeps copies and groups together, and train again."


@RULES.register("leakage", title="Nothing of the hold-out seen before", order=110)
def leakage(
    case: Case,
    *,
    most: Annotated[int, Parameter("Most test images that may also be in train, by their content.", 0)] = 0,
) -> Judgement:
    """No copy, near-duplicate or group of the test split is in train or val, or was learnt from by earlier weights."""
    case.require_test()
    found = [*_copies(case, most), *_seen_before(case, most)]
    try:
        found += _audited(case)
    except NotDoneError:
        if all(fact.outcome != FAIL for fact, _ in found):  # what is known to have leaked is not made undone by it
            raise
    facts = [fact for fact, _ in found]
    failed = [told for fact, told in found if fact.outcome == FAIL]
    if failed:
        return Judgement(FAIL, " ".join(failed), facts, MEND)
    unknown = [told for fact, told in found if fact.outcome == NOT_DONE]
    if unknown:
        return Judgement(
            NOT_DONE, " ".join(unknown), facts, "Name what belongs together in a `group` column, or audit."
        )
    return Judgement(
        PASS, "No image of the test split, no near-duplicate and no group of it is in train or val.", facts
    )


def _copies(case: Case, most: int) -> Iterator[tuple[Evidence, str]]:
    """Whether files with the same content are on both sides."""
    dataset = case.dataset
    pairs = list(zip(dataset.column("sha256"), dataset.column("split"), strict=True))
    learnt = {digest for digest, split in pairs if split in LEARNT_FROM and digest}
    copied = sum(split == TEST and digest in learnt for digest, split in pairs)
    outcome = PASS if copied <= most else FAIL
    told = f"{counted(copied, 'image')} of the test split {'is' if copied == 1 else 'are'} in train or val too."
    yield (
        Evidence(
            "test images with the content of one in train or val", "manifest.csv", outcome, asked=f"at most {most}"
        ),
        told,
    )


def _audited(case: Case) -> Iterator[tuple[Evidence, str]]:
    """What the audit says of near-duplicates, groups and times across splits."""
    found = case.findings("audit", f"linnaea audit {case.place_of_data}")
    leaks = [finding for finding in found if is_leak(finding)]
    for finding in leaks:
        yield Evidence(finding.name.replace("_", " "), AUDIT, FAIL, finding.figure), finding.summary
    for finding in found:
        if finding.name in MISSED:
            yield Evidence(finding.name.replace("_", " "), AUDIT, NOT_DONE), finding.summary
    if not leaks:
        yield Evidence("near-duplicates, groups and times across splits", AUDIT, PASS), ""


def _seen_before(case: Case, most: int) -> Iterator[tuple[Evidence, str]]:
    """Whether the run whose weights this one began with has learnt from images that are now in test."""
    given = case.record["arguments"].get("weights")
    if not given or not Run.is_in(str(given)):
        yield from _lost_run(case.record)
        return
    try:
        earlier = Run(Path(str(given))).read_rows("manifest.csv")
    except RunError:
        earlier = []
    if not earlier:
        told = f"{given}, whose weights it began with, has no manifest: what they have learnt from cannot be known."
        yield Evidence("images that its weights have learnt from", str(given), NOT_DONE), told
        return
    learnt = {row["sha256"] for row in earlier if row["split"] in LEARNT_FROM}
    dataset = case.dataset
    pairs = zip(dataset.column("sha256"), dataset.column("split"), strict=True)
    seen = sum(split == TEST and digest in learnt for digest, split in pairs)
    told = f"{counted(seen, 'image')} of the test split were in train or val of {given}, whose weights it began with."
    yield (
        Evidence(
            "test images that its weights have learnt from", f"{given}/manifest.csv", FAIL if seen > most else PASS
        ),
        told,
    )


def _lost_run(record: dict[str, Any]) -> Iterator[tuple[Evidence, str]]:
    """That a run whose weights it began with is not there any more."""
    for weights in record.get("way", {}).get("weights", ()):
        if weights and str(weights.get("source", "")).startswith("run "):
            told = (
                f"Its weights come from {weights['source']}, which is not there: what they have learnt from is unknown."
            )
            yield Evidence("images that its weights have learnt from", "run.json", NOT_DONE), told
