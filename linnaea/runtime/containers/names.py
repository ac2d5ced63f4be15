"""Names of archive members: which of them may be used."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath

OUTSIDE = "name leads outside the archive"
DRIVE = re.compile(r"^[A-Za-z]:")


def leads_outside(name: str) -> bool:
    """Whether a relative name, read by any system, would leave its folder: absolute, with a drive, or with `..`."""
    if name[:1] in ("/", "\\") or DRIVE.match(name):
        return True
    return ".." in name and any(".." in kind(name).parts for kind in (PurePosixPath, PureWindowsPath))


def plain(name: str) -> str:
    """The name without `./` before it and without doubled slashes."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def distinct(names: Iterator[tuple[str, str | None]]) -> Iterator[tuple[str, str | None]]:
    """Names with the reason why they are refused, None where they are not; adds the reasons that lie in the name."""
    seen: set[str] = set()
    for name, reason in names:
        reason = reason or (OUTSIDE if leads_outside(name) else None) or _not_text(name)
        kept = plain(name) if reason is None else _shown(name)
        if reason is None and kept in seen:
            reason = "named twice in the archive"
        seen.add(kept)
        yield kept, reason


def _not_text(name: str) -> str | None:
    return None if _shown(name) == name else "name is not valid UTF-8: rename it"


def _shown(name: str) -> str:
    """The name with bytes that are no UTF-8 as question marks."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
