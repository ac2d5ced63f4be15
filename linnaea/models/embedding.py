"""Features of many images, computed once."""

import numpy as np
import numpy.typing as npt
import torch

from linnaea.models.model import Model, to_pixels
from linnaea.runtime.plan import Plan, measure
from linnaea.runtime.progress import track

Images = npt.NDArray[np.uint8]
WORTH_MEASURING = 256


@torch.no_grad()
def embed(model: Model, images: Images, plan: Plan | None = None) -> npt.NDArray[np.float32]:
    """Features (N, D) of images (N, S, S, 3) of uint8, in float32 unless the plan says otherwise."""
    model.eval().to(memory_format=torch.channels_last)
    plan = plan or Plan(str(model.device))
    step = batch_size(images, model)
    batches = []
    for start in track(range(0, len(images), step), "embedding", -(-len(images) // step)):
        pixels = to_pixels(torch.from_numpy(images[start : start + step]).to(model.device))
        with plan.autocast():
            batches.append(model.features(pixels).float().cpu().numpy())
    return np.concatenate(batches)


def measure_embedding(model: Model, images: Images, precision: str = "auto") -> Plan:
    """The fastest plan for `embed`, measured on one batch; float32 where there is too little to gain."""
    if precision == "auto" and len(images) < WORTH_MEASURING:
        precision = "float32"
    return measure(str(model.device), lambda plan: embed(model, images[: batch_size(images, model)], plan), precision)


def batch_size(images: Images, model: Model) -> int:
    """Images per batch such that their activations stay in the processor's cache."""
    return int(max(1, model.pixels_per_batch // (images.shape[1] * images.shape[2])))
