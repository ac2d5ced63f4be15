"""How it learned, epoch by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

from linnaea.delivery.report.charts import Curve, curves_chart
from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import number


@PAGES.register("curves", title="How it learned", order=100)
def curves(material: Material) -> Part:
    """The learning curves of each rung that was trained by epochs."""
    history = material.folder.csv("history.csv", "Either no rung was trained by epochs, or the file was removed.")
    if history.missing:
        return history
    rungs = list(dict.fromkeys(row.get("rung", "") for row in history.content))
    charts = []
    for place, rung in enumerate(rungs):
        rows = [row for row in history.content if row.get("rung", "") == rung]
        charts.append({"rung": rung, "epochs": len(rows), "charts": _rung_curves(f"curve{place}", rows)})
    return Part(charts)


def _rung_curves(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    epochs = [float(place) if (epoch := number(row.get("epoch"))) is None else epoch for place, row in enumerate(rows)]
    panels = {"Loss": [("train", "train_loss", False), ("val", "val_loss", True)]}
    for column in (name for name in rows[0] if name.startswith("val_") and "loss" not in name):
        panels[f"Validation {column.removeprefix('val_')}"] = [("val", column, True)]
    charts = []
    for title, lines in panels.items():
        curves = [Curve(label, [number(row.get(column)) for row in rows], accent) for label, column, accent in lines]
        drawn = [curve for curve in curves if any(value is not None for value in curve.values)]
        if drawn:
            charts.append(curves_chart(f"{name}-{title[0]}", title, epochs, drawn, as_percent=title != "Loss"))
    return charts
