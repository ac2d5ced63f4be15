"""Classical features, encodings and heads, against the libraries that fit them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from skimage.feature import fisher_vector, hog
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances_argmin
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize
from sklearn.svm import SVC, LinearSVC

from linnaea.errors import MissingExtraError, UsageError
from linnaea.models.classical import ENCODINGS, FEATURES, HEADS, Samples
from linnaea.models.classical import libraries as libraries_module
from linnaea.models.classical.encodings import bag_of_words
from linnaea.models.classical.features.contract import Feature
from linnaea.models.classical.heads import linear, trees
from linnaea.models.classical.libraries import library, one_thread_of_opencv
from linnaea.models.classical.pipeline import Classical, described
from linnaea.models.part import build_part, fill


def textures(count, size=32, seed=0):
    """Smooth noise."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return np.stack([cv2.GaussianBlur(image, (5, 5), 1.5) for image in noise])


def blobs(count=150, classes=3, length=6, seed=0):
    """Points (N, D) around a centre per class, as float32, and their classes; the centres do not depend on the seed."""
    random, centres = np.random.default_rng(seed), np.random.default_rng(99).normal(size=(classes, length))
    targets = random.integers(0, classes, count)
    return (centres[targets] + random.normal(size=(count, length))).astype(np.float32), targets


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("size", [24, 32, 64, 150])
@pytest.mark.parametrize("name", list(FEATURES))
def test_every_feature_gives_a_finite_grid_whatever_the_image(name, size, dense):
    feature = FEATURES[name](size, dense=dense)
    images = np.concatenate([textures(2, size), np.zeros((1, size, size, 3), dtype=np.uint8)])
    found = described(feature, images)
    assert found.shape[:2] == (3, feature.points**2)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.abs(found[0] - found[1]).max() > 1e-3, "other images have other features"


@pytest.mark.parametrize("name", list(FEATURES))
def test_a_descriptor_is_of_its_place(name):
    """What is changed in one corner changes nothing in the corner across."""
    feature = FEATURES[name](64)
    before = textures(1, 64)
    after = before.copy()
    after[0, :8, :8] = 255 - after[0, :8, :8]
    changes = np.abs(described(feature, after) - described(feature, before))[0].max(axis=1)
    grid = changes.reshape(feature.points, feature.points)
    assert grid[0, 0] > 1e-3
    assert grid[-1, -1] < 1e-5


def test_hog_is_that_of_scikit_image():
    (image,) = textures(1, 64)
    expected = hog(image, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2), channel_axis=-1)
    np.testing.assert_allclose(FEATURES["hog"](64).describe(image).ravel(), expected, atol=1e-6)


def test_colours_are_shares_of_each_channel_in_each_quarter():
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    image[:32, :32, 0] = 255
    shares = FEATURES["colours"](64).describe(image).reshape(4, 3, 16)
    np.testing.assert_allclose(shares.sum(axis=2), 1, atol=1e-6)
    assert (shares[0, 0, 15], shares[1, 0, 15], shares[1, 0, 0]) == (1, 0, 1)


def test_a_sift_descriptor_holds_square_roots_of_shares():
    found = FEATURES["sift"](64).describe(textures(1, 64)[0])
    np.testing.assert_allclose((found**2).sum(axis=1), 1, atol=1e-5)
    turned = FEATURES["sift"](64).describe(np.rot90(textures(1, 64)[0]).copy())
    assert np.abs(found - turned).max() > 0.1, "it is upright"


def test_distances_of_orb_count_comparisons():
    found = FEATURES["orb"](64).describe(textures(1, 64)[0])
    assert set(np.unique(found)) == {0.0, 1.0}
    orb = cv2.ORB_create(edgeThreshold=0, patchSize=31)
    grey = cv2.cvtColor(textures(1, 64)[0], cv2.COLOR_RGB2GRAY)
    packed = orb.compute(grey, FEATURES["orb"](64).keypoints(31.0))[1]
    hamming = cv2.norm(packed[0], packed[5], cv2.NORM_HAMMING)
    assert ((found[0] - found[5]) ** 2).sum() == hamming > 0


def test_opencv_has_one_thread_inside_and_its_own_afterwards():
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:

        def inside(_):
            with one_thread_of_opencv():
                return cv2.getNumThreads()

        with one_thread_of_opencv(), ThreadPoolExecutor(4) as pool:
            assert set(pool.map(inside, range(40))) == {1}
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize(("module", "package"), libraries_module.PACKAGES.items())
def test_a_missing_library_names_the_extra(module, package, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(libraries_module.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=rf"^{package} is not installed.*linnaea\[classical\]"):
        library(module)


def test_a_bag_of_words_is_that_of_scikit_learn(monkeypatch):
    monkeypatch.setattr(bag_of_words, "WORDS", 24)  # so few that no two are nearly alike
    descriptors = np.random.default_rng(0).normal(size=(40, 16, 5)).astype(np.float32)
    bag = ENCODINGS["bovw"].fit(descriptors, 0)
    words = bag.words.numpy()
    nearest = pairwise_distances_argmin(descriptors.reshape(-1, 5), words).reshape(40, 4, 4)
    cells = [nearest, nearest[:, :2, :2], nearest[:, :2, 2:], nearest[:, 2:, :2], nearest[:, 2:, 2:]]
    counts = [np.stack([np.bincount(row.ravel(), minlength=len(words)) for row in cell]) for cell in cells]
    weights = TfidfTransformer(norm=None, smooth_idf=True).fit(counts[0])
    expected = normalize(np.concatenate([weights.transform(each).toarray() for each in counts], axis=1))
    np.testing.assert_allclose(bag(torch.from_numpy(descriptors)).numpy(), expected, atol=1e-6)


def test_a_fisher_vector_is_that_of_scikit_image():
    random = np.random.default_rng(0)
    descriptors = (random.normal(size=(30, 16, 8)) + 3 * random.integers(0, 2, (30, 16, 1))).astype(np.float32)
    fisher = ENCODINGS["fisher"].fit(descriptors, 0)
    mixture = GaussianMixture(len(fisher.shares), covariance_type="diag")
    mixture.weights_, mixture.means_, mixture.covariances_ = (
        value.double().numpy() for value in (fisher.shares, fisher.centres, fisher.variances)
    )
    mixture.precisions_cholesky_ = 1 / np.sqrt(mixture.covariances_)
    projected = fisher.project(torch.from_numpy(descriptors)).double().numpy()
    expected = [fisher_vector(each, mixture, improved=True) for each in projected]
    # a square root of what is nearly nothing makes 1e-4 of 1e-8
    np.testing.assert_allclose(fisher(torch.from_numpy(descriptors)).numpy(), expected, atol=1e-4)


def fitted(name, samples):
    """All candidates by their words."""
    return dict(HEADS[name].candidates(samples))


def scores(head, features):
    return head(torch.from_numpy(features)).detach().numpy()


def scaled(features, like):
    centre = like.mean(axis=0)
    return (features - centre) / np.sqrt(np.mean(np.sum((like - centre) ** 2, axis=1)))


@pytest.mark.parametrize("classes", [2, 3])
def test_a_linear_machine_is_that_of_scikit_learn(classes):
    (features, targets), (others, _) = blobs(classes=classes), blobs(20, classes, seed=1)
    head = fitted("svm", Samples(features, targets, classes))["C = 1"]
    for number in range(classes):
        machine = LinearSVC(C=1.0, random_state=0, max_iter=linear.ITERATIONS)
        machine.fit(scaled(features, features), targets == number)
        expected = machine.decision_function(scaled(others, features))
        np.testing.assert_allclose(scores(head, others)[:, number], expected, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_logistic_regression_is_that_of_scikit_learn(classes):
    (features, targets), (others, _) = blobs(classes=classes), blobs(20, classes, seed=1)
    head = fitted("logistic", Samples(features, targets, classes))["C = 10"]
    regression = LogisticRegression(C=10.0, max_iter=linear.ITERATIONS).fit(scaled(features, features), targets)
    found = torch.from_numpy(scores(head, others)).softmax(dim=1).numpy()
    np.testing.assert_allclose(found, regression.predict_proba(scaled(others, features)), atol=1e-5)


def test_a_kernel_machine_is_that_of_scikit_learn():
    (features, targets), (others, _) = blobs(), blobs(20, seed=1)
    head = fitted("rbf", Samples(features, targets, 3))["C = 10"]
    assert len(head.vectors) < len(features), "only support vectors are kept"
    for number in range(3):
        machine = SVC(C=10.0, kernel="rbf", gamma="scale").fit(features.astype(np.float64), targets == number)
        np.testing.assert_allclose(scores(head, others)[:, number], machine.decision_function(others), atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_forest_is_that_of_scikit_learn(classes):
    (features, targets), (others, _) = blobs(classes=classes), blobs(20, classes, seed=1)
    (head,) = fitted("forest", Samples(features, targets, classes, seed=5)).values()
    forest = RandomForestClassifier(trees.TREES, min_samples_leaf=trees.FEWEST_OF_LEAF, random_state=5)
    expected = forest.fit(features, targets).predict_proba(others)
    np.testing.assert_allclose(head.total(torch.from_numpy(others)).numpy(), expected, atol=1e-6)
    shares = (expected * trees.TREES + 1 / classes) / (trees.TREES + 1)
    np.testing.assert_allclose(np.exp(scores(head, others)), shares, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_boosted_trees_are_those_of_scikit_learn(classes):
    (features, targets), (others, _) = blobs(classes=classes), blobs(20, classes, seed=1)
    (head,) = fitted("boosting", Samples(features, targets, classes, seed=5)).values()
    boosted = HistGradientBoostingClassifier(
        max_iter=trees.ROUNDS,
        max_leaf_nodes=trees.LEAVES,
        learning_rate=trees.RATE,
        max_features=trees.FEATURES_SEEN,
        early_stopping=False,
        random_state=5,
    ).fit(features, targets)
    found = torch.from_numpy(scores(head, others)).softmax(dim=1).numpy()
    np.testing.assert_allclose(found, boosted.predict_proba(others), atol=1e-6)


def test_neighbours_are_those_of_scikit_learn():
    (features, targets), (others, _) = blobs(), blobs(20, seed=1)
    heads = fitted("knn", Samples(features, targets, 3))
    assert list(heads) == ["k = 25", "k = 11", "k = 5"]
    for number in (25, 11, 5):
        votes, _ = heads[f"k = {number}"].votes(torch.from_numpy(others))
        expected = KNeighborsClassifier(number).fit(features, targets).predict_proba(others)
        np.testing.assert_allclose(votes.numpy() / number, expected, atol=1e-6)


def test_neighbours_keep_bits_as_bytes():
    bits = np.random.default_rng(0).integers(0, 2, (30, 8)).astype(np.float32)
    head = fitted("knn", Samples(bits, np.arange(30) % 2, 2))["k = 5"]
    assert head.examples.dtype == torch.uint8
    assert scores(head, bits).shape == (30, 2)


@pytest.mark.parametrize("name", list(HEADS))
def test_every_head_answers_the_same_when_built_anew(name):
    (features, targets), (others, _) = blobs(), blobs(20, seed=1)
    head = list(fitted(name, Samples(features, targets, 3)).values())[-1]
    again = build_part(HEADS, head.describe())
    fill(again, "head", {f"head/{key}": value for key, value in head.state_dict().items()})
    assert np.array_equal(scores(again, others), scores(head, others))
    assert scores(again, others).dtype == np.float32


@pytest.mark.parametrize("name", list(HEADS))
def test_every_head_learns_several_labels_of_which_some_are_unknown(name):
    features, targets = blobs(200)
    labels = np.eye(3)[targets]
    labels[::7, 1] = np.nan
    labels[:, 2] = 0  # one that is never there
    head = list(fitted(name, Samples(features, labels, 3)).values())[-1]
    found = scores(head, features)
    assert np.isfinite(found).all()
    assert ((found[:, 0] > 0) == (targets == 0)).mean() > 0.8
    assert (found[:, 2] < -2).all(), "nothing speaks for a label that no image has"


@pytest.mark.parametrize("name", list(HEADS))
def test_every_head_does_without_a_class(name):
    features, targets = blobs(classes=2)
    head = list(fitted(name, Samples(features, targets * 2, 3)).values())[-1]
    found = scores(head, features)
    assert np.isfinite(found).all()
    assert (found.argmax(axis=1) == targets * 2).mean() > 0.7
    assert not (found.argmax(axis=1) == 1).any()


@pytest.mark.parametrize("name", [name for name in HEADS if HEADS[name].weighs])
def test_images_that_weigh_more_count_more(name):
    features, targets = blobs(classes=2)
    plain = Samples(features, targets, 2)
    heavy = replace(plain, weights=np.where(targets == 1, 50.0, 0.02).astype(np.float32))
    one, two = (scores(next(iter(fitted(name, each).values())), features) for each in (plain, heavy))
    assert np.subtract(*two.T[::-1]).mean() > np.subtract(*one.T[::-1]).mean()


def test_a_pipeline_has_no_gradients():
    model = Classical(2, 32, "sift")
    with pytest.raises(UsageError, match="sift is computed by a library of images: it has no gradients"):
        model.features(torch.rand(1, 3, 32, 32, requires_grad=True))


def test_a_feature_of_a_plugin_is_one_class(monkeypatch):
    with FEATURES.restored():

        @FEATURES.register("brightness", local=False)
        class Brightness(Feature):
            """The mean of each channel."""

            def describe(self, image):
                return image.mean(axis=(0, 1), dtype=np.float32)[None]

        pixels = torch.full((1, 3, 32, 32), 0.2)
        np.testing.assert_allclose(Classical(2, 32, "brightness").features(pixels), np.full((1, 3), 51.0))
