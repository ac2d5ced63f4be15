"""A figure with its interval against what it costs, one small chart for each kind of cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from linnaea.delivery.report.charts.style import ACCENT, INK, MUTED, RULE, STEPS, STYLE, as_svg

MOST_NAMED = 8


@dataclass(frozen=True)
class Spot:
    """A figure, its interval or None, and its cost; accented where kept, `front` where none is better in both."""

    name: str
    value: float
    interval: tuple[float, float] | None
    cost: float
    accented: bool = False
    front: bool = False


def scatter_chart(name: str, metric: str, across: str, spots: Sequence[Spot], *, as_percent: bool) -> str:
    """Points with their intervals, cheaper to the left; those of a front are joined by a line."""
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.add_subplot()
        front = sorted((spot.cost, spot.value) for spot in spots if spot.front)
        if len(front) > 1:
            axes.plot(*zip(*front, strict=True), color=ACCENT, linewidth=1, linestyle=(0, (4, 3)))
        for number, spot in enumerate(spots):
            _draw(axes, spot, number, named=len(spots) <= MOST_NAMED or spot.accented or spot.front)
        axes.set_xlim(0, 1.25 * max(spot.cost for spot in spots))
        axes.margins(y=0.18)
        axes.set_title(metric, loc="left", fontsize=11)
        axes.set_xlabel(across)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
        if as_percent:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.1f} %"))
        axes.grid(color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        told = ", ".join(f"{spot.name} {spot.value:.3f} at {spot.cost:.3g}" for spot in spots)
        return as_svg(figure, name, f"{metric} by {across}: {told}")


def _draw(axes: Axes, spot: Spot, number: int, *, named: bool) -> None:
    colour = ACCENT if spot.accented else INK if spot.front else MUTED
    if spot.interval is not None:
        axes.plot([spot.cost, spot.cost], spot.interval, color=colour, linewidth=2.4 if spot.accented else 1.2)
    axes.plot([spot.cost], [spot.value], marker="o", markersize=8 if spot.accented else 5, color=colour, zorder=3)
    if named:
        above = number % 2 == 0
        axes.annotate(
            spot.name,
            (spot.cost, spot.value),
            (6, 8 if above else -12),
            textcoords="offset points",
            color=colour,
            fontsize=9,
            fontweight="bold" if spot.accented else "normal",
        ).set_in_layout(False)
