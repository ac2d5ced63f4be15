"""Networks for OpenVINO: integers by nncf, calibrated on images; layers that need it stay in float."""

import io
import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from linnaea.arrays import Float32, Images
from linnaea.delivery.compression.contract import Workshop
from linnaea.errors import MissingExtraError
from linnaea.models import Model
from linnaea.models.compiled import HALF, Compiled, FromRows, as_float, head_of
from linnaea.models.engines import OPENVINO, require_engine

AT_ONCE = 32
KINDS = ("Convolution", "GroupConvolution", "MatMul")
PASSING = ("Convert", "Subtract", "Multiply", "Reshape", "FakeQuantize")  # on the way from integers to a layer
RANKED = 200  # val images by which layers are ranked


def require_openvino(bits: int) -> None:
    """Raise MissingExtraError where OpenVINO, or nncf for integers, is not there."""
    require_engine(OPENVINO)
    if bits == 8 and find_spec("nncf") is None:
        raise MissingExtraError("nncf", "compress")


def converted(model: Model) -> Any:
    """The features of a model as a network of OpenVINO, for any number of images at once."""
    return converted_module(FromRows(model), int(model.arguments["size"]), model.channels)


def converted_module(module: torch.nn.Module, size: int, channels: int) -> Any:
    """A module from pixels (N, S, S, C) to features (N, D) as a network of OpenVINO."""
    import openvino

    example = torch.rand((2, size, size, channels), generator=torch.Generator().manual_seed(0))
    dynamic = ({0: torch.export.Dim("images", min=1)},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own deprecations; the judge on val decides
        program = torch.export.export(module.eval(), (example,), dynamic_shapes=dynamic)
        network = openvino.convert_model(program)
    network.reshape([-1, size, size, channels])
    return network


def as_compiled(model: Model, network: Any, *, half: bool = False) -> Compiled:
    """A network of OpenVINO with the head of the model; `half` keeps what is float in 16 bits."""
    import openvino

    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "network.xml"
        openvino.save_model(network, file, compress_to_fp16=half)
        description, weights = file.read_bytes(), file.with_suffix(".bin").read_bytes()
    return Compiled.of(model, OPENVINO, description + weights, len(description), HALF if half else 8)


def quantized(model: Model, images: Images, *, bias: bool = False) -> Any:
    """The features of a model with weights by channel and activations in 8 bits, their ranges told by images.

    `bias` corrects the mean of each layer one after the other, which takes longer.
    """
    nncf = _nncf()
    with _quiet():
        return nncf.quantize(
            converted(model),
            nncf.Dataset([as_float(images[row : row + 1]) for row in range(len(images))]),
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(images),
            fast_bias_correction=not bias,
            model_type=nncf.ModelType.TRANSFORMER if _is_transformer(model) else None,
        )


def quantized_with_care(model: Model, images: Images, workshop: Workshop) -> Any:
    """The same, where layers that cost most of the metric on val stay in float until little enough is lost."""
    nncf = _nncf()
    weight, bias = (part.numpy() for part in head_of(model))
    pixels, rows = workshop.val, range(len(workshop.val))

    def worth(network: Any, items: Iterable[Any]) -> tuple[float, None]:
        chosen = [int(item) for item in items]
        starts = range(0, len(chosen), AT_ONCE)
        parts = [network(as_float(pixels[chosen[start : start + AT_ONCE]]))[0] for start in starts]
        features: Float32 = np.concatenate(parts)
        return workshop.worth(features @ weight.T + bias, chosen), None

    with _quiet():
        return nncf.quantize_with_accuracy_control(
            converted(model),
            nncf.Dataset([as_float(images[row : row + 1]) for row in range(len(images))]),
            nncf.Dataset(list(rows)),
            worth,
            max_drop=max(0.0, workshop.judge(model) - workshop.least),
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(images),
            model_type=nncf.ModelType.TRANSFORMER if _is_transformer(model) else None,
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(ranking_subset_size=RANKED),
        )


def layers(network: Any) -> list[Any]:
    """The convolutions and products of a network of OpenVINO."""
    return [node for node in network.get_ordered_ops() if node.get_type_name() in KINDS]


def in_integers(network: Any) -> int:
    """How many of them have weights in eight bits."""
    return sum(
        any(_of_integers(each.get_source_output().get_node()) for each in node.inputs()) for node in layers(network)
    )


def _of_integers(node: Any, steps: int = 5) -> bool:
    """Whether what a node gives is made of integers that are kept."""
    if node.get_type_name() == "Constant":
        return str(node.get_element_type().to_string()) in ("i8", "u8")
    follow = node.get_type_name() in PASSING and steps > 0
    return follow and _of_integers(node.input(0).get_source_output().get_node(), steps - 1)


def _is_transformer(model: Model) -> bool:
    return any("attention" in type(part).__name__.lower() for part in model.modules())


def _nncf() -> Any:
    with _quiet():
        import nncf
    return nncf


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what nncf says of its progress, and its bars."""
    speakers = [logging.getLogger(name) for name in ("nncf", "torch.utils.cpp_extension")]
    levels = [speaker.level for speaker in speakers]
    for speaker in speakers:
        speaker.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for speaker, level in zip(speakers, levels, strict=True):
            speaker.setLevel(level)
