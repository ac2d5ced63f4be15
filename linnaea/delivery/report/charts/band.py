"""A curve of shares with its band."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from linnaea.delivery.report.charts.style import ACCENT, INK, MUTED, PAPER, RULE, STYLE, as_svg


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
