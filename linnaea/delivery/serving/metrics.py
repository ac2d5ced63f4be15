"""What Prometheus is told of a server: requests, times, batches, what was answered and how surely.

With several workers each writes its numbers into files of a folder that they share, prometheus_client's own way, and
whichever is asked adds them up: so they are exact, and what a worker has counted stays counted when it dies.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linnaea.delivery.serving.contract import Answered
from linnaea.errors import MissingExtraError

SHARED = "PROMETHEUS_MULTIPROC_DIR"
MOST_LABELS = 100  # values that a label which data gives may have; all others are counted together
OTHER = "(other)"
LONGEST = 100  # letters of a value
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
SCORES = (-100, -30, -10, -5, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 5, 7, 10, 30, 100, 1000)  # of any familiarity
ROUTES = ("/predict", "/metrics", "/corrections", "/monitor", "/health", "/v2", "/page", "/admin", "/")
logger = logging.getLogger("linnaea")
OUTCOMES = {2: "answered", 3: "answered", 4: "refused", 5: "failed"}


@contextmanager
def shared_metrics(folder: Path) -> Iterator[None]:
    """Let the processes that are started meanwhile add their numbers up in this folder, which should be empty."""
    before = os.environ.get(SHARED)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[SHARED] = str(folder)
    try:
        yield
    finally:
        del os.environ[SHARED]
        if before is not None:
            os.environ[SHARED] = before


def worker_ended(process: int) -> None:
    """Forget what a worker that has ended said of the present, such as its queue; what it has counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(process)  # type: ignore[no-untyped-call]


class Bounded:
    """The values of a label, the first `most` of which have their own name; the others are counted as `OTHER`."""

    def __init__(self, most: int = MOST_LABELS) -> None:
        self._most, self._known = most, dict[object, str]()

    def __call__(self, *values: str) -> str:
        """The last of these values as a name, where the values before it say whose it is."""
        known = self._known.get(values)
        if known is None:
            if len(self._known) >= self._most:
                return OTHER
            text = values[-1].encode("utf-8", "backslashreplace").decode()
            known = self._known[values] = text[:LONGEST]
        return known


class Metrics:
    """An observer that counts every answer, and what a middleware and a route of it show to Prometheus."""

    def __init__(self) -> None:
        try:
            from prometheus_client import CollectorRegistry
        except ModuleNotFoundError:
            raise MissingExtraError("prometheus_client", "serve") from None
        self._shared = os.environ.get(SHARED)
        _keep_values(bool(self._shared))
        self._registry = CollectorRegistry()
        self._reasons, self._classes = Bounded(), Bounded()
        self._versions: dict[tuple[str, str, str], None] = {}
        self._shown: list[Callable[[], object]] = []
        self._closed = threading.Event()
        self._make()

    def watch_queue(self, waiting: Callable[[], int]) -> None:
        """Show how many images wait."""
        self.keep_up(lambda: self._queue.set(waiting()))

    def gauge(self, name: str, said: str, labels: tuple[str, ...] = ()) -> Any:
        """A further gauge, `linnaea_` and its name; of several workers the greatest value is told."""
        return self._gauge(name, said, "livemax", *labels)

    def keep_up(self, show: Callable[[], object]) -> None:
        """Let `show` set gauges: when they are asked for and, where other processes are asked too, each second."""
        self._shown.append(show)
        if self._shared and len(self._shown) == 1:
            threading.Thread(target=self._refresh, name="linnaea-gauges", daemon=True).start()

    def answered(self, batch: Sequence[Answered]) -> None:
        """Count these answers."""
        self._batches.observe(len(batch))
        for one in batch:
            self._tell_version(one)
            answer = one.answer
            reason = self._reasons(str(answer.get("reason") or "ok"))
            self._images.labels(one.model, one.version, reason).inc()
            for label in _labels_of(answer.get("label")):
                self._predictions.labels(one.model, self._classes(one.model, label)).inc()
            for histogram, name in ((self._confidences, "confidence"), (self._oddness, "ood_score")):
                value = answer.get(name)
                if isinstance(value, int | float) and math.isfinite(value):
                    histogram.labels(one.model).observe(value)

    def close(self) -> None:
        """There is nothing more to count."""
        self._closed.set()

    def not_logged(self, count: int, outcome: str) -> None:
        """So many answers could not be written to the audit log; they were `refused`, or `given` all the same."""
        self._log_failures.labels(outcome).inc(count)

    def request(self, path: str, status: int, seconds: float) -> None:
        """A request was answered, or refused."""
        route = next((one for one in ROUTES if path == one or (path.startswith(f"{one}/") and one != "/")), OTHER)
        outcome = {429: "overloaded", 503: "overloaded", 499: "left"}.get(status, OUTCOMES.get(status // 100, "failed"))
        self._requests.labels(route, outcome, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> tuple[bytes, str]:
        """All of it as Prometheus reads it, and the type of that content."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        for show in self._shown:
            show()
        if not self._shared:
            return generate_latest(self._registry), CONTENT_TYPE_LATEST
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone, path=self._shared)  # type: ignore[no-untyped-call]
        return generate_latest(everyone), CONTENT_TYPE_LATEST

    def router(self) -> APIRouter:
        """The route `/metrics`."""
        router = APIRouter()

        @router.get("/metrics", include_in_schema=False)
        def metrics() -> Response:
            content, kind = self.text()
            return Response(content, media_type=kind)

        return router

    def _make(self) -> None:
        from prometheus_client import Counter, Histogram

        def counter(name: str, said: str, *labels: str) -> Counter:
            return Counter(f"linnaea_{name}", said, labels, registry=self._registry)

        def histogram(name: str, said: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"linnaea_{name}", said, labels, buckets=buckets, registry=self._registry)

        self._requests = counter("requests", "Requests by route, outcome and status.", "route", "outcome", "status")
        self._seconds = histogram("request_seconds", "Seconds from a request to its answer.", SECONDS, "route")
        self._images = counter("images", "Images by what answered and the reason.", "model", "version", "reason")
        self._predictions = counter("predictions", "Answers by class.", "model", "label")
        self._batches = histogram("batch_images", "Images that were answered at once.", IMAGES)
        self._confidences = histogram("confidence", "Confidence of answers.", SHARES, "model")
        self._oddness = histogram("ood_score", "How unlike the training images they were.", SCORES, "model")
        self._queue = self._gauge("queue_images", "Images that wait for their answer.", "livesum")
        self._log_failures = counter("log_failures", "Answers that could not be logged.", "outcome")
        self._models = self._gauge(
            "model_answers_since", "When a version first answered.", "min", "model", "version", "digest"
        )
        for outcome in ("refused", "given"):
            self._log_failures.labels(outcome)  # 0 is shown, so that an alert can be made of it

    def _gauge(self, name: str, said: str, mode: Any, *labels: str) -> Any:
        from prometheus_client import Gauge

        return Gauge(f"linnaea_{name}", said, labels, multiprocess_mode=mode, registry=self._registry)

    def _tell_version(self, one: Answered) -> None:
        told = (one.model, one.version, one.digest)
        if told not in self._versions and len(self._versions) < MOST_LABELS:
            self._versions[told] = None
            self._models.labels(*told).set(one.time)

    def _refresh(self) -> None:
        while not self._closed.wait(1.0):
            for show in self._shown:
                try:
                    show()
                except Exception:  # the next one is shown all the same
                    logger.exception("A number for Prometheus could not be told.")
        self._queue.set(0)


class RequestMetrics:
    """An ASGI middleware that counts requests, however they end."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        failed = True
        try:
            await self._app(scope, receive, sending)
            failed = False
        finally:
            self._metrics.request(scope["path"], status or (500 if failed else 499), time.perf_counter() - began)


def _keep_values(shared: bool) -> None:
    """Let numbers be kept in shared files or in memory, whatever was the case when prometheus_client was imported."""
    from prometheus_client import values

    if shared and values.ValueClass is values.MutexValue:
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
    elif not shared:
        values.ValueClass = values.MutexValue


def _labels_of(label: Any) -> list[str]:
    """The classes of an answer: one, several, or none."""
    if label is None:
        return []
    return [str(one) for one in label] if isinstance(label, list | tuple) else [str(label)]
