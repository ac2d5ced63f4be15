"""Features of many images, computed once."""

import numpy as np
import numpy.typing as npt
import torch

from linnaea.models.model import Model, to_pixels
from linnaea.runtime.progress import track


@torch.no_grad()
def embed(model: Model, images: npt.NDArray[np.uint8], batch_size: int = 64) -> npt.NDArray[np.float32]:
    """Features (N, D) of images (N, S, S, 3) of uint8, in float32 as at prediction time."""
    model.eval().to(memory_format=torch.channels_last)
    device = model.device
    starts = range(0, len(images), batch_size)
    batches = (
        model.features(to_pixels(torch.from_numpy(images[start : start + batch_size]).to(device))).cpu().numpy()
        for start in track(starts, "embedding", len(starts))
    )
    return np.concatenate(list(batches)).astype(np.float32)
