"""Prediction sets of every method are the same in an exported folder's own script, image for image."""

import json
import subprocess
import sys
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.delivery.exporters import export
from linnaea.evidence.calibration import Aims, calibrate
from linnaea.evidence.conformal import SET_METHODS
from linnaea.models import build

pytestmark = pytest.mark.slow  # each task is converted once
SIZE = 32
CLASSES = tuple(f"kind {number}" for number in range(6))
IMAGES, FITTED = 32, 240
CASES = [
    pytest.param(name, task, id=f"{name}-{task}")
    for name in SET_METHODS
    for labels, task in {"one": "multiclass", "several": "multilabel"}.items()
    if SET_METHODS.about(name).capabilities.get(labels)
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """32 images of coloured patches, each a mixture of its own."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(IMAGES):
        patches = random.integers(0, 256, (4, 6, 3), dtype=np.uint8) // random.integers(1, 4, 3, dtype=np.uint8)
        Image.fromarray(patches).resize((40 + number, 70 - number)).save(folder / f"photo {number:02}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def network(photos):
    """A tiny network whose answers differ from photo to photo, and the images that it is calibrated on."""
    torch.manual_seed(1)
    model = build("lenet5", {"classes": len(CLASSES), "size": SIZE}).eval()
    recipe, random = Recipe(SIZE, "pad"), np.random.default_rng(1)
    images = decode_files(photos, recipe).images
    mixed = [images[random.integers(IMAGES)] // 2 + images[random.integers(IMAGES)] // 2 for _ in range(FITTED)]
    plain = Classifier(TorchScorer(deepcopy(model)), CLASSES, "multiclass", recipe).score(images).raw
    with torch.no_grad():  # as far apart as a trained one's, about no class more than others
        last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
        scale = 1.5 / float(plain.std(axis=0).mean())
        last.weight.mul_(scale)
        last.bias.sub_(torch.from_numpy(plain.mean(axis=0)).float()).mul_(scale)
    return TorchScorer(model), recipe, np.stack(mixed)


@pytest.fixture(scope="module")
def converted():
    """A conversion for each task, kept: the network and its temperature are the same for every method."""
    plain, kept = torch.onnx.export, {}

    def for_task(task):
        def convert(*arguments, **options):
            if task not in kept:
                kept[task] = plain(*arguments, **options)
            return kept[task]

        return convert

    return for_task


def fitted(network, name, task):
    """A classifier with sets of this method, fitted to truths that are drawn by what the network says."""
    scorer, recipe, images = network
    classifier = Classifier(scorer, CLASSES, task, recipe)
    outputs = classifier.score(images)
    random = np.random.default_rng(2)
    if task == "multilabel":
        targets = (random.random(outputs.probabilities.shape) < outputs.probabilities).astype(np.float64)
    else:
        below = outputs.probabilities.cumsum(axis=1) < random.random((FITTED, 1))
        targets = below.sum(axis=1).clip(max=len(CLASSES) - 1)
    return calibrate(classifier, outputs, targets, Aims(coverage=0.7, sets=name, calibrator="temperature"))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_the_exported_script_gives_the_same_sets(network, converted, monkeypatch, photos, tmp_path, name, task):
    monkeypatch.setattr(torch.onnx, "export", converted(task))
    classifier = fitted(network, name, task)
    ours = classifier.predict(photos).column("prediction_set")
    script = export(classifier, "onnx", tmp_path / "export", photos).file.with_name("predict.py")
    done = subprocess.run([sys.executable, script, *photos], capture_output=True, text=True, check=True)
    theirs = [json.loads(line)["prediction_set"] for line in done.stdout.splitlines()]
    assert len(theirs) == IMAGES
    assert theirs == ours
    assert len({tuple(sorted(held)) for held in ours}) > 5, "sets differ from image to image"
    assert len({len(held) for held in ours}) > 1, "and in size"
