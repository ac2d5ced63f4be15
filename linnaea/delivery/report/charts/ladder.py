"""The metric of each rung of a ladder against the time of its training."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from linnaea.delivery.report.charts.style import ACCENT, INK, LINE, MUTED, RULE, STEPS, STYLE, as_svg

UNITS = ((24 * 3600, "d"), (3600, "h"), (60, "min"), (1, "s"))
DECADES = (0.1, 1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600)
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Rung:
    """A point of the ladder chart: a figure in [0, 1], its interval or None, and seconds of training."""

    name: str
    value: float
    interval: tuple[float, float] | None
    seconds: float
    chosen: bool


def ladder_chart(rungs: Sequence[Rung], metric: str, as_percent: bool) -> str:
    """The metric of each rung, with its interval, against training time on a logarithmic axis from 0.1 s."""
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.5), layout="constrained")
        axes = figure.add_subplot()
        times = [max(rung.seconds, DECADES[0]) for rung in rungs]
        for rung, seconds in zip(rungs, times, strict=True):
            _draw_rung(axes, rung, seconds)
        _time_axis(axes, times)
        axes.margins(y=0.12)
        axes.set_title(metric, loc="left", fontsize=11)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        if as_percent:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        figure.draw_without_rendering()
        name_rungs(axes, rungs, times)
        return as_svg(figure, "ladder", f"{metric} with its interval against training time, for {len(rungs)} rungs")


def _draw_rung(axes: Axes, rung: Rung, seconds: float) -> None:
    colour = ACCENT if rung.chosen else MUTED
    if rung.interval:
        axes.plot([seconds, seconds], rung.interval, color=colour, linewidth=2.4 if rung.chosen else 1.6)
    axes.plot([seconds], [rung.value], marker="o", markersize=8 if rung.chosen else 6, color=colour)


def _time_axis(axes: Axes, times: Sequence[float]) -> None:
    axes.set_xscale("log")
    room = max(4.0, (max(times) / min(times)) ** 0.33)  # for the name of the last rung
    axes.set_xlim(min(times) / 2, max(times) * room)
    axes.xaxis.set_major_locator(FixedLocator(DECADES))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.set_xlabel("training time, logarithmic")


def _short(seconds: float) -> str:
    size, unit = next((size, unit) for size, unit in UNITS if seconds >= size or size == 1)
    return f"{seconds / size:g} {unit}"


def name_rungs(axes: Axes, rungs: Sequence[Rung], times: Sequence[float]) -> None:
    """Write each name at the nearest place to its point where it covers nothing, with a thin line to it if far."""
    taken = [_stem(axes, seconds, rung) for rung, seconds in zip(rungs, times, strict=True)]
    inside: Box = (axes.bbox.x0, axes.bbox.y0, axes.bbox.x1, axes.bbox.y1 + LINE)
    points_per_pixel = 72 / axes.figure.get_dpi()
    for rung, seconds in sorted(zip(rungs, times, strict=True), key=lambda item: not item[0].chosen):
        x, y = axes.transData.transform((seconds, rung.value))
        spots = _spots(float(x), float(y), 9.5 * len(rung.name))
        free = [spot for spot in spots if _holds(inside, spot.box) and not any(_meet(spot.box, box) for box in taken)]
        spot = (free or spots)[0]
        taken.append(spot.box)
        axes.annotate(
            rung.name,
            (seconds, rung.value),
            xytext=(spot.dx * points_per_pixel, spot.dy * points_per_pixel),
            textcoords="offset points",
            ha=spot.side,
            va="center",
            color=ACCENT if rung.chosen else INK,
            fontweight="bold" if rung.chosen else "normal",
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkB": 4} if spot.dy else None,
        ).set_in_layout(False)


@dataclass(frozen=True)
class _Spot:
    side: str
    dx: float
    dy: float
    box: Box


def _spots(x: float, y: float, width: float) -> list[_Spot]:
    """Places for a name of this width around a point, in pixels, the nearest first."""
    spots = []
    for steps in (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5):
        dx, dy = 11 + 3 * abs(steps), steps * LINE
        low, high = y + dy - LINE / 2, y + dy + LINE / 2
        spots.append(_Spot("left", dx, dy, (x + dx, low, x + dx + width, high)))
        spots.append(_Spot("right", -dx, dy, (x - dx - width, low, x - dx, high)))
    return spots


def _stem(axes: Axes, x: float, rung: Rung) -> Box:
    lo, hi = rung.interval or (rung.value, rung.value)
    (left, low), (_, high) = axes.transData.transform((x, lo)), axes.transData.transform((x, hi))
    return (left - 6, low - 6, left + 6, high + 6)


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _holds(outer: Box, inner: Box) -> bool:
    return outer[0] <= inner[0] and inner[2] <= outer[2] and outer[1] <= inner[1] and inner[3] <= outer[3]
