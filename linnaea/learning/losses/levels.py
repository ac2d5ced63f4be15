"""Losses of a taxonomy: a mistake within a group costs less than one between groups."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from linnaea.decisions import Level
from linnaea.learning.losses.contract import LOSSES, ONE_LABEL, Context
from linnaea.learning.targets import as_weights
from linnaea.taxonomy import Taxonomy


@LOSSES.register(
    "marginal",
    title="Marginal cross-entropy",
    meaning="The mean over the levels of the taxonomy of the cross-entropy of the groups there.",
    tasks=("hierarchical",),
    proper=True,
)
def marginal(logits: Tensor, targets: Tensor, context: Context = ONE_LABEL) -> Tensor:
    """The mean over the levels of the tree of the cross-entropy of the groups there, whose probabilities are sums.

    A mistake within a group costs at the levels below it only.
    """
    tree = _tree(context)
    return _weighted(tree, [1.0] * len(tree.levels), logits, targets)


@LOSSES.register(
    "per_level",
    title="Hierarchical cross-entropy",
    meaning="Level by level the cross-entropy of a node among those beside it, which weighs less the deeper it lies.",
    tasks=("hierarchical",),
    usual_for=("hierarchical",),
    amount=("the fall in weight", 1.5, 0, 5),
    proper=True,
)
def per_level(logits: Tensor, targets: Tensor, context: Context = ONE_LABEL) -> Tensor:
    """Level by level the cross-entropy of a node among those beside it, which weighs less the deeper it lies.

    The weight falls evenly, as an exponential, from 1 at the top to exp(-amount) at the deepest level: hierarchical
    cross-entropy (Bertinetto et al. 2020); for an amount of 0 plain cross-entropy.
    """
    tree, amount = _tree(context), context.amount
    assert amount is not None, "it takes a number"
    weights = np.exp(-amount * np.linspace(0, 1, len(tree.levels)))
    # Of a node among those beside it is of the node less that of the group above: the sums telescope.
    return _weighted(tree, (weights - np.append(weights[1:], 0.0)).tolist(), logits, targets)


def _tree(context: Context) -> Taxonomy:
    assert context.tree is not None, "a hierarchical task has a taxonomy"
    return context.tree


def _weighted(tree: Taxonomy, weights: Sequence[float], logits: Tensor, targets: Tensor) -> Tensor:
    """The weighted mean over levels of the cross-entropy of their nodes, from logits (N, K) of the classes."""
    total = sum(weights)
    levels = [(level, weight / total) for level, weight in zip(tree.levels, weights, strict=True) if weight]
    return torch.stack([weight * _of_level(level, logits, targets) for level, weight in levels]).sum(dim=0)


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
