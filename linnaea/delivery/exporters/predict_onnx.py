"""Answer for image files with an exported classifier: needs onnxruntime, numpy and Pillow, nothing else.

    python predict.py photo.jpg another.png

Prints one JSON object per image: label, confidence, prediction set, OOD score and a reason, which is `ok`, `unsure`,
`unfamiliar` or `unreadable`. `model.onnx` and `decoding.py` must lie beside this file.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from linnaea.data.decoding import UnreadableError, decode

NOTHING = dict.fromkeys(("id", "label", "confidence", "prediction_set", "ood_score", "reason", "detail"))


class Predictor:
    """Loads `model.onnx` once and answers for image files."""

    def __init__(self, model: str | Path) -> None:
        self.session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        facts = self.session.get_modelmeta().custom_metadata_map
        self.classes, self.recipe, self.policy, self.familiarity = (
            json.loads(facts[f"linnaea.{key}"]) for key in ("classes", "recipe", "policy", "familiarity")
        )

    def score(self, image: str | Path | bytes) -> tuple[npt.NDArray[np.float32], float]:
        """Probabilities (K,) and the OOD score of one image file, or its bytes; raises UnreadableError."""
        pixels = decode(image, self.recipe["size"], self.recipe["fit"])
        probabilities, scores = self.session.run(["probabilities", "ood_score"], {"images": pixels[None]})
        return probabilities[0], float(scores[0])

    def predict(self, image: str | Path) -> dict[str, Any]:
        """The answer for one image file, as a dictionary."""
        try:
            probabilities, score = self.score(image)
        except UnreadableError as error:
            return {**NOTHING, "id": str(image), "reason": "unreadable", "detail": str(error)}
        order = np.argsort(-probabilities, kind="stable")
        confidence = float(probabilities[order[0]])
        least = min(self.policy["set_threshold"], confidence)
        return {
            **NOTHING,
            "id": str(image),
            "label": self.classes[order[0]],
            "confidence": round(confidence, 6),
            "prediction_set": [self.classes[k] for k in order if probabilities[k] >= least],
            "ood_score": None if self.familiarity is None else round(score, 6),
            "reason": self._reason(confidence, score),
        }

    def _reason(self, confidence: float, score: float) -> str:
        highest = self.policy["ood_threshold"]
        if self.familiarity is not None and highest is not None and score > highest:
            return "unfamiliar"
        return "unsure" if confidence < self.policy["confidence_threshold"] else "ok"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    predictor = Predictor(Path(__file__).resolve().parent / "model.onnx")
    for name in sys.argv[1:]:
        print(json.dumps(predictor.predict(name)))  # in ASCII, which every terminal and pipe can take
