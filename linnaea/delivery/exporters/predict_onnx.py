"""Answer for image files with an exported classifier: needs onnxruntime, numpy and Pillow, nothing else.

    python predict.py photo.jpg another.png

Prints one JSON object per image: label, confidence, prediction set, OOD score and a reason, which is `ok`, `unsure`,
`unfamiliar` or `unreadable`. `model.onnx`, `decoding.py` and `decisions.py` must lie beside
this file.
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

from linnaea.data.decoding import UnreadableError, decode
from linnaea.decisions import Policy, decide, reasons

NOTHING = dict.fromkeys(("id", "label", "confidence", "prediction_set", "ood_score", "reason", "detail"))


class Predictor:
    """Loads `model.onnx` once and answers for image files."""

    def __init__(self, model: str | Path) -> None:
        self.session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        facts = self.session.get_modelmeta().custom_metadata_map
        self.task, self.classes, self.recipe, policy, familiarity = (
            json.loads(facts[f"linnaea.{key}"]) for key in ("task", "classes", "recipe", "policy", "familiarity")
        )
        self.policy, self.knows_strangers = Policy.from_json(policy), familiarity is not None

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
        scores = np.array([score])
        decided = decide(self.task, self.classes, probabilities[None], self.policy)
        return {
            **NOTHING,
            "id": str(image),
            "label": decided.labels[0],
            "confidence": round(float(decided.confidence[0]), 6),
            "prediction_set": decided.sets[0],
            "ood_score": round(score, 6) if self.knows_strangers else None,
            "reason": reasons(decided.confidence, scores if self.knows_strangers else None, self.policy)[0],
        }


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    predictor = Predictor(Path(__file__).resolve().parent / "model.onnx")
    for name in sys.argv[1:]:
        print(json.dumps(predictor.predict(name)))  # in ASCII, which every terminal and pipe can take
