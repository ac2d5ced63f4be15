"""Shares as bars beside their names."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from linnaea.delivery.report.charts.style import ACCENT, INK, MUTED, RULE, STEPS, STYLE, as_svg

HEIGHT = 0.34  # inches of a bar and its distance from the next


@dataclass(frozen=True)
class Bar:
    """A share, 0 to 1, under its name; accented or not."""

    name: str
    share: float
    accented: bool


def bars_chart(name: str, title: str, bars: Sequence[Bar]) -> str:
    """A bar for each share, the first at the top."""
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 0.9 + HEIGHT * len(bars)), layout="constrained")
        axes = figure.add_subplot()
        places = range(len(bars))
        colours = [ACCENT if bar.accented else MUTED for bar in bars]
        axes.barh(places, [bar.share for bar in bars], height=0.6, color=colours)
        axes.set_yticks(places, [bar.name for bar in bars])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_title(title, loc="left", fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        return as_svg(figure, name, f"{title}: " + ", ".join(f"{bar.name} {bar.share:.0%}" for bar in bars))
