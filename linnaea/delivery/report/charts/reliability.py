"""What was stated against what was true, in bins."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from linnaea.delivery.report.charts.style import ACCENT, MUTED, STYLE, as_svg


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
