"""Whether an ensemble of five has a lower loss on test than the best of its members, by more than its interval.

    python -m benchmarks.ensembles [IMAGES PER CLASS [EPOCHS [SEEDS OF SPLITS]]]

CIFAR-10, from scratch, with the same few images per class for all. The best member is the one with the lowest loss on
test, which is chosen to its advantage: by the very images it is judged on.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import linnaea
from benchmarks.table import keep, photo_sets
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.evidence.calibration import calibrate
from linnaea.models.ensembles.ensemble import Ensemble
from linnaea.run import Run

MEMBERS = 5
PER_CLASS, EPOCHS, SPLITS = 200, 15, 1
METHODS = (f"deep_ensemble:{MEMBERS}", f"snapshot:{MEMBERS}", f"swag:{MEMBERS}", "laplace")
SIZE = 32


def main() -> None:
    """A row per method, each against the best member of the deep ensemble, paired over test images."""
    given = [int(word) for word in sys.argv[1:]]
    per_class, epochs, splits = (*given, *(PER_CLASS, EPOCHS, SPLITS)[len(given) :])
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for seed in range(splits):
            rows += of_split(Path(place) / str(seed), per_class, epochs, seed)
    remarks = (
        f"CIFAR-10, {per_class} images of each class, of which 60 % are trained on and a fifth is test; the compact "
        f"network from scratch, {epochs} epochs. Differences are paired over test images, with 95 % limits: below 0 "
        "the method is better. The best member of the deep ensemble is chosen on test itself, calibrated like the rest."
    )
    keep("ensembles", "Ensembles against their best member", rows, remarks)


def of_split(place: Path, per_class: int, epochs: int, seed: int) -> list[dict[str, str]]:
    data = some_of(photo_sets() / "cifar10", per_class, seed)
    losses, seconds = {}, {}
    for method in METHODS:
        out = place / method.replace(":", "-")
        classifier = linnaea.train(
            data, model="scratch", epochs=epochs, img_size=SIZE, uncertainty=method, seed=seed, out=out
        )
        run = Run.open(out)
        losses[method], seconds[method] = losses_of(run.predictions("test")), run.record()["seconds"]
        if method.startswith("deep"):
            best = min(members_of(classifier, run), key=lambda own: float(own.mean()))
    found = [{"split": str(seed), "method": "best member", "NLL on test": f"{best.mean():.3f}", "less": "", "s": ""}]
    return found + [row(method, losses[method], best, seed, seconds[method]) for method in METHODS]


def some_of(folder: Path, per_class: int, seed: int) -> linnaea.Dataset:
    """So many images of each class, without the splits of the set."""
    whole = linnaea.read(folder)
    labels, random = np.array(whole.labels), np.random.default_rng(seed)
    rows = [random.permutation(np.flatnonzero(labels == name))[:per_class] for name in whole.classes]
    some = whole.take(np.sort(np.concatenate(rows)).tolist())
    names = [name for name in some.table.column_names if name != "split"]
    return type(some)(some.table.select(names), some.classes, some.task, some.root)


def members_of(classifier: Classifier, run: Run) -> list[np.ndarray]:
    """The losses (N,) on test of each member, with a temperature of its own from val."""
    model, dataset = classifier.model, run.dataset()
    assert isinstance(model, Ensemble)
    val, test = dataset.split("val"), dataset.split("test")
    found = []
    for member in model.models:
        alone = Classifier(scorer_of(member), classifier.classes, classifier.task, classifier.recipe)
        alone = calibrate(alone, scored(alone, val), val.targets)
        found.append(losses_of(alone.predict(test)))
    return found


def scored(classifier: Classifier, images: linnaea.Dataset) -> object:
    from linnaea.data.images.pixels import decode_files

    return classifier.score(decode_files(images.paths, classifier.recipe).images)


def losses_of(predictions: linnaea.Predictions) -> np.ndarray:
    """Minus the logarithm of the probability of the truth (N,), by the images' names."""
    shares = predictions.scores()[np.arange(len(predictions)), predictions.targets]
    order = np.argsort(predictions.column("id"))
    return -np.log(np.clip(shares, 1e-12, None))[order]


def row(method: str, own: np.ndarray, best: np.ndarray, seed: int, seconds: float) -> dict[str, str]:
    difference = own - best
    reach = 1.96 * difference.std(ddof=1) / len(difference) ** 0.5
    less = f"{difference.mean():+.3f} ({difference.mean() - reach:+.3f} to {difference.mean() + reach:+.3f})"
    return {
        "split": str(seed),
        "method": method,
        "NLL on test": f"{own.mean():.3f}",
        "less": less,
        "s": f"{seconds:.0f}",
    }


if __name__ == "__main__":
    main()
