"""TensorRT's engine, for the NVIDIA GPU of this machine."""

import importlib.util
from pathlib import Path
from typing import Any

import torch

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.tensorrt import TensorrtScorer
from linnaea.classifier.sessions.tensorrt import FILES, MOST
from linnaea.delivery.exporters.contract import EXPORTERS, Exporter, Order, UnfitError, needs_a_network
from linnaea.delivery.exporters.graphs import INPUT, converting, onnx_of

USUAL = 8  # images at once, for which it is the fastest


def write(classifier: Classifier, folder: Path, order: Order) -> Path:
    """Write `model.engine` into `folder`, by way of ONNX: it takes images (N, S, S, C) of uint8, N up to 32."""
    model = onnx_of(classifier).SerializeToString()
    with converting("TensorRT"):
        engine = _built(model, classifier.recipe.shape)
    (folder / FILES[0]).write_bytes(engine)
    return folder / FILES[0]


def _built(model: bytes, shape: tuple[int, ...]) -> Any:
    """The engine as bytes; raises UnfitError, which names the operator, where TensorRT cannot."""
    import tensorrt

    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(model):
        told = "; ".join(str(parser.get_error(number)) for number in range(parser.num_errors))
        raise UnfitError(f"TensorRT cannot express this classifier: {told}")
    profile = builder.create_optimization_profile()
    profile.set_shape(INPUT, (1, *shape), (USUAL, *shape), (MOST, *shape))
    settings = builder.create_builder_config()
    settings.add_optimization_profile(profile)
    settings.clear_flag(tensorrt.BuilderFlag.TF32)  # which has fewer digits than fp32
    engine = builder.build_serialized_network(network, settings)
    if engine is None:
        raise UnfitError("TensorRT built no engine of this classifier.")
    return bytes(engine)


def unfit(classifier: Classifier) -> str:
    """Why it cannot be built: without a GPU and TensorRT nothing can."""
    lacking = [] if torch.cuda.is_available() else ["torch finds no GPU"]
    lacking += [] if importlib.util.find_spec("tensorrt") is not None else ["tensorrt is not installed"]
    if lacking:
        return (
            "an engine is built where it runs, and needs an NVIDIA GPU and `pip install tensorrt`: not run here, as "
            f"{' and '.join(lacking)}."
        )
    return needs_a_network(classifier)


EXPORTERS.register(
    "tensorrt",
    title="TensorRT",
    meaning="An engine for NVIDIA GPUs like the one of this machine; refused where there is none.",
    order=80,
    cost="minutes",
    runtime="TensorRT",
    precisions=("fp32",),
    needs=("tensorrt", "onnx", "onnxscript"),
    extra="tensorrt",
)(Exporter(write, TensorrtScorer, unfit=unfit))
