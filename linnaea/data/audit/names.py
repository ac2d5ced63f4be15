"""A check on the names of the classes: two that people would take for one."""

import unicodedata
from collections import Counter, defaultdict

from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.finding import Finding
from linnaea.runtime.words import counted

ALIKE = str.maketrans("_-", "  ")


@CHECKS.register("similar_class_names", title="Similar class names", order=140)
def similar_class_names(inspection: Inspection) -> Finding | None:
    """Classes whose names differ only by case, spaces, dashes or the way accents are encoded; they are kept apart."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in inspection.dataset.classes:
        groups[_heard(name)].append(name)
    similar = [names for names in groups.values() if len(names) > 1]
    if not similar:
        return None
    images = Counter(label for labels in inspection.dataset.label_lists for label in labels)
    return Finding(
        "similar_class_names",
        f"{counted(len(similar), 'group of classes has', 'groups of classes have')} nearly the same name (first "
        f"{' and '.join(map(repr, similar[0]))}): they are kept apart; if they are one class, give them one name.",
        severity="warning",
        count=sum(images[name] for names in similar for name in names),
        rows=[
            {"group": number, "class": name, "images": images[name]}
            for number, names in enumerate(similar, 1)
            for name in names
        ],
    )


def _heard(name: str) -> str:
    """The name as it would be read out."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().translate(ALIKE).split())
