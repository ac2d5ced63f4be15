"""Checks on the files: what was left out, and what of them is not looked at."""

from collections import Counter

from linnaea.data.audit.contract import CHECKS, Inspection, warn_of
from linnaea.data.images.bands import MOST_BANDS
from linnaea.data.images.headers import Facts
from linnaea.data.sources.folders import EMPTY
from linnaea.finding import Finding
from linnaea.runtime.arguments import COLOUR
from linnaea.runtime.words import counted, in_number

MOST_NAMED = 5


@CHECKS.register("left_out", title="Left out", order=40)
def left_out(inspection: Inspection) -> Finding | None:
    """Files that were left out, with the reason; hidden files alone are no reason to worry."""
    excluded = inspection.dataset.excluded
    if not excluded:
        return None
    reasons = Counter(entry.reason for entry in excluded)
    listed = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(4) if reason != EMPTY)
    files = len(excluded) - reasons[EMPTY]
    told = [f"{counted(files, 'file was', 'files were')} left out: {listed}."] if files else []
    empty = [str(entry.label) for entry in excluded if entry.reason == EMPTY]
    if empty:
        more = f" and {len(empty) - MOST_NAMED:,} more" if len(empty) > MOST_NAMED else ""
        named = ", ".join(empty[:MOST_NAMED]) + more
        told.append(in_number(len(empty), f"The class {named} has no images.", f"The classes {named} have no images."))
    return Finding(
        "left_out",
        " ".join(told),
        severity="info" if set(reasons) <= {"hidden"} else "warning",
        count=len(excluded),
        rows=[{"path": entry.path, "label": entry.label, "reason": entry.reason} for entry in excluded],
    )


@CHECKS.register("first_page_only", title="Only the first page", order=45)
def first_page_only(inspection: Inspection) -> Finding | None:
    """TIFF files of several grey pages of one size, possibly bands, of which only the first page is looked at."""
    facts, channels = inspection.facts or (), inspection.channels
    rows = [row for row, one in enumerate(facts) if one.pages > 1 and (one.pages != channels or channels == COLOUR)]
    if not rows:
        return None
    pages = [facts[row].pages for row in rows]
    usual, number = Counter(pages).most_common(1)[0]
    first = next(facts[row] for row in rows if facts[row].pages == usual)
    many = f"{usual}" if usual <= MOST_BANDS else f"over {MOST_BANDS}"
    return warn_of(
        "first_page_only",
        f"{counted(len(rows), 'TIFF file has', 'TIFF files have')} several grey pages of one size "
        f"({many} in {'all' if number == len(rows) else number} of them), and only the first page of each is used: "
        f"{_mend(first)}.",
        inspection.rows(rows, score=pages),
    )


def _mend(facts: Facts) -> str:
    """What to do about pages that may be bands, or an image whose bands were saved as the last of its axes."""
    if 2 * facts.width <= min(facts.pages, facts.height):
        return (
            f"pages of {facts.width} x {facts.height} pixels look like {facts.width} bands saved the wrong way round; "
            f'save such arrays with tifffile.imwrite(..., photometric="minisblack", planarconfig="contig"), and give '
            f"--channels {facts.width}"
        )
    if facts.pages == COLOUR:
        return "if they are colours, save them as one page of RGB; else save the page you mean"
    bands = f"if they are bands, give --channels {facts.pages}; else " if facts.pages <= MOST_BANDS else ""
    return f"{bands}save the page you mean in a file of its own"
