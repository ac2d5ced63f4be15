"""Known and unknown images side by side: what a report tells of a classifier's familiarity score."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from linnaea.arrays import Flags, Floats
from linnaea.decisions import Policy
from linnaea.errors import DataError
from linnaea.evidence.keeping import keep_figures
from linnaea.evidence.metrics import scores_of
from linnaea.evidence.openset.figures import openset_figures
from linnaea.evidence.parts_of_uncertainty import unknown_parts_found
from linnaea.finding import Estimate, Finding
from linnaea.models.ensembles import Mixture
from linnaea.models.familiarity import FAMILIARITIES, Familiarity, Known, suits
from linnaea.predictions import Predictions

BINS = 30
MOST_SHOWN = 24
TRIMMED = 0.005  # of the scores at either end lie in the outermost bins
REPLICATES_OF_ALL = 300


@dataclass(frozen=True)
class OpenSet:
    """What is known of a score on known and unknown images: the figures by name, and the findings."""

    figures: Mapping[str, Estimate]
    findings: Sequence[Finding]

    def write(self, folder: Path, name: str) -> None:
        """Write `findings/<name>.json` and the entry `name` of `metrics.json`, each atomically."""
        keep_figures(folder, name, self.figures, self.findings)


@dataclass(frozen=True, eq=False)
class Sides:
    """The readable images of both kinds: answers, scores (n,) and (m,), and which of the known are hits (n,)."""

    known: Predictions
    unknown: Predictions
    known_scores: Floats
    unknown_scores: Floats
    hits: Flags
    lost: int

    @classmethod
    def of(cls, known: Predictions, unknown: Predictions) -> "Sides":
        """Take the readable rows; raises DataError where either has none, or no familiarity score."""
        rows = [np.flatnonzero(part.readable) for part in (known, unknown)]
        parts = [replace(part, table=part.table.take(kept)) for part, kept in zip((known, unknown), rows, strict=True)]
        for part, name in zip(parts, ("known", "unknown"), strict=True):
            if not len(part):
                raise DataError(f"none of the {name} images can be read: there is nothing to compare.")
        scores = [np.array(part.column("ood_score"), dtype=np.float64) for part in parts]
        if np.isnan(scores[0]).any():
            raise DataError(
                "the classifier has no familiarity score, so nothing is unfamiliar to it: train it with --ood "
                "auto and a model that has more than one feature."
            )
        lost = len(known) + len(unknown) - len(rows[0]) - len(rows[1])
        return cls(parts[0], parts[1], scores[0], scores[1], scores_of(parts[0]).hits, lost)


def judge_openset(
    known: Predictions, unknown: Predictions, policy: Policy, score: str, *, seed: int = 0, replicates: int = 1000
) -> OpenSet:
    """Compare the familiarity score of known images, with their truth, and unknown ones, by name of the `score`.

    The findings are `openset`, `openset_distribution`, `strangest_known` and `most_familiar_unknown`. Raises DataError
    where either kind has no readable image, or the classifier no score.
    """
    sides = Sides.of(known, unknown)
    groups = sides.known.column("group") if "group" in sides.known.table.column_names else None
    figures = openset_figures(
        sides.known_scores,
        sides.unknown_scores,
        sides.hits,
        threshold=policy.ood_threshold,
        groups=groups,
        seed=seed,
        replicates=replicates,
    )
    members = unknown_parts_found(sides.known, sides.unknown)
    return OpenSet(figures, [_summary(sides, figures, score), *_tables(sides, policy), *members])


@torch.no_grad()
def compare_scores(known: Known, known_features: Floats, unknown_features: Floats, hits: Flags, chosen: str) -> Finding:
    """The finding `openset_scores`: the figures of every score that suits the task, fitted on the same images.

    `known` is what they are fitted on, the features (n, D) and (m, D) are those of other known and of unknown images,
    `hits` (n,) says which of the known are answered correctly; `chosen` is the classifier's own score.
    """
    rows = []
    sides = [_tensors(features, known) for features in (known_features, unknown_features)]
    for name, kind in FAMILIARITIES.items():
        if not suits(name, several=known.several, linear=known.linear, members=isinstance(known.model, Mixture)):
            continue
        score = kind.fit(known)
        scores = [_by(score, known, *tensors).numpy() for tensors in sides]
        figures = openset_figures(scores[0], scores[1], hits, replicates=REPLICATES_OF_ALL)
        rows.append({"score": name, "chosen": "yes" if name == chosen else "", **_flat(figures)})
    rows.sort(key=lambda row: -row["auroc"])
    place = next((place for place, row in enumerate(rows, 1) if row["chosen"]), None)
    best = f"{rows[0]['score']} separates them best, with an AUROC of {rows[0]['auroc']:.3f}"
    own = f"; {chosen}, which this classifier uses, comes {_ordinal(place)}" if place and place > 1 else ""
    caution = " It was chosen beforehand: choosing by this table would make its own figures too optimistic."
    return Finding("openset_scores", f"Of {len(rows)} scores {best}{own}.{caution}", rows=rows)


def _by(score: Familiarity, known: Known, features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    parts = known.model.uncertainty(features) if score.of_members and known.model is not None else None
    scores: torch.Tensor = score(features if parts is None else parts, logits)
    return scores


def _tensors(features: Floats, known: Known) -> list[torch.Tensor]:
    """Features (N, D) and the logits (N, K) that the head gives for them."""
    logits = known.logits_of(features)
    return [torch.from_numpy(np.asarray(values, dtype=np.float32)) for values in (features, logits)]


def _flat(figures: Mapping[str, Estimate]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, figure in figures.items():
        row |= {name: figure.value, f"{name}_lo": figure.lo, f"{name}_hi": figure.hi}
    return row


def _ordinal(place: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(place % 10 if place % 100 not in (11, 12, 13) else 0, "th")
    return f"{place}{ending}"


def _summary(sides: Sides, figures: Mapping[str, Estimate], score: str) -> Finding:
    auroc = figures["auroc"]
    counts = f"{len(sides.unknown_scores):,} unknown and {len(sides.known_scores):,} known images"
    words = f"By the score {score}, AUROC {auroc} on {counts}"
    if "unknown_rejected" in figures:
        shares = [_percent(figures[name]) for name in ("unknown_rejected", "known_rejected")]
        words += f": {shares[0]} of the unknown are called unfamiliar, and {shares[1]} of the known"
    lost = f" {sides.lost} unreadable images are left out." if sides.lost else ""
    rows = [{"figure": name, **asdict(figure)} for name, figure in figures.items()]
    severity = "warning" if auroc.lo is not None and auroc.lo < 0.5 else "info"
    return Finding("openset", f"{words}.{lost}", severity, count=len(sides.unknown_scores), figure=auroc, rows=rows)


def _percent(figure: Estimate) -> str:
    return "-" if figure.value is None else f"{100 * figure.value:.1f} %"


def _tables(sides: Sides, policy: Policy) -> list[Finding]:
    known, unknown = sides.known_scores, sides.unknown_scores
    strangest = np.argsort(-known, kind="stable")[:MOST_SHOWN].tolist()
    familiar = np.argsort(unknown, kind="stable")[:MOST_SHOWN].tolist()
    beyond = int((known > policy.ood_threshold).sum()) if policy.ood_threshold is not None else 0
    through = int((unknown <= policy.ood_threshold).sum()) if policy.ood_threshold is not None else len(unknown)
    return [
        _distribution(known, unknown, policy.ood_threshold),
        _shown(
            "strangest_known",
            f"{beyond:,} of {len(known):,} known images are called unfamiliar; the strangest come first.",
            sides.known,
            strangest,
            beyond,
        ),
        _shown(
            "most_familiar_unknown",
            f"{through:,} of {len(unknown):,} unknown images pass for known; the most familiar come first.",
            sides.unknown,
            familiar,
            through,
        ),
    ]


def _shown(name: str, summary: str, answers: Predictions, rows: list[int], count: int) -> Finding:
    columns = {key: answers.column(key) for key in ("id", "truth", "label", "confidence", "ood_score", "reason")}
    table = [{key: values[row] for key, values in columns.items()} for row in rows]
    return Finding(name, summary, count=count, rows=table, images=[row["id"] for row in table])


def _distribution(known: Floats, unknown: Floats, threshold: float | None) -> Finding:
    """How many of either kind have scores in each of 30 bins; the outermost ones hold what lies beyond."""
    low, high = np.quantile(np.concatenate([known, unknown]), [TRIMMED, 1 - TRIMMED])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts = [np.histogram(np.clip(scores, edges[0], edges[-1]), edges)[0] for scores in (known, unknown)]
    rows = [
        {"lo": float(edges[place]), "hi": float(edges[place + 1]), "known": int(one), "unknown": int(other)}
        for place, (one, other) in enumerate(zip(*counts, strict=True))
    ]
    above = "" if threshold is None else f" Above {threshold:.4g} an image is called unfamiliar."
    summary = f"The median score is {np.median(known):.4g} for known and {np.median(unknown):.4g} for unknown images."
    return Finding("openset_distribution", summary + above, count=len(known) + len(unknown), rows=rows)
