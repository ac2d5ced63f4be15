"""A figure of each window of images, in order, beside what it was."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from linnaea.delivery.report.charts.style import ACCENT, INK, MUTED, PAPER, RULE, STEPS, STYLE, as_svg

WIDE = 12  # windows, above which dots become small


@dataclass(frozen=True)
class Beat:
    """A figure of one window with its interval, None where there is none; `alarm` where it is called changed."""

    window: str
    value: float | None
    interval: tuple[float, float] | None = None
    alarm: bool = False


def windows_chart(name: str, title: str, beats: Sequence[Beat], limit: float | None, *, as_percent: bool) -> str:
    """Dots joined by a line, those of alarms filled, and a dashed line for the reference or limit."""
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, 2.3), layout="constrained")
        axes = figure.add_subplot()
        known = [(place, beat.value, beat) for place, beat in enumerate(beats) if beat.value is not None]
        values = np.array([value for _, value, _ in known], dtype=np.float64)
        banded = [(place, *beat.interval) for place, _, beat in known if beat.interval is not None]
        if banded:
            places, low, high = zip(*banded, strict=True)
            axes.fill_between(places, low, high, color=ACCENT, alpha=0.16, linewidth=0)
        if limit is not None:
            axes.axhline(limit, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot([place for place, _, _ in known], values, color=MUTED, linewidth=1.4)
        size = 5.5 if len(beats) <= WIDE else 3.5
        for place, value, beat in known:
            colour = ACCENT if beat.alarm else MUTED
            face = ACCENT if beat.alarm else PAPER
            axes.plot([place], [value], "o", markersize=size, color=face, markeredgecolor=colour, zorder=3)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlim(-0.5, len(beats) - 0.5)
        axes.margins(y=0.15)
        axes.set_xlabel("window")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value + 1:.0f}"))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=STEPS))
        if as_percent:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        beyond = sum(beat.alarm for beat in beats)
        ends = f"from {values[0]:.3g} to {values[-1]:.3g}" if len(values) else "not known"
        return as_svg(figure, name, f"{title} in {len(beats)} windows, {ends}, {beyond} of them alarms")
