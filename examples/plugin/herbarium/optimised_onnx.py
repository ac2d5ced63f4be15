"""An ONNX file whose graph onnxruntime has optimised for this machine."""

from dataclasses import replace
from pathlib import Path

from linnaea.classifier import Classifier
from linnaea.delivery.exporters import EXPORTERS, Order

ONNX = EXPORTERS["onnx"]


def write(classifier: Classifier, folder: Path, order: Order) -> Path:
    """Write the ONNX file, then put the optimised graph in its place."""
    import onnxruntime

    file = ONNX.write(classifier, folder, order)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(file.with_suffix(".new"))
    onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return file.with_suffix(".new").replace(file)


EXPORTERS.register(
    "optimised_onnx",
    title="Optimised ONNX",
    meaning="An ONNX file, its graph optimised for machines like this one.",
    runtime="onnxruntime",
    needs=("onnx", "onnxscript", "onnxruntime"),
)(replace(ONNX, write=write))
