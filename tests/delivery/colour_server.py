"""A server of classifiers of colours, run as a script with `{"models": [...], "port": 8000, "options": {}}`.

A bundle has one file, which says by what the shade of blue counts more and how long an answer takes.
"""

import json
import logging
import sys
import time
from pathlib import Path

import numpy as np

from linnaea.classifier import Classifier
from linnaea.classifier.scorers import SCORERS
from linnaea.classifier.scorers.contract import Scorer
from linnaea.data.images.pixels import Recipe
from linnaea.decisions import Outputs, Policy

COLOURS = ("blue", "green", "red")
FILE = "shade.json"


@SCORERS.register("shades", title="Shades", meaning="Which colour an image has most of.")
class Shades(Scorer):
    """Which colour an image has most of, in numpy."""

    kind = "shades"
    whole = True

    def __init__(self, folder):
        self.folder = folder
        self.shade = json.loads((folder / FILE).read_text())

    @property
    def arguments(self):
        return {"ood_score": "contrast"}

    def files(self):
        return {FILE: self.folder / FILE}

    def outputs(self, images):
        time.sleep(self.shade.get("seconds", 0))
        logits = images.mean(axis=(1, 2))[:, ::-1].astype(np.float32) / 50 + [self.shade.get("blue", 0), 0, 0]
        powers = np.exp(logits)
        return Outputs(logits, logits, powers / powers.sum(axis=1, keepdims=True), images.std(axis=(1, 2, 3)))

    @classmethod
    def build(cls, arguments, tensors, folder):
        return cls(folder)


def save_shades(folder, classes=COLOURS, **shade):
    """Write a bundle, whole, in the place of what was there."""
    folder = Path(folder)
    new = folder.with_name(f".{folder.name}.new")
    new.mkdir(parents=True)
    (new / FILE).write_text(json.dumps(shade))
    policy = Policy(set_threshold=0.2, confidence_threshold=0.4, ood_threshold=200.0)
    Classifier(Shades(new), classes, "multiclass", Recipe(16), policy=policy).save(new)
    if folder.exists():
        old = folder.with_name(f".{folder.name}.old")
        folder.rename(old)
        new.rename(folder)
        for path in sorted(old.rglob("*"), reverse=True):
            path.unlink()
        old.rmdir()
    else:
        new.rename(folder)
    return folder


def main():
    import linnaea

    logging.basicConfig(level=logging.INFO, format="%(process)d %(message)s", stream=sys.stderr)
    asked = json.loads(sys.argv[1])
    linnaea.serve(asked["models"], port=asked["port"], **asked["options"])


if __name__ == "__main__":
    main()
