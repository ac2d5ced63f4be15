"""An exported model, run by ExecuTorch. This file travels beside it: it imports nothing of ours."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

NEEDS = ("executorch", "torch")
PACKAGES = ("executorch", "torch")
FILES = ("model.pte",)
MOST = 32  # images at once, for which a program reserves memory, unless its operators hold for fewer


class Session:
    """Images (N, S, S, C) of uint8 to what the model says of them; how many `threads` there are, ExecuTorch decides."""

    def __init__(self, folder: str | os.PathLike[str], threads: int = 0) -> None:
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own modules
            from executorch.runtime import Runtime
        self.from_numpy = torch.from_numpy
        self.program = Runtime.get().load_program(Path(folder) / FILES[0])
        self.method: Any = self.program.load_method("forward")
        self.most = int(self.method.metadata.input_tensor_meta(0).sizes()[0])

    def run(self, images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Raw scores, logits and probabilities (N, K), OOD scores (N,) and, of several members, uncertainty (N, 3)."""
        starts = range(0, len(images), self.most)
        parts = [
            self.method.execute([self.from_numpy(np.ascontiguousarray(images[start : start + self.most]))])
            for start in starts
        ]
        return [np.concatenate([output.numpy() for output in column]) for column in zip(*parts, strict=True)]
