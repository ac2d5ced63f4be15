"""A check on the level of the folder that was given: one above the folders that are the classes."""

from collections import defaultdict

from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.dataset import Dataset
from linnaea.finding import Finding
from linnaea.runtime.words import counted

FEWEST = 2
SHOWN = 4


@CHECKS.register("one_level_too_high", title="One level too high", order=120)
def one_level_too_high(inspection: Inspection) -> Finding | None:
    """Class folders that hold nothing but the same folders again, which may be the classes."""
    words = level_below(inspection.dataset)
    if not words:
        return None
    return Finding("one_level_too_high", words, severity="warning", count=len(inspection.dataset))


def level_below(dataset: Dataset) -> str:
    """Which folder below to point at, in a sentence, where the one given seems to lie a level too high; else empty.

    It does if no image lies right in a class folder and each class folder has the same two or more folders in it.
    """
    within: dict[str, set[str]] = defaultdict(set)
    for path, labels in zip(dataset.ids, dataset.label_lists, strict=True):
        folders = path.split("/")[:-1]
        place = next((place for place in (0, 1) if folders[place : place + 1] == labels), None)
        if place is None or len(folders) < place + 2:
            return ""
        within["/".join(folders[: place + 1])].add(folders[place + 1])
    below = set.union(*within.values()) if within else set()
    if len(below) < FEWEST or any(found != below for found in within.values()):
        return ""
    tops, names = sorted(within), sorted(below)
    listed = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    held = f"{tops[0]} contains" if len(tops) == 1 else f"{counted(len(tops), 'class folder')} contain the same"
    return (
        f"{held} {len(names)} folders ({listed}) and no images beside them: if these are the classes, or the splits, "
        f"give {dataset.root / tops[0]}{' (or another of them)' if len(tops) > 1 else ''} instead."
    )
