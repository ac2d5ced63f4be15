"""OpenVINO's representation: `model.xml` and `model.bin`, fast on processors of Intel and others."""

import tempfile
from pathlib import Path
from typing import Any

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.openvino import OpenvinoScorer
from linnaea.classifier.sessions.openvino import FILES, PRECISION
from linnaea.delivery.compression.wholes import INTEGERS, in_precision, is_of, whole_openvino
from linnaea.delivery.exporters.contract import EXPORTERS, Exporter, Order, needs_a_network
from linnaea.delivery.exporters.graphs import converting, facts_of, onnx_of, outputs_of
from linnaea.delivery.exporters.precisions import PLAIN
from linnaea.models.engines import OPENVINO


def write(classifier: Classifier, folder: Path, order: Order) -> Path:
    """Write `model.xml` and `model.bin` into `folder`; what is known of the classifier lies in the runtime information.

    In 16 bits weights are stored as float16. OpenVINO computes in bfloat16 where that is the precision and the
    processor can, else in float32; in eight bits the network alone is in integers.
    """
    import openvino

    if order.precision == INTEGERS or is_of(classifier, OPENVINO):
        made = in_precision(classifier, OPENVINO, order.precision, order.calibration)
        with converting("OpenVINO"):
            model = described(whole_openvino(made, outputs_of(classifier)), classifier)
        model.set_rt_info(order.precision, PRECISION)
        openvino.save_model(model, folder / FILES[0], compress_to_fp16=False)
        return folder / FILES[0]
    model = openvino_of(classifier)
    model.set_rt_info(order.precision, PRECISION)
    openvino.save_model(model, folder / FILES[0], compress_to_fp16=order.precision != PLAIN)
    return folder / FILES[0]


def openvino_of(classifier: Classifier) -> Any:
    """The classifier as an OpenVINO model, by way of ONNX; raises UnfitError where either cannot express it."""
    import onnx
    import openvino

    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "model.onnx"
        onnx.save_model(onnx_of(classifier), file)
        with converting("OpenVINO"):
            model = openvino.convert_model(file, share_weights=False)  # the file is gone afterwards
    for output, name in zip(model.outputs, outputs_of(classifier), strict=True):
        output.get_tensor().set_names({name})
    return described(model, classifier)


def described(model: Any, classifier: Classifier) -> Any:
    """The model with what is known of the classifier in its runtime information."""
    for key, value in facts_of(classifier).items():
        model.set_rt_info(value, ["linnaea", key])
    return model


def unfit(classifier: Classifier) -> str:
    """Why OpenVINO cannot have a classifier: one that it computes itself it can."""
    return "" if is_of(classifier, OPENVINO) else needs_a_network(classifier)


EXPORTERS.register(
    "openvino",
    title="OpenVINO",
    meaning="OpenVINO's two files with a script that needs only openvino, numpy and Pillow.",
    order=20,
    runtime="OpenVINO",
    precisions=("fp32", "bf16", "fp16", "int8"),
    needs=("openvino", "onnx", "onnxscript"),
    extra="export",
    quantizer=("nncf",),
)(Exporter(write, OpenvinoScorer, unfit))
