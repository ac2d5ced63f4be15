"""A call with its arguments, passed from the first process to the others.

Arrays lie in files that all map into memory; the rest is pickled. It is only ever read by processes that were started
together, from the one that leads them.
"""

import io
import pickle
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LARGE = 2**20  # bytes


class Passed:
    """Writes calls; arrays of more than a megabyte go into files in `folder`, each once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[int, tuple[Any, str]] = {}  # the array itself is held, so that its number is not given again

    def packed(self, name: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> bytes:
        """The call of the function `name`; raises TypeError, AttributeError or PicklingError where it cannot be."""
        buffer = io.BytesIO()
        _Pickler(buffer, self).dump((name, tuple(arguments), dict(options)))
        return buffer.getvalue()

    def place_of(self, array: Any) -> str:
        """The file that holds this array."""
        if id(array) not in self.known:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{len(self.known)}.npy"
            room = np.lib.format.open_memmap(path, mode="w+", dtype=array.dtype, shape=array.shape)
            step = max(1, 64 * LARGE // max(1, array[:1].nbytes))
            for start in range(0, len(array), step):
                room[start : start + step] = array[start : start + step]
            room.flush()
            self.known[id(array)] = (array, str(path.resolve()))
        return self.known[id(array)][1]

    def remove(self) -> None:
        """Remove the files: who has them open keeps them for as long as it lives."""
        for _, path in self.known.values():
            Path(path).unlink(missing_ok=True)
        if self.folder.is_dir():
            self.folder.rmdir()


class _Pickler(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO, passed: Passed) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        self.passed = passed

    def persistent_id(self, obj: Any) -> Any:
        """The file of a large array."""
        if isinstance(obj, np.ndarray) and obj.nbytes > LARGE and not obj.dtype.hasobject:
            return self.passed.place_of(obj)
        return None

    def reducer_override(self, obj: Any) -> Any:
        """Tensors of an accelerator as those of the processor: each process has a device of its own."""
        if not isinstance(obj, Tensor) or obj.device.type == "cpu":
            return NotImplemented
        own = obj.detach().cpu()
        return (nn.Parameter, (own, obj.requires_grad)) if isinstance(obj, nn.Parameter) else (torch.clone, (own,))


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        """The array in a file, mapped into memory; what is written to it stays in this process."""
        return _opened(pid)


@cache  # the files are removed once all have opened them
def _opened(path: str) -> Any:
    return np.load(path, mmap_mode="c", allow_pickle=False)


def unpacked(content: bytes) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """The name of the function, its arguments and its options."""
    call: tuple[str, tuple[Any, ...], dict[str, Any]] = _Unpickler(io.BytesIO(content)).load()
    return call
