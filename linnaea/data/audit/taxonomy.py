"""A check on the groups above the classes: whether they fit the classes at all."""

from collections.abc import Sequence

from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.decisions import ROOT
from linnaea.finding import Finding
from linnaea.runtime.words import counted
from linnaea.taxonomy import Taxonomy

MOST_NAMED = 5


@CHECKS.register("taxonomy", title="Taxonomy", order=280)
def taxonomy(inspection: Inspection) -> Finding | None:
    """The groups above the classes; names in it that have no class below them, and classes outside of every group."""
    dataset = inspection.dataset
    if not dataset.taxonomy or dataset.multilabel:
        return None
    tree = Taxonomy.of(dataset.classes, dataset.taxonomy)
    alone = [name for name, way in zip(tree.classes, tree.ways, strict=True) if len(way) == 1 and _is_leaf(tree, name)]
    outside = alone if tree.root == ROOT else []
    groups = len(tree.nodes) - len(tree.classes)
    told = [f"{len(tree.classes)} classes are below {counted(groups, 'group')}, at most {tree.depth} levels deep."]
    if not tree.branches:
        told = ["No group of the taxonomy contains several classes but not all of them: the taxonomy is not used."]
    if tree.unused:
        told.append(
            f"{len(tree.unused)} of its names have no class below them and are ignored: {_listed(tree.unused)}."
        )
    if tree.branches and outside:
        told.append(f"{len(outside)} classes are in no group: {_listed(outside)}.")
    suspicious = bool(tree.unused and (outside or not tree.branches))
    return Finding(
        "taxonomy",
        " ".join(
            [
                *told,
                *(["Check that the names are spelt the same in the data and in the taxonomy."] if suspicious else []),
            ]
        ),
        severity="warning" if suspicious else "info",
        count=len(dataset) if tree.branches else 0,
        rows=[{"name": name, "what": "no class below it"} for name in tree.unused]
        + [{"name": name, "what": "a class in no group"} for name in outside if tree.branches],
    )


def _is_leaf(tree: Taxonomy, name: str) -> bool:
    return int(tree.heights[tree.index[name]]) == 0


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
