"""A classifier whose network is in integers as one graph of its runtime: from decoded images to every answer.

The head, calibration and familiarity stay in float, as they are in the classifier.
"""

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from linnaea.arrays import Images
from linnaea.classifier import Classifier
from linnaea.classifier.graph import Judging
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.delivery.compression.onnx_int8 import OPSET
from linnaea.delivery.compression.quantize import in_eight_bits
from linnaea.errors import UsageError
from linnaea.models import Model
from linnaea.models.compiled import Compiled
from linnaea.models.engines import ONNX, OPENVINO

IMAGES, PIXELS, FEATURES = "images", "pixels", "features"
LARGEST = 255.0
INTEGERS = "int8"
PRECISIONS = {8: (INTEGERS,), 16: ("bf16", "fp16")}  # of bits, as exports name them


class AfterFeatures(nn.Module):
    """Features (N, D) to raw scores, calibrated logits and probabilities (N, K), and OOD scores (N,)."""

    def __init__(self, model: Model, judging: Judging) -> None:
        super().__init__()
        self.model, self.judging = model, judging

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """The four."""
        answers: tuple[Tensor, ...] = self.judging(features, self.model.head(features))
        return answers


def in_integers(classifier: Classifier, backend: str, images: Images) -> Classifier:
    """The classifier with its network in integers, ranges told by the images (N, S, S, C); all else as it is."""
    made, _ = in_eight_bits(classifier.model, backend, images)
    return classifier.with_(scorer=scorer_of(made))


def in_precision(
    classifier: Classifier, backend: str, precision: str, images: Callable[[], Images] | None
) -> Classifier:
    """The same, of one whose network is in integers already that itself.

    Raises UsageError where a network was made for another precision, or there are no images to tell ranges by.
    """
    if is_of(classifier, backend):
        bits = int(classifier.model.arguments["bits"])
        if precision not in PRECISIONS[bits]:
            raise UsageError(
                f"the network of this classifier computes with {bits} bits, and precision is {precision}: expected "
                f"{' or '.join(PRECISIONS[bits])}."
            )
        return classifier
    if images is None:
        raise UsageError("integers need images that tell ranges of activations: give some of the training images.")
    return in_integers(classifier, backend, images())


def is_of(classifier: Classifier, backend: str) -> bool:
    """Whether its network is computed by this runtime."""
    model = getattr(classifier.scorer, "model", None)
    return isinstance(model, Compiled) and model.backend == backend


def whole_openvino(classifier: Classifier, names: Sequence[str]) -> Any:
    """One model of OpenVINO, from images (N, S, S, C) of uint8 to the outputs of these names."""
    import openvino
    from openvino import opset13

    model = _compiled(classifier, OPENVINO)
    graph = int(model.arguments["graph"])
    network = openvino.Core().read_model(model.content[:graph], model.content[graph:])
    with warnings.catch_warnings(action="ignore"):  # parity judges the outcome
        program = torch.export.export(_after(classifier), (_features(model),), dynamic_shapes=_free())
        rest = openvino.convert_model(program)
    images = opset13.parameter([-1, *classifier.recipe.shape], openvino.Type.u8, name=IMAGES)
    pixels = opset13.divide(opset13.convert(images, "f32"), opset13.constant(LARGEST, openvino.Type.f32))
    _replace(network.inputs[0], pixels.output(0))
    _replace(rest.inputs[0], network.outputs[0].get_node().input(0).get_source_output())
    whole = openvino.Model(rest.get_results(), [images], "linnaea")
    whole.inputs[0].get_tensor().set_names({IMAGES})
    for output, name in zip(whole.outputs, names, strict=True):
        output.get_tensor().set_names({name})
    whole.validate_nodes_and_infer_types()
    return whole


def whole_onnx(classifier: Classifier, names: Sequence[str]) -> Any:
    """One ONNX model, from images (N, S, S, C) of uint8 to the outputs of these names."""
    import onnx

    model = _compiled(classifier, ONNX)
    network = onnx.load_model_from_string(model.content)
    with warnings.catch_warnings(action="ignore"), tempfile.TemporaryDirectory() as place:
        program = torch.onnx.export(
            _after(classifier),
            (_features(model),),
            dynamo=True,
            input_names=[FEATURES],
            output_names=list(names),
            dynamic_shapes=_free(),
            opset_version=OPSET,
            verbose=False,
        )
        assert program is not None
        file = Path(place) / "rest.onnx"
        program.save(file)
        rest = onnx.load(file)
    first = _to_pixels(network, list(classifier.recipe.shape))
    joined = _joined(first, network, {PIXELS: network.graph.input[0].name}, "network/")
    whole = _joined(joined, rest, {joined.graph.output[0].name: FEATURES}, "rest/")
    for output, name in zip(list(whole.graph.output), names, strict=True):
        whole.graph.node.add(op_type="Identity", input=[output.name], output=[name], name=f"told/{name}")
        output.name = name
    onnx.checker.check_model(whole)
    return whole


def _to_pixels(network: Any, shape: Sequence[int]) -> Any:
    """Images of uint8 to pixels in [0, 1], as an ONNX model."""
    from onnx import TensorProto, helper

    given = helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, [IMAGES, *shape])
    told = helper.make_tensor_value_info(PIXELS, TensorProto.FLOAT, [IMAGES, *shape])
    largest = helper.make_tensor("largest", TensorProto.FLOAT, [], [LARGEST])
    nodes = [
        helper.make_node("Cast", [IMAGES], ["numbers"], to=TensorProto.FLOAT, name="to_numbers"),
        helper.make_node("Div", ["numbers", "largest"], [PIXELS], name="to_pixels"),
    ]
    graph = helper.make_graph(nodes, "images", [given], [told], [largest])
    return helper.make_model(graph, opset_imports=network.opset_import, ir_version=network.ir_version)


def _joined(first: Any, second: Any, through: Mapping[str, str], prefix: str) -> Any:
    """What the first gives handed on to the second, whose names get a prefix."""
    from onnx import compose

    second = compose.add_prefix(second, prefix)
    second.ir_version = first.ir_version
    known = {each.domain: each.version for each in first.opset_import}
    for each in second.opset_import:
        known.setdefault(each.domain, each.version)
    for model in (first, second):
        del model.opset_import[:]
        for domain, version in known.items():
            model.opset_import.add(domain=domain, version=version)
    named = [(before, after if after.startswith(prefix) else f"{prefix}{after}") for before, after in through.items()]
    return compose.merge_models(first, second, io_map=named)


def _replace(old: Any, new: Any) -> None:
    """Let whatever reads an input of a model of OpenVINO read something else."""
    for reader in list(old.get_node().output(0).get_target_inputs()):
        reader.replace_source_output(new)


def _compiled(classifier: Classifier, backend: str) -> Compiled:
    model = classifier.model
    if not isinstance(model, Compiled) or model.backend != backend:
        known = model.backend if isinstance(model, Compiled) else "no other runtime"
        raise UsageError(
            f"the network of this classifier is computed by {known}, and cannot become a file of {backend}: export it "
            f"to {known}, or the run that it was compressed from."
        )
    return model


def _after(classifier: Classifier) -> AfterFeatures:
    return AfterFeatures(classifier.model, classifier.graph().judging).eval()


def _features(model: Compiled) -> Tensor:
    return torch.rand((2, int(model.arguments["length"])), generator=torch.Generator().manual_seed(0))


def _free() -> tuple[dict[int, Any]]:
    return ({0: torch.export.Dim(IMAGES, min=1)},)
