"""Methods put to work: on images, or on classes where nobody looks at images."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.classifier import Classifier
from linnaea.decisions import Outputs
from linnaea.errors import DataError, UsageError
from linnaea.evidence.explanation import EXPLAINERS, Examples, Maps, Settings, Subject, require_fitting, run_explainer
from linnaea.evidence.explanation.running import fitting_explainers, is_flat, kind_of, require_told
from linnaea.experiments.explanation.explanation import Explanation
from linnaea.experiments.explanation.images import Chosen
from linnaea.experiments.finished_run import finished_classifier, placed
from linnaea.run import Run

USUAL = "gradcam"


def subject_of(given: Classifier | Run | str | Path, max_pixels: int | None = None, device: str = "auto") -> Subject:
    """What is explained: a classifier or that of a folder, with its run where there is one."""
    classifier = placed(finished_classifier(given), max_pixels, device)
    if isinstance(given, Run):
        return Subject(classifier, given)
    run = None if isinstance(given, Classifier) or not Run.is_in(given) else Run.open(given)
    return Subject(classifier, run)


def require_possible(subject: Subject, methods: Sequence[str], target: str | None, settings: Settings) -> None:
    """Raise UsageError, before any work, for a class or a layer that there is not, and for methods that do not fit."""
    if target is not None:
        subject.class_number(target)
    require_told(methods, settings)
    for name in methods:
        require_fitting(subject, name)
    if settings.layer is not None:
        subject.layer(settings.layer)


def explain_images(
    subject: Subject, chosen: Chosen, methods: Sequence[str], target: str | None, settings: Settings
) -> Explanation:
    """What the methods make of the images; see `linnaea.explain`."""
    require_possible(subject, methods, target, settings)
    number = None if target is None else subject.class_number(target)
    outputs = subject.classifier.score(chosen.pixels)
    columns: dict[str, Sequence[Any]] = {"id": chosen.ids, "truth": chosen.truth}
    answers = subject.classifier.answer(outputs, columns, [None] * len(chosen.ids))
    targets = subject.answered(outputs.probabilities.astype(np.float64), answers.column("label"))
    if number is not None:
        targets = np.full(len(targets), number, dtype=np.int64)
    made = Explanation(subject, chosen.pixels, answers, targets, notes=chosen.notes)
    for name in methods:
        made = made_by(made, name, settings)
    return made


def explain_classes(
    subject: Subject, methods: Sequence[str], target: str | None, settings: Settings, most: int
) -> Explanation:
    """What methods that picture classes make of one, or of each where there are at most so many; see `linnaea.explain`.

    Raises UsageError where there are more and none is named.
    """
    if target is None and len(subject.classes) > most and settings.channel is None:
        raise UsageError(
            f"there are {len(subject.classes)} classes, and --most is {most}: name the one to picture with --target."
        )
    asked = np.arange(len(subject.classes)) if target is None else np.array([subject.class_number(target)])
    pixels = np.zeros((0, *subject.shape), dtype=np.uint8)
    none = np.zeros((0, len(subject.classes)))
    answers = subject.classifier.answer(Outputs(none, none, none, None), {"id": [], "truth": []}, [])
    made = Explanation(subject, pixels, answers, np.zeros(0, dtype=np.int64), asked=asked)
    for name in methods:
        made = made_by(made, name, settings)
    return made


def picture_classes_alone(methods: Sequence[str]) -> bool:
    """Whether none of the methods looks at images."""
    return all(kind_of(EXPLAINERS.about(name)) == "picture" for name in methods)


def made_by(explanation: Explanation, name: str, settings: Settings) -> Explanation:
    """The same with what one more method makes of the images."""
    is_picture = kind_of(EXPLAINERS.about(name)) == "picture"
    targets = explanation.pictured if is_picture else explanation.targets
    found = run_explainer(name, explanation.subject, explanation.pixels, targets, settings)
    said = explanation.said | {name: found.said}
    if isinstance(found, Examples):
        findings = (*explanation.findings, *found.findings)
        return replace(explanation, examples=explanation.examples | {name: found}, said=said, findings=findings)
    maps, notes = explanation.maps | {name: found.values}, _with_flat(explanation, name, found)
    return replace(explanation, maps=maps, said=said, notes=notes)


def _with_flat(explanation: Explanation, name: str, found: Maps) -> tuple[str, ...]:
    """The notes, and how many maps of a method say nothing."""
    flat = int(is_flat(found.values).sum())
    if not flat:
        return explanation.notes
    told = f"{EXPLAINERS.about(name).title}: {flat} of {len(found.values)} maps are flat, and say nothing of any place."
    return (*explanation.notes, told)


def usual_methods(subject: Subject) -> list[str]:
    """Grad-CAM where it can be, else the first that explains by maps; raises DataError where none can."""
    fitting = fitting_explainers(subject, "map")
    if not fitting:
        raise DataError(f"no explainer can explain a classifier of the kind {subject.kind}.")
    return [USUAL if USUAL in fitting else fitting[0]]
