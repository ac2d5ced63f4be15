"""Every explainer of maps on a network of real weights: does it pass the randomisation check, and is it faithful?"""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import linnaea
from benchmarks.table import keep, photo_sets
from linnaea.evidence.explanation import EXPLAINERS, fitting_explainers
from linnaea.experiments.explanation.methods import subject_of

SET, SIDE, IMAGES = "hymenoptera", 128, 16
SAMPLES = {"occlusion": 100, "rise": 300, "lime": 200, "kernel_shap": 200}  # answers per image, so that minutes suffice
CHECKS = ("randomisation", "deletion", "insertion", "agreement")


def main() -> None:
    """Train a frozen backbone, explain images of its val split by every method, and keep what the checks say."""
    weights = Path(os.environ.get("LINNAEA_WEIGHTS", ""))
    if not weights.is_file():
        raise SystemExit("Set LINNAEA_WEIGHTS to a safetensors file of ImageNet weights to run this benchmark.")
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        linnaea.train(photo_sets() / SET, out=run, weights=str(weights), model="frozen", img_size=SIDE)
        rows = measured(run, Path(place))
    remarks = (
        f"{IMAGES} photos of {SET} at {SIDE} pixels, classified by a frozen {weights.name.split('.')[0]}. Rank "
        "correlation: of the pixels of maps before and after the weights of the upper half of the layers, or of all, "
        "are put in random order; the greater of the two. A method fails where it lies above 0.5 with its interval. "
        "Deletion and insertion: how much more of the area the map gains than random order does. Black-box methods are "
        f"given {', '.join(f'{count} answers ({name})' for name, count in SAMPLES.items())} per image."
    )
    keep("faithfulness", "Explainers looked at by checks", rows, remarks)


def measured(run: Path, place: Path) -> list[dict[str, object]]:
    """A row per method that explains by maps."""
    rows = []
    for method in fitting_explainers(subject_of(run), "map"):
        started = time.perf_counter()
        made = linnaea.explain(
            run,
            photo_sets() / SET / "val",
            method=[method],
            samples=SAMPLES.get(method),
            check=CHECKS,
            most=IMAGES,
            out=place / method,
        )
        found = {finding.name: finding for finding in made.findings}
        randomised = found["explanation_randomisation"].rows
        rows.append(
            {
                "method": EXPLAINERS.about(method).title,
                "rank correlation without what was learnt": _worst(randomised),
                "sanity": "labelled" if method in made.flaws else randomised[0]["outcome"],
                "deletion": _gain(found["explanation_deletion"].rows),
                "insertion": _gain(found["explanation_insertion"].rows),
                "seconds with checks": f"{time.perf_counter() - started:.0f}",
            }
        )
        print(rows[-1], flush=True)
    return rows


def _worst(rows: Sequence[Mapping[str, Any]]) -> str:
    known = [row for row in rows if row.get("rank_correlation") is not None]
    if not known:
        return "not defined"
    worst = max(known, key=lambda row: row["rank_correlation"])
    return f"{worst['rank_correlation']:.2f} ({worst['lo']:.2f} to {worst['hi']:.2f})"


def _gain(rows: Sequence[Mapping[str, Any]]) -> str:
    row = rows[0]
    return "flat" if row["gain"] is None else f"{row['gain']:+.3f} ({row['lo']:+.3f} to {row['hi']:+.3f})"


if __name__ == "__main__":
    main()
