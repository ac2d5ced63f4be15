"""The execution plans of a network on this machine, measured on made images: what `doctor --network` prints."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate

from linnaea.learning.balance import Balance
from linnaea.learning.examples import Examples
from linnaea.learning.losses import criterion_for
from linnaea.learning.objectives.supervised import Supervised
from linnaea.learning.planning import Wanted, measure_training
from linnaea.models.embedding import measure_embedding
from linnaea.models.network import Network
from linnaea.runtime.arguments import require_count, require_picture_size
from linnaea.runtime.plan import WORTH_MEASURING, Plan, pick_device
from linnaea.runtime.plan.agreement import TOLERANCES
from linnaea.runtime.words import counted
from linnaea.task import TASKS

CLASSES = 10
PICTURES = 32
CELLS = (2, 4, 8, 16, 32)  # of the random grids that an image is the sum of
TITLES = {"embed": "Embedding", "train": "Training"}


def measure_plans(network: str, *, img_size: int = 224, batch_size: int = 32, device: str = "auto") -> dict[str, Plan]:
    """Measure, whatever is remembered, how the named network embeds and trains fastest here; by purpose.

    It has random weights, and is shown smooth random images of `img_size` pixels; it is trained in batches of
    `batch_size`. What was measured is remembered. Raises UsageError for an unknown network
    and for a size or a batch that is none.
    """
    require_picture_size("img_size", img_size)
    require_count("batch_size", batch_size)
    model = _network(network, img_size).to(pick_device(device))
    images = pictures(PICTURES, img_size)
    targets = np.arange(PICTURES) % CLASSES
    return {
        "embed": measure_embedding(model, images, count=100 * WORTH_MEASURING, anew=True),
        "train": measure_training(
            model,
            Examples(images, targets),
            Supervised(criterion_for(TASKS["multiclass"]), Balance.of(None, targets, CLASSES)),
            batch_size,
            images=100 * WORTH_MEASURING,
            wanted=Wanted(pick_device(device), anew=True),
        ),
    }


def _network(name: str, size: int) -> Network:
    """With random weights, the same every time; raises UsageError where it does not take images of this size."""
    torch.manual_seed(0)
    return Network.fitting(name, CLASSES, size)


def pictures(count: int, size: int) -> npt.NDArray[np.uint8]:
    """Images (N, S, S, 3) that differ as photos do: large patches of colour, finer ones within them."""
    generator = torch.Generator().manual_seed(0)
    layers = [
        interpolate(torch.rand(count, 3, cells, cells, generator=generator) - 0.5, (size, size), mode="bilinear")
        / cells
        for cells in CELLS
    ]
    whole = torch.stack(layers).sum(dim=0)
    spread = whole / whole.std(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
    return np.ascontiguousarray((spread * 50 + 128).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())


def table(plans: Mapping[str, Plan]) -> str:
    """What was measured, a line per candidate, the one that was picked marked."""
    lines = []
    for purpose, plan in plans.items():
        threads = counted(plan.threads, "thread")
        lines.append(f"{TITLES[purpose]} on {plan.device} with {threads}, in batches of {plan.batch_size}:")
        lines.append(f"  {'':2}{'precision':10} {'memory format':14} {'images/s':>9} {'difference':>11} {'allowed':>8}")
        for seen in plan.measured:
            picked = (seen.precision, seen.memory_format) == (plan.precision, plan.memory_format)
            speed = "-" if seen.images_per_second is None else f"{seen.images_per_second:.1f}"
            wrong = "-" if seen.difference is None else f"{seen.difference:.1g}"
            lines.append(
                f"  {'* ' if picked else '  '}{seen.precision:10} {seen.memory_format:14} {speed:>9} {wrong:>11} "
                f"{TOLERANCES[seen.precision]:>8g}  {seen.remark}".rstrip()
            )
        lines += [f"  {note}" for note in plan.notes]
    return "\n".join(lines)
