"""What a worker is given, and how it and those beside it pass word to the process that started them."""

import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from linnaea.delivery.serving.checking import Demands, NotSwitchedError
from linnaea.delivery.serving.models import Source
from linnaea.delivery.serving.reloading import Prepared, Reloaded, Reloading
from linnaea.errors import LinnaeaError

PATIENCE = 600.0  # seconds that a reload may take in all
logger = logging.getLogger("linnaea")


class Post:
    """The place of a worker, `number` of `count` from 1, where the sources it loads are `staged`, and its channel."""

    def __init__(self, number: int, count: int, staged: Mapping[str, str], channel: Connection) -> None:
        self.number, self.count, self.staged = number, count, dict(staged)
        self._channel, self._sending = channel, threading.Lock()
        self._reloading: Reloading | None = None
        self._kept: Callable[[Sequence[Path]], object] = lambda folders: None
        self._prepared: list[Prepared] = []
        self._asked: Future[list[Reloaded]] | None = None

    def folder_of(self, source: Source) -> Path:
        """Where what a source names was put for all workers."""
        return Path(self.staged[source.place])

    def failed(self, error: str) -> None:
        """Say why there is nothing to be done here."""
        self._send({"said": "failed", "error": error})

    def ready(self, reloading: Reloading, kept: Callable[[Sequence[Path]], object] = lambda folders: None) -> None:
        """Say that this worker answers, and heed what comes; `kept` is told which copies are still needed."""
        self._reloading, self._kept = reloading, kept
        threading.Thread(target=self._heed, name="post", daemon=True).start()
        self._send({"said": "ready"})

    def reload(self, name: str | None = None, demands: Demands = Demands()) -> list[Reloaded]:  # noqa: B008  frozen
        """As `Reloading.reload`, by all workers or by none."""
        reloading = self._reloading
        assert reloading is not None
        with reloading.alone():
            folders = reloading.fetched(name)
            asked: Future[list[Reloaded]] = Future()
            self._asked = asked
            staged = {source.place: str(folder) for source, folder in folders.items()}
            self._send({"said": "reload", "staged": staged, "demands": asdict(demands)})
            try:
                return asked.result(PATIENCE)
            except TimeoutError:
                raise NotSwitchedError(f"there was no answer from the other workers within {PATIENCE:g} s.") from None
            finally:
                self._asked = None

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._sending:
            self._channel.send_bytes(json.dumps(message).encode())

    def _heed(self) -> None:
        """Do what is said, until nobody says anything any more: then this worker has no reason to be."""
        while True:
            try:
                message = json.loads(self._channel.recv_bytes())
            except (EOFError, OSError):
                logger.error("The process that keeps the workers is gone: this one ends too.")
                os.kill(os.getpid(), signal.SIGTERM)
                return
            try:
                self._do(message)
            except OSError:
                continue  # said to nobody

    def _do(self, message: Mapping[str, Any]) -> None:
        what = message["do"]
        if what == "prepare":
            self._prepare(message)
        elif what == "switch":
            self._switch()
        elif what == "forget":
            self._prepared = []
        elif what == "reload":
            threading.Thread(target=self._reload_by_signal, name="reload", daemon=True).start()
        elif what == "told":
            self._told(message)

    def _prepare(self, message: Mapping[str, Any]) -> None:
        reloading = self._reloading
        assert reloading is not None
        staged = message["staged"]
        folders = {
            served.source: Path(staged[served.source.place])
            for served in reloading.models
            if served.source.place in staged
        }
        try:
            self._prepared = reloading.prepare(folders, Demands(**message["demands"]))
        except LinnaeaError as error:
            self._send({"said": "refused", "error": str(error)})
            return
        except Exception as error:  # whatever it was, the others must not wait for it
            logger.exception("A reload could not be prepared.")
            self._send({"said": "refused", "error": f"{type(error).__name__}: {error}"})
            return
        self._send({"said": "prepared"})

    def _switch(self) -> None:
        assert self._reloading is not None
        told = self._reloading.switch(self._prepared)
        self._prepared = []
        self._send({"said": "switched", "told": [asdict(each) for each in told]})

    def _told(self, message: Mapping[str, Any]) -> None:
        """What became of the reload that was asked for here."""
        asked = self._asked
        if asked is None or asked.done():
            return
        if message.get("error"):
            asked.set_exception(NotSwitchedError(str(message["error"])))
            return
        self._kept([Path(folder) for folder in message["staged"].values()])
        asked.set_result([Reloaded(**each) for each in message["told"] or ()])

    def _reload_by_signal(self) -> None:
        try:
            self.reload()
        except LinnaeaError as error:
            logger.error(f"Not reloaded: {error}")
