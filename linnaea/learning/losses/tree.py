"""Losses of a taxonomy: a mistake within a group costs less than one between groups."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from linnaea.decisions import Level
from linnaea.learning.amounts import Amount
from linnaea.learning.losses.loss import LOSSES, Loss, Losses
from linnaea.learning.targets import as_weights
from linnaea.taxonomy import Taxonomy


def cross_entropy(tree: Taxonomy, _: float | None) -> Losses:
    """Cross-entropy of the classes alone, as if there were no groups: every mistake costs the same."""
    return lambda logits, targets: functional.cross_entropy(logits, targets, reduction="none")


def marginal(tree: Taxonomy, _: float | None) -> Losses:
    """The mean over the levels of the tree of the cross-entropy of the groups there, whose probabilities are sums.

    A mistake within a group costs at the levels below it only.
    """
    return _weighted(tree, [1.0] * len(tree.levels))


def per_level(tree: Taxonomy, amount: float | None) -> Losses:
    """Level by level the cross-entropy of a node among those beside it, which weighs less the deeper it lies.

    The weight falls evenly, as an exponential, from 1 at the top to exp(-amount) at the deepest level: hierarchical
    cross-entropy (Bertinetto et al. 2020); for an amount of 0 plain cross-entropy.
    """
    assert amount is not None, "it takes a number"
    weights = np.exp(-amount * np.linspace(0, 1, len(tree.levels)))
    # Of a node among those beside it is of the node less that of the group above: the sums telescope.
    return _weighted(tree, (weights - np.append(weights[1:], 0.0)).tolist())


def _weighted(tree: Taxonomy, weights: Sequence[float]) -> Losses:
    """The weighted mean over levels of the cross-entropy of their nodes, from logits (N, K) of the classes."""
    total = sum(weights)
    levels = [(level, weight / total) for level, weight in zip(tree.levels, weights, strict=True) if weight]

    def losses(logits: Tensor, targets: Tensor) -> Tensor:
        parts = [weight * _of_level(level, logits, targets) for level, weight in levels]
        return torch.stack(parts).sum(dim=0)

    return losses


def _of_level(level: Level, logits: Tensor, targets: Tensor) -> Tensor:
    if len(level.names) == len(level.places):  # all of them classes, in some order
        return functional.cross_entropy(logits, targets, reduction="none")
    places = torch.from_numpy(level.places).to(logits.device)
    scores = _log_sums(logits, places, len(level.names))
    if targets.ndim == 1:
        return functional.cross_entropy(scores, places[targets], reduction="none")
    wanted = as_weights(targets, logits.shape[1])
    of_nodes = wanted.new_zeros(len(wanted), len(level.names)).index_add(1, places, wanted)
    return functional.cross_entropy(scores, of_nodes, reduction="none")


def _log_sums(logits: Tensor, places: Tensor, nodes: int) -> Tensor:
    """Logits of classes (N, K) to those of nodes (N, M): the logarithms of sums of exponentials, never overflowing."""
    where = places.expand(len(logits), -1)
    highest = logits.new_full((len(logits), nodes), -torch.inf).scatter_reduce(1, where, logits.detach(), "amax")
    sums = torch.zeros_like(highest).scatter_add(1, where, (logits - highest.gather(1, where)).exp())
    return sums.log() + highest


LOSSES.register("cross_entropy")(Loss(cross_entropy, ("hierarchical",)))
LOSSES.register("marginal")(Loss(marginal, ("hierarchical",)))
LOSSES.register("per_level")(
    Loss(per_level, ("hierarchical",), Amount("the fall in weight", 1.5, 0, 5), usual_for=("hierarchical",))
)
