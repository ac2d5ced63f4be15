"""A run trained again: what calls for it, data that does not leak, a decision with reasons, and the way back."""

import hashlib
import io
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from material import smooth
from PIL import Image

from linnaea.data.hashing import hashed
from linnaea.data.images.pixels import Recipe
from linnaea.data.review import ReviewFolder
from linnaea.dataset import Dataset
from linnaea.delivery.report.retraining import render_retraining
from linnaea.errors import DataError, UsageError
from linnaea.evidence.comparison.many import compare_many
from linnaea.experiments.retraining import Order, retrain
from linnaea.experiments.retraining.deciding import _better, _not_worse
from linnaea.experiments.retraining.triggers import TRIGGERS, Signs, called, read_triggers
from linnaea.experiments.retraining.version import Shares, new_to, new_version, require_shares, reviewed_images
from linnaea.finding import Finding
from linnaea.predictions import Predictions
from linnaea.run import Run

CLASSES = ("bee", "fly")
SPLITS = ("train", "val", "test")


def plant(folder, of_each=6):
    """A run that was finished without training: images of two classes in three splits."""
    rows = []
    for number in range(of_each * len(SPLITS)):
        name = f"{number:03}.png"
        (folder / "photos").mkdir(parents=True, exist_ok=True)
        smooth(number).save(folder / "photos" / name)
        rows.append({"path": name, "label": CLASSES[number % 2], "split": SPLITS[number // of_each]})
    (dataset,) = hashed(Dataset(pa.Table.from_pylist(rows), CLASSES, "binary", folder / "photos"))
    found = Run.create(folder / "run", {"duplicates": "near"}, "linnaea train photos")
    found.write_dataset(dataset)
    found.update(status="finished", finished="2026-01-01T00:00:00+00:00")
    return found


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("planted"))


def content(image, form="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def file_all(folder, images, label="bee"):
    """A review folder of images, by turns of both classes unless one is given."""
    review = ReviewFolder(folder)
    for number, image in enumerate(images):
        review.file(image, CLASSES[number % 2] if label is None else label)
    return folder


def versioned(old, review, shares=Shares()):  # noqa: B008
    return new_version(old, *new_to(old, reviewed_images(old, review)), shares, Recipe(64))


def fresh_images(count, first=1000):
    return [content(smooth(number)) for number in range(first, first + count)]


# What calls for a training


def signs(old, **known):
    return Signs(old, known.pop("now", datetime.fromisoformat("2026-01-11T00:00:00+00:00")), **known)


@pytest.mark.parametrize("name", TRIGGERS)
def test_every_trigger_says_why_or_why_not_and_refuses_other_words(planted, name):
    trigger = TRIGGERS[name]
    found = trigger.judge(signs(planted), trigger.read(""))
    assert found.calls == (name == "always"), "what is not known does not call"
    assert found.because.endswith((".", "--monitoring."))
    with pytest.raises(UsageError):
        trigger.read("soon, please")


ALARM = Finding("drift", "Drift in 3 of 4 windows.", "error")
QUIET = Finding("drift", "No drift is shown.")
MISSED = Finding("late_coverage", "Sets hold the truth in 0.7; 0.9 was promised: missed.", "warning")
SUSPECTED = Finding("sequential_coverage", "Coverage fell. This is no alarm: who chose the images?", "warning")
KEPT = Finding("late_coverage", "Sets hold the truth in 0.9; 0.9 was promised: kept.")


@pytest.mark.parametrize(
    ("words", "known", "calls", "told"),
    [
        ("drift", {"monitored": [ALARM]}, True, "Drift in 3 of 4 windows."),
        ("drift", {"monitored": [QUIET, MISSED]}, False, "raised no alarm"),
        ("coverage", {"monitored": [ALARM, MISSED]}, True, "missed"),
        ("coverage", {"monitored": [ALARM, KEPT]}, False, "kept"),
        ("coverage", {"monitored": [ALARM]}, False, "says nothing of coverage"),
        ("coverage", {"monitored": [SUSPECTED]}, False, "This is no alarm"),
        ("labels:40", {"labels": 40}, True, "40 reviewed images are new to the run, and 40 were asked for"),
        ("labels:40", {"labels": 39}, False, "39 reviewed images"),
        ("every:10d", {}, True, "10.0 days old"),
        ("every:241h", {}, False, "10.0 days old"),
        ("every:2w", {}, False, "14.0 days were asked for"),
        (
            "every:1h",
            {"now": datetime.fromisoformat("2025-12-31T00:00:00+00:00")},
            False,
            "clock stands 1.0 days before",
        ),
    ],
)
def test_a_trigger_calls_where_its_figure_is_reached(planted, words, known, calls, told):
    found = called(signs(planted, **known), [words])[words]
    assert (found.calls, told in found.because) == (calls, True), found


@pytest.mark.parametrize("words", ["labels:0", "labels:some", "every:soon", "every:0d", "drift:2", "always:1", "moon"])
def test_triggers_that_cannot_be_are_refused(words):
    with pytest.raises(UsageError, match=r"expected|takes nothing"):
        read_triggers([words])


# The new version of the data


def test_reviewed_images_become_rows_and_nothing_of_the_run_changes(planted, tmp_path):
    review = file_all(tmp_path / "review", fresh_images(40), None)
    found = versioned(planted, review)
    old = planted.dataset()
    assert found.dataset.take(range(len(old))).table.equals(old.table.select(found.dataset.table.column_names))
    assert found.images == 40
    assert all(found.fresh.values())
    assert found.changes.counts == {"added": 40}
    by_path = dict(zip(found.dataset.ids, found.dataset.labels, strict=True))
    for number, image in enumerate(fresh_images(40)):
        digest = hashlib.sha256(image).hexdigest()
        assert by_path[(review / "images" / f"{digest}.png").as_posix()] == CLASSES[number % 2]


def test_what_shows_the_same_as_a_test_image_is_used_for_nothing(planted, tmp_path):
    copies = {row["path"]: content(smooth(int(row["path"][:3])), "JPEG", quality=80) for row in rows_of(planted)}
    review = file_all(tmp_path / "review", [*copies.values(), *fresh_images(20)])
    found = versioned(planted, review)
    where = dict(zip(found.dataset.ids, found.dataset.column("split"), strict=True))
    for row in rows_of(planted):
        name = f"{review}/images/{hashlib.sha256(copies[row['path']]).hexdigest()}.jpg"
        if row["split"] == "test":
            assert name not in where
        else:
            assert where[name] == row["split"], "a copy goes where its original is"
    leaking = [one.reason for one in found.left_out]
    assert sorted(leaking) == sorted(
        f"shows the same as the test image {row['path']}: it would leak"
        for row in rows_of(planted)
        if row["split"] == "test"
    )


def rows_of(old):
    return old.dataset().table.to_pylist()


def test_the_same_bytes_are_left_out_with_what_is_known_of_them(planted, tmp_path):
    same = (planted.folder.parent / "photos" / "000.png").read_bytes()
    review = file_all(tmp_path / "review", [same, *fresh_images(20)], "fly")
    found = versioned(planted, review)
    assert [one.reason for one in found.left_out] == ["already an image of the run, in train, labelled bee there"]
    assert "Left out: 1 already an image of the run, in train, labelled bee there." in str(found)


def test_an_image_falls_the_same_way_whatever_comes_with_it(planted, tmp_path):
    images = fresh_images(60)
    few = versioned(planted, file_all(tmp_path / "few", images[:30]))
    many = versioned(planted, file_all(tmp_path / "many", images[::-1]))

    def where(found):
        pairs = zip(found.dataset.column("sha256"), found.dataset.column("split"), strict=True)
        return dict(pairs)

    assert where(few).items() <= where(many).items()
    shares = np.array([Shares().split_of(str(number)) for number in range(4000)])
    assert abs((shares == "test").mean() - 0.3) < 0.03
    assert abs((shares == "val").mean() - 0.15) < 0.03


def test_a_copy_that_comes_later_never_takes_a_test_image_into_training(planted, tmp_path):
    images = fresh_images(30)
    first = versioned(planted, file_all(tmp_path / "first", images))
    tested = {path.rpartition("/")[2][:64] for path in first.fresh["test"]}
    copies = [content(smooth(number), "JPEG", quality=85) for number in range(1000, 1030)]
    later = versioned(planted, file_all(tmp_path / "later", [*images, *copies]))
    for path in [*later.fresh["train"], *later.fresh["val"]]:
        assert path.rpartition("/")[2][:64] not in tested


def test_images_of_one_group_stay_together(planted, tmp_path):
    review = file_all(tmp_path / "review", fresh_images(40))
    table = (review / "review.csv").read_text().splitlines()
    (review / "review.csv").write_text(
        "\n".join([f"{table[0]},group", *(f"{line},site {place // 4}" for place, line in enumerate(table[1:]))])
    )
    found = versioned(planted, review)
    groups = {}
    for group, split in zip(found.dataset.column("group"), found.dataset.column("split"), strict=True):
        if group is not None:
            groups.setdefault(group, set()).add(split)
    assert len(groups) == 10
    assert all(len(splits) == 1 for splits in groups.values())


def test_a_review_of_other_classes_is_refused(planted, tmp_path):
    with pytest.raises(DataError, match=r"no classes of .*: moth; expected bee, fly.*linnaea grow"):
        reviewed_images(planted, file_all(tmp_path / "review", fresh_images(3), "moth"))
    several = ReviewFolder(tmp_path / "several")
    several.file(fresh_images(1)[0], ["bee", "fly"])
    with pytest.raises(DataError, match="several labels"):
        reviewed_images(planted, several.folder)


def test_images_of_the_run_that_are_gone_or_changed_stop_it(tmp_path):
    old = plant(tmp_path)
    review = file_all(tmp_path / "review", fresh_images(20))
    Image.new("RGB", (64, 64), "red").save(tmp_path / "photos" / "004.png")
    with pytest.raises(DataError, match=r"1 images have changed or disappeared since the run began \(first 004.png\)"):
        versioned(old, review)
    (tmp_path / "photos" / "004.png").unlink()
    with pytest.raises(DataError, match=r"changed or disappeared since the run began \(first 004.png\)"):
        versioned(old, review)


def test_too_few_reviewed_images_are_refused_before_any_training(planted, tmp_path):
    with pytest.raises(DataError, match="too few to learn from some and judge by others"):
        versioned(planted, file_all(tmp_path / "review", fresh_images(1)))
    with pytest.raises(UsageError, match="leave some for training"):
        require_shares(0.6, 0.4)


# The decision


def answered(right, seed=0):
    """Predictions of which the first ones are right."""
    truth = np.array(["bee", "fly"] * (len(right) // 2))
    label = np.where(right, truth, np.where(truth == "bee", "fly", "bee"))
    bee = np.where(label == "bee", 0.9, 0.1)
    return Predictions.from_columns(
        {
            "id": [str(number) for number in range(len(right))],
            "truth": truth.tolist(),
            "probabilities": np.stack([bee, 1 - bee], axis=1),
            "label": label.tolist(),
            "confidence": np.full(len(right), 0.9),
            "reason": ["ok"] * len(right),
        },
        CLASSES,
        "binary",
    )


@pytest.mark.parametrize(
    ("before", "after", "not_worse", "better"),
    [(180, 180, True, False), (180, 176, False, False), (140, 180, True, True), (180, 120, False, False)],
)
def test_reasons_hold_by_paired_tests(before, after, not_worse, better):
    first, second = (answered(np.arange(200) < count) for count in (before, after))
    found = compare_many({"old": first, "new": second}, margin=0.02)
    worse = _not_worse(found, "old_test", "old", 0.02)
    assert (worse.holds, _better(found).holds) == (not_worse, better)
    assert f"accuracy was {before / 2:.1f} % and is {after / 2:.1f} %" in worse.because


def test_a_run_that_is_better_on_reviewed_images_is_not_said_to_be_better_on_all():
    first, second = (answered(np.arange(200) < count) for count in (140, 180))
    assert "reviewed: where these were chosen because" in _better(compare_many({"old": first, "new": second})).because


def test_to_resume_the_new_run_must_be_named(planted):
    with pytest.raises(UsageError, match="name the one that was interrupted with --out"):
        retrain(planted, Order(when=["always"], resume=True))


def test_where_nothing_differs_a_promotion_would_be_by_chance_in_few_of_a_hundred():
    random, promoted = np.random.default_rng(0), 0
    for _ in range(200):
        first, second = (answered(random.random(100) < 0.8) for _ in range(2))
        promoted += _better(compare_many({"old": first, "new": second}, margin=0.02)).holds
    assert promoted <= 10


def test_the_page_of_a_decision_holds_its_reasons():
    page = render_retraining(
        {
            "outcome": "kept back",
            "sentence": "new is kept back, and old stays in use: check does not hold.",
            "decided": "2026-01-01",
            "old": "runs/old",
            "new": "runs/new",
            "called": {"drift": {"calls": True, "because": "Drift <b>everywhere</b>."}},
            "data": {
                "images": 1200,
                "reviewed": {"train": 60, "val": 20, "test": 40},
                "left_out": [{"path": "a.jpg", "label": None, "reason": "it would leak"}],
            },
            "reasons": [{"name": "check", "holds": False, "because": "recall_floor: too low."}],
            "comparisons": {
                "old": compare_many(
                    {"old": answered(np.arange(40) < 30), "new": answered(np.arange(40) < 36)}, margin=0.02
                ).to_json()
            },
            "place": None,
            "why_not": "",
        }
    )
    assert "recall_floor: too low." in page
    assert "Drift &lt;b&gt;everywhere&lt;/b&gt;." in page
    assert "The old test set" in page
    assert "60 in train, 20 in val, 40 in test" in page
    assert "http" not in page.replace("http-equiv", "")
