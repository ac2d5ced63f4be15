"""Which task labels ask for."""

from collections.abc import Mapping

from linnaea.taxonomy import Taxonomy


def infer_task(classes: tuple[str, ...], taxonomy: Mapping[str, str] | None = None) -> str:
    """The task that one label per image asks for: two classes are binary, more are multiclass.

    It is hierarchical where the taxonomy, from child to parent, has a group of two or more classes that does not hold
    all of them. Raises DataError for a loop.
    """
    if taxonomy and Taxonomy.of(classes, taxonomy).branches:
        return "hierarchical"
    return "binary" if len(classes) == 2 else "multiclass"
