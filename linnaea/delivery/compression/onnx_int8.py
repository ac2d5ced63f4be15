"""Networks for onnxruntime: integers between QuantizeLinear and DequantizeLinear, calibrated on images."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from linnaea.arrays import Images
from linnaea.delivery.compression.contract import Workshop
from linnaea.errors import MissingExtraError
from linnaea.models import Model
from linnaea.models.compiled import Compiled, FromRows, as_float
from linnaea.models.engines import ONNX, require_engine

OPSET = 18
COMPARED = 16  # images by which layers are ranked
KINDS = ("Conv", "Gemm", "MatMul")
SHARES = (0.05, 0.1, 0.2, 0.4)  # of the layers, which stay in float where too much is lost


def require_onnx() -> None:
    """Raise MissingExtraError where onnxruntime or what converts is not there."""
    require_engine(ONNX)
    if find_spec("onnxscript") is None:
        raise MissingExtraError("onnxscript", "export")


def write_network(model: Model, file: Path) -> Path:
    """Write the features of a model, from pixels (N, S, S, C), as an ONNX file that is ready to be quantised."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    side = int(model.arguments["size"])
    with _quiet():
        program = torch.onnx.export(
            FromRows(model).eval(),
            (torch.rand(2, side, side, model.channels),),
            dynamo=True,
            input_names=["pixels"],
            output_names=["features"],
            dynamic_shapes=({0: torch.export.Dim("images", min=1)},),
            opset_version=OPSET,
            verbose=False,
        )
        assert program is not None
        plain = file.with_name("plain.onnx")
        program.save(plain)
        quant_pre_process(plain, file, skip_symbolic_shape=True)
    return file


def quantized(file: Path, images: Images, kept: Sequence[str] = ()) -> bytes:
    """A file with weights by channel and activations in 8 bits, their ranges told by images, as bytes.

    The nodes named in `kept` stay in float.
    """
    from onnxruntime import quantization

    target = file.with_name("quantized.onnx")
    with _quiet():
        quantization.quantize_static(
            file,
            target,
            _reader(images),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=list(kept),
        )
    return target.read_bytes()


def onnx_int8(model: Model, images: Images, workshop: Workshop | None = None) -> tuple[Compiled, list[str]]:
    """The model with its network in integers of onnxruntime, and notes on layers that stayed in float.

    Where more is lost on val than the workshop allows, these are those whose own output differs most, more and more of
    them; without a workshop all are in integers.
    """
    with tempfile.TemporaryDirectory() as place:
        file = write_network(model, Path(place) / "network.onnx")
        made = Compiled.of(model, ONNX, quantized(file, images))
        if workshop is None or workshop.judge(made) >= workshop.least:
            return made, []
        ranked = sensitive(file, images[:COMPARED])
        for share in SHARES:
            kept = ranked[: max(1, round(share * len(ranked)))]
            made = Compiled.of(model, ONNX, quantized(file, images, kept))
            if workshop.judge(made) >= workshop.least:
                break
    return made, [f"{len(kept)} of {len(ranked)} layers stayed in float, where integers cost most: {kept[0]} first."]


def sensitive(file: Path, images: Images) -> list[str]:
    """The names of the layers of a network, those first whose output quantisation changes most."""
    from onnxruntime.quantization import qdq_loss_debug

    quantised = file.with_name("ranked.onnx")
    quantised.write_bytes(quantized(file, images))
    found = []
    with _quiet():
        for source in (file, quantised):
            told = source.with_suffix(".told.onnx")
            qdq_loss_debug.modify_model_output_intermediate_tensors(source, told)
            found.append(qdq_loss_debug.collect_activations(str(told), _reader(images)))
    matched = qdq_loss_debug.create_activation_matching(found[1], found[0])
    losses = qdq_loss_debug.compute_activation_error(matched)
    ratios = {name: float(np.min(values["qdq_err"])) for name, values in losses.items()}
    return sorted(
        (name for name, output in _layers(file)), key=lambda name: ratios.get(dict(_layers(file))[name], np.inf)
    )


def _layers(file: Path) -> Iterator[tuple[str, str]]:
    """The names of convolutions and products, with those of what they give."""
    import onnx

    for node in onnx.load(file).graph.node:
        if node.op_type in KINDS:
            yield node.name, node.output[0]


def _reader(images: Images) -> Any:
    """The images one by one, as the library asks for them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            self.rewind()

        def rewind(self) -> None:
            self.left = iter(range(len(images)))

        def get_next(self) -> dict[str, Any] | None:
            row = next(self.left, None)
            return None if row is None else {"pixels": as_float(images[row : row + 1])}

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings of the converter and what the quantiser advises; the judge on val decides."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
