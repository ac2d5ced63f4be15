"""Which images of training spoke for an answer, and which against it: TracIn (Pruthi et al. 2020)."""

import numpy as np
import torch

from linnaea.arrays import Array, Float64, Floats, Images, Integers, Targets
from linnaea.errors import UsageError
from linnaea.evidence.explanation.contract import EXPLAINERS, Example, Examples, Settings
from linnaea.evidence.explanation.examples.head_gradients import influence, residuals
from linnaea.evidence.explanation.examples.states import states_of
from linnaea.evidence.explanation.examples.training import TrainingImages, as_images, in_sentences, training_images
from linnaea.evidence.explanation.subject import Subject
from linnaea.models import Model
from linnaea.models.feature_cache import embed_once

COUNT = 3
AT_ONCE, DECODED_AT_ONCE = 4096, 256  # features, and training images


@EXPLAINERS.register(
    "tracin",
    title="Influence (TracIn)",
    meaning="The images of training that spoke most for an answer and most against it (Pruthi et al. 2020).",
    kind="examples",
    needs="features",
    training=True,
    order=66,
)
def tracin(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Examples:
    """Rows of `samples` (None: 3) proponents, the strongest first, and as many opponents of the answer.

    The influence is that of the last layer, by its gradients of (binary) cross-entropy on the training image and on the
    image as if the target were its label, summed over the states of the network that the run has kept. Arrays: `rows`
    (N, 2k) in the training split as it is now, and their `influences` (N, 2k). Raises UsageError where the head is not
    linear.
    """
    require_linear(subject)
    known, images, states = training_images(subject), as_images(pixels), states_of(subject)
    total = np.zeros((len(images), len(known)))
    for model in states.models:
        total += _influence(model, images, targets, known, final=model is subject.classifier.model)
    count = min(settings.samples or COUNT, (len(known) + 1) // 2)
    order = np.argsort(-total, axis=1, kind="stable")
    rows = np.concatenate([order[:, :count], order[:, ::-1][:, : min(count, len(known) - count)]], axis=1)
    found = np.take_along_axis(total, rows, axis=1)
    shown = tuple(_shown(known, *of_one) for of_one in zip(rows, found, strict=True))
    return Examples(shown, {"rows": rows, "influences": found}, in_sentences(states.said, known.said))


def require_linear(subject: Subject) -> None:
    """Raise UsageError unless the raw scores are linear in the features."""
    if not subject.classifier.model.linear:
        raise UsageError(
            f"the head of this classifier of the kind {subject.kind} is not linear in its features, so that its "
            "gradients are not known: choose nearest or counter_examples, or train with a linear head."
        )


def _influence(model: Model, images: Images, targets: Integers, known: TrainingImages, *, final: bool) -> Float64:
    """That of every training image (N,) on every image (Q,) in one state of the network."""
    biased = getattr(getattr(model, "classifier", None), "bias", True) is not None
    labels, several = known.targets, known.dataset.multilabel
    asked = embed_once(model, images)
    own = asked, residuals(_logits(model, asked), _as_labels(targets, len(known.classifier.classes), several))
    if final:
        return influence(own, (known.features, residuals(_logits(model, known.features), labels)), biased=biased)
    parts = []
    for start in range(0, len(known), DECODED_AT_ONCE):
        rows = np.arange(start, min(start + DECODED_AT_ONCE, len(known)))
        features = embed_once(model, known.pictures(rows))
        parts.append(influence(own, (features, residuals(_logits(model, features), labels[rows])), biased=biased))
    return np.concatenate(parts, axis=1)


def _as_labels(targets: Integers, classes: int, several: bool) -> Targets:
    """Targets (N,) as labels; where there may be several, nothing is known of any other than the one asked about."""
    if not several:
        return targets
    labels = np.full((len(targets), classes), np.nan)
    labels[np.arange(len(targets)), targets] = 1
    return labels


@torch.no_grad()
def _logits(model: Model, features: Floats) -> Floats:
    parts = torch.split(torch.from_numpy(np.asarray(features, dtype=np.float32)), AT_ONCE)
    logits: Floats = torch.cat([model.head(part.to(model.device)).cpu() for part in parts]).numpy()
    return logits


def _shown(known: TrainingImages, rows: Integers, influences: Float64) -> tuple[Example, ...]:
    ids = known.dataset.ids
    return tuple(
        Example(
            picture, f"labelled {known.labels[row]}: {'for' if value > 0 else 'against'} it, {value:+.3g}", ids[row]
        )
        for picture, row, value in zip(known.pictures(rows), rows, influences, strict=True)
    )
