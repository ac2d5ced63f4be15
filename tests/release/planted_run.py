"""A finished run as its files, planted without training: good, and then spoilt in one respect."""

import json

import numpy as np
import pyarrow as pa

from linnaea.data.datasheet import KEYS, Datasheet, as_toml
from linnaea.dataset import Dataset
from linnaea.decisions import Policy
from linnaea.evidence.evaluation import write_evaluation
from linnaea.evidence.gate import NotDoneError
from linnaea.finding import Estimate, Finding
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.runtime.files import read_json, write_json, write_text

CLASSES = ("ant", "bee", "wasp")
POLICY = Policy(n=300)


def plant(folder, *, right=0.97, images=900, seed=0, flips=None, groups=60):
    """A run on `images` test images of which the share `right` is answered correctly, sure of exactly that share.

    `flips` maps a class to the share of its images that is right, and to what the others are taken for.
    """
    run = Run.create(folder, {"weights": "none"}, "linnaea train photos")
    answered = answers(right=right, images=images, seed=seed, flips=flips, groups=groups)
    write_json(folder / "model" / "classifier.json", description())
    write_text(folder / "model" / "weights.safetensors", "weights")
    run.write_dataset(dataset_of(folder, answered, groups))
    run.write_findings("audit", [])
    run.write_findings("guessing", [Finding("guessing", "It is better than guessing.", figure=of(0.6, 0.5, 0.7))])
    write_evaluation(answered, folder, "test", POLICY, replicates=40)
    run.write_findings("groups", grouped(0.95, 0.02))
    write_text(folder / "datasheet.toml", as_toml(Datasheet(dict.fromkeys(KEYS, "known"))))
    run.count_test("train")
    run.update(status="finished")
    return run


def answers(*, right, images, seed, flips, groups):
    """Predictions that state the confidence `right` and are right as often."""
    random = np.random.default_rng(seed)
    truth = np.arange(images) % len(CLASSES)
    share = np.full(images, right)
    other = (truth + 1) % len(CLASSES)
    for name, (part, taken) in (flips or {}).items():
        share[truth == CLASSES.index(name)] = part
        other[truth == CLASSES.index(name)] = CLASSES.index(taken)
    label = np.where(random.random(images) < share, truth, other)
    probabilities = np.full((images, len(CLASSES)), (1 - right) / (len(CLASSES) - 1))
    probabilities[np.arange(images), label] = right
    held = random.random(images) < 0.9
    sets = [[CLASSES[true if hold else (true + 1) % 3]] for true, hold in zip(truth, held, strict=True)]
    columns = {
        "id": [f"{number:05}.png" for number in range(images)],
        "truth": [CLASSES[place] for place in truth],
        "logits": np.log(probabilities),
        "probabilities": probabilities,
        "label": [CLASSES[place] for place in label],
        "confidence": np.full(images, right),
        "prediction_set": sets,
        "ood_score": np.zeros(images),
        "reason": ["unsure" if number % 40 == 0 else "ok" for number in range(images)],
        "detail": [None] * images,
    }
    if groups:
        columns["group"] = [f"site {number % groups}" for number in range(images)]
    return Predictions.from_columns(columns, CLASSES, "multiclass")


def dataset_of(folder, answered, groups):
    """The test images, and as many to train on, of other groups."""
    ids = answered.column("id")
    rows = [{"path": f"t-{name}", "label": CLASSES[0], "split": "train"} for name in ids] + [
        {"path": name, "label": truth, "split": "test"}
        for name, truth in zip(ids, answered.column("truth"), strict=True)
    ]
    for number, row in enumerate(rows):
        row |= {"sha256": f"{number:064}"} | ({"group": f"{row['split']} {number % groups}"} if groups else {})
    return Dataset(pa.Table.from_pylist(rows), CLASSES, "multiclass", folder.parent / "photos")


def description():
    from dataclasses import asdict

    return {"classes": CLASSES, "task": "multiclass", "policy": asdict(POLICY), "files": {"weights.safetensors": "0"}}


def grouped(worst, gap):
    """What `evaluate --by site` finds where the worst site has this accuracy."""
    row = {"by": "site", "group": "north"}
    gaps = {"by": "site", "gap": "accuracy_difference", "value": gap, "lo": gap - 0.02, "hi": gap + 0.02, "n": 900}
    return [
        Finding("worst_group", "told", figure=of(worst, worst - 0.03, worst + 0.03, 300), rows=[row]),
        Finding("gaps", "told", rows=[gaps | {"lowest": "north", "highest": "south"}]),
        Finding("groups", "told", rows=[row]),
    ]


def of(value, lo, hi, n=900):
    return Estimate(value, lo, hi, n, "planted")


class Look:
    """Trials whose outcome is planted; None where they cannot be made."""

    def __init__(self, lost=0.01, turned_away=0.9, parity="info", n=200):
        self.loss, self.turned_away, self.parity, self.n = lost, turned_away, parity, n

    def lost(self, changes, images):
        if self.loss is None:
            raise NotDoneError("there are no images.", "Put them back.")
        return {name: of(self.loss, self.loss - 0.03, self.loss + 0.03, self.n) for name in changes}

    def strangers(self, images):
        if self.turned_away is None:
            raise NotDoneError("there is no score.", "Train with one.")
        return {"noise": of(self.turned_away, self.turned_away - 0.05, self.turned_away + 0.05, self.n)}

    def exports(self):
        if self.parity is None:
            raise NotDoneError("no export lies beside the run.", "linnaea export RUN")
        gap = Estimate(1e-6, None, None, 12, "largest absolute difference")
        return [Finding("export_parity_onnx", "they differ by at most 1e-6.", self.parity, figure=gap)]


def edit(run, name, change):
    """Change a JSON file of a run."""
    path = run.folder / name
    content = read_json(path)
    change(content)
    path.write_text(json.dumps(content))
