"""A comparison of several classifiers in words and tables."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from linnaea.evidence.comparison.pair_test import LEVEL, PairTest
from linnaea.finding import Estimate
from linnaea.runtime.neutral import neutral
from linnaea.statistics.margins import BETTER, EQUIVALENT, NOT_BETTER, NOT_WORSE, WORSE

if TYPE_CHECKING:
    from linnaea.evidence.comparison.many import Comparisons

Row = Sequence[str]


def verdict(found: "Comparisons") -> str:
    """Which is better, by how much, and how often chance alone would show that."""
    best, *others = found.values
    images = f"on these {found.n:,} images" if found.n != 1 else "on this one image"
    if found.values[best].value is None:
        return f"Nothing can be said {images}: `{found.metric}` is {found.values[best].method}."
    if len(others) == 1:
        return _of_two(found, _pair(found, best, others[0]), best, others[0], images)
    defined = [name for name in others if found.values[name].value is not None]
    beaten = [name for name in defined if _pair(found, best, name).better == best]
    rest = [name for name in defined if name not in beaten]
    opening = f"Of {len(found.values)} classifiers {best} has the best {_by(found)} {images}, {_figure(found, best)}."
    if not beaten:
        return f"{opening} That it is better than any other is not shown."
    told, open_ones = (_listed([_against(found, best, name) for name in names]) for names in (beaten, rest or [best]))
    not_shown = f"; than {open_ones} it is not shown" if rest else ""
    return f"{opening} It is shown to be better than {told}{not_shown}."


def _of_two(found: "Comparisons", pair: PairTest, best: str, other: str, images: str) -> str:
    value = pair.difference.value
    if value is None:
        return (
            f"It cannot be said whether {best} and {other} differ in {_by(found)} {images}: {pair.difference.method}."
        )
    both = f"{_figure(found, best)} against {_figure(found, other)}"
    if pair.better is None:
        ahead = (
            f"{best} is ahead of {other} by {_size(found, abs(value))}" if value else f"{best} and {other} are level"
        )
        opening = f"No difference is shown between {best} and {other} {images}: {ahead}"
        return f"{opening} ({both}{_range(found, pair, best)}).{_chance(pair, abs(value))}"
    what = (
        f"has an accuracy {_points(abs(value))} points higher than {other} {images}"
        if found.metric == "accuracy"
        else f"is better than {other} by {_size(found, abs(value))} in {_by(found)} {images}"
    )
    return f"{best} {what} ({both}{_range(found, pair, best)}).{_chance(pair, abs(value))}"


def _chance(pair: PairTest, size: float) -> str:
    """How often chance alone would show as much."""
    p = pair.adjusted
    if p is None:
        return f" There is no test: {pair.test.removeprefix('none: ')}."
    if not size or p > 1 - 1e-9:
        return f" Were both equally good, chance alone would nearly always show as much ({pair.test})."
    return f" Were both equally good, chance alone would show as much in {rarely(p)} such samples ({pair.test})."


def rarely(p: float) -> str:
    """A probability as so many of a round number."""
    if p < 0.001:
        return "fewer than 1 of 1,000"
    return f"{round(1000 * p)} of 1,000" if p < 0.01 else f"{round(100 * p)} of 100"


def margins(found: "Comparisons") -> list[str]:
    """What is shown of the others against the best where differences below the margin do not matter, one by one."""
    if found.margin is None:
        return []
    best, *others = found.values
    said = [_within(found, _pair(found, best, name), best, name) for name in others]
    if len(others) > 1:
        said.append("These tests of a margin are made one by one: they are not corrected for their number.")
    return said


def _within(found: "Comparisons", pair: PairTest, best: str, name: str) -> str:
    """Equivalent, not worse, not better, worse by more, or nothing: what the intervals allow, in words."""
    assert found.margin is not None, "it was asked for"
    by = f"by {_size(found, found.margin)} or more"
    within = None if pair.within is None else pair.within if pair.second == name else pair.within.swapped
    if within is None or within.second_worse is None or within.first_worse is None:
        return f"Whether {name} and {best} differ {by} cannot be said: {pair.difference.method}."
    worse, better = _p(within.second_worse), _p(within.first_worse)
    if within.verdict == EQUIVALENT:
        either = _p(max(within.second_worse, within.first_worse))
        return f"{name} and {best} are equivalent: that either is worse than the other {by} is ruled out{either}."
    if within.verdict == NOT_WORSE:
        return (
            f"{name} is not worse than {best} {by}{worse}; that it is better by as much is not ruled out{better}, so "
            "they are not shown to be equivalent."
        )
    if within.verdict == NOT_BETTER:
        return (
            f"{name} is not better than {best} {by}{better}; that it is worse by as much is not ruled out{worse}, so "
            "they are not shown to be equivalent."
        )
    if within.verdict in (WORSE, BETTER):
        shown = 1 - (within.second_worse if within.verdict == WORSE else within.first_worse)
        way = "worse" if within.verdict == WORSE else "better"
        return f"{name} is shown to be {way} than {best} by more than {_size(found, found.margin)}{_p(shown)}."
    return (
        f"Nothing is shown of {name} and {best} within {_size(found, found.margin)}: neither that {name} is worse "
        f"{by}{worse} nor that it is better by as much{better} is ruled out."
    )


def outlook(found: "Comparisons") -> list[str]:
    """How many images would decide what is not shown, of the best against each other."""
    best, *others = found.values
    said = []
    for name in others:
        pair = _pair(found, best, name)
        value = pair.difference.value
        if pair.better is not None or value is None or pair.p_value is None:
            continue
        of = f"{best} from {name}"
        if pair.images_to_decide is None:
            again = max(found.trainings[best], found.trainings[name]) > 1
            small = "the difference is too small" + " beside what another training changes" * again
            why = small if value else "they are level"
            said.append(f"No realistic number of images would tell {of}: {why}.")
        elif pair.images_to_decide > found.n:
            said.append(
                f"About {pair.images_to_decide:,} images would tell {of} in 80 of 100 such tests, should the "
                "difference stay where it is."
            )
    for name in others if found.margin is not None else ():
        pair = _pair(found, best, name)
        second = pair.second == name
        needed = None if pair.images_for_margin is None else pair.images_for_margin[not second]
        if needed is not None and _undecided(pair, second=second):
            said.append(
                f"About {needed:,} images would show in 80 of 100 such tests that {name} is no worse "
                "than by the margin, should the difference stay where it is."
            )
    return said


def _undecided(pair: PairTest, *, second: bool) -> bool:
    if pair.within is None:
        return False
    p = pair.within.second_worse if second else pair.within.first_worse
    return p is not None and p >= LEVEL


def alike(found: "Comparisons") -> list[list[str]]:
    """Classifiers that are not told apart from one another, neighbours in the order of their figures."""
    names = [name for name, value in found.values.items() if value.value is not None]
    groups: list[list[str]] = []
    for start in range(len(names)):
        end = start + 1
        while end < len(names) and all(_pair(found, one, names[end]).better is None for one in names[start:end]):
            end += 1
        if end - start > 1 and not (groups and names[end - 1] in groups[-1]):
            groups.append(names[start:end])
    return groups


def table_of_values(found: "Comparisons") -> list[Row]:
    """Each classifier with its figure."""
    several = any(count > 1 for count in found.trainings.values())
    head = ("classifier", found.metric, "n", *(("trainings",) if several else ()), "interval")
    rows = [
        (
            name,
            str(value) if value.value is not None else value.method,
            f"{value.n:,}",
            *((str(found.trainings[name]),) if several else ()),
            value.method if value.value is not None else "-",
        )
        for name, value in found.values.items()
    ]
    return [head, *rows]


def table_of_pairs(found: "Comparisons") -> list[Row]:
    """Each pair with its difference and test."""
    head = ("pair", "difference", "p", "p, Holm", "better", "images to decide", "test")
    rows = [
        (
            f"{pair.second} less {pair.first}",
            _signed(pair.difference),
            _short(pair.p_value),
            _short(pair.adjusted),
            pair.better or "not shown",
            "-" if pair.images_to_decide is None else f"{pair.images_to_decide:,}",
            pair.test,
        )
        for pair in found.pairs
    ]
    return [head, *rows]


def table_of_further(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Other tests of the same classifiers."""
    head = ("pair", "over", "difference", "p", "p, Holm", "test")
    return [
        head,
        *(
            (
                f"{row['second']} less {row['first']}",
                str(row["over"]),
                "not defined"
                if row["value"] is None
                else f"{row['value']:+.3f}" + ("" if row["lo"] is None else f" ({row['lo']:+.3f} to {row['hi']:+.3f})"),
                _short(row["p_value"]),
                _short(row["adjusted"]),
                str(row["test"]),
            )
            for row in rows
        ),
    ]


def as_text(rows: Sequence[Row]) -> str:
    """Rows as lines with columns below each other."""
    cells = [[neutral(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _pair(found: "Comparisons", one: str, other: str) -> PairTest:
    return next(pair for pair in found.pairs if {pair.first, pair.second} == {one, other})


def _by(found: "Comparisons") -> str:
    return "accuracy" if found.metric == "accuracy" else f"`{found.metric}`"


def _figure(found: "Comparisons", name: str) -> str:
    value = found.values[name].value
    if value is None:
        return "not defined"
    return f"{100 * value:.1f} %" if found.share else f"{value:.3f}"


def _points(size: float) -> str:
    return f"{100 * size:.1f}" if size >= 0.0005 else f"{100 * size:.2g}"


def _size(found: "Comparisons", size: float) -> str:
    if not found.share:
        return f"{size:.3f}"
    points = f"{100 * size:.2f}".rstrip("0").rstrip(".")
    return f"{points} point{'' if points == '1' else 's'}"


def _range(found: "Comparisons", pair: PairTest, best: str) -> str:
    lo, hi = pair.difference.lo, pair.difference.hi
    if lo is None or hi is None:
        return ""
    # As the gain of the best over the other, in whichever order and direction the pair was tested.
    if (pair.second == best) != found.higher_is_better:
        lo, hi = -hi, -lo
    times, places = (100, 1) if found.share else (1, 3)
    return f"; 95 % interval of the gain {times * lo:.{places}f} to {times * hi:.{places}f}"


def _p(p: float) -> str:
    return " (p < 0.001)" if p < 0.001 else f" (p = {p:.3f})"


def _short(p: float | None) -> str:
    return "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _signed(difference: Estimate) -> str:
    if difference.value is None:
        return difference.method
    limits = "" if difference.lo is None else f" ({difference.lo:+.3f} to {difference.hi:+.3f})"
    return f"{difference.value:+.3f}{limits}"


def _against(found: "Comparisons", best: str, name: str) -> str:
    if name == best:
        return name
    pair = _pair(found, best, name)
    p = "not tested" if pair.adjusted is None else _p(pair.adjusted).strip(" ()")
    return f"{name} (by {_size(found, abs(pair.difference.value or 0.0))}, {p})"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
