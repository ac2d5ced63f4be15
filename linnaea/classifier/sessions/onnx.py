"""An exported model, run by onnxruntime. This file travels beside it: it imports nothing of ours."""

import os
from pathlib import Path
from typing import Any

import numpy.typing as npt

NEEDS = ("onnxruntime",)
PACKAGES = ("onnxruntime",)
FILES = ("model.onnx",)


class Session:
    """Images (N, S, S, C) of uint8 to what the model says of them; `threads` 0 is as many as there are cores."""

    def __init__(self, folder: str | os.PathLike[str], threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors are raised; of its own business it need not talk
        # Threads that wait for work by spinning would take the cores from those that decode.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            str(Path(folder) / FILES[0]), options, providers=["CPUExecutionProvider"]
        )

    def run(self, images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Raw scores, logits and probabilities (N, K), OOD scores (N,) and, of several members, uncertainty (N, 3)."""
        outputs: list[npt.NDArray[Any]] = self.session.run(None, {"images": images})
        return outputs
