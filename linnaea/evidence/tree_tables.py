"""The tables of a taxonomy: every node with what was answered there, and every level."""

from typing import Any

import numpy as np

from linnaea.arrays import Integers
from linnaea.evidence.metrics.scores import ratio
from linnaea.evidence.metrics.trees import TreeScores
from linnaea.evidence.tables import or_none, percent, with_limits
from linnaea.evidence.uncertainty import sample_of
from linnaea.finding import Finding
from linnaea.predictions import Predictions
from linnaea.statistics.shares import Shares, share_at


def tree_findings(predictions: Predictions, scores: TreeScores) -> list[Finding]:
    """The findings `tree`, a row per node from the root down, each before those below it, and `levels`."""
    groups = sample_of(predictions).groups
    return [_tree(scores, groups), _levels(scores, groups)]


def _tree(scores: TreeScores, groups: Integers | None) -> Finding:
    tree = scores.tree
    order = _from_the_top(scores)
    truths, answers = tree.paths[scores.targets], tree.paths[scores.nodes]
    images = _at_or_below(truths, len(tree.nodes) + 1)
    images[tree.index[tree.root]] = len(scores)
    stops = np.bincount(scores.nodes[scores.readable], minlength=len(tree.nodes) + 1)
    names = [*tree.nodes, tree.root]
    columns: dict[str, list[Any]] = {
        "node": [names[place] for place in order],
        "parent": [tree.ancestors(names[place])[0] if tree.depths[place] else None for place in order],
        "depth": tree.depths[order].tolist(),
        "class": [names[place] in tree.classes for place in order],
        "n": images[order].tolist(),
        "stops": stops[order].tolist(),
        **with_limits("recall", _of_nodes(truths, answers, images, groups).take(order)),
        **with_limits("precision", _of_nodes(answers, truths, images, groups).take(order)),
    }
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Finding("tree", _told(scores), count=len(scores), rows=rows)


def _told(scores: TreeScores) -> str:
    n = int(scores.readable.sum())
    if not n:
        return "No image could be read."
    nodes, nothing = scores.nodes[scores.readable], scores.depth[scores.readable] == 0
    classes = (nodes < scores.classes) & ~nothing
    return (
        f"{percent(classes.mean())} of {n:,} readable images are answered with a class, "
        f"{percent((~classes & ~nothing).mean())} with a group, {percent(nothing.mean())} only with "
        f"{scores.tree.root!r}; {percent(scores.wrong[scores.readable].mean())} of all answers are wrong."
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


def _at_or_below(paths: Integers, count: int) -> Integers:
    """How many images have each node on their path (n, depth), nodes from the top down."""
    return np.bincount(paths[paths >= 0], minlength=count)


def _of_nodes(paths: Integers, others: Integers, images: Integers, groups: Integers | None) -> Shares:
    """Of the images with each node on their path (n, depth), the share with it on the other; nothing of the root."""
    rows, depths = np.nonzero(paths >= 0)
    places, agreed = paths[rows, depths], paths[rows, depths] == others[rows, depths]
    return share_at(places, agreed, len(images), None if groups is None else groups[rows])


def _levels(scores: TreeScores, groups: Integers | None) -> Finding:
    depths = range(1, len(scores.tree.levels) + 1)
    hits = np.stack([scores.level_hits(depth) for depth in depths])
    levels, images = (part.ravel() for part in np.indices(hits.shape))
    right = share_at(levels, hits.ravel(), len(depths), None if groups is None else groups[images])
    stops = np.array([float((scores.readable & (scores.depth == depth)).sum()) for depth in depths])
    wrong = np.array([float((scores.readable & (scores.depth == depth) & scores.wrong).sum()) for depth in depths])
    columns: dict[str, list[Any]] = {
        "level": list(depths),
        "nodes": [len(level.names) for level in scores.tree.levels],
        "n": right.images.astype(int).tolist(),
        **with_limits("accuracy", right),
        "stops": stops.astype(int).tolist(),
        "wrong_of_stops": or_none(ratio(wrong, stops)),
    }
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not len(scores):
        return Finding("levels", "There are no images.", rows=rows)
    parts = [f"{percent(row['accuracy'])} at level {row['level']} ({row['nodes']} nodes)" for row in rows]
    return Finding("levels", f"The most probable node is correct for {', '.join(parts)}.", rows=rows)
