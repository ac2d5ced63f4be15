"""What a control group of Linux leaves this process: cores and memory, of version 1 and version 2 alike.

A container or a job of a cluster sees the cores and the memory of the whole machine; the kernel stops, or ends, what
takes more than its group may have. A limit of a group holds for all groups below it.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

UNLIMITED = 2**60  # bytes: version 1 writes nearly 2^63 where there is no limit
CACHES = ("total_inactive_file", "inactive_file")  # bytes of files that the kernel gives up before it ends anybody


@dataclass(frozen=True)
class Granted:
    """Cores, perhaps a part of one, and bytes of memory still free; None where there is no limit."""

    cores: float | None = None
    memory: int | None = None


def granted(root: Path = Path("/")) -> Granted:
    """What the control groups of this process grant; nothing is limited where there are none. `root` is for tests."""
    cores = [_cores(folder) for folder in _folders(root, "cpu")]
    memory = [_free(folder) for folder in _folders(root, "memory")]
    return Granted(
        min((value for value in cores if value is not None), default=None),
        min((value for value in memory if value is not None), default=None),
    )


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The group of this process under each hierarchy that may hold the controller, and the groups above it."""
    groups = dict(_groups(_read(root / "proc/self/cgroup")))
    for mounted, place, controllers in _mounts(_read(root / "proc/self/mountinfo")):
        group = groups.get(controller if controllers is not None else "")
        if group is None or (controllers is not None and controller not in controllers):
            continue
        top = root / place.lstrip("/")
        inside = group.removeprefix(mounted.rstrip("/")) if group.startswith(mounted) else ""
        folder = top / inside.strip("/")
        while True:
            yield folder
            if folder == top:
                break
            folder = folder.parent


def _groups(text: str) -> Iterator[tuple[str, str]]:
    """The path of the group by controller; version 2 has one hierarchy, whose controller is written as nothing."""
    for line in text.splitlines():
        with suppress(ValueError):
            _, names, path = line.split(":", 2)
            for name in names.split(","):
                yield name, path


def _mounts(text: str) -> Iterator[tuple[str, str, list[str] | None]]:
    """Of each mounted hierarchy: which group is mounted, where, and its controllers (None: version 2)."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) > 4 and len(kind) > 2 and kind[0] in ("cgroup", "cgroup2"):
            yield _plain(fields[3]), _plain(fields[4]), None if kind[0] == "cgroup2" else kind[2].split(",")


def _plain(path: str) -> str:
    """A path as it is; the kernel writes a space as \\040."""
    return re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), path)


def _cores(folder: Path) -> float | None:
    both = _read(folder / "cpu.max").split() or [
        _read(folder / "cpu.cfs_quota_us").strip(),
        _read(folder / "cpu.cfs_period_us").strip(),
    ]
    quota, period = (_number(part) for part in [*both, ""][:2])
    return quota / period if quota and period and quota > 0 else None


def _free(folder: Path) -> int | None:
    limits = [_number(_read(folder / name)) for name in ("memory.max", "memory.high", "memory.limit_in_bytes")]
    found = [limit for limit in limits if limit is not None and limit < UNLIMITED]
    if not found:
        return None
    used = _number(_read(folder / "memory.current")) or _number(_read(folder / "memory.usage_in_bytes")) or 0
    told = dict(line.split(maxsplit=1) for line in _read(folder / "memory.stat").splitlines() if " " in line)
    given_up = next((_number(told[name]) or 0 for name in CACHES if name in told), 0)
    return max(0, min(found) - max(0, used - given_up))


def _number(text: str) -> int | None:
    """A whole number; None for "max" and for nothing."""
    try:
        return int(text)
    except ValueError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
