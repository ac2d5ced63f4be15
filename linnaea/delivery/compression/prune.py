"""Pruning: channels and heads that go altogether, which is faster, or weights that are set to zero, which is not."""

import copy
import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.delivery.compression.contract import COMPRESSORS, Compressed, Compressor, Wanted, Workshop
from linnaea.delivery.compression.pruning import cut, require_prunable, traced
from linnaea.delivery.compression.saliency import Loss, saliency_of
from linnaea.delivery.compression.stepping import stepped, whole_training
from linnaea.delivery.compression.zeros import compressed_megabytes, set_smallest_to_zero, share_of_zeros, weights_of
from linnaea.errors import MissingExtraError, UsageError
from linnaea.models import Model
from linnaea.models.model import to_pixels

IMAGES, TOGETHER = 256, 8  # of train, by which it is told what channels are worth
WHOLE_RATE = 1.0  # what is left learns at the run's whole rate: much was taken away


def require(classifier: Classifier, wanted: Wanted) -> None:
    """Raise UsageError for a model whose channels cannot be taken out, MissingExtraError without torch-pruning."""
    require_prunable(classifier.model)
    if importlib.util.find_spec("torch_pruning") is None:
        raise MissingExtraError("torch-pruning", "compress")


def prune(classifier: Classifier, workshop: Workshop) -> Compressed:
    """The network with fewer channels, trained on with the run as its teacher."""
    network = require_prunable(classifier.model)
    several = workshop.targets.ndim == 2
    whole = traced(network, saliency_of(network, batches_of(workshop), loss_of(several=several)))
    training: dict[str, Any] = {"rate": WHOLE_RATE, "taught": True, "renewed": True}
    step, tried = stepped(lambda share: cut(whole, share), workshop, "prune", **training)
    if step.model.arguments == network.arguments:
        if workshop.wanted.target is not None:
            return Compressed(
                classifier, [f"Pruning had nothing to do: {workshop.wanted.target.text} was met before it."]
            )
        raise UsageError(
            f"no channel of {network.arguments['name']} can go without losing more than may be: allow more with "
            "--max-drop, or use --method quantize."
        )
    notes = workshop.tune(step.model, epochs=whole_training(workshop), **training)
    before, after = (sum(one.numel() for one in model.parameters()) for model in (network, step.model))
    told = (
        f"Channels that take {step.strength:.0%} of the work were taken out, by their first-order Taylor terms on "
        f"{min(IMAGES, len(workshop.train))} training images: {after:,} of {before:,} numbers are left."
    )
    facts = {"share": step.strength, "parameters": after, "tried": [one.to_json() for one in tried]}
    return Compressed(classifier.with_(scorer=scorer_of(step.model)), [told, *notes], facts)


def require_weights(classifier: Classifier, wanted: Wanted) -> None:
    """Raise UsageError for a model without weights."""
    if not weights_of(classifier.model):
        raise UsageError("the model has no matrices or filters whose weights could be set to zero: compress a network.")


def sparsify(classifier: Classifier, workshop: Workshop) -> Compressed:
    """The same network with as many zeros among its weights as what may be lost allows; a target is for others."""
    workshop = replace(workshop, wanted=replace(workshop.wanted, target=None))

    def make(share: float) -> Model:
        model = copy.deepcopy(classifier.model)
        set_smallest_to_zero(model, share)
        return model

    training: dict[str, Any] = {"rate": WHOLE_RATE, "taught": True, "zeros": True}
    step, tried = stepped(make, workshop, "sparsify", **training)
    notes = workshop.tune(step.model, epochs=whole_training(workshop), **training)
    zeros, packed = share_of_zeros(step.model), compressed_megabytes(step.model)
    told = (
        f"{zeros:.0%} of the weights are zero. The network is not faster and its file not smaller; compressed by zip "
        f"it takes {packed:.2f} MB in place of {compressed_megabytes(classifier.model):.2f}."
    )
    facts = {"zeros": zeros, "zipped_megabytes": packed, "tried": [one.to_json() for one in tried]}
    return Compressed(classifier.with_(scorer=scorer_of(step.model)), [told, *notes], facts)


def rows_of(workshop: Workshop, most: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """At most so many training images, drawn at random by the seed."""
    count = len(workshop.train)
    return np.sort(np.random.default_rng(workshop.seed).permutation(count)[:most])


def batches_of(workshop: Workshop) -> Iterator[tuple[Tensor, Tensor]]:
    """Pixels and targets of some training images, a few at a time."""
    rows = rows_of(workshop, IMAGES)
    for some in np.array_split(rows, max(1, len(rows) // TOGETHER)):
        yield to_pixels(torch.from_numpy(np.asarray(workshop.train[some]))), torch.from_numpy(workshop.targets[some])


def loss_of(*, several: bool) -> Loss:
    """The plain loss of a task, by which channels are judged."""
    if several:
        return lambda logits, targets: functional.binary_cross_entropy_with_logits(logits, targets.float())
    return functional.cross_entropy


COMPRESSORS.register(
    "prune",
    title="Pruning of channels",
    meaning="Channels and heads that matter least go altogether; what is left is trained on.",
    cost="hours",
    takes=("torch",),
    trains=True,
    last=False,
)(Compressor(prune, require))
COMPRESSORS.register(
    "sparsify",
    title="Pruning of weights",
    meaning="The smallest weights become zero: smaller when zipped, no faster.",
    cost="hours",
    takes=("torch",),
    trains=True,
    last=False,
    smaller=False,
)(Compressor(sparsify, require_weights))
