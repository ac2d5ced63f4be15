"""What a policy promises: a least recall, precision or specificity, worthwhile answers, a risk, sets and rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from linnaea.arrays import Flags
from linnaea.decisions import Policy
from linnaea.evidence.aims import AIMS, Goal
from linnaea.evidence.metrics import Judged, LabelScores, Scores
from linnaea.evidence.metrics.two_classes import POSITIVE, answered_yes, positives
from linnaea.evidence.promises import AT_LEAST, AT_MOST, MORE_THAN, Promise
from linnaea.evidence.uncertainty import of_share, sample_of
from linnaea.finding import Estimate
from linnaea.predictions import Predictions
from linnaea.statistics.intervals import estimate

IMAGES = ("image", "images")
NO_SUCH = "no such images"
WORDED = {"precision": "of the answer", "specificity": "for"}


@dataclass(frozen=True)
class Question:
    """One class of n images, to be answered with yes or no: flags (n,).

    `yes` says that it was answered, `there` that it is shown, `known` that this is known at all, `right` that the
    answer is right; `name` and `no` are the answers in words.
    """

    name: str
    no: str
    yes: Flags
    there: Flags
    known: Flags
    right: Flags

    def counted(self, figure: str) -> tuple[Flags, str]:
        """The images (n,) that a figure is a share of, and what they are."""
        return {
            "recall": (self.there, f"of {self.name}"),
            "specificity": (self.known & ~self.there, f"of {self.no}"),
            "precision": (self.yes & self.known, f"answered {self.name}"),
        }[figure]


def saving(recall: Estimate, specificity: Estimate, costs: tuple[float, ...]) -> tuple[Estimate, bool]:
    """What answers save per image against the cheapest that is always the same, and whether that one is yes.

    A sum of the two shares, each with what it is worth, given how many images are of either kind; limits from theirs,
    combined as Zou and Donner (2008) do, so that a dear mistake that was not seen yet is not taken for impossible.
    """
    right_no, wrong_yes, wrong_no, right_yes = costs
    shares, images = (recall, specificity), recall.n + specificity.n
    worth = np.array([recall.n * (wrong_no - right_yes), specificity.n * (wrong_yes - right_no)]) / max(images, 1)
    always_yes = bool(worth[0] > worth[1])
    if any(share.value is None for share in shares):
        return Estimate(None, None, None, images, "not defined: no images of one kind"), always_yes
    value, lo, hi = (
        np.array([getattr(share, end) for share in shares], dtype=np.float64) for end in ("value", "lo", "hi")
    )
    saved = float(worth @ value - worth.max())
    if np.isnan([lo, hi]).any():
        return Estimate(saved, None, None, images, "no interval: that of a share is not known"), always_yes
    below, above = (float(np.linalg.norm(worth * reach)) for reach in (value - lo, hi - value))
    return Estimate(saved, saved - below, saved + above, images, "of two shares, Zou and Donner"), always_yes


def promises_of(
    predictions: Predictions, scores: Judged, policy: Policy, figures: Mapping[str, Estimate], *, seed: int
) -> dict[str, list[Promise]]:
    """Each promise of a policy by name, with the figure that tells whether it is kept; what was stated comes first.

    Figures that a task has already are taken from `figures`, so that the verdict and the tables say the same. Aims
    without a number, such as youden, promise nothing.
    """
    return {**_of_aim(predictions, scores, policy, seed), **_of_rates(policy, figures)}


def _of_aim(predictions: Predictions, scores: Judged, policy: Policy, seed: int) -> dict[str, list[Promise]]:
    name = policy.aim.partition("=")[0]
    goal = Goal.parse(policy.aim) if name in AIMS else None
    questions = _questions(predictions, scores)
    if goal is None or not questions or not (goal.aim.floor or goal.aim.priced):
        return {}
    needed = [goal.aim.floor] if goal.aim.floor else ["recall", "specificity"]
    sample = sample_of(predictions)
    told = estimate(
        {
            f"{figure} {place}": of_share(question.right, question.counted(figure)[0], sample, NO_SUCH)
            for place, question in enumerate(questions)
            for figure in needed
        },
        sample,
        seed=seed,
    )
    shares = [[told[f"{figure} {place}"] for figure in needed] for place in range(len(questions))]
    promise = _least if goal.aim.floor else _worthwhile
    return {name: [promise(goal, question, *known) for question, known in zip(questions, shares, strict=True)]}


def _least(goal: Goal, question: Question, share: Estimate) -> Promise:
    figure, which = goal.aim.floor, question.counted(goal.aim.floor)[1]
    what = f"{figure} {WORDED.get(figure, 'of')} {question.name}"
    return Promise(what, (f"image {which}", f"images {which}"), AT_LEAST, goal.amounts[0], share, question.name)


def _worthwhile(goal: Goal, question: Question, recall: Estimate, specificity: Estimate) -> Promise:
    saved, always_yes = saving(recall, specificity, goal.amounts)
    always = question.name if always_yes else question.no
    what = f"saving per image at {goal.text} over always answering “{always}”"
    return Promise(what, IMAGES, MORE_THAN, 0.0, saved, question.name, is_share=False)


def _questions(predictions: Predictions, scores: Judged) -> Sequence[Question]:
    """The positive class of two, or each of several labels; an unreadable image is answered with no."""
    if isinstance(scores, LabelScores):
        return [
            Question(
                name,
                f"no {name}",
                scores.named[:, k],
                scores.there[:, k],
                scores.known[:, k],
                ~scores.wrong[:, k],
            )
            for k, name in enumerate(predictions.classes)
        ]
    if predictions.task != "binary" or not isinstance(scores, Scores):
        return []
    name, no = predictions.classes[POSITIVE], predictions.classes[1 - POSITIVE]
    yes, there, everything = answered_yes(scores), positives(scores), np.ones(len(scores), dtype=bool)
    return [Question(name, no, yes, there, everything, scores.hits)]


def _of_rates(policy: Policy, figures: Mapping[str, Estimate]) -> dict[str, list[Promise]]:
    """The risk, the coverage of prediction sets and the rates of declined images, where they were fitted."""
    wanted = [
        ("risk", policy.risk, AT_MOST, "share of wrong answers"),
        (
            "coverage",
            policy.coverage if policy.sets != "risk" else None,
            AT_LEAST,
            "share of prediction sets that hold the truth",
        ),
        (
            "class_coverage",
            policy.coverage if policy.sets == "risk" else None,
            AT_LEAST,
            "mean over classes of the share of prediction sets that hold the truth",
        ),
        ("false_negative_rate", round(1 - policy.coverage, 12), AT_MOST, "share of labels that prediction sets miss"),
        ("unsure_rate", policy.unsure_rate if policy.risk is None else None, AT_MOST, "share answered “unsure”"),
        (
            "unfamiliar_rate",
            policy.unfamiliar_rate if policy.ood_threshold is not None else None,
            AT_MOST,
            "share answered “unfamiliar”",
        ),
    ]
    return {
        name: [Promise(what, IMAGES, side, bound, figures[name])]
        for name, bound, side, what in wanted
        if bound is not None and name in figures and policy.n
    }
