"""CIFAR-10 with a taxonomy: answers that roll up against plain thresholding, the loss per level against a flat one."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.table import keep, photo_sets
from linnaea.classifier.calibrators.temperature import Temperature
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.data.sources import read
from linnaea.decisions import Policy, decide
from linnaea.evidence.comparison.differences import alike, difference_of
from linnaea.evidence.metrics import TreeScores, metrics_of
from linnaea.evidence.roll_up import fit_roll_up
from linnaea.evidence.uncertainty import of_metric, sample_of
from linnaea.finding import Estimate
from linnaea.learning.heads import choose, fit_path
from linnaea.learning.losses import criterion_for
from linnaea.models.embedding import embed
from linnaea.models.weights import read_weights
from linnaea.predictions import Predictions
from linnaea.statistics.intervals import estimate
from linnaea.task import TASKS
from linnaea.taxonomy import Taxonomy

Floats = npt.NDArray[np.floating]
Rows = npt.NDArray[np.int64]
SIZE, RISK = 48, 0.1
TRAIN, VAL, TEST = 3_000, 1_500, 8_000
STRENGTHS = (0.0003, 0.001, 0.003, 0.01)
FLAT, OWN = "cross_entropy", "per_level"
SEEDS = 3
TAXONOMIES = {
    "given": {
        **dict.fromkeys(("bird", "frog", "mammal"), "animal"),
        **dict.fromkeys(("cat", "dog", "deer", "horse"), "mammal"),
        **dict.fromkeys(("airplane", "ship", "road"), "vehicle"),
        **dict.fromkeys(("automobile", "truck"), "road"),
    },
    "more uneven": {
        **dict.fromkeys(("bird", "mammal"), "warm-blooded"),
        **dict.fromkeys(("pet", "hoofed"), "mammal"),
        **dict.fromkeys(("cat", "dog"), "pet"),
        **dict.fromkeys(("deer", "horse"), "hoofed"),
        **dict.fromkeys(("airplane", "ship", "road"), "vehicle"),
        **dict.fromkeys(("automobile", "truck"), "road"),
    },
}


@dataclass(frozen=True)
class Features:
    """Frozen features (N, D) and class indices (N,) of the images of one split."""

    features: npt.NDArray[np.float32]
    targets: Rows
    ids: list[str]

    def take(self, rows: Rows) -> "Features":
        return Features(self.features[rows], self.targets[rows], [self.ids[row] for row in rows.tolist()])


@dataclass(frozen=True)
class Parts:
    """What one seed draws: images to train on, to choose and calibrate by, and to be judged on."""

    train: Features
    val: Features
    test: Features
    seed: int


def main() -> None:
    """Measure both taxonomies; needs the file of weights that LINNAEA_WEIGHTS names."""
    file = Path(os.environ.get("LINNAEA_WEIGHTS", ""))
    if not file.is_file():
        raise SystemExit("Set LINNAEA_WEIGHTS to a safetensors file of ImageNet weights to run this benchmark.")
    started = time.perf_counter()
    classes, drawn = load(file)
    flat = [probabilities_of(parts, Taxonomy.of(classes, {}), FLAT) for parts in drawn]
    rows = [row for name, parents in TAXONOMIES.items() for row in measure(name, classes, parents, drawn, flat)]
    remarks = (
        f"Frozen MobileNetV2 at {SIZE} px, {TRAIN:,} images to fit a head, {VAL:,} to choose its strength, "
        f"calibrate and set the threshold, {TEST:,} to judge; {SEEDS} draws of the first two. All are of the train "
        "split, as the usual fall in weight of the loss was chosen on the test split. Information is the depth of "
        "right answers as a share of that of the class, 0 for a wrong one or none; severity the height of the "
        "lowest group that holds both truth and answer, over the mistakes. Plain: the most probable class from a "
        "threshold on, set for the same risk by the same rule. Differences are paired by image, with 95 % "
        f"intervals by resampling images, each with all its draws. {time.perf_counter() - started:.0f} s in all."
    )
    keep("hierarchical", "A taxonomy on CIFAR-10: roll-up at a risk of 10 %, and how bad mistakes are", rows, remarks)


def load(file: Path) -> tuple[tuple[str, ...], list[Parts]]:
    """The classes, and the features that each seed draws."""
    dataset, random = read(photo_sets() / "cifar10"), np.random.default_rng(0)
    model = read_weights(file).build(len(dataset.classes), SIZE)
    part = dataset.split("train")
    part = part.take(random.permutation(len(part))[: TRAIN + VAL + TEST].tolist())
    features = embed(model, decode_files(part.paths, Recipe(SIZE)).images)
    found, border = Features(features, part.targets, part.ids), TRAIN + VAL
    pool, test = (found.take(np.arange(*ends)) for ends in ((0, border), (border, len(part))))
    return dataset.classes, [draw(pool, test, seed) for seed in range(SEEDS)]


def draw(pool: Features, test: Features, seed: int) -> Parts:
    order = np.random.default_rng(seed).permutation(len(pool.targets))
    return Parts(pool.take(order[:TRAIN]), pool.take(order[TRAIN:]), test, seed)


def probabilities_of(parts: Parts, tree: Taxonomy, loss: str) -> tuple[Floats, Floats]:
    """Calibrated probabilities of the val and the test images, from a head that was fitted with this loss."""
    losses = criterion_for(TASKS["hierarchical"], loss, tree).losses
    train, val = parts.train, parts.val
    heads = fit_path(train.features, train.targets, len(tree.classes), loss=losses, strengths=STRENGTHS)
    head = choose(heads, val.features, val.targets)
    temperature = Temperature.fit(head.logits(val.features), val.targets).temperature
    task = TASKS["hierarchical"]
    print(f"{loss}, seed {parts.seed}: C = {head.strength}, temperature {temperature:.2f}")
    first, second = (task.probabilities(head.logits(part.features) / temperature) for part in (val, parts.test))
    return first, second


def measure(
    name: str,
    classes: tuple[str, ...],
    parents: Mapping[str, str],
    drawn: Sequence[Parts],
    flat: Sequence[tuple[Floats, Floats]],
) -> list[dict[str, Any]]:
    """A row per loss and way to answer."""
    tree = Taxonomy.of(classes, parents)
    own = [probabilities_of(parts, tree, OWN) for parts in drawn]
    (plain, rolled), (own_plain, own_rolled) = (
        [judged(drawn, made, tree, up) for up in (False, True)] for made in (flat, own)
    )
    ways = (
        (FLAT, "plain", plain, None, None),
        (FLAT, "roll-up", rolled, plain, None),
        (OWN, "plain", own_plain, None, plain),
        (OWN, "roll-up", own_rolled, own_plain, rolled),
    )
    return [
        {
            "taxonomy": name,
            "loss": loss,
            "answers": answers,
            "accuracy": told(figure("accuracy", scores)),
            "accuracy against flat": gain("accuracy", base, scores),
            "information": told(figure("information", scores)),
            "more than plain": gain("information", other, scores),
            "risk": told(figure("risk", scores)),
            "severity": told(figure("mistake_severity", scores)),
            "severity against flat": gain("mistake_severity", base, scores),
        }
        for loss, answers, scores, other, base in ways
    ]


Judged = tuple[TreeScores, Predictions]


def judged(drawn: Sequence[Parts], made: Sequence[tuple[Floats, Floats]], tree: Taxonomy, up: bool) -> Judged:
    """The answers of all seeds to the test images, rolled up or plain, each image a group of its draws."""
    columns: dict[str, list[Any]] = {}
    for parts, (val, test) in zip(drawn, made, strict=True):
        # Plain is the same rule with no group above any class: a class, or nothing.
        own = tree if up else Taxonomy.of(tree.classes, {})
        policy = fit_policy(val, parts.val.targets, own)
        decided = decide("hierarchical", tree.classes, test, policy)
        found = {
            "id": [f"{name} {parts.seed}" for name in parts.test.ids],
            "group": parts.test.ids,
            "truth": [tree.classes[target] for target in parts.test.targets.tolist()],
            "probabilities": test.tolist(),
            "label": decided.labels,
            "confidence": decided.confidence.tolist(),
            "reason": ["ok"] * len(test),
        }
        columns = {key: [*columns.get(key, []), *values] for key, values in found.items()}
    predictions = Predictions.from_columns(columns, tree.classes, "hierarchical", dict(tree.parents))
    return TreeScores.of(predictions), predictions


def fit_policy(val: Floats, targets: Rows, tree: Taxonomy) -> Policy:
    return replace(Policy(parents=tree.parents), thresholds=(fit_roll_up(val, targets, tree, RISK).threshold,))


def figure(name: str, given: Judged) -> Estimate:
    scores, predictions = given
    metric, sample = metrics_of(scores)[name], sample_of(predictions)
    return estimate({name: of_metric(metric, scores, sample)}, sample, replicates=400)[name]


def gain(name: str, base: Judged | None, given: Judged) -> str:
    """The figure less that of the base, on the same images."""
    if base is None:
        return ""
    metric, sample = metrics_of(given[0])[name], sample_of(given[1])
    both = alike(metric, (base[0], given[0]))
    return told(estimate({name: difference_of(metric, both, sample)}, sample, replicates=1000)[name], sign="+")


def told(found: Estimate, sign: str = "") -> str:
    assert found.value is not None
    return f"{found.value:{sign}.3f} ({found.lo:{sign}.3f} to {found.hi:{sign}.3f})"


if __name__ == "__main__":
    main()
