"""Images of classes that were left out: the usual familiarity score against pytorch-ood's, on the same features."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score

from benchmarks.peers import add_peer
from benchmarks.table import keep, photo_sets
from linnaea import read
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.evidence.openset import fit_familiarity
from linnaea.learning.heads import choose, fit_path
from linnaea.models.embedding import embed
from linnaea.models.hog import Hog
from linnaea.models.model import Model
from linnaea.models.weights import read_weights

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
PEER = "pytorch-ood==0.4.0"
HELD_OUT, DRAWS = 3, 6
FEWEST = 30
SETS = (
    ("clothing", "MobileNetV2", 224, 4_000),
    ("cifar10", "MobileNetV2", 128, 6_000),
    ("fashion-mnist", "MobileNetV2", 96, 6_000),
    ("cifar10", "HOG and colours", 32, 6_000),
    ("fashion-mnist", "HOG and colours", 32, 6_000),
)
PEERS = ("max-softmax", "energy", "kNN")


class Fixed(Model):
    """A linear head on features that are there already."""

    kind = "fixed"

    def __init__(self, weight: Floats, bias: Floats) -> None:
        super().__init__(classes=len(weight))
        self.classifier = torch.nn.Linear(weight.shape[1], len(weight))
        self.classifier.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels

    def head(self, features: torch.Tensor) -> torch.Tensor:
        return self.classifier(features)


@dataclass(frozen=True)
class Drawn:
    """Features of known images to fit on, to choose by and to judge, of unknown ones, and the known classes."""

    train: tuple[Floats, Rows]
    val: tuple[Floats, Rows]
    test: tuple[Floats, Rows]
    unknown: Floats
    classes: int


def main() -> None:
    """Every set, over draws of three classes that are left out."""
    version = add_peer(PEER)
    rows = []
    for name, kind, size, most in SETS:
        features, targets = features_of(name, kind, size, most)
        measured = np.array([judge(draw(features, targets, seed)) for seed in range(DRAWS)])
        best = measured[:, 1:].max(axis=1)
        difference = measured[:, 0] - best
        spread = difference.std(ddof=1) / np.sqrt(DRAWS)
        rows.append(
            {
                "set": name,
                "features": f"{kind}, {size} px",
                "linnaea": f"{measured[:, 0].mean():.3f}",
                **{f"pytorch-ood {peer}": f"{measured[:, 1 + at].mean():.3f}" for at, peer in enumerate(PEERS)},
                "less the best": f"{difference.mean():+.3f} ± {2 * spread:.3f}",
                "worst draw": f"{difference.min():+.3f}",
                "best of them in": f"{int((difference >= 0).sum())} of {DRAWS}",
            }
        )
    remarks = (
        f"AUROC of telling {HELD_OUT} classes that were left out from the others, mean of {DRAWS} draws of them; the "
        f"best of pytorch-ood {version} is taken anew in each draw, by the very images it is judged on. The same "
        "features and the same head (multinomial logistic regression, its strength chosen on val). kNN there: the "
        "50th neighbour, as it comes. Linnaea: the score `blend` at its defaults, whose parts and weights were chosen "
        "on other draws of classes from these sets."
    )
    keep("openset", "Unknown classes: AUROC of the usual score", rows, remarks)


def features_of(name: str, kind: str, size: int, most: int) -> tuple[Floats, Rows]:
    """Features and class indices of a set, of classes with enough images."""
    dataset = read(photo_sets() / name)
    rows = np.sort(np.random.default_rng(0).permutation(len(dataset))[:most])
    dataset = dataset.take(rows.tolist())
    images = decode_files(dataset.paths, Recipe(size)).images
    if kind == "MobileNetV2":
        model: Model = read_weights(Path(os.environ["LINNAEA_WEIGHTS"])).build(2, size)
    else:
        model = Hog(2, size)
    targets = dataset.targets
    enough = np.isin(targets, np.flatnonzero(np.bincount(targets) >= FEWEST))
    return embed(model, images)[enough], targets[enough]


def draw(features: Floats, targets: Rows, seed: int) -> Drawn:
    """Three classes unknown; of the others 60 % to fit on, 20 % to choose by, 20 % to judge."""
    random = np.random.default_rng(100 + seed)
    held = random.choice(np.unique(targets), HELD_OUT, replace=False)
    unknown = np.isin(targets, held)
    names, known = np.unique(targets[~unknown], return_inverse=True)
    order = random.permutation(len(known))
    cuts = int(0.6 * len(order)), int(0.8 * len(order))
    parts = [(features[~unknown][part], known[part]) for part in np.split(order, cuts)]
    return Drawn(parts[0], parts[1], parts[2], features[unknown], len(names))


def judge(drawn: Drawn) -> list[float]:
    """AUROC of the usual score, then of each of the peer's."""
    from pytorch_ood.detector import KNN, EnergyBased, MaxSoftmax

    head = choose(fit_path(*drawn.train, drawn.classes), *drawn.val)
    model = Fixed(head.weight, head.bias)
    score = fit_familiarity(model, *drawn.train, fresh=drawn.val[0])
    assert score is not None
    neighbours = KNN(None).fit_features(*(torch.from_numpy(values) for values in drawn.train))
    ways = [
        lambda features, logits: score(features, logits),
        lambda features, logits: MaxSoftmax(None).predict_logits(logits),
        lambda features, logits: EnergyBased(None).predict_logits(logits),
        lambda features, logits: neighbours.predict_features(features),
    ]
    found = []
    for way in ways:
        sides = []
        for features in (drawn.test[0], drawn.unknown):
            given = torch.from_numpy(features)
            with torch.no_grad():
                sides.append(way(given, model.head(given)).double().numpy())
        strange = np.repeat([0, 1], [len(side) for side in sides])
        found.append(float(roc_auc_score(strange, np.concatenate(sides))))
    return found


if __name__ == "__main__":
    main()
