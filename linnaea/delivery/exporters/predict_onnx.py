"""Answer for image files with an exported classifier: needs onnxruntime, numpy and Pillow, nothing else.

    python predict.py photo.jpg another.png

Prints one JSON object per image: label, confidence, prediction set, OOD score, of a model with several members the
parts of its uncertainty in nats, and a reason, which is `ok`, `unsure`,
`unfamiliar`, `unreadable`, or `undefined` where the model's answer is not a number. Where the classifier has
thresholds for groups, `detail` says that the common one decided: no group is known here. The files that came with this
one must lie beside it.
"""

import json
import sys
from pathlib import Path
from typing import Any

try:
    import numpy as np
    import numpy.typing as npt
    import onnxruntime
    import PIL  # noqa: F401  what decodes
except ImportError as error:
    sys.exit(f"Error: {error}. This file needs three packages: pip install onnxruntime numpy pillow")

from linnaea.data.images.decoding import Bounds, decode
from linnaea.data.images.opening import UnreadableError
from linnaea.decisions import UNDEFINED, Outputs, Policy, answer, by_common_threshold

UNCERTAINTY = ("total_uncertainty", "aleatoric_uncertainty", "epistemic_uncertainty")
NOTHING = dict.fromkeys(("id", "label", "confidence", "prediction_set", "ood_score", "reason", "detail"))


class Predictor:
    """Loads `model.onnx` once and answers for image files."""

    def __init__(self, model: str | Path) -> None:
        self.session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        facts = self.session.get_modelmeta().custom_metadata_map
        self.task, self.classes, self.recipe, policy, familiarity = (
            json.loads(facts[f"linnaea.{key}"]) for key in ("task", "classes", "recipe", "policy", "familiarity")
        )
        self.bounds = Bounds(self.recipe["max_pixels"], self.recipe["white"], self.recipe.get("channels", 3))
        self.policy, self.has_ood_score = Policy.from_json(policy), familiarity is not None

    def score(self, image: str | Path | bytes) -> tuple[npt.NDArray[np.float32], float]:
        """Probabilities (K,) and the OOD score of one image file, or its bytes; raises UnreadableError."""
        _, _, probabilities, scores, *_ = self._run(image)
        return probabilities[0], float(scores[0])

    def predict(self, image: str | Path) -> dict[str, Any]:
        """The answer for one image file, as a dictionary."""
        try:
            raw, logits, probabilities, scores, *parts = self._run(image)
        except UnreadableError as error:
            return {**NOTHING, "id": str(image), "reason": "unreadable", "detail": str(error)}
        outputs = Outputs(raw, logits, probabilities, scores if self.has_ood_score else None)
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
            "ood_score": round(float(scores[0]), 6) if self.has_ood_score else None,
            **{
                name: round(float(value), 6) for part in parts for name, value in zip(UNCERTAINTY, part[0], strict=True)
            },
            "reason": reason,
            "detail": by_common_threshold(self.policy) or None,
        }

    def _run(self, image: str | Path | bytes) -> list[npt.NDArray[np.float32]]:
        """Raw scores, logits and probabilities (1, K), OOD scores (1,) and, of several members, uncertainty (1, 3)."""
        pixels = decode(image, self.recipe["size"], self.recipe["fit"], self.bounds)
        outputs: list[npt.NDArray[np.float32]] = self.session.run(None, {"images": pixels[None]})
        return outputs


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    predictor = Predictor(Path(__file__).resolve().parent / "model.onnx")
    if said := by_common_threshold(predictor.policy):
        print(f"Warning: {said}.", file=sys.stderr)
    for name in sys.argv[1:]:
        print(json.dumps(predictor.predict(name)))  # in ASCII, which every terminal and pipe can take
