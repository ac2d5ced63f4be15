"""The watch over one version of a model: what is known of its answers, in bounded memory."""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.decisions import Policy
from linnaea.delivery.monitoring.answers import joined_seen, seen_of
from linnaea.delivery.monitoring.live.settings import WatchSettings
from linnaea.delivery.monitoring.monitors import MONITORS, Watched, Window
from linnaea.delivery.monitoring.monitors.sequential import FACT
from linnaea.delivery.monitoring.seen import Seen
from linnaea.delivery.monitoring.streams import Streams
from linnaea.finding import Finding
from linnaea.statistics.sequential_alarms import Change

logger = logging.getLogger("linnaea")
TOLD = 200  # changes that are kept to be shown


@dataclass(frozen=True, eq=False)
class Reference:
    """What a version of a model was judged on: its `classes`, `task` and `policy`, and what it said of the images.

    `named` says what that is, `notes` what could not be had of it.
    """

    classes: tuple[str, ...]
    task: str
    policy: Policy
    seen: Seen
    named: str = "the reference"
    notes: tuple[str, ...] = ()


class Watch:
    """Told of every answer in order; cheap tests look at each of them, all others at whole windows.

    `images` is a folder where images lie under their SHA-256, None where none are kept. One thread at a time may tell
    it anything; `windows` and `streams` are replaced, never changed, so that another may read them.
    """

    def __init__(self, reference: Reference, settings: WatchSettings, images: Path | None = None) -> None:
        self.reference, self.settings, self._images = reference, settings, images
        self.streams = Streams.begin(reference.seen, reference.policy, settings.guarantee, seed=settings.seed)
        self.changes: deque[Change] = deque(maxlen=TOLD)
        self.windows: tuple[Window, ...] = ()
        self._count, self._begun = 0, list[Seen]()

    @property
    def told_images(self) -> int:
        """How many images it was told of, ever."""
        return self._count + sum(map(len, self._begun))

    def told(self, records: Sequence[Mapping[str, Any]]) -> tuple[list[Change], list[Window]]:
        """After further answers, as an audit log has them: changes that are to be told, and windows that are whole."""
        seen = seen_of(records, len(self.reference.classes))
        if self._images is not None:
            seen = seen.with_(images=[_kept(self._images, record.get("sha256")) for record in records])
        self.streams, changes = self.streams.told(seen, self.reference.policy)
        self.changes.extend(changes)
        return changes, self._whole(seen)

    def _whole(self, seen: Seen) -> list[Window]:
        """Windows that are whole with these images; the rest waits for more."""
        self._begun.append(seen)
        size, found = self.settings.window, list[Window]()
        if sum(map(len, self._begun)) < size:
            return found
        pending = joined_seen(self._begun)
        if self._images is not None:
            pending = pending.with_(images=[path for part in self._begun for path in part.images])
        while len(pending) >= size:
            found.append(window_of(pending.take(range(size)), self._count + 1))
            pending = pending.take(range(size, len(pending)))
            self._count += size
        self._begun = [pending]
        self.windows = (*self.windows, *found)[-self.settings.windows :]
        return found

    def watched(self) -> Watched:
        """What monitors look at: the windows that are kept, and what the streams have said."""
        reference = self.reference
        return Watched(
            reference.classes,
            reference.task,
            reference.policy,
            reference.seen,
            self.windows,
            rate=self.settings.rate,
            seed=self.settings.seed,
            facts={FACT: (self.streams, list(self.changes))},
        )

    def to_json(self) -> dict[str, Any]:
        """What a restart goes on with: the streams, and what they have told; windows begin again."""
        changes = [one.to_json() for one in self.changes]
        return {"streams": self.streams.to_json(), "changes": changes, "count": self.told_images}

    def restore(self, content: Mapping[str, Any]) -> bool:
        """Go on where `to_json` was, or begin again and say so (False), where the rate or the reference is another."""
        streams = Streams.from_json(content["streams"])
        if streams.promises != self.streams.promises:
            logger.warning("What was watched was held to another rate or another reference: the tests begin again.")
            return False
        self.streams = streams
        self.changes.extend(Change.from_json(one) for one in content["changes"])
        self._count = content["count"]
        return True


def window_of(seen: Seen, first: int) -> Window:
    """A window of images, named by the numbers of its first and its last, from 1."""
    name = f"images {first:,} to {first + len(seen) - 1:,}"
    return Window(name, seen, float(np.min(seen.times)), float(np.max(seen.times)))


def findings_of(watched: Watched) -> dict[str, Sequence[Finding]]:
    """What each monitor says, in order; one that fails is said so, and the others go on."""
    found: dict[str, Sequence[Finding]] = {}
    for name, monitor in MONITORS.items():
        try:
            found[name] = monitor(watched)
        except Exception as error:  # noqa: BLE001 (one of a plugin may raise anything)
            told = f"The monitor {name} failed: {type(error).__name__}: {error}"
            found[name] = [Finding(name, told, "warning")]
    return found


def _kept(folder: Path, sha256: str | None) -> Path | None:
    return next(folder.glob(f"{sha256}.*"), None) if sha256 else None
