"""Two classes the whole way: an aim, the positive class, thresholds that travel, and what answers are worth."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from PIL import Image, ImageDraw

import linnaea as ln
from linnaea.cli import main
from linnaea.delivery.answers import FORMATS
from linnaea.delivery.exporters import export
from linnaea.delivery.exporters.predict import Predictor
from linnaea.errors import UsageError
from linnaea.run import Run


def draw(folder, *, ill=70, well=140, seed=0):
    """Squares (ill) and discs (well), small, faint and of any colour, on noisy ground."""
    random = np.random.default_rng(seed)
    for name, count in (("ill", ill), ("well", well)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(random.integers(0, 90, (40, 40, 3), dtype=np.uint8))
            x, y = random.integers(2, 24, 2).tolist()
            side, colour = int(random.integers(5, 14)), tuple(random.integers(60, 220, 3).tolist())
            pen = ImageDraw.Draw(image)
            (pen.rectangle if name == "ill" else pen.ellipse)((x, y, x + side, y + side), fill=colour)
            image.save(folder / name / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("data") / "patients")


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "patients"
    ln.train(photos, out=folder, model="hog", weights="none", aim="recall=0.9", positive="ill", duplicates="exact")
    return folder


def command(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["linnaea", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    captured = capsys.readouterr()
    return stopped.value.code or 0, captured.out + captured.err


def test_the_positive_class_and_the_aim_are_written_down(run):
    record, bundle = (json.loads((run / name).read_text()) for name in ("run.json", "model/classifier.json"))
    assert (record["positive"], record["arguments"]["aim"]) == ("ill", "recall=0.9")
    assert record["dataset"]["classes"] == bundle["classes"] == ["well", "ill"]
    assert bundle["policy"]["aim"] == "recall=0.9"
    assert bundle["provenance"]["positive"] == "ill"
    (told,) = json.loads((run / "findings" / "thresholds.json").read_text())
    assert bundle["policy"]["thresholds"] == [told["rows"][0]["threshold"]]
    assert "The positive class is ill, answered at a probability of" in (run / "model" / "README.md").read_text()


def test_the_aim_is_reached_on_val_and_the_answers_follow_the_threshold(run):
    figures = json.loads((run / "metrics.json").read_text())
    assert figures["val"]["sensitivity"]["value"] >= 0.9
    predictions, classifier = Run.open(run).predictions("test"), ln.load(run)
    yes = predictions.scores()[:, 1] >= classifier.policy.thresholds[0]
    assert predictions.column("label") == np.where(yes, "ill", "well").tolist()
    assert all(row["label"] in row["prediction_set"] for row in predictions.table.to_pylist())


def test_the_report_shows_both_curves_and_the_threshold(run):
    page = (run / "report.html").read_text(encoding="utf-8")
    assert 'id="decision"' in page
    for words in (
        "ROC: share of positives found",
        "Precision: positive answers that are right",
        "“ill” is answered at a probability of",
    ):
        assert words in page
    assert page.count("in use") >= 3
    findings = {finding["name"]: finding for finding in json.loads((run / "findings" / "test.json").read_text())}
    assert findings["operating_points"]["rows"][0]["aim"] == "recall=0.9"
    assert "chosen on val" in findings["operating_points"]["summary"]


def test_whether_the_recall_was_kept_is_told_before_anything_else(run, monkeypatch, capsys):
    promise = json.loads((run / "findings" / "test.json").read_text())[0]
    sensitivity = json.loads((run / "metrics.json").read_text())["test"]["sensitivity"]
    assert promise["name"] == "promise_recall"
    assert {name: promise["figure"][name] for name in ("value", "lo", "hi", "n")} == {
        name: sensitivity[name] for name in ("value", "lo", "hi", "n")
    }
    outcome, _, told = promise["summary"].partition(": ")
    assert outcome in ("Kept", "Missed", "Undecided")
    assert told.startswith("the recall of ill is")
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.index(f"{outcome}:</strong> the recall of ill is") < page.index(
        "correctly, at the threshold for recall=0.9"
    )
    assert "compared on the validation images, by the likelier class, before a threshold was chosen" in page
    assert f"- {promise['summary']}" in (run / "model" / "README.md").read_text()
    monkeypatch.setattr(sys, "argv", ["linnaea", "evaluate", str(run)])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out.startswith(promise["summary"])


def test_training_prints_it_first_and_val_decides_nothing(photos, tmp_path, monkeypatch, capsys):
    words = [
        "train",
        photos,
        "--model",
        "majority",
        "--weights",
        "none",
        "--out",
        tmp_path / "run",
        "--aim",
        "recall=0.9",
    ]
    monkeypatch.setattr(sys, "argv", ["linnaea", *map(str, words)])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out.startswith("Undecided: the recall of well is 100.0 %")
    first = json.loads((tmp_path / "run" / "findings" / "val.json").read_text())[0]
    assert first["summary"].startswith("Not tested: on these images, by which it was chosen, the recall of well")


def test_the_classes_have_the_order_of_the_bundle_in_every_file(run, photos):
    classes = list(ln.load(run).classes)
    assert classes == ["well", "ill"], "the positive one last, against the alphabet"
    for name in ("val", "test"):
        metadata = parquet.read_schema(run / "predictions" / f"{name}.parquet").metadata
        assert json.loads(metadata[b"classes"]) == json.loads(metadata[b"linnaea"])["classes"] == classes
    predictions = Run.open(run).predictions("test")
    yes = np.array(predictions.column("label")) == "ill"
    assert predictions.scores()[yes, 1].min() > predictions.scores()[~yes, 1].max()
    findings = {finding["name"]: finding for finding in json.loads((run / "findings" / "test.json").read_text())}
    assert [row["class"] for row in findings["per_class"]["rows"]] == classes
    answers = ln.predict(run, sorted(photos.rglob("*.png"))[:3])
    assert [list(row["probabilities"]) for row in json.loads(FORMATS["json"](answers, None))] == [classes] * 3


def test_the_exported_file_answers_by_the_same_threshold(run, photos, tmp_path):
    exported = ln.export(run, out=tmp_path / "export")
    assert exported.parity.severity == "info"
    predictor, files = Predictor(exported.folder), sorted(photos.rglob("*.png"))[::9]
    ours = ln.predict(run, files).column("label")
    assert [predictor.predict(file)["label"] for file in files] == ours
    assert set(ours) == {"ill", "well"}


def test_other_shares_are_adapted_to_saved_and_exported(run, photos, tmp_path):
    files = sorted(photos.rglob("*.png"))[::5]
    plain, rare = ln.load(run), ln.adapt_prior(run, {"ill": 0.01})
    assert rare.prior == pytest.approx((0.99, 0.01))
    assert (rare.predict_proba(files)[:, 1] < plain.predict_proba(files)[:, 1]).all()
    assert rare.predict(files).column("label") == plain.predict(files).column("label"), "a recall needs no other images"
    exported = export(rare, "onnx", tmp_path / "export", files)
    assert exported.parity.severity == "info"
    probabilities = [Predictor(exported.folder).score(file)[0] for file in files[:3]]
    assert np.allclose(probabilities, rare.predict_proba(files[:3]), atol=1e-4)
    rare.save(tmp_path / "rare")
    assert np.allclose(ln.load(tmp_path / "rare").predict_proba(files), rare.predict_proba(files))


def test_the_shares_are_estimated_from_images_without_labels(run, photos):
    well = sorted((photos / "well").iterdir())
    adapted = ln.adapt_prior(run, images=well)
    assert adapted.prior[1] < ln.load(run).prior[1] / 2
    assert adapted.provenance["prior"]["how"] == f"estimated from {len(well)} images"
    with pytest.raises(UsageError, match="either the class shares"):
        ln.adapt_prior(run)


def test_what_answers_are_worth_elsewhere_is_printed(run, monkeypatch, capsys):
    code, printed = command(monkeypatch, capsys, "evaluate", run, "--prevalence", "0.01")
    assert code == 0, printed
    assert "ppv_at_prevalence_0.01  0." in printed
    assert "npv_at_prevalence_0.01" in printed
    assert "ppv_at_prevalence_0.01" in json.loads((run / "metrics.json").read_text())["test"]
    page = ln.report(run).read_text(encoding="utf-8")
    assert "Positive predictive value at a prevalence of" in page
    code, printed = command(monkeypatch, capsys, "evaluate", run, "--prevalence", "1")
    assert (code, "prevalence is 1.0; expected a share" in printed) == (2, True)


def test_by_default_the_likelier_class_is_the_answer(photos, tmp_path):
    classifier = ln.train(photos, out=tmp_path / "run", model="majority", weights="none")
    assert classifier.classes == ("ill", "well")
    assert classifier.policy.thresholds == ()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["positive"] == "well"
    assert not (tmp_path / "run" / "findings" / "thresholds.json").exists()


def test_an_impossible_aim_says_the_best_and_resuming_keeps_what_was_trained(photos, tmp_path, monkeypatch, capsys):
    asked = (
        "train",
        photos,
        "--model",
        "majority",
        "--weights",
        "none",
        "--positive",
        "ill",
        "--out",
        tmp_path / "run",
    )
    code, printed = command(monkeypatch, capsys, *asked, "--aim", "precision=0.9")
    assert code == 2
    assert "no threshold reaches precision=0.9 for ill" in printed
    assert "With --resume and another --aim, finished training is kept." in printed
    code, printed = command(monkeypatch, capsys, *asked, "--aim", "youden", "--resume")
    assert code == 0, printed
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], record["arguments"]["aim"]) == ("finished", "youden")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--aim", "recal=0.95"), "unknown aim 'recal'"),
        (("--aim", "recall=2"), "carries '2'"),
        (("--positive", "il"), "unknown class 'il': one of ill, well. Did you mean 'ill'?"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    photos, tmp_path, monkeypatch, capsys, words, message
):
    code, printed = command(monkeypatch, capsys, "train", photos, "--out", tmp_path / "run", *words)
    assert (code, message in printed) == (2, True), printed
    assert not (tmp_path / "run").exists()


def test_an_unknown_aim_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'youden'"):
        ln.train(tmp_path / "nothing here", aim="yuden")


def test_three_classes_have_neither_aim_nor_positive(photos, tmp_path):
    three = tmp_path / "three"
    for name, count in {"ill": 6, "well": 6, "dead": 6}.items():
        (three / name).mkdir(parents=True)
        for file in sorted((photos / ("ill" if name == "dead" else name)).iterdir())[-count:]:
            (three / name / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UsageError, match="the task is multiclass, which needs none"):
        ln.train(three, out=tmp_path / "run", aim="f1")
    with pytest.raises(UsageError, match="has 3 classes and the task multiclass"):
        ln.train(three, out=tmp_path / "run", positive="ill")
    assert not Path(tmp_path / "run").exists()
