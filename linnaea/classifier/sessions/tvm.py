"""An exported model, run by Apache TVM. This file travels beside it: it imports nothing of ours.

`model.so` is machine code for processors like the one that it was made on. Machine code does what it likes: open it
only from whom you trust.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

NEEDS = ("tvm",)
PACKAGES = ("apache-tvm",)
FILES = ("model.so",)


class Session:
    """Images (N, S, S, C) of uint8 to what the model says of them; `threads` 0 is as many as there are cores."""

    def __init__(self, folder: str | os.PathLike[str], threads: int = 0) -> None:
        if threads:
            os.environ.setdefault("TVM_NUM_THREADS", str(threads))  # read once, when its first thread starts
        import tvm

        self.tensor: Any = tvm.runtime.tensor
        library = tvm.runtime.load_module(str(Path(folder).resolve() / FILES[0]))
        self.call: Any = tvm.relax.VirtualMachine(library, tvm.cpu())["main"]

    def run(self, images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Raw scores, logits and probabilities (N, K), OOD scores (N,) and, of several members, uncertainty (N, 3)."""
        return [output.numpy() for output in self.call(self.tensor(np.ascontiguousarray(images)))]
