"""Quantisation-aware training: a few epochs with integers simulated, then the same integers as `quantize` makes."""

from linnaea.arrays import Images
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.delivery.compression.calibration_images import calibration_images, few_sentence
from linnaea.delivery.compression.contract import COMPRESSORS, Compressed, Compressor, Wanted, Workshop
from linnaea.delivery.compression.quantize import TORCH, backend_of, in_eight_bits
from linnaea.delivery.compression.quantize import require as require_quantize
from linnaea.delivery.compression.quantize import require_wanted as require_bits
from linnaea.delivery.compression.simulated import freed, simulated
from linnaea.errors import UsageError
from linnaea.models import Model


def require(classifier: Classifier, wanted: Wanted) -> None:
    """Raise UsageError for what is wanted and cannot be, and a network without a linear head."""
    require_wanted(wanted)
    require_quantize(classifier, wanted)


def require_wanted(wanted: Wanted) -> None:
    """Raise UsageError for other bits than 8, and a backend that does not compute with them."""
    if wanted.bits != 8 or wanted.backend == TORCH:
        raise UsageError(
            f"qat trains for 8 bits of openvino or onnx, and asked for are {wanted.bits} of {backend_of(wanted)}: "
            "leave out --bits and --backend torch, or use quantize."
        )
    require_bits(wanted)


def train_for_integers(classifier: Classifier, workshop: Workshop) -> Compressed:
    """The classifier in integers, trained on for them; that without training, where training did not help on val."""
    model, backend = classifier.model, backend_of(workshop.wanted)
    images = calibration_images(workshop.train, workshop.targets, workshop.seed)
    plain, notes = in_eight_bits(model, backend, images)
    trained, told = _trained(model, images, workshop)
    aware, _ = in_eight_bits(trained, backend, images)
    before, after = workshop.judge(plain), workshop.judge(aware)
    kept, lost = (aware, after) if after >= before else (plain, before)
    notes += [
        *told,
        f"Integers without training lose {100 * (workshop.reference - before):.2f} points on val, after training "
        f"{100 * (workshop.reference - after):.2f}: {'the latter' if kept is aware else 'the former'} are kept.",
    ]
    facts = {"untrained": before, "trained": after, "kept": lost}
    return Compressed(classifier.with_(scorer=scorer_of(kept)), notes, facts, few_sentence(images))


def _trained(model: Model, images: Images, workshop: Workshop) -> tuple[Model, list[str]]:
    pretending = simulated(model, images)
    notes = workshop.tune(pretending, precision="float32")
    return freed(pretending), list(notes)


COMPRESSORS.register(
    "qat",
    title="Quantisation-aware training",
    meaning="Integers after a few epochs with integers simulated.",
    cost="hours",
    takes=("torch",),
    trains=True,
    last=True,
)(Compressor(train_for_integers, require, require_wanted))
