"""From JPEG to JSON over HTTP: `linnaea serve` of an exported folder against LitServe and FastAPI around torch."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.inference import classifier
from benchmarks.load import Address, Load, at_once, at_rate, form
from benchmarks.peers import add_peer
from benchmarks.serving_peers import LITSERVE, SERVERS
from benchmarks.table import keep, photo_sets
from linnaea.classifier import load
from linnaea.delivery.exporters import export

NETWORK, TO = "mobilenetv3_large_100", "onnx"
COUNT, SECONDS, ROUNDS = 64, 8.0, 3
CONNECTIONS = 16  # clients that ask at a time
OVERLOAD, OPEN = 3.0, 200  # times the peak, over so many connections
QUEUE = 32  # images that may wait, in the overload: what is answered within a fraction of a second
LONE = 60  # requests of one client alone


def main() -> None:
    """Rates in turns; then what is left of them in-process, what an overload does, and what a lone request costs."""
    version = add_peer(*LITSERVE)
    with tempfile.TemporaryDirectory() as place:
        paths = sorted((photo_sets() / "hymenoptera").rglob("*.jpg"))[:COUNT]
        folder = export(classifier(NETWORK), TO, Path(place) / TO, paths[:16]).folder
        requests = [form(path.read_bytes()) for path in paths]
        linnaea = ("linnaea", "serve", str(folder))
        rates, labels = in_turns(linnaea, requests)
        local = in_process(folder, paths)
        with served(*linnaea, "--max-queue", str(QUEUE)) as address:
            peak = at_once(address, requests, CONNECTIONS, SECONDS).rate()
            flood = at_rate(address, requests, OVERLOAD * peak, SECONDS, OPEN)
        with served(*linnaea) as address:
            alone = at_once(address, requests, 1, SECONDS)
        call = lone_calls(folder, paths)
    ours, rejected = median(rates["linnaea"]), [1e3 * flood.quantile(share, 503) for share in (0.5, 0.99)]
    rows = [
        row(f"{name} requests/s", f"{median(found):.1f}", beside(name, ours / median(found), labels))
        for name, found in rates.items()
    ]
    told = 1e3 * alone.quantile(0.5)
    rows += [
        row("in-process images/s of the exported folder", f"{local:.1f}", f"{ours / local:.0%} of it is served"),
        row(f"answers/s at {OVERLOAD:g}x overload", f"{flood.rate():.1f}", f"{flood.rate() / peak:.0%} of peak"),
        row("rejections there, ms (median; 99 %)", f"{rejected[0]:.1f}", f"{rejected[1]:.1f}"),
        row("unanswered there", str(flood.count(0)), f"of {len(flood.statuses)}"),
        row("one client, ms (median)", f"{told:.2f}", f"{told - 1e3 * call:+.2f} over in-process"),
    ]
    remarks = (
        f"{NETWORK} with the same random weights everywhere, {COUNT} photos of ants and bees as forms, {CONNECTIONS} "
        f"clients, {ROUNDS} rounds of {SECONDS:g} s in turns. Linnaea serves its export to {TO} with its defaults. "
        f"LitServe {version} and FastAPI as their guides have them; tuned: channels_last, LitServe with batches of 16 "
        "and two workers, FastAPI off the event loop, both on uvloop and httptools."
    )
    keep("serving", "Serving: from JPEG to JSON", rows, remarks)


def row(name: str, value: str, beside: str = "") -> dict[str, Any]:
    return {"figure": name, "value": value, "beside": beside}


def beside(name: str, ratio: float, labels: dict[str, list[str]]) -> str:
    """How many times as fast ours is, and how many photos are answered alike: crops differ, and weights are random."""
    same = sum(a == b for a, b in zip(labels["linnaea"], labels[name], strict=True))
    return "" if name == "linnaea" else f"{ratio:.2f}x, {same} of {len(labels[name])} labels alike"


def in_turns(linnaea: Sequence[str], requests: Sequence[bytes]) -> tuple[dict[str, list[float]], dict[str, list[str]]]:
    """Requests per second of every server, some rounds long, and the label that each gives to every photo."""
    commands = {"linnaea": linnaea} | {name: ("benchmarks.serving_peers", name) for name in SERVERS}
    rates: dict[str, list[float]] = {name: [] for name in commands}
    labels: dict[str, list[str]] = {}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            with served(*command) as address:
                if name not in labels:
                    labels[name] = [label(address, request) for request in requests]
                rates[name].append(answered(at_once(address, requests, CONNECTIONS, SECONDS)).rate())
                print(f"{name}: {rates[name][-1]:.1f}/s", flush=True)
    return rates, labels


def label(address: Address, request: bytes) -> str:
    """What is answered to a request."""
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection)
        response.begin()
        told = json.loads(response.read())
    return str(told.get("answers", [told])[0]["label"])


def answered(load: Load) -> Load:
    """The same, where every request was."""
    if set(load.statuses) != {200}:
        raise SystemExit(f"some requests were not answered: {sorted(set(load.statuses))}")
    return load


@contextmanager
def served(module: str, *words: str) -> Iterator[Address]:
    """A server in a process of its own, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    given = [*words, "--port", str(port)] if module == "linnaea" else [*words, str(port), NETWORK]
    process = subprocess.Popen([sys.executable, "-m", module, *given], start_new_session=True)
    try:
        first = form(next((photo_sets() / "hymenoptera").rglob("*.jpg")).read_bytes())
        for _ in range(600):
            if process.poll() is not None:
                raise SystemExit(f"{module} {' '.join(words)} ended.")
            if at_once(("127.0.0.1", port), [first], 1, 0.1).count(200):
                break
            time.sleep(0.2)
        else:
            raise SystemExit(f"{module} {' '.join(words)} does not answer.")
        yield "127.0.0.1", port
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers that it has left behind
        process.wait()


def in_process(folder: Path, paths: Sequence[Path]) -> float:
    """Images per second that the exported folder answers in this process, from files."""
    loaded = load(folder)
    loaded.predict(list(paths))
    found = []
    for _ in range(ROUNDS):
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < SECONDS / 2:
            count += len(loaded.predict(list(paths)))
        found.append(count / (time.perf_counter() - begun))
    return median(found)


def lone_calls(folder: Path, paths: Sequence[Path]) -> float:
    """Seconds, the median, that `predict` takes for one file."""
    loaded, seconds = load(folder), []
    for number in range(LONE * 2):
        begun = time.perf_counter()
        loaded.predict(paths[number % len(paths)])
        seconds.append(time.perf_counter() - begun)
    return median(seconds[LONE:])


if __name__ == "__main__":
    main()
