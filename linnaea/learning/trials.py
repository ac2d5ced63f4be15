"""What an augmentation does to a quick classifier: evidence on whether it changes what images show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from linnaea.arrays import Integers
from linnaea.learning.augmentations import augment
from linnaea.learning.examples import Examples
from linnaea.learning.least_squares import LeastSquares
from linnaea.models.embedding import embed
from linnaea.models.hog import Hog
from linnaea.statistics.paired import mcnemar
from linnaea.statistics.shares import limits_of_share

SIDE = 32
MOST_TRAIN, MOST_VAL = 1_200, 1_000
TOGETHER = 32
LEVEL = 0.01  # several are tried
MOST_CONFUSIONS = 10
FEWEST_CONFUSED = 3
EXCHANGED = 0.1


@dataclass(frozen=True)
class Confusion:
    """Of `n` changed images of the class `truth`, all labelled correctly as they are, `count` are taken for another.

    `kept` are still labelled correctly.
    """

    truth: int
    taken_for: int
    count: int
    kept: int
    n: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.count / self.n

    @property
    def becomes(self) -> bool:
        """Whether more are `taken_for` than still `truth`, and a tenth or more, by the lower limit (Wilson 1927)."""
        low, _ = limits_of_share(self.count, self.n)
        return low >= EXCHANGED and low > self.kept / self.n


@dataclass(frozen=True)
class Trial:
    """What was seen of one augmentation on `n` val images as they are.

    `right` of them are labelled correctly by a classifier that learnt from images as they are; `lost` only by it, `won`
    only by one that learnt from changed images too. `confusions` is what the first one takes changed images for,
    exchanged classes and the most frequent first; none where labels are mixed.
    """

    name: str
    n: int
    right: int
    lost: int
    won: int
    confusions: tuple[Confusion, ...] = ()

    @property
    def cost(self) -> float:
        """The accuracy on images as they are that is lost by learning from changed ones too, -1 to 1."""
        return (self.lost - self.won) / self.n

    @property
    def p_value(self) -> float:
        """Of no loss: McNemar's exact test (1947), one-sided."""
        return mcnemar(self.lost, self.won, alternative="greater")

    @property
    def exchanged(self) -> tuple[Confusion, ...]:
        """The classes that become each other: of these the label is wrong after the change."""
        become = {(item.truth, item.taken_for): item for item in self.confusions if item.becomes}
        return tuple(item for (truth, taken_for), item in become.items() if (taken_for, truth) in become)

    @property
    def against(self) -> bool:
        """Whether the evidence is against the augmentation: classes are exchanged, or learning from it costs."""
        return bool(self.exchanged) or (self.cost > 0 and self.p_value < LEVEL)


def try_augmentations(train: Examples, val: Examples, classes: int, names: Sequence[str], seed: int) -> list[Trial]:
    """Try each augmentation on least squares with HOG of images of 32 pixels, at most 1,200 of train, 1,000 of val.

    Two questions are asked. Are changed images of one class taken for another, and those for the first? And what does
    learning from changed images do to answers on images as they are: an image that now shows another class
    misleads, one that is merely unfamiliar does not. Draws are those of training.
    """
    if not names:
        return []
    model = Hog(classes, SIDE, train.channels)
    train, val = _small(train.subset(MOST_TRAIN, seed)), _small(val.subset(MOST_VAL, seed))
    features, val_features = embed(model, train.images), embed(model, val.images)
    learner = LeastSquares.on(features, classes)
    plain = learner.sums(features, torch.from_numpy(train.targets))
    weights = learner.solve(plain)
    right = learner.answers(val_features, weights) == val.targets
    trials = []
    for name in names:
        generator = torch.Generator().manual_seed(seed)
        rows, images, targets = _changed(train, name, classes, generator)
        more = learner.sums(embed(model, images), targets) if len(rows) else None
        learnt = learner.answers(val_features, learner.solve(plain + more) if more else weights) == val.targets
        rows, images, targets = _changed(val, name, classes, generator)
        confusions: tuple[Confusion, ...] = ()
        if targets.ndim == 1 and len(rows):
            confusions = _confusions(val.targets[rows], learner.answers(embed(model, images), weights), right[rows])
        lost, won = int((right & ~learnt).sum()), int((learnt & ~right).sum())
        trials.append(Trial(name, len(val), int(right.sum()), lost, won, confusions))
    return trials


def _small(examples: Examples) -> Examples:
    """The same in at most 32 pixels, on which everything is quick."""
    if examples.size <= SIDE:
        return examples
    images, starts = examples.images, range(0, len(examples), 256)
    parts = (torch.from_numpy(np.asarray(images[start : start + 256])) for start in starts)
    small = [
        interpolate(part.permute(0, 3, 1, 2), size=(SIDE, SIDE), mode="bilinear", antialias=True) for part in parts
    ]
    return Examples(torch.cat(small).permute(0, 2, 3, 1).contiguous().numpy(), examples.targets)


def _changed(
    examples: Examples, name: str, classes: int, generator: torch.Generator
) -> tuple[Integers, npt.NDArray[np.uint8], Tensor]:
    """One changed copy of each image that two draws change: its row, images (M, S, S, 3) and targets."""
    first, second = (_drawn(examples, name, classes, generator) for _ in range(2))
    before = torch.from_numpy(np.asarray(examples.images))
    changed = [(images != before).flatten(1).any(dim=1) for images, _ in (first, second)]
    chosen = torch.where(changed[0].view(-1, 1, 1, 1), first[0], second[0])
    again = changed[0].view(-1, *[1] * (first[1].ndim - 1))
    targets = torch.where(again, first[1], second[1])
    rows = torch.nonzero(changed[0] | changed[1])[:, 0]
    return rows.numpy(), chosen[rows].numpy(), targets[rows]


def _drawn(examples: Examples, name: str, classes: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (N, S, S, 3) and targets after the augmentation, in small batches: many of them draw once per eighth."""
    parts = np.array_split(np.arange(len(examples)), -(-len(examples) // TOGETHER))
    drawn = [augment(*examples.batch(rows), (name,), generator, classes) for rows in parts]
    images = torch.cat([images for images, _ in drawn]).permute(0, 2, 3, 1).contiguous()
    return images, torch.cat([targets for _, targets in drawn])


def _confusions(truth: Integers, answers: Integers, right: npt.NDArray[np.bool_]) -> tuple[Confusion, ...]:
    """What images (N,) are taken for after the change, of those labelled correctly before it."""
    totals = np.bincount(truth[right])
    kept = np.bincount(truth[right & (answers == truth)], minlength=len(totals))
    wrong = right & (answers != truth)
    pairs, counts = np.unique(np.stack([truth[wrong], answers[wrong]], axis=1), axis=0, return_counts=True)
    found = [
        Confusion(truth=one, taken_for=other, count=int(count), kept=int(kept[one]), n=int(totals[one]))
        for (one, other), count in zip(pairs.tolist(), counts, strict=True)
        if count >= FEWEST_CONFUSED
    ]
    share = {(item.truth, item.taken_for): item.share for item in found if item.becomes}

    def rank(item: Confusion) -> tuple[float, int, float]:
        """Exchanged classes side by side, the most exchanged first, then the rest."""
        way, back = (item.truth, item.taken_for), (item.taken_for, item.truth)
        exchanged = share[way] + share[back] if way in share and back in share else 0.0
        return -exchanged, min(way) if exchanged else 0, -item.share

    return tuple(sorted(found, key=rank)[:MOST_CONFUSIONS])
