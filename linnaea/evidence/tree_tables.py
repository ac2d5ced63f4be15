"""The tables of a taxonomy: every node with what was answered there, and every level."""

from typing import Any

import numpy as np

from linnaea.evidence.metrics.scores import Integers, ratio
from linnaea.evidence.metrics.trees import TreeScores
from linnaea.evidence.statistics import sample_of
from linnaea.evidence.tables import GROUPED, or_none, percent, with_limits
from linnaea.finding import Finding
from linnaea.predictions import Predictions
from linnaea.task import Floats


def tree_findings(predictions: Predictions, scores: TreeScores) -> list[Finding]:
    """The findings `tree`, a row per node from the root down, each before those below it, and `levels`."""
    caution = "" if sample_of(predictions).groups is None else GROUPED
    return [_tree(scores, caution), _levels(scores, caution)]


def _tree(scores: TreeScores, caution: str) -> Finding:
    tree = scores.tree
    order = _from_the_top(scores)
    truths = _at_or_below(scores, tree.paths[scores.targets], len(scores))
    answers = _at_or_below(scores, tree.paths[scores.nodes], int(scores.readable.sum()))
    agreed = np.where(tree.paths[scores.nodes] == tree.paths[scores.targets], tree.paths[scores.nodes], -1)
    right = _at_or_below(scores, agreed, np.nan)  # of the root there is nothing to be right about
    stops = np.bincount(scores.nodes[scores.readable], minlength=len(tree.nodes) + 1)
    names = [*tree.nodes, tree.root]
    columns: dict[str, list[Any]] = {
        "node": [names[place] for place in order],
        "parent": [tree.ancestors(names[place])[0] if tree.depths[place] else None for place in order],
        "depth": tree.depths[order].tolist(),
        "class": [names[place] in tree.classes for place in order],
        "n": truths[order].astype(int).tolist(),
        "stops": stops[order].tolist(),
        **with_limits("recall", right[order], truths[order]),
        **with_limits("precision", right[order], answers[order]),
    }
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Finding("tree", _told(scores) + caution, count=len(scores), rows=rows)


def _told(scores: TreeScores) -> str:
    n = int(scores.readable.sum())
    if not n:
        return "No image could be read."
    nodes, nothing = scores.nodes[scores.readable], scores.depth[scores.readable] == 0
    classes = (nodes < scores.classes) & ~nothing
    return (
        f"{percent(classes.mean())} of {n:,} readable images are answered with a class, "
        f"{percent((~classes & ~nothing).mean())} with a group, {percent(nothing.mean())} only with "
        f"{scores.tree.root!r}; {percent(scores.wrong[scores.readable].mean())} are answered wrongly."
    )


def _from_the_top(scores: TreeScores) -> list[int]:
    """The places of the nodes, the root first, each followed by what lies below it."""
    tree = scores.tree
    root = tree.index[tree.root]
    below: dict[int, list[int]] = {}
    for place in range(len(tree.nodes)):
        depth = int(tree.depths[place])
        if depth:
            below.setdefault(int(tree.paths[place, depth - 2]) if depth > 1 else root, []).append(place)
    order, waiting = [], [root]
    while waiting:
        order.append(waiting.pop())
        waiting.extend(reversed(below.get(order[-1], [])))
    return order


def _at_or_below(scores: TreeScores, paths: Integers, below_root: float) -> Floats:
    """How many images have each node on their path (n, depth), nodes from the top down; that of the root is told."""
    counts = np.bincount(paths[paths >= 0], minlength=len(scores.tree.nodes) + 1).astype(np.float64)
    counts[scores.tree.index[scores.tree.root]] = below_root
    return counts


def _levels(scores: TreeScores, caution: str) -> Finding:
    n = np.full(len(scores.tree.levels), float(len(scores)))
    depths = range(1, len(n) + 1)
    right = np.array([float(scores.level_hits(depth).sum()) for depth in depths])
    stops = np.array([float((scores.readable & (scores.depth == depth)).sum()) for depth in depths])
    wrong = np.array([float((scores.readable & (scores.depth == depth) & scores.wrong).sum()) for depth in depths])
    columns: dict[str, list[Any]] = {
        "level": list(depths),
        "nodes": [len(level.names) for level in scores.tree.levels],
        "n": n.astype(int).tolist(),
        **with_limits("accuracy", right, n),
        "stops": stops.astype(int).tolist(),
        "wrong_of_stops": or_none(ratio(wrong, stops)),
    }
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not len(scores):
        return Finding("levels", "There are no images.", rows=rows)
    parts = [f"{percent(row['accuracy'])} at level {row['level']} ({row['nodes']} nodes)" for row in rows]
    return Finding("levels", f"The most probable node is right for {', '.join(parts)}.{caution}", rows=rows)
