"""The whole way with several labels per image, some of them unknown, on images made here."""

import csv
import json
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image, ImageDraw

import linnaea as ln
from linnaea.errors import DataError, UsageError
from linnaea.evidence import figures
from linnaea.evidence.metrics import LABEL_METRICS
from linnaea.run import Run

LABELS = ("disc", "square", "stripe")
POLICY = ["false_negative_rate", "mean_set_size", "unsure_rate", "unfamiliar_rate"]
CALIBRATION = [
    *("ece_equal_mass", "ece_debiased", "mce", "p_calibrated"),
    *("ece_classwise", "brier_reliability", "brier_resolution", "brier_uncertainty"),
]


def picture(there, random):
    """A disc, a square and a stripe, as far as they are there, on noise."""
    image = Image.fromarray(random.integers(0, 120, (40, 40, 3), dtype=np.uint8))
    pen = ImageDraw.Draw(image)
    (x, y), (u, v), line = random.integers(1, 14, 2), random.integers(18, 24, 2), random.integers(0, 40, 2)
    if there[0]:
        pen.ellipse([x, y, x + 14, y + 14], fill=(190, 90, 90))
    if there[1]:
        pen.rectangle([u, v, u + 13, v + 13], fill=(90, 160, 90))
    if there[2]:
        pen.line([0, line[0], 39, line[1]], fill=(110, 110, 210), width=4)
    return image


def draw(folder, count=120, seed=0, unknown=0.1):
    """Images with a table of their labels, a share of which nobody knows; of the fifth nothing is known."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    rows = [("path", "label", "unknown")]
    for number in range(count):
        there = random.random(3) < (0.5, 0.4, 0.35)
        hidden = (random.random(3) < unknown) | (number == 4)
        picture(there, random).save(folder / f"{number:03}.png")
        names = ["|".join(np.array(LABELS)[flags]) + "|" for flags in (there & ~hidden, hidden)]
        rows.append((f"{number:03}.png", names[0], names[1] if hidden.any() else ""))
    write(folder / "labels.csv", rows)
    return folder


def write(file, rows):
    with file.open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    return file


def rows_of(file):
    with file.open(newline="") as handle:
        return list(csv.reader(handle))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("data") / "shapes")


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "hog"
    ln.train(photos, out=folder, model="majority,hog", weights="none", img_size=40, unfamiliar_rate=0.1)
    return folder


@pytest.fixture(scope="module")
def untrained(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "majority"
    ln.train(photos, out=folder, model="majority", weights="none", img_size=40)
    return folder


def finding(run, split, name):
    content = json.loads((run / "findings" / f"{split}.json").read_text())
    return next(entry for entry in content if entry["name"] == name)


def test_the_data_says_that_there_are_several_labels(photos, run):
    dataset = ln.read(photos)
    assert (dataset.task, dataset.classes) == ("multilabel", LABELS)
    assert np.isnan(dataset.targets).any()
    kept = Run.open(run).dataset()
    unknown = dict(zip(dataset.ids, dataset.unknown, strict=True))
    assert kept.unknown == [unknown[path] for path in kept.ids]


def test_every_metric_of_labels_is_measured_and_the_rung_is_chosen_by_map(run):
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    assert sorted(metrics) == sorted([*LABEL_METRICS, *CALIBRATION, *POLICY])
    assert metrics["map"]["value"] > 0.8
    assert metrics["map"]["lo"] < metrics["map"]["value"] <= metrics["map"]["hi"]
    ladder = {row["rung"]: row for row in Run.open(run).read_rows("ladder.csv")}
    assert {row["metric"] for row in ladder.values()} == {"map"}
    assert float(ladder["hog"]["value"]) > float(ladder["majority"]["value"]) + 0.2
    assert ladder["hog"]["chosen"] == "yes"


def test_the_tables_are_about_labels(run):
    rows = finding(run, "test", "per_label")["rows"]
    truth = Run.open(run).predictions("test").targets
    assert [row["label"] for row in rows] == list(LABELS)
    assert [row["n"] for row in rows] == (truth == 1).sum(axis=0).tolist()
    assert [row["known"] for row in rows] == (~np.isnan(truth)).sum(axis=0).tolist()
    policy = json.loads((run / "model" / "classifier.json").read_text())["policy"]
    assert [row["threshold"] for row in rows] == (policy["thresholds"] or [0.5] * 3)
    assert all(row["average_precision_lo"] <= row["average_precision"] <= row["average_precision_hi"] for row in rows)
    mean = np.mean([row["average_precision"] for row in rows])
    assert mean == pytest.approx(json.loads((run / "metrics.json").read_text())["test"]["map"]["value"])
    assert {row["label"] for row in finding(run, "test", "co_occurrence")["rows"]} <= set(LABELS)


def test_what_nobody_knows_is_said_and_plays_no_part(run):
    audit = json.loads((run / "findings" / "audit.json").read_text())
    assert [entry["images"] for entry in audit if entry["name"] == "nothing_known"] == [["004.png"]]
    dataset = Run.open(run).dataset()
    split = dataset.column("split")[dataset.ids.index("004.png")]
    if split != "train":
        assert finding(run, split, "nothing_known")["images"] == ["004.png"]


def test_figures_can_be_computed_anew_from_the_predictions(run):
    predictions = Run.open(run).predictions("test")
    written = json.loads((run / "metrics.json").read_text())["test"]
    for name, figure in figures(predictions).items():
        assert figure.value == pytest.approx(written[name]["value"], nan_ok=True), name


def test_a_run_is_judged_again_and_two_are_compared_by_map(run, untrained):
    evaluation = ln.evaluate(run)
    assert evaluation.figures["map"].value > 0.8
    found = ln.compare(untrained, run)
    assert (found.metric, found.better, found.p_value) == ("map", "hog", None)
    assert found.sentence.startswith("hog is better in `map` than majority on these ")
    assert list(found.differences) == list(LABEL_METRICS)
    assert found.to_json()["task"] == "multilabel"


def test_predictions_are_lists_of_labels_in_every_form(run, photos):
    from linnaea.delivery.answers import FORMATS

    answers = ln.predict(run, [photos / "000.png", photos / "001.png"])
    labels = [answer["label"] for answer in answers]
    assert all(set(names) <= set(LABELS) for names in labels)
    assert [row["label"] for row in json.loads(FORMATS["json"](answers, None))] == labels
    cells = [row["label"] for row in csv.DictReader(FORMATS["csv"](answers, None).splitlines())]
    assert cells == ["|".join(names) + "|" * (len(names) < 2) for names in labels]
    assert (", ".join(labels[0]) or "none of them") in FORMATS["table"](answers, None)


def test_the_exported_script_answers_with_the_same_labels(run, photos):
    exported = ln.export(run)
    assert exported.parity.severity == "info"
    names = [str(photos / f"{number:03}.png") for number in range(12)]
    command = [sys.executable, str(exported.file.parent / "predict.py"), *names]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs, ours = [json.loads(line) for line in out.splitlines()], list(ln.predict(run, names))
    for one, other in zip(theirs, ours, strict=True):
        assert (one["label"], one["reason"]) == (other["label"], other["reason"])
        assert one["prediction_set"] == other["prediction_set"]
        assert one["confidence"] == pytest.approx(other["confidence"], abs=1e-3)


class Words(HTMLParser):
    """The headings and the text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tag, self.headings, self.text = "", [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tag = tag

    def handle_data(self, data):
        self.text += data
        if self.tag == "h2" and data.strip():
            self.headings.append(data)


def test_the_report_speaks_of_labels_and_misses_nothing(run):
    page = Words(ln.report(run).read_text(encoding="utf-8"))
    assert page.headings[1:6] == ["The ladder", "The figures", "Label by label", "What comes together", "Confidence"]
    assert "What it confuses" not in page.headings
    assert "Class by class" not in page.headings
    assert "Missing." not in page.text
    assert "incomplete" not in page.text
    assert "They do not agree" not in page.text
    assert "The hog rung reaches mean average precision 0." in page.text.replace("1.000", "0.")
    assert "of the labels that an image shows it misses at most" in page.text
    assert "share that is present" in page.text
    card = (run / "model" / "README.md").read_text()
    assert "Answers with any of 3 labels, or none: disc, square, stripe." in card


def test_the_report_shows_wrong_labels_with_their_pictures(untrained):
    html = ln.report(untrained).read_text(encoding="utf-8")
    page = Words(html)
    assert "answering the same for every image" in page.text
    assert "readable images have a wrong label" in page.text
    assert "answered although absent, with" in page.text
    assert html.count("data:image/jpeg;base64,") >= 6


def test_a_network_learns_several_labels(photos, tmp_path):
    classifier = ln.train(
        photos, out=tmp_path / "run", model="scratch", weights="none", epochs=2, img_size=32, precision="float32"
    )
    assert classifier.task == "multilabel"
    assert ln.load(tmp_path / "run").predict(photos / "000.png")[0]["label"] is not None
    history = Run.open(tmp_path / "run").read_rows("history.csv")
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert all(np.isfinite(float(row["val_loss"])) for row in history)


def test_a_sheet_shows_each_label_with_all_that_its_picture_shows(photos, tmp_path):
    shown = ln.preview(photos, augment=["flip"], out=tmp_path / "sheet.png", weights="none", img_size=32)
    assert shown.file.is_file()


@pytest.fixture
def others(tmp_path):
    """Other images, whose table is given by rows of path and label."""
    draw(tmp_path / "others", 30, seed=7, unknown=0.0)

    def table(rows, header=("path", "label")):
        write(tmp_path / "others" / "labels.csv", [header, *rows])
        return tmp_path / "others"

    return table


def test_labels_of_other_data_that_nobody_taught_are_dropped_and_others_are_unknown(run, others, caplog):
    rows = [(f"{number:03}.png", ("disc|moon", "moon|", "square|disc")[number % 3]) for number in range(30)]
    classifier = ln.load(run)
    evaluation = ln.evaluate(classifier, others(rows))
    assert "The label moon is unknown to the classifier and left out of the truth." in caplog.text
    assert "The label stripe is not named in" in caplog.text
    predictions = evaluation.predictions
    assert [sorted(names) for names in predictions.column("truth")[:3]] == [["disc"], [], ["disc", "square"]]
    assert predictions.column("unknown") == [["stripe"]] * 30
    assert evaluation.figures["map"].n == 30
    table = next(entry for entry in evaluation.findings if entry.name == "per_label")
    assert table.severity == "warning"
    assert "so that the means over labels leave it out: stripe." in table.summary


def test_a_run_is_judged_on_other_data_of_the_same_labels(run, tmp_path):
    other = draw(tmp_path / "more", 30, seed=3)
    evaluation = ln.evaluate(run, other)
    assert evaluation.figures["map"].value > 0.6
    assert any(path.stem.startswith("more-") for path in (run / "predictions").iterdir())


def test_data_with_strange_labels_only_are_refused(run, others):
    folder = others([(f"{number:03}.png", "moon|" if number % 2 else "sun|") for number in range(30)])
    with pytest.raises(
        DataError, match=r"no image of .* has a class that the classifier knows: the data has moon, sun"
    ):
        ln.evaluate(ln.load(run), folder)


def test_one_label_per_image_is_no_truth_for_several_and_the_reverse(run, others, tmp_path):
    single = others([(f"{number:03}.png", LABELS[number % 3]) for number in range(30)])
    with pytest.raises(DataError, match=r"has one label per image, but the classifier may answer with several: expect"):
        ln.evaluate(run, single)
    ln.train(single, out=tmp_path / "single", model="majority", weights="none", img_size=32)
    assert ln.load(run).predict(ln.read(single)).column("truth") == [None] * 30
    several = others([(f"{number:03}.png", "disc|square") for number in range(30)])
    with pytest.raises(DataError, match=r"has several labels per image, but the classifier answers with one: expected"):
        ln.evaluate(tmp_path / "single", several)


def with_splits(photos, folder, change):
    """The same images with given splits, and rows changed by a function of split and row."""
    (folder / "photos").mkdir()
    header, *rows = rows_of(photos / "labels.csv")
    splits = ["train"] * 70 + ["val"] * 30 + ["test"] * 20
    changed = [[*change(split, row), split] for split, row in zip(splits, rows, strict=True)]
    for row in rows:
        (folder / "photos" / row[0]).symlink_to(photos / row[0])
    write(folder / "photos" / "labels.csv", [[*header, "split"], *changed])
    return folder / "photos"


def without_stripes(split, row):
    path, label, unknown = row
    return (path, label.replace("|stripe", "").replace("stripe|", "|"), unknown) if split == "val" else row


def test_a_label_that_no_val_image_shows_is_left_out_of_map_and_said(photos, tmp_path):
    folder = with_splits(photos, tmp_path, without_stripes)
    ln.train(folder, out=tmp_path / "run", model="majority,hog", weights="none", img_size=32)
    audit = json.loads((tmp_path / "run" / "findings" / "audit.json").read_text())
    assert any("(0 in train, 1 in val, 0 in test)" in entry["summary"] for entry in audit)
    table = finding(tmp_path / "run", "val", "per_label")
    assert [row["average_precision"] is None for row in table["rows"]] == [False, False, True]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    mean = np.mean([row["average_precision"] for row in table["rows"][:2]])
    assert metrics["val"]["map"]["value"] == pytest.approx(mean)
    assert "Missing." not in Words((tmp_path / "run" / "report.html").read_text(encoding="utf-8")).text


def test_a_label_that_no_image_is_known_to_lack_is_an_audit_finding(photos, tmp_path):
    folder = with_splits(photos, tmp_path, without_absent_squares)
    found = {entry.name: entry for entry in ln.audit(folder, weights="none", img_size=32)}
    assert [(row["class"], row["split"]) for row in found["never_absent"].rows] == [("square", "test")]
    assert "For 1 label no image of a split is known to lack it (square)" in found["never_absent"].summary


def without_absent_squares(split, row):
    path, label, unknown = row
    hides = split == "test" and "square" not in label + unknown
    return (path, label, f"{unknown.strip('|')}|square".lstrip("|") + "|") if hides else row


def test_val_images_of_which_nothing_is_known_are_refused(photos, tmp_path):
    folder = with_splits(photos, tmp_path, lambda s, row: (row[0], "|", "|".join(LABELS)) if s == "val" else row)
    with pytest.raises(DataError, match=r"no val image of .* has a known label"):
        ln.train(folder, out=tmp_path / "run", model="majority", weights="none", img_size=32)


def test_one_bar_in_a_table_of_names_is_said(others, caplog):
    caplog.set_level("INFO", "linnaea")
    dataset = ln.read(others([("000.png", "disc"), ("001.png", "disc|square"), ("002.png", "square")]))
    assert dataset.labels == [["disc"], ["disc", "square"], ["square"]]
    assert "2 of 3 labels in" in caplog.text
    assert "have no bar and the others do: an image in that table may show several classes." in caplog.text


def test_balancing_is_for_one_label(photos, tmp_path):
    with pytest.raises(UsageError, match="images have several labels: balance needs one label per image"):
        ln.train(photos, out=tmp_path / "run", model="hog", weights="none", balance="oversample", img_size=32)
