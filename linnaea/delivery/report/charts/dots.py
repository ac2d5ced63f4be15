"""Figures with their intervals as dots under one another, to be compared at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from linnaea.delivery.report.charts.style import ACCENT, INK, MUTED, PAPER, RULE, STEPS, STYLE, as_svg

HEIGHT = 0.32  # inches of a row
LONGEST = 34  # letters of a name


@dataclass(frozen=True)
class Dot:
    """A figure of its own name with its interval, None where there is none; accented, or hollow where not judged."""

    name: str
    value: float
    interval: tuple[float, float] | None
    accented: bool = False
    hollow: bool = False


def dots_chart(name: str, title: str, dots: Sequence[Dot], overall: float | None, as_percent: bool) -> str:
    """A row for each figure, the first at the top, and a line where all together lie."""
    with rc_context(STYLE):
        figure = Figure(figsize=(5.8, 0.95 + HEIGHT * len(dots)), layout="constrained")
        axes = figure.add_subplot()
        if overall is not None:
            axes.axvline(overall, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for place, dot in enumerate(dots):
            colour = ACCENT if dot.accented else INK if not dot.hollow else MUTED
            if dot.interval is not None:
                axes.plot(dot.interval, [place, place], color=colour, linewidth=2.4 if dot.accented else 1.4)
            face = PAPER if dot.hollow else colour
            axes.plot([dot.value], [place], marker="o", markersize=7, color=face, markeredgecolor=colour, zorder=3)
        axes.set_yticks(range(len(dots)), [_short(dot.name) for dot in dots])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.set_ylim(len(dots) - 0.4, -0.6)
        axes.set_title(title, loc="left", fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        if as_percent:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        return as_svg(figure, name, f"{title}: " + ", ".join(f"{dot.name} {dot.value:.2f}" for dot in dots))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
