"""The scripts of an exported page do in a browser what Python does: the same pixels, the same decisions."""

import base64
import shutil
from dataclasses import asdict

import numpy as np
import PIL
import pytest
from pictures import bad_files, coded_files, encode, exact_files, large_files, photo, served
from PIL import Image

from linnaea.data.images.decoding import Bounds, decode
from linnaea.data.images.opening import UnreadableError
from linnaea.decisions import Outputs, Policy, answer
from linnaea.delivery.exporters.web import PAGE, TALL_FIRST
from linnaea.delivery.pages import PARTS

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the chromium browser on the PATH")
TALL = int(PIL.__version__.partition(".")[0]) >= TALL_FIRST
DECODE = """async ([files, recipe, tall]) => {
  const { decode } = await import('./decoding.js');
  const told = {};
  for (const [name, text] of Object.entries(files)) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    try {
      told[name] = btoa(Array.from(await decode(bytes, recipe, tall), (value) => String.fromCharCode(value)).join(''));
    } catch (error) {
      told[name] = { kind: error.constructor.name, message: error.message };
    }
  }
  return told;
}"""
DECIDE = """async ([facts, rows]) => {
  const { answer } = await import('./decisions.js');
  return rows.map(([p, score]) => answer(facts, Float32Array.from(p, (value) => value ?? NaN), score));
}"""
CLASSES = ("ant", "bee", "wasp", "fly", "moth")
PARENTS = (("ant", "ants and bees"), ("bee", "ants and bees"), ("fly", "flies"), ("ants and bees", "insects"))
SETS = [
    {"sets": "lac", "set_threshold": 0.2},
    {"sets": "aps", "set_threshold": 0.7},
    {"sets": "raps", "set_threshold": 0.7, "set_penalty": 0.05, "set_free": 1},
    {"sets": "class_conditional", "set_thresholds": (0.1, 0.2, 0.3, 0.2, 0.1)},
    {"sets": "answer_conditional", "set_thresholds": (0.1, 0.2, 0.3, 0.2, 0.1)},
]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory, browser):
    """A page beside the scripts."""
    folder = tmp_path_factory.mktemp("scripts")
    for part in (PARTS, PAGE):
        shutil.copytree(part, folder, dirs_exist_ok=True)
    with served(folder) as address:
        page = browser.new_page()
        page.goto(address + "style.css")
        yield page


def decoded(scripts, files, size=48, fit="crop", channels=3, **bounds):
    """What the page makes of files: pixels, or why there are none."""
    recipe = {"size": size, "fit": fit, "channels": channels, "max_pixels": 50_000_000, "white": None, **bounds}
    coded = {name: base64.b64encode(content).decode() for name, content in files.items()}
    told = scripts.evaluate(DECODE, [coded, recipe, TALL])
    shape = (size, size, channels)
    return {
        name: np.frombuffer(base64.b64decode(one), np.uint8).reshape(shape) if isinstance(one, str) else one
        for name, one in told.items()
    }


def gaps(scripts, files, **recipe):
    """The largest difference from what Python decodes, for each file."""
    theirs = decoded(scripts, files, **recipe)
    size, fit = recipe.get("size", 48), recipe.get("fit", "crop")
    bounds = Bounds(white=recipe.get("white"), channels=recipe.get("channels", 3))
    ours = {name: decode(content, size, fit, bounds).astype(int) for name, content in files.items()}
    return {name: int(np.abs(theirs[name] - ours[name]).max()) for name in files}


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [48, 131])
def test_pixels_are_the_same_where_a_format_loses_nothing(scripts, size, fit):
    assert {name: gap for name, gap in gaps(scripts, exact_files(), size=size, fit=fit).items() if gap} == {}


@pytest.mark.parametrize("channels", [1, 4])
def test_pixels_are_the_same_in_grey_and_with_alpha(scripts, channels):
    files = {name: content for name, content in exact_files().items() if channels == 1 or name.endswith("png")}
    assert {name: gap for name, gap in gaps(scripts, files, channels=channels).items() if gap} == {}


def test_sixteen_bits_have_the_white_of_the_set(scripts):
    files = {"12 of 16 bits.png": exact_files()["12 of 16 bits.png"]}
    assert gaps(scripts, files, white=4095) == gaps(scripts, files, white=60_000) == {"12 of 16 bits.png": 0}
    told = decoded(scripts, files, white=1023)["12 of 16 bits.png"]
    assert "but white is 1023" in told["message"]


def test_pixels_of_jpeg_are_as_good_as_the_same(scripts):
    assert max(gaps(scripts, coded_files()).values()) <= 1
    assert max(gaps(scripts, large_files()).values()) <= 3
    assert max(gaps(scripts, large_files(), size=131, fit="stretch").values()) <= 3


def test_half_clear_webp_is_off_by_a_rounding(scripts):
    image = photo()
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    files = {"half clear.webp": encode(image, "WEBP", lossless=True, exact=True)}
    assert gaps(scripts, files)["half clear.webp"] <= 2
    assert "transparency of PNG alone" in decoded(scripts, files, channels=4)["half clear.webp"]["message"]


def test_what_python_refuses_is_refused(scripts):
    files = bad_files()
    told = decoded(scripts, files)
    for name, content in files.items():
        with pytest.raises(UnreadableError) as error:
            decode(content, 48)
        assert told[name]["kind"] == "Unreadable", name
        assert told[name]["message"].partition(":")[0].partition(" (")[0] in str(error.value) or name == "empty.png"
    assert told["drawing.svg"]["message"].endswith("a supported format (JPEG, PNG, WEBP, BMP, GIF)")
    assert told["huge.png"]["message"] == "20,000 x 20,000 pixels is over the limit of 50,000,000"
    assert told["ended early.jpg"]["message"] == "damaged image: its end is missing"


def test_a_tiff_is_said_to_be_for_the_script(scripts):
    told = decoded(scripts, {"scan.tif": encode(photo(), "TIFF")})["scan.tif"]
    assert told == {"kind": "Unreadable", "message": "this page reads no TIFF, because browsers do not: use predict.py"}


@pytest.mark.parametrize("sets", SETS, ids=lambda sets: sets["sets"])
@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel", "hierarchical"])
def test_decisions_are_the_same(scripts, task, sets):
    policy = Policy(**sets, confidence_threshold=0.45, ood_threshold=0.5)
    classes = CLASSES
    if task == "binary":
        classes = CLASSES[:2]
        chosen = {"set_thresholds": policy.set_thresholds[:2], "thresholds": (0.37,)}
    else:
        own = {"multilabel": (0.3, 0.5, 0.4, 0.6, 0.5), "hierarchical": (0.6,)}.get(task, ())
        chosen = {"thresholds": own, "parents": PARENTS if task == "hierarchical" else ()}
    policy = Policy(**{**asdict(policy), **chosen})
    compare(scripts, task, classes, policy)


SAID = [
    ({"label": "bee"}, "Probably “bee”, 93 %", ["Could be “ant” or “wasp”."]),
    ({"label": "bee", "confidence": 0.4}, "Most likely “bee”, 40 %", ["Could be “ant” or “wasp”."]),
    ({"label": "bee", "prediction_set": ["bee"], "confidence": 0.9999}, "Probably “bee”, over 99 %", []),
    ({"label": "bee", "reason": "unsure"}, "Not sure: perhaps “bee”, 93 %", ["Could be “ant” or “wasp”."]),
    (
        {"label": "bee", "reason": "unfamiliar", "prediction_set": ["bee"]},
        "Unlike what it was trained on",
        ["If it has to be one of its classes: “bee”, 93 %."],
    ),
    ({"label": ["bee", "ant"]}, "Probably “bee” and “ant”, 93 %", ["Could also be “wasp”."]),
    ({"label": [], "prediction_set": []}, "Probably none of the labels, 93 %", []),
    (
        {"label": "insects", "prediction_set": ["bee"]},
        "Probably “insects”, 93 %",
        ["That is a group of its classes: it would not say more.", "Could be “bee”."],
    ),
    (
        {"label": "anything", "reason": "unsure", "prediction_set": ["bee", "ant"]},
        "It would rather not say",
        ["None of its classes, and no group of them, is likely enough.", "Could be “bee” or “ant”."],
    ),
    (
        {"label": "anything", "reason": "unfamiliar", "prediction_set": []},
        "Unlike what it was trained on",
        [],
    ),
    (
        {"label": "bee", "reason": "damaged", "detail": "its end is missing", "prediction_set": ["bee"]},
        "Probably “bee”, 93 %",
        ["Only part of the picture can be seen. Its end is missing."],
    ),
    ({"reason": "unreadable", "detail": "file of words"}, "It cannot be read", ["File of words."]),
    ({"reason": "undefined"}, "No answer", ["The model's output for it is not a number."]),
]


@pytest.mark.parametrize(("answered", "headline", "more"), SAID, ids=lambda value: str(value)[:24])
def test_answers_are_said_in_words(scripts, answered, headline, more):
    usual = {"confidence": 0.93, "prediction_set": ["bee", "ant", "wasp"], "reason": "ok", "detail": None}
    code = "async ([one, facts]) => (await import('./words.js')).inWords(one, facts)"
    assert scripts.evaluate(code, [usual | answered, {"classes": CLASSES}]) == {"headline": headline, "more": more}


def compare(scripts, task, classes, policy):
    """Both decide about many rows, some with ties, some that are no numbers."""
    random = np.random.default_rng(0)
    rows = random.dirichlet(np.full(len(classes), 0.7), 300).astype(np.float32)
    if task == "multilabel":
        rows = random.random((300, len(classes))).astype(np.float32)
    rows[0], rows[1] = np.float32(1 / len(classes)), np.nan
    rows[2:20] = rows[2:20].round(1)
    rows[20:40, 1] = np.float32(policy.thresholds[0]) if policy.thresholds else 0.5  # at a threshold
    scores = random.random(300).astype(np.float32)
    decided, reasons = answer(task, classes, Outputs(rows, rows, rows, scores), policy)
    given = [
        [[None if np.isnan(value) else float(value) for value in row], float(score)]
        for row, score in zip(rows, scores, strict=True)
    ]
    facts = {"task": task, "classes": list(classes), "policy": asdict(policy)}
    told = scripts.evaluate(DECIDE, [facts, given])
    assert [one["label"] for one in told] == decided.labels
    assert [one["reason"] for one in told] == reasons
    assert [one["prediction_set"] for one in told] == decided.sets
    confidence = [np.nan if one["confidence"] is None else one["confidence"] for one in told]
    np.testing.assert_allclose(confidence, decided.confidence, atol=1e-6)
    assert len(set(reasons)) == 4, "every reason is tried"
