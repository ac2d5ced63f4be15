"""Whether exported folders answer as their classifier does: 500 real images, each runtime that runs here."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from benchmarks.table import keep, photo_sets, weights_of
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.delivery.exporters import EXPORTERS, PRECISIONS, Order, ParityError, export
from linnaea.delivery.exporters.contract import precisions_of
from linnaea.errors import LinnaeaError
from linnaea.evidence.calibration import calibrate
from linnaea.evidence.openset import fit_familiarity
from linnaea.models.embedding import embed
from linnaea.models.network import Network

IMAGES, SEEN, CLASSES, SIZE = 500, 1_500, 8, 224
RIDGE = 1.0  # times the mean square of a feature
NETWORKS = {"mobilenetv2_100": "multiclass", "tf_efficientnet_lite0": "multilabel"}  # both of both take twice as long
CHECKED = ("fp32", "bf16")


def main() -> None:
    """A row for each network, task, format and precision."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for name, classifier, images in classifiers():
            for to, precision in asked():
                rows.append(row(name, classifier, images, to, precision, Path(place) / "export"))
                print(rows[-1], flush=True)
    remarks = (
        f"Up to {IMAGES} photos, from the bytes of a file to the answer, by the predict.py of the folder against "
        "the classifier. The difference is the largest of probabilities, uncertainty in nats and OOD scores in "
        "terms of their size. Aims: in fp32 all labels and 1e-4, in bf16 99.5 % of the labels."
    )
    keep("export_parity", "Exported answers against the classifier's", rows, remarks)


def asked() -> Iterator[tuple[str, str]]:
    """The formats and precisions, all that there are."""
    yield from ((to, precision) for to in EXPORTERS for precision in CHECKED if precision in precisions_of(to))


def classifiers() -> Iterator[tuple[str, Classifier, list[Path]]]:
    """Calibrated ones, with a familiarity score, of ImageNet weights and a fitted head: one for each kind of task."""
    photos = sorted((photo_sets() / "clothing").rglob("*.jpg"))
    labels = sorted({path.parent.name for path in photos})[:CLASSES]
    photos = [path for path in photos if path.parent.name in labels]
    np.random.default_rng(0).shuffle(photos)  # type: ignore[arg-type]  in place
    seen, asked_of = photos[IMAGES:][:SEEN], photos[:IMAGES]
    for network, task in NETWORKS.items():
        yield f"{network}, {task}", fitted(network, task, seen, labels), asked_of


def fitted(network: str, task: str, photos: list[Path], labels: list[str]) -> Classifier:
    """A frozen body with the head of a ridge regression, calibrated on a third of the photos that are seen."""
    recipe = Recipe(SIZE)
    model = Network(network, len(labels), SIZE)
    model.body.load_state_dict(load_file(weights_of(network)), strict=False)
    decoded = decode_files(photos, recipe).kept().images
    features = embed(model, decoded)
    targets = np.array([labels.index(path.parent.name) for path in photos])
    onto, fitted_on = np.eye(len(labels))[targets], len(targets) * 2 // 3
    known, goal = features[:fitted_on], onto[:fitted_on]
    centred = known - known.mean(axis=0)
    spread = RIDGE * np.trace(centred.T @ centred) / centred.shape[1] * np.eye(centred.shape[1])
    solved = np.linalg.solve(centred.T @ centred + spread, centred.T @ (goal - goal.mean(axis=0)))
    weight = torch.from_numpy(8 * solved.T).float()
    bias = torch.from_numpy(8 * (goal.mean(axis=0) - known.mean(axis=0) @ solved)).float()
    model = model.with_head(weight, bias)
    classifier = Classifier(TorchScorer(model), tuple(labels), task, recipe)
    classifier = classifier.with_(familiarity=fit_familiarity(model, known, targets[:fitted_on]))
    truth: Any = targets if task == "multiclass" else onto
    return calibrate(classifier, classifier.score(decoded[fitted_on:]), truth[fitted_on:])


def row(name: str, classifier: Classifier, images: list[Path], to: str, precision: str, folder: Path) -> dict[str, Any]:
    """What the check of one export found."""
    shutil.rmtree(folder, ignore_errors=True)
    told = {"classifier": name, "format": to, "precision": precision}
    try:
        parity = export(classifier, to, folder, images, Order(precision)).parity
    except ParityError as error:
        parity = error.finding
    except LinnaeaError as error:
        return told | {"same labels": "-", "largest difference": "-", "tolerated": "-", "outcome": str(error)}
    if parity.figure is None:
        return told | {"same labels": "-", "largest difference": "-", "tolerated": "-", "outcome": "not run here"}
    same = parity.count - len(parity.images)
    return told | {
        "same labels": f"{same} of {parity.count}",
        "largest difference": "not a number" if parity.figure.value is None else f"{parity.figure.value:.1e}",
        "tolerated": f"{PRECISIONS[precision].tolerance:g}",
        "outcome": "failed" if parity.severity == "error" else "passed",
    }


if __name__ == "__main__":
    main()
