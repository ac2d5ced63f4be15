"""What every export format keeps: it answers the same, its folder is a classifier again, it says what it needs."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.decisions import Policy
from linnaea.delivery.compression.wholes import in_integers
from linnaea.delivery.exporters import (
    EXPORTERS,
    PRECISIONS,
    Order,
    UnfitError,
    export,
    onnxruntime_web,
    require_export,
)
from linnaea.delivery.exporters.contract import precisions_of
from linnaea.delivery.exporters.parity import compared, sample_of
from linnaea.errors import UsageError
from linnaea.models import build
from linnaea.models.familiarity import FAMILIARITIES

SIZE = 32
CLASSES = ("ant", "bee", "größte Wespe")


def missing(to):
    """The packages that a format needs and that are not here."""
    return [
        name for name in EXPORTERS.about(to).capabilities.get("needs", ()) if importlib.util.find_spec(name) is None
    ]


def formats():
    """Those that can be tried here; those that take long are marked."""
    for to in EXPORTERS:
        marks = [pytest.mark.slow] if EXPORTERS.about(to).cost == "minutes" else []
        marks += [pytest.mark.skip(f"{missing(to)} not installed")] if missing(to) else []
        if to == "web" and onnxruntime_web.found(Path("~/.cache/linnaea").expanduser()) is None:
            marks.append(
                pytest.mark.skip("needs onnxruntime-web: python -m linnaea.delivery.exporters.onnxruntime_web")
            )
        yield pytest.param(to, marks=marks)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(12):
        patches = random.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((40 + number, 70 - number)).save(folder / f"photo {number:02}.png")
    return sorted(folder.iterdir())


PLAIN = Policy()


def answering(task="multiclass", classes=CLASSES, *, kind="lenet5", policy=PLAIN, **more):
    """A classifier of a tiny network with random weights, whose answers differ between images."""
    torch.manual_seed(1)
    model = build(kind, {"classes": len(classes), "size": SIZE, **more}).eval()
    with torch.no_grad():
        last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1].weight
        (model.weight if kind == "heads" else last).normal_()
    channels = more.get("channels", 3)
    return Classifier(TorchScorer(model), classes, task, Recipe(SIZE, "pad", channels=channels), policy=policy)


@pytest.fixture(scope="module")
def classifier():
    policy = Policy(set_threshold=0.2, confidence_threshold=0.5, ood_threshold=-1.0)
    return answering(policy=policy).with_(familiarity=FAMILIARITIES["energy"]())


@pytest.fixture(scope="module")
def exported(classifier, photos, tmp_path_factory):
    """What a format made of it, once."""
    kept = {}

    def of(to, precision="fp32"):
        if (to, precision) not in kept:
            folder = tmp_path_factory.mktemp(to) / precision
            seen = decode_files(photos, classifier.recipe).images
            kept[to, precision] = export(classifier, to, folder, photos, Order(precision, lambda: seen))
        return kept[to, precision]

    return of


@pytest.mark.parametrize("to", EXPORTERS)
def test_it_says_what_it_is_before_anything_is_imported(to):
    told = EXPORTERS.about(to).capabilities
    assert told["runtime"]
    assert told["extra"]
    assert set(told["precisions"]) <= set(PRECISIONS)
    assert isinstance(told["needs"], tuple)


@pytest.mark.parametrize("to", list(formats()))
def test_it_answers_the_same_from_files_or_says_that_it_was_not_run(exported, to):
    made = exported(to)
    told = json.loads((made.folder / "parity.json").read_text())
    assert (told["format"], told["precision"]) == (to, "fp32")
    if EXPORTERS[to].elsewhere():
        assert told["outcome"] == "not run here"
        assert "not run here" in str(made)
        assert made.parity.severity == "warning"
        return
    assert (told["outcome"], made.parity.severity, made.parity.count) == ("passed", "info", 12)
    assert made.parity.figure.value <= 1e-4
    assert not made.parity.images
    assert made.megabytes == pytest.approx(sum(f.stat().st_size for f in made.folder.rglob("*") if f.is_file()) / 1e6)


@pytest.mark.parametrize("to", list(formats()))
def test_its_folder_is_a_classifier_again_with_batches_of_any_size(classifier, exported, photos, to):
    if EXPORTERS[to].scorer is None or EXPORTERS[to].elsewhere():
        pytest.skip("it does not answer here")
    again = load(exported(to).folder)
    for name in ("classes", "task", "recipe", "policy", "ood_score"):
        assert getattr(again, name) == getattr(classifier, name)
    ours = classifier.predict(photos)
    for count in (1, 5, 12):
        theirs = again.predict(photos[:count])
        for name in ("label", "reason", "prediction_set"):
            assert theirs.column(name) == ours.column(name)[:count]
        np.testing.assert_allclose(theirs.scores(), ours.scores()[:count], atol=1e-4)
        np.testing.assert_allclose(theirs.column("ood_score"), ours.column("ood_score")[:count], atol=1e-4)


@pytest.mark.parametrize("to", list(formats()))
def test_its_script_answers_alone(classifier, exported, photos, to):
    if EXPORTERS[to].scorer is None or EXPORTERS[to].elsewhere():
        pytest.skip("it does not answer here")
    command = [sys.executable, exported(to).folder / "predict.py", *photos[:2]]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=exported(to).folder)
    ours = classifier.predict(photos[:2])
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["label"] for line in told] == ours.column("label")
    assert [line["reason"] for line in told] == ours.column("reason")


@pytest.mark.parametrize("to", EXPORTERS)
def test_a_precision_that_it_cannot_have_is_refused_with_those_it_has(classifier, tmp_path, to):
    for precision in set(PRECISIONS) - set(precisions_of(to)):
        with pytest.raises(UsageError, match=f"{to} cannot be in {precision}: expected one of fp32"):
            require_export(classifier, to, precision, tmp_path / "export")
    with pytest.raises(UsageError, match="precision is 'fp8'"):
        require_export(classifier, to, "fp8", tmp_path / "export")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("to", list(formats()))
def test_reduced_precisions_keep_the_labels_and_are_half_the_size(exported, to, precision):
    if precision not in precisions_of(to):
        pytest.skip(f"{to} has no {precision}")
    made = exported(to, precision)
    assert json.loads((made.folder / "parity.json").read_text())["precision"] == precision
    if EXPORTERS[to].scorer is not None:
        described = json.loads((made.folder / "classifier.json").read_text())
        assert described["scorer"]["arguments"]["precision"] == precision
    if made.ran:
        assert f"in {precision}" in made.parity.summary
        assert 0 < made.parity.figure.value <= PRECISIONS[precision].tolerance
    if to in ("onnx", "openvino"):
        weights = {"onnx": "model.onnx", "openvino": "model.bin"}[to]
        sizes = [(exported(to, each).folder / weights).stat().st_size for each in (precision, "fp32")]
        assert sizes[0] < 0.7 * sizes[1]


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_in_integers_the_network_alone_is_rounded(classifier, photos, tmp_path, to):
    images = decode_files(photos, classifier.recipe).images
    with pytest.raises(UsageError, match="integers need images that tell ranges"):
        export(classifier, to, tmp_path / "none", photos, Order("int8"))
    made = export(classifier, to, tmp_path / "int8", photos, Order("int8", lambda: images))
    ours, theirs = classifier.score(images), load(made.folder).score(images)
    assert 0 < np.abs(ours.probabilities - theirs.probabilities).max() < 0.5
    small = in_integers(classifier, to, images)
    again = export(small, to, tmp_path / "again", photos, Order("int8"))
    theirs = load(again.folder).score(images)  # runtimes may round a value that lies between two integers either way
    np.testing.assert_allclose(small.score(images).probabilities, theirs.probabilities, atol=0.02)
    with pytest.raises(UsageError, match=r"computes with 8 bits, and precision is fp32: expected int8"):
        export(small, to, tmp_path / "plain", photos)
    with pytest.raises(UnfitError, match=f"in the format of {to}"):
        require_export(small, "pt2", "fp32", tmp_path / "other")


TREE = (("ant", "wingless"), ("bee", "winged"), ("größte Wespe", "winged"))
FOUR = [{"kind": "lenet5", "arguments": {"classes": 3, "size": SIZE, "channels": 4}}] * 2
BODY = {"kind": "lenet5", "arguments": {"classes": 3, "size": SIZE}}
CASES = {
    "several labels": ("multilabel", CLASSES, Policy(sets="risk", set_threshold=0.3, thresholds=(0.2, 0.6, 0.5)), {}),
    "a tree": ("hierarchical", CLASSES, Policy(parents=TREE, thresholds=(0.6,), risk=0.1), {}),
    "one channel": ("multiclass", CLASSES, Policy(), {"channels": 1}),
    "members": ("multiclass", CLASSES, Policy(), {"kind": "heads", "body": BODY, "length": 84, "heads": 3}),
    "an ensemble of four channels": (
        "multilabel",
        CLASSES,
        Policy(sets="risk", set_threshold=0.3, thresholds=(0.4, 0.6, 0.5), ood_threshold=0.0),
        {"kind": "ensemble", "members": FOUR, "several": True, "channels": 4},
    ),
    "groups": ("binary", ("ant", "bee"), Policy(group_by="site", group_thresholds=(("n", 0.3), ("s", 0.7))), {}),
}


HEAVY = ("a tree", "an ensemble of four channels")  # of what takes long to convert, the two that differ most


def tasks():
    """Every format with every case; of those that take long fewer."""
    for each in formats():
        (to,), marks = each.values, [*each.marks, *([pytest.mark.slow] if each.values != ("openvino",) else [])]
        yield from (
            pytest.param(to, case, marks=marks)
            for case in CASES
            if case in HEAVY or EXPORTERS.about(to).cost != "minutes"
        )


@pytest.mark.parametrize(("to", "case"), list(tasks()))
def test_every_task_leaves(photos, tmp_path, to, case):
    task, classes, policy, more = CASES[case]
    own = answering(task, classes, policy=policy, **more)
    own = own.with_(familiarity=FAMILIARITIES["energy"]()) if policy.ood_threshold is not None else own
    made = export(own, to, tmp_path / "export", photos)
    if EXPORTERS[to].elsewhere():
        assert "not run here" in made.parity.summary
        return
    assert made.parity.severity == ("warning" if case == "groups" else "info")
    theirs, ours = load(made.folder).predict(photos), own.predict(photos)
    for name in ("label", "reason", "prediction_set"):
        assert theirs.column(name) == ours.column(name)
    np.testing.assert_allclose(theirs.scores(), ours.scores(), atol=1e-4)
    assert np.ptp(ours.scores(), axis=0).max() > 0.001, "images are answered alike"
    if case == "members":
        for name in ("total_uncertainty", "epistemic_uncertainty"):
            np.testing.assert_allclose(theirs.column(name), ours.column(name), atol=1e-5)
        assert max(ours.column("epistemic_uncertainty")) > 0.01
    if policy.ood_threshold is not None:
        np.testing.assert_allclose(theirs.column("ood_score"), ours.column("ood_score"), atol=1e-4)


def test_a_classifier_that_a_format_cannot_have_is_refused_and_others_are_offered(classifier, photos, tmp_path):
    with EXPORTERS.restored():
        EXPORTERS.register("narrow")(
            replace(EXPORTERS["onnx"], unfit=lambda own: "the operator aten.fold has no counterpart.")
        )
        with pytest.raises(UnfitError, match=r"^narrow: the operator aten\.fold.* Other formats.*: .*onnx, openvino"):
            export(classifier, "narrow", tmp_path / "export", photos)

        def write(own, folder, order):
            raise UnfitError("the operator aten.fold is unknown.")

        EXPORTERS.register("found out")(replace(EXPORTERS["onnx"], write=write))
        with pytest.raises(UnfitError, match=r"^found out: the operator aten\.fold.*onnx"):
            export(classifier, "found out", tmp_path / "export", photos)
    assert not list(tmp_path.iterdir()), "nothing is left"


@pytest.mark.parametrize(
    ("probability", "score", "severity"),
    [(0.0, 5e-4, "info"), (0.0, 5e-3, "error"), (5e-4, 0.0, "error"), (0.0, float("nan"), "error")],
)
def test_ood_scores_may_differ_by_more_than_probabilities(classifier, photos, probability, score, severity):
    def moved(image):
        ours = classifier.score(decode_files([image], classifier.recipe).images)
        return replace(ours, probabilities=ours.probabilities + probability, ood_scores=ours.ood_scores * (1 + score))

    found = compared("onnx", PRECISIONS["fp32"], classifier, sample_of(classifier, photos), moved)
    assert found.severity == severity
    assert ("OOD scores" in found.summary) == (score != 0)
