"""A network that another runtime computes, with a linear head beside it."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from linnaea.arrays import Float32
from linnaea.errors import UsageError
from linnaea.models.engines import BACKENDS, Engine, open_engine
from linnaea.models.model import MODELS, Model, said
from linnaea.runtime.arguments import COLOUR

BLOCK = 4096  # bytes
HALF = 16  # bits


class _Opened:
    """The engine of one network, opened when it is first asked for; a copy opens its own."""

    def __init__(self) -> None:
        self.engine: Engine | None = None

    def __reduce__(self) -> tuple[type["_Opened"], tuple[()]]:
        return type(self), ()


@MODELS.register(
    "compiled", title="Compiled network", meaning="A network that onnxruntime or OpenVINO computes.", quantised=True
)
class Compiled(Model):
    """Features by a network in the format of `backend`, and logits by a linear layer, in float32.

    The file is kept as bytes among the weights, in `blocks` of 4,096 of which the last `padding` bytes are not part of
    it; of OpenVINO the first `graph` bytes describe the network. `length` is the number of features, `bits` are those
    of the numbers that it computes with.
    """

    kind = scorer = "compiled"
    file: Tensor

    def __init__(
        self,
        classes: int,
        size: int,
        backend: str,
        length: int,
        blocks: int,
        padding: int,
        graph: int = 0,
        bits: int = 8,
        channels: int = COLOUR,
    ) -> None:
        if backend not in BACKENDS:
            raise UsageError(f"backend is {backend!r}; expected one of {', '.join(BACKENDS)}.")
        super().__init__(
            classes=classes,
            size=size,
            backend=backend,
            length=length,
            blocks=blocks,
            padding=padding,
            graph=graph,
            bits=bits,
            **said(channels),
        )
        self.backend = backend
        self.register_buffer("file", torch.zeros((blocks, BLOCK), dtype=torch.uint8))
        self.classifier = nn.Linear(length, classes)
        self._opened = _Opened()

    @property
    def unexportable(self) -> str:
        """It is in the format of a runtime, which no other takes over."""
        return (
            f"its network is in the format of {self.backend}: export the run that it was compressed from, "
            "where it can with another --precision."
        )

    @classmethod
    def of(cls, model: Model, backend: str, content: bytes, graph: int = 0, bits: int = 8) -> "Compiled":
        """The features of a model as the bytes of a file, with the head of the model."""
        weight, bias = head_of(model)
        padding = -len(content) % BLOCK
        made = cls(
            len(weight),
            int(model.arguments["size"]),
            backend,
            weight.shape[1],
            (len(content) + padding) // BLOCK,
            padding,
            graph,
            bits,
            model.channels,
        )
        whole = np.frombuffer(content + bytes(padding), dtype=np.uint8).reshape(-1, BLOCK)
        state = {"file": torch.from_numpy(whole.copy()), "classifier.weight": weight, "classifier.bias": bias}
        made.load_state_dict(state)
        return made.eval()

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return self.file.numpy().tobytes()[: self.file.numel() - int(self.arguments["padding"])]

    def features(self, pixels: Tensor) -> Tensor:
        """Pixels (N, C, S, S) to features (N, D), without gradients."""
        given = np.ascontiguousarray(pixels.detach().permute(0, 2, 3, 1).numpy())
        return torch.from_numpy(self._engine(given))

    @property
    def _engine(self) -> Engine:
        if self._opened.engine is None:
            graph, half = int(self.arguments["graph"]), self.arguments["bits"] == HALF
            self._opened.engine = open_engine(self.backend, self.content, graph, half=half)
        return self._opened.engine

    def head(self, features: Tensor) -> Tensor:
        """Features (N, D) to logits (N, K)."""
        logits: Tensor = self.classifier(features)
        return logits


class FromRows(nn.Module):
    """The features of a model, from pixels as they lie in memory: (N, S, S, C) in [0, 1] to (N, D)."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (N, S, S, C) to features (N, D)."""
        return self.model.features(pixels.permute(0, 3, 1, 2))


@torch.no_grad()
def head_of(model: Model) -> tuple[Tensor, Tensor]:
    """Weight (K, D) and bias (K,) of the linear head; raises UsageError where there is none."""
    layer: Any = getattr(model, "classifier", None)
    if not isinstance(layer, nn.Linear) or not model.linear:
        raise UsageError(
            f"a model of the kind {model.kind} has no linear head of its own: only networks with one can be computed "
            "by another runtime."
        )
    bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias
    return layer.weight.detach() * model.logit_scale, bias.detach() * model.logit_scale


def as_float(images: "np.ndarray[Any, np.dtype[np.uint8]]") -> Float32:
    """Images (N, S, S, C) of uint8 as pixels in [0, 1]."""
    return images.astype(np.float32) / np.float32(255)
