"""Every kind of classifier leaves as a file that answers the same, and an export that does not is refused."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from linnaea.classifier import Classifier, load
from linnaea.classifier.calibrators.temperature import Temperature
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.classifier.sessions import onnx as sessions
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.data.sources.assembling import SUFFIXES as OURS
from linnaea.decisions import Outputs, Policy
from linnaea.delivery.exporters import EXPORTERS, export
from linnaea.delivery.exporters.predict import SUFFIXES, Predictor
from linnaea.delivery.exporters.script import write_script
from linnaea.errors import BundleError, CheckFailedError, DataError, MissingExtraError, UsageError
from linnaea.evidence.calibration import calibrate
from linnaea.evidence.openset import fit_familiarity
from linnaea.models import MODELS, build
from linnaea.models.embedding import embed
from linnaea.models.familiarity import FAMILIARITIES

SIZE = 48
CLASSES = ("ant", "bee", "größte Wespe")
ARGUMENTS = {
    "majority": {"classes": 3},
    "hog": {"classes": 3, "size": SIZE},
    "compact": {"classes": 3, "size": SIZE, "widths": [8, 16, 32]},
    "lenet5": {"classes": 3, "size": SIZE},
    "textbook_cnn": {"classes": 3, "size": SIZE, "dense": 32, "dropout": 0.5},
    "network": {"name": "mobilenetv3_small_050", "classes": 3, "size": SIZE, "mean": [0.4, 0.5, 0.6]},
}
SHARED = {"classes": 3, "size": SIZE}
TWO = [{"kind": name, "arguments": ARGUMENTS[name]} for name in ("lenet5", "textbook_cnn")]
ARGUMENTS |= {
    "ensemble": {**SHARED, "members": TWO, "temperatures": [1.0, 2.0]},
    "heads": {**SHARED, "body": TWO[0], "length": 84, "heads": 3},
    "masked": {**SHARED, "body": TWO[1], "members": 3, "places": ["body.9"], "shares": [0.5]},
}
MIXTURES = ("ensemble", "heads", "masked")
THRESHOLDS = ("set_threshold", "confidence_threshold", "ood_threshold")
NEEDED = ("onnxruntime", "numpy", "numpy.libs", "PIL", "pillow.libs", "flatbuffers", "google", "packaging")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twelve images of all shapes: coloured patches, and flat, black, white and transparent ones."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(8):
        patches = random.integers(0, 256, (5, 7, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((60 + 9 * number, 100 - 8 * number)).save(folder / f"patches {number}.jpg")
    for name, colour in {"black": (0, 0, 0), "grey": (128, 128, 128), "white": (255, 255, 255)}.items():
        Image.new("RGB", (70, 50), colour).save(folder / f"{name}.png")
    Image.new("RGBA", (20, 90), (200, 0, 0, 90)).save(folder / "transparent.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def classifiers(photos):
    """A calibrated classifier of every kind of model, untrained but not indifferent."""
    return {kind: make_classifier(kind, photos) for kind in ARGUMENTS}


def make_classifier(kind, photos):
    torch.manual_seed(0)
    model = build(kind, ARGUMENTS[kind]).eval()
    for tensor in (tensor for name, tensor in model.state_dict().items() if name in ("prior", "classifier.bias")):
        tensor.copy_(torch.tensor([0.3, 0.0, -0.4]))
    if kind == "heads":
        model.weight.normal_()
    if kind == "masked":
        model.get_submodule("body.body.9").kept.bernoulli_(0.5)
    classifier = Classifier(TorchScorer(model), CLASSES, "multiclass", Recipe(SIZE, "pad"), provenance={"rung": kind})
    images, targets = decode_files(photos, classifier.recipe).images, np.arange(len(photos)) % 3
    features = embed(model, images)
    classifier = classifier.with_(familiarity=fit_familiarity(model, features, targets))
    calibrated = calibrate(classifier, classifier.score(images), targets)
    limits = {name: getattr(calibrated.policy, name) for name in THRESHOLDS}
    # calibrated on the very images that are compared, some would lie on a threshold: move it off them
    moved = {name: limit * 1.001 for name, limit in limits.items() if limit is not None}
    return calibrated.with_(policy=replace(calibrated.policy, **moved))


@pytest.fixture(scope="module")
def exports(classifiers, photos, tmp_path_factory):
    """What `export` made of each."""
    folder = tmp_path_factory.mktemp("exports")
    return {kind: export(classifier, "onnx", folder / kind, photos) for kind, classifier in classifiers.items()}


def test_every_kind_of_model_is_tried():
    others = {name for name in MODELS if MODELS.about(name).capabilities.get("quantised")}
    assert set(ARGUMENTS) == set(MODELS) - others - {"classical"}, "pipelines have tests of their own"


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_export_writes_its_files_and_passes_parity(exports, kind):
    exported = exports[kind]
    assert {path.name for path in exported.file.parent.iterdir()} == {
        "model.onnx",
        "reading.py",
        "damage.py",
        "bands.py",
        "opening.py",
        "decoding.py",
        "decisions.py",
        "arrays.py",
        "fits.py",
        "predict.py",
        "session.py",
        "classifier.json",
        "parity.json",
    }
    sizes = [path.stat().st_size for path in exported.folder.iterdir()]
    assert exported.megabytes == pytest.approx(sum(sizes) / 1e6)
    told = json.loads((exported.folder / "parity.json").read_text())
    facts = {"format": "onnx", "precision": "fp32", "outcome": "passed", "runtime": "onnxruntime"}
    listed = set(told.pop("files"))
    assert told == facts | exported.parity.to_json()
    assert listed | {"parity.json"} == {path.name for path in exported.folder.iterdir()}
    parity = exported.parity
    assert (parity.name, parity.severity, parity.count) == ("export_parity_onnx", "info", 12)
    assert parity.figure.value < 1e-4
    assert len(parity.rows) == 12
    assert "on 12 images" in str(exported)


@pytest.mark.parametrize("kind", ARGUMENTS)
@pytest.mark.parametrize("count", [1, 2, 7, 12])
def test_file_takes_batches_of_any_size(classifiers, exports, photos, kind, count):
    session = onnxruntime.InferenceSession(str(exports[kind].file), providers=["CPUExecutionProvider"])
    images = decode_files(photos[:count], classifiers[kind].recipe).images
    theirs = session.run(["raw_scores", "logits", "probabilities", "ood_score"], {"images": images})
    said = classifiers[kind].score(images)
    strange = np.zeros(count) if said.ood_scores is None else said.ood_scores
    for ours, exported in zip((said.raw, said.logits, said.probabilities, strange), theirs, strict=True):
        assert exported.shape == ours.shape
        np.testing.assert_allclose(exported, ours, atol=1e-3)


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_the_folder_is_a_classifier_again(classifiers, exports, kind, photos, tmp_path):
    own, theirs = classifiers[kind], load(exports[kind].folder)
    for name in ("classes", "task", "recipe", "policy", "ood_score"):
        assert getattr(theirs, name) == getattr(own, name)
    ours, exported = own.predict(photos), theirs.predict(photos)
    assert exported.column("label") == ours.column("label")
    assert exported.column("reason") == ours.column("reason")
    for name in ("raw_scores", "probabilities"):
        np.testing.assert_allclose(exported.scores(name), ours.scores(name), atol=1e-3)
    again = load(theirs.save(tmp_path / "copy"))
    np.testing.assert_array_equal(again.predict(photos).scores(), exported.scores())


def test_a_score_of_members_leaves_with_them(photos, tmp_path):
    own = make_classifier("heads", photos).with_(familiarity=FAMILIARITIES["epistemic"]())
    strange = own.score(decode_files(photos, own.recipe).images).ood_scores
    own = own.with_(policy=replace(own.policy, ood_threshold=float(np.sort(strange)[-3:-1].mean())))
    theirs = load(export(own, "onnx", tmp_path / "exported", photos).folder)
    assert theirs.ood_score == "epistemic"
    answers, expected = theirs.predict(photos), own.predict(photos)
    np.testing.assert_allclose(answers.column("ood_score"), expected.column("ood_score"), atol=1e-5)
    assert answers.column("reason") == expected.column("reason")
    assert answers.column("reason").count("unfamiliar") == 2


def test_what_only_a_network_can_do_is_refused_of_a_file(exports, photos, tmp_path):
    theirs = load(exports["hog"].folder)
    with pytest.raises(UsageError, match="a classifier of the kind onnx cannot be exported"):
        export(theirs, "onnx", tmp_path / "again", photos)
    with pytest.raises(UsageError, match="a file of the kind onnx and holds no network"):
        theirs.graph()
    with pytest.raises(UsageError, match="computes on cpu, not on cuda"):
        theirs.to("cuda")


def test_a_changed_file_is_refused(exports, tmp_path):
    folder = shutil.copytree(exports["majority"].folder, tmp_path / "changed")
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match=r"model\.onnx has changed since it was saved"):
        load(folder)


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_metadata_says_what_the_classifier_says(classifiers, exports, kind):
    model = onnx.load(exports[kind].file)
    onnx.checker.check_model(model, full_check=True)
    facts = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    described = json.loads(json.dumps(classifiers[kind].describe()))
    for key in ("classes", "task", "recipe", "familiarity", "policy", "provenance"):
        assert facts[f"linnaea.{key}"] == described[key]
    assert facts["linnaea.policy"]["n"] == 12


@pytest.fixture
def export_changed(classifiers, exports, tmp_path):
    """Export again, but take the files from the first time, and change them or what they answer."""

    def again(kind, images, *, classifier=None, files=lambda folder: None, answers=lambda *answer: answer):
        def write(_, folder, order):
            shutil.copy(exports[kind].file, folder)
            return folder / "model.onnx"

        def open_changed(folder, description):
            files(folder)
            answer = honest.open(folder, description)

            def changed(image):
                said = answer(image)
                strange = 0.0 if said.ood_scores is None else said.ood_scores[0]
                probabilities, score = answers(said.probabilities[0], strange)
                scores = None if said.ood_scores is None else np.array([score])
                return Outputs(said.raw, said.logits, probabilities[None], scores, said.uncertainty)

            return changed

        honest = EXPORTERS["onnx"]
        with EXPORTERS.restored():
            EXPORTERS.register("changed", runtime="onnxruntime")(replace(honest, write=write, open=open_changed))
            return export(classifier or classifiers[kind], "changed", tmp_path / "export", images)

    return again


@pytest.mark.parametrize(
    ("kind", "answers", "message"),
    [
        (
            "majority",
            lambda probabilities, score: (probabilities + np.array([0.002, -0.002, 0]), score),
            r"at most 2\.00e-03.* 0 answers",
        ),
        ("majority", lambda probabilities, score: (probabilities[::-1], score), "12 answers differ"),
        ("majority", lambda probabilities, score: (probabilities * np.nan, score), "at most nan"),
        (
            "hog",
            lambda probabilities, score: (probabilities, score + 0.01 * max(1, abs(score))),
            r"OOD scores by 1\.00e-02.* 0 answers",
        ),
        ("hog", lambda probabilities, score: (probabilities, np.nan), "OOD scores by nan"),
    ],
)
def test_a_file_that_answers_differently_is_refused(export_changed, photos, tmp_path, kind, answers, message):
    with pytest.raises(CheckFailedError, match=message):
        export_changed(kind, photos, answers=answers)
    left = tmp_path / "export"
    assert [path.name for path in left.iterdir()] == ["parity.json"], "nothing looks finished"
    assert json.loads((left / "parity.json").read_text())["outcome"] == "failed"
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_an_answer_that_changes_within_the_tolerance_is_refused(classifiers, export_changed, photos):
    majority = build("majority", ARGUMENTS["majority"])
    majority.prior.copy_(torch.tensor([0.0, 1e-4, 0.0]))
    nearly_equal = classifiers["majority"].with_(scorer=TorchScorer(majority), calibrator=Temperature(1.0))
    (first,) = nearly_equal.score(np.zeros((1, SIZE, SIZE, 3), dtype=np.uint8)).probabilities
    with pytest.raises(CheckFailedError, match=r"at most \d\.\d\de-05.*12 answers differ"):
        export_changed("majority", photos, classifier=nearly_equal, answers=lambda _, score: (first[[1, 0, 2]], score))


def test_a_changed_temperature_is_noticed(classifiers, export_changed, photos):
    warmer = classifiers["hog"].with_(calibrator=Temperature(classifiers["hog"].calibrator.temperature * 1.1))
    with pytest.raises(CheckFailedError, match=" 0 answers differ"):
        export_changed("hog", photos, classifier=warmer)


def test_other_decoding_is_noticed(export_changed, photos):
    def sample_coarsely(folder):
        script = (folder / "decoding.py").read_text(encoding="utf-8")
        (folder / "decoding.py").write_text(script.replace("Resampling.BICUBIC", "Resampling.NEAREST"))

    with pytest.raises(CheckFailedError):
        export_changed("hog", photos, files=sample_coarsely)


def test_unreadable_images_are_left_aside(export_changed, photos, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    for images in ([broken], []):
        with pytest.raises(DataError, match="none of the images"):
            export_changed("majority", images)
    assert not (tmp_path / "export").exists(), "nothing is written that cannot be checked"
    exported = export_changed("majority", [broken, photos[0], tmp_path / "absent.png"])
    assert [row["image"] for row in exported.parity.rows] == [str(photos[0])]


def test_at_most_500_images_are_compared_and_the_whole_is_told(export_changed, photos):
    exported = export_changed("majority", [photos[number % 12] for number in range(1200)])
    assert exported.parity.count == 500
    assert "on 500 images (evenly chosen from 1,200)" in exported.parity.summary


def test_unknown_format_names_the_known(classifiers, photos, tmp_path):
    with pytest.raises(UsageError, match="unknown export format 'onxn': expected one of onnx"):
        export(classifiers["majority"], "onxn", tmp_path, photos)


@pytest.mark.parametrize("library", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_library_names_its_extra(classifiers, photos, tmp_path, monkeypatch, library):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: find(name, *rest) if name != library else None)
    with pytest.raises(MissingExtraError, match=rf"^{library} is not installed.*linnaea\[export\]"):
        export(classifiers["majority"], "onnx", tmp_path, photos)
    assert not list(tmp_path.iterdir())


def test_exporters_are_imported_without_their_libraries():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('onnx', 'onnxruntime', 'onnxscript')));"
        "import linnaea.delivery.exporters"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """A Python that has onnxruntime, numpy and Pillow, with what onnxruntime requires, and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    where = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    installed = Path(np.__file__).parents[1]
    for name in NEEDED:
        if (installed / name).exists():
            (Path(where) / name).symlink_to(installed / name)
    return python


def run(python, *arguments, folder=None, status=0):
    """Run it as a user would, without this process's settings, on a terminal that knows ASCII only."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    kept["PYTHONIOENCODING"] = "ascii"
    finished = subprocess.run(
        [python, *map(str, arguments)], cwd=folder, env=kept, capture_output=True, text=True, encoding="utf-8"
    )
    assert finished.returncode == status, finished.stderr
    return finished


def test_bare_python_is_bare(bare_python, tmp_path):
    code = (
        "import importlib.util as u; print([n for n in ('torch', 'linnaea', 'scipy', 'onnx') if u.find_spec(n)]);"
        "import numpy, onnxruntime, PIL"
    )
    assert run(bare_python, "-c", code, folder=tmp_path).stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["majority", "hog", "network"])
def test_predict_script_answers_the_same_in_a_bare_python(classifiers, exports, bare_python, photos, tmp_path, kind):
    broken = tmp_path / "broken ü.png"
    broken.write_bytes(b"\x89PNG broken")
    images = [*photos, broken, tmp_path / "absent.png"]
    script = exports[kind].file.with_name("predict.py")
    finished = run(bare_python, script, *images, folder=tmp_path, status=1)
    assert "no answer for 2 of 14 images" in finished.stderr
    lines = finished.stdout.splitlines()
    ours = (
        classifiers[kind]
        .predict(images)
        .table.drop_columns(["truth", "raw_scores", "logits", "probabilities"])
        .to_pylist()
    )
    assert len(lines) == len(images)
    for line, expected in zip(map(json.loads, lines), ours, strict=True):
        assert set(line) == set(expected)
        for key in ("id", "label", "prediction_set", "reason"):
            assert line[key] == expected[key]
        for key in ("confidence", "ood_score"):
            assert line[key] == (None if expected[key] is None else pytest.approx(expected[key], abs=1e-3))
    assert [json.loads(line)["reason"] for line in lines[-2:]] == ["unreadable", "unreadable"]
    assert json.loads(lines[-1])["detail"] == "file not found"


@pytest.mark.parametrize(
    ("policy", "reason", "answers"),
    [
        (Policy(set_threshold=0.9), "ok", 1),
        (Policy(set_threshold=0.0), "ok", 3),
        (Policy(confidence_threshold=1.0), "unsure", 3),
        (Policy(confidence_threshold=1.0, ood_threshold=-1e9), "unfamiliar", 3),
    ],
)
def test_predict_script_follows_the_policy(classifiers, exports, photos, policy, reason, answers):
    predictor = Predictor(exports["hog"].folder)
    predictor.policy = policy
    answer = predictor.predict(photos[0])
    assert (answer["reason"], len(answer["prediction_set"])) == (reason, answers)
    (ours,) = classifiers["hog"].with_(policy=policy).predict(photos[0]).table.to_pylist()
    assert (ours["reason"], ours["prediction_set"]) == (reason, answer["prediction_set"])


def test_predict_script_says_how_to_use_it(exports, tmp_path):
    script = exports["majority"].file.with_name("predict.py")
    for said in (run(sys.executable, script, status=2).stderr, run(sys.executable, script, "--help").stdout):
        assert "python predict.py photo.jpg" in said
        assert "pip install onnxruntime numpy pillow" in said
    other = SimpleNamespace(__file__=sessions.__file__, PACKAGES=("openvino",))
    write_script(tmp_path, other)
    written = (tmp_path / "predict.py").read_text(encoding="utf-8")
    assert written.count("pip install openvino numpy pillow") == 3
    assert "onnxruntime" not in written


def test_predict_script_takes_folders_for_the_images_in_them(exports, photos, tmp_path):
    script, folder = exports["majority"].file.with_name("predict.py"), tmp_path / "some"
    (folder / "below").mkdir(parents=True)
    for place in ("a.PNG", "below/b.png", ".hidden.png", "notes.txt"):
        shutil.copy(photos[0], folder / place)
    finished = run(sys.executable, script, folder, photos[1])
    told = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [line["id"] for line in told] == [*map(str, (folder / "a.PNG", folder / "below/b.png", photos[1]))]
    assert all(line["label"] for line in told)
    assert "2 of 4 files are left out" in finished.stderr
    (folder / "empty").mkdir()
    refused = run(sys.executable, script, folder / "empty", status=1)
    assert "has no images: expected files ending in .jpg" in refused.stderr
    assert not refused.stdout
    assert SUFFIXES == OURS


def test_decoding_travels_as_it_is_but_for_where_its_files_lie(exports):
    for name in (
        "data.images.decoding",
        "data.images.damage",
        "data.images.fits",
        "runtime.reading",
        "decisions",
        "arrays",
    ):
        copy = exports["hog"].file.with_name(f"{name.rpartition('.')[2]}.py").read_text(encoding="utf-8")
        source = Path(sys.modules[f"linnaea.{name}"].__file__).read_text(encoding="utf-8")
        assert "linnaea." not in copy
        assert copy == re.sub(r"from linnaea\.([a-z]+\.)*(?=\w+ import)", "from ", source)


def test_an_exported_file_that_says_what_is_not_a_number_does_not_answer(exports, photos, tmp_path):
    folder = shutil.copytree(exports["majority"].file.parent, tmp_path / "broken")
    model = onnx.load(folder / "model.onnx")
    for constant in model.graph.initializer:
        values = onnx.numpy_helper.to_array(constant)
        if values.shape == (3,) and values.dtype == np.float32:
            constant.CopyFrom(onnx.numpy_helper.from_array(np.full(3, np.nan, dtype=np.float32), constant.name))
    onnx.save(model, folder / "model.onnx")
    described = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
    told = Predictor(folder, described | {"files": {}}).predict(photos[0])  # which does not look whether it is whole
    assert (told["reason"], told["label"], told["confidence"]) == ("undefined", None, None)
    assert "is not a number" in told["detail"]
    assert Predictor(exports["majority"].folder).predict(photos[0])["reason"] != "undefined"


def test_a_file_of_a_classifier_with_thresholds_for_groups_says_that_it_knows_no_group(photos, tmp_path, caplog):
    model = build("majority", {"classes": 2})
    model.prior.copy_(torch.tensor([0.6, 0.4]).log())
    policy = Policy(set_threshold=0.2, group_by="site", group_thresholds=(("n", 0.3), ("s", 0.7)))
    classifier = Classifier(TorchScorer(model), ("ant", "bee"), "binary", Recipe(SIZE, "pad"), policy=policy)
    exported = export(classifier, "onnx", tmp_path / "export", photos)
    assert exported.parity.severity == "warning"
    for said in (exported.parity.summary, caplog.text, str(exported)):
        assert "threshold for each group of 'site'" in said
        assert "The exported script is given no groups" in said
    facts = {entry.key: entry.value for entry in onnx.load(exported.file).metadata_props}
    assert "the common threshold decides" in facts["linnaea.warning"]
    answered = subprocess.run(
        [sys.executable, exported.folder / "predict.py", photos[0]], capture_output=True, text=True, check=True
    )
    assert "Warning: the classifier has a threshold for each group of 'site'" in answered.stderr
    told = json.loads(answered.stdout)
    assert (told["label"], told["reason"]) == ("ant", "ok")
    assert "the common threshold decides" in told["detail"]
