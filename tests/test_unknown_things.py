"""Images of nothing that was learnt: held out, judged, discovered and grown by, through the verbs."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from material import run as command
from PIL import Image

import linnaea as ln
from linnaea.errors import DataError, RunError, UsageError
from linnaea.learning.losses import LOSSES
from linnaea.learning.losses.cross_entropy import cross_entropy
from linnaea.run import Run

KNOWN = {"red": (190, 40, 40), "green": (40, 170, 50), "blue": (40, 60, 190)}
UNKNOWN = {"yellow": (220, 210, 40), "violet": (170, 40, 180)}


def paint(folder, colours, count=40, seed=0):
    """Stripes of a colour, in a direction that belongs to it; one class per colour."""
    generator = np.random.default_rng(seed)
    down, across = np.mgrid[:32, :32]
    for name, colour in colours.items():
        angle = np.pi * [*KNOWN, *UNKNOWN].index(name) / len(KNOWN | UNKNOWN)
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            turned = angle + generator.normal(0, 0.06)
            waves = np.sin((np.cos(turned) * across + np.sin(turned) * down) * 0.8 + generator.uniform(0, 6))
            pixels = np.array(colour) * (0.7 + 0.3 * waves[..., None]) + generator.normal(0, 6, (32, 32, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return paint(tmp_path_factory.mktemp("data") / "colours", KNOWN | UNKNOWN)


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    """Trained on three colours; two were held out."""
    folder = tmp_path_factory.mktemp("runs") / "colours"
    ln.train(photos, out=folder, model="hog", weights="none", hold_out=list(UNKNOWN), seed=1)
    return folder


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """Other images of the colours that were held out, in one folder."""
    return paint(tmp_path_factory.mktemp("strange") / "found", UNKNOWN, count=20, seed=7)


def test_held_out_classes_are_left_out_of_training_and_told_from_the_known(run):
    opened = Run.open(run)
    dataset = opened.dataset()
    assert set(dataset.classes) == set(KNOWN)
    held = [entry for entry in dataset.excluded if entry.reason == "held out as an unknown class"]
    assert Counter(entry.label for entry in held) == dict.fromkeys(UNKNOWN, 40)
    figures = json.loads((run / "metrics.json").read_text())["openset"]
    assert figures["auroc"]["value"] > 0.9
    assert figures["auroc"]["lo"] <= figures["auroc"]["value"] <= figures["auroc"]["hi"]
    assert 0 <= figures["known_rejected"]["value"] <= 0.4
    answers = opened.predictions("openset")
    assert len(answers) == 80
    told = [finding["name"] for finding in json.loads((run / "findings" / "openset.json").read_text())]
    expected = ["openset", "openset_distribution", "strangest_known", "most_familiar_unknown", "openset_scores"]
    assert told == expected


def test_every_score_is_compared_and_the_chosen_one_marked(run):
    findings = json.loads((run / "findings" / "openset.json").read_text())
    rows = findings[-1]["rows"]
    assert [row["score"] for row in rows if row["chosen"]] == ["blend"]
    assert {"energy", "knn", "max_softmax", "vim", "mahalanobis"} <= {row["score"] for row in rows}
    assert [row["auroc"] for row in rows] == sorted((row["auroc"] for row in rows), reverse=True)


def test_the_report_has_a_section_of_unknown_pictures(run):
    page = (run / "report.html").read_text()
    assert "What it does not know" in page
    assert "Against the classes that were held out" in page
    assert "strangers0" in page


def test_the_score_is_chosen_by_name(photos, strange, tmp_path):
    chosen = ln.train(photos, out=tmp_path / "knn", model="hog", weights="none", ood="knn")
    assert chosen.familiarity.kind == "knn"
    none = ln.train(photos, out=tmp_path / "none", model="hog", weights="none", ood="none")
    assert none.familiarity is None
    assert set(none.predict(sorted(photos.rglob("*.png"))[:5]).column("reason")) <= {"ok", "unsure"}
    with pytest.raises(UsageError, match="nothing is unfamiliar"):
        ln.discover(tmp_path / "none", photos)
    with pytest.raises(DataError, match="no familiarity score"):
        ln.evaluate(tmp_path / "none", unknown=strange)


def test_a_folder_of_other_pictures_is_judged_as_unknown(run, strange, monkeypatch, capsys):
    assert command(["evaluate", run, "--unknown", strange, "--json"], monkeypatch) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["auroc"]["value"] > 0.9
    assert figures["auroc"]["n"] >= 40
    files = sorted(path.stem for path in (run / "findings").glob("openset-found-*.json"))
    assert len(files) == 1
    assert (run / "predictions" / f"{files[0]}.parquet").is_file()
    assert files[0] in json.loads((run / "metrics.json").read_text())
    ln.report(run)
    assert "Against the images of found" in (run / "report.html").read_text()


def test_a_classifier_alone_is_judged_by_unknown_pictures_too(run, strange, photos):
    known = ln.read(photos)
    evaluation = ln.evaluate(ln.load(run), known, unknown=strange)
    assert evaluation.figures["auroc"].value > 0.9
    assert any(finding.name == "openset" for finding in evaluation.findings)


def test_the_runs_own_images_are_not_judged_as_unknown(run, photos, caplog):
    with pytest.raises(DataError, match="belongs to the run"):
        ln.evaluate(run, unknown=photos / "red")


def test_an_unreadable_picture_is_left_out_and_said(run, strange, tmp_path):
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for number, path in enumerate(sorted(strange.rglob("*.png"))[:6]):
        (mixed / f"{number}.png").write_bytes(path.read_bytes())
    (mixed / "broken.png").write_bytes(b"no picture")
    evaluation = ln.evaluate(run, unknown=mixed)
    (summary,) = [finding.summary for finding in evaluation.findings if finding.name == "openset"]
    assert "1 unreadable images are left out" in summary


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"hold_out": ["rad"]}, r"unknown class 'rad' to hold out: one of .*Did you mean 'red'"),
        ({"hold_out": ["red", "green", "blue", "yellow"]}, "two are needed"),
        ({"ood": "enregy"}, "energy"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(photos, tmp_path, words, message):
    with pytest.raises((UsageError, DataError), match=message):
        ln.train(photos, out=tmp_path / "run", model="hog", weights="none", **words)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def found(run, strange, tmp_path_factory):
    return ln.discover(run, strange, out=tmp_path_factory.mktemp("found") / "groups")


def test_unfamiliar_pictures_are_grouped_by_what_they_show(found):
    groups = {
        folder.name: Counter(Path(name.name).stem and _colour(name) for name in folder.iterdir())
        for folder in sorted(found.folder.iterdir())
    }
    assert len(groups) == 2
    assert all(len(colours) == 1 for colours in groups.values())
    assert {next(iter(colours)) for colours in groups.values()} == set(UNKNOWN)
    assert [row["images"] for row in found.finding.rows] == sorted(
        (sum(colours.values()) for colours in groups.values()), reverse=True
    )
    with Image.open(found.sheet) as sheet:
        assert sheet.width > 500


def _colour(path):
    with Image.open(path) as image:
        mean = np.asarray(image).reshape(-1, 3).mean(axis=0)
    return min(UNKNOWN, key=lambda name: np.abs(mean - UNKNOWN[name]).sum())


def test_a_classifier_grows_by_what_was_discovered(run, strange, tmp_path, monkeypatch, capsys):
    groups = tmp_path / "groups"
    assert command(["discover", run, strange, "--out", groups], monkeypatch) == 0
    assert f"linnaea grow {run} {groups}" in capsys.readouterr().out
    for folder in sorted(groups.iterdir()):
        folder.rename(groups / _colour(next(folder.iterdir())))
    assert command(["grow", run, groups, "--out", tmp_path / "grown"], monkeypatch) == 0
    grown = ln.load(tmp_path / "grown")
    assert grown.classes == (*sorted(KNOWN), *sorted(UNKNOWN))
    before = ln.load(run)
    for name, value in before.model.state_dict().items():
        if not name.startswith("classifier."):
            assert value.equal(grown.model.state_dict()[name]), "what it sees with stays as it is"
    record = Run.open(tmp_path / "grown").record()
    assert record["arguments"]["grown_from"] == str(run.resolve())
    own = Run.open(run).dataset()
    old = dict(zip(own.ids, own.column("split"), strict=True))
    dataset = Run.open(tmp_path / "grown").dataset()
    new = dict(zip(dataset.ids, dataset.column("split"), strict=True))
    assert {path: new[path] for path in old} == old, "images of the run stay in their splits"
    figures = json.loads((tmp_path / "grown" / "metrics.json").read_text())
    assert figures["test"]["accuracy"]["value"] > 0.85
    (cost,) = json.loads((tmp_path / "grown" / "findings" / "grown.json").read_text())
    assert [row["class"] for row in cost["rows"]] == sorted(UNKNOWN)
    assert "New: violet, yellow." in cost["summary"]
    ln.export(tmp_path / "grown", "onnx")


def test_one_new_class_is_enough_and_more_images_of_a_known_one_too(run, tmp_path):
    more = paint(tmp_path / "more", {"yellow": UNKNOWN["yellow"], "red": KNOWN["red"]}, count=12, seed=3)
    (tmp_path / "one").mkdir()
    (more / "yellow").rename(tmp_path / "one" / "yellow")
    assert ln.grow(run, tmp_path / "one", out=tmp_path / "a").classes == (*sorted(KNOWN), "yellow")
    assert Run.open(run).record()["test_opened"][-1]["by"] == "grow into a"
    grown = ln.grow(run, more, out=tmp_path / "b")
    assert grown.classes == tuple(sorted(KNOWN))
    assert len(Run.open(tmp_path / "b").dataset()) == len(Run.open(run).dataset()) + 12


def test_a_copy_of_an_image_of_the_run_joins_its_split(run, photos, tmp_path):
    dataset = Run.open(run).dataset()
    test = dataset.split("test")
    copies = tmp_path / "copies" / test.labels[0]
    copies.mkdir(parents=True)
    (copies / "again.png").write_bytes(test.paths[0].read_bytes())
    paint(tmp_path / "copies", {"yellow": UNKNOWN["yellow"]}, count=10, seed=5)
    ln.grow(run, tmp_path / "copies", out=tmp_path / "grown")
    grown = Run.open(tmp_path / "grown").dataset()
    splits = dict(zip(grown.ids, grown.column("split"), strict=True))
    assert splits[(copies / "again.png").resolve().as_posix()] == "test"


def test_what_was_held_out_and_is_learnt_is_no_stranger_any_more(run, photos, tmp_path):
    half = _copied(photos, tmp_path / "copied", ["yellow"])
    ln.grow(run, half, out=tmp_path / "grown")
    known = Run.open(tmp_path / "grown").predictions("openset")
    assert set(known.column("truth")) == {"violet"}
    ln.grow(run, _copied(photos, tmp_path / "all", UNKNOWN), out=tmp_path / "whole")
    assert "openset" not in json.loads((tmp_path / "whole" / "metrics.json").read_text())


def _copied(photos, folder, names):
    for name in names:
        (folder / name).mkdir(parents=True)
        for path in (photos / name).glob("*.png"):
            (folder / name / path.name).write_bytes(path.read_bytes())
    return folder


def test_nothing_to_discover_is_said(run, photos, tmp_path):
    with pytest.raises(DataError, match="nothing to discover"):
        ln.discover(run, photos / "red", out=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    strange = paint(tmp_path / "few", {"yellow": UNKNOWN["yellow"]}, count=3)
    with pytest.raises(DataError, match="no group of them has 5"):
        ln.discover(run, strange, out=tmp_path / "none")
    with pytest.raises(UsageError, match="expected 2 images or more"):
        ln.discover(run, strange, smallest=1)
    ln.discover(run, strange, out=tmp_path / "some", smallest=2)
    with pytest.raises(UsageError, match="already exists"):
        ln.discover(run, strange, out=tmp_path / "some", smallest=2)


def test_with_several_labels_strangers_are_judged_and_grouped_but_nothing_grows(photos, strange, tmp_path):
    own = sorted(path for name in KNOWN for path in (photos / name).glob("*.png"))
    lines = ["path,label", *(f"{path.parent.name}/{path.name},{path.parent.name}|" for path in own)]
    (photos / "several.csv").write_text("\n".join(lines) + "\n")
    ln.train(photos / "several.csv", out=tmp_path / "run", model="hog", weights="none")
    figures = ln.evaluate(tmp_path / "run", unknown=strange).figures
    assert figures["auroc"].value > 0.9
    assert figures["oscr"].value <= figures["auroc"].value
    found = ln.discover(tmp_path / "run", strange, out=tmp_path / "found")
    assert {row["group"] for row in found.finding.rows} == {folder.name for folder in found.folder.iterdir()}
    with pytest.raises(UsageError, match="each image must have one label"):
        ln.grow(tmp_path / "run", photos)
    with pytest.raises(UsageError, match="beside others"):
        ln.train(photos / "several.csv", out=tmp_path / "held", model="hog", weights="none", hold_out=["red"])


def test_growing_needs_a_finished_run_that_looks_at_pictures(photos, tmp_path):
    ln.train(photos, out=tmp_path / "majority", model="majority", weights="none")
    with pytest.raises(UsageError, match="does not look at the images"):
        ln.grow(tmp_path / "majority", photos, out=tmp_path / "grown")
    with pytest.raises(RunError, match="does not exist"):
        ln.grow(tmp_path / "nowhere", photos)


def test_what_grows_learns_by_the_loss_of_the_run(photos, tmp_path):
    ln.train(photos, out=tmp_path / "run", model="hog", weights="none", loss="focal:5", hold_out=["yellow", "violet"])
    more = paint(tmp_path / "more", {"yellow": UNKNOWN["yellow"]}, count=15, seed=3)
    heads = [ln.grow(tmp_path / "run", more, out=tmp_path / "focal").model.classifier.weight]
    record = Run.open(tmp_path / "run").record()
    assert Run.open(tmp_path / "focal").record()["arguments"]["loss"] == "focal:5"
    Run.open(tmp_path / "run").update(arguments=record["arguments"] | {"loss": None})
    heads.append(ln.grow(tmp_path / "run", more, out=tmp_path / "usual").model.classifier.weight)
    assert not np.allclose(heads[0].detach(), heads[1].detach(), rtol=0.05)


def test_a_loss_that_the_grown_data_has_no_use_for_is_dropped_with_a_warning(tmp_path, caplog):
    two = paint(tmp_path / "two", {name: KNOWN[name] for name in ("red", "green")}, count=20)
    with LOSSES.restored():
        LOSSES.register("of_two", tasks=("binary",))(lambda logits, targets, context: cross_entropy(logits, targets))
        ln.train(two, out=tmp_path / "run", model="hog", weights="none", loss="of_two")
        more = paint(tmp_path / "more", {"blue": KNOWN["blue"]}, count=15)
        ln.grow(tmp_path / "run", more, out=tmp_path / "grown")
    assert "The loss of_two of the run is dropped: it is not for multiclass data, as these." in caplog.messages
    assert Run.open(tmp_path / "grown").record()["arguments"]["loss"] is None


def test_a_compact_network_grows(photos, tmp_path):
    ln.train(photos, out=tmp_path / "net", model="scratch", weights="none", epochs=2, hold_out=["yellow"])
    more = paint(tmp_path / "more", {"yellow": UNKNOWN["yellow"]}, count=15, seed=3)
    grown = ln.grow(tmp_path / "net", more, out=tmp_path / "grown")
    assert "yellow" in grown.classes
    again = ln.load(tmp_path / "grown")
    images = sorted(photos.rglob("*.png"))[:8]
    np.testing.assert_allclose(again.predict_proba(images), grown.predict_proba(images), atol=1e-6)
