"""Lines of values per epoch, named at their ends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from linnaea.delivery.report.charts.style import ACCENT, LINE, MUTED, RULE, STEPS, STYLE, as_svg


@dataclass(frozen=True)
class Curve:
    """One line of a learning curve; values are None in epochs without one.

    The val line is `accented`, that of what is minimised `dashed`.
    """

    name: str
    values: Sequence[float | None]
    accented: bool = False
    dashed: bool = False


def curves_chart(
    name: str,
    title: str,
    epochs: Sequence[float],
    curves: Sequence[Curve],
    as_percent: bool,
    *,
    across: str = "epoch",
) -> str:
    """Up to three lines of values per epoch, or whatever is counted `across`, named at their ends.

    `name` keeps the ids of several charts apart.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.add_subplot()
        ends: list[tuple[tuple[float, float], str, str]] = []
        for curve in curves:
            kept = [(x, y) for x, y in zip(epochs, curve.values, strict=True) if y is not None]
            colour = ACCENT if curve.accented else MUTED
            dash = (0, (4, 2)) if curve.dashed else "-"
            axes.plot(*zip(*kept, strict=True), color=colour, linestyle=dash, marker="o", markersize=3.5)
            ends.append((kept[-1], curve.name, colour))
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel(across)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        if as_percent:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        figure.draw_without_rendering()
        _name_ends(axes, ends)
        return as_svg(figure, name, f"{title} by {across}, {len(epochs)} {across}s")


def _name_ends(axes: Axes, ends: Sequence[tuple[tuple[float, float], str, str]]) -> None:
    """Write each name beside the end of its line, moved up where it would cover the one below."""
    below, points = -math.inf, 72 / axes.figure.get_dpi()
    for end, label, colour in sorted(ends, key=lambda item: item[0][1]):
        height = float(axes.transData.transform(end)[1])
        place = max(height, below + LINE)
        below = place
        offset = (7, (place - height) * points)
        axes.annotate(label, end, offset, textcoords="offset points", va="center", color=colour)
