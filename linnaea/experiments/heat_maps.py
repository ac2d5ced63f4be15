"""A heat map over one image, for whoever was just answered."""

import io
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from linnaea.arrays import Float32, Images, Integers
from linnaea.classifier import Classifier
from linnaea.errors import UsageError, suggest

if TYPE_CHECKING:
    from linnaea.delivery.serving.contract import Between
    from linnaea.evidence.explanation import Subject

REMEMBERED = 4
USUAL = "gradcam"  # what a page draws


class HeatMaps:
    """Maker of heat maps; it remembers what it found of the classifiers that it explained last."""

    def __init__(self) -> None:
        self._subjects: list[Subject] = []

    def require(self, classifier: Classifier, method: str) -> None:
        """Raise UsageError, with those that can, where a method does not exist, makes no maps, or does not fit."""
        try:
            from linnaea.evidence.explanation import EXPLAINERS, require_fitting
            from linnaea.evidence.explanation.running import fitting_explainers, kind_of
        except ModuleNotFoundError as error:
            raise UsageError(f"heat maps need {error.name}, which is not installed here.") from None
        subject = self._subject(classifier)
        if method not in EXPLAINERS or kind_of(EXPLAINERS.about(method)) != "map":
            fitting = fitting_explainers(subject, "map")
            raise UsageError(f"expected one of {', '.join(fitting)}.{suggest(method, fitting)}")
        require_fitting(subject, method)

    def draw(self, classifier: Classifier, pixels: Images, method: str, between: "Between") -> bytes:
        """What in an image (S, S, C) speaks for its answer, by a method that `require` allows, as the bytes of a PNG.

        A method that needs answers alone takes the model for one batch at a time, and any other until it is done.
        """
        from linnaea.evidence.explanation import EXPLAINERS, Maps, Settings, run_explainer
        from linnaea.evidence.explanation.running import is_signed, needs_of
        from linnaea.evidence.explanation.subject import SharedSubject

        about = EXPLAINERS.about(method)
        subject, target = between(partial(self._begun, classifier, pixels))
        if needs_of(about) == "answers":
            shared = SharedSubject(classifier, between=between)
            made = run_explainer(method, shared, pixels[None], target, Settings())
        else:
            made = between(partial(run_explainer, method, subject, pixels[None], target, Settings()))
        if not isinstance(made, Maps):
            raise UsageError(f"{method} gave no map: choose another method.")
        return _drawn(pixels, made.values[0], signed=is_signed(about))

    def _begun(self, classifier: Classifier, pixels: Images) -> "tuple[Subject, Integers]":
        """The classifier as it is explained, and the class (1,) that its answer to an image speaks for."""
        subject, outputs = self._subject(classifier), classifier.score(pixels[None])
        answers = classifier.answer(outputs, {"id": ["0"], "truth": [None]}, [None])
        return subject, subject.answered(outputs.probabilities.astype(np.float64), answers.column("label"))

    @staticmethod
    def usual(classifier: Classifier) -> str | None:
        """The method by which a page shows where it looked; None where that cannot explain this classifier."""
        if not classifier.scorer.gradients:
            return None
        try:
            from linnaea.evidence.explanation import Subject
            from linnaea.evidence.explanation.running import fitting_explainers
        except ModuleNotFoundError:
            return None
        return USUAL if USUAL in fitting_explainers(Subject(classifier, None), "map") else None

    def _subject(self, classifier: Classifier) -> "Subject":
        from linnaea.evidence.explanation import Subject

        known = next((one for one in self._subjects if one.classifier is classifier), None)
        subject = known or Subject(classifier, None)
        self._subjects = [subject, *(one for one in self._subjects if one is not subject)][:REMEMBERED]
        return subject


def _drawn(pixels: Images, values: Float32, *, signed: bool) -> bytes:
    from linnaea.delivery.explanations import Drawing, overlay

    written = io.BytesIO()
    Image.fromarray(overlay(pixels, values, Drawing(signed))).save(written, "PNG")
    return written.getvalue()
