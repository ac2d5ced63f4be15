"""One ONNX file: from decoded pixels to probabilities, with class names and the decoding recipe in its metadata."""

import math
from pathlib import Path
from typing import Any

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.onnx import OnnxScorer
from linnaea.delivery.compression.wholes import INTEGERS, in_precision, is_of, whole_onnx
from linnaea.delivery.exporters.contract import EXPORTERS, Exporter, Order, needs_a_network
from linnaea.delivery.exporters.graphs import converting, described, onnx_of, outputs_of
from linnaea.delivery.exporters.precisions import PLAIN
from linnaea.models.engines import ONNX
from linnaea.runtime.files import write_atomically

FILE = "model.onnx"
FEWEST = 64  # terms of a sum, over which the rounding of weights evens out; fewer are of depthwise kernels and biases


def write(classifier: Classifier, folder: Path, order: Order) -> Path:
    """Write `model.onnx` into `folder`.

    Input `images` (N, S, S, C) of uint8; outputs `raw_scores`, `logits`, `probabilities` (N, K), `ood_score` (N,)
    and, of several members, `uncertainty` (N, 3). In 16 bits weights are stored so, and computed with in 32; in eight
    the network alone is in integers.
    """
    import onnx

    if order.precision == INTEGERS or is_of(classifier, ONNX):
        made = in_precision(classifier, ONNX, order.precision, order.calibration)
        with converting("ONNX"):
            model = described(whole_onnx(made, outputs_of(classifier)), classifier)
        return write_atomically(folder / FILE, lambda partial: onnx.save_model(model, partial))
    model = onnx_of(classifier)
    if order.precision != PLAIN:
        store_in_16_bits(model, order.precision)
    return write_atomically(folder / FILE, lambda partial: onnx.save_model(model, partial))


def unfit(classifier: Classifier) -> str:
    """Why ONNX cannot have a classifier: one that onnxruntime computes itself it can."""
    return "" if is_of(classifier, ONNX) else needs_a_network(classifier)


def store_in_16_bits(model: Any, precision: str) -> None:
    """Put weights of 32 bits into 16, each with a node that makes 32 of them when the model is loaded.

    Those of short sums keep their bits: they are few, and every output hangs on each of them.
    """
    import ml_dtypes
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    kind = {"bf16": np.dtype(ml_dtypes.bfloat16), "fp16": np.dtype(np.float16)}[precision]
    casts, terms = [], _terms_of(model)
    for constant in model.graph.initializer:
        if constant.data_type != TensorProto.FLOAT or terms.get(constant.name, 0) < FEWEST:
            continue
        values = numpy_helper.to_array(constant)
        if precision == "fp16" and np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = constant.name
        constant.CopyFrom(numpy_helper.from_array(values.astype(kind), f"{name}_{precision}"))
        casts.append(helper.make_node("Cast", [constant.name], [name], f"{name}_in_32_bits", to=TensorProto.FLOAT))
    for place, cast in enumerate(casts):
        model.graph.node.insert(place, cast)


def _terms_of(model: Any) -> dict[str, int]:
    """How many products of a weight make up one output, by the name of the weights that products are made with."""
    shapes = {constant.name: list(constant.dims) for constant in model.graph.initializer}
    terms: dict[str, int] = {}
    for node in model.graph.node:
        for name in node.input:
            shape = shapes.get(name, ())
            if len(shape) < 2:
                continue
            across = any(one.name == "transB" and one.i for one in node.attribute)
            if node.op_type == "Conv" or (node.op_type == "Gemm" and across):
                terms[name] = math.prod(shape[1:])
            elif node.op_type in ("Gemm", "MatMul"):
                terms[name] = shape[-2]
    return terms


EXPORTERS.register(
    "onnx",
    title="ONNX",
    meaning="One ONNX file with a script that needs only onnxruntime, numpy and Pillow.",
    order=10,
    runtime="onnxruntime",
    precisions=("fp32", "bf16", "fp16", "int8"),
    needs=("onnx", "onnxscript", "onnxruntime"),
    extra="export",
)(Exporter(write, OnnxScorer, unfit))
