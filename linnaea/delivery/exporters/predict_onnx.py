"""Answer for image files with an exported classifier: needs onnxruntime, numpy and Pillow, nothing else.

    python predict.py photo.jpg another.png

Prints one JSON object per image: label, confidence, prediction set, OOD score and a reason, which is `ok`, `unsure`,
`unfamiliar` or `unreadable`. `model.onnx` and `decoding.py` must lie beside this file.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

try:
    from decoding import UnreadableError, decode
except ModuleNotFoundError:
    from linnaea.data.decoding import UnreadableError, decode


class Predictor:
    """Loads `model.onnx` once and answers for image files."""

    def __init__(self, model):
        self.session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        facts = self.session.get_modelmeta().custom_metadata_map
        self.classes, self.recipe, self.policy = (
            json.loads(facts[f"linnaea.{key}"]) for key in ("classes", "recipe", "policy")
        )

    def score(self, image):
        """Probabilities (K,) and the OOD score of one image file; raises UnreadableError."""
        pixels = decode(image, self.recipe["size"], self.recipe["fit"])
        probabilities, scores = self.session.run(["probabilities", "ood_score"], {"images": pixels[None]})
        return probabilities[0], scores[0]

    def predict(self, image):
        """The answer for one image file, as a dictionary."""
        try:
            probabilities, score = self.score(image)
        except UnreadableError as error:
            return {"id": str(image), "label": None, "reason": "unreadable", "detail": str(error)}
        order = np.argsort(-probabilities, kind="stable")
        confidence, policy = float(probabilities[order[0]]), self.policy
        least = min(policy["set_threshold"], confidence)
        reason = "unsure" if confidence < policy["confidence_threshold"] else "ok"
        if policy["ood_threshold"] is not None and score > policy["ood_threshold"]:
            reason = "unfamiliar"
        return {
            "id": str(image),
            "label": self.classes[order[0]],
            "confidence": round(confidence, 6),
            "prediction_set": [self.classes[k] for k in order if probabilities[k] >= least],
            "ood_score": round(float(score), 6),
            "reason": reason,
        }


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    predictor = Predictor(Path(__file__).resolve().parent / "model.onnx")
    for name in sys.argv[1:]:
        print(json.dumps(predictor.predict(name), ensure_ascii=False))
