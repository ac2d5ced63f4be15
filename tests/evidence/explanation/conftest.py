"""A classifier of red and blue squares, fitted in closed form, and the run that it came from."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.dataset import Dataset
from linnaea.evidence.explanation.subject import Subject
from linnaea.models import MODELS
from linnaea.models.embedding import embed
from linnaea.run import Run

SIDE = 16
CLASSES = ("blue", "red")


def tinted(number, channel, count=1):
    """Images (count, 16, 16, 3) of one colour each, in which one channel is bright."""
    images = np.random.default_rng(number).integers(0, 90, (count, 1, 1, 3), dtype=np.uint8)
    images[..., channel] += 150
    return np.broadcast_to(images, (count, SIDE, SIDE, 3)).copy()


def written(folder, images, labels, split="train"):
    """A dataset of images in files, with the hashes of a manifest."""
    rows, folder = [], folder / "images"
    folder.mkdir(parents=True, exist_ok=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / f"{number:02}.png"
        Image.fromarray(image).save(place)
        digest = hashlib.sha256(place.read_bytes()).hexdigest()
        rows.append({"path": place.name, "label": label, "split": split, "sha256": digest})
    task = "multilabel" if isinstance(labels[0], list) else "binary"
    return Dataset(pa.Table.from_pylist(rows), CLASSES, task, folder)


def fitted(dataset, kind="hog"):
    """A classifier whose linear head is a ridge regression of the labels on the features."""
    recipe = Recipe(SIDE)
    torch.manual_seed(0)
    model = MODELS[kind](len(CLASSES), SIDE)
    features = embed(model, decode_files(dataset.paths, recipe).images)
    wanted = np.array([[4.0 if name in names else -4.0 for name in CLASSES] for names in dataset.label_lists])
    mean = features.mean(axis=0)
    centred = (features - mean).astype(np.float64)
    ridge = np.linalg.solve(centred @ centred.T + 0.5 * np.eye(len(centred)), wanted)
    weight = (ridge.T @ centred).astype(np.float32)
    bias = (wanted.mean(axis=0) - weight @ mean).astype(np.float32)
    model = model.with_head(torch.from_numpy(weight), torch.from_numpy(bias))
    return Classifier(TorchScorer(model), CLASSES, dataset.task, recipe, provenance={"rung": "scratch"})


def subject_with(folder, images, labels, kind="hog"):
    """A classifier fitted to these images, with a run whose manifest has them."""
    dataset = written(folder, images, labels)
    run, classifier = Run.create(folder / "run", {}, "linnaea train images"), fitted(dataset, kind)
    run.write_dataset(dataset)
    classifier.save(run.model_folder)
    run.update(status="finished")
    return Subject(classifier, run)


@pytest.fixture
def make_subject():
    return subject_with


@pytest.fixture
def squares():
    """Ten blue images, then ten red ones, and their labels."""
    return np.concatenate([tinted(1, 2, 10), tinted(2, 0, 10)]), ["blue"] * 10 + ["red"] * 10


@pytest.fixture
def subject(tmp_path, squares):
    return subject_with(tmp_path, *squares)
