"""`linnaea explain` with checks: a planted mark is found, a method that shows nothing learnt is labelled."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from material import smooth
from PIL import Image

import linnaea
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.data.images.boxes import box_in_square
from linnaea.data.images.decoding import square
from linnaea.data.images.pixels import Recipe
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError
from linnaea.evidence.explanation import EXPLAINERS, Maps, Settings, Subject, run_explainer
from linnaea.evidence.explanation.checks.running import check_maps, seen_of
from linnaea.evidence.explanation.checks.unlearning import shuffled
from linnaea.models.compact import Compact

SIDE = 32


def marked(folder, count, seed=0):
    """Noise of two classes, all of the first with a bright mark in the lower left corner; the split is by turns."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        pixels = random.integers(60, 120, (SIDE, SIDE, 3), dtype=np.uint8)
        label = ("ruler", "plain")[number % 2]
        if label == "ruler":
            pixels[-8:-1, 1:8] = 20
            pixels[-8:-1, 1:8:2] = 250
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
        split = ("train", "train", "val", "test")[number // 2 % 4]
        rows.append({"path": f"{number:03}.png", "label": label, "split": split})
    return Dataset(pa.Table.from_pylist(rows), ("plain", "ruler"), "binary", folder)


@pytest.fixture(scope="module")
def marks(tmp_path_factory):
    """Images with a mark, and the run of a classical classifier that has learnt it."""
    place = tmp_path_factory.mktemp("marks")
    dataset = marked(place / "images", 128)
    linnaea.train(dataset, out=place / "run", model="hog+svm", img_size=SIDE)
    return dataset, place / "run"


def test_a_planted_mark_is_found_by_explaining_a_classifier_without_gradients(marks, tmp_path):
    dataset, run = marks
    made = linnaea.explain(run, dataset, method=["occlusion"], samples=49, most=40, out=tmp_path / "out")
    found = {finding.name: finding for finding in made.findings}
    shortcut = found["explanation_shortcuts"]
    assert shortcut.severity == "warning"
    assert "'ruler' look at the lower left corner" in shortcut.summary
    named = next(row for row in shortcut.rows if row["class"] == "ruler")
    assert named["changed"] > named["covered"] / 2
    assert named["changed_opposite"] == 0
    assert found["explanation_randomisation"].rows[0]["outcome"] == "passed"
    assert not made.flaws
    assert {"checks/randomisation/occlusion/its answers/rank_correlation"} <= set(made.arrays())
    assert "lower left corner" in made.page.read_text()
    assert '<figure class="mean-map">' in made.page.read_text()


@pytest.fixture
def edges():
    """An explainer that shows where the image changes, whatever was learnt."""

    def explain(subject, pixels, targets, settings):
        return Maps(np.abs(np.gradient(pixels.mean(axis=3), axis=1)).astype(np.float32), "no network is asked")

    with EXPLAINERS.restored():
        EXPLAINERS.register("edges", title="Edges", meaning="Where it changes.", kind="map", needs="answers")(explain)
        yield


def test_a_map_of_the_image_alone_is_labelled_on_the_picture_and_the_page(marks, edges, tmp_path):
    dataset, run = marks
    made = linnaea.explain(run, dataset, method=["edges", "occlusion"], samples=16, most=6, out=tmp_path / "out")
    assert list(made.flaws) == ["edges"]
    assert made.flaws["edges"].startswith("Fails the sanity check: rank correlation")
    assert "Fails the sanity check" in made.page.read_text()
    sizes = {}
    for name in ("edges", "occlusion"):
        with Image.open(next((tmp_path / "out" / name).glob("*.png"))) as picture:
            sizes[name] = picture.size
    assert sizes["edges"][1] > sizes["edges"][0]  # the sentence stands below the map
    assert sizes["occlusion"][1] == sizes["occlusion"][0]


def test_boxes_are_compared_with_where_maps_point(marks, tmp_path):
    dataset, run = marks
    boxes = tmp_path / "boxes.csv"
    lines = [f"{path},1,24,8,31" for path, label in zip(dataset.ids, dataset.labels, strict=True) if label == "ruler"]
    boxes.write_text("\n".join(["path,left,top,right,bottom", *lines]))
    made = linnaea.explain(
        run, dataset, method="occlusion", samples=49, most=20, check="pointing", boxes=boxes, out=tmp_path / "out"
    )
    (found,) = [finding for finding in made.findings if finding.name == "explanation_pointing"]
    assert found.rows[0]["hits"] > 0.6
    assert found.rows[0]["outcome"] == "passed"
    assert any("Boxes say where the object is on" in note for note in made.notes)


BAD_BOXES = {
    "path,left,top,right\na,1,2,3": "has no column 'bottom'",
    "path,left,top,right,botom\na,1,2,3,4": "Did you mean 'botom'",
    "path,left,top,right,bottom\na,1,2,three,4": "line 2 of .* expected a path and four numbers",
    "path,left,top,right,bottom\na,5,2,3,4": "has no area",
    "path,left,top,right,bottom\na,nan,2,3,4": "has no area",
    "path,left,top,right,bottom\n": "has no rows",
    "path,left,top,right,bottom\nother.png,1,2,3,4": "has a box within what is seen",
}


@pytest.mark.parametrize("text", BAD_BOXES)
def test_boxes_that_are_none_are_refused(marks, text, tmp_path):
    dataset, run = marks
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(DataError, match=BAD_BOXES[text]):
        linnaea.explain(run, dataset, method="occlusion", samples=4, most=2, boxes=tmp_path / "boxes.csv")
    assert not (run / "explanations").exists()


def test_a_mistyped_check_is_refused_with_a_suggestion(marks):
    with pytest.raises(UsageError, match="Did you mean 'deletion'"):
        linnaea.explain(marks[1], check="delettion")


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_boxes_follow_the_pixels_of_the_image(fit):
    photo = Image.new("RGB", (60, 40), "black")
    photo.paste((255, 255, 255), (20, 10, 40, 30))
    seen = np.asarray(square(photo, 30, fit))[..., 0] > 128
    left, top, right, bottom = (round(edge) for edge in box_in_square((20, 10, 40, 30), 60, 40, 30, fit))
    inside = np.zeros_like(seen)
    inside[top:bottom, left:right] = True
    assert (seen == inside).mean() > 0.97


def test_what_was_found_stands_in_the_report_of_the_run(marks, tmp_path):
    dataset, run = marks
    linnaea.explain(run, dataset, method="occlusion", samples=49, most=40)
    names = [finding["name"] for finding in json.loads((run / "findings" / "explanation.json").read_text())]
    assert {"explanation_randomisation", "explanation_shortcuts"} <= set(names)
    page = Path(linnaea.report(run)).read_text()
    assert "Where it looks" in page
    assert '<figure class="mean-map">' in page


def outcomes_of(model, side, methods, images):
    """What the sanity check says of methods, and the flaws it finds."""
    subject = Subject(Classifier(scorer_of(model.eval()), ("ant", "bee", "cat"), "multiclass", Recipe(side)))
    targets = subject.answer(images).argmax(axis=1)
    maps = {name: run_explainer(name, subject, images, targets, Settings()).values for name in methods}
    report = check_maps(seen_of(subject, images, targets, maps, Settings()), {"randomisation": len(images)})
    return report.flaws


def test_guided_backpropagation_is_caught_and_gradcam_is_not():
    images = np.stack([np.asarray(smooth(number, 64)) for number in range(12)])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        flaws = outcomes_of(Compact(3, 64), 64, ("guided_backprop", "gradcam"), images)
    assert list(flaws) == ["guided_backprop"]


def test_weights_in_random_order_are_the_same_values_and_the_network_stays_as_it_was():
    network = Compact(3, 32).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    changed = shuffled(network, torch.rand(4, 3, 32, 32), 1.0, seed=0)
    for name, value in network.named_parameters():
        assert torch.equal(value, before[name])
        other = dict(changed.named_parameters())[name]
        assert torch.equal(other.flatten().sort().values, value.flatten().sort().values)
        assert value.numel() < 20 or value.unique().numel() == 1 or not torch.equal(other, value)
    assert not changed.training
    half = shuffled(network, torch.rand(4, 3, 32, 32), 0.5, seed=0)
    kept = [torch.equal(value, dict(half.named_parameters())[name]) for name, value in network.named_parameters()]
    assert kept[0]
    assert not kept[-1]
