"""Findings as a page shows them: with their first rows and images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from linnaea.delivery.report.folder import Folder, Part
from linnaea.delivery.report.grids import grids_in, is_grid
from linnaea.delivery.report.pictures import pictures
from linnaea.finding import Finding

MOST_MISTAKES = 24
MOST_THUMBNAILS = 8
MOST_ROWS = 10


def root_of(folder: Folder) -> Path | None:
    """The folder that the images of a run are in, as run.json says."""
    root = folder.dataset.get("root")
    return Path(str(root)) if root else None


def drawn(found: Part, draw: Callable[[Finding], Any]) -> Part:
    """A finding, and what a page makes of it."""
    return found if found.missing else Part({"finding": found.content, "made": draw(found.content)})


def illustrated(folder: Folder, finding: Finding) -> list[dict[str, Any]]:
    """The first rows of a finding, each with the image that its `id` names."""
    rows = list(finding.rows)[:MOST_MISTAKES]
    shown = pictures(root_of(folder), [str(row.get("id")) for row in rows], MOST_MISTAKES)
    return [{"row": row, "picture": picture} for row, picture in zip(rows, shown, strict=True)]


def listed(folder: Folder, findings: Part) -> Part:
    """Findings of any kind, each with its first rows and images."""
    return findings if findings.missing else Part([shown(root_of(folder), finding) for finding in findings.content])


def shown(root: Path | None, finding: Finding) -> dict[str, Any]:
    """A finding with its columns, its first rows, its mean maps, and its images from the folder `root`."""
    columns = list(dict.fromkeys(str(key) for row in finding.rows for key, value in row.items() if not is_grid(value)))
    thumbnails = pictures(root, finding.images, MOST_THUMBNAILS)
    return {
        "finding": finding,
        "columns": columns,
        "rows": list(finding.rows)[:MOST_ROWS],
        "grids": grids_in(finding.rows),
        "pictures": thumbnails,
    }
