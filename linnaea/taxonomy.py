"""A taxonomy: classes below groups, groups below groups, each node with one parent; the tree over a set of classes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.decisions import ROOT, Level, levels_of, ways_down
from linnaea.errors import DataError


@dataclass(frozen=True, eq=False)
class Taxonomy:
    """The tree over `classes` (K) that `parents`, pairs of child and parent, make; built by `Taxonomy.of`.

    Its root is the lowest group that all classes lie below or, where there is none, "anything"; what lies above the
    root is left out. A class may be at any depth, and may itself have classes below it. `unused` are names that were
    given although no class lies below them.
    """

    classes: tuple[str, ...]
    parents: tuple[tuple[str, str], ...]
    unused: tuple[str, ...] = ()

    @classmethod
    def of(cls, classes: Sequence[str], parents: Mapping[str, str]) -> "Taxonomy":
        """The tree over these classes, from child to parent.

        Raises DataError for a loop, and where the root needs the name "anything" and a class or group has it.
        """
        require_no_loop(parents, "the taxonomy")
        root, ways = ways_down(tuple(classes), tuple(parents.items()))
        below = {name for way in ways for name in way}
        known = below | {root, *_names_above(root, parents)}
        given = dict.fromkeys(name for pair in parents.items() for name in pair)
        made = cls(
            tuple(classes),
            tuple((child, parent) for child, parent in parents.items() if child in below),
            tuple(name for name in given if name not in known),
        )
        if root == ROOT and ROOT in below and made.branches:
            raise DataError(
                f"{ROOT!r} is the name of a class or a group, and the answer where no group is likely enough: rename "
                "it, or put one group above everything."
            )
        return made

    @cached_property
    def root(self) -> str:
        """The name of the node above everything."""
        return self._ways[0]

    @cached_property
    def ways(self) -> tuple[tuple[str, ...], ...]:
        """For each class the nodes from below the root down to the class itself."""
        return self._ways[1]

    @cached_property
    def _ways(self) -> tuple[str, tuple[tuple[str, ...], ...]]:
        return ways_down(self.classes, self.parents)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Everything below the root (M): the classes in their own order, then the groups, from the top down."""
        groups = dict.fromkeys(way[depth] for depth in range(self.depth) for way in self.ways if len(way) > depth + 1)
        classes = set(self.classes)
        return (*self.classes, *(name for name in groups if name not in classes))

    @cached_property
    def index(self) -> dict[str, int]:
        """The place of each node, and M for the root unless it is a class."""
        return {self.root: len(self.nodes), **{name: place for place, name in enumerate(self.nodes)}}

    @property
    def depth(self) -> int:
        """The depth of the deepest class; the root has 0."""
        return max((len(way) for way in self.ways), default=0)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The tree cut at each depth, from 1 to that of the deepest class; above its own depth a class is itself."""
        return levels_of(self.classes, self.parents)

    @cached_property
    def paths(self) -> Integers:
        """The nodes from below the root down to each node (M + 1, depth), -1 beyond it; the last row is the root's."""
        paths = np.full((len(self.nodes) + 1, self.depth), -1, dtype=np.int64)
        for way in self.ways:
            places = [self.index[name] for name in way]
            for depth, place in enumerate(places, start=1):
                paths[place, :depth] = places[:depth]
        return paths

    @cached_property
    def depths(self) -> Integers:
        """The depth of each node (M + 1,), the root's, 0, last."""
        return np.asarray((self.paths >= 0).sum(axis=1), dtype=np.int64)

    @cached_property
    def heights(self) -> Integers:
        """How far the deepest class below each node lies below it (M + 1,), the root last."""
        heights = np.zeros(len(self.nodes) + 1, dtype=np.int64)
        for place, depth in enumerate(self.depths[: len(self.classes)]):
            above = np.append(self.paths[place][:depth], len(self.nodes))
            heights[above] = np.maximum(heights[above], depth - self.depths[above])
        return heights

    @cached_property
    def membership(self) -> Floats:
        """1 where a class is a node or lies below it, else 0 (K, M): probabilities @ membership are those of nodes."""
        membership = np.zeros((len(self.classes), len(self.nodes)))
        for row, path in enumerate(self.paths[: len(self.classes)]):
            membership[row, np.append(path[path >= 0], row)] = 1
        if self.root in self.classes:
            membership[:, self.index[self.root]] = 1
        return membership

    @property
    def branches(self) -> bool:
        """Whether any group below the root holds two classes: else there is nothing to roll up to."""
        held: dict[str, int] = {}
        for name in (name for way in self.ways for name in way):
            held[name] = held.get(name, 0) + 1
        return any(count > 1 for count in held.values())

    def ancestors(self, name: str) -> tuple[str, ...]:
        """The nodes above a node, the nearest first, the root last; raises DataError for a name that is not a node."""
        place = self._place(name)
        above = self.paths[place][: max(0, self.depths[place] - 1)][::-1]
        return (*(self.nodes[one] for one in above), *([] if name == self.root else [self.root]))

    def common(self, first: str, second: str) -> str:
        """The lowest common ancestor of two nodes, which may be one of them."""
        depth = int(self.common_depths(self._places(first), self._places(second))[0])
        return self.nodes[self.paths[self._place(first), depth - 1]] if depth else self.root

    def distance(self, first: str, second: str) -> int:
        """The number of steps on the way from one node to the other."""
        return int(self.distances(self._places(first), self._places(second))[0])

    def common_depths(self, first: Integers, second: Integers) -> Integers:
        """The depth of the lowest common ancestor of nodes at these places (n,)."""
        a, b = self.paths[first], self.paths[second]
        return np.asarray(((a == b) & (a >= 0)).sum(axis=1), dtype=np.int64)

    def distances(self, first: Integers, second: Integers) -> Integers:
        """Steps between nodes at these places (n,)."""
        return self.depths[first] + self.depths[second] - 2 * self.common_depths(first, second)

    def common_heights(self, first: Integers, second: Integers) -> Integers:
        """The height of the lowest common ancestor of nodes at these places (n,)."""
        depths = self.common_depths(first, second)
        along = np.take_along_axis(self.paths[first], np.maximum(depths - 1, 0)[:, None], axis=1)[:, 0]
        return self.heights[np.where(depths > 0, along, len(self.nodes))]

    def _place(self, name: str) -> int:
        if name not in self.index:
            raise DataError(f"{name!r} is neither a class nor a group: expected one of {', '.join(self.nodes[:8])}.")
        return self.index[name]

    def _places(self, name: str) -> Integers:
        return np.array([self._place(name)])


def require_no_loop(parents: Mapping[str, str], where: str) -> None:
    """Raise DataError, with the names, where a way up comes back to itself; `where` begins the sentence."""
    sound: set[str] = set()
    for child in parents:
        way: dict[str, None] = {}
        name: str | None = child
        while name is not None and name not in sound:
            if name in way:
                loop = [*list(way)[list(way).index(name) :], name]
                raise DataError(f"{where} runs in a loop, {' below '.join(map(repr, loop))}: a taxonomy is a tree.")
            way[name] = None
            name = parents.get(name)
        sound.update(way)


def _names_above(name: str, parents: Mapping[str, str]) -> Iterator[str]:
    while name in parents:
        name = parents[name]
        yield name
