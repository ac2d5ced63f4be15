"""Images made larger or smaller within a model, in operations that every runtime has."""

from torch import Tensor
from torch.nn import functional


def averaged_to(pixels: Tensor, side: int) -> Tensor:
    """Pixels (N, C, S, S) as (N, C, side, side): larger images are averaged down, smaller ones enlarged bilinearly."""
    if pixels.shape[-1] > side:
        return functional.adaptive_avg_pool2d(pixels, side)
    if pixels.shape[-1] < side:
        return functional.interpolate(pixels, size=(side, side), mode="bilinear", align_corners=False)
    return pixels
