"""An exported model, run by OpenVINO. This file travels beside it: it imports nothing of ours."""

import os
from pathlib import Path
from typing import Any

import numpy.typing as npt

NEEDS = ("openvino",)
PACKAGES = ("openvino",)
FILES = ("model.xml", "model.bin")
ARITHMETIC = {"bf16": "bf16"}  # by precision; all others compute in float32, where OpenVINO would choose for itself
PRECISION = ["linnaea", "precision"]


class Session:
    """Images (N, S, S, C) of uint8 to what the model says of them; `threads` 0 is as many as there are cores."""

    def __init__(self, folder: str | os.PathLike[str], threads: int = 0) -> None:
        import openvino

        core = openvino.Core()
        model = core.read_model(Path(folder) / FILES[0])
        told = model.get_rt_info(PRECISION).astype(str) if model.has_rt_info(PRECISION) else ""
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": ARITHMETIC.get(told, "f32")}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        self.model = core.compile_model(model, "CPU", settings)
        self.request = self.model.create_infer_request()

    def run(self, images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Raw scores, logits and probabilities (N, K), OOD scores (N,) and, of several members, uncertainty (N, 3)."""
        return [output.copy() for output in self.request.infer([images]).values()]
