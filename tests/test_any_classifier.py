"""A run, its bundle, an exported folder and a file of predictions go through the same verbs."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from material import run as command
from PIL import Image

import linnaea as ln
from linnaea.data.images.pixels import decode_files
from linnaea.delivery.exporters import EXPORTERS
from linnaea.finding import Finding
from linnaea.run import Run


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two kinds of noise that HOG tells apart most of the time."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(60):
        for name, across in (("stripes", 2), ("bars", 4)):
            image = random.integers(0, 200, (32, 32, 3), dtype=np.uint8)
            image[:, ::across] //= 2
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(image).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "noise"
    ln.train(photos, out=folder, model="hog", weights="none", seed=1)
    return folder


@pytest.fixture(scope="module")
def exported(run):
    return ln.export(run).folder


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory):
    """Without a run around it."""
    return shutil.copytree(run / "model", tmp_path_factory.mktemp("bundles") / "alone")


def test_they_answer_the_same(run, exported, bundle, photos):
    expected = ln.predict(run, photos)
    for folder in (exported, bundle):
        answers = ln.predict(folder, photos)
        assert answers.column("label") == expected.column("label")
        np.testing.assert_allclose(answers.scores(), expected.scores(), atol=1e-3)


def test_they_are_evaluated_on_what_their_run_has_not_learnt_from(run, exported, photos, caplog):
    held, before = len(Run.open(run).dataset().split("test")), len(Run.open(run).record()["test_opened"])
    figures = [ln.evaluate(folder, photos).figures["accuracy"] for folder in (run, run / "model", exported)]
    assert [figure.n for figure in figures] == [held] * 3
    assert figures[0] == figures[1] == figures[2]
    left_out = f"{120 - held} images are not judged: the run was trained or tuned on them."
    assert [message for message in caplog.messages if "not known" in message or "trained" in message] == [left_out] * 3
    assert len(Run.open(run).record()["test_opened"]) == before + 3


def test_nothing_is_told_of_what_a_classifier_without_its_run_has_learnt_from(run, bundle, photos, tmp_path, caplog):
    other = shutil.copytree(bundle, tmp_path / "other" / "model")
    (tmp_path / "other" / "run.json").write_text(
        (run / "run.json").read_text().replace('"fingerprint": "', '"fingerprint": "not ')
    )
    (tmp_path / "other" / "manifest.csv").write_bytes((run / "manifest.csv").read_bytes())
    for given in (bundle, ln.load(run), other):
        assert ln.evaluate(given, photos).figures["accuracy"].n == 120
        assert "It is not known which of these images the classifier has learnt from" in caplog.text
        caplog.clear()


def test_without_images_the_option_is_named_before_anything_is_loaded(exported, monkeypatch, capsys):
    monkeypatch.setattr("linnaea.classifier.load", lambda *_, **__: pytest.fail("it was loaded"))
    assert command(["evaluate", exported], monkeypatch) == 2
    assert f"linnaea evaluate {exported} --data PHOTOS" in " ".join(capsys.readouterr().err.split())


def test_a_run_is_compared_with_its_export_on_its_test_split(run, exported):
    before = len(Run.open(run).record()["test_opened"])
    comparison = ln.compare(run, exported)
    assert comparison.n == len(Run.open(run).dataset().split("test"))
    assert (comparison.differences["accuracy"].value, comparison.p_value) == (0.0, 1.0)
    opened = Run.open(run).record()["test_opened"]
    assert (len(opened), opened[-1]["by"]) == (before + 1, "compare with onnx")


def test_they_are_compared_on_given_images_that_neither_has_learnt_from_as_far_as_is_known(
    run, exported, bundle, photos, tmp_path, caplog
):
    held = len(Run.open(run).dataset().split("test"))
    assert ln.compare(bundle, exported, data=photos).n == held, "the export lies in its run"
    elsewhere = shutil.copytree(exported, tmp_path / "copy")
    caplog.clear()
    assert ln.compare(bundle, elsewhere, data=photos).n == 120
    for given in (bundle, elsewhere):
        assert f"It is not known which of these images {given} has learnt from" in caplog.text
    with pytest.raises(ln.LinnaeaError, match="has no images of its own: give labelled ones with --data"):
        ln.compare(bundle, exported)


def test_a_run_is_compared_on_given_images_that_it_never_saw(run, bundle, photos, tmp_path):
    with pytest.raises(ln.LinnaeaError, match="are the same: name two different"):
        ln.compare(run, run)
    used = len(Run.open(run).dataset().split("test"))
    assert ln.compare(run, bundle, data=photos).n == used, "those of train and val are left out"


def test_files_of_predictions_are_compared_too(run, bundle, photos, tmp_path):
    kept = run / "predictions" / "test.parquet"
    assert ln.compare(kept, run).p_value == 1.0
    with pytest.raises(ln.LinnaeaError, match="holds finished predictions: leave --data out"):
        ln.compare(kept, bundle, data=photos)


def test_what_is_no_classifier_is_refused(run, tmp_path):
    with pytest.raises(ln.LinnaeaError, match="not a Linnaea folder"):
        ln.compare(run, tmp_path)


def test_predict_imports_nothing_heavy_for_an_exported_folder(exported, photos):
    heavy = ("torch", "torchvision", "timm", "scipy", "sklearn", "matplotlib", "jinja2")
    code = (
        "import atexit, sys; from linnaea.cli import main;"
        f"atexit.register(lambda: print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)); main()"
    )
    photo = next(photos.rglob("*.png"))
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", exported, photo], capture_output=True, text=True, check=True
    )
    assert photo.name in done.stdout
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_two_formats_in_one_run_keep_both_parities(run):
    with EXPORTERS.restored():
        EXPORTERS.register("again")(EXPORTERS["onnx"])
        for name in ("onnx", "again", "again"):
            ln.export(run, name)
    findings = json.loads((run / "findings" / "export.json").read_text())
    assert {"export_parity_onnx", "export_parity_again"} <= {each["name"] for each in findings}
    assert {"parity.json", "classifier.json"} <= {path.name for path in (run / "export" / "again").iterdir()}


@pytest.mark.slow
def test_several_formats_go_each_into_its_own_folder(run, tmp_path, monkeypatch, capsys):
    words = ["export", run, "--to", "onnx,openvino", "--precision", "bf16", "--out", tmp_path / "out", "--json"]
    assert command(words, monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(each["format"], each["precision"], each["ran_here"]) for each in told] == [
        ("onnx", "bf16", True),
        ("openvino", "bf16", True),
    ]
    names = ("onnx-bf16", "openvino-bf16")
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(names)
    assert all(ln.load(tmp_path / "out" / name).scorer.precision == "bf16" for name in names)
    findings = json.loads((run / "findings" / "export.json").read_text())
    assert {"export_parity_onnx_bf16", "export_parity_openvino_bf16"} <= {each["name"] for each in findings}


@pytest.mark.parametrize(
    ("to", "precision", "message"),
    [
        ("onnx,onnx", "fp32", "expected formats, each once"),
        ("onnx,opnvino", "fp32", "Did you mean 'openvino'"),
        ("onnx,pt2", "fp16", "pt2 cannot be in fp16: expected one of fp32, bf16, or one of onnx, openvino"),
        ("onnx", "half", "precision is 'half'; expected one of fp32, bf16, fp16, int8"),
    ],
)
def test_formats_that_cannot_be_are_refused_before_any_is_written(run, tmp_path, to, precision, message):
    with pytest.raises(ln.LinnaeaError, match=message):
        ln.export(run, to, precision=precision, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_where_one_of_several_formats_answers_otherwise_the_others_stay_and_the_run_knows(run, tmp_path):
    def lie(folder, description):
        answer = EXPORTERS["onnx"].open(folder, description)
        return lambda image: replace(answer(image), probabilities=answer(image).probabilities[:, ::-1])

    with EXPORTERS.restored():
        EXPORTERS.register("liar", runtime="onnxruntime")(replace(EXPORTERS["onnx"], open=lie))
        with pytest.raises(ln.LinnaeaError, match="the liar file and the classifier differ by at most"):
            ln.export(run, ["liar", "onnx"], out=tmp_path)
    assert {path.name for path in (tmp_path / "liar").iterdir()} == {"parity.json"}
    assert ln.load(tmp_path / "onnx").task == "binary"
    kept = {each["name"]: each["severity"] for each in json.loads((run / "findings" / "export.json").read_text())}
    assert kept["export_parity_liar"] == "error"
    assert kept["export_parity_onnx"] == "info"
    Run.open(run).add_findings("export", [Finding("export_parity_liar", "taken back")])


def test_an_exported_folder_answers_without_torch(exported, photos):
    code = (
        "import sys, linnaea\n"
        f"answers = linnaea.load({str(exported)!r}).predict([{str(photos / 'bars' / '0.png')!r}])\n"
        "print(answers.column('reason'), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n"), done.stdout
    with pytest.raises(ln.LinnaeaError, match="computes as it was exported"):
        ln.predict(exported, photos, precision="bfloat16")


def test_one_classifier_answers_from_several_threads(run, photos):
    classifier, paths = ln.load(run), sorted(photos.rglob("*.png"))
    images = decode_files(paths, classifier.recipe).images
    expected = classifier.score(images).probabilities
    fresh = ln.load(run)  # nothing is prepared yet
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: fresh.score(images[row : row + 1]).probabilities[0], range(len(images))))
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-6)


def test_what_is_computed_leaves_the_device_once_whatever_the_number_of_batches(run, monkeypatch):
    """Counted where a processor has nowhere else to go; on another device each call would be a copy and a wait."""
    classifier, moves = ln.load(run), []
    plain = torch.Tensor.cpu

    def counted(tensor, *arguments, **options):
        moves.append(tensor.shape)
        return plain(tensor, *arguments, **options)

    side = classifier.recipe.size
    images = np.random.default_rng(0).integers(0, 255, (400, side, side, 3), dtype=np.uint8)
    classifier.score(images[:1])  # what is prepared once is not counted
    monkeypatch.setattr(torch.Tensor, "cpu", counted)
    for count in (1, 400):
        moves.clear()
        classifier.score(images[:count])
        assert len(moves) == 4, "raw scores, logits, probabilities and OOD scores, each once"


def test_runs_with_folds_and_seeds_are_compared_over_these_too(run, tmp_path):
    copies = [shutil.copytree(run, tmp_path / name) for name in ("one", "other")]
    folds = Run.open(run).predictions("test")
    count = len(folds)
    folds = folds.with_table(folds.table.append_column("fold", [[1 + row % 3 for row in range(count)]]))
    answers = [folds.classes[(row + 1) % len(folds.classes)] for row in range(count)]
    worse = folds.with_table(folds.table.set_column(folds.table.column_names.index("label"), "label", [answers]))
    for copy, told, values in zip(copies, (folds, worse), ([0.9, 0.92, 0.91], [0.5, 0.52, 0.55]), strict=True):
        told.keep(copy / "predictions" / "folds.parquet")
        rows = [{"seed": seed, "value": value} for seed, value in enumerate(values)]
        Run.open(copy).write_findings("seeds", [Finding("seeds", "Three seeds.", count=20, rows=rows)])
    looks = len(Run.open(copies[0]).record()["test_opened"])
    found = ln.compare(*copies, metric="accuracy")
    assert [row["over"] for row in found.further] == ["3 folds"]
    assert len(Run.open(copies[0]).record()["test_opened"]) == looks + 1
    assert "level" in found.sentence
    by_own_metric = ln.compare(*copies, margin=0.1)
    assert [row["over"] for row in by_own_metric.further] == ["3 folds", "3 and 3 seeds, on val"]
    assert by_own_metric.further[1]["p_value"] < 0.001
    (copies[1] / "findings" / "seeds.json").unlink()
    (copies[1] / "predictions" / "folds.parquet").unlink()
    told = ln.compare(*copies, margin=0.1)
    assert not told.further
    assert "Not compared over folds: only one has them." in told.notes
