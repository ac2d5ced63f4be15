"""The whole cycle on real images: served, watched, reviewed, trained again, compared, checked, promoted, taken back."""

import json
from pathlib import Path

import numpy as np
import pytest
from material import run
from PIL import Image

import linnaea
from linnaea.classifier.content import content_of
from linnaea.data.images.looks import looks_of
from linnaea.data.review import Facts, ReviewFolder
from linnaea.delivery.serving.audit_log import AuditLog, LogPolicy
from linnaea.delivery.serving.contract import Answered
from linnaea.errors import DataError, RegistryError, RunError
from linnaea.experiments.digits import write_digits

pytestmark = pytest.mark.slow
DIGITS = ("1", "4", "7")
OLD = (("train", 40), ("val", 20), ("test", 50))
QUICK = {"model": "hog", "weights": "none"}
WAIVED = {  # what so few and so small images cannot show
    "lighting": "the other camera is the trial",
    "occlusion": "eight pixels wide",
    "damage": "eight pixels wide",
    "strangers": "eight pixels wide",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Handwritten digits as they were trained on, others by another camera, which lies on its side, and the run."""
    root = tmp_path_factory.mktemp("cycle")
    write_digits(root / "digits")
    rows, new = ["path,label,split"], []
    for label in DIGITS:
        files = sorted((root / "digits" / label).glob("*.png"))
        start = 0
        for split, count in OLD:
            rows += [f"{label}/{file.name},{label},{split}" for file in files[start : start + count]]
            start += count
        new += [(file, label) for file in files[start:]]
    (root / "digits" / "old.csv").write_text("\n".join(rows) + "\n")
    for file, label in new:
        turned = Image.open(file).convert("RGB").rotate(90)
        tinted = np.asarray(turned) * np.array([0.5, 0.8, 1.0])
        (root / "camera" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(tinted.astype(np.uint8)).save(root / "camera" / label / file.name)
    linnaea.train(root / "digits" / "old.csv", out=root / "runs" / "digits", **QUICK)
    return root


@pytest.fixture(scope="module")
def log(place):
    """What a server would have logged of the images of the new camera, which it keeps."""
    bundle = place / "runs" / "digits" / "model"
    classifier, digest = linnaea.load(bundle), content_of(bundle).address
    paths = sorted((place / "camera").rglob("*.png"), key=lambda path: path.name)
    answers = classifier.predict([str(path) for path in paths])
    logits, audit_log = answers.scores("logits"), AuditLog(place / "log", LogPolicy(sync="system", keep_images=True))
    for number, (path, answer) in enumerate(zip(paths, answers, strict=True)):
        image = path.read_bytes()
        pixels, sha256 = classifier.recipe.decode(image)
        told = {name: answer[name] for name in ("label", "confidence", "prediction_set", "ood_score", "reason")}
        audit_log.answered(
            [
                Answered(
                    f"r-{number}",
                    0,
                    1_780_000_000 + number,
                    "digits",
                    "1",
                    digest,
                    told,
                    sha256=sha256,
                    image=image,
                    logits=tuple(logits[number]),
                    looks=looks_of(pixels, image, 10**6),
                )
            ]
        )
    audit_log.close()
    return place / "log"


def reviewed(place, log, folder, label_of):
    """Every image that the server kept, labelled by somebody who knows."""
    truth = {path.read_bytes(): path.parent.name for path in (place / "camera").rglob("*.png")}
    review = ReviewFolder(folder)
    for path in sorted((log / "images").iterdir()):
        image = path.read_bytes()
        review.file(image, label_of(truth[image]), Facts(reason="unsure"))
    return folder


def test_the_whole_cycle(place, log, tmp_path, monkeypatch, capfd):
    old, models = place / "runs" / "digits", str(tmp_path / "models" / "digits")
    assert run(["retrain", old, "--when", "labels:10,drift"], monkeypatch) == 0
    told = capfd.readouterr().out
    assert "silent" in told
    assert "is not trained again: nothing calls for it." in told
    assert run(["monitor", old, "--log", log, "--window", "100"], monkeypatch) == 1, "it is an alarm"
    with pytest.raises(DataError, match=r"should be trained again \(drift: Drift in .*no reviewed labels were given"):
        linnaea.retrain(old, when=["drift"], place=models)
    assert not (tmp_path / "models").exists()
    found = json.loads((old / "monitoring" / "monitoring.json").read_text())
    other = tmp_path / "monitoring.json"
    strange = {"name": "wasps", "classifiers": ["linnaea:sha256-" + "0" * 64]}
    other.write_text(json.dumps(found | strange))  # as of an export elsewhere
    with pytest.raises(DataError, match=r"should be trained again \(drift"):
        linnaea.retrain(old, when=["drift"], monitoring=other)
    other.write_text(json.dumps(found | strange | {"provenance": {"run": "wasps"}}))
    with pytest.raises(DataError, match="was found of wasps, which is not the classifier of"):
        linnaea.retrain(old, when=["drift"], monitoring=other)
    review = reviewed(place, log, tmp_path / "review", str)
    out = tmp_path / "runs" / "digits-2"
    words = ["retrain", old, "--review", review, "--when", "drift", "--out", out, "--place", models, "--json"]
    rules = [f'[{name}]\nwaived = "{reason}"\n' for name, reason in WAIVED.items()]
    (tmp_path / "check.toml").write_text("\n".join(rules))
    capfd.readouterr()
    code = run([*words, "--margin", "0.1", "--rules", tmp_path / "check.toml"], monkeypatch)
    told = capfd.readouterr()
    assert code == 0, told
    decision = json.loads(told.out)
    assert decision["outcome"] == "promoted"
    assert [reason["name"] for reason in decision["reasons"]] == ["old_test", "new_test", "check"]
    assert all(reason["holds"] for reason in decision["reasons"])
    assert decision["called"]["drift"]["calls"]
    found = decision["comparisons"]["new"]["values"]
    assert found["new"]["value"] > found["old"]["value"] + 0.2
    assert decision == json.loads((out / "retraining.json").read_text())
    assert decision["sentence"] in (out / "retraining.html").read_text()
    assert "retrained" in (out / "report.html").read_text()
    nothing_leaks(old, out)
    assert linnaea.diff(old, out).counts == {"added": decision["data"]["changes"]["added"]}
    served = linnaea.load(linnaea.pull(f"{models}@production", tmp_path / "served").folder)
    assert served.provenance == linnaea.load(out).provenance
    assert run(["rollback", models, "--reason", "too slow"], monkeypatch) == 0
    capfd.readouterr()
    back = linnaea.load(linnaea.pull(f"{models}@production", tmp_path / "back").folder)
    assert back.provenance == linnaea.load(old).provenance
    more = ReviewFolder(tmp_path / "more")
    for number, file in enumerate(sorted((place / "digits" / "0").glob("*.png"))[:30]):
        more.file(file.read_bytes(), DIGITS[number % 3])
    with pytest.raises(RegistryError, match=r"is version 1, which is not the classifier of .*digits-2"):
        linnaea.retrain(out, review=more.folder, when=["always"], place=models)


def nothing_leaks(old, out):
    """What was tested once is never trained on, and no image is in two splits."""
    before, after = linnaea.Run.open(old).dataset(), linnaea.Run.open(out).dataset()
    pairs = [dict(zip(each.column("sha256"), each.column("split"), strict=True)) for each in (before, after)]
    assert pairs[0].items() <= pairs[1].items()
    assert len(pairs[1]) == len(after)


def test_wrong_labels_are_kept_back_and_the_old_run_stays_in_use(place, log, tmp_path, monkeypatch, capfd):
    old, models = place / "runs" / "digits", str(tmp_path / "models" / "digits")
    random = np.random.default_rng(0)
    review = reviewed(place, log, tmp_path / "review", lambda _: str(random.choice(DIGITS)))
    out = tmp_path / "runs" / "digits-2"
    linnaea.push(old, models, tag="production")
    words = ["retrain", old, "--review", review, "--when", "labels:100", "--out", out, "--place", models]
    assert run([*words, "--margin", "0.01"], monkeypatch) == 1
    told = capfd.readouterr()
    assert "is kept back" in told.out
    assert "fails" in told.out
    decision = json.loads((out / "retraining.json").read_text())
    assert decision["moved"] is None
    found = linnaea.monitor(old, log=log, window=100)
    assert found.alarms, "the log is still that of the run, into which the push wrote a bill of materials"
    pulled = linnaea.pull(f"{models}@production", tmp_path / "served")
    assert pulled.version.number == 1
    assert linnaea.load(pulled.folder).provenance == linnaea.load(old).provenance


def test_what_was_stopped_between_training_and_decision_is_decided(place, log, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    old, out = place / "runs" / "digits", tmp_path / "runs" / "digits-2"
    asked = {"review": reviewed(place, log, tmp_path / "review", str), "when": ["always"], "out": out}
    with monkeypatch.context() as patched:
        patched.setattr("linnaea.experiments.retraining.carrying_out.judged", killed)
        with pytest.raises(KeyboardInterrupt):
            linnaea.retrain(old, **asked)
    trained = (out / "model" / "classifier.json").read_bytes()
    found = linnaea.retrain(old, **asked, resume=True)
    assert found.judged is not None
    assert (out / "retraining.json").is_file()
    assert (out / "model" / "classifier.json").read_bytes() == trained
    with pytest.raises(RunError, match="already finished"):
        linnaea.retrain(old, **asked, resume=True)


def test_on_real_photos_where_there_are_some(photo_sets, tmp_path):
    """Ants and bees, and then a camera with a colour cast; what is decided has its reasons, whichever way it falls."""
    source = photo_sets / "hymenoptera"
    files = sorted(path for path in source.rglob("*.jpg"))
    if len(files) < 300:
        pytest.skip("the hymenoptera photos are not among the sets")
    rows = ["path,label,split"]
    photos, review = tmp_path / "photos", ReviewFolder(tmp_path / "review")
    for number, file in enumerate(files):
        label = file.parent.name
        if number % 3:
            name = f"{label}-{number}.jpg"
            photos.mkdir(exist_ok=True)
            Image.open(file).convert("RGB").resize((96, 96)).save(photos / name)
            rows.append(f"{name},{label},{('train', 'train', 'val', 'test')[number % 4]}")
        else:
            cast = np.asarray(Image.open(file).convert("RGB").resize((96, 96))) * np.array([0.4, 0.6, 1.0])
            place = tmp_path / "cast.jpg"
            Image.fromarray(cast.astype(np.uint8)).save(place)
            review.file(place.read_bytes(), label)
    (photos / "photos.csv").write_text("\n".join(rows) + "\n")
    linnaea.train(photos / "photos.csv", out=tmp_path / "old", **QUICK)
    found = linnaea.retrain(
        tmp_path / "old",
        review=review.folder,
        when=["labels:50"],
        out=tmp_path / "new",
        place=str(tmp_path / "m" / "bees"),
    )
    assert found.outcome in ("promoted", "kept back")
    assert {reason.name for reason in found.judged.reasons} == {"old_test", "new_test", "check"}
    assert (found.moved is not None) == all(reason.holds for reason in found.judged.reasons)
    nothing_leaks(tmp_path / "old", Path(tmp_path / "new"))
