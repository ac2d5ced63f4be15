"""Features of image files, and why some have none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linnaea.classifier import Classifier
from linnaea.data.images.pixels import decode_in_batches
from linnaea.models.feature_cache import embed_once
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.runtime.containers import Located


@dataclass(frozen=True, eq=False)
class Embedded:
    """What a classifier's model makes of files: `features` (N, D), zero where one failed; `failed` says why, or None.

    `sha256` (N,) are the hashes of the files' contents, "" where one failed.
    """

    features: npt.NDArray[np.float32]
    failed: list[str | None]
    sha256: list[str]

    def answers(self, classifier: Classifier, ids: Sequence[str], truth: Sequence[str | None]) -> Predictions:
        """What the classifier answers for them, under these names."""
        return classifier.answer(classifier.score_features(self.features), {"id": ids, "truth": truth}, self.failed)

    def not_of(self, run: Run) -> list[int]:
        """The rows whose content is not an image of the run; files that failed are among them."""
        used = set(run.dataset().column("sha256"))
        return [row for row, digest in enumerate(self.sha256) if digest not in used]

    def take(self, rows: Sequence[int]) -> "Embedded":
        """Those of these files."""
        chosen = list(rows)
        failed, hashes = [self.failed[row] for row in chosen], [self.sha256[row] for row in chosen]
        return Embedded(self.features[chosen], failed, hashes)


def embed_files(classifier: Classifier, paths: Sequence[Located]) -> Embedded:
    """Decode files by the classifier's recipe and embed them by its model, batch by batch; at least one file."""
    features, failed, sha256 = [], list[str | None](), list[str]()
    for decoded in decode_in_batches(paths, classifier.recipe):
        failed += [decoded.failed.get(row) for row in range(len(decoded.sha256))]
        sha256 += decoded.sha256
        features.append(embed_once(classifier.model, decoded.images))
    return Embedded(np.concatenate(features), failed, sha256)
