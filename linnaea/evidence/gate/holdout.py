"""Whether there is a hold-out that figures can be defended by: its size, its distribution, and how it was used."""

from collections import defaultdict
from typing import Annotated

import numpy as np

from linnaea.data.times import UNKNOWN, moments
from linnaea.errors import DataError
from linnaea.evidence.gate.contract import FAIL, PASS, RULES, TEST, TOO_FEW, Case, Evidence, Judgement, NotDoneError
from linnaea.evidence.gate.parameters import Parameter
from linnaea.runtime.words import counted

MANIFEST, RECORD = "manifest.csv", "run.json"
IN_ORDER = 0.8  # chance that a test image is younger than one of train, from which the split follows time


@RULES.register("holdout_size", title="A hold-out of enough images", order=10)
def holdout_size(
    case: Case, *, least: Annotated[int, Parameter("Fewest images of the test split.", 1)] = 100
) -> Judgement:
    """There is a test split, which chose nothing, of enough images."""
    count = case.dataset.column("split").count(TEST)
    asked = f"at least {least:,} images"
    if not count:
        return Judgement(
            FAIL,
            "There is no test split: every figure is of images that also chose the model.",
            [Evidence("images of the test split", MANIFEST, FAIL, asked=asked)],
            "Give the data a test split, and train again.",
        )
    outcome = PASS if count >= least else TOO_FEW
    needed = max(least - count, 0)
    told = f"he test split has {counted(count, 'image')}, and {asked} are asked"
    sentence = f"Too few images to tell: t{told}; {needed:,} more are needed." if needed else f"T{told}."
    mend = f"Add {needed:,} images to the test split." if needed else ""
    facts = [Evidence(f"{count:,} images of the test split", MANIFEST, outcome, asked=asked, needed=needed or None)]
    return Judgement(outcome, sentence, facts, mend)


@RULES.register("holdout_like_future", title="A hold-out like what is to come", order=20)
def holdout_like_future(
    case: Case,
    *,
    fewest_groups: Annotated[int, Parameter("Fewest groups, such as patients or sites, in the test split.", 1)] = 5,
) -> Judgement:
    """The test split is of other groups than train, or of a later time: not more of what was learnt from."""
    case.require_test()
    dataset, splits = case.dataset, case.dataset.column("split")
    known = [name for name in ("group", "time") if dataset.has(name)]
    if not known:
        raise NotDoneError(
            "the data says neither what belongs together nor when it was taken, so that a hold-out drawn by chance "
            "may be more alike to train than what is to come.",
            "Give the data a `group` column (patient, site, device) or a `time` column, and train again.",
        )
    if "group" in known:
        return _by_group(dataset.column("group"), splits, fewest_groups)
    return _by_time(dataset.column("time"), splits)


def _by_group(groups: list[str | None], splits: list[str], fewest: int) -> Judgement:
    found: dict[str, set[str]] = defaultdict(set)
    for group, split in zip(groups, splits, strict=True):
        if group is not None:
            found[group].add(split)
    tested = [group for group, parts in found.items() if TEST in parts]
    torn = [group for group in tested if len(found[group]) > 1]
    what = f"{counted(len(tested), 'group')} in test, {len(torn)} of them in train or val too"
    if torn:
        told = (
            f"{counted(len(torn), 'group')} of the test split {'is' if len(torn) == 1 else 'are'} in train or val too"
        )
        mend = "Split by group: leave out the splits that were given, so that Linnaea keeps groups together."
        return Judgement(FAIL, f"{told}, first {sorted(torn)[0]}.", [Evidence(what, MANIFEST, FAIL)], mend)
    if len(tested) < fewest:
        more = fewest - len(tested)
        return Judgement(
            TOO_FEW,
            f"Too few groups to tell: the test split has {counted(len(tested), 'group')}, and at least {fewest} are "
            f"asked; {more} more are needed.",
            [Evidence(what, MANIFEST, TOO_FEW, asked=f"at least {fewest} groups", needed=more)],
            f"Add images of {more} more groups to the test split.",
        )
    return Judgement(
        PASS,
        f"The test split is of {counted(len(tested), 'group')} of which none is in train or val.",
        [Evidence(what, MANIFEST, PASS, asked=f"at least {fewest} groups")],
    )


def _by_time(times: list[str | None], splits: list[str]) -> Judgement:
    try:
        when = moments(times)
    except DataError as error:
        raise NotDoneError(f"the times cannot be read: {error}", "Mend the `time` column, and train again.") from None
    parts = np.array(splits)
    train, test = (np.sort(when[(parts == part) & (when != UNKNOWN)]) for part in ("train", TEST))
    if not len(train) or not len(test):
        raise NotDoneError("train or test has no known time.", "Fill the `time` column, and train again.")
    below = np.searchsorted(train, test, side="left") + np.searchsorted(train, test, side="right")
    later = float(below.mean() / 2 / len(train))
    what = f"a test image is younger than one of train with a chance of {later:.2f}"
    if later >= IN_ORDER:
        return Judgement(PASS, f"The test split is of a later time: {what}.", [Evidence(what, MANIFEST, PASS)])
    return Judgement(
        FAIL,
        f"The data has times, and the test split is not of a later time than train: {what}.",
        [Evidence(what, MANIFEST, FAIL, asked=f"at least {IN_ORDER}")],
        "Train again with --split-by time.",
    )


@RULES.register("holdout_openings", title="A hold-out that was not used up", order=40)
def holdout_openings(
    case: Case, *, most: Annotated[int, Parameter("Most looks at the test split, this one not counted.", 1)] = 5
) -> Judgement:
    """The sealed test split was opened a few times at most: each look lets a choice lean on it."""
    case.require_test()
    looks = case.record["test_opened"]
    by = ", ".join(dict.fromkeys(str(look.get("by")) for look in looks))
    what = f"opened {counted(len(looks), 'time')}{f', by {by}' if by else ''}"
    if len(looks) <= most:
        facts = [Evidence(what, RECORD, PASS, asked=f"at most {most}")]
        return Judgement(PASS, f"The test split was {what}, and at most {most} looks are allowed.", facts)
    return Judgement(
        FAIL,
        f"The test split was {what}, and at most {most} looks are allowed: what was chosen since may lean on it.",
        [Evidence(what, RECORD, FAIL, asked=f"at most {most}")],
        "Judge it once on images that nobody has looked at: linnaea evaluate RUN OTHER_IMAGES.",
    )
