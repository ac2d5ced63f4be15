"""What keeping groups and copies together does to the mix of classes in each split."""

from collections import Counter
from typing import Any

from linnaea.dataset import SPLITS, Dataset
from linnaea.finding import Finding

NOTICEABLE, FEWEST = 0.05, 2  # of a split's images, and images, that a class gains or loses
SHOWN = 3


def changed_mix(split: Dataset, apart: Dataset) -> Finding | None:
    """Where a class has another share of a split than it would if each image were dealt out by itself.

    `split` and `apart` are the same images, with the splits of either way.
    """
    rows: list[dict[str, Any]] = []
    for name in SPLITS:
        sizes = [len(dataset.split(name)) for dataset in (split, apart)]
        counts = [
            Counter(label for labels in dataset.split(name).label_lists for label in labels)
            for dataset in (split, apart)
        ]
        for label in split.classes if all(sizes) else ():
            share, usual = (count[label] / size for count, size in zip(counts, sizes, strict=True))
            if abs(share - usual) >= NOTICEABLE and abs(share - usual) * sizes[0] >= FEWEST:
                rows.append({"split": name, "label": label, "share": round(share, 4), "apart": round(usual, 4)})
    if not rows:
        return None
    rows.sort(key=lambda row: -abs(row["share"] - row["apart"]))
    said = [f"{row['label']!r} is {row['share']:.1%} of {row['split']} ({row['apart']:.1%})" for row in rows[:SHOWN]]
    more = f" and {len(rows) - SHOWN} more, all in the table" if len(rows) > SHOWN else ""
    return Finding(
        "mix_changed",
        "Images of one group, and copies, stay in one split, which changes the mix of classes; in brackets, the share "
        f"without that rule: {'; '.join(said)}{more}. Smaller groups, or another seed, can bring it closer.",
        severity="warning",
        count=len(rows),
        rows=rows,
    )
