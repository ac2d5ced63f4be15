"""Classical pipelines leave in a file that answers the same; those that cannot say which operator stands in the way."""

import numpy as np
import pytest
import torch
from PIL import Image

from linnaea.arrays import in_colours
from linnaea.classifier import Classifier, load
from linnaea.classifier.calibrators.temperature import Temperature
from linnaea.classifier.scorers.classical import ClassicalScorer
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.decisions import Policy
from linnaea.delivery.exporters import UnfitError, export
from linnaea.evidence.openset import fit_familiarity
from linnaea.models.classical import ENCODINGS, FEATURES, HEADS, Samples
from linnaea.models.classical.heads import trees
from linnaea.models.classical.pipeline import Classical, described
from linnaea.models.embedding import embed

SIZE = 24
CLASSES = ("lying", "standing", "dotted")
FAST = ("hog+svm",)
TRIED = ("hog+svm", "daisy+rbf", "hog+knn", "colours+forest", "hog+boosting", "hog+logistic", "bovw:daisy+svm")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Sixty images: stripes that lie or stand, and dots."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(60):
        wave = 128 + 100 * np.sin(np.arange(SIZE) * random.uniform(0.6, 1.2) + random.uniform(0, 6))
        lying, standing = np.tile(wave, (SIZE, 1)).T, np.tile(wave, (SIZE, 1))
        pattern = (lying, standing, (lying + standing) / 2)[number % 3]
        shade = random.uniform(0.5, 1, 3) * (1, 0.9, 0.8)
        noise = random.normal(0, 12, (SIZE, SIZE, 3))
        pixels = np.clip(pattern[..., None] * shade + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return sorted(folder.iterdir())


def fitted(name, photos, *, several=False, channels=3):
    """A pipeline fitted to the photos, as its rung fits it, with a temperature and an OOD score."""
    before, _, head = name.partition("+")
    encoding, _, feature = before.rpartition(":")
    recipe = Recipe(SIZE, "stretch", channels=channels)
    images, targets = decode_files(photos, recipe).images, np.arange(len(photos)) % 3
    model = Classical(3, SIZE, feature, channels=channels)
    if encoding:
        dense = described(FEATURES[feature](SIZE, dense=True), in_colours(images))
        model = model.encoded_by(ENCODINGS[encoding].fit(dense, 0).eval())
    samples = Samples(embed(model, images), np.eye(3)[targets] if several else targets, 3)
    *_, (_, answering) = HEADS[head].candidates(samples)
    whole = model.answering_by(answering.eval())
    own = Classifier(
        ClassicalScorer(whole),
        CLASSES,
        "multilabel" if several else "multiclass",
        recipe,
        calibrator=Temperature(1.7),
        policy=Policy(thresholds=(0.4, 0.5, 0.6), sets="risk")
        if several
        else Policy(set_threshold=0.2, confidence_threshold=0.4),
    )
    return own if several else own.with_(familiarity=fit_familiarity(whole, samples.features, targets))


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(trees, "TREES", 12)
    monkeypatch.setattr(trees, "ROUNDS", 4)


def both(own, photos, folder, to="onnx"):
    made = export(own, to, folder, photos)
    assert made.parity.figure.value <= 1e-4
    assert not made.parity.images
    return load(made.folder).predict(photos), own.predict(photos)


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in TRIED]
)
def test_a_pipeline_answers_the_same_from_files(photos, tmp_path, name):
    own = fitted(name, photos)
    theirs, ours = both(own, photos, tmp_path / "export")
    for column in ("label", "reason", "prediction_set"):
        assert theirs.column(column) == ours.column(column)
    np.testing.assert_allclose(theirs.column("ood_score"), ours.column("ood_score"), rtol=1e-4, atol=3e-4)
    assert len(set(ours.column("label"))) == 3


@pytest.mark.slow
@pytest.mark.parametrize(("name", "channels"), [("hog+forest", 3), ("hog+svm", 1), ("hog+knn", 3)])
def test_several_labels_and_grey_images_leave_too(photos, tmp_path, name, channels):
    theirs, ours = both(fitted(name, photos, several=True, channels=channels), photos, tmp_path / "export")
    assert theirs.column("label") == ours.column("label")
    assert len({str(label) for label in ours.column("label")}) > 1


def test_the_heads_are_all_tried():
    assert set(HEADS) == {name.partition("+")[2] for name in TRIED}


def test_a_feature_of_a_library_is_refused_with_its_operator_and_what_can(photos, tmp_path):
    own = fitted("sift+svm", photos)
    with pytest.raises(UnfitError, match=r"sift is the operator SIFT of OpenCV.*colours, daisy or hog") as refused:
        export(own, "onnx", tmp_path / "export", photos)
    assert "predicts and serves as it is" in str(refused.value)
    assert not list(tmp_path.iterdir()), "nothing was begun"


def test_a_head_says_the_same_in_a_graph_as_by_parts(photos):
    """A graph has no loop over parts of the images, which is how memory is kept small otherwise."""
    for name in ("hog+forest", "daisy+rbf", "hog+knn"):
        head = fitted(name, photos).model.answering
        given = torch.rand(5, head.arguments.get("length", 1764))
        with torch.no_grad():
            program = torch.export.export(head, (given,), dynamic_shapes=({0: torch.export.Dim("n", min=1)},))
            torch.testing.assert_close(program.module()(given[:3]), head(given[:3]))
