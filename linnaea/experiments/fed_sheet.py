"""What a network was fed, on one sheet in the run folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from linnaea.delivery.sheet import Strip, write_sheet
from linnaea.experiments.preview_sheet import named, shares_named

FOLDER = "fed"  # below that of the run
ACROSS, MOST = 6, 24


def draw_fed(folder: Path, name: str, images: Tensor, targets: Tensor, classes: Sequence[str]) -> Path:
    """Draw the first images (B, 3, S, S) of uint8 of a batch with their labels, for the network `name` of a run."""
    shown = min(MOST, len(images))
    pictures = images[:shown].detach().cpu().permute(0, 2, 3, 1).numpy()
    labels = [label_of(target, classes) for target in targets[:shown].detach().cpu()]
    strips = [
        Strip(f"{start + 1} to {min(start + ACROSS, shown)}", pictures[part], labels[part])
        for start in range(0, shown, ACROSS)
        for part in [slice(start, start + ACROSS)]
    ]
    size = f"{images.shape[-1]} x {images.shape[-2]} pixels"
    title = f"The first batch that {name} was fed, augmented and mixed: {shown} of {len(images)} images, {size}"
    return write_sheet(folder / FOLDER / f"{name}.png", title, [], strips)


def label_of(target: Tensor, classes: Sequence[str]) -> str:
    """The class or the labels of an image, in shares where it was mixed."""
    values = np.nan_to_num(target.float().numpy())
    whole = target.ndim == 0 or bool(np.isin(values, (0, 1)).all())
    return named(target, classes) if whole else shares_named(target, classes)
