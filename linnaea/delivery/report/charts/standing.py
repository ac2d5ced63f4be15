"""Charts of how several classifiers stand: figures with intervals, and ranks with the critical difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from linnaea.delivery.report.charts.style import ACCENT, INK, MUTED, RULE, STEPS, STYLE, as_svg

_ROW = 0.3  # inches for each classifier
_LONGEST = 26


@dataclass(frozen=True)
class Standing:
    """A classifier with its figure and the interval of it, or None."""

    name: str
    value: float
    interval: tuple[float, float] | None


def standing_chart(
    standings: Sequence[Standing], groups: Sequence[tuple[int, int]], title: str, as_percent: bool
) -> str:
    """Each classifier's figure with its interval, the best on top; bars join those that are not told apart."""
    with rc_context(STYLE):
        figure = Figure(figsize=(5.2, 0.9 + _ROW * len(standings)), layout="constrained")
        axes = figure.add_subplot()
        for place, one in enumerate(standings):
            colour = ACCENT if place == 0 else MUTED
            if one.interval is not None:
                axes.plot(one.interval, [place, place], color=colour, linewidth=2)
            axes.plot([one.value], [place], marker="o", markersize=7, color=colour)
        across = axes.get_yaxis_transform()
        for number, (first, last) in enumerate(groups):
            axes.plot(
                [1.03 + 0.03 * number] * 2, [first - 0.2, last + 0.2], color=INK, linewidth=3, clip_on=False,
                transform=across, solid_capstyle="round",
            )  # fmt: skip
        axes.set_yticks(range(len(standings)), [_short(one.name) for one in standings])
        axes.tick_params(axis="y", labelcolor=INK, length=0)
        axes.set_ylim(len(standings) - 0.5, -0.5)
        axes.set_title(title, loc="left", fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        if as_percent:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))
        axes.grid(axis="x", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        return as_svg(figure, "standing", f"{title} of {len(standings)} classifiers with intervals")


def ranks_chart(ranks: Mapping[str, float], critical: float | None) -> str:
    """Mean ranks on a line, 1 the best; bars join those that differ by less than the critical difference (Demsar)."""
    ordered = sorted(ranks.items(), key=lambda item: item[1])
    count = len(ordered)
    groups = [] if critical is None else _within([rank for _, rank in ordered], critical)
    left = (count + 1) // 2
    height = 0.9 + 0.13 * len(groups) + _ROW * left
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, height + 0.2), layout="constrained")
        axes = figure.add_subplot()
        axes.axis("off")
        room = 0.55 * (count - 1)
        axes.set(xlim=(1 - room, count + room), ylim=(-height, 0.75))
        axes.plot([1, count], [0, 0], color=INK, linewidth=1.2)
        for mark in range(1, count + 1):
            axes.plot([mark, mark], [0, 0.08], color=INK, linewidth=1.2)
            axes.text(mark, 0.13, str(mark), ha="center", va="bottom", color=MUTED)
        for place, (name, rank) in enumerate(ordered):
            ahead = place < left
            level = -(0.4 + 0.13 * len(groups) + _ROW * (place if ahead else count - 1 - place))
            end = 1 - 0.05 * count if ahead else count + 0.05 * count
            axes.plot([rank, rank, end], [0, level, level], color=ACCENT if place == 0 else MUTED, linewidth=1.2)
            label, side = f"{_short(name)}  {rank:.2f}", "right" if ahead else "left"
            axes.text(end + (-0.03 if ahead else 0.03), level, label, ha=side, va="center", color=INK)
        for number, (low, high) in enumerate(groups):
            level = -0.15 - 0.13 * number
            axes.plot([low - 0.04, high + 0.04], [level] * 2, color=INK, linewidth=4, solid_capstyle="round")
        if critical is not None:
            axes.plot([1, min(1 + critical, count + room)], [0.5, 0.5], color=MUTED, linewidth=1.4, marker="|")
            axes.text(1 + critical / 2, 0.6, f"critical difference {critical:.2f}", ha="center", color=MUTED)
        return as_svg(figure, "ranks", f"mean ranks of {count} classifiers and the critical difference")


def _within(ranks: Sequence[float], critical: float) -> list[tuple[float, float]]:
    """The longest runs of sorted ranks that span less than the critical difference, from two on."""
    found: list[tuple[int, int]] = []
    for start, rank in enumerate(ranks):
        end = max(place for place, other in enumerate(ranks) if other - rank < critical)
        if end > start and not (found and end <= found[-1][1]):
            found.append((start, end))
    return [(ranks[start], ranks[end]) for start, end in found]


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
