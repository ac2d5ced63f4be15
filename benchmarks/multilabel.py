"""Several labels per image, in one command, against scikit-learn's logistic regressions tuned label by label."""

import os
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.preprocessing import StandardScaler

import linnaea
from benchmarks.table import keep, photo_sets
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.dataset import Dataset
from linnaea.models.embedding import embed

Floats = npt.NDArray[np.floating]
SEEDS = 3
STRENGTHS = (0.0003, 0.003, 0.03, 0.3)
REPLICATES = 500
COMPOSED = 2_000


@dataclass(frozen=True)
class Judged:
    """Scores (N, K) of the test images by both, the truth (N, K), answers (N, K), and the group of each image."""

    own: Floats
    reference: Floats
    truth: Floats
    answers: Floats
    groups: list[Any]


def main() -> None:
    """The circuit boards on their own split and on others by board; images composed here on five splits."""
    with tempfile.TemporaryDirectory() as place:
        boards = linnaea.read(photo_sets() / "pcb")
        composed = compose(Path(place) / "composed")
        weights = os.environ["LINNAEA_WEIGHTS"]
        ways = [
            ("pcb, its own split", [boards], {"model": "frozen", "weights": weights}),
            ("pcb, split by board", [_unsplit(boards)] * SEEDS, {"model": "frozen", "weights": weights}),
            ("composed of Fashion-MNIST", [composed] * SEEDS, {"model": "hog", "weights": "none"}),
        ]
        rows = [
            row_of(
                name,
                [judge(data, Path(place) / f"{name}-{seed}", seed, words) for seed, data in enumerate(datasets)],
                words["model"],
            )
            for name, datasets, words in ways
        ]
    remarks = (
        f"Command: `linnaea train SET --model frozen --weights FILE` (or `--model hog --weights none`), {SEEDS} splits "
        "where more than one. Reference: scikit-learn's LogisticRegression per label on the same features, "
        f"standardised, C chosen on val by average precision of that label among {len(STRENGTHS)}. Differences with "
        "95 % intervals by resampling boards (or images) of all test splits, each as one. Macro F1: of the answers at "
        f"the thresholds chosen on val, against one half. Composed: {COMPOSED:,} images of four fields, empty or "
        "with an article of clothing; labels are what is shown, ten in all."
    )
    keep("multilabel", "Several labels per image", rows, remarks)


def _unsplit(dataset: Dataset) -> Dataset:
    return replace(dataset, table=dataset.table.drop_columns(["split"]))


def compose(folder: Path) -> Dataset:
    """Images of 2 x 2 fields with articles of Fashion-MNIST in some; written as files with a table."""
    from PIL import Image

    articles = linnaea.read(photo_sets() / "fashion-mnist")
    random = np.random.default_rng(0)
    rows = random.permutation(len(articles))[: 4 * COMPOSED]
    images = decode_files(articles.take(rows.tolist()).paths, Recipe(32)).images
    names = np.array(articles.classes)[articles.targets[rows]]
    folder.mkdir(parents=True)
    lines = ["path,label"]
    for number in range(COMPOSED):
        picture = np.zeros((64, 64, 3), dtype=np.uint8)
        shown = set()
        for field in range(4):
            if random.random() < 0.5:
                down, across = 32 * (field // 2), 32 * (field % 2)
                picture[down : down + 32, across : across + 32] = images[4 * number + field]
                shown.add(str(names[4 * number + field]))
        Image.fromarray(picture).save(folder / f"{number:05}.png")
        lines.append(f"{number:05}.png,{'|'.join(sorted(shown))}|")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return linnaea.read(folder)


def judge(data: Dataset, out: Path, seed: int, words: dict[str, Any]) -> Judged:
    """Train by one call; then the reference on what the run's own model saw, split by split."""
    classifier = linnaea.train(data, out=out, seed=seed, **words)
    dataset = linnaea.Run.open(out).dataset()
    parts = {name: dataset.split(name) for name in ("train", "val", "test")}
    features = {
        name: embed(classifier.model, decode_files(part.paths, classifier.recipe).images)
        for name, part in parts.items()
    }
    scaler = StandardScaler().fit(features["train"])
    inputs = {name: scaler.transform(values) for name, values in features.items()}
    truth = parts["test"].targets
    reference = np.stack(
        [_tuned(inputs, {name: part.targets[:, k] for name, part in parts.items()}) for k in range(truth.shape[1])],
        axis=1,
    )
    test = linnaea.Run.open(out).predictions("test")
    groups = parts["test"].column("group") if dataset.has("group") else list(range(len(truth)))
    return Judged(test.scores(), reference, truth, test.answers, groups)


def _tuned(inputs: dict[str, Floats], targets: dict[str, Floats]) -> Floats:
    """Scores of the test images by the regression that orders the val images of this label best."""
    tried = []
    for strength in STRENGTHS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=strength, max_iter=200).fit(inputs["train"], targets["train"])
        score = average_precision_score(targets["val"], model.decision_function(inputs["val"]))
        tried.append((score, model.decision_function(inputs["test"])))
    return max(tried, key=lambda entry: entry[0])[1]


def row_of(name: str, judged: list[Judged], model: str) -> dict[str, str]:
    """Means over splits, with intervals of the differences."""
    order = [(macro_ap(one.own, one.truth), macro_ap(one.reference, one.truth)) for one in judged]
    answers = [(macro_f1(one.answers, one.truth), macro_f1(one.own >= 0.5, one.truth)) for one in judged]
    precision = [_spread(one, macro_ap, one.own, one.reference) for one in judged]
    raised = [_spread(one, macro_f1, one.answers, one.own >= 0.5) for one in judged]
    own, reference = np.mean(order, axis=0)
    chosen, half = np.mean(answers, axis=0)
    return {
        "set": name,
        "rung": model,
        "test images": f"{np.mean([len(one.truth) for one in judged]):.0f}",
        "macro AP": f"{own:.3f}",
        "scikit-learn": f"{reference:.3f}",
        "difference": _interval(own - reference, precision),
        "macro F1": f"{chosen:.3f}",
        "at one half": f"{half:.3f}",
        "raised by": _interval(chosen - half, raised),
    }


def _spread(one: Judged, figure: Any, first: Floats, second: Floats) -> Floats:
    """The difference of a figure on resamples of whole groups (B,)."""
    random, names = np.random.default_rng(0), sorted(set(one.groups))
    rows_of = {name: [] for name in names}
    for row, name in enumerate(one.groups):
        rows_of[name].append(row)
    found = []
    for _ in range(REPLICATES):
        drawn = np.concatenate([rows_of[names[at]] for at in random.integers(0, len(names), len(names))]).astype(int)
        found.append(figure(first[drawn], one.truth[drawn]) - figure(second[drawn], one.truth[drawn]))
    return np.array(found)


def _interval(value: float, spreads: list[Floats]) -> str:
    low, high = np.quantile(np.mean(spreads, axis=0), (0.025, 0.975))
    return f"{value:+.4f} ({low:+.4f} to {high:+.4f})"


def macro_ap(scores: Floats, truth: Floats) -> float:
    """The mean average precision over the labels that some images show and some do not."""
    some = (truth.sum(axis=0) > 0) & (truth.sum(axis=0) < len(truth))
    return float(average_precision_score(truth[:, some], scores[:, some], average="macro"))


def macro_f1(answers: Floats, truth: Floats) -> float:
    """The mean F1 over the labels."""
    return float(f1_score(truth, np.asarray(answers, dtype=int), average="macro", zero_division=0))


if __name__ == "__main__":
    main()
