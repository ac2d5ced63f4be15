"""What every explainer that shows pictures must do, and how it comes into the page and the files."""

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from material import run
from PIL import Image

import linnaea as ln
from linnaea.errors import UsageError
from linnaea.evidence.explanation import EXPLAINERS, Settings, Subject, run_explainer
from linnaea.evidence.explanation.running import kind_of

SHOWN = [name for name in EXPLAINERS if kind_of(EXPLAINERS.about(name)) != "map"]
TARGETS = np.array([0, 1])


def drawn(folder, random, count):
    """Files of pictures of one colour each."""
    folder.mkdir()
    for number in range(count):
        colour = tuple(random.integers(0, 256, 3).tolist())
        Image.new("RGB", (16, 16), colour).save(folder / f"{number}.png")
    return tuple(sorted(folder.iterdir()))


@pytest.fixture
def pictured(make_subject, tmp_path, squares):
    """A small network with its run, and settings with a concept."""
    subject = make_subject(tmp_path, *squares, kind="lenet5")
    random = np.random.default_rng(4)
    concept, against = (drawn(tmp_path / name, random, count) for name, count in (("concept", 10), ("against", 20)))
    return subject, Settings(seed=3, samples=3, concept=concept, against=against)


def made(name, subject, settings, images):
    return run_explainer(name, subject, images, TARGETS, settings)


def test_there_are_six_of_them():
    assert {"nearest", "counter_examples", "prototypes", "tracin", "feature_visualisation", "tcav"} <= set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_a_row_for_each_made_again_by_the_seed_and_nothing_of_the_classifier_changes(name, pictured, squares):
    subject, settings = pictured
    images, model = squares[0][[3, 13]], subject.classifier.model
    before, flags = copy.deepcopy(model.state_dict()), [weight.requires_grad for weight in model.parameters()]
    given = images.copy()
    with torch.no_grad():
        found = made(name, subject, settings, images)
        again = made(name, subject, settings, images)
        assert not torch.is_grad_enabled()
    assert len(found.rows) == 2
    for row in found.rows:
        assert row
        assert all(each.picture.shape == (16, 16, 3) and each.picture.dtype == np.uint8 for each in row)
        assert all(each.caption for each in row)
    assert all(each.path is None or each.path in subject.training.ids for row in found.rows for each in row)
    for key, values in found.arrays.items():
        np.testing.assert_array_equal(values, again.arrays[key])
    assert [[each.caption for each in row] for row in found.rows] == [
        [each.caption for each in row] for row in again.rows
    ]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert [weight.requires_grad for weight in model.parameters()] == flags
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    np.testing.assert_array_equal(images, given)
    assert not found.said.endswith(".")


@pytest.mark.parametrize("name", SHOWN)
def test_a_black_image_and_one_without_a_model_are_no_trouble(name, pictured):
    subject, settings = pictured
    black = np.zeros((2, 16, 16, 3), dtype=np.uint8)
    found = made(name, subject, settings, black)
    assert len(found.rows) == 2
    assert all(np.isfinite(values).all() for values in found.arrays.values())
    exported = SimpleNamespace(scorer=SimpleNamespace(kind="onnx", whole=True, gradients=False))
    with pytest.raises(UsageError, match="but a classifier of the kind onnx has no"):
        made(name, Subject(exported), settings, black)


def test_they_come_into_the_page_and_the_files(pictured, tmp_path):
    subject, _ = pictured
    photo = subject.training.paths[12]
    found = ln.explain(subject.run.folder, photo, method=["nearest", "tracin", "prototypes"], out=tmp_path / "out")
    page = found.page.read_text()
    assert "Nearest training examples" in page
    assert "(the image itself)" in page
    assert "prototype of red, answered red" in page
    kept = json.loads((tmp_path / "out" / "explanations.json").read_text())
    assert kept["examples"]["nearest"][0][0] == {
        "caption": "labelled red: 0.000 away (the image itself)",
        "path": "12.png",
    }
    assert kept["pictured"] == ["red"]
    with np.load(tmp_path / "out" / "explanations.npz") as arrays:
        assert arrays["nearest_rows"][0, 0] == 12
        assert arrays["tracin_influences"].shape == (1, 6)
    assert len(list((tmp_path / "out" / "nearest").iterdir())) == 5


def test_classes_are_pictured_without_any_image(pictured, tmp_path, squares):
    subject, settings = pictured
    folder, method = subject.run.folder, ["feature_visualisation", "prototypes", "tcav"]
    with pytest.raises(UsageError, match=r"target is 'reed', which is no class.*Did you mean 'red'"):
        ln.explain(folder, method=method, target="reed", out=tmp_path / "a")
    with pytest.raises(UsageError, match="there are 2 classes, and --most is 1: name the one to picture"):
        ln.explain(folder, method="prototypes", most=1, out=tmp_path / "b")
    with pytest.raises(UsageError, match=r"Concepts \(TCAV\) needs a concept: --concept takes a folder of pictures"):
        ln.explain(folder, method=method, target="red", out=tmp_path / "e")
    with pytest.raises(
        UsageError, match="channel is given, which none of prototypes looks at: add --method feature_vis"
    ):
        ln.explain(folder, method="prototypes", channel=0, out=tmp_path / "f")
    with pytest.raises(UsageError, match="not known which images this classifier was trained on"):
        ln.explain(subject.classifier, method="prototypes", out=tmp_path / "g")
    found = ln.explain(
        folder,
        method=method,
        target="red",
        samples=4,
        concept=settings.concept[0].parent,
        against=settings.against[0].parent,
        out=tmp_path / "c",
    )
    assert list(found.pictured) == [1]
    assert "1 class explained by 3 methods" in found.page.read_text()
    assert found.findings[0].name == "concept"
    assert found.to_json()["findings"][0]["rows"][0]["class"] == "red"
    assert subject.run.record()["test_opened"] == []


def test_a_channel_is_pictured_on_the_command_line(pictured, tmp_path, monkeypatch, capsys):
    subject, _ = pictured
    words = ["explain", subject.run.folder, "--method", "feature_visualisation", "--channel", 2, "--samples", 3]
    assert run([*words, "--out", tmp_path / "out"], monkeypatch) == 0
    assert "channel 2 of body." in (tmp_path / "out" / "index.html").read_text()
    assert subject.run.record()["test_opened"] == []
    assert "2 classes explained by 1 method" in capsys.readouterr().out
