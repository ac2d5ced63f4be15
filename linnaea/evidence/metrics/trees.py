"""What metrics of a taxonomy read: which node each answer stopped at, and where the truth lies in the tree."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from linnaea.arrays import Flags, Floats, Integers
from linnaea.errors import DataError
from linnaea.evidence.metrics.scores import Scores
from linnaea.predictions import Predictions
from linnaea.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class TreeScores(Scores):
    """What was answered about n images of K classes that lie below groups.

    What `Scores` has is that of the most probable class, so that its figures mean the same with groups and without;
    `confidence` is the probability of that class. `nodes` (n,) are the places in `tree` of the answers themselves,
    which may be groups; an unreadable image has that of the root: nothing was said about it.
    """

    probabilities: Floats
    nodes: Integers
    tree: Taxonomy

    @classmethod
    def of(cls, predictions: Predictions) -> "TreeScores":
        """Derive the arrays; raises DataError where an answer is neither a class nor a group, and as `Scores.of`."""
        plain, tree = Scores.of(predictions), predictions.tree
        plain = replace(plain, confidence=cast(Floats, plain.probabilities).max(axis=1))
        labels = predictions.column("label")
        strange = next((label for label in labels if label is not None and label not in tree.index), None)
        if strange is not None:
            raise DataError(
                f"the answer {strange!r} is neither a class nor a group: the taxonomy belongs to other data."
            )
        nodes = np.array([tree.index[tree.root if label is None else label] for label in labels], dtype=np.int64)
        return cls(**{field.name: getattr(plain, field.name) for field in fields(plain)}, nodes=nodes, tree=tree)

    def take(self, rows: Integers | Flags) -> "TreeScores":
        """The same of some images: positions (m,) or a mask (n,)."""
        names = [field.name for field in fields(self) if field.name != "tree"]
        return replace(self, **cast(dict[str, Any], {name: getattr(self, name)[rows] for name in names}))

    @cached_property
    def depth(self) -> Integers:
        """How deep each answer goes (n,); 0 for the root."""
        return self.tree.depths[self.nodes]

    @cached_property
    def true_depth(self) -> Integers:
        """How deep the true class of each image lies (n,)."""
        return self.tree.depths[self.targets]

    @cached_property
    def shared(self) -> Integers:
        """How many nodes below the root the answer and the truth have in common on their ways down (n,)."""
        return self.tree.common_depths(self.nodes, self.targets)

    @cached_property
    def wrong(self) -> Flags:
        """Whether the true class is neither the answer nor below it (n,); the root, which says nothing, never is."""
        return np.asarray(self.shared < self.depth)

    @property
    def mistaken(self) -> Flags:
        """Whether an image could be read and what was answered is neither its class nor above it (n,)."""
        return np.asarray(self.readable & self.wrong)

    @cached_property
    def right(self) -> Flags:
        """Whether something was said that is true: the class or a group above it (n,)."""
        return np.asarray((~self.wrong & (self.depth > 0)) | (self.readable & (self.nodes == self.targets)))

    @cached_property
    def information(self) -> Floats:
        """The depth of a right answer as a share of that of the class, 0 where nothing true was said (n,)."""
        shares = np.where(self.true_depth > 0, self.depth / np.maximum(self.true_depth, 1), 1.0)
        return np.where(self.right, shares, 0.0)

    @cached_property
    def level_answers(self) -> list[Integers]:
        """For each level from the top, the place among its nodes of the most probable one (n,); -1 unreadable."""
        known = np.nan_to_num(self.probabilities)
        return [np.where(self.readable, level.sums(known).argmax(axis=1), -1) for level in self.tree.levels]

    def level_hits(self, depth: int) -> Flags:
        """Whether the most probable node at a depth, from 1 on, is the truth's own there (n,)."""
        return np.asarray(self.level_answers[depth - 1] == self.tree.levels[depth - 1].places[self.targets])

    @cached_property
    def steps_off(self) -> Floats:
        """Steps in the tree between the most probable class and the truth (n,), 0 where it is right or unreadable."""
        return np.where(self.readable, self.tree.distances(self.answers, self.targets), 0).astype(np.float64)

    @cached_property
    def heights_off(self) -> Floats:
        """The height of the lowest group that holds both the most probable class and the truth (n,), 0 as above."""
        return np.where(self.readable & ~self.hits, self.tree.common_heights(self.answers, self.targets), 0).astype(
            np.float64
        )
