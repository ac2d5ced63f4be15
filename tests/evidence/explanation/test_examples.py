"""Explanations by training images: the nearest, those that speak otherwise, the typical, the influential."""

import copy

import numpy as np
import pytest
from PIL import Image

from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.errors import DataError, UsageError
from linnaea.evidence.explanation.concepts.places import place_for
from linnaea.evidence.explanation.contract import EXPLAINERS, Settings
from linnaea.evidence.explanation.subject import Subject
from linnaea.learning.checkpoints import save_checkpoint
from linnaea.models import MODELS
from linnaea.models.classical.heads import HEADS
from linnaea.models.classical.heads.contract import Samples
from linnaea.models.classical.pipeline import Classical
from linnaea.models.embedding import embed

BLUE, RED = np.array([0]), np.array([1])
BY_IMAGE, BY_CLASS = ("nearest", "counter_examples", "tracin"), ("prototypes",)


def explained(name, subject, images=None, targets=RED, **settings):
    given = () if images is None else (images,)
    return EXPLAINERS[name](subject, *given, targets, Settings(**settings))


def test_the_nearest_are_alike_and_it_is_said_how_they_were_labelled(subject, squares):
    images = squares[0]
    found = explained("nearest", subject, images[[12]], samples=4)
    assert found.arrays["rows"][0, 0] == 12
    assert found.arrays["distances"][0, 0] == pytest.approx(0, abs=1e-6)
    assert "(the image itself)" in found.rows[0][0].caption
    assert "(the image itself)" not in found.rows[0][1].caption
    assert (found.arrays["rows"] >= 10).all()
    assert found.arrays["agrees"].all()
    assert found.said == ""
    assert found.rows[0][1].path == f"{found.arrays['rows'][0, 1]:02}.png"
    np.testing.assert_array_equal(found.rows[0][1].picture, images[found.arrays["rows"][0, 1]])
    other = explained("nearest", subject, images[[12]], BLUE)
    assert not other.arrays["agrees"].any()
    assert other.rows[0][0].caption == "labelled red, not blue: 0.000 away (the image itself)"


def test_counter_examples_are_labelled_and_answered_otherwise(make_subject, tmp_path, squares):
    images, labels = squares
    labels[12] = "blue"  # wrongly
    subject = make_subject(tmp_path, np.concatenate([images, images[[12]], images[[12]]]), [*labels, "red", "red"])
    found = explained("counter_examples", subject, images[[12]])
    labelled, answered = found.arrays["rows"][0]
    assert labelled == 12
    assert answered < 10
    assert found.rows[0][0].caption.startswith("labelled blue, answered red")
    assert found.rows[0][1].caption.startswith("labelled blue, answered blue")


def test_an_image_that_is_labelled_and_answered_otherwise_is_shown_once(subject, squares):
    found = explained("counter_examples", subject, squares[0][[12]])
    assert found.arrays["rows"][0, 0] == found.arrays["rows"][0, 1]
    assert [each.caption[:29] for each in found.rows[0]] == ["labelled blue, answered blue:"]


def test_where_all_images_have_one_label_there_is_no_counter_example(make_subject, tmp_path, squares):
    subject = make_subject(tmp_path, squares[0], ["red"] * 20)
    found = explained("counter_examples", subject, squares[0][:1])
    assert found.rows == ((),)
    assert found.said == (
        "No training image is labelled otherwise than red. No training image is answered otherwise than red"
    )


def test_files_that_are_gone_or_changed_are_said(subject, squares):
    folder = subject.training.root
    (folder / "13.png").unlink()
    Image.fromarray(squares[0][0]).save(folder / "14.png")
    for name in BY_IMAGE:
        found = explained(name, subject, squares[0][[12]])
        assert "2 training images are gone or changed and left out: first 13.png, file not found" in found.said
        assert not {"13.png", "14.png"} & {each.path for each in found.rows[0]}
    assert "2 training images are" in explained("prototypes", subject).said


def test_a_classifier_without_its_images_is_refused(subject, squares):
    alone = Subject(subject.classifier)
    for name in BY_IMAGE:
        with pytest.raises(UsageError, match="not known which images this classifier was trained on: give the folder"):
            explained(name, alone, squares[0][:1])
    for path in subject.training.paths:
        path.unlink()
    with pytest.raises(DataError, match=r"none of the 20 training images is as it was \(first 00.png: file not found"):
        explained("nearest", subject, squares[0][:1])


def test_a_classifier_that_sees_no_difference_is_refused(subject, squares):
    same = subject.classifier.with_(scorer=type(subject.classifier.scorer)(MODELS["majority"](2)))
    with pytest.raises(UsageError, match="kind majority makes the same of every image"):
        explained("nearest", Subject(same, subject.run), squares[0][:1])


def test_prototypes_are_of_their_class_and_the_odd_image_is_a_criticism(make_subject, tmp_path, squares):
    images, labels = squares
    alike = images[10] // 2 * 2 + np.arange(10, dtype=np.uint8)[:, None, None, None] % 2
    odd = np.zeros((1, 16, 16, 3), dtype=np.uint8)
    subject = make_subject(tmp_path, np.concatenate([images[:10], alike, odd]), [*labels, "red"])
    found = explained("prototypes", subject, targets=np.array([0, 1]), samples=2)
    assert (found.arrays["prototypes"][0] < 10).all()
    assert (found.arrays["prototypes"][1] >= 10).all()
    assert 20 in found.arrays["criticisms"][1]
    assert 20 not in found.arrays["criticisms"][0]
    captions = [each.caption for each in found.rows[0]]
    assert captions == ["prototype of blue, answered blue"] * 2 + ["criticism of blue, answered blue"] * 2


def test_a_class_of_one_image_is_its_own_prototype(make_subject, tmp_path, squares):
    subject = make_subject(tmp_path, squares[0][:11], squares[1][:11])
    found = explained("prototypes", subject)
    assert found.arrays["prototypes"].tolist() == [[10, -1, -1, -1]]
    assert (found.arrays["criticisms"] == -1).all()
    assert found.said == "red has 1 training image: there are no others to criticise with"


def test_a_wrongly_labelled_copy_speaks_most_against_the_answer_and_most_for_the_other(make_subject, tmp_path, squares):
    images, labels = squares
    subject = make_subject(tmp_path, np.concatenate([images, images[[12]]]), [*labels, "blue"])
    against = explained("tracin", subject, images[[12]])
    assert against.arrays["rows"][0, 3] == 20
    assert against.arrays["influences"][0, 3] < 0
    assert against.rows[0][3].caption.startswith("labelled blue: against it")
    assert explained("tracin", subject, images[[12]], BLUE).arrays["rows"][0, 0] == 20
    assert against.said == "The final weights alone are looked at: the run has no other checkpoint"


def test_influence_is_summed_over_the_checkpoints_that_the_run_has_kept(make_subject, tmp_path, squares):
    images, labels = squares
    subject = make_subject(tmp_path, images, labels, "lenet5")
    once = explained("tracin", subject, images[[12]], samples=10)
    model, folder = subject.classifier.model, subject.run.folder / "checkpoints" / "scratch"
    folder.mkdir(parents=True)
    save_checkpoint(folder / "best.safetensors", model, None, {})
    assert explained("tracin", subject, images[[12]]).said.startswith("The final weights alone")
    earlier = copy.deepcopy(model)
    earlier.classifier.weight.data *= 0.5
    save_checkpoint(folder / "last.safetensors", earlier, None, {})
    save_checkpoint(folder / "previous.safetensors", MODELS["lenet5"](3, 16), None, {})
    both = explained("tracin", subject, images[[12]], samples=10)
    assert both.said.startswith("Summed over the final weights and 1 other checkpoint, all counting alike. The check")
    assert "previous.safetensors was left out: Error(s) in loading" in both.said
    second = Subject(
        subject.classifier.with_(scorer=type(subject.classifier.scorer)(earlier), provenance={}), subject.run
    )
    other = explained("tracin", second, images[[12]], samples=10)
    sums = [np.zeros(20) for _ in range(3)]
    for total, made in zip(sums, (once, other, both), strict=True):
        total[made.arrays["rows"][0]] = made.arrays["influences"][0]
    np.testing.assert_allclose(sums[0] + sums[1], sums[2], rtol=1e-4, atol=1e-6)


def test_a_head_that_is_not_linear_has_no_gradients_in_closed_form(subject, squares, monkeypatch):
    monkeypatch.setattr(type(subject.classifier.model), "linear", False)
    with pytest.raises(UsageError, match=r"kind hog is not linear in its features.*choose nearest or counter_examples"):
        explained("tracin", subject, squares[0][:1])


def test_several_labels_are_explained_one_by_one(make_subject, tmp_path, squares):
    labels = [["blue"]] * 5 + [["blue", "red"]] * 5 + [["red"]] * 9 + [[]]
    subject = make_subject(tmp_path, squares[0], labels)
    found = explained("counter_examples", subject, squares[0][[12]])
    assert found.arrays["rows"][0, 0] in (*range(5), 19)
    assert "blue" in explained("nearest", subject, squares[0][[6]], BLUE, samples=1).rows[0][0].caption
    tracin = explained("tracin", subject, squares[0][[12]], samples=10)
    assert tracin.arrays["influences"].shape == (1, 20)
    assert explained("prototypes", subject).arrays["prototypes"].min() >= 5


def test_a_classical_pipeline_is_explained_as_far_as_it_has_features(tmp_path, squares, make_subject):
    subject = make_subject(tmp_path, *squares)
    plain = Classical(2, 16, "colours")
    samples = Samples(embed(plain, squares[0]), subject.training.targets, 2)
    model = plain.answering_by(next(iter(HEADS["knn"].candidates(samples)))[1])
    classical = Subject(subject.classifier.with_(scorer=scorer_of(model)), subject.run)
    assert classical.can == {"answers", "features"}
    assert (explained("nearest", classical, squares[0][[12]]).arrays["rows"] >= 10).all()
    assert explained("counter_examples", classical, squares[0][[12]]).arrays["rows"][0, 0] < 10
    assert (explained("prototypes", classical).arrays["prototypes"] >= 10).all()
    with pytest.raises(UsageError, match="kind classical is not linear in its features"):
        explained("tracin", classical, squares[0][:1])
    with pytest.raises(UsageError, match="kind classical has neither a layer with a map nor a head that is linear"):
        place_for(classical, None)


def test_one_training_image_per_class_is_enough(make_subject, tmp_path, squares):
    subject = make_subject(tmp_path, squares[0][[3, 13]], ["blue", "red"])
    asked = squares[0][[12]]
    assert explained("nearest", subject, asked).arrays["rows"].tolist() == [[1, 0]]
    assert explained("counter_examples", subject, asked).arrays["rows"].tolist() == [[0, 0]]
    assert explained("tracin", subject, asked).arrays["rows"].shape == (1, 2)
    assert explained("prototypes", subject, targets=np.array([0, 1])).arrays["prototypes"][:, 0].tolist() == [0, 1]
    assert len(explained("feature_visualisation", subject, samples=1).rows[0]) == 2
