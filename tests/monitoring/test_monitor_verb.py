"""The verb `monitor`: from a log or a folder of images to findings, a file, a page and an exit code."""

import json
import shutil
from datetime import datetime

import numpy as np
import pytest
from material import run as command
from PIL import Image, ImageEnhance

import linnaea
from linnaea.data.images.looks import looks_of
from linnaea.delivery.serving.audit_log import AuditLog, LogPolicy
from linnaea.delivery.serving.contract import Answered
from linnaea.errors import DataError, RunError, UsageError

NOON = 1_780_000_000.0


def draw(folder, count, seed, *, dark=1.0):
    """Stripes that lie or stand, of different light; gives the paths."""
    random, paths = np.random.default_rng(seed), []
    for number in range(count):
        kind = number % 2
        wave = 128 + 90 * np.sin(np.arange(32) * random.uniform(0.5, 1.2) + random.uniform(0, 6))
        pixels = np.tile(wave, (32, 1)) if kind else np.tile(wave, (32, 1)).T
        pixels = np.clip(pixels * random.uniform(0.8, 1.1) + random.normal(0, 20, (32, 32)), 0, 255).astype(np.uint8)
        path = folder / ("standing" if kind else "lying") / f"{seed}-{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        ImageEnhance.Brightness(Image.fromarray(pixels).convert("RGB")).enhance(dark).save(path)
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("monitored")
    for split, count in (("train", 60), ("val", 40), ("test", 80)):
        draw(place / "photos" / split, count, len(split) + count)
    linnaea.train(place / "photos", out=place / "run", model="hog", weights="none", img_size=32, duplicates="exact")
    return place / "run"


@pytest.fixture
def finished(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def logged(folder, run, paths, *, digest=None, key=None, step=60.0, keep=False, name="stripes"):
    """An audit log of what the run answers for images, one after the other; appended to what is there."""
    classifier = linnaea.load(run)
    from linnaea.classifier.content import content_of

    address = digest or content_of(run / "model").address
    answers = classifier.predict([str(path) for path in paths])
    logits, log = answers.scores("logits"), AuditLog(folder, LogPolicy(sync="system", keep_images=keep))
    begun = logged.time = getattr(logged, "time", NOON)
    for place, (path, answer) in enumerate(zip(paths, answers, strict=True)):
        content = path.read_bytes()
        pixels, sha256 = classifier.recipe.decode(content)
        told = {name: answer[name] for name in ("label", "confidence", "prediction_set", "ood_score", "reason")}
        looks = looks_of(pixels, content, 10**6)
        log.answered(
            [
                Answered(
                    f"r{begun:.0f}-{place}",
                    0,
                    begun + place * step,
                    name,
                    address[-6:],
                    address,
                    told,
                    key=key,
                    sha256=sha256,
                    image=content if keep else None,
                    logits=tuple(logits[place]),
                    looks=looks,
                )
            ]
        )
    logged.time = begun + len(paths) * step
    log.close()
    return folder


def test_images_that_became_darker_are_an_alarm_with_a_page(finished, tmp_path, monkeypatch, capsys):
    draw(tmp_path / "new", 40, 1)
    draw(tmp_path / "new" / "z", 40, 2, dark=0.4)
    code = command(["monitor", finished, "--images", tmp_path / "new", "--window", "40", "--json"], monkeypatch)
    content = json.loads(capsys.readouterr().out)
    assert code == 1
    assert content["alarm"]
    overall = content["monitors"]["drift"][0]
    assert [row["alarm"] for row in overall["rows"]] == [False, True]
    assert "darker by 0.2" in overall["summary"]
    written = json.loads((finished / "monitoring" / "monitoring.json").read_text())
    assert written == content
    page = (finished / "monitoring" / "monitoring.html").read_text()
    assert "darker by 0.2" in page
    assert "data:image/jpeg" in page  # of images unlike the reference
    assert "http" not in page.replace("http-equiv", "")


def test_images_like_the_reference_are_no_alarm(finished, tmp_path, monkeypatch, capsys):
    draw(tmp_path / "new", 60, 5)
    code = command(["monitor", finished, "--images", tmp_path / "new", "--window", "60"], monkeypatch)
    said = capsys.readouterr().out
    assert code == 0
    assert "No drift is shown in 1 window;" in said
    assert "monitoring.html" in said


@pytest.mark.slow
def test_a_log_is_looked_at_by_day_and_by_key(finished, tmp_path):
    paths = [*draw(tmp_path / "new", 30, 7), *draw(tmp_path / "dark", 30, 8, dark=0.4)]
    log = logged(tmp_path / "log", finished, paths[:30], step=3_600, key="north", keep=True)
    logged(log, finished, paths[30:], step=3_600, key="south", keep=True)
    found = linnaea.monitor(finished, log=log, window="30h")
    rows = found.found["drift"][0].rows
    assert sum(row["images"] for row in rows) == 60
    assert all(len(row["window"]) == len("2026-05-28 12:00") for row in rows)
    assert found.alarms
    found = linnaea.monitor(finished, log=log, window=60)
    slices = {one.name: one for one in found.found["unlike"]}["different_slices"]
    assert {row["by"] for row in slices.rows} >= {"key"}
    images = {one.name: one for one in found.found["unlike"]}["unlike_images"].images
    assert all(str(log / "images") in path for path in images)


@pytest.mark.slow
def test_answers_of_another_model_are_left_out_and_counted(finished, tmp_path):
    paths = draw(tmp_path / "new", 30, 9)
    log = logged(tmp_path / "log", finished, paths)
    logged(log, finished, paths[:10], digest="linnaea:sha256-" + "0" * 64, name="other")
    found = linnaea.monitor(finished, log=log, window=30)
    assert found.facts["images"] == 30
    other = next(finding for finding in found.findings if finding.name == "other_models")
    assert other.summary == "10 answers of another model are left out: other 000000 (10)."
    logged(tmp_path / "only", finished, paths[:3], digest="linnaea:sha256-" + "1" * 64)
    with pytest.raises(DataError, match="holds no answer of this classifier, but 3 answers of stripes 111111"):
        linnaea.monitor(finished, log=tmp_path / "only")


def test_a_classifier_in_memory_does_not_take_the_answers_of_others_for_its_own(finished, tmp_path):
    paths, reference = draw(tmp_path / "new", 12, 9), finished / "predictions" / "test.parquet"
    log = logged(tmp_path / "log", finished, paths, digest="linnaea:sha256-" + "1" * 64)
    how = {"log": log, "reference": reference, "window": 12, "out": tmp_path / "out"}
    found = {one.name: one for one in linnaea.monitor(linnaea.load(finished), **how).findings}
    assert "those of stripes 111111 (12) are taken" in found["unproven_model"].summary
    logged(log, finished, paths, digest="linnaea:sha256-" + "0" * 64, name="other")
    with pytest.raises(DataError, match=r"holds answers of stripes 111111 \(12\), other 000000 \(12\)"):
        linnaea.monitor(linnaea.load(finished), **how)


@pytest.mark.slow
def test_a_clock_that_was_set_back_and_an_edited_log_are_said(finished, tmp_path, caplog):
    paths = draw(tmp_path / "new", 40, 10)
    log = logged(tmp_path / "log", finished, paths[:20])
    logged.time -= 5_000
    logged(log, finished, paths[20:])
    file = log / "audit-000001.jsonl"
    lines = file.read_text().splitlines()
    lines[3] = lines[3].replace('"confidence":', '"confidence": ', 1)
    file.write_text("\n".join(lines) + "\n")
    found = {finding.name: finding for finding in linnaea.monitor(finished, log=log, window=40).findings}
    assert found["clock"].summary.startswith("The clock was set back 1 time")
    assert "fault" in found["audit_log"].summary
    assert found["drift"].rows[0]["images"] >= 38


def test_without_images_of_the_run_predictions_alone_are_compared(finished, tmp_path):
    paths = draw(tmp_path / "new", 40, 11)
    log = logged(tmp_path / "log", finished, paths)
    reference = finished / "predictions" / "test.parquet"
    found = linnaea.monitor(finished, log=log, reference=reference, window=40)
    assert found.facts["reference_images"] == 80
    names = [finding.name for finding in found.findings]
    assert "drift_pixels" not in names
    assert "drift_class_mix" in names


def test_a_bundle_without_a_run_needs_a_reference(finished, tmp_path):
    bundle = shutil.copytree(finished / "model", tmp_path / "alone")
    draw(tmp_path / "new", 30, 12)
    with pytest.raises(UsageError, match=r"give --reference PREDICTIONS\.parquet"):
        linnaea.monitor(bundle, images=tmp_path / "new")
    reference = finished / "predictions" / "test.parquet"
    found = linnaea.monitor(bundle, images=tmp_path / "new", reference=reference, out=tmp_path / "out")
    assert (tmp_path / "out" / "monitoring.html").is_file()
    assert found.facts["reference"] == str(reference)


def test_one_image_is_not_tested_and_no_alarm(finished, tmp_path, monkeypatch, capsys):
    draw(tmp_path / "new", 1, 13)
    assert command(["monitor", finished, "--images", tmp_path / "new"], monkeypatch) == 0
    assert "the window has 1 images, and fewer than 10 are not tested" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "neither is given"),
        ({"log": "log", "images": "new"}, "both are given"),
        ({"images": "new", "window": "often"}, "expected a number of images, such as 500, or a time"),
        ({"images": "new", "window": 0}, "expected 1 or more"),
        ({"images": "new", "rate": 1.5}, "rate is 1.5"),
        ({"images": "new", "rate": 0.00005}, "no window would ever be an alarm"),
        ({"images": "new", "window": "1d"}, "nobody knows when these images came"),
        ({"images": "new", "reference": "val"}, "ends in .parquet"),
    ],
)
def test_what_cannot_be_is_refused(finished, tmp_path, given, expected, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "new", 20, 14)
    with pytest.raises(UsageError, match=expected):
        linnaea.monitor(finished, **given)


def test_a_reference_of_other_classes_and_a_missing_log_are_refused(finished, tmp_path):
    other = finished / "predictions" / "test.parquet"
    from linnaea.predictions import Predictions

    told = Predictions.read(other)
    changed = Predictions(told.table, ("one", "two"), told.task).write(tmp_path / "other.parquet")
    draw(tmp_path / "new", 20, 15)
    with pytest.raises(UsageError, match="give predictions of this classifier"):
        linnaea.monitor(finished, images=tmp_path / "new", reference=changed)
    with pytest.raises(RunError, match="does not exist"):
        linnaea.monitor(finished, log=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no audit log"):
        linnaea.monitor(finished, log=tmp_path / "empty")


def test_labels_that_came_late_give_accuracy_and_those_of_unknown_requests_are_named(finished, tmp_path):
    paths = draw(tmp_path / "new", 40, 1)
    folder = logged(tmp_path / "log", finished, paths)
    from linnaea.delivery.serving.audit_log import read_log

    records = list(read_log(folder).records)
    rows = [f"{one['request']},{one['place']},{path.parent.name}" for one, path in zip(records, paths, strict=True)]
    late = tmp_path / "late.csv"
    late.write_text("\n".join(["request,place,label", *rows, "nobody,0,lines"]) + "\n")
    found = linnaea.monitor(finished, log=folder, labels=late, window="20")
    told = {finding.name: finding for finding in found.findings}
    right = np.mean([one["answer"]["label"] == path.parent.name for one, path in zip(records, paths, strict=True)])
    assert told["late_accuracy"].figure.value == pytest.approx(right)
    assert [row["window"] for row in told["late_accuracy"].rows] == ["images 1 to 20", "images 21 to 40"]
    assert "'nobody/0'" in told["unknown_requests"].summary
    with pytest.raises(UsageError, match="labels are of requests in a log"):
        linnaea.monitor(finished, images=tmp_path / "new", labels=late)


def test_an_alarm_is_told_once_however_often_it_is_looked_at(finished, tmp_path):
    draw(tmp_path / "new", 60, 2, dark=0.4)
    alerts = tmp_path / "alerts.jsonl"
    for _ in range(2):
        linnaea.monitor(finished, images=tmp_path / "new", window=60, alert=f"file={alerts}")
    told = [json.loads(line) for line in alerts.read_text().splitlines()]
    assert [one["event"] for one in told if one["name"] == "drift"] == ["opened"]
    draw(tmp_path / "usual", 60, 3)
    found = linnaea.monitor(finished, images=tmp_path / "usual", window=60, alert=[f"file={alerts}"])
    assert json.loads(alerts.read_text().splitlines()[-1])["event"] == "over"
    assert "told file" in found.facts["notes"][-1]


def test_what_is_served_live_is_told_as_the_log_tells_it(finished, tmp_path):
    from linnaea.delivery.monitoring.live import Watching, WatchSettings
    from linnaea.delivery.serving.audit_log import read_log
    from linnaea.delivery.serving.models import Source, load_served
    from linnaea.experiments.watched_models import references

    usual, dark = draw(tmp_path / "new", 40, 1), draw(tmp_path / "dark", 40, 2, dark=0.4)
    folder = logged(tmp_path / "log", finished, [*usual, *dark])
    offline = linnaea.monitor(finished, log=folder, window="40", rate=0.02)
    served = load_served(Source.read(str(finished)))
    live = Watching(references([served]), WatchSettings(window=40, rate=0.02))
    live.answered([_answered(record) for record in read_log(folder).records])
    live.settle()
    live.close()
    told = live.findings[served.digest]
    assert list(told) == [name for name in offline.found if name != "log"]
    for name, findings in told.items():
        assert [one.to_json() for one in findings] == [one.to_json() for one in offline.found[name]], name
    assert offline.alarms


def _answered(record):
    time = datetime.fromisoformat(record["time"]).timestamp()
    known = {name: record[name] for name in ("request", "place", "model", "version", "digest", "answer", "sha256")}
    return Answered(time=time, logits=tuple(record["logits"]), looks=record["looks"], **known)


def test_a_model_without_its_run_is_not_watched_and_that_is_said(finished, tmp_path, caplog):
    from linnaea.delivery.serving.models import Source, load_served
    from linnaea.experiments.watched_models import references

    shutil.copytree(finished / "model", tmp_path / "alone")
    served = load_served(Source.read(str(tmp_path / "alone")))
    assert references([served])(served.digest) is None
    assert "nobody knows what it was judged on" in caplog.text
    assert references([])(served.digest) is None
