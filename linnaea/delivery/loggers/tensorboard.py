"""TensorBoard: event files in `logs/tensorboard`, those of each network in a folder of its own."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linnaea.data.images.opening import open_image
from linnaea.delivery.loggers.contract import FOLDER, LOGGERS, Logger, flat, numbers_in

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger("linnaea")


@LOGGERS.register(
    "tensorboard",
    title="TensorBoard",
    meaning="Event files in `logs/tensorboard` of the run, for `tensorboard --logdir`.",
    needs=("tensorboard",),
    extra="logging",
)
class TensorBoard(Logger):
    """Scalars by epoch, networks drawn over one another; the recipe, pictures and the final figures."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        logging.getLogger("tensorboard").setLevel(logging.ERROR)
        self.recipe: dict[str, Any] = {}
        self._writers: dict[str, SummaryWriter] = {}

    def begin(self, recipe: Mapping[str, Any]) -> None:
        """Write the recipe as a table."""
        self.recipe = {name: _plain(value) for name, value in recipe.items() if value is not None}
        rows = [f"| {name} | {value} |" for name, value in self.recipe.items()]
        self._writer("run").add_text("recipe", "\n".join(["| argument | value |", "|---|---|", *rows]))

    def epoch(self, network: str, row: Mapping[str, Any]) -> None:
        """Write the figures of an epoch; what a broken-off try wrote of it and of later ones is dropped."""
        step = int(row["epoch"])
        writer = self._writer(network, step)
        for name, value in numbers_in(row).items():
            writer.add_scalar(name, value, step)
        writer.flush()

    def picture(self, network: str, name: str, file: Path) -> None:
        """Write a picture."""
        with open_image(file.read_bytes()) as image:
            pixels = np.asarray(image.convert("RGB"))
        writer = self._writer(network)
        writer.add_image(name, pixels, 0, dataformats="HWC")
        writer.flush()

    def figures(self, figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Write the figures as scalars, with their limits, and the values beside the recipe."""
        writer, found = self._writer("run"), flat(figures)
        for name, value in found.items():
            writer.add_scalar(name, value, 0)
        values = {name: value for name, value in found.items() if not name.endswith(("/lo", "/hi"))}
        writer.add_hparams(self.recipe, values, run_name=".")

    def end(self, status: str) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        logger.info(f"To see the curves: tensorboard --logdir {self.folder / FOLDER / 'tensorboard'}")

    def _writer(self, network: str, step: int = 0) -> "SummaryWriter":
        from torch.utils.tensorboard import SummaryWriter

        if network not in self._writers:
            place = self.folder / FOLDER / "tensorboard" / network
            self._writers[network] = SummaryWriter(str(place), purge_step=step)
        return self._writers[network]


def _plain(value: Any) -> bool | int | float | str:
    """What TensorBoard takes as a parameter."""
    return value if isinstance(value, bool | int | float) else str(value)
