"""Explanations checked: the maps of every method, and what they have in common over right and wrong answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from linnaea.arrays import Flags, Images, Integers
from linnaea.data.images.boxes import Box
from linnaea.data.images.headers import read_facts
from linnaea.data.images.pixels import Recipe, read_content
from linnaea.evidence.explanation import EXPLAINERS, Settings
from linnaea.evidence.explanation.aggregates import Answered, where_classes_look, where_mistakes_look
from linnaea.evidence.explanation.checks import EXPLANATION_CHECKS
from linnaea.evidence.explanation.checks.running import CheckReport, check_maps, seen_of, usual_checks
from linnaea.experiments.explanation.boxes import objects_in
from linnaea.experiments.explanation.explanation import Explanation
from linnaea.experiments.explanation.images import Chosen
from linnaea.finding import Finding
from linnaea.task import TASKS

EVERY, NONE = "all", "none"


@dataclass(frozen=True)
class AskedChecks:
    """Which checks are asked for, None for the usual ones, and boxes by the path of their image.

    `objects` (N, S, S) are the pixels in boxes once the images are known, and `note` says of how many.
    """

    checks: Sequence[str] | None = None
    boxes: Mapping[str, Sequence[Box]] | None = None
    objects: Flags | None = None
    note: str = ""

    def of(self, chosen: Chosen, recipe: Recipe) -> "AskedChecks":
        """The same with the objects on these images; raises DataError where none of them has a box."""
        if self.boxes is None:
            return self
        facts = [read_facts(read_content(path), recipe.max_pixels) for path in chosen.paths]
        sizes = [(each.width, each.height) for each in facts]
        objects, note = objects_in(self.boxes, chosen.ids, sizes, recipe)
        return replace(self, objects=objects, note=note)

    def counts(self, images: int) -> dict[str, int]:
        """The checks to do, each with the number of images that it looks at."""
        if self.checks is None:
            return usual_checks(images)
        if NONE in self.checks:
            return {}
        return dict.fromkeys(EXPLANATION_CHECKS if EVERY in self.checks else self.checks, images)


def checked(explanation: Explanation, settings: Settings, asked: AskedChecks) -> Explanation:
    """The same with what checks found, and the flaws of methods that fail their sanity check."""
    counts = asked.counts(len(explanation.pixels))
    if not explanation.maps or not counts:
        return explanation
    subject, targets = explanation.subject, explanation.targets
    seen = seen_of(subject, explanation.pixels, targets, explanation.maps, settings, asked.objects)
    report = check_maps(seen, counts)
    common = tuple(_in_common(explanation, report, settings.seed))
    return replace(
        explanation,
        findings=(*explanation.findings, *report.findings, *common),
        flaws=explanation.flaws | dict(report.flaws),
        measured=explanation.measured | dict(report.measured),
        notes=(*explanation.notes, *filter(None, [asked.note])),
    )


def _in_common(explanation: Explanation, report: CheckReport, seed: int) -> Iterator[Finding]:
    """What the maps of the first method that did not fail have in common, where the truth of images is known."""
    sound = [method for method in explanation.maps if method not in report.flaws]
    truth = truth_of(explanation)
    if not sound or (truth < 0).all():
        return
    rows = np.flatnonzero(answers_of(explanation) == explanation.targets)
    answered = Answered(
        explanation.maps[sound[0]][rows],
        explanation.targets[rows],
        truth[rows],
        explanation.subject.classes,
        [str(explanation.answers.column("id")[row]) for row in rows],
        seed,
    )
    pixels: Images = explanation.pixels[rows]
    by = EXPLAINERS.about(sound[0]).title
    found = where_mistakes_look(answered), where_classes_look(answered, pixels, explanation.subject.answer)
    yield from (replace(one, summary=f"{one.summary} Told by the maps of {by}.") for one in found if one is not None)


def answers_of(explanation: Explanation) -> Integers:
    """The class (N,) that each image was answered as; of several labels the class explained, where it is among them."""
    subject = explanation.subject
    labels = list(explanation.answers.column("label"))
    if not TASKS[subject.classifier.task].multilabel:
        return subject.answered(explanation.answers.scores(), labels)
    named = [
        subject.classes[target] in (given or ()) for given, target in zip(labels, explanation.targets, strict=True)
    ]
    return np.where(named, explanation.targets, -1)


def truth_of(explanation: Explanation) -> Integers:
    """The true class (N,) of each image, -1 where it is not known.

    Of several labels it is the class explained where that is one of them, else K, which is none.
    """
    classes, truth = explanation.subject.classes, list(explanation.answers.column("truth"))
    if not TASKS[explanation.subject.classifier.task].multilabel:
        return np.array([classes.index(one) if one in classes else -1 for one in truth], dtype=np.int64)
    pairs = zip(truth, explanation.targets.tolist(), strict=True)
    return np.array(
        [-1 if one is None else t if classes[t] in one else len(classes) for one, t in pairs], dtype=np.int64
    )
