"""Image files without labels: what a classifier makes of them, and which of them may be asked for."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from linnaea.arrays import Float32, Floats, Integers, in_colours
from linnaea.classifier import Classifier
from linnaea.data.duplicates.grouping import duplicate_groups, thumbnails_of
from linnaea.data.duplicates.sameness import viewer
from linnaea.data.images.pixels import decode_files, decode_in_batches
from linnaea.decisions import Outputs
from linnaea.learning.queries.contract import QUERIES, Pool
from linnaea.models.feature_cache import embed_once
from linnaea.predictions import label_text
from linnaea.run import Run
from linnaea.runtime.containers import Located

logger = logging.getLogger("linnaea")
ROUNDS = 5  # of choosing again in place of copies
SMALL = 128  # pixels at which images are looked at for copies


@dataclass(frozen=True, eq=False)
class Seen:
    """What a classifier makes of files: what it says of them, their features where it has some, and why some failed."""

    paths: Sequence[Located]
    outputs: Outputs
    features: Float32 | None
    sha256: list[str]
    failed: list[str | None]

    def pool(self, rows: Integers, known: Floats | None, *, several: bool, seed: int) -> Pool:
        """These images as a strategy sees them."""
        told = self.outputs.uncertainty
        return Pool(
            self.outputs.probabilities[rows],
            None if self.features is None else self.features[rows],
            known,
            None if told is None else told[rows, 2],
            several,
            seed,
        )


def look_at(classifier: Classifier, paths: Sequence[Located]) -> Seen:
    """Decode files and score them, batch by batch."""
    outputs, parts, sha256, failed = list[Outputs](), list[Float32](), list[str](), list[str | None]()
    for decoded in decode_in_batches(paths, classifier.recipe):
        sha256 += decoded.sha256
        failed += [decoded.failed.get(row) for row in range(len(decoded.sha256))]
        if classifier.scorer.whole:
            outputs.append(classifier.score(decoded.images))
        else:
            parts.append(embed_once(classifier.model, decoded.images))
            outputs.append(classifier.score_features(parts[-1]))
    return Seen(paths, Outputs.joined(outputs), np.concatenate(parts) if parts else None, sha256, failed)


def usable(seen: Seen, run: Run | None) -> tuple[Integers, dict[str, int]]:
    """The rows to choose from, each content once, and how many others there are, by reason."""
    if run is None:
        logger.warning("No run is around this classifier: images that it has learnt from cannot be left out.")
    used = set() if run is None else set(run.dataset().column("sha256"))
    defined, before = seen.outputs.defined, set[str]()
    rows, others = list[int](), Counter[str]()
    for row, digest in enumerate(seen.sha256):
        told = {
            "unreadable": seen.failed[row] is not None,
            "without a number as an answer": not defined[row],
            "already images of the run": digest in used,
            "copies of another": digest in before,
        }
        why = next((reason for reason, holds in told.items() if holds), None)
        if why is None:
            rows.append(row)
            before.add(digest)
        else:
            others[why] += 1
    return np.array(rows, dtype=np.int64), dict(others)


def chosen_without_copies(
    pool: Pool, rows: Integers, seen: Seen, classifier: Classifier, count: int, method: str
) -> tuple[Integers, int]:
    """The rows that a strategy chooses, only one of images that are nearly the same, and how many others it met."""
    left, chosen, dropped = np.arange(len(pool)), np.zeros(0, dtype=np.int64), 0
    for _ in range(ROUNDS):
        wanted = min(count - len(chosen), len(left))
        if not wanted:
            break
        part = pool.take(left)
        if pool.known is not None and pool.features is not None:
            part = replace(part, known=np.concatenate([pool.known, pool.features[chosen]]))
        new = left[QUERIES[method](part, wanted)]
        left = np.setdiff1d(left, new)
        both = np.concatenate([chosen, new])
        chosen = both[_first_of_each(rows[both], seen, classifier)]
        dropped += len(both) - len(chosen)
    return rows[chosen], dropped


def _first_of_each(rows: Integers, seen: Seen, classifier: Classifier) -> Integers:
    """The positions of images that are not nearly the same as one before."""
    paths = [seen.paths[row] for row in rows]
    small = decode_files(paths, replace(classifier.recipe, size=SMALL)).images
    thumbnails, hashes = thumbnails_of(in_colours(small)), [seen.sha256[row] for row in rows]
    groups, _ = duplicate_groups(thumbnails, hashes, viewer(paths, classifier.recipe))
    return np.sort(np.unique(groups, return_index=True)[1]).astype(np.int64)


def told_of(seen: Seen, classifier: Classifier, rows: Integers) -> list[dict[str, Any]]:
    """A row for each of these images: its path, and what is answered for it."""
    said = seen.outputs
    scores, told = said.ood_scores, said.uncertainty
    outputs = Outputs(
        said.raw[rows],
        said.logits[rows],
        said.probabilities[rows],
        None if scores is None else scores[rows],
        None if told is None else told[rows],
    )
    names = [str(seen.paths[row]) for row in rows]
    failed = [seen.failed[row] for row in rows]
    answers = classifier.answer(outputs, {"id": names, "truth": [None] * len(rows)}, failed)
    columns = (answers.column(name) for name in ("label", "confidence", "reason", "ood_score"))
    return [
        {
            "path": names[place],
            "answer": label_text(label),
            "confidence": _rounded(confidence),
            "reason": reason,
            "ood_score": _rounded(score),
            "information": None if told is None else _rounded(told[row, 2]),
            "sha256": seen.sha256[row],
        }
        for place, (row, label, confidence, reason, score) in enumerate(zip(rows, *columns, strict=True))
    ]


def _rounded(number: Any) -> float | None:
    return None if number is None else round(float(number), 6)
