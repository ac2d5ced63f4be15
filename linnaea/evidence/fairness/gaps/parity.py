"""Gaps in how often classes are answered and found: the definitions of fairlearn, one class against the rest."""

import numpy as np

from linnaea.arrays import Flags, Floats
from linnaea.evidence.fairness.gaps.contract import GAPS, Rate
from linnaea.evidence.fairness.gaps.facts import Facts


@GAPS.register(
    "accuracy_difference",
    title="Accuracy",
    meaning="Share of right answers; with several labels, of right decisions about labels.",
    order=10,
)
def accuracy(facts: Facts) -> list[Rate]:
    """How often answers are right (overall accuracy equality)."""
    return [Rate(facts.right, facts.counted, what="right answers")]


@GAPS.register(
    "demographic_parity_difference",
    title="Demographic parity",
    meaning="How often a class is answered, whatever is true (Dwork et al. 2012).",
    order=20,
    unequal="the class may truly be more frequent in one group than in another",
)
def demographic_parity(facts: Facts) -> list[Rate]:
    """How often each class is answered; of two the positive one."""
    return [
        Rate(facts.answered(number).astype(np.float64), facts.counted, facts.name(number), "answered so")
        for number in facts.looked_at.tolist()
    ]


@GAPS.register(
    "equal_opportunity_difference",
    title="Equal opportunity",
    meaning="How often images of a class are found: the true positive rate (Hardt et al. 2016).",
    order=30,
)
def equal_opportunity(facts: Facts) -> list[Rate]:
    """How often the images of each class are answered with it; of two classes those of the positive one."""
    return [rate for number in facts.looked_at.tolist() for rate in [_found(facts, number)] if rate.used.any()]


@GAPS.register(
    "equalized_odds_difference",
    title="Equalised odds",
    meaning="The larger of the gaps in true positive and in false positive rates (Hardt et al. 2016).",
    order=40,
)
def equalized_odds(facts: Facts) -> list[Rate]:
    """How often each class is answered where it is true, and where it is not."""
    rates = [rate for number in facts.looked_at.tolist() for rate in (_found(facts, number), _false(facts, number))]
    return [rate for rate in rates if rate.used.any()]


def _found(facts: Facts, number: int) -> Rate:
    there, known = facts.truth(number)
    return Rate(_flags(facts.answered(number)), there & known, facts.name(number), "found where true")


def _false(facts: Facts, number: int) -> Rate:
    there, known = facts.truth(number)
    return Rate(_flags(facts.answered(number)), known & ~there, facts.name(number), "answered where not true")


def _flags(values: Flags) -> Floats:
    return values.astype(np.float64)
