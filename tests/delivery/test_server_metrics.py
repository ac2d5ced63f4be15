"""What a server says of itself: numbers for Prometheus, also of several workers, and a line of log for each request."""

import io
import json
import logging
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from linnaea.delivery.serving.contract import Answered
from linnaea.delivery.serving.layers import surround
from linnaea.delivery.serving.logs import JsonLines, RequestLog
from linnaea.delivery.serving.metrics import MOST_LABELS, OTHER, Metrics

ONE = Answered("r", 0, 1.7e9, "bees", "3", "sha256-ab", {"label": "bee", "confidence": 0.93, "reason": "ok"})


class Samples:
    """What Prometheus reads: `found[name, *labels]` is a value, whichever order the labels have."""

    def __init__(self, text):
        families = text_string_to_metric_families(text if isinstance(text, str) else text.decode())
        self.all = [sample for family in families for sample in family.samples]

    def __getitem__(self, key):
        name, *labels = key if isinstance(key, tuple) else (key,)
        found = [
            one.value
            for one in self.all
            if one.name == f"linnaea_{name}" and sorted(one.labels.values()) == sorted(labels)
        ]
        assert len(found) == 1, (key, found)
        return found[0]

    def classes(self):
        return {one.labels["label"]: one.value for one in self.all if one.name == "linnaea_predictions_total"}


def test_answers_are_counted_by_reason_class_and_score():
    metrics = Metrics()
    unsure = replace(ONE, answer={"label": None, "confidence": 0.4, "ood_score": 2.5, "reason": "unsure"})
    several = replace(ONE, answer={"label": ["ant", "bee"], "confidence": float("nan"), "ood_score": None})
    metrics.answered([ONE, unsure])
    metrics.answered([several])
    found = Samples(metrics.text()[0])
    assert found["images_total", "bees", "3", "ok"] == 2
    assert found["images_total", "bees", "3", "unsure"] == 1
    assert (found["predictions_total", "bees", "bee"], found["predictions_total", "bees", "ant"]) == (2, 1)
    assert (found["batch_images_count"], found["batch_images_sum"], found["batch_images_bucket", "1.0"]) == (2, 3, 1)
    assert found["confidence_bucket", "bees", "0.9"] == 1
    assert found["confidence_count", "bees"] == 2
    assert (found["ood_score_bucket", "bees", "2.0"], found["ood_score_bucket", "bees", "3.0"]) == (0, 1)
    assert found["model_answers_since", "bees", "3", "sha256-ab"] == 1.7e9


def test_many_classes_do_not_make_many_series():
    metrics = Metrics()
    metrics.answered([replace(ONE, answer={"label": f"class {number}"}) for number in range(5000)])
    found = Samples(metrics.text()[0]).classes()
    assert len(found) <= MOST_LABELS + 1
    assert sum(found.values()) == 5000
    assert found[OTHER] > 4800


def test_many_classes_leave_the_reasons_their_names():
    metrics = Metrics()
    metrics.answered([replace(ONE, answer={"label": f"class {number}"}) for number in range(500)])
    metrics.answered([replace(ONE, answer={"label": None, "reason": "unfamiliar"})])
    assert Samples(metrics.text()[0])["images_total", "bees", "3", "unfamiliar"] == 1


def test_no_name_of_a_class_breaks_what_prometheus_reads():
    metrics = Metrics()
    names = ['a"b\\c\nd', "é\u2028", "\udc80", "x" * 5000, "a{b=c} 1\n# HELP"]
    metrics.answered([replace(ONE, answer={"label": name}) for name in names])
    found = Samples(metrics.text()[0]).classes()
    assert len(found) == len(names)
    assert names[0] in found
    assert max(map(len, found)) <= 100


def test_a_registry_of_its_own():
    for metrics in (Metrics(), Metrics()):
        assert Samples(metrics.text()[0])["log_failures_total", "refused"] == 0


def application(stream=None):
    app, metrics = FastAPI(), Metrics()

    @app.post("/predict")
    async def predict(request: Request):
        await request.body()
        if request.query_params.get("fail"):
            raise RuntimeError("broken")
        return {}

    app.include_router(metrics.router())
    surround(app, metrics=metrics)
    return app, metrics


def test_requests_are_counted_by_route_and_outcome():
    app, metrics = application()
    waiting = SimpleNamespace(count=7)
    metrics.watch_queue(lambda: waiting.count)
    client = TestClient(app, raise_server_exceptions=False)
    client.post("/predict", content=b"x")
    client.post("/predict?fail=1", content=b"x")
    for path in ("/none", "/predicts", "/none/predict"):
        client.get(path)
    client.get("/predict")
    metrics.not_logged(3, "given")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = Samples(answer.text)
    assert found["requests_total", "/predict", "answered", "200"] == 1
    assert found["requests_total", "/predict", "failed", "500"] == 1
    assert found["requests_total", OTHER, "refused", "404"] == 3
    assert found["requests_total", "/predict", "refused", "405"] == 1
    assert found["request_seconds_count", "/predict"] == 3
    assert (found["queue_images"], found["log_failures_total", "given"]) == (7, 3)


WORKER = """
import os, signal, sys
from linnaea.delivery.serving.contract import Answered
from linnaea.delivery.serving.metrics import Metrics
metrics = Metrics()
metrics.watch_queue(lambda: 5)
for _ in range(int(sys.argv[1])):
    metrics.answered([Answered("r", 0, 1.7e9, "bees", "3", "ab", {"label": "bee", "confidence": 0.5})] * 2)
    metrics.request("/predict", 200, 0.01)
metrics.text()
print(os.getpid(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

READER = """
import sys
from linnaea.delivery.serving.metrics import Metrics, worker_ended
metrics = Metrics()
metrics.request("/predict", 200, 0.01)
print(metrics.text()[0].decode())
print("# EOF")
for process in sys.argv[1:]:
    worker_ended(int(process))
print(metrics.text()[0].decode())
"""


def test_the_numbers_of_several_workers_add_up_also_of_those_that_were_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    processes = []
    for count in (30, 12):
        done = subprocess.run([sys.executable, "-c", WORKER, str(count)], stdout=subprocess.PIPE, text=True)
        assert done.returncode == -9
        processes.append(done.stdout.strip())
    done = subprocess.run([sys.executable, "-c", READER, *processes], stdout=subprocess.PIPE, text=True, check=True)
    before, after = map(Samples, done.stdout.split("# EOF"))
    for found in (before, after):
        assert found["predictions_total", "bees", "bee"] == 84
        assert found["requests_total", "/predict", "answered", "200"] == 43
        assert found["batch_images_count"] == 42
        assert found["confidence_bucket", "bees", "0.5"] == 84
        assert found["model_answers_since", "bees", "3", "ab"] == 1.7e9
    assert (before["queue_images"], after["queue_images"]) == (10, 0)


async def run(app, scope, messages):
    sent = []
    given = iter(messages)

    async def receive():
        return next(given)

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent


def test_each_request_is_a_line_of_json_without_secrets_and_pictures():
    app, _ = application()
    stream = io.StringIO()
    client = TestClient(RequestLog(app, stream=stream), raise_server_exceptions=False)
    client.post(
        "/predict?key=secret1", content=b"picture", headers={"x-api-key": "secret2", "authorization": "Bearer 3"}
    )
    client.get("/none%0A" + "x" * 3000)
    client.post("/predict?fail=1")
    client.get("/metrics")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["level"], line["status"]) for line in lines] == [("info", 200), ("warning", 404), ("error", 500)]
    assert (lines[0]["path"], lines[0]["received"], lines[0]["method"]) == ("/predict", 7, "POST")
    assert len(lines[1]["path"]) == 200
    assert "secret" not in stream.getvalue()
    assert "picture" not in stream.getvalue()


def test_a_client_that_leaves_is_logged_as_such():
    import asyncio

    async def leaving(scope, receive, send):
        await receive()

    stream = io.StringIO()
    scope = {"type": "http", "path": "/predict", "method": "POST", "headers": [], "client": ("192.0.2.1", 5)}
    asyncio.run(run(RequestLog(leaving, stream=stream), scope, [{"type": "http.disconnect"}]))
    line = json.loads(stream.getvalue())
    assert (line["status"], line["client"]) == (499, "192.0.2.1")


def test_a_log_that_nobody_reads_stops_no_request():
    stream = io.StringIO()
    stream.close()
    app, _ = application()
    assert TestClient(RequestLog(app, stream=stream)).post("/predict").status_code == 200


def test_what_else_is_logged_is_json_too():
    record = logging.LogRecord("linnaea", logging.WARNING, "f.py", 1, "%s is\nodd", ("this",), None)
    assert json.loads(JsonLines().format(record))["message"] == "this is\nodd"
    try:
        raise ValueError("why")
    except ValueError:
        record.exc_info = sys.exc_info()
    line = JsonLines().format(record)
    assert "ValueError: why" in json.loads(line)["error"]
    assert "\n" not in line


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ImportError, match=r"linnaea\[serve\]"):
        Metrics()


def test_what_others_watch_is_told_too():
    metrics, seen = Metrics(), iter((3, 4))
    gauge = metrics.gauge("monitor_change", "Whether anything changed.", ("stream",))
    metrics.keep_up(lambda: gauge.labels("confidence").set(next(seen)))
    assert [Samples(metrics.text()[0])["monitor_change", "confidence"] for _ in range(2)] == [3, 4]
