"""An exported model as torch packs it, run by torch. This file travels beside it: it imports nothing of ours.

`model.pt2` is machine code, made by AOTInductor for processors like the one that it was made on, or a program that
torch interprets where there was no compiler. Machine code does what it likes: open it only from whom you trust.
"""

import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

NEEDS = ("torch",)
PACKAGES = ("torch",)
FILES = ("model.pt2",)
COMPILED = re.compile(r"(^|/)data/aotinductor/")
PICKLED = re.compile(rb'"use_pickle":\s*true')


class Session:
    """Images (N, S, S, C) of uint8 to what the model says of them; `threads` 0 is as many as torch takes anyway."""

    def __init__(self, folder: str | os.PathLike[str], threads: int = 0) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self.torch, file = torch, str(Path(folder) / FILES[0])
        self.call: Any = _compiled(file) if is_compiled(file) else _program(file)

    def run(self, images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Raw scores, logits and probabilities (N, K), OOD scores (N,) and, of several members, uncertainty (N, 3)."""
        with self.torch.no_grad():
            outputs = self.call(self.torch.from_numpy(np.ascontiguousarray(images)))
        return [output.numpy() for output in outputs]


def is_compiled(file: str) -> bool:
    """Whether a package holds machine code; raises ValueError where it holds pickles, which are not opened."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        for name in names:
            if name.endswith(".json") and PICKLED.search(archive.read(name)):
                raise ValueError(f"{file} holds pickled objects in {name}, which may run any program")
    return any(COMPILED.search(name) for name in names)


def _compiled(file: str) -> Any:
    from torch._inductor import aoti_load_package

    return aoti_load_package(file)


def _program(file: str) -> Any:
    from torch import export

    return export.load(file).module()
