"""One ONNX file: from decoded pixels to probabilities, with class names and the decoding recipe in its metadata."""

import importlib.util
import json
import sys
import warnings
from pathlib import Path
from types import ModuleType

import torch

from linnaea import arrays, decisions
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.onnx import FILE, OF_MEMBERS, OUTPUTS, OnnxScorer
from linnaea.data.images import bands, damage, decoding, fits, opening
from linnaea.delivery.exporters.contract import EXPORTERS, Answer, Exporter
from linnaea.errors import MissingExtraError
from linnaea.models.ensembles import Mixture
from linnaea.runtime import reading
from linnaea.runtime.files import write_atomically, write_text

OPSET = 18
LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
BESIDE = (arrays, reading, damage, bands, fits, opening, decoding, decisions)
SCRIPT = Path(__file__).with_name("predict_onnx.py")  # read, not imported: onnxruntime is an extra


def write(classifier: Classifier, folder: Path) -> Path:
    """Write `model.onnx`, `predict.py` and the files that it imports into `folder` and return the first.

    Input `images` (N, S, S, C) of uint8; outputs `raw_scores`, `logits`, `probabilities` (N, K), `ood_score` (N,)
    and, of several members, `uncertainty` (N, 3).
    """
    for library in LIBRARIES:
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError(library, "export")
    file = write_atomically(folder / FILE, lambda partial: _convert(classifier, partial))
    for module in BESIDE:
        write_text(folder / f"{_own_name(module)}.py", _beside(Path(str(module.__file__))))
    write_text(folder / "predict.py", _beside(SCRIPT))
    return file


def open_session(file: Path) -> Answer:
    """Answer by the `predict.py` beside the file, as its user will."""
    answer: Answer = _import_script(file.parent / "predict.py").Predictor(file).score
    return answer


def scorer(classifier: Classifier, file: Path) -> OnnxScorer:
    """The file as the scorer of a classifier."""
    return OnnxScorer(file, classifier.ood_score)


def _convert(classifier: Classifier, file: Path) -> None:
    import onnx

    classifier = classifier.to("cpu")
    example = torch.zeros(2, *classifier.recipe.shape, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own deprecations; the parity check judges the outcome
        program = torch.onnx.export(
            classifier.graph(),
            (example,),
            dynamo=True,
            input_names=["images"],
            output_names=[*OUTPUTS, *([OF_MEMBERS] if isinstance(classifier.model, Mixture) else [])],
            dynamic_shapes=({0: torch.export.Dim("images", min=1)},),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    description = classifier.describe()
    for key in ("classes", "task", "recipe", "familiarity", "policy", "provenance"):
        model.metadata_props.add(key=f"linnaea.{key}", value=json.dumps(description[key]))
    if said := decisions.by_common_threshold(classifier.policy):
        model.metadata_props.add(key="linnaea.warning", value=json.dumps(said))
    onnx.checker.check_model(model)
    onnx.save_model(model, file)


def _beside(source: Path) -> str:
    """A file of ours as it is when what it imports from here lies beside it."""
    text = source.read_text(encoding="utf-8")
    for module in BESIDE:
        text = text.replace(f"from {module.__name__} import", f"from {_own_name(module)} import")
    return text


def _own_name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def _import_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"linnaea_export_{abs(hash(path))}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    names = [_own_name(module) for module in BESIDE]
    try:
        for name in names:
            sys.modules.pop(name, None)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
        for name in names:
            sys.modules.pop(name, None)
    return module


EXPORTERS.register(
    "onnx", title="ONNX", meaning="One ONNX file with a script that needs only onnxruntime, numpy and Pillow."
)(Exporter(write, open_session, scorer))
