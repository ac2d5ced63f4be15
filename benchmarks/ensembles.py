"""Whether an ensemble of five has a lower loss on test than the best of its members, by more than its interval.

    python -m benchmarks ensembles
    python -m benchmarks.ensembles [IMAGES PER CLASS [EPOCHS [SPLITS]]]

CIFAR-10, from scratch, with the same few images per class for all. The best member is the one with the lowest loss on
val, by which one would pick it, and not on test. All are calibrated by a temperature from val.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import linnaea
from benchmarks.table import keep, photo_sets
from linnaea.classifier import Classifier
from linnaea.classifier.calibrators.temperature import Temperature
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.data.images.pixels import decode_files
from linnaea.models.ensembles.ensemble import Ensemble
from linnaea.run import Run

MEMBERS = 5
PER_CLASS, EPOCHS, SPLITS = 200, 15, 1
METHODS = (f"deep_ensemble:{MEMBERS}", f"snapshot:{MEMBERS}", f"swag:{MEMBERS}", "laplace")
SIZE = 32


def main(per_class: int = PER_CLASS, epochs: int = EPOCHS, splits: int = SPLITS) -> None:
    """A row per method, each against the best member of the deep ensemble, paired over test images."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for seed in range(splits):
            rows += of_split(Path(place) / str(seed), per_class, epochs, seed)
    remarks = (
        f"CIFAR-10, {per_class} images of each class, of which 60 % are trained on and a fifth is test; the compact "
        f"network from scratch, {epochs} epochs. Differences are paired over test images, with 95 % limits: below 0 "
        "the method is better. The best member of the deep ensemble is picked by val; each has a temperature from val."
    )
    keep("ensembles", "Ensembles against their best member", rows, remarks)


def of_split(place: Path, per_class: int, epochs: int, seed: int) -> list[dict[str, str]]:
    data = some_of(photo_sets() / "cifar10", per_class, seed)
    losses, seconds = {}, {}
    for method in METHODS:
        out = place / method.replace(":", "-")
        classifier = linnaea.train(
            data,
            model="scratch",
            epochs=epochs,
            img_size=SIZE,
            uncertainty=method,
            calibrator="temperature",
            ood="none",
            seed=seed,
            out=out,
        )
        run = Run.open(out)
        losses[method], seconds[method] = losses_of(run.predictions("test")), run.record()["seconds"]
        if method.startswith("deep"):
            members = members_of(classifier, run)
            best = min(members, key=lambda own: float(own[0].mean()))[1]
            mean = float(np.mean([on_test.mean() for _, on_test in members]))
    head = {"split": str(seed), "less": "", "s": ""}
    found = [
        {**head, "method": "mean of the members", "NLL on test": f"{mean:.3f}"},
        {**head, "method": "member picked by val", "NLL on test": f"{best.mean():.3f}"},
    ]
    return found + [row(method, losses[method], best, seed, seconds[method]) for method in METHODS]


def some_of(folder: Path, per_class: int, seed: int) -> linnaea.Dataset:
    """So many images of each class, without the splits of the set."""
    whole = linnaea.read(folder)
    labels, random = np.array(whole.labels), np.random.default_rng(seed)
    rows = [random.permutation(np.flatnonzero(labels == name))[:per_class] for name in whole.classes]
    some = whole.take(np.sort(np.concatenate(rows)).tolist())
    names = [name for name in some.table.column_names if name != "split"]
    return type(some)(some.table.select(names), some.classes, some.task, some.root)


def members_of(classifier: Classifier, run: Run) -> list[tuple[np.ndarray, np.ndarray]]:
    """The losses (V,) on val and (N,) on test of each member, with a temperature of its own from val."""
    model, dataset = classifier.model, run.dataset()
    assert isinstance(model, Ensemble)
    val, test = dataset.split("val"), dataset.split("test")
    images = decode_files(val.paths, classifier.recipe).images
    found = []
    for member in model.models:
        alone = Classifier(scorer_of(member), classifier.classes, classifier.task, classifier.recipe)
        alone = alone.with_(calibrator=Temperature.fit(alone.score(images).raw, val.targets))
        found.append((losses_of(alone.predict(val)), losses_of(alone.predict(test))))
    return found


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
    main(*map(int, sys.argv[1:]))
