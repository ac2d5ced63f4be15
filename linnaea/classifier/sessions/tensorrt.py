"""An exported model, run by TensorRT on an NVIDIA GPU. This file travels beside it: it imports nothing of ours.

`model.engine` was built for GPUs like the one that it was built on, and by the version of TensorRT that runs it.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

NEEDS = ("tensorrt", "torch")
PACKAGES = ("tensorrt", "torch")
FILES = ("model.engine",)
MOST = 32  # images at once, up to which the engine was built


class Session:
    """Images (N, S, S, C) of uint8 to what the model says of them; `threads` matter little to a GPU."""

    def __init__(self, folder: str | os.PathLike[str], threads: int = 0) -> None:
        import tensorrt
        import torch

        self.torch = torch
        self.runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
        self.engine: Any = self.runtime.deserialize_cuda_engine((Path(folder) / FILES[0]).read_bytes())
        if self.engine is None:
            raise ValueError("TensorRT does not take the engine: it is of another version, or for another GPU")
        self.context: Any = self.engine.create_execution_context()
        names = [self.engine.get_tensor_name(number) for number in range(self.engine.num_io_tensors)]
        self.given, *self.outputs = names

    def run(self, images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Raw scores, logits and probabilities (N, K), OOD scores (N,) and, of several members, uncertainty (N, 3)."""
        parts = [self._run(images[start : start + MOST]) for start in range(0, len(images), MOST)]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _run(self, images: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        given = self.torch.from_numpy(np.ascontiguousarray(images)).cuda()
        self.context.set_input_shape(self.given, tuple(given.shape))
        results = [self.torch.empty(tuple(self.context.get_tensor_shape(name)), device="cuda") for name in self.outputs]
        for name, tensor in zip([self.given, *self.outputs], [given, *results], strict=True):
            self.context.set_tensor_address(name, tensor.data_ptr())
        stream = self.torch.cuda.current_stream()
        self.context.execute_async_v3(stream.cuda_stream)
        stream.synchronize()
        return [result.cpu().numpy() for result in results]
