"""`preview`: what a network will see, on one sheet."""

import math
from collections.abc import Sequence
from pathlib import Path

from linnaea.data.images.greys import recipe_for
from linnaea.data.sources import read
from linnaea.dataset import Dataset
from linnaea.delivery.sheet import write_sheet
from linnaea.experiments.examples import examples_job, picture_size
from linnaea.experiments.preparation import prepare
from linnaea.experiments.preview_sheet import DRAWS, Preview, one_of_each, strips
from linnaea.learning.amounts import look_up
from linnaea.learning.augmentations import AUGMENTATIONS
from linnaea.learning.rungs import Options, steps_for
from linnaea.learning.rungs.guard import choose_augmentations
from linnaea.runtime.arguments import require_seed


def preview(
    data: str | Path | Dataset,
    *,
    augment: Sequence[str] | None = None,
    out: str | Path = Path("preview.png"),
    model: str = "auto",
    weights: str | Path = "auto",
    img_size: int | None = None,
    fit: str = "crop",
    max_pixels: int | None = None,
    seed: int = 0,
) -> Preview:
    """Draw one training image of each class, at most 12, as decoded and as seven draws of the augmentations.

    `augment` names them; None takes what `train` would take for the last step of its ladder, by the same evidence, for
    which everything is decoded. `model`, `weights`, `img_size`, `fit`, `max_pixels` and `seed` are those of `train`.
    Raises DataError and UsageError as `train` does.
    """
    for name in augment or ():
        look_up(AUGMENTATIONS, name)
    dataset = data if isinstance(data, Dataset) else read(data)
    steps, _ = steps_for(model, weights)
    require_seed(seed)
    recipe = recipe_for(dataset.paths, picture_size(dataset, steps) if img_size is None else img_size, fit, max_pixels)
    names, notes = tuple(augment or ()), [f"Augmentations as requested: {', '.join(augment or ()) or 'none'}."]
    if augment is None:
        prepared = prepare(dataset, recipe, seed=seed)
        job = examples_job(prepared, Options(seed=seed), math.inf)
        names, notes = choose_augmentations(job, steps[-1].rung.usual)
        dataset = prepared.dataset
    examples = one_of_each(dataset, recipe, seed)
    shown = f"{len(examples)} of {len(dataset.classes)} classes, {recipe.size} x {recipe.size} pixels"
    title = f"What a network sees: {', '.join(names) or 'no augmentation'}; {shown}"
    headings = ["as decoded", *(f"draw {number + 1}" for number in range(DRAWS))]
    file = write_sheet(Path(out), title, headings, strips(examples, names, dataset.classes, seed))
    return Preview(file, names, tuple(notes))
