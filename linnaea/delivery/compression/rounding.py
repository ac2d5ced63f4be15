"""Weights alone in few bits: the file gets smaller, the network computes as before."""

import importlib.util
import logging
from typing import Any

import torch
from torch import Tensor

from linnaea.errors import MissingExtraError
from linnaea.models import Model
from linnaea.models.rounded import GROUP, HALF, INTEGERS, Rounded, packed


def require_rounding(bits: int) -> None:
    """Raise MissingExtraError where integers cannot be made here."""
    if bits < 16 and importlib.util.find_spec("torchao") is None:
        raise MissingExtraError("torchao", "compress")


@torch.no_grad()
def rounded(model: Model, bits: int) -> Rounded:
    """The model with its matrices and filters in 4, 8 or 16 bits.

    Of 16 bits they are float16 or, where one is beyond its range, bfloat16; of fewer, integers that lie evenly around 0
    with a scale for each output channel, or for each 32 weights where they have 4 bits.
    """
    weights = {name: weight.detach() for name, weight in model.named_parameters() if weight.dim() > 1}
    if bits == 16:
        largest = max((float(weight.abs().max()) for weight in weights.values()), default=0.0)
        kind = "float16" if largest < torch.finfo(torch.float16).max else "bfloat16"
        return Rounded.of(model, kind, {name: {"values": weight.to(HALF[kind])} for name, weight in weights.items()})
    kind = f"int{bits}"
    return Rounded.of(model, kind, {name: _integers(weight, kind) for name, weight in weights.items()})


def _integers(weight: Tensor, kind: str) -> dict[str, Tensor]:
    """The integers that stand for a weight (K, ...) as rows, and their scales (K, G)."""
    torchao = _torchao()
    rows = weight.float().flatten(1)
    if kind == "int4":
        rows = torch.nn.functional.pad(rows, (0, -rows.shape[1] % GROUP))
    block = (1, GROUP if kind == "int4" else rows.shape[1])
    least, most = -INTEGERS[kind], INTEGERS[kind]
    scales, zeros = torchao.choose_qparams_affine(
        rows,
        torchao.MappingType.SYMMETRIC_NO_CLIPPING_ERR,
        block,
        torch.int8,
        quant_min=least,
        quant_max=most,
        scale_dtype=torch.float32,
        zero_point_dtype=torch.int32,
    )
    values = torchao.quantize_affine(rows, block, scales, zeros, torch.int8, quant_min=least, quant_max=most)
    return {"values": packed(values) if kind == "int4" else values, "scales": scales.reshape(len(rows), -1)}


def _torchao() -> Any:
    """The library, without what it makes torch say when it is imported."""
    speaker = logging.getLogger("torch.utils._pytree")
    level = speaker.level
    speaker.setLevel(logging.ERROR)
    try:
        import torchao.quantization
    finally:
        speaker.setLevel(level)
    return torchao.quantization
