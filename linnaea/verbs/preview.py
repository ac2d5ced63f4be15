"""`preview`: what a network will see, on one sheet."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Labelled, Learning, Machine, Only, Option, Preparation
from linnaea.runtime.saying import say
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.experiments.preview_sheet import Preview


def tell(answer: Callable[[], "Preview"], given: Mapping[str, Any]) -> None:
    """Say how the augmentations were chosen, where the sheet is, and what comes next."""
    shown, asked = answer(), given["augment"]
    say(*shown.notes)
    augment = "" if asked is None else f" --augment {','.join(asked) or 'none'}"
    say(f"The sheet is in {shown.file}.", f"Next: linnaea train {given['data']}{augment}")


@VERBS.register(
    "preview",
    title="Preview",
    meaning="Show what a network will see: an image of each class, and what augmentation makes of it.",
    order=12,
)
@told_by(tell)
def preview(
    data: Labelled,
    *,
    out: Annotated[str | Path, Option("PNG file to write.", read=Path)] = Path("preview.png"),
    preparation: Annotated[Preparation, Only("img_size", "fit", "max_pixels", "channels")] = Preparation(),
    learning: Annotated[Learning, Only("model", "weights", "augment")] = Learning(),
    machine: Annotated[Machine, Only("seed")] = Machine(),
) -> "Preview":
    """Draw one training image of each class, at most 12, as decoded and as seven draws of the augmentations.

    `augment` names them; None takes what `train` would take for the last step of its ladder, by the same evidence, for
    which everything is decoded. `model`, `weights`, `img_size`, `fit`, `max_pixels` and `seed` are those of `train`.
    Raises DataError and UsageError as `train` does.
    """
    from linnaea.data.sources import read
    from linnaea.dataset import Dataset
    from linnaea.experiments.preview_sheet import draw_preview

    dataset = data if isinstance(data, Dataset) else read(data)
    return draw_preview(dataset, Path(out), preparation, learning, machine.seed)
