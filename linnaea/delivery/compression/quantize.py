"""Quantisation: a network that computes with integers, or only keeps them."""

from linnaea.arrays import Images
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.delivery.compression import onnx_int8, openvino_int8
from linnaea.delivery.compression.calibration_images import calibration_images, few_sentence
from linnaea.delivery.compression.contract import COMPRESSORS, Compressed, Compressor, Wanted, Workshop
from linnaea.delivery.compression.rounding import require_rounding, rounded
from linnaea.models import Model
from linnaea.models.compiled import Compiled, head_of
from linnaea.runtime.arguments import computing, require_bits

TORCH = "torch"


def backend_of(wanted: Wanted) -> str:
    """What computes: as asked for, else OpenVINO of eight bits and torch of others."""
    return computing(wanted.bits, wanted.backend)


def require(classifier: Classifier, wanted: Wanted) -> None:
    """Raise UsageError for bits that the backend has not, and a network without a linear head."""
    require_wanted(wanted)
    if backend_of(wanted) != TORCH:
        head_of(classifier.model)


def require_wanted(wanted: Wanted) -> None:
    """Raise UsageError for bits that the backend has not, MissingExtraError where it is not there."""
    require_bits(wanted.bits, wanted.backend)
    backend = backend_of(wanted)
    if backend == TORCH:
        require_rounding(wanted.bits)
    elif backend == "openvino":
        openvino_int8.require_openvino(wanted.bits)
    else:
        onnx_int8.require_onnx()


def quantize(classifier: Classifier, workshop: Workshop) -> Compressed:
    """The classifier in few bits, by what was asked for."""
    model, wanted = classifier.model, workshop.wanted
    backend = backend_of(wanted)
    notes: list[str] = []
    made: Model
    if backend == TORCH:
        made = rounded(model, wanted.bits)
        notes = [f"Weights are kept as {made.bits}; the network computes in float32, as fast as before."]
        return Compressed(classifier.with_(scorer=scorer_of(made)), notes)
    if wanted.bits == 16:
        made = openvino_int8.as_compiled(model, openvino_int8.converted(model), half=True)
        notes = ["OpenVINO computes the network, in bfloat16 where the processor has it; weights are kept as float16."]
        return Compressed(classifier.with_(scorer=scorer_of(made)), notes)
    images = calibration_images(workshop.train, workshop.targets, workshop.seed)
    made, notes = in_eight_bits(model, backend, images, workshop)
    return Compressed(classifier.with_(scorer=scorer_of(made)), notes, None, few_sentence(images))


def in_eight_bits(
    model: Model, backend: str, images: Images, workshop: Workshop | None = None
) -> tuple[Compiled, list[str]]:
    """The model with its network in integers of a backend, ranges told by the images (N, S, S, C), and notes.

    Where more is lost on val than the workshop allows, layers stay in float that cost most; without a workshop none do.
    """
    by = f"Ranges of activations were told by {len(images)} training images of all classes."
    made, notes = (_openvino if backend == "openvino" else onnx_int8.onnx_int8)(model, images, workshop)
    return made, [by, *notes]


def _openvino(model: Model, images: Images, workshop: Workshop | None) -> tuple[Compiled, list[str]]:
    network = openvino_int8.quantized(model, images)
    made, why = openvino_int8.as_compiled(model, network), ""
    if workshop is not None and not workshop.judge(made) >= workshop.least:
        why = f"; with all of them {100 * (workshop.reference - workshop.judge(made)):.2f} points were lost on val"
        network = openvino_int8.quantized_with_care(model, images, workshop)
        made = openvino_int8.as_compiled(model, network)
    count, whole = openvino_int8.in_integers(network), len(openvino_int8.layers(network))
    return made, [f"{count} of {whole} layers compute with integers in OpenVINO{why}."]


COMPRESSORS.register(
    "quantize",
    title="Quantisation",
    meaning="Numbers of few bits, without further training.",
    cost="minutes",
    takes=("torch",),
    trains=False,
    last=True,
)(Compressor(quantize, require, require_wanted))
