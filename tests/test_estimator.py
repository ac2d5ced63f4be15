"""The scikit-learn estimator: scikit-learn's own checks, its idioms, and images that lie in files or in memory."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import linnaea
from linnaea import ImageClassifier
from linnaea.errors import DataError, UsageError

WITHOUT_EYES = "the majority class does not look at the pictures: it is the floor that others are measured against"


def expected_failures(estimator):
    return {"check_classifiers_train": WITHOUT_EYES} if estimator.model == "majority" else {}


@parametrize_with_checks(
    [ImageClassifier(), ImageClassifier("majority")], expected_failed_checks=expected_failures, xfail_strict=True
)
def test_passes_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    """Rows of 64 numbers from 0 to 16, three classes, and their labels."""
    rows, labels = load_digits(n_class=3, return_X_y=True)
    return rows[:300], labels[:300]


@pytest.fixture(scope="module")
def stripes():
    """Forty colour images (N, 20, 24, 3) of uint8: stripes that lie or stand, on backgrounds of any colour."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 120, (40, 1, 1, 3)) + random.integers(0, 30, (40, 20, 24, 3))
    labels = np.array(["lying", "standing"] * 20)
    pictures[0::2, ::4] += 100
    pictures[1::2, :, ::4] += 100
    return pictures.astype(np.uint8), labels


@pytest.fixture(scope="module")
def files(stripes, tmp_path_factory):
    """The same images as files."""
    folder = tmp_path_factory.mktemp("stripes")
    paths = [folder / f"{number}.png" for number in range(len(stripes[0]))]
    for path, picture in zip(paths, stripes[0], strict=True):
        Image.fromarray(picture).save(path)
    return paths


def test_digits():
    train, test, train_labels, test_labels = train_test_split(*load_digits(return_X_y=True), random_state=0)
    classifier = ImageClassifier(random_state=0).fit(train[::3], train_labels[::3])
    assert classifier.score(test, test_labels) > 0.95
    assert classifier.n_features_in_ == 64
    np.testing.assert_array_equal(classifier.classes_, np.arange(10))
    probabilities = classifier.predict_proba(test)
    assert probabilities.shape == (450, 10)
    truth = probabilities[np.arange(450), test_labels]
    assert -np.log(truth).mean() < 0.15  # calibrated, not only right


def test_pictures_and_rows_of_numbers_are_the_same_pictures(digits):
    rows, labels = (values[:60] for values in digits)
    from_rows = ImageClassifier(random_state=0).fit(rows, labels)
    from_pictures = ImageClassifier(random_state=0).fit(rows.reshape(-1, 8, 8), labels)
    np.testing.assert_array_equal(from_rows.predict_proba(rows), from_pictures.predict_proba(rows.reshape(-1, 8, 8)))


def test_cross_validation_in_a_pipeline(digits):
    pipeline = Pipeline([("invert", FunctionTransformer(lambda rows: 16 - rows)), ("see", ImageClassifier())])
    assert cross_val_score(pipeline, *digits, cv=3).mean() > 0.95


def test_a_search_chooses_the_model(digits):
    search = GridSearchCV(ImageClassifier(random_state=0), {"model": ["majority", "hog"]}, cv=2, error_score="raise")
    search.fit(*digits)
    assert search.best_params_ == {"model": "hog"}
    assert search.best_score_ > 0.95
    assert search.cv_results_["mean_test_score"][0] < 0.5


@pytest.mark.parametrize("model", ["scratch", "test_resnet"])
def test_networks_from_scratch_repeat_by_random_state(stripes, model):
    pictures, labels = stripes
    first, second, other = (
        ImageClassifier(model, img_size=16, epochs=2, device="cpu", random_state=state).fit(pictures, labels)
        for state in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.predict_proba(pictures), second.predict_proba(pictures))
    assert not np.array_equal(first.predict_proba(pictures), other.predict_proba(pictures))


def test_fit_leaves_the_random_numbers_of_torch_alone(stripes):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    ImageClassifier("scratch", img_size=16, epochs=1, device="cpu", random_state=5).fit(*stripes)
    assert torch.equal(torch.rand(3), expected)


def test_string_labels_files_and_pictures_agree(stripes, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures, labels = stripes
    from_files = ImageClassifier(random_state=0).fit([str(path) for path in files], labels)
    from_pictures = ImageClassifier(random_state=0).fit(pictures, labels)
    np.testing.assert_array_equal(from_files.classes_, ["lying", "standing"])
    np.testing.assert_array_equal(from_files.predict(files), labels)
    np.testing.assert_array_equal(from_files.predict_proba(files), from_pictures.predict_proba(pictures))
    np.testing.assert_array_equal(from_files.predict_proba(pictures), from_pictures.predict_proba(np.array(files)))
    assert not hasattr(from_files, "n_features_in_")
    assert not list(tmp_path.iterdir()), "fit writes no file"


def test_cross_validation_over_files(stripes, files):
    assert cross_val_score(ImageClassifier(random_state=0), files, stripes[1], cv=2).min() > 0.9


def test_grey_pictures_are_colour_pictures_without_colour(stripes):
    grey, labels = stripes[0][..., 0], stripes[1]
    from_grey = ImageClassifier(random_state=0).fit(grey, labels)
    from_colour = ImageClassifier(random_state=0).fit(np.repeat(grey[..., None], 3, axis=3), labels)
    np.testing.assert_array_equal(from_grey.predict_proba(grey), from_colour.predict_proba(grey))


def test_saved_classifier_answers_the_same(stripes, files, tmp_path):
    estimator = ImageClassifier(random_state=0).fit(stripes[0], stripes[1])
    estimator.classifier_.save(tmp_path / "model")
    predictions = linnaea.load(tmp_path / "model").predict(files)
    np.testing.assert_allclose(predictions.scores(), estimator.predict_proba(files), atol=1e-6)
    assert predictions.column("label") == stripes[1].tolist()
    assert set(predictions.column("reason")) <= {"ok", "unsure", "unfamiliar"}
    assert None not in predictions.column("ood_score")
    assert estimator.classifier_.policy.n == 6  # 15 % of each class of twenty


def test_classifier_is_only_there_where_it_would_answer_the_same(digits):
    estimator = ImageClassifier("majority")
    with pytest.raises(NotFittedError):
        _ = estimator.classifier_
    estimator.fit(*digits)
    with pytest.raises(AttributeError, match="rows of numbers"):
        _ = estimator.classifier_


def test_clone_and_pickle(stripes):
    estimator = ImageClassifier(img_size=24, random_state=0).fit(*stripes)
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.predict_proba(stripes[0]), estimator.predict_proba(stripes[0]))
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(stripes[0])


def test_a_failed_fit_leaves_it_unfitted(stripes):
    estimator = ImageClassifier("majority").fit(*stripes)
    with pytest.raises(DataError, match="one class"):
        estimator.fit(stripes[0], ["same"] * 40)
    with pytest.raises(NotFittedError):
        estimator.predict(stripes[0])


def test_fitting_on_other_input_forgets_the_features(digits, stripes):
    estimator = ImageClassifier("majority").fit(*digits).fit(*stripes)
    assert not hasattr(estimator, "n_features_in_")


@pytest.mark.parametrize(
    ("sides", "expected"), [((8, 8), 16), ((20, 24), 32), ((70, 40), 48), ((300, 400), 128), ((1, 9), 16)]
)
def test_size_follows_the_pictures(tmp_path, sides, expected):
    pictures = np.zeros((4, *sides), dtype=np.uint8)
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    for given in (pictures, paths):
        estimator = ImageClassifier("majority").fit(given, [0, 1, 0, 1])
        assert estimator.classifier_.recipe.size == expected


def test_damaged_files_are_named(files, stripes, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1 of 41 images cannot be read .*broken\.png"):
        ImageClassifier("majority").fit([*files, broken], [*stripes[1], "lying"])
    estimator = ImageClassifier("majority").fit(files, stripes[1])
    with pytest.raises(DataError, match=r"broken\.png: .*leave them out"):
        estimator.predict([broken, Path("absent.png")])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model": "hgo"}, "Did you mean 'hog'"),
        ({"model": "majority,hog"}, "GridSearchCV"),
        ({"model": "auto"}, "GridSearchCV"),
        ({"model": "frozen"}, "needs pretrained weights"),
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": 2}, "hog has no use for it"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
        ({"img_size": 4}, "img_size is 4"),
        ({"device": "gpu"}, "device is 'gpu'"),
    ],
)
def test_parameters_are_checked_in_fit(stripes, parameters, message):
    with pytest.raises(UsageError, match=message):
        ImageClassifier(**parameters).fit(*stripes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 3, 8, 8), dtype=np.uint8), r"shape \(4, 3, 8, 8\); expected"),
        (np.zeros((4, 8, 0)), r"shape \(4, 8, 0\); expected"),
        ([np.zeros((8, 8)), np.zeros((9, 8))] * 2, "different shapes"),
        (["a.png", "b.png"], "inconsistent numbers of samples"),
        (np.full((4, 8, 8), np.nan), "NaN"),
        (np.zeros(4), "2D array"),
        ([], "2D array"),
    ],
)
def test_what_is_no_picture_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        ImageClassifier("majority").fit(given, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["a", None] * 20, "cannot be sorted"), (np.linspace(0, 1, 40), "Unknown label type"), (["a"] * 40, "one class")],
)
def test_what_is_no_label_is_refused(stripes, labels, message):
    with pytest.raises(ValueError, match=message):
        ImageClassifier("majority").fit(stripes[0], labels)


def test_another_kind_than_in_fit_is_refused(stripes, digits, files):
    on_bytes = ImageClassifier("majority").fit(*stripes)
    with pytest.raises(DataError, match="X holds images of numbers, but fit saw images of uint8"):
        on_bytes.predict(stripes[0] / 255)
    with pytest.raises(DataError, match="X holds rows of numbers, but fit saw images of uint8"):
        on_bytes.predict(digits[0])
    on_numbers = ImageClassifier("majority").fit(*digits)
    with pytest.raises(DataError, match="X holds image files, but fit saw rows of numbers"):
        on_numbers.predict(files)


def test_another_scale_than_in_fit_warns(digits):
    estimator = ImageClassifier("majority").fit(digits[0] / 16, digits[1])
    estimator.predict(digits[0] / 16 * 1.5)
    with pytest.warns(UserWarning, match="values from 0 to 16, but fit saw 0 to 1"):
        estimator.predict(digits[0])


def test_too_few_pictures_to_validate_on_warns(stripes):
    with pytest.warns(UserWarning, match="too confident"):
        ImageClassifier().fit(stripes[0][:2], stripes[1][:2])


def test_a_class_seen_once_is_still_learnt(stripes):
    labels = np.where(np.arange(40) == 7, "rare", stripes[1])
    estimator = ImageClassifier(random_state=0).fit(stripes[0], labels)
    assert estimator.predict_proba(stripes[0]).shape == (40, 3)
    np.testing.assert_array_equal(estimator.classes_, ["lying", "rare", "standing"])
