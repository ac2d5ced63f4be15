"""Formats of phones, boards and GPUs: what runs here answers the same, and what does not says so."""

import ast
import importlib.util
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers import SCORERS
from linnaea.classifier.scorers.tensorrt import TensorrtScorer
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.classifier.scorers.tvm import TvmScorer
from linnaea.classifier.scorers.whole import WholeScorer
from linnaea.data.images.pixels import Recipe
from linnaea.delivery.exporters import EXPORTERS, UnfitError, export, require_export
from linnaea.delivery.exporters.coreml import checked
from linnaea.errors import BundleError, MissingExtraError
from linnaea.models import build
from linnaea.models.familiarity import FAMILIARITIES

SIZE = 32


def installed(*names):
    return all(importlib.util.find_spec(name) is not None for name in names)


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(40):
        Image.fromarray(random.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(tmp_path / f"photos/{number:02}.png")
    return sorted((tmp_path / "photos").iterdir())


@pytest.fixture
def classifier():
    """A tiny convolutional network with batch normalisation and an OOD score."""
    torch.manual_seed(0)
    model = build("compact", {"classes": 3, "size": SIZE, "widths": [8, 16]}).eval()
    own = Classifier(TorchScorer(model), ("ant", "bee", "wasp"), "multiclass", Recipe(SIZE, "stretch"))
    return own.with_(familiarity=FAMILIARITIES["energy"]())


@pytest.mark.skipif(torch.cuda.is_available() and installed("tensorrt"), reason="an engine can be built here")
def test_an_engine_is_refused_without_a_gpu_before_any_work(classifier, tmp_path):
    with pytest.raises(
        UnfitError, match=r"NVIDIA GPU and `pip install tensorrt`: not run here, as .*Other formats.*onnx"
    ):
        require_export(classifier, "tensorrt", "fp32", tmp_path / "export")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("to", "library", "extra"),
    [("executorch", "executorch", "mobile"), ("coreml", "coremltools", "mobile")],
)
def test_a_missing_runtime_names_its_extra(classifier, tmp_path, monkeypatch, to, library, extra):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: find(name, *rest) if name != library else None)
    with pytest.raises(MissingExtraError, match=rf"^{library} is not installed.*linnaea\[{extra}\]"):
        require_export(classifier, to, "fp32", tmp_path / "export")


def test_litert_sends_to_an_environment_of_its_own_rather_than_replace_torch(classifier, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: None if name == "litert_torch" else find(name, *_)
    )
    with pytest.raises(
        UnfitError, match=r"older torch in place of this one: .*`make litert`.*Other formats"
    ) as refused:
        require_export(classifier, "litert", "fp32", tmp_path / "export")
    assert "pip install" not in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [kind for kind in SCORERS if issubclass(SCORERS[kind], WholeScorer)])
def test_a_session_names_all_that_it_imports(kind):
    """What pip does not bring with the runtime is missing where the folder goes."""
    session = SCORERS[kind].session
    tree = ast.parse(Path(session.__file__).read_text(encoding="utf-8"))
    named = [each.module for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
    named += [alias.name for each in ast.walk(tree) if isinstance(each, ast.Import) for alias in each.names]
    imported = {name.partition(".")[0] for name in named} - {"numpy"} - set(sys.stdlib_module_names)
    assert imported == set(session.NEEDS)
    assert len(session.PACKAGES) == len(session.NEEDS)


@pytest.mark.parametrize("scorer", [TensorrtScorer, TvmScorer])
def test_engines_and_libraries_of_others_are_refused_before_they_are_opened(classifier, tmp_path, monkeypatch, scorer):
    (tmp_path / scorer.session.FILES[0]).write_bytes(b"what anybody may have written")
    classifier.with_(scorer=scorer(tmp_path, "energy"), calibrator=None, familiarity=None).save(tmp_path)
    monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path / "elsewhere"))
    with pytest.raises(BundleError, match=r"holds machine code .* that was not made here"):
        load(tmp_path)


def test_tvm_says_that_it_needs_a_compiler(classifier, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UnfitError, match=r"tvm: TVM links machine code with a C\+\+ compiler.*install g\+\+"):
        require_export(classifier, "tvm", "fp32", tmp_path / "export")


@pytest.mark.slow
@pytest.mark.skipif(not installed("executorch"), reason="executorch is not installed")
def test_more_images_than_a_program_takes_at_once_are_handed_over_in_turns(classifier, photos, tmp_path):
    again = load(export(classifier, "executorch", tmp_path / "export", photos).folder)
    assert len(photos) > again.scorer.session.MOST
    np.testing.assert_allclose(again.predict(photos).scores(), classifier.predict(photos).scores(), atol=1e-5)
    images = np.random.default_rng(0).integers(0, 256, (40, SIZE, SIZE, 3), dtype=np.uint8)
    whole = again.scorer.session.Session(again.scorer.folder).run(images)
    np.testing.assert_allclose(whole[2], classifier.score(images).probabilities, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(not installed("coremltools"), reason="coremltools is not installed")
def test_a_core_ml_package_is_checked_and_says_that_it_was_not_run(classifier, photos, tmp_path):
    made = export(classifier, "coreml", tmp_path / "export", photos)
    if not EXPORTERS["coreml"].elsewhere():
        assert made.ran
        return
    told = json.loads((made.folder / "program.json").read_text())
    assert told["inputs"] == {"images": [1, SIZE, SIZE, 3]}
    assert set(told["outputs"]) == {"raw_scores", "logits", "probabilities", "ood_score"}
    assert told["operators"]["conv"] == 5
    assert told["operators"]["softmax"] == 1
    names = zipfile.ZipFile(made.folder / "model.mlpackage.zip").namelist()
    assert "model.mlpackage/Data/com.apple.CoreML/model.mlmodel" in names
    assert json.loads((made.folder / "classifier.json").read_text())["classes"] == ["ant", "bee", "wasp"]
    assert "not run here: Core ML runs on macOS and iOS alone" in made.parity.summary
    with pytest.raises(BundleError, match="Core ML models run on macOS alone"):
        load(made.folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of coremltools, when it is imported
@pytest.mark.skipif(not installed("coremltools"), reason="coremltools is not installed")
def test_a_program_of_other_outputs_is_refused(classifier):
    from coremltools.proto.Model_pb2 import Model

    spec = Model()
    spec.description.input.add(name="images").type.multiArrayType.shape.extend([1, SIZE, SIZE, 3])
    spec.description.output.add(name="logits")
    with pytest.raises(UnfitError, match=r"gives logits; expected .*raw_scores, logits, probabilities, ood_score"):
        checked(spec, classifier)
