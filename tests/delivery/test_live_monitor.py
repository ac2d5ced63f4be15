"""A server whose answers are watched: its page in a real browser, what it says as JSON, and its gauges."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from accessibility import violations
from fastapi.testclient import TestClient
from served import Catalogue, Model, client_of, colours, image_file
from served_page import live

from linnaea.delivery.monitoring import Seen
from linnaea.delivery.monitoring.alerts import channels_of
from linnaea.delivery.monitoring.live import Reference, Watching, WatchSettings
from linnaea.delivery.monitoring.live.gauges import Gauges
from linnaea.delivery.monitoring.live.page import monitor_routes
from linnaea.delivery.serving.application import make_application

CHROMIUM = shutil.which("chromium")
BASE = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}
SETTINGS = WatchSettings(window=30, rate=0.05)


def pictures(random: np.random.Generator, count: int, *, pale: bool = False) -> list[tuple[str, bytes]]:
    """Pictures of one colour each; `pale` ones have little of any."""
    found = []
    for _ in range(count):
        name = str(random.choice(list(BASE)))
        noise = random.integers(-30, 30, 3)
        colour = (np.full(3, 130) if pale else np.array(BASE[name])) + noise
        found.append((name, image_file(tuple(int(value) for value in np.clip(colour, 0, 255)))))
    return found


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """What the classifier said of 120 labelled pictures."""
    folder, classifier = tmp_path_factory.mktemp("reference"), colours()
    names, paths = [], []
    for number, (name, content) in enumerate(pictures(np.random.default_rng(0), 120)):
        path = folder / f"{number}.png"
        path.write_bytes(content)
        names.append(name)
        paths.append(str(path))
    seen = Seen.of_predictions(classifier.predict(paths)).with_(truth=names)
    return Reference(classifier.classes, classifier.task, classifier.policy, seen, "120 pictures")


def asked(client: TestClient, watching: Watching, count: int, *, pale: bool = False, seed: int = 1) -> None:
    """Let so many pictures be answered, ten to a request, and be looked at."""
    given = pictures(np.random.default_rng(seed), count, pale=pale)
    for start in range(0, count, 10):
        files = [("image", (f"{name}.png", content)) for name, content in given[start : start + 10]]
        assert client.post("/predict", files=files).status_code == 200
    watching.settle()


def test_a_change_is_on_the_page_in_the_log_and_in_the_gauges(known: Reference, tmp_path: Path, caplog):
    prometheus_client = pytest.importorskip("prometheus_client")
    registry = prometheus_client.CollectorRegistry()
    alerts = tmp_path / "alerts.jsonl"
    gauges = Gauges(
        lambda name, said, labels: prometheus_client.Gauge(f"linnaea_{name}", said, labels, registry=registry)
    )
    channels = channels_of(["log", f"file={alerts}"])
    watching = Watching(lambda digest: known, SETTINGS, channels, tmp_path / "state")
    with (
        caplog.at_level(logging.INFO, logger="linnaea"),
        client_of(colours(), [watching], more=[monitor_routes(watching)]) as client,
    ):
        asked(client, watching, 60)
        before = client.get("/monitor.json").json()
        asked(client, watching, 60, pale=True)
        after, page = client.get("/monitor.json").json(), client.get("/monitor").text
        gauges.show(watching)
    assert (before["alarm"], before["images"], before["windows"], before["reference_images"]) == (False, 60, 2, 120)
    assert (after["alarm"], after["images"]) == (True, 120)
    assert "less sure" in page
    sequential = {finding["name"]: finding for finding in after["monitors"]["sequential"]}
    assert sequential["sequential_confidence"]["severity"] == "error"
    assert "Alert change (opened)" in caplog.text
    assert alerts.read_text().count('"name": "change"') == caplog.text.count("Alert change ")
    labels = {"model": "colours", "version": "1", "stream": "confidence"}
    assert registry.get_sample_value("linnaea_monitor_change", labels) == 2
    assert registry.get_sample_value("linnaea_monitor_evidence", labels) > 1
    assert registry.get_sample_value("linnaea_monitor_alerts", {"outcome": "lost"}) == 0
    assert (tmp_path / "state" / "watch.json").exists()


def test_nothing_was_answered_yet_and_what_nobody_knows_is_said(known: Reference):
    watching = Watching(lambda digest: None, SETTINGS, notes=["These are the answers of worker 1 of 2."])
    with client_of(colours(), [watching], more=[monitor_routes(watching)]) as client:
        assert "Nothing was answered yet" in client.get("/monitor").text
        asked(client, watching, 10)
        assert "10 answers were not watched" in client.get("/monitor").text
        assert "worker 1 of 2" in client.get("/monitor").text


@pytest.mark.skipif(CHROMIUM is None, reason="needs the chromium browser on the PATH to look at the page")
def test_the_page_fits_and_asks_for_nothing(known: Reference, tmp_path: Path):
    from playwright.sync_api import sync_playwright

    watching = Watching(lambda digest: known, SETTINGS)
    models = Catalogue(Model(colours()))
    application = make_application(models, [watching], more=[monitor_routes(watching)])
    with live(application) as address, sync_playwright() as playwright:
        with TestClient(make_application(models, [watching])) as client:
            asked(client, watching, 60)
            asked(client, watching, 60, pale=True)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, scheme in ((390, "dark"), (1280, "light")):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page, requests, complaints = context.new_page(), [], []
            page.on("request", lambda request, told=requests: told.append(request.url))
            page.on("console", lambda message, told=complaints: told.append(message.text))
            page.goto(f"{address}monitor")
            assert "less sure" in page.inner_text("body")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert [url for url in requests if not url.startswith("data:")] == [f"{address}monitor"]
            assert complaints == []
            page.screenshot(path=tmp_path / f"{width}.png", full_page=True)
            context.close()
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="needs the chromium browser on the PATH to look at the page")
def test_the_page_is_accessible(known: Reference):
    from playwright.sync_api import sync_playwright

    watching = Watching(lambda digest: known, SETTINGS)
    with client_of(colours(), [watching], more=[monitor_routes(watching)]) as client, sync_playwright() as playwright:
        asked(client, watching, 60, pale=True)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content(client.get("/monitor").text)
        try:
            assert violations(page) == {}
        finally:
            browser.close()
