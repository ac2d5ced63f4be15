"""Hot reload: a new version is loaded beside the old one, checked and warmed, and takes its place at once, or not.

Requests that were accepted before keep the version they began with, so that none fails. Of several models all are
switched, or none is.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from linnaea.classifier.bundle import bundle_folder
from linnaea.classifier.content import MOST_FILES, content_of
from linnaea.delivery.model_registries.target import Target
from linnaea.delivery.serving.checking import Demands, NotSwitchedError, require_fit
from linnaea.delivery.serving.models import Models, Served, Source
from linnaea.errors import LinnaeaError
from linnaea.runtime.boundary import reason_of

Load = Callable[[Source, Path], Served]  # a source, of which a copy lies in the folder
Fetch = Callable[[Source], Path]  # where what a source names at present lies
LAST = 1.0  # seconds in which a look may end when a server does
logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class Reloaded:
    """What came of one model: the version before and after, the same where nothing had changed, and what was found."""

    model: str
    before: str
    after: str
    found: str = ""
    seconds: float = 0.0

    @property
    def switched(self) -> bool:
        """Whether another version answers now."""
        return self.before != self.after

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"switched": self.switched}

    def __str__(self) -> str:
        if not self.switched:
            return f"{self.model} is unchanged: version {self.before} answers."
        return f"{self.model}: version {self.after} answers in the place of {self.before}. {self.found}".rstrip()


@dataclass(frozen=True)
class Prepared:
    """A new version that may take the place of an old one."""

    old: Served
    new: Served
    told: Reloaded


class Reloading:
    """Reloads what `models` serves: `fetch` says where the newest of a source lies, `load` loads it, `warm` warms it.

    `probes` gives the bytes of images to try a new version on.
    """

    def __init__(
        self,
        models: Models,
        load: Load,
        warm: Callable[[Served], object],
        fetch: Fetch = lambda source: Path(source.place),
        probes: Callable[[], Sequence[bytes]] = list,
    ) -> None:
        self.models = models
        self._load, self._warm, self._fetch, self._probes = load, warm, fetch, probes
        self._alone = threading.Lock()

    def reload(self, name: str | None = None, demands: Demands = Demands()) -> list[Reloaded]:  # noqa: B008  frozen
        """Load what the sources of a model (None: of all) hold by now, and switch to it where that passes the checks.

        Raises NotSwitchedError, with the reason, where any does not, or a reload is going on: nothing is switched then.
        UnknownModelError where there is no such model.
        """
        with self.alone():
            folders = self.fetched(name)
            return self.switch(self.prepare(folders, demands))

    def alone(self) -> "_Alone":
        """One reload at a time: raises NotSwitchedError where another is going on."""
        return _Alone(self._alone)

    def fetched(self, name: str | None = None) -> dict[Source, Path]:
        """Where the newest of each source of a model (None: of all) lies; raises NotSwitchedError where nowhere."""
        if name is not None:
            self.models.find(name)  # raises where there is none
        sources = [served.source for served in self.models if name in (None, served.name)]
        try:
            return {source: self._fetch(source) for source in sources}
        except (LinnaeaError, OSError) as error:
            raise _refusal("what is served", error) from error

    def prepare(self, folders: Mapping[Source, Path], demands: Demands) -> list[Prepared]:
        """Load, check and warm what lies in these folders; raises NotSwitchedError where any cannot answer."""
        prepared = []
        for old in list(self.models):
            folder = folders.get(old.source)
            if folder is None:
                continue
            try:
                prepared.append(self._prepared(old, folder, demands))
            except (LinnaeaError, OSError, ImportError, MemoryError) as error:
                raise _refusal(old.name, error) from error
        return prepared

    def _prepared(self, old: Served, folder: Path, demands: Demands) -> Prepared:
        started = time.perf_counter()
        if content_of(bundle_folder(folder)).address == old.digest:
            return Prepared(old, old, Reloaded(old.name, old.version, old.version))
        new = self._load(old.source, folder)
        found = require_fit(old, new, demands, self._probes())
        self._warm(new)
        seconds = round(time.perf_counter() - started, 3)
        return Prepared(old, new, Reloaded(old.name, old.version, new.version, found, seconds))

    def switch(self, prepared: Sequence[Prepared]) -> list[Reloaded]:
        """Let what was prepared answer from now on."""
        for each in prepared:
            if each.new is not each.old:
                self.models.swap(each.old, each.new)
            logger.info(str(each.told))
        return [each.told for each in prepared]


class _Alone:
    """A lock that is not waited for."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise NotSwitchedError("another reload is going on: try again when it has ended.")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _refusal(name: str, error: BaseException) -> NotSwitchedError:
    if isinstance(error, NotSwitchedError):
        return NotSwitchedError(f"{name}: {error}")
    told = str(error) if isinstance(error, LinnaeaError) else reason_of(error)
    return NotSwitchedError(f"{name} stays as it is: {told}")


def stamp_of(source: Source) -> str:
    """What changes when a source has something else: the address behind a tag, or what the disk says of its files."""
    if source.registry:
        meant = Target.read(source.place)
        version = meant.open().find(meant.wanted)
        return f"{version.number} {version.address}"
    bundle, told = bundle_folder(Path(source.place)), []
    for file in sorted(bundle.rglob("*"))[:MOST_FILES]:
        with suppress(FileNotFoundError):  # taken away meanwhile
            facts = file.stat()
            told.append(f"{file.name} {facts.st_mtime_ns} {facts.st_size} {facts.st_ino}")
    return "\n".join(told)


class Watch:
    """A thread that looks every few seconds whether a source has something new, and then lets it be reloaded.

    That is when it stays the same for two looks: nobody is writing any more. What was refused is not tried again until
    it changes once more.
    """

    def __init__(
        self,
        models: Models,
        reload: Callable[[str], object],
        seconds: float,
        stamp: Callable[[Source], str] = stamp_of,
    ) -> None:
        self._models, self._reload, self._seconds, self._stamp = models, reload, seconds, stamp
        self._tried: dict[Source, str] = {}
        self._seen: dict[Source, str] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(LAST)

    def look(self) -> None:
        """Look once, and let what has changed be reloaded."""
        sources = [served.source for served in self._models]
        for name in dict.fromkeys(source.name for source in sources if self._has_changed(source)):
            try:
                self._reload(name)
            except LinnaeaError as error:
                logger.error(f"Not reloaded: {error}")

    def _has_changed(self, source: Source) -> bool:
        try:
            stamp = self._stamp(source)
        except (LinnaeaError, OSError) as error:
            logger.warning(f"{source.place} cannot be looked at ({reason_of(error)}): it is served as it was.")
            return False
        before, self._seen[source] = self._seen.get(source), stamp
        if stamp == self._tried.get(source) or stamp != before:
            return False
        self._tried[source] = stamp
        return True

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self.look()
