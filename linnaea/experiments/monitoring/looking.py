"""What is known of image files: answers, looks and, of a network, features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.arrays import Floats
from linnaea.classifier import Classifier
from linnaea.data.images.looks import LOOKS, looks_of
from linnaea.data.images.opening import UnreadableError
from linnaea.data.images.pixels import Decoded, decode_in_batches, read_content
from linnaea.decisions import Outputs
from linnaea.delivery.monitoring import Seen
from linnaea.runtime.containers import Located


@dataclass(frozen=True, eq=False)
class Looked:
    """What files look like: `looks` by name (n,), `features` (n, D) or None, both NaN where a file cannot be read.

    `outputs` is what the classifier said, `failed` why a file could not be read, or None.
    """

    looks: Mapping[str, Floats]
    features: Floats | None
    outputs: Outputs
    failed: Sequence[str | None]


def look_at(classifier: Classifier, paths: Sequence[Located]) -> Looked:
    """Decode files as the classifier does, batch by batch; one or more of them."""
    looks, features, outputs, failed = list[dict[str, float]](), list[Floats](), list[Outputs](), list[str | None]()
    start = 0
    for decoded in decode_in_batches(paths, classifier.recipe):
        count = len(decoded.sha256)
        looks += [_looks(classifier, paths[start + row], decoded, row) for row in range(count)]
        failed += [decoded.failed.get(row) for row in range(count)]
        if has_features(classifier):
            from linnaea.models.feature_cache import embed_once  # and torch, which an exported file does without

            embedded = embed_once(classifier.model, decoded.images)
            outputs.append(classifier.score_features(embedded))
            unread = np.isin(np.arange(count), list(decoded.failed))
            features.append(np.where(unread[:, None], np.float32(np.nan), embedded))
        else:
            outputs.append(classifier.score(decoded.images))
        start += count
    columns = {name: np.array([one.get(name, np.nan) for one in looks]) for name in LOOKS}
    return Looked(columns, np.concatenate(features) if features else None, Outputs.joined(outputs), failed)


def has_features(classifier: Classifier) -> bool:
    """Whether its scorer is a network that gives features of images."""
    return classifier.scorer.features and not classifier.scorer.whole and hasattr(classifier.scorer, "model")


def _looks(classifier: Classifier, path: Located, decoded: Decoded, row: int) -> dict[str, float]:
    if row in decoded.failed:
        return {}
    try:
        content: bytes | None = read_content(path)
    except UnreadableError:
        content = None  # it was there when it was decoded
    return looks_of(decoded.images[row], content, classifier.recipe.max_pixels)


def seen_in(
    classifier: Classifier, paths: Sequence[Located], ids: Sequence[str], slices: Mapping[str, Sequence[Any]]
) -> Seen:
    """What the classifier sees in files of these names; `slices` are further columns."""
    looked = look_at(classifier, paths)
    answers = classifier.answer(looked.outputs, {"id": ids, "truth": [None] * len(ids)}, looked.failed)
    return Seen.of_predictions(
        answers, looks=looked.looks, features=looked.features, slices=dict(slices), images=list(paths)
    )
