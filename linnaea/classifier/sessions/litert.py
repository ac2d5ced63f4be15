"""An exported model, run by LiteRT. This file travels beside it: it imports nothing of ours.

The model answers for one image at a time.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

NEEDS = ("ai_edge_litert",)
PACKAGES = ("ai-edge-litert",)
FILES = ("model.tflite",)


class Session:
    """Images (N, S, S, C) of uint8 to what the model says of them; `threads` 0 is as many as LiteRT takes by itself."""

    def __init__(self, folder: str | os.PathLike[str], threads: int = 0) -> None:
        from ai_edge_litert.interpreter import Interpreter

        file = str(Path(folder) / FILES[0])
        self.interpreter = Interpreter(model_path=file, num_threads=threads or None)
        self.call: Any = self.interpreter.get_signature_runner()
        (self.given,) = self.call.get_input_details()

    def run(self, images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Raw scores, logits and probabilities (N, K), OOD scores (N,) and, of several members, uncertainty (N, 3)."""
        rows = [self.call(**{self.given: image[None]}) for image in images]
        names = [f"output_{number}" for number in range(len(rows[0]))]
        return [np.concatenate([row[name] for row in rows]) for name in names]
