"""Forests and boosted trees, by scikit-learn, kept as arrays of their nodes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Array, Float64
from linnaea.models.classical.heads.contract import HEADS, UNSEEN, Head, Samples

TREES, FEWEST_OF_LEAF = 200, 2
ROUNDS, LEAVES, RATE, FEATURES_SEEN = 60, 15, 0.15, 0.1
NUMBERS = 2**22  # of leaf values that are looked up at once


@dataclass(frozen=True, eq=False)
class Tree:
    """The nodes of one tree: the `feature` and the `threshold` (M,) up to which an image goes `left`, else `right`.

    A leaf goes to itself; `value` (M, K) is what it says. `depth` is the longest way to one.
    """

    feature: Array
    threshold: Float64
    left: Array
    right: Array
    value: Float64
    depth: int

    @classmethod
    def of(cls, feature: Array, threshold: Float64, left: Array, right: Array, value: Float64) -> "Tree":
        """From a library's arrays, in which children come after their parents and leaves have none."""
        own = np.arange(len(feature))
        leaf = left <= 0
        depths = np.zeros(len(feature), dtype=np.int64)
        for node in own[~leaf]:
            depths[[left[node], right[node]]] = depths[node] + 1
        return cls(
            np.where(leaf, 0, feature),
            np.where(leaf, 0.0, threshold),
            np.where(leaf, own, left),
            np.where(leaf, own, right),
            np.where(leaf[:, None], value, 0.0),
            int(depths.max()),
        )


class Trees(Head):
    """The sum of what trees say of an image, (N, K), with `base` (K,) where they start; `each` speak for a class."""

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    roots: Tensor
    base: Tensor

    def __init__(self, classes: int, nodes: int, trees: int, each: int, depth: int, several: bool) -> None:
        super().__init__(classes=classes, nodes=nodes, trees=trees, each=each, depth=depth, several=several)
        self.each, self.depth, self.several = each, depth, several
        for name in ("feature", "left", "right"):
            self.register_buffer(name, torch.zeros(nodes, dtype=torch.int32))
        self.register_buffer("threshold", torch.zeros(nodes, dtype=torch.float64))
        self.register_buffer("value", torch.zeros(nodes, classes))
        self.register_buffer("roots", torch.zeros(trees, dtype=torch.int32))
        self.register_buffer("base", torch.zeros(classes, dtype=torch.float64))

    def total(self, features: Tensor) -> Tensor:
        """What all trees say of features (N, D) together, (N, K) in float64."""
        exact, roots = features.double(), self.roots.long()
        if torch.compiler.is_exporting():  # a graph holds no loop over as many images as there may be
            return self.base + self._said(exact, roots)
        step = max(1, NUMBERS // max(1, self.value.shape[1] * len(features)))
        said = self.base.expand(len(features), -1).clone()
        for some in torch.split(roots, step):
            said += self._said(exact, some)
        return said

    def _said(self, exact: Tensor, roots: Tensor) -> Tensor:
        """What the trees of these roots say of features (N, D) in float64."""
        node = roots.expand(exact.shape[0], -1)  # a length would be that of the example in a graph
        for _ in range(self.depth):
            low = exact.gather(1, self.feature[node].long()) <= self.threshold[node]
            node = torch.where(low, self.left[node], self.right[node]).long()
        return self.value[node].double().sum(dim=1)

    @classmethod
    def grown(cls, trees: Sequence[Tree], each: int, base: Float64, several: bool) -> Self:
        """The head of these trees; of none, one that says nothing but what it starts with."""
        trees = trees or [_stump(len(base))]
        ends = np.cumsum([len(tree.feature) for tree in trees])
        starts = ends - [len(tree.feature) for tree in trees]
        nodes = {
            name: np.concatenate([getattr(tree, name) for tree in trees]) for name in ("feature", "threshold", "value")
        }
        for name in ("left", "right"):
            nodes[name] = np.concatenate(
                [getattr(tree, name) + start for tree, start in zip(trees, starts, strict=True)]
            )
        depth = max(tree.depth for tree in trees)
        return cls(len(base), int(ends[-1]), len(trees), each, depth, several).holding(**nodes, roots=starts, base=base)


@HEADS.register("forest", title="Random forest", cost="seconds")
class Forest(Trees):
    """The mean of what 200 trees say that were each grown on images and features drawn at random (Breiman 2001).

    The score is the logarithm of the share, or of its odds with several labels, one tree being added for no class.
    """

    kind = "forest"

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, D) to raw scores (N, K)."""
        shares = self.total(features)
        if self.several:
            yes, no = shares * self.each + 0.5, (1 - shares) * self.each + 0.5
            return (yes / no).log().float()
        return ((shares * self.each + 1 / shares.shape[1]) / (self.each + 1)).log().float()

    @classmethod
    def candidates(cls, samples: Samples) -> Iterator[tuple[str, "Forest"]]:
        """One forest; of several labels one for each, side by side."""
        parts = [samples.against_rest(label) for label in range(samples.classes)] if samples.several else [samples]
        trees, base = [], np.zeros(samples.classes)
        for number, part in enumerate(parts):
            if samples.several and part.only is not None:
                base[number] = 1 / (1 + np.exp(-part.only))
                continue
            fitted = _forest(part)
            for grown in fitted.estimators_:
                value = np.zeros((grown.tree_.node_count, samples.classes))
                columns = number if samples.several else fitted.classes_
                value[:, columns] = grown.tree_.value[:, 0, 1] if samples.several else grown.tree_.value[:, 0]
                trees.append(_tree_of_forest(grown.tree_, value / TREES))
        yield f"{TREES} trees", cls.grown(trees, TREES, base, samples.several)


def _forest(samples: Samples) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    from linnaea.runtime.machine import available_threads

    forest = RandomForestClassifier(
        TREES, min_samples_leaf=FEWEST_OF_LEAF, n_jobs=available_threads(), random_state=samples.seed
    )
    return forest.fit(samples.features, samples.targets, samples.weights)


def _tree_of_forest(tree: Any, value: Float64) -> Tree:
    return Tree.of(tree.feature, tree.threshold, tree.children_left, tree.children_right, value)


def _stump(classes: int) -> Tree:
    """A tree that says nothing."""
    nothing = np.zeros(1, dtype=np.int64)
    return Tree(nothing, np.zeros(1), nothing, nothing, np.zeros((1, classes)), 0)


@HEADS.register("boosting", title="Gradient boosting", cost="minutes")
class Boosting(Trees):
    """Small trees, each of which lowers the loss that those before it left (Friedman 2001), on features in 255 steps.

    60 rounds of a tree with 15 leaves for each class, at a rate of 0.15; each split looks at a tenth of the features.
    """

    kind = "boosting"

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, D) to raw scores (N, K)."""
        return self.total(features).float()

    @classmethod
    def candidates(cls, samples: Samples) -> Iterator[tuple[str, "Boosting"]]:
        """One head; of several labels one for each, side by side."""
        trees: list[Tree] = []
        base = np.zeros(samples.classes)
        if samples.several:
            for number in range(samples.classes):
                part = samples.against_rest(number)
                if part.only is not None:
                    base[number] = part.only
                    continue
                trees += _boosted(part, base, np.array([number]), samples)
        else:
            present = np.unique(samples.targets)
            base[:] = 0.0 if len(present) == samples.classes else UNSEEN
            if len(present) == 1:
                base[present] = 0.0
            else:
                trees += _boosted(samples, base, present, samples)
        yield f"{ROUNDS} rounds", cls.grown(trees, ROUNDS, base, samples.several)


def _boosted(part: Samples, base: Float64, columns: Array, samples: Samples) -> list[Tree]:
    """The trees that say something of these columns, where they start being put into `base`."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    fitted = HistGradientBoostingClassifier(
        max_iter=ROUNDS,
        max_leaf_nodes=LEAVES,
        learning_rate=RATE,
        max_features=FEATURES_SEEN,
        early_stopping=False,
        random_state=samples.seed,
    ).fit(part.features, part.targets, part.weights)
    both = len(columns) == 2  # of which scikit-learn scores the second alone
    start = np.ravel(fitted._baseline_prediction)
    base[columns] = np.array([-start[0] / 2, start[0] / 2]) if both else start
    trees = []
    for grown in fitted._predictors:
        for number, each in enumerate(grown):
            nodes = each.nodes
            value = np.zeros((len(nodes), samples.classes))
            if both:
                value[:, columns] = nodes["value"][:, None] * np.array([-0.5, 0.5])
            else:
                value[:, columns[number]] = nodes["value"]
            left, right = (np.where(nodes["is_leaf"], -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
            trees.append(Tree.of(nodes["feature_idx"], nodes["num_threshold"].astype(np.float64), left, right, value))
    return trees
