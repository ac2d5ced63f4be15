"""A finding is what a watcher reports: a figure, a table, images and how serious it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

SEVERITIES = ("info", "warning", "error")
PROMISE = "promise_"  # names of findings about what was promised begin so
UNDECIDED = "Undecided: "
RATES = ("coverage", "class_coverage", "false_negative_rate", "unsure_rate", "unfamiliar_rate")  # of every policy


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, the number of images behind it and how the interval was made."""

    value: float | None
    lo: float | None
    hi: float | None
    n: int
    method: str

    def __str__(self) -> str:
        if self.value is None:
            return "not defined"
        if self.lo is None or self.hi is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.lo:.3f} to {self.hi:.3f})"


@dataclass(frozen=True)
class Finding:
    """One observation about data, a model or a deployment; JSON in and out.

    `name` says which check spoke, `summary` is one plain sentence, `severity` is one of `SEVERITIES`, `count` how
    many images it concerns, `rows` a table with one mapping per image or class, `images` paths worth looking at.
    """

    name: str
    summary: str
    severity: str = "info"
    count: int = 0
    figure: Estimate | None = None
    rows: Sequence[Mapping[str, Any]] = ()
    images: Sequence[str] = field(default=())

    @property
    def is_promise(self) -> bool:
        """Whether it says that something promised was kept, missed, or could not be decided."""
        return self.name.startswith(PROMISE)

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity is {self.severity!r}; expected one of {', '.join(SEVERITIES)}.")

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types, readable by `from_json`."""
        return asdict(self) | {"rows": [dict(row) for row in self.rows], "images": list(self.images)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Finding":
        """The inverse of `to_json`."""
        figure = content.get("figure")
        return cls(**{**content, "figure": Estimate(**figure) if figure else None})


def undecided_in_one(findings: Sequence[Finding]) -> list[str]:
    """What findings about promises say, with those that are undecided folded into one sentence where there are several.

    Each keeps its figure and what was promised; the number of images is that which would decide all of them.
    """
    open_ones = [finding for finding in findings if _is_open(finding)]
    if len(open_ones) < 2:
        return [finding.summary for finding in findings]
    rows = [finding.rows[0] for finding in open_ones]
    parts = [
        f"{finding.summary.removeprefix(UNDECIDED).partition(' is ')[0]} ({100 * row['value']:.1f} %, promised "
        f"{row['promised']} {100 * row['bound']:.4g} %)"
        for finding, row in zip(open_ones, rows, strict=True)
    ]
    needed = [row["images_to_decide"] for row in rows]
    outlook = (
        "no realistic number of images would decide all of them"
        if None in needed
        else f"should they stay there, about {max(needed):,} images would decide all of them"
    )
    images = min(finding.count for finding in open_ones)
    folded = f"Undecided on {images:,} images: {'; '.join(parts)}. {outlook[0].upper()}{outlook[1:]}."
    return [*(finding.summary for finding in findings if not _is_open(finding)), folded]


def _is_open(finding: Finding) -> bool:
    """Whether it is a single promise of a share of images that was measured and is undecided."""
    known = len(finding.rows) == 1 and finding.rows[0].get("value") is not None and " images, and " in finding.summary
    return known and finding.name.removeprefix(PROMISE) in RATES and finding.summary.startswith(UNDECIDED)


def promises_in(findings: Iterable[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Whether promises were kept: what is to be told first, an aim, a risk and what was missed; then the rest."""
    told = [finding for finding in findings if finding.is_promise]
    later = [f for f in told if f.severity == "info" and f.name.removeprefix(PROMISE) in RATES]
    return [finding for finding in told if finding not in later], later
