"""What each balancer does for a class that was reduced to 1 %, over several seeds, on images and on features."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import t as student

from benchmarks.table import keep, photo_sets
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.data.sources import read
from linnaea.learning.balance import BALANCERS
from linnaea.learning.examples import Examples
from linnaea.learning.job import Features
from linnaea.learning.rungs import RUNGS, Job, Options, with_pictures
from linnaea.models.embedding import embed
from linnaea.models.weights import Weights, read_weights
from linnaea.runtime.plan import Plan
from linnaea.task import TASKS

SHARE = 0.01
FEWEST = 3
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """A data set and the rung that is fitted on it; `most` images per class are used to train, and to test."""

    data: str
    rung: str
    size: int
    most: int = 500
    seeds: int = 10


CASES = (Case("fashion-mnist", "hog", 32), Case("clothing", "frozen", 224, most=120))


@dataclass(frozen=True)
class Pool:
    """All images to draw from and to be tested on, and, for a frozen network, their features."""

    train: Examples
    test: Examples
    classes: int
    weights: Weights | None = None
    features: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None = None


def main() -> None:
    """Measure each case; the frozen network needs the file that LINNAEA_WEIGHTS names."""
    rows = [row for case in CASES for row in measure(case)]
    remarks = (
        f"One class, another for every seed, keeps {SHARE:.0%} of its training images, at least {FEWEST}; a fifth of "
        "them are val, which chooses the strength. Judged on test images, where all classes are whole. Means over the "
        "seeds with 95 % intervals by Student's t; gains are paired by seed."
    )
    keep("balance", "Balance: one class reduced to 1 %", rows, remarks)


def measure(case: Case) -> list[dict[str, Any]]:
    """A row per balancer that the rung takes, and one for none."""
    pool = load(case)
    if pool is None:
        print(f"{case.data} with {case.rung} is left out: LINNAEA_WEIGHTS names no file of weights.")
        return []
    names = [None, *(name for name, member in BALANCERS.items() if member.acts_on in RUNGS[case.rung].balances)]
    found: dict[str | None, list[tuple[float, float, float]]] = {name: [] for name in names}
    for seed in range(case.seeds):
        rare, job = draw(case, pool, seed)
        for name in names:
            started = time.perf_counter()
            answers = answer(case, pool, replace(job, options=Options(balance=name, seed=seed)))
            recalls = [float((answers[pool.test.targets == number] == number).mean()) for number in range(pool.classes)]
            found[name].append((recalls[rare], float(np.mean(recalls)), time.perf_counter() - started))
            print(case.data, seed, name, f"recall {recalls[rare]:.3f}, balanced accuracy {np.mean(recalls):.3f}")
    return [row(case, name, np.array(found[name]), np.array(found[None])) for name in names]


def load(case: Case) -> Pool | None:
    """Decoded train and test images, at most `most` per class; None where weights are needed and there are none."""
    file = Path(os.environ.get("LINNAEA_WEIGHTS", ""))
    if RUNGS[case.rung].pretrained and not file.is_file():
        return None
    dataset = read(photo_sets() / case.data)
    parts = {}
    for name in ("train", "test"):
        part = dataset.split(name)
        part = part.take(capped(part.targets, case.most).tolist())
        decoded = decode_files(part.paths, Recipe(case.size))
        parts[name] = Examples(decoded.kept().images, np.delete(part.targets, list(decoded.failed)))
    if not RUNGS[case.rung].pretrained:
        return Pool(parts["train"], parts["test"], len(dataset.classes))
    weights = read_weights(file)
    model = weights.build(len(dataset.classes), case.size)
    features = embed(model, parts["train"].images), embed(model, parts["test"].images)
    return Pool(parts["train"], parts["test"], len(dataset.classes), weights, features)


def capped(targets: Rows, most: int) -> Rows:
    """Rows with at most so many of each class, drawn at random."""
    random = np.random.default_rng(0)
    return np.sort(
        np.concatenate([random.permutation(np.flatnonzero(targets == number))[:most] for number in np.unique(targets)])
    )


def draw(case: Case, pool: Pool, seed: int) -> tuple[int, Job]:
    """The class that is rare with this seed, and a job in which it has 1 % of its images."""
    random, rare = np.random.default_rng(seed), seed % pool.classes
    train, val = [], []
    for number in range(pool.classes):
        rows = random.permutation(np.flatnonzero(pool.train.targets == number))
        rows = rows[: max(FEWEST, round(SHARE * len(rows)))] if number == rare else rows
        border = max(1, len(rows) // 5)
        val.append(rows[:border])
        train.append(rows[border:])
    both = [np.sort(np.concatenate(rows)) for rows in (train, val)]
    parts = [Examples(pool.train.images[rows], pool.train.targets[rows]) for rows in both]
    job = Job(parts[0], parts[1], pool.classes, TASKS["multiclass"], Options(), weights=pool.weights)
    if pool.features is not None and pool.weights is not None:
        known = Features(pool.features[0][both[0]], parts[0].targets, pool.features[0][both[1]], Plan("cpu"))
        job.features[pool.weights.source] = known
    return rare, job


def answer(case: Case, pool: Pool, job: Job) -> Rows:
    """What the rung, fitted on the job, answers on the test images."""
    more = with_pictures(job)
    if more is not job and pool.weights is not None:  # made images are embedded, the others are known
        known = job.features[pool.weights.source]
        made = embed(pool.weights.build(pool.classes, case.size), more.train.images[len(job.train) :])
        features = Features(np.concatenate([known.train, made]), more.train.targets, known.val, known.plan)
        more = replace(more, features={pool.weights.source: features})
    model = RUNGS[case.rung].fit(more).model.eval()
    features = embed(model, pool.test.images) if pool.features is None else pool.features[1]
    with torch.no_grad():
        answers: Rows = model.head(torch.from_numpy(features)).argmax(dim=1).numpy()
    return answers


def row(case: Case, name: str | None, found: Any, plain: Any) -> dict[str, Any]:
    """One line of the table from recalls, balanced accuracies and seconds (seeds, 3)."""
    cells: Iterator[tuple[str, int]] = iter((("recall of the rare class", 0), ("balanced accuracy", 1)))
    figures = {}
    for title, column in cells:
        figures[title] = interval(found[:, column])
        figures[f"gain in {title}"] = "" if name is None else interval(found[:, column] - plain[:, column], sign="+")
    line = {"data": case.data, "rung": case.rung, "balance": name or "none", **figures, "seeds": len(found)}
    return {**line, "seconds": f"{found[:, 2].mean():.1f}"}


def interval(values: Any, sign: str = "") -> str:
    """The mean with the limits of Student's t; those of a share (no sign) stay within 0 and 1."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    mean = values.mean()
    lo, hi = (mean - half, mean + half) if sign else (max(mean - half, 0.0), min(mean + half, 1.0))
    return f"{mean:{sign}.3f} ({lo:{sign}.3f} to {hi:{sign}.3f})"


if __name__ == "__main__":
    main()
