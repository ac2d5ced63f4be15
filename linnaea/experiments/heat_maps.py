"""A heat map over one image, for whoever was just answered."""

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from linnaea.arrays import Float32, Images
from linnaea.classifier import Classifier
from linnaea.errors import UsageError, suggest

if TYPE_CHECKING:
    from linnaea.evidence.explanation import Subject

REMEMBERED = 4
USUAL = "gradcam"  # what a page draws


class HeatMaps:
    """Maker of heat maps; it remembers what it found of the classifiers that it explained last."""

    def __init__(self) -> None:
        self._subjects: list[Subject] = []

    def __call__(self, classifier: Classifier, pixels: Images, method: str) -> bytes:
        """What in an image (S, S, C) speaks for its answer, by a method that explains by maps, as the bytes of a PNG.

        Raises UsageError, with those that can, for a method that does not exist, makes no maps, or cannot explain this
        classifier.
        """
        try:
            from linnaea.evidence.explanation import EXPLAINERS, Maps, Settings, require_fitting, run_explainer
            from linnaea.evidence.explanation.running import fitting_explainers, is_signed, kind_of
        except ModuleNotFoundError as error:
            raise UsageError(f"heat maps need {error.name}, which is not installed here.") from None
        subject = self._subject(classifier)
        fitting = fitting_explainers(subject, "map")
        if method not in EXPLAINERS or kind_of(EXPLAINERS.about(method)) != "map":
            raise UsageError(f"expected one of {', '.join(fitting)}.{suggest(method, fitting)}")
        require_fitting(subject, method)
        outputs = classifier.score(pixels[None])
        answers = classifier.answer(outputs, {"id": ["0"], "truth": [None]}, [None])
        targets = subject.answered(outputs.probabilities.astype(np.float64), answers.column("label"))
        made = run_explainer(method, subject, pixels[None], targets, Settings())
        if not isinstance(made, Maps):
            raise UsageError(f"{method} makes no maps: expected one of {', '.join(fitting)}.")
        return _drawn(pixels, made.values[0], signed=is_signed(EXPLAINERS.about(method)))

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
