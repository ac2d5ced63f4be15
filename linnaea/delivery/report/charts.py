"""Charts as inline SVG that takes its ink from the page, so that light, dark and paper all work.

matplotlib knows no CSS variables: each ink is drawn in a stand-in colour, replaced once the SVG is text.
"""

import io
import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

INK, MUTED, ACCENT, RULE, PAPER = "#010203", "#020304", "#030405", "#040506", "#050607"
COLOURS = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    ACCENT: "var(--accent)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "linnaea",
    "font.size": 11,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 1,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.8,
}
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
STEPS = (1, 2, 2.5, 5, 10)
UNITS = ((24 * 3600, "d"), (3600, "h"), (60, "min"), (1, "s"))
LINE = 17.0  # pixels between the names of two rungs
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
        _name_rungs(axes, rungs, times)
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


def _name_rungs(axes: Axes, rungs: Sequence[Rung], times: Sequence[float]) -> None:
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


@dataclass(frozen=True)
class Bin:
    """A bin of the reliability diagram: mean confidence, accuracy, its interval or None, and images.

    `band` is where the accuracy would lie if confidence meant what it says.
    """

    confidence: float
    accuracy: float
    interval: tuple[float, float] | None
    n: float
    band: tuple[float, float] | None = None


def reliability_chart(bins: Sequence[Bin], titles: tuple[str, str, str]) -> str:
    """Accuracy against stated confidence with the diagonal of perfect honesty, and how many images stand behind.

    `titles` are what goes up, what is counted, and what goes across.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, 4.9), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        upper.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for entry in bins:
            if entry.band:
                upper.bar(
                    [entry.confidence], entry.band[1] - entry.band[0], 0.03, entry.band[0], color=MUTED, alpha=0.3
                )
            if entry.interval:
                upper.plot([entry.confidence] * 2, entry.interval, color=ACCENT, linewidth=1.6)
        upper.plot([b.confidence for b in bins], [b.accuracy for b in bins], color=ACCENT, marker="o", markersize=5)
        upper.set(xlim=(0, 1.02), ylim=(0, 1.02))
        upper.set_title(titles[0], loc="left", fontsize=11)
        upper.text(0.04, 0.95, "above: too modest", color=MUTED, fontsize=9)
        upper.text(0.98, 0.05, "below: too sure", color=MUTED, fontsize=9, ha="right")
        lower.bar([b.confidence for b in bins], [b.n for b in bins], width=0.03, color=ACCENT)
        lower.set_title(titles[1], loc="left", fontsize=11)
        lower.set_xlabel(titles[2])
        lower.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        for axes in (upper, lower):
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        upper.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        return as_svg(figure, "reliability", f"{titles[0]} against {titles[2]}, in bins")


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


@dataclass(frozen=True)
class BandPoint:
    """A point of a curve with the limits of its band, None where there are none."""

    x: float
    y: float
    lo: float | None
    hi: float | None


def band_chart(
    name: str,
    titles: tuple[str, str],
    points: Sequence[BandPoint],
    own: BandPoint | None,
    chance: tuple[float, float] | None,
) -> str:
    """A curve of shares with its band, the point in use, and what guessing reaches at 0 and at 1.

    `titles` are what goes up and what goes across.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, 4.3), layout="constrained")
        axes = figure.add_subplot()
        banded = [(point.x, point.lo, point.hi) for point in points if point.lo is not None and point.hi is not None]
        if chance is not None:
            axes.plot([0, 1], chance, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        if banded:
            across, low, high = zip(*banded, strict=True)
            axes.fill_between(across, low, high, color=ACCENT, alpha=0.18, linewidth=0)
        axes.plot([point.x for point in points], [point.y for point in points], color=ACCENT)
        if own is not None:
            axes.plot([own.x], [own.y], marker="o", markersize=9, markeredgewidth=2, color=PAPER, markeredgecolor=INK,
                      clip_on=False, zorder=3)  # fmt: skip
            right = own.x < 0.7
            axes.annotate("in use", (own.x, own.y), (10 if right else -10, -12), textcoords="offset points",
                          ha="left" if right else "right", va="center", color=INK)  # fmt: skip
        axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.02))
        axes.set_title(titles[0], loc="left", fontsize=11)
        axes.set_xlabel(titles[1])
        axes.grid(color=RULE, linewidth=0.6)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        return as_svg(figure, name, f"{titles[0]}, against {titles[1]}, with a band of 95 %")


@dataclass(frozen=True)
class Heap:
    """A histogram: what is counted, and how many of it are in each bin."""

    name: str
    counts: Sequence[float]
    accented: bool


def heaps_chart(name: str, across: str, edges: Sequence[float], heaps: Sequence[Heap], threshold: float | None) -> str:
    """The share of each heap in every bin, drawn over one another, and the threshold where there is one.

    `edges` are those of the bins, one more than counts; `across` is what they measure.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.1), layout="constrained")
        axes = figure.add_subplot()
        for heap in heaps:
            shares = [count / max(1.0, sum(heap.counts)) for count in heap.counts]
            colour = ACCENT if heap.accented else MUTED
            axes.stairs(shares, edges, fill=True, color=colour, alpha=0.25)
            axes.stairs(shares, edges, color=colour, linewidth=1.6, label=f"{heap.name} ({sum(heap.counts):,.0f})")
        if threshold is not None and edges[0] <= threshold <= edges[-1]:
            axes.axvline(threshold, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="threshold")
        axes.set_title("share of the images", loc="left", fontsize=11)
        axes.set_xlabel(across)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.legend(frameon=False, labelcolor=MUTED)
        return as_svg(figure, name, f"shares of {' and '.join(heap.name for heap in heaps)} images by {across}")


def as_svg(figure: Figure, name: str, label: str) -> str:
    """The figure as an <svg> element for HTML: no prolog, its own ids, the page's colours and font."""
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # The reader's own fonts draw the text: it does not matter what matplotlib's can show.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        FigureCanvasSVG(figure)
        figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    text = buffer.getvalue()
    text = re.sub(r"<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for stand_in, colour in COLOURS.items():
        text = text.replace(stand_in, colour)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r"'DejaVu Sans'[^\";]*", "inherit", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    width, height = (72 * inches for inches in figure.get_size_inches())
    opening = f'<svg class="chart" role="img" aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}"'
    return f'{opening} style="max-width: {1.25 * width:.0f}px">' + text[text.index(">") + 1 :]
