"""A bundle is checked as a schema: what is wrong is refused with words, what is answered is what was saved."""

import copy
import hashlib
import json
import math
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.decisions import Policy, answer
from linnaea.errors import BundleError
from linnaea.evidence.calibration import Aims, calibrate
from linnaea.evidence.openset import fit_familiarity
from linnaea.evidence.prior import adapt
from linnaea.models import build
from linnaea.models.embedding import embed

SIZE = 32
CLASSES = ("ant", "bee", "wasp")
ABSENT = object()
IMAGES = np.random.default_rng(0).integers(0, 256, (24, SIZE, SIZE, 3), dtype=np.uint8)
KINDS = {
    "binary": ("hog", {"size": SIZE}, "recall=0.9", "auto"),
    "multiclass": ("hog", {"size": SIZE}, None, "auto"),
    "multilabel": ("compact", {"size": SIZE, "widths": [8, 16, 32]}, None, "auto"),
    "hierarchical": ("network", {"name": "test_resnet", "size": SIZE}, None, "tempered_softmax"),
    "bare": ("majority", {}, None, "none"),
    "adapted": ("hog", {"size": SIZE}, None, "knn"),
}
SLOW = ("multilabel", "hierarchical")  # of networks, which take longest


def make(name):
    """A calibrated classifier of each kind: untrained, but not indifferent."""
    torch.manual_seed(0)
    kind, arguments, aim, ood = KINDS[name]
    task = name if name in ("binary", "multilabel", "hierarchical") else "multiclass"
    classes = CLASSES[: 2 if task == "binary" else 3]
    model = build(kind, {"classes": len(classes), **arguments}).eval()
    targets = np.arange(len(IMAGES)) % len(classes)
    if task == "multilabel":
        targets = np.eye(3)[targets]
    parents = (("bee", "sting"), ("wasp", "sting")) if task == "hierarchical" else ()
    classifier = Classifier(
        TorchScorer(model), classes, task, Recipe(SIZE), policy=Policy(parents=parents), provenance={"rung": kind}
    )
    familiarity = fit_familiarity(model, embed(model, IMAGES), targets, name=ood)
    classifier = classifier.with_(familiarity=familiarity)
    classifier = calibrate(classifier, classifier.score(IMAGES), targets, Aims(aim=aim))
    if name == "adapted":
        truth = {"id": list(map(str, range(24))), "truth": [classes[number] for number in targets]}
        val = classifier.answer(classifier.score(IMAGES), truth, [None] * 24)
        classifier = adapt(classifier, {"ant": 0.8}, val, "stated")
    return classifier


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return {name: make(name).save(folder / name) for name in KINDS}


def described(folder):
    return json.loads((folder / "classifier.json").read_text())


def rewrite(folder, description):
    """Write a description with the hashes that fit, as whoever wants to deceive would."""
    content = {name: value for name, value in description.items() if name != "sha256"}
    if "weights.safetensors" in (content.get("files") or ()):
        content["files"]["weights.safetensors"] = hashlib.sha256(
            (folder / "weights.safetensors").read_bytes()
        ).hexdigest()
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (folder / "classifier.json").write_text(json.dumps(content | {"sha256": digest}))


def answers_of(classifier):
    outputs = classifier.score(IMAGES[:6])
    decided, reasons = answer(classifier.task, classifier.classes, outputs, classifier.policy)
    return [outputs.probabilities.tolist(), decided.labels, decided.sets, decided.confidence.tolist(), reasons]


def places(content, place=()):
    """Every entry of a description, outer and inner ones."""
    if place:
        yield place
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, value in pairs:
        yield from places(value, (*place, name))


ANY_NUMBER = {"ood_threshold", "shift", "mean", "n"}  # of which other values are right too
FREE = {"provenance", "files", "sha256", "format", "version"}


def mutations(place, value):
    """What an entry might be instead and cannot be."""
    yield from (ABSENT, None, "", "other", [], {}, [None], {"other": 1}, math.nan, math.inf, -math.inf, 10**400)
    yield from ("\ud800", [[]], -7, 2**62)
    if isinstance(value, bool):
        yield from (int(value), str(value))
    elif isinstance(value, int | float):
        yield str(value)
        yield True
        if not ANY_NUMBER & set(place):
            yield -value if value else -1
            yield 1e300
    elif isinstance(value, list):
        yield [*value, *value[-1:]]
        yield tuple(value) * 40
        yield dict(enumerate(value))
        if place[-1] != "parents":  # without one pair it is another tree
            yield value[:-1]
    elif isinstance(value, str):
        yield value + "x"
        yield [value]
    elif isinstance(value, dict):
        yield {**value, "unheard of": 1}
        yield list(value.items())


def changed(description, place, value):
    content = copy.deepcopy(description)
    inner = content
    for name in place[:-1]:
        inner = inner[name]
    if value is not ABSENT:
        inner[place[-1]] = value
    elif isinstance(inner, dict):
        del inner[place[-1]]
    else:
        inner.pop(place[-1])
    return content


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in KINDS])
def test_whatever_is_changed_is_refused_or_answers_the_same(bundles, tmp_path, name):
    folder = shutil.copytree(bundles[name], tmp_path / name)
    description, expected = described(folder), answers_of(load(folder))
    tried, refused, other = 0, 0, []
    for place in places({key: value for key, value in description.items() if key not in FREE}):
        value = description
        for part in place:
            value = value[part]
        if place[0] == "classes" and len(place) > 1:
            continue  # another name is another classifier
        if place[:2] == ("policy", "parents") and len(place) > 2:
            continue
        for instead in mutations(place, value):
            if ANY_NUMBER & set(place) and instead in (-7, 2**62):
                continue
            tried += 1
            rewrite(folder, changed(description, place, instead))
            try:
                if answers_of(load(folder)) != expected:
                    other.append((place, instead, "another answer"))
            except BundleError as error:
                refused += 1
                if "classifier.json" not in str(error):
                    other.append((place, instead, str(error)))
            except Exception as error:  # noqa: BLE001  none but that one may come
                other.append((place, instead, repr(error)))
    assert other == []
    assert refused > 0.8 * tried > 300
    rewrite(folder, description)
    assert answers_of(load(folder)) == expected


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("calibrator", "arguments", "temperature"), 0, r"temperature is 0; expected a number from 0\.001 to 1000"),
        (("policy", "coverage"), 1.2, r"policy\.coverage is 1\.2; expected a number from 0 to 1"),
        (("policy", "n"), ABSENT, r"policy\.n is missing; expected a whole number from 0"),
        (("classes",), ["ant", "ant", "bee"], "classes is .*; expected a list of names, each once"),
        (("classes",), ["ant", "bee"], "there are 2 classes, and the model has 3"),
        (("task",), "multiclas", "expected one of multiclass, binary"),
        (("scorer", "arguments", "model", "kind"), "hgo", "Did you mean 'hog'"),
        (("scorer", "kind"), "troch", "Did you mean 'torch'"),
        (("recipe", "size"), 64, "images of 64 pixels do not match the model"),
        (("recipe", "fit"), "squash", "expected one of crop, pad, stretch"),
        (("familiarity",), None, r"policy\.ood_threshold and familiarity do not match"),
        (("policy", "colour"), "red", r"unknown entry 'policy\.colour'"),
    ],
)
def test_it_says_what_was_found_what_was_expected_and_where(bundles, tmp_path, place, value, said):
    folder = shutil.copytree(bundles["multiclass"], tmp_path / "wrong")
    rewrite(folder, changed(described(folder), place, value))
    with pytest.raises(BundleError, match=said) as refused:
        load(folder)
    assert str(folder / "classifier.json") in str(refused.value)


def reweigh(folder, change):
    """Change the weights, and the hashes with them."""
    tensors = load_file(folder / "weights.safetensors")
    change(tensors)
    save_file(tensors, folder / "weights.safetensors")
    rewrite(folder, described(folder))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["scorer/classifier.weight", "familiarity/parts.0.mean"])
def test_weights_that_are_not_numbers_are_refused(bundles, tmp_path, name, value):
    folder = shutil.copytree(bundles["multiclass"], tmp_path / "wrong")
    reweigh(folder, lambda tensors: tensors[name].view(-1)[:3].fill_(value))
    with pytest.raises(BundleError, match=rf"weights\.safetensors: 3 of [\d,]+ numbers of {name} are NaN or infinite"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda held: held.update({"scorer/classifier.weight": torch.zeros(4, 1956)}),
            r"the shape \(4, 1956\); expected \(3, 1956\)",
        ),
        (lambda held: held.pop("scorer/classifier.bias"), "scorer/classifier.bias have the shape None"),
        (lambda held: held.update({"other": torch.zeros(1)}), "hold other, which the description does not mention"),
        (lambda held: held["scorer/classifier.weight"].fill_(3e38), "output for a grey image is not a number"),
    ],
)
def test_weights_of_another_classifier_are_refused(bundles, tmp_path, change, said):
    folder = shutil.copytree(bundles["multiclass"], tmp_path / "wrong")
    reweigh(folder, change)
    with pytest.raises(BundleError, match=said):
        load(folder)


def test_a_description_that_is_nested_without_end_is_refused(bundles, tmp_path):
    folder = shutil.copytree(bundles["bare"], tmp_path / "wrong")
    (folder / "classifier.json").write_text('{"format":' + "[" * 100_000)
    with pytest.raises(BundleError, match="is not valid JSON"):
        load(folder)
