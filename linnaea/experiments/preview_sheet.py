"""What a network will see, on one sheet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from linnaea.data.images.greys import recipe_for
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.dataset import Dataset
from linnaea.delivery.sheet import Strip, write_sheet
from linnaea.errors import DataError
from linnaea.experiments.attempt import Material
from linnaea.experiments.image_size import picture_size
from linnaea.experiments.preparation import prepare
from linnaea.learning.amounts import look_up
from linnaea.learning.augmentations import AUGMENTATIONS, augment
from linnaea.learning.examples import Examples
from linnaea.learning.objectives.mixing import parted
from linnaea.learning.rungs import Options, steps_for
from linnaea.learning.rungs.guard import choose_augmentations
from linnaea.options import Learning, Preparation

MOST_CLASSES = 12
TRIES = 5
DRAWS = 7


@dataclass(frozen=True)
class Preview:
    """The file with the sheet, the augmentations shown on it, and sentences on how they were chosen."""

    file: Path
    augmentations: tuple[str, ...]
    notes: tuple[str, ...]


def one_of_each(dataset: Dataset, recipe: Recipe, seed: int) -> Examples:
    """A readable image of each of the first classes, of the train split where there is one."""
    part = dataset.split("train") if dataset.has("split") and len(dataset.split("train")) else dataset
    random, targets = np.random.default_rng(seed), part.targets
    there = targets == 1 if part.multilabel else targets[:, None] == np.arange(len(part.classes))
    images, shown = [], []
    for number in np.flatnonzero(there.any(axis=0))[:MOST_CLASSES]:
        tried = random.permutation(np.flatnonzero(there[:, number]))[:TRIES]
        decoded = decode_files(part.take(tried.tolist()).paths, recipe)
        readable = [row for row in range(len(tried)) if row not in decoded.failed]
        if readable:
            images.append(decoded.images[readable[0]])
            shown.append(targets[tried[readable[0]]])
    if not images:
        raise DataError(
            f"{dataset.root} has no image to show: {TRIES} of each class were tried, and none could be read."
        )
    return Examples(np.stack(images), np.array(shown, dtype=targets.dtype))


def strips(examples: Examples, names: Sequence[str], classes: Sequence[str], seed: int) -> list[Strip]:
    """A strip per image; the draws are made from one batch of them all, as in training."""
    generator = torch.Generator().manual_seed(seed)
    rows, (changing, mixing) = np.arange(len(examples)), parted(names)
    drawn = [augment(*examples.batch(rows), [*changing, *mixing], generator, len(classes)) for _ in range(DRAWS)]
    pictures = np.stack([examples.images, *(images.permute(0, 2, 3, 1).numpy() for images, _ in drawn)], axis=1)
    given, changed = torch.from_numpy(examples.targets), [targets for _, targets in drawn]
    mixed = any(_differ(targets, given) for targets in changed)
    captions = [["", *(shares_named(targets[row], classes) for targets in changed)] if mixed else [] for row in rows]
    return [Strip(named(given[row], classes), pictures[row], captions[row]) for row in rows]


def _differ(targets: Tensor, given: Tensor) -> bool:
    """Whether labels were changed, as those of mixed images are."""
    return targets.shape != given.shape or not torch.equal(targets.float().nan_to_num(-1), given.float().nan_to_num(-1))


def named(target: Tensor, classes: Sequence[str]) -> str:
    """The class of an image, or all the labels it is known to show."""
    numbers = [int(target)] if target.ndim == 0 else torch.nonzero(target == 1)[:, 0].tolist()
    return ", ".join(classes[number] for number in numbers)


def shares_named(weights: Tensor, classes: Sequence[str]) -> str:
    """The classes of a mixed image with their shares, the greatest first."""
    shown = torch.nonzero(weights > 0.005)[:, 0].tolist()
    return ", ".join(f"{weights[number]:.0%} {classes[number]}" for number in sorted(shown, key=lambda n: -weights[n]))


def draw_preview(dataset: Dataset, out: Path, preparation: Preparation, learning: Learning, seed: int) -> Preview:
    """Draw a training image of each class and what augmentation makes of it; see `linnaea.preview`."""
    asked = learning.augment
    for name in asked or ():
        look_up(AUGMENTATIONS, name)
    steps, _ = steps_for(learning.model, learning.weights)
    size = picture_size(dataset, steps) if preparation.img_size is None else preparation.img_size
    recipe = recipe_for(dataset.paths, size, preparation.fit, preparation.max_pixels, preparation.channels)
    names, notes = tuple(asked or ()), [f"Augmentations as requested: {', '.join(asked or ()) or 'none'}."]
    if asked is None:
        prepared = prepare(dataset, recipe, seed=seed)
        job = Material.of(prepared, recipe).job(Options(seed=seed), math.inf)
        names, notes = choose_augmentations(job, steps[-1].rung.usual)
        dataset = prepared.dataset
    examples = one_of_each(dataset, recipe, seed)
    shown = f"{len(examples)} of {len(dataset.classes)} classes, {recipe.size} x {recipe.size} pixels"
    title = f"What a network sees: {', '.join(names) or 'no augmentation'}; {shown}"
    headings = ["as decoded", *(f"draw {number + 1}" for number in range(DRAWS))]
    file = write_sheet(out, title, headings, strips(examples, names, dataset.classes, seed))
    return Preview(file, names, tuple(notes))
