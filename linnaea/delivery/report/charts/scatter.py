"""A figure with its interval against what it costs, one small chart for each kind of cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from linnaea.delivery.report.charts.ladder import Rung, name_rungs
from linnaea.delivery.report.charts.style import ACCENT, INK, MUTED, RULE, STEPS, STYLE, as_svg

MOST_NAMED = 5  # points; of more, what was reached and what lies on the front
ROOM = 1.5  # times the largest cost, for the name of the last


@dataclass(frozen=True)
class Spot:
    """A figure, its interval or None, and its cost; accented where kept.

    It was `reached` by a method, or only seen; it lies on the `front` where none is better in both.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    cost: float
    accented: bool = False
    front: bool = False
    reached: bool = False


def scatter_chart(name: str, metric: str, across: str, spots: Sequence[Spot], *, as_percent: bool) -> str:
    """Points with their intervals, cheaper to the left; those of a front are joined by a line."""
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.5), layout="constrained")
        axes = figure.add_subplot()
        front = sorted((spot.cost, spot.value) for spot in spots if spot.front)
        if len(front) > 1:
            axes.plot(*zip(*front, strict=True), color=ACCENT, linewidth=1, linestyle=(0, (4, 3)))
        for spot in spots:
            _draw(axes, spot)
        axes.set_xlim(0, ROOM * max(spot.cost for spot in spots))
        axes.margins(y=0.18)
        axes.set_title(metric, loc="left", fontsize=11)
        axes.set_xlabel(across)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
        if as_percent:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.1f} %"))
        axes.grid(color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        figure.draw_without_rendering()
        few = len(spots) <= MOST_NAMED
        names = [spot.name if few or spot.reached or spot.front else "" for spot in spots]
        rungs = [
            Rung(name, spot.value, spot.interval, spot.cost, spot.accented)
            for name, spot in zip(names, spots, strict=True)
        ]
        name_rungs(axes, rungs, [spot.cost for spot in spots])
        told = ", ".join(f"{spot.name} {spot.value:.3f} at {spot.cost:.3g}" for spot in spots)
        return as_svg(figure, name, f"{metric} by {across}: {told}")


def _draw(axes: Axes, spot: Spot) -> None:
    colour = ACCENT if spot.accented else INK if spot.front else MUTED
    if spot.interval is not None:
        axes.plot([spot.cost, spot.cost], spot.interval, color=colour, linewidth=2.4 if spot.accented else 1.2)
    axes.plot([spot.cost], [spot.value], marker="o", markersize=8 if spot.accented else 5, color=colour, zorder=3)
