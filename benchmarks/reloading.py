"""A server under load while its model is reloaded, a worker is killed, and it is told to end: what clients notice."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.startup import prepared_photo
from benchmarks.table import keep
from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.delivery.exporters import export
from linnaea.models.network import Network

NETWORK, CLASSES, SIZE = "mobilenetv2_100", 10, 224
CLIENTS, PATIENCE = 8, 60.0
RELOADS, KILLS, ENDS = 100, 10, 10
QUIET = 5.0  # seconds of load without a reload, to compare with
ANSWERED, REFUSED, BROKEN, NOT_ACCEPTED = "answered", "refused", "broken off", "not accepted"


def main(reloads: int = RELOADS, kills: int = KILLS, ends: int = ENDS) -> None:
    """Each in turn, with one process and with two."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = prepared_photo(folder)
        versions = exported(folder, photo)
        for workers in (1, 2):
            rows.append(reloaded(folder, versions, photo.read_bytes(), workers, reloads))
        rows.append(killed(folder, versions, photo.read_bytes(), kills))
        for workers in (1, 2):
            rows.append(ended(folder, versions, photo.read_bytes(), workers, ends))
    remarks = (
        f"{NETWORK} as ONNX (random weights), {CLIENTS} clients on one connection each, which send a photo of "
        "hymenoptera as soon as the last answer has come, from a process beside the server on the same cores. Each "
        "reload switches between two exported folders of different content, put in place by a rename, and is asked "
        "for by POST /admin/reload. A request is lost where it was sent on a connection that the server had accepted "
        f"and no whole answer came. Killed: SIGKILL for one of two workers, {kills} times; it is back when it says "
        f"that it answers. Told to end: SIGTERM, {ends} times. Aims: no request lost but by a worker that is killed, "
        "at most those that it had; a worker back within 2 s."
    )
    keep("reloading", "Reloads, killed workers and the end, under load", rows, remarks)


def exported(folder: Path, photo: Path) -> list[Path]:
    """Two folders with the network, of which one says that it comes from elsewhere, so that its version is another."""
    torch.manual_seed(0)
    names = tuple(f"class {each}" for each in range(CLASSES))
    classifier = Classifier(TorchScorer(Network(NETWORK, CLASSES, SIZE)), names, "multiclass", Recipe(SIZE))
    first, second = export(classifier, "onnx", folder / "first", [photo]).folder, folder / "second"
    shutil.copytree(first, second)
    load(first).with_(provenance={"run": "another"}).save(second)
    return [first, second]


def reloaded(folder: Path, versions: list[Path], photo: bytes, workers: int, reloads: int) -> dict[str, Any]:
    """The row of reloads while clients ask."""
    place = placed(folder, versions[0])
    with Server(place, workers) as server:
        with Clients(server.port, photo) as quiet:
            time.sleep(QUIET)
        seconds, switched = [], 0
        with Clients(server.port, photo) as clients:
            for number in range(1, reloads + 1):
                put(versions[number % 2], place)
                began = time.perf_counter()
                told = server.reload()
                seconds.append(time.perf_counter() - began)
                switched += told[0]["switched"]
    return row(
        f"{switched} reloads",
        workers,
        clients,
        told=f"p99 {quantile(quiet, 0.99):.0f} ms without, {quantile(clients, 0.99):.0f} ms with reloads; a reload "
        f"took {np.median(seconds):.2f} s, {max(seconds):.2f} s at most",
    )


def killed(folder: Path, versions: list[Path], photo: bytes, kills: int) -> dict[str, Any]:
    """The row of workers that are killed while clients ask."""
    place = placed(folder, versions[0])
    back, at_most = [], 0
    with Server(place, 2) as server, Clients(server.port, photo) as clients:
        for number in range(kills):
            time.sleep(1.0)
            victim, ready = server.workers()[number % 2], server.said("Ready:")
            lost = clients.told[BROKEN]
            began = time.perf_counter()
            os.kill(victim, signal.SIGKILL)
            server.wait(lambda before=ready: server.said("Ready:") > before)  # type: ignore[misc]
            back.append(time.perf_counter() - began)
            at_most = max(at_most, clients.told[BROKEN] - lost)
        time.sleep(1.0)
    return row(
        f"{kills} workers killed",
        2,
        clients,
        told=f"at most {at_most} lost by one; back after {np.median(back):.2f} s, {max(back):.2f} s at most",
    )


def ended(folder: Path, versions: list[Path], photo: bytes, workers: int, ends: int) -> dict[str, Any]:
    """The row of servers that are told to end while clients ask."""
    place = placed(folder, versions[0])
    whole, seconds, statuses = Clients(0, photo), [], Counter[int]()
    for _ in range(ends):
        with Server(place, workers) as server:
            with Clients(server.port, photo) as clients:
                time.sleep(1.0)
                began = time.perf_counter()
                statuses[server.end()] += 1
                seconds.append(time.perf_counter() - began)
            whole.told += clients.told
            whole.latencies += clients.latencies
    said = ", ".join(f"{count} times {status}" for status, count in statuses.items())
    return row(
        f"{ends} times told to end",
        workers,
        whole,
        told=f"exit status {said}; ended after {np.median(seconds):.2f} s, {max(seconds):.2f} s at most",
    )


def row(what: str, workers: int, clients: "Clients", told: str) -> dict[str, Any]:
    """What clients noticed."""
    return {
        "what": what,
        "processes": workers,
        "requests": sum(clients.told.values()) - clients.told[NOT_ACCEPTED],
        "answered": clients.told[ANSWERED],
        "refused": clients.told[REFUSED],
        "lost": clients.told[BROKEN],
        "and": told,
    }


def quantile(clients: "Clients", share: float) -> float:
    """Of the time to an answer, in milliseconds."""
    return float(np.quantile(clients.latencies, share) * 1000)


def placed(folder: Path, version: Path) -> Path:
    """The folder that is served, holding a version."""
    place = folder / "served"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(version, place)
    return place


def put(version: Path, place: Path) -> None:
    """A version in the place of another, by renames."""
    new, old = place.with_name("new"), place.with_name("old")
    shutil.copytree(version, new)
    place.rename(old)
    new.rename(place)
    shutil.rmtree(old)


class Server:
    """`linnaea serve` in processes of its own."""

    def __init__(self, folder: Path, workers: int) -> None:
        words = [str(folder), "--port", "0", "--workers", str(workers)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "linnaea", "serve", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait(lambda: self.said("Ready:") == workers)
        self.port = int(next(line for line in self._lines if "Ready:" in line).split(" answers")[0].rpartition(":")[2])

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.end()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stderr is not None
        self._lines.extend(self._process.stderr)

    def said(self, words: str) -> int:
        """How many lines with these words it has written."""
        return sum(words in line for line in list(self._lines))

    def wait(self, come: Callable[[], bool]) -> None:
        """Until it has come to that."""
        until = time.monotonic() + PATIENCE
        while not come():
            if time.monotonic() > until or self._process.poll() is not None:
                raise SystemExit("The server did not do what was waited for:\n" + "".join(self._lines[-20:]))
            time.sleep(0.002)

    def workers(self) -> list[int]:
        """The numbers of its processes."""
        number = self._process.pid
        return [int(each) for each in Path(f"/proc/{number}/task/{number}/children").read_text().split()]

    def reload(self) -> Any:
        """Ask for a reload; what came of it."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/admin/reload", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return json.load(response)["reloaded"]
        except urllib.error.HTTPError as error:
            raise SystemExit(f"It was not reloaded: {error.read().decode()}") from None

    def end(self) -> int:
        """SIGTERM; the exit status."""
        self._process.terminate()
        return self._process.wait(PATIENCE)


@dataclass
class Clients:
    """Clients in a thread, each of which sends a photo when the last one was answered; what they were told."""

    port: int
    photo: bytes
    told: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def __enter__(self) -> "Clients":
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    async def _all(self) -> None:
        await asyncio.gather(*(self._one() for _ in range(CLIENTS)))

    async def _one(self) -> None:
        head = f"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: {len(self.photo)}\r\n\r\n".encode()
        while not self._stopped.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                self.told[NOT_ACCEPTED] += 1
                await asyncio.sleep(0.05)
                continue
            try:
                while not self._stopped.is_set():
                    began = time.perf_counter()
                    writer.write(head + self.photo)
                    closes = await self._answer(reader)
                    self.latencies.append(time.perf_counter() - began)
                    if closes:
                        break
            except (OSError, asyncio.IncompleteReadError):
                self.told[BROKEN] += 1
            finally:
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bool:
        """Read one answer, and whether it is the last on its connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        self.told[ANSWERED if head.startswith(b"http/1.1 200") else REFUSED] += 1
        return b"connection: close" in head


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
