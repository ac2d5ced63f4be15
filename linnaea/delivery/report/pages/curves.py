"""How it learned, epoch by epoch."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from linnaea.delivery.report.charts.curves import Curve, curves_chart
from linnaea.delivery.report.folder import CURVES, Part
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.pictures import Picture, picture
from linnaea.delivery.report.words import metric_named, number

WIDEST = 1_600  # pixels of a sheet
RATE = "Learning rate"


@PAGES.register("curves", title="How it learned", order=100)
def curves(material: Material) -> Part:
    """The learning curves of each rung that was trained by epochs, and what they show."""
    history = material.folder.csv("history.csv", "Either no rung was trained by epochs, or the file was removed.")
    if history.missing:
        return history
    said = material.folder.findings(CURVES, "Runs of earlier versions did not look at them.")
    rungs = list(dict.fromkeys(row.get("rung", "") for row in history.content))
    shown = []
    for place, rung in enumerate(rungs):
        rows = [row for row in history.content if row.get("rung", "") == rung]
        about = [finding for finding in said.content or [] if any(row.get("network") == rung for row in finding.rows)]
        charts = _rung_curves(f"curve{place}", rows)
        fed = _fed(material.folder.path, rung)
        shown.append({"rung": rung, "epochs": len(rows), "charts": charts, "findings": about, "fed": fed})
    absent = said if said.missing and not said.expected else None
    return Part({"rungs": shown, "absent": absent}, partly=absent is not None)


def _fed(run: Path, rung: str) -> Picture | None:
    """What a network was fed; nothing in runs of earlier versions."""
    name = f"fed/{rung}.png"
    return picture(run, name, WIDEST) if (run / name).is_file() else None


def _rung_curves(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    epochs = [float(place) if (epoch := number(row.get("epoch"))) is None else epoch for place, row in enumerate(rows)]
    charts: list[str] = []
    for title, (lines, share) in _panels(rows[0]).items():
        if title == RATE and len(rows) == 1:
            continue  # it has no course
        curves = [Curve(label, _values(rows, column), *look) for label, column, *look in lines]
        drawn = [curve for curve in curves if any(value is not None for value in curve.values)]
        if drawn:
            charts.append(curves_chart(f"{name}-{len(charts)}", title, epochs, drawn, as_percent=share))
    return charts


def _panels(columns: Iterable[str]) -> dict[str, tuple[list[tuple[str, str, bool, bool]], bool]]:
    """The lines of each chart, (name, column, accented, dashed), and whether they are shares."""
    loss = [("minimised", "train_loss", False, True), ("train", "seen_loss", False, False)]
    panels = {"Loss": ([*loss, ("val", "val_loss", True, False)], False)}
    for column in (name for name in columns if name.startswith("val_") and "loss" not in name):
        score = column.removeprefix("val_")
        lines = [("train", f"seen_{score}", False, False), ("val", column, True, False)]
        panels[metric_named(score).title] = (lines, metric_named(score).share)
    return panels | {RATE: ([("", "learning_rate", False, False)], False)}


def _values(rows: Sequence[Mapping[str, Any]], column: str) -> list[float | None]:
    return [number(row.get(column)) for row in rows]
