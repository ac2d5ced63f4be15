"""The whole way on images made here: what a run leaves, what it refuses, and that it resumes."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw
from safetensors.numpy import load_file

import linnaea as ln
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.errors import LinnaeaError
from linnaea.experiments.attempt import Attempted, Cost
from linnaea.experiments.ladder import choose
from linnaea.finding import Estimate
from linnaea.models.network import Network
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.verbs.outcome import tell_outcome


def draw(folder, count=40, size=40, seed=0, splits=(None,)):
    """Discs, squares and crosses on noisy ground, in class folders."""
    generator = np.random.default_rng(seed)
    for split in splits:
        for number in range(count):
            for shape in ("disc", "square", "cross of lines"):
                image = Image.fromarray(generator.integers(0, 90, (size, size, 3), dtype=np.uint8))
                pen = ImageDraw.Draw(image)
                x, y = generator.integers(4, size - 24, 2).tolist()
                box, colour = (x, y, x + 18, y + 18), tuple(generator.integers(150, 255, 3).tolist())
                if shape == "disc":
                    pen.ellipse(box, fill=colour)
                elif shape == "square":
                    pen.rectangle(box, fill=colour)
                else:
                    pen.line(box, fill=colour, width=4)
                    pen.line((x, y + 18, x + 18, y), fill=colour, width=4)
                place = folder / (split or "") / shape / f"{number:03} é.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                image.save(place)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("data") / "shapes")


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "shapes"
    ln.train(photos, out=folder, model="majority,hog,scratch", weights="none", epochs=4, precision="float32")
    return folder


def test_a_run_leaves_all_its_files(run):
    expected = ["run.json", "manifest.csv", "history.csv", "ladder.csv", "metrics.json", "report.html"]
    expected += ["model/classifier.json", "model/weights.safetensors", "model/README.md"]
    expected += ["predictions/val.parquet", "predictions/test.parquet", "findings/audit.json", "findings/test.json"]
    assert [name for name in expected if not (run / name).is_file()] == []
    assert not list(run.rglob("*.partial"))


def test_the_record_says_what_happened(run, photos):
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["arguments"]["model"] == "majority,hog,scratch"
    assert record["dataset"]["fingerprint"] == Run.open(run).dataset().fingerprint
    assert [entry["by"] for entry in record["test_opened"]] == ["train"]
    assert record["chosen"] in record["chosen_because"]
    assert set(record["timings"]) == {"decode, audit, split", "ladder", "calibrate", "evaluate"}


def test_the_ladder_is_written_with_cost_beside_accuracy(run):
    rows = Run.open(run).read_rows("ladder.csv")
    assert [row["rung"] for row in rows] == ["majority", "hog", "scratch"]
    assert [row["chosen"] for row in rows].count("yes") == 1
    for row in rows:
        assert float(row["lo"]) <= float(row["value"]) <= float(row["hi"])
        assert float(row["seconds"]) >= 0
        assert float(row["images_per_second"]) > 0


def test_every_figure_can_be_computed_again_from_the_predictions(run):
    from linnaea.evidence import figures

    written = json.loads((run / "metrics.json").read_text())["test"]
    again = figures(Run.open(run).predictions("test"))
    assert {name: figure.value for name, figure in again.items()} == pytest.approx(
        {name: figure["value"] for name, figure in written.items()}
    )
    assert written["accuracy"]["value"] > 0.6


def test_evaluating_again_gives_the_same_and_is_counted(run):
    before = json.loads((run / "metrics.json").read_text())["test"]
    evaluation = ln.evaluate(run)
    assert evaluation.figures["accuracy"].value == before["accuracy"]["value"]
    assert evaluation.figures["nll"].value == pytest.approx(before["nll"]["value"], abs=1e-4)
    record = json.loads((run / "run.json").read_text())
    assert [entry["by"] for entry in record["test_opened"]][-1] == "evaluate"
    assert len(record["test_opened"]) >= 2


def test_a_saved_classifier_answers_the_same_in_a_new_place(run, photos, tmp_path):
    first = ln.load(run)
    first.save(tmp_path / "copy")
    images = sorted(photos.rglob("*.png"))[:5]
    again = ln.load(tmp_path / "copy").predict(images)
    np.testing.assert_array_equal(first.predict(images).scores(), again.scores())
    assert again.column("reason") == first.predict(images).column("reason")


def test_predictions_without_truth_have_answers(run, photos, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    predictions = ln.load(run).predict([next(photos.rglob("*.png")), broken])
    assert predictions.column("reason")[1] == "unreadable"
    assert predictions.column("label")[1] is None
    assert np.isnan(predictions.scores()[1]).all()
    assert predictions.column("label")[0] in predictions.column("prediction_set")[0]


def test_other_data_is_judged_under_its_own_name(run, tmp_path):
    other = draw(tmp_path / "elsewhere", count=5, seed=9)
    evaluation = ln.evaluate(run, other)
    assert evaluation.figures["accuracy"].n == 15
    assert len(list((run / "predictions").glob("elsewhere-*.parquet"))) == 1
    assert json.loads((run / "run.json").read_text())["test_opened"] != []


def test_two_runs_are_compared_on_the_same_images(run, photos, tmp_path):
    ln.train(photos, out=tmp_path / "floor", model="majority", weights="none")
    comparison = ln.compare(tmp_path / "floor", run)
    assert "more accurate" in comparison.sentence
    assert comparison.n == len(Run.open(run).dataset().split("test"))


def test_same_seed_same_run(photos, tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        ln.train(photos, out=folder, model="scratch", weights="none", epochs=1, precision="float32")
    tables = [Run.open(folder).predictions("test").scores() for folder in folders]
    np.testing.assert_array_equal(*tables)


def test_splits_that_are_given_are_kept_and_a_missing_val_is_made(tmp_path):
    photos = draw(tmp_path / "given", count=20, splits=("training", "testing"))
    ln.train(photos, out=tmp_path / "run", model="majority", weights="none")
    dataset = Run.open(tmp_path / "run").dataset()
    for path, split in zip(dataset.ids, dataset.column("split"), strict=True):
        assert (split == "test") == path.startswith("testing/")
    assert 0 < len(dataset.split("val")) < len(dataset.split("train"))


def test_without_a_test_split_the_run_says_that_val_is_too_good(tmp_path):
    photos = draw(tmp_path / "given", count=15, splits=("train", "valid"))
    ln.train(photos, out=tmp_path / "run", model="majority", weights="none")
    notes = json.loads((tmp_path / "run" / "run.json").read_text())["notes"]
    assert any("too optimistic" in note for note in notes)


def test_a_stopped_run_resumes_to_the_same_end(run, photos, tmp_path, monkeypatch):
    from linnaea.learning import keeping

    plain, epochs = keeping.save_checkpoint, []

    def stop(path, model, optimizer, state, *more, **options):
        if path.name == "last.safetensors":
            epochs.append(len(state["history"]))
            if epochs == [1, 2, 3]:
                raise KeyboardInterrupt
        return plain(path, model, optimizer, state, *more, **options)

    options = {
        "out": tmp_path / "run",
        "model": "majority,hog,scratch",
        "weights": "none",
        "epochs": 4,
        "precision": "float32",
    }
    monkeypatch.setattr(keeping, "SHARE", np.inf)
    monkeypatch.setattr(keeping, "save_checkpoint", stop)
    with pytest.raises(KeyboardInterrupt):
        ln.train(photos, **options)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    ln.train(photos, **options, resume=True)
    assert epochs == [1, 2, 3, 3, 4], "the epoch that was not saved is done again, no other"
    resumed, whole = Run.open(tmp_path / "run"), Run.open(run)
    for place in ("model", "checkpoints/scratch/finished"):
        ours, expected = (load_file(each.folder / place / "weights.safetensors") for each in (resumed, whole))
        assert {name: (ours[name] == values).all() for name, values in expected.items()} == dict.fromkeys(ours, True)
    np.testing.assert_array_equal(resumed.predictions("val").scores(), whole.predictions("val").scores())
    losses = [[row["train_loss"] for row in either.read_rows("history.csv")] for either in (resumed, whole)]
    assert losses[0] == losses[1]


def test_other_arguments_cannot_resume_a_run(run, photos):
    with pytest.raises(ln.LinnaeaError, match="epochs was 4 and is now 5"):
        ln.train(
            photos, out=run, model="majority,hog,scratch", weights="none", epochs=5, precision="float32", resume=True
        )


def test_the_time_limit_leaves_a_finished_classifier(photos, tmp_path):
    ln.train(photos, out=tmp_path / "run", weights="none", time_limit=0.01)
    rows = Run.open(tmp_path / "run").read_rows("ladder.csv")
    assert rows[0]["status"] == "finished"
    assert "skipped" in {row["status"] for row in rows}
    assert ln.load(tmp_path / "run").classes == ("cross of lines", "disc", "square")


def result(name, right, *, baseline=False, seconds=1.0):
    """A rung that was right on these val images of two classes and took so many seconds."""
    labels = ["a" if was else "b" for was in right]
    columns = {"id": [str(row) for row in range(len(right))], "truth": ["a"] * len(right), "label": labels}
    columns |= {"probabilities": np.tile([0.6, 0.4], (len(right), 1)), "confidence": np.full(len(right), 0.6)}
    predictions = Predictions.from_columns(columns | {"reason": ["ok"] * len(right)}, ("a", "b"), "binary")
    figure = Estimate(float(np.mean(right)), None, None, len(right), "share")
    return Attempted(name, cost=Cost(seconds, 1.0, 1.0), figure=figure, predictions=predictions, baseline=baseline)


@pytest.mark.parametrize(
    ("cheap", "dear", "chosen"),
    [
        ([1] * 90 + [0] * 10, [1] * 90 + [0] * 10, "cheap"),
        ([1] * 50 + [0] * 50, [1] * 90 + [0] * 10, "dear"),
        ([1] * 89 + [0, 1] + [0] * 9, [1] * 90 + [0] * 10, "cheap"),
        ([1] * 88 + [0] * 12, [1] * 94 + [0] * 6, "dear"),  # more than one standard error, less than three
        ([1] * 83 + [0] * 11 + [1] * 6, [1] * 94 + [0] * 6, "dear"),  # a little more than one, of 17 that differ
        ([1] * 84 + [0] * 9 + [1] * 7, [1] * 93 + [0] * 7, "cheap"),  # a little less than one, of 16
    ],
)
def test_the_cheapest_rung_not_credibly_worse_is_chosen(cheap, dear, chosen):
    entries = [result("cheap", cheap, seconds=1), result("dear", dear, seconds=9)]
    assert choose(entries).result.name == choose(entries[::-1]).result.name == chosen


def test_a_baseline_is_not_chosen_while_another_rung_finished():
    right = [True] * 98 + [False] * 2
    entries = [result(name, right, baseline=name == "majority") for name in ("majority", "hog")]
    assert choose(entries).result.name == "hog"
    assert choose(entries[:1]).result.name == "majority"


def test_a_baseline_that_is_as_good_is_not_kept_quiet():
    right = [True] * 53 + [False] * 47
    entries = [result("majority", right, baseline=True), result("hog", right), result("dear", right[::-1], seconds=9)]
    for three in (entries, entries[1:]):
        said = "rung that looks at the images" in choose(three).because
        assert said == (three is entries)
    assert choose(entries[:1]).because == "majority is the only rung that was asked for."
    failed = Attempted("hog", "failed", "of something")
    assert "does not look at the images" in choose([entries[0], failed]).because


def test_what_is_better_than_guessing_is_recorded_and_not_said(run, capsys):
    (found,) = Run.open(run).findings("guessing")
    assert (found.severity, found.count) == ("info", 18)
    assert found.summary.startswith(f"{Run.open(run).record()['chosen']} is better than guessing on test: accuracy ")
    assert found.figure.lo > 0
    tell_outcome(run)
    assert "guessing" not in capsys.readouterr().out


@pytest.mark.parametrize("named", ["hog", "majority,hog"])
def test_what_is_no_better_than_guessing_is_said(named, tmp_path, capsys):
    random = np.random.default_rng(0)
    for name, count in (("here", 60), ("there", 40)):
        (tmp_path / "noise" / name).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8))
            image.save(tmp_path / "noise" / name / f"{number}.png")
    ln.train(tmp_path / "noise", out=tmp_path / "run", model=named, weights="none")
    tell_outcome(tmp_path / "run")
    because = Run.open(tmp_path / "run").record()["chosen_because"]
    assert "guessing on val: accuracy " in because
    (found,) = Run.open(tmp_path / "run").findings("guessing")
    assert found.severity == "warning"
    assert "better than guessing on test: accuracy " in found.summary or "worse than guessing" in found.summary
    printed, report = capsys.readouterr().out, (tmp_path / "run" / "report.html").read_text()
    for sentence in (because, found.summary):
        assert printed.count(sentence) == 1
        assert sentence.rstrip(".") in report


def test_why_the_only_rung_failed_is_said_once(photos, tmp_path, caplog):
    caplog.set_level("INFO", "linnaea")
    with pytest.raises(LinnaeaError, match="smaller --lr"):
        ln.train(photos, out=tmp_path / "run", model="scratch", weights="none", epochs=2, learning_rate=1e12)
    assert "smaller --lr" not in caplog.text


def test_a_failing_rung_is_recorded_and_the_ladder_goes_on(photos, tmp_path):
    ln.train(photos, out=tmp_path / "run", model="scratch,majority", weights="none", epochs=2, learning_rate=1e12)
    first, second = Run.open(tmp_path / "run").read_rows("ladder.csv")
    assert (first["status"], second["status"]) == ("failed", "finished")
    assert "smaller --lr" in first["note"]


def test_another_number_format_answers_nearly_the_same_and_a_strange_one_is_refused(run, photos):
    images = sorted(photos.rglob("*.png"))
    classifier = ln.Classifier(TorchScorer(Network("test_resnet", 3, 32)), ("a", "b", "c"), "multiclass", Recipe(32))
    plain, reduced = (classifier.predict(images, precision=name).scores() for name in ("float32", "bfloat16"))
    assert 0 < np.abs(plain - reduced).max() < 0.05
    assert ln.predict(run, images, precision="auto").column("label") == ln.predict(run, images).column("label")
    with pytest.raises(ln.LinnaeaError, match="precision is 'bloat16'; expected one of"):
        ln.predict(run, images, precision="bloat16")


def test_split_and_training_have_a_seed_each(photos, tmp_path):
    def trained(name, **seeds):
        ln.train(photos, out=tmp_path / name, model="majority", weights="none", **seeds)
        return Run.open(tmp_path / name).dataset().column("split")

    one, other = trained("one", seed=1), trained("other", seed=2)
    assert one != other
    assert trained("fixed", seed=2, split_seed=1) == one
