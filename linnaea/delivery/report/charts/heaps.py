"""Histograms over one another, with a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from linnaea.delivery.report.charts.style import ACCENT, INK, MUTED, STEPS, STYLE, as_svg


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
