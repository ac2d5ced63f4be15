"""Answer for image files with an exported classifier, without Linnaea.

    pip install onnxruntime numpy pillow
    python predict.py photo.jpg another.png folder

A folder stands for the images in it and below it. Prints one JSON object per image: label, confidence, prediction set,
OOD score (how unlike the images of training it is, where the classifier tells) and a reason, which is `ok`, `unsure`,
`unfamiliar`, `unreadable`, or `undefined` where the model's answer is not a number.

A model with several members also tells how unsure it is, in nats: 0 is quite sure, and the logarithm of the number of
classes is no idea at all. `total_uncertainty` is the sum of `aleatoric_uncertainty`, which is doubt that the members
share, as the image itself is ambiguous, and `epistemic_uncertainty`, which is how much they contradict each other, as
nothing like it was learned.

Where the classifier has thresholds for groups, `detail` says that the common one decided: no group is known here. The
files that came with this one must lie beside it. The exit status is 0 where every image was answered, 1 where one could
not be, and 2 where none was named.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

try:
    import numpy as np
    import numpy.typing as npt
    import PIL  # noqa: F401  what decodes
except ImportError as error:
    sys.exit(f"Error: {error}. This file needs other packages: pip install onnxruntime numpy pillow")

from linnaea.classifier.sessions.onnx import Session
from linnaea.data.images.decoding import Bounds, decode
from linnaea.data.images.opening import UnreadableError
from linnaea.decisions import UNDEFINED, Outputs, Policy, answer, by_common_threshold

INSTALL = "pip install onnxruntime numpy pillow"
UNCERTAINTY = ("total_uncertainty", "aleatoric_uncertainty", "epistemic_uncertainty")
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff")
NO_ANSWER = ("unreadable", UNDEFINED)
NOTHING = dict.fromkeys(("id", "label", "confidence", "prediction_set", "ood_score", "reason", "detail"))


class DamagedError(Exception):
    """A file of the model is not the one that was exported."""


class Predictor:
    """Loads an exported folder once and answers for image files.

    `description` is what its `classifier.json` says, where that was read already; `threads` 0 is as many as the runtime
    takes by itself. Raises FileNotFoundError or DamagedError where a file of the model is missing or another.
    """

    def __init__(self, folder: str | Path, description: Mapping[str, Any] | None = None, threads: int = 0) -> None:
        place = Path(folder)
        facts = description or json.loads((place / "classifier.json").read_text(encoding="utf-8"))
        _require_whole(place, facts.get("files", {}))
        self.task, self.classes, self.recipe = facts["task"], facts["classes"], facts["recipe"]
        self.bounds = Bounds(self.recipe["max_pixels"], self.recipe["white"], self.recipe.get("channels", 3))
        self.policy = Policy.from_json(facts["policy"])
        self.has_ood_score = facts["scorer"]["arguments"]["ood_score"] is not None
        self.session = Session(place, threads)

    def outputs(self, image: str | Path | bytes) -> Outputs:
        """What the model says of one image file, or its bytes, each with one row; raises UnreadableError."""
        pixels = decode(image, self.recipe["size"], self.recipe["fit"], self.bounds)
        raw, logits, probabilities, scores, *parts = self.session.run(pixels[None])
        strange = scores if self.has_ood_score else None
        return Outputs(raw, logits, probabilities, strange, parts[0] if parts else None)

    def score(self, image: str | Path | bytes) -> tuple[npt.NDArray[Any], float]:
        """Probabilities (K,) and the OOD score, 0 where there is none, of one image file, or its bytes.

        Raises UnreadableError.
        """
        outputs = self.outputs(image)
        return outputs.probabilities[0], 0.0 if outputs.ood_scores is None else float(outputs.ood_scores[0])

    def predict(self, image: str | Path) -> dict[str, Any]:
        """The answer for one image file, as a dictionary."""
        try:
            outputs = self.outputs(image)
        except UnreadableError as error:
            return {**NOTHING, "id": str(image), "reason": "unreadable", "detail": str(error)}
        decided, (reason,) = answer(self.task, self.classes, outputs, self.policy)
        if reason == UNDEFINED:
            detail = "the model's output for it is not a number"
            return {**NOTHING, "id": str(image), "reason": reason, "detail": detail}
        return {
            **NOTHING,
            "id": str(image),
            "label": decided.labels[0],
            "confidence": round(float(decided.confidence[0]), 6),
            "prediction_set": decided.sets[0],
            "ood_score": None if outputs.ood_scores is None else round(float(outputs.ood_scores[0]), 6),
            **_named(outputs.uncertainty),
            "reason": reason,
            "detail": by_common_threshold(self.policy) or None,
        }


def _require_whole(place: Path, hashes: Mapping[str, str]) -> None:
    """Raise unless the files of these names are those that have these SHA-256."""
    for name, expected in hashes.items():
        with (place / name).open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != expected:
                raise DamagedError(f"{place / name} has changed since it was exported (its SHA-256 differs)")


def _named(uncertainty: npt.NDArray[Any] | None) -> dict[str, float]:
    """The parts of uncertainty by their names; none where there are none."""
    if uncertainty is None:
        return {}
    return {name: round(float(np.float64(value)), 6) for name, value in zip(UNCERTAINTY, uncertainty[0], strict=True)}


def _files(named: Sequence[str]) -> list[str]:
    """The files that are named and the images in the folders that are, sorted; what else lies there is counted."""
    files = []
    for name in named:
        folder = Path(name)
        if not folder.is_dir():
            files.append(name)
            continue
        within = sorted(file for file in folder.rglob("*") if file.is_file())
        images = [str(file) for file in within if file.suffix.lower() in SUFFIXES and not _is_hidden(file, folder)]
        if not images:
            sys.exit(f"Error: {name} has no images: expected files ending in {' '.join(SUFFIXES)} in it or below it.")
        if len(images) < len(within):
            left_out = f"{len(within) - len(images)} of {len(within)} files are left out"
            print(f"Warning: {name!a}: {left_out}: hidden, or no images by their endings.", file=sys.stderr)
        files += images
    return files


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def main(given: list[str]) -> int:
    """Print the answers for image files; returns the exit status."""
    if not given or {"-h", "--help"} & set(given):
        print(__doc__, file=sys.stdout if given else sys.stderr)
        return 0 if given else 2
    files = _files(given)
    try:
        predictor = Predictor(Path(__file__).resolve().parent)
    except ImportError as error:
        sys.exit(f"Error: {error}. This file needs other packages: {INSTALL}")
    except FileNotFoundError as error:
        sys.exit(f"Error: {error.filename} is missing: copy the exported folder whole, or export again.")
    except DamagedError as error:
        sys.exit(f"Error: {error}: copy the exported folder anew, or export again.")
    if said := by_common_threshold(predictor.policy):
        print(f"Warning: {said}.", file=sys.stderr)
    unanswered = 0
    for name in files:
        told = predictor.predict(name)
        unanswered += told["reason"] in NO_ANSWER
        print(json.dumps(told))  # in ASCII, which every terminal and pipe can take
    if unanswered:
        print(f"Error: no answer for {unanswered} of {len(files)} images: see `detail`.", file=sys.stderr)
    return 1 if unanswered else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
