"""An exported model, run by Core ML, which only macOS has. This file travels beside it: it imports nothing of ours.

`model.mlpackage.zip` holds the package as Xcode takes it. It answers for one image at a time.
"""

import os
import platform
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

NEEDS = ("coremltools",)
PACKAGES = ("coremltools",)
FILES = ("model.mlpackage.zip",)
OUTPUTS = ("raw_scores", "logits", "probabilities", "ood_score", "uncertainty")


class Session:
    """Images (N, S, S, C) of uint8 to what the model says of them; how many `threads` there are, Core ML decides."""

    def __init__(self, folder: str | os.PathLike[str], threads: int = 0) -> None:
        if platform.system() != "Darwin":
            raise OSError("Core ML models run on macOS alone")
        import coremltools

        self.place = tempfile.TemporaryDirectory()
        with zipfile.ZipFile(Path(folder) / FILES[0]) as archive:
            archive.extractall(self.place.name)
        self.model: Any = coremltools.models.MLModel(str(Path(self.place.name) / "model.mlpackage"))

    def run(self, images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Raw scores, logits and probabilities (N, K), OOD scores (N,) and, of several members, uncertainty (N, 3)."""
        rows = [self.model.predict({"images": image[None].astype(np.float32)}) for image in images]
        return [np.concatenate([row[name] for row in rows]) for name in OUTPUTS if name in rows[0]]
