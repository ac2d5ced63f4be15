"""An exported page in a real browser: its answers are those of `predict`, and nothing is asked of anybody else."""

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accessibility import violations
from pictures import HEIC, coded_files, exact_files, large_files, photo, served
from PIL import Image

import linnaea
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.delivery.exporters import export, onnxruntime_web
from linnaea.errors import UsageError
from linnaea.evidence.calibration import calibrate
from linnaea.evidence.openset import fit_familiarity
from linnaea.models import build
from linnaea.models.embedding import embed

CHROMIUM = shutil.which("chromium")
CACHE = Path("~/.cache/linnaea").expanduser()  # of the user; the tests fetch nothing
browsing = pytest.mark.skipif(CHROMIUM is None, reason="needs the chromium browser on the PATH")
shipping = pytest.mark.skipif(
    onnxruntime_web.found(CACHE) is None,
    reason="needs onnxruntime-web: python -m linnaea.delivery.exporters.onnxruntime_web",
)
CLASSES = ("ant", "bee", "größte <b>Wespe</b>")
DROP = """async (files) => {
  const given = new DataTransfer();
  for (const [name, text] of files) {
    given.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name));
  }
  document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: given, bubbles: true, cancelable: true }));
}"""
PASTE = DROP.replace("new DragEvent('drop', { dataTransfer", "new ClipboardEvent('paste', { clipboardData")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Picture files of every kind that a page can read, one that it cannot, and one that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, content in {**exact_files(), **coded_files(), **large_files()}.items():
        (folder / name).write_bytes(content)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def classifier(pictures):
    """An untrained network, calibrated, with a familiarity score; some pictures are unfamiliar to it, some unsure."""
    torch.manual_seed(0)
    model = build("compact", {"classes": 3, "size": 48, "widths": [8, 16, 32]}).eval()
    model.state_dict()["classifier.weight"].mul_(6)
    made = Classifier(TorchScorer(model), CLASSES, "multiclass", Recipe(48), provenance={"rung": "compact"})
    images, targets = decode_files(pictures, made.recipe).images, np.arange(len(pictures)) % 3
    made = made.with_(familiarity=fit_familiarity(model, embed(model, images), targets))
    calibrated = calibrate(made, made.score(images), targets)
    said = calibrated.score(images)
    limits = {
        "ood_threshold": between(said.ood_scores, 0.8),
        "confidence_threshold": between(said.probabilities.max(axis=1), 0.2),
    }
    return calibrated.with_(policy=replace(calibrated.policy, set_threshold=0.3, **limits))


def between(values, share):
    """A threshold near this quantile that no value lies at."""
    values = np.sort(values.astype(float))
    place = int(share * len(values))
    near = np.arange(max(0, place - 4), min(len(values) - 1, place + 4))
    widest = near[np.argmax(np.diff(values)[near])]
    return float((values[widest] + values[widest + 1]) / 2)


@pytest.fixture(scope="module")
def exported(classifier, pictures, tmp_path_factory):
    """What `export --to web` made of it."""
    return export(classifier, "web", tmp_path_factory.mktemp("page") / "web", pictures)


@pytest.fixture
def opened(browser, exported):
    """Open the page of a folder, and what it asked for and complained of."""
    with served(exported.folder) as address:
        contexts = []

        def open_page(**options):
            contexts.append(browser.new_context(**options))
            page = contexts[-1].new_page()
            page.asked, page.complaints = [], []
            contexts[-1].on("request", lambda request: page.asked.append(request.url))
            page.on("console", lambda message: page.complaints.append(message.text))
            page.on("pageerror", lambda error: page.complaints.append(str(error)))
            page.goto(address)
            page.wait_for_selector("body:not([data-state=loading])")
            return page

        yield open_page
        for context in contexts:
            context.close()


def answers_of(page, count):
    """What the page answered, by name, as it saves it."""
    page.wait_for_selector("body[data-state=ready]")
    with page.expect_download() as download:
        page.click("#save")
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == count
    return {told["id"]: told for told in map(json.loads, lines)}


@pytest.mark.slow
@browsing
@shipping
def test_answers_are_those_of_predict(opened, exported, classifier, pictures):
    page = opened()
    page.set_input_files("#choose", pictures)
    told = answers_of(page, len(pictures))
    ours = classifier.predict([str(path) for path in pictures])
    assert set(ours.column("reason")) == {"ok", "unsure", "unfamiliar"}
    again = linnaea.load(exported.folder).predict([str(path) for path in pictures])
    for path, label, confidence, held, score, reason in zip(
        pictures,
        *(again.column(name) for name in ("label", "confidence", "prediction_set", "ood_score", "reason")),
        strict=True,
    ):
        one, tolerated = told[path.name], 1e-4 if path.name in exact_files() else 5e-3
        assert (one["label"], one["reason"], one["prediction_set"]) == (label, reason, list(held)), path.name
        assert one["confidence"] == pytest.approx(confidence, abs=tolerated), path.name
        assert one["ood_score"] == pytest.approx(score, abs=50 * tolerated), path.name
    assert page.complaints == []
    assert {url.partition("/page/")[0] for url in page.asked if "/page/" in url} == {page.url.rstrip("/")}
    assert all(url.startswith((page.url, "blob:", "data:")) for url in page.asked)


@browsing
@shipping
def test_pictures_are_dropped_and_pasted_and_bad_ones_are_named(opened):
    page = opened()
    dropped = {"a.png": exact_files()["plain.png"], "phone.heic": HEIC, "drawing.svg": b"<svg onload='alert(1)'/>"}
    page.evaluate(DROP, [[name, base64.b64encode(content).decode()] for name, content in dropped.items()])
    page.evaluate(PASTE, [["pasted.jpg", base64.b64encode(coded_files()["usual.jpg"]).decode()]])
    told = answers_of(page, 4)
    assert told["phone.heic"] == {
        **dict.fromkeys(("label", "confidence", "prediction_set", "ood_score")),
        "id": "phone.heic",
        "reason": "unreadable",
        "detail": "not an image in a supported format (JPEG, PNG, WEBP, BMP, GIF)",
    }
    assert told["drawing.svg"]["reason"] == "unreadable"
    assert told["pasted.jpg"]["label"] in CLASSES
    said = page.inner_text("#answers")
    assert "It cannot be read" in said
    assert "Not an image in a supported format" in said
    assert page.text_content("#state") == "2 pictures answered, 2 could not be."
    page.click("#clear")
    assert page.query_selector_all("#answers li") == []
    assert page.complaints == []


@browsing
@shipping
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_and_is_worked_by_keyboard(opened, tmp_path, width, scheme):
    page = opened(viewport={"width": width, "height": 900}, color_scheme=scheme)
    files = [tmp_path / "a rather long name of a picture that a phone gave it.png", tmp_path / "cut.png"]
    photo(300, 200).save(files[0])
    files[1].write_bytes(files[0].read_bytes()[:-99])
    page.set_input_files("#choose", files)
    page.wait_for_selector("body[data-state=ready]")
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.inner_text("#answers li:last-child th >> nth=0") in CLASSES  # as text, not as markup
    reached = []
    page.evaluate("document.activeElement.blur()")
    for _ in range(7):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached[:2] == ["choose", "photograph"]
    assert {"SUMMARY", "save", "clear"} <= set(reached)
    assert page.evaluate(
        "[...document.querySelectorAll('input, button')].every(e => e.labels?.length || e.textContent)"
    )
    shot = tmp_path / "shot.png"
    page.screenshot(path=shot, full_page=True)
    assert (np.median(np.asarray(Image.open(shot).convert("L"))) > 200) == (scheme == "light")


@browsing
@shipping
def test_page_breaks_no_rule_of_accessibility(opened, tmp_path):
    page = opened(color_scheme="dark")
    photo(300, 200).save(tmp_path / "photo.png")
    page.set_input_files("#choose", [tmp_path / "photo.png"])
    page.wait_for_selector("body[data-state=ready]")
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert violations(page) == {}


@browsing
@shipping
def test_a_browser_that_answers_otherwise_is_not_used(opened, exported):
    file = exported.folder / "page" / "expected.json"
    before = file.read_text()
    file.write_text(json.dumps(json.loads(before) | {"probabilities": [0.5, 0.25, 0.25]}))
    try:
        page = opened()
        page.wait_for_selector("body[data-state=failed]")
        assert "this browser gives other answers than the exported model" in page.inner_text("#state")
    finally:
        file.write_text(before)


@browsing
@shipping
def test_opened_as_a_file_the_page_says_how(browser, exported):
    page = browser.new_page()
    page.goto(exported.file.as_uri())
    assert "python -m http.server" in page.inner_text("#unserved")
    page.close()


@shipping
def test_the_folder_is_a_classifier_again_with_all_that_the_page_needs(exported, classifier, pictures):
    assert exported.file.name == "index.html"
    again = linnaea.load(exported.folder).predict([str(pictures[0])])
    assert again.column("label") == classifier.predict([str(pictures[0])]).column("label")
    told = {path.name for path in (exported.folder / "page" / "onnxruntime").iterdir()}
    assert told == {"ort.js", "ort-wasm.js", "ort-wasm.wasm", "LICENSE.txt"}
    assert exported.parity.severity == "info"


def test_bands_are_refused_with_the_reason(classifier, tmp_path):
    five = classifier.with_(recipe=replace(classifier.recipe, channels=5))
    with pytest.raises(UsageError, match="images of 5 channels: they come as TIFF"):
        export(five, "web", tmp_path / "web", [])


def test_without_npm_and_network_the_error_names_the_mend(monkeypatch, tmp_path):
    monkeypatch.setattr(onnxruntime_web, "INSIDE", tmp_path / "nowhere")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(onnxruntime_web.FetchError, match=r"install npm, or put onnxruntime-web-[\d.]+\.tgz from .* at"):
        onnxruntime_web.runtime_files(tmp_path)
    with pytest.raises(onnxruntime_web.FetchError, match="unset LINNAEA_CACHE"):
        onnxruntime_web.runtime_files(None)


def test_another_archive_than_the_expected_one_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(onnxruntime_web, "INSIDE", tmp_path / "nowhere")
    (tmp_path / onnxruntime_web.ARCHIVE).write_bytes(b"something else")
    with pytest.raises(onnxruntime_web.FetchError, match=r"its sha512 is .*, expected q0y"):
        onnxruntime_web.runtime_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [onnxruntime_web.ARCHIVE]
