"""What is not a number is never an answer, whoever asks: here, in figures, in an exported script."""

import numpy as np
import pytest
from PIL import Image

from linnaea import evaluate
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.decisions import Outputs, Policy, answer
from linnaea.delivery.answers import FORMATS
from linnaea.errors import DataError
from linnaea.evidence.calibration import calibrate
from linnaea.models import build

NAN, INF = float("nan"), float("inf")
CLASSES = {
    "binary": ("ant", "bee"),
    "multiclass": ("ant", "bee", "wasp"),
    "multilabel": ("ant", "bee", "wasp"),
    "hierarchical": ("ant", "bee", "wasp"),
}
POLICIES = {
    "binary": Policy(thresholds=(0.3,), aim="f1"),
    "multiclass": Policy(),
    "multilabel": Policy(thresholds=(0.5, 0.5, 0.5), aim="f1"),
    "hierarchical": Policy(thresholds=(0.6,), parents=(("bee", "sting"), ("wasp", "sting")), risk=0.1),
}


@pytest.mark.parametrize("task", CLASSES)
@pytest.mark.parametrize("part", ["raw", "logits", "probabilities", "ood_scores"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_of_a_batch_only_what_is_not_a_number_has_no_answer(task, part, value):
    classes = CLASSES[task]
    parts = {
        "raw": np.ones((3, len(classes))),
        "logits": np.ones((3, len(classes))),
        "probabilities": np.full((3, len(classes)), 1 / len(classes)),
        "ood_scores": np.zeros(3),
    }
    sound, _ = answer(task, classes, Outputs(**parts), POLICIES[task])
    parts[part] = parts[part].copy()
    parts[part][1, ...] = value
    decided, reasons = answer(task, classes, Outputs(**parts), POLICIES[task])
    assert reasons == ["ok", "undefined", "ok"]
    assert (decided.labels[1], decided.sets[1]) == (None, None)
    assert np.isnan(decided.confidence).tolist() == [False, True, False]
    assert [decided.labels[row] for row in (0, 2)] == [sound.labels[row] for row in (0, 2)]


def test_without_ood_scores_they_are_not_asked_for():
    outputs = Outputs(np.zeros((1, 2)), np.zeros((1, 2)), np.full((1, 2), 0.5))
    assert answer("binary", ("ant", "bee"), outputs, Policy())[1] == ["ok"]


@pytest.fixture
def photos(tmp_path):
    """One dark and one bright image of each class."""
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for level in (20, 200):
            shade = (level, level, level + len(name))
            Image.new("RGB", (32, 32), shade).save(tmp_path / "photos" / name / f"{name}{level}.png")
    return tmp_path / "photos"


@pytest.fixture
def breaks_on_dark():
    """A classifier that has much to say, and of dark images what is not a number."""
    model = build("hog", {"classes": 2, "size": 32})
    features = model.features

    def broken(pixels):
        found = features(pixels)
        found[pixels.mean(dim=(1, 2, 3)) < 0.2] = NAN
        return found

    model.features = broken
    return Classifier(TorchScorer(model), ("ant", "bee"), "binary", Recipe(32))


def test_predict_and_evaluate_tell_it_and_count_it_as_wrong(photos, breaks_on_dark):
    evaluation = evaluate(breaks_on_dark, photos)
    answers = evaluation.predictions
    rows = {row["id"].rpartition("/")[2]: row for row in answers}
    assert {name: row["reason"] == "undefined" for name, row in rows.items()} == {
        "ant20.png": True,
        "ant200.png": False,
        "bee20.png": True,
        "bee200.png": False,
    }
    dark = rows["ant20.png"]
    assert {name: dark[name] for name in ("label", "confidence", "prediction_set", "ood_score")} == dict.fromkeys(
        ("label", "confidence", "prediction_set", "ood_score")
    )
    assert "is not a number" in dark["detail"]
    assert np.isnan(answers.scores()[answers.answered("undefined")]).all()
    assert evaluation.figures["accuracy"].n == 4
    assert evaluation.figures["accuracy"].value <= 0.5
    told = {finding.name: finding for finding in evaluation.findings}
    assert "the model's output for 2 is not a number" in told["unreadable"].summary
    assert {row["reason"]: row["count"] for row in told["answers"].rows}["undefined"] == 2
    for name in ("table", "csv", "json"):
        assert "undefined" in FORMATS[name](answers, None)


def test_where_all_is_well_nothing_is_said_of_it(photos):
    sound = Classifier(TorchScorer(build("hog", {"classes": 2, "size": 32})), ("ant", "bee"), "binary", Recipe(32))
    told = {finding.name: finding for finding in evaluate(sound, photos).findings}
    assert "unreadable" not in told
    assert "undefined" not in {row["reason"] for row in told["answers"].rows}


@pytest.mark.parametrize("part", ["raw", "ood_scores"])
def test_what_is_not_a_number_is_not_calibrated(breaks_on_dark, part):
    outputs = Outputs(np.zeros((4, 2)), np.zeros((4, 2)), np.full((4, 2), 0.5), np.zeros(4))
    getattr(outputs, part)[1] = NAN
    with pytest.raises(DataError, match="for 1 of 4 validation images is not a number: it cannot be calibrated"):
        calibrate(breaks_on_dark, outputs, np.array([0, 1, 0, 1]))
