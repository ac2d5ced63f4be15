"""Taking away what was learnt: weights in random order, from the last layer backwards; or answers at random."""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from linnaea.arrays import Array, Float64, Images
from linnaea.evidence.explanation.black_box.covering import covered
from linnaea.evidence.explanation.black_box.random_masks import random_masks
from linnaea.evidence.explanation.subject import Subject

if TYPE_CHECKING:
    from torch import Tensor, nn

    from linnaea.models import Model

UPPER, ALL, ANSWERS = "the upper half of the layers", "all weights", "its answers"
COVERINGS = 16  # per image, whose answers are drawn from


def unlearnt_networks(subject: Subject, images: Images, seed: int) -> Iterator[tuple[str, Subject]]:
    """The subject with the weights of the upper half of its layers, and of all, in random order."""
    from linnaea.classifier.scorers.torch_model import scorer_of

    for how, share in ((UPPER, 0.5), (ALL, 1.0)):
        network = shuffled(subject.network, subject.tensor(images), share, seed)
        yield how, Subject(subject.classifier.with_(scorer=scorer_of(network)))


def shuffled(network: "Model", pixels: "Tensor", share: float, seed: int) -> "Model":
    """A copy whose last layers, this share of them, have their weights in random order.

    Each tensor keeps its values, so that activations keep their size. What normalises by the statistics of a set takes
    those of `pixels` (N, C, S, S).
    """
    import torch

    random = torch.Generator().manual_seed(seed)
    changed = copy.deepcopy(network)
    layers = _in_order(changed, pixels[:1])
    first = len(layers) - max(1, round(share * len(layers)))
    with torch.no_grad():
        for layer in layers[first:]:
            for weights in layer.parameters(recurse=False):
                order = torch.randperm(weights.numel(), generator=random).to(weights.device)
                weights.copy_(weights.flatten()[order].reshape(weights.shape))
        _measured_again(changed, pixels)
    return changed.eval()


def _in_order(network: "Model", pixels: "Tensor") -> "list[nn.Module]":
    """The parts of a network that hold weights of their own, in the order in which they begin to compute."""
    holding = [module for module in network.modules() if any(True for _ in module.parameters(recurse=False))]
    began: list[nn.Module] = []
    hooks = [module.register_forward_pre_hook(lambda module, _: began.append(module)) for module in holding]
    network.eval()(pixels)
    for hook in hooks:
        hook.remove()
    first = {id(module): place for place, module in reversed(list(enumerate(began)))}
    return sorted(holding, key=lambda module: first.get(id(module), -1))


def _measured_again(network: "Model", pixels: "Tensor") -> None:
    """Let what normalises by running statistics take those of these pixels."""
    from torch import nn

    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    network.features(pixels)
    network.eval()


class AnsweringAtRandom(Subject):
    """A subject whose answers are those to other coverings of other images: whatever was learnt is gone."""

    def __init__(self, subject: Subject, images: Images, seed: int) -> None:
        super().__init__(subject.classifier, subject.run)
        masks = list(random_masks(images.shape[1:3], COVERINGS, seed))
        pool = [subject.answer(covered(image, np.stack(masks))) for image in images]
        object.__setattr__(self, "_pool", np.concatenate(pool))
        object.__setattr__(self, "_random", np.random.default_rng(seed))

    def answer(self, pixels: Array) -> Float64:
        """Probabilities (N, K) drawn from those of other pixels."""
        pool: Float64 = self._pool  # type: ignore[attr-defined]
        return pool[self._random.integers(0, len(pool), len(pixels))]  # type: ignore[attr-defined]
