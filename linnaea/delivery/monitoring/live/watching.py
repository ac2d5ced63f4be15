"""The observer that watches what a server answers: answers only wait to be looked at, and threads look."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from linnaea.delivery.monitoring.alerts import Channel, Telling
from linnaea.delivery.monitoring.live.settings import WatchSettings
from linnaea.delivery.monitoring.live.watch import Reference, Watch, findings_of
from linnaea.delivery.monitoring.monitors import ALARM, Watched
from linnaea.delivery.serving.audit_log.writing import record_of
from linnaea.delivery.serving.contract import Answered
from linnaea.errors import RunError
from linnaea.finding import Finding
from linnaea.runtime.boundary import reason_of
from linnaea.runtime.files import read_json, write_json

logger = logging.getLogger("linnaea")
STATE = "watch.json"
OF_STREAMS = "sequential"  # the monitor whose findings are told as changes, after the image that told them
SAVED_AFTER = 200  # images
Referring = Callable[[str], Reference | None]


class Watching:
    """An Observer that looks at every answer in the background, and knows what there is to say.

    `reference_of` gives what the version with a digest was judged on, None where nobody knows: its answers are counted
    as `unwatched`. `left_out` counts those for which there was no room to wait, `overtaken` windows that were judged
    only with the next, `failures` what went wrong, and was said in the log. Alerts go to `channels`. In `folder` the
    state is kept, so that a restart goes on (None: nowhere); `images` is where an audit log keeps them, to be shown.
    `notes` are to be known by who reads the page.
    """

    def __init__(
        self,
        reference_of: Referring,
        settings: WatchSettings = WatchSettings(),  # noqa: B008  it is frozen
        channels: Sequence[Channel] = (),
        folder: Path | None = None,
        images: Path | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.settings, self.folder, self.notes, self._images = settings, folder, notes, images
        self.telling = Telling(channels)
        self.watches: dict[str, Watch] = {}
        self.findings: dict[str, dict[str, Sequence[Finding]]] = {}
        self.names: dict[str, tuple[str, str]] = {}
        self.latest: str | None = None
        self.unwatched = self.left_out = self.overtaken = self.failures = 0
        self._reference_of = reference_of
        self._kept = self._restored()
        self._waiting: deque[Answered] = deque()
        self._there, self._telling_alone = threading.Condition(), threading.Lock()
        self._looking = ThreadPoolExecutor(1, "monitor")
        self._judging: dict[str, Future[None]] = {}
        self._closing, self._since_saved, self._busy = False, 0, False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def answered(self, batch: Sequence[Answered]) -> None:
        """These were answered; they wait, without their images, to be looked at."""
        with self._there:
            room = max(0, self.settings.most_waiting - len(self._waiting))
            self._waiting.extend(replace(one, image=None) for one in batch[:room])
            self.left_out += max(0, len(batch) - room)
            self._there.notify()

    def close(self) -> None:
        """Look at what waits, keep the state, and say which alerts could not be sent."""
        with self._there:
            self._closing = True
            self._there.notify()
        self._thread.join()
        self._looking.shutdown()
        self._save()
        self.telling.close()

    def settle(self) -> None:
        """Wait until all that was answered so far has been looked at."""
        with self._there:
            self._there.wait_for(lambda: not self._waiting and not self._busy)
        for judging in list(self._judging.values()):
            judging.result()

    def _run(self) -> None:
        while True:
            with self._there:
                self._busy = False
                self._there.notify_all()
                self._there.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                taken, self._busy = list(self._waiting), True
                self._waiting.clear()
            try:
                self._look(taken)
            except Exception as error:
                self.failures += 1
                logger.exception(f"{len(taken)} answers could not be looked at: {error}")

    def _look(self, taken: Sequence[Answered]) -> None:
        for digest in dict.fromkeys(one.digest for one in taken):
            own = [one for one in taken if one.digest == digest]
            watch = self._watch(own[0])
            if watch is None:
                self.unwatched += len(own)
                continue
            changes, windows = watch.told([record_of(one) for one in own])
            self.latest = digest
            with self._telling_alone:
                self.telling.model, self.telling.version = own[-1].model, own[-1].version
                self.telling.changes(changes)
            self._since_saved += SAVED_AFTER * bool(changes)
            if windows:
                self._judge_soon(digest, watch.watched())
        self._since_saved += len(taken)
        if self._since_saved >= SAVED_AFTER:
            self._save()

    def _watch(self, one: Answered) -> Watch | None:
        if one.digest not in self.watches:
            reference = self._reference_of(one.digest)
            if reference is None:
                return None
            watch = Watch(reference, self.settings, self._images)
            if one.digest in self._kept and not watch.restore(self._kept[one.digest]):
                with self._telling_alone:  # what was told of tests that began again is told again
                    self.telling.model, self.telling.version = one.model, one.version
                    self.telling.streams.clear()
            self.watches[one.digest], self.names[one.digest] = watch, (one.model, one.version)
        return self.watches[one.digest]

    def _judge_soon(self, digest: str, watched: Watched) -> None:
        """Judge the windows as they stand now, in place of what still waits to be judged."""
        before = self._judging.get(digest)
        if before is not None and before.cancel():
            self.overtaken += 1
        self._judging[digest] = self._looking.submit(self._judge, digest, watched)

    def _judge(self, digest: str, watched: Watched) -> None:
        found = findings_of(watched)
        self.findings = {**self.findings, digest: found}
        told = [one for name, each in found.items() if name != OF_STREAMS for one in each]
        with self._telling_alone:
            self.telling.model, self.telling.version = self.names[digest]
            self.telling.findings(told, ALARM)

    def _save(self) -> None:
        self._since_saved = 0
        if self.folder is None:
            return
        watches = {digest: watch.to_json() for digest, watch in self.watches.items()}
        content = {"watches": {**self._kept, **watches}, "alerts": self.telling.to_json()}
        try:
            write_json(self.folder / STATE, content)
        except OSError as error:
            self.failures += 1
            logger.error(f"What is watched could not be kept in {self.folder}: {reason_of(error)}. It goes on.")

    def _restored(self) -> dict[str, Mapping[str, Any]]:
        if self.folder is None or not (self.folder / STATE).exists():
            return {}
        try:
            content = read_json(self.folder / STATE)
            self.telling.restore(content["alerts"])
            return dict(content["watches"])
        except (RunError, LookupError, TypeError, ValueError) as error:
            logger.warning(f"{self.folder / STATE} cannot be used, and the watch begins again: {error}")
            return {}


def findings_in(watching: Watching) -> list[tuple[str, Finding]]:
    """Every finding with the digest of the version that it is about."""
    return [
        (digest, finding) for digest, found in watching.findings.items() for each in found.values() for finding in each
    ]
