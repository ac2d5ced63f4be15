"""Do two images, laid over one another at their own resolution, differ anywhere by more than copying explains?"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from linnaea.arrays import Float32, Images
from linnaea.data.duplicates.alignment import Placement, grey, register
from linnaea.data.images.decoding import read_rgb, square
from linnaea.data.images.opening import UnreadableError
from linnaea.data.images.pixels import Recipe, read_content
from linnaea.errors import DataError
from linnaea.runtime.containers import Located

SIDES = (32, 48, 64, 96, 128, 192, 256)  # an image is looked at on the largest that is no larger than its own
ALIGNED_AT = 128  # finer images are laid over one another at about this size, to a twentieth of a pixel
COARSEST = 24
TONED_AT = 128  # the tone curve is fitted at no more than this side
CLIPPED = (5.0, 250.0)  # levels beyond which a pixel says nothing about the tone curve
STRENGTH = (0.1, 0.1, 10.0)  # ridge on the bias, slope and bend of the tone curve
WINDOW, STRIDE = 8, 4
FLOOR = 1.5  # levels by which copies differ anywhere: rounding, the steps of JPEG
MOVED = 0.4  # pixels by which structures of copies may lie apart: resampling, what alignment leaves
NOISE, MOST_NOISE = 2.5, 2.5  # times the difference of the usual window, which is at most so many levels
MOST = 1.7  # times what all that explains, in the window that differs most
AT_ONCE = 24  # of the largest images, more of smaller ones


def viewer(paths: Sequence[Located], recipe: Recipe) -> Callable[[int], Images]:
    """How to look at the image of a row as a square (S, S, 3) at its own resolution, up to 256.

    Of the `recipe` all but the size counts.

    What it gives raises DataError where a file cannot be read any more.
    """

    def look(row: int) -> Images:
        try:
            whole = read_rgb(read_content(paths[row]), SIDES[-1] // 2, recipe.bounds)
            return at_own_size(whole, recipe.fit)
        except UnreadableError as error:
            raise DataError(f"{paths[row]} has changed since it was first read: {error}. Start again.") from None

    return look


def at_own_size(image: Image.Image, fit: str) -> Images:
    """An RGB image as a square (S, S, 3) of one of `SIDES`, the largest that is no larger than its own."""
    side = max((side for side in SIDES if side <= min(image.size)), default=SIDES[0])
    return np.asarray(square(image, side, fit))


def differences(left: Sequence[Images], right: Sequence[Images]) -> Float32:
    """How much each pair of images (S, S, 3) differs where it differs most, at the smaller side (P,).

    The one is laid over the other and given its tone curve, channel by channel. Then, at each resolution down from the
    finest, the difference in every window of 8 x 8 pixels is taken as a multiple of what copying explains: the steps of
    compression, a fraction of a pixel of movement where there are edges, and the noise of the usual window. Copies stay
    below `MOST`; two photographs of different objects do not, nor do two that a scratch tells apart.
    """
    sides = np.array([min(len(one), len(other)) for one, other in zip(left, right, strict=True)], dtype=int)
    worst = np.zeros(len(sides), dtype=np.float32)
    for side in np.unique(sides):
        rows = np.flatnonzero(sides == side)
        count = AT_ONCE * (SIDES[-1] // side) ** 2
        for part in np.array_split(rows, np.arange(count, len(rows), count)):
            one, other = (_stack([pictures[row] for row in part], side) for pictures in (left, right))
            swap = (_clipped(one) > _clipped(other)).view(-1, 1, 1, 1)
            worst[part] = _differences(torch.where(swap, other, one), torch.where(swap, one, other)).numpy()
    return worst


def _stack(pictures: Sequence[Images], side: int) -> Tensor:
    """Images as a tensor (P, 3, S, S) at this side."""
    resized = [
        picture if len(picture) == side else Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
        for picture in pictures
    ]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in resized])).permute(0, 3, 1, 2).float()


def _clipped(pictures: Tensor) -> Tensor:
    """The share of clipped values (P,): what was made too bright follows from the other, not the reverse."""
    return ((pictures < 1) | (pictures > 254)).float().mean(dim=(1, 2, 3))


def _differences(left: Tensor, right: Tensor) -> Tensor:
    """Of images (P, 3, S, S) laid over others, the largest difference (P,), or the first found beyond `MOST`."""
    placement = _aligned(left, right)
    shrinks = [2**step for step in range(8) if right.shape[-1] // 2**step >= COARSEST]
    worst, curves = torch.zeros(len(left)), torch.zeros(len(left), 3, 3)
    for shrink in reversed(shrinks):  # most that differ do so where it costs little to see
        at = (worst <= MOST).nonzero()[:, 0]
        one, other = (functional.avg_pool2d(each[at], shrink) for each in (left, right))
        seen, inside = placement.take(at).apply(one, mode="bicubic")
        if other.shape[-1] <= TONED_AT:
            curves[at] = _tone_curves(seen, other, inside)
        expected = grey(_toned(seen, curves[at]))
        found = _worst(expected, grey(other), inside, most_noise=MOST_NOISE / shrink)
        worst[at] = torch.maximum(worst[at], found)
    return worst


def _aligned(left: Tensor, right: Tensor) -> Placement:
    """Where the one lies on the other, found at 32 pixels and made exact at up to 128."""
    side = right.shape[-1]
    shrink = 1
    while side // shrink > ALIGNED_AT:
        shrink *= 2
    sides = [32, *(side // step for step in (4 * shrink, 2 * shrink, shrink) if side // step > 32)]
    placement = None
    for size in sides:
        one, other = (functional.interpolate(grey(each), size=size, mode="area") for each in (left, right))
        placement = register(one, other, placement)
    assert placement is not None
    return placement


def _tone_curves(seen: Tensor, right: Tensor, inside: Tensor) -> Tensor:
    """What to add to each channel of the one to have the other's: quadratics (P, 3, 3), fitted where unclipped."""
    low, high = CLIPPED
    weight = inside * (seen > low) * (seen < high) * (right > low) * (right < high)
    powers = torch.stack([(seen / 255) ** power for power in range(3)], dim=-1).flatten(2, 3)
    weighted = (powers * weight.flatten(2).unsqueeze(-1)).transpose(2, 3)
    normal = weighted @ powers + torch.diag(torch.tensor(STRENGTH))
    solved: Tensor = torch.linalg.solve(normal, weighted @ (right - seen).flatten(2).unsqueeze(-1))
    return solved[..., 0]


def _toned(seen: Tensor, curve: Tensor) -> Tensor:
    """Images (P, 3, S, S) with another tone curve."""
    bias, slope, bend = (curve[..., power].view(*curve.shape[:2], 1, 1) for power in range(3))
    return (bias + seen * (1 + slope / 255 + seen * (bend / 255**2))).clamp(0, 255)


def _worst(expected: Tensor, right: Tensor, inside: Tensor, *, most_noise: float) -> Tensor:
    """The largest difference in any window, as a multiple of what copying explains there (P,)."""
    expected, right = _smooth(expected), _smooth(right)
    weight = -functional.max_pool2d(-inside, 5, 1, 2)
    share = _pooled(weight, WINDOW)
    counts = share > 0.5
    difference = _pooled((expected - right) ** 2 * weight, WINDOW) / share.clamp(min=0.1) * counts
    steep = weight * (_slope(expected) + _slope(right)) / 2
    slope = torch.maximum(_pooled(steep, WINDOW), _pooled(steep, 2 * WINDOW)) / share.clamp(min=0.1)
    noise = difference.sqrt().where(counts, torch.nan).nanmedian(dim=1, keepdim=True).values.clamp(max=most_noise)
    explained = FLOOR**2 + MOVED**2 * slope + (NOISE * noise.nan_to_num()) ** 2
    return (difference / explained).amax(dim=1).sqrt()


def _pooled(pictures: Tensor, width: int) -> Tensor:
    """Averages of images (P, 1, S, S) over windows of one or two `WINDOW`s around the same places (P, W)."""
    return functional.avg_pool2d(pictures, width, STRIDE, (width - WINDOW) // 2, count_include_pad=False).flatten(1)


def _smooth(pictures: Tensor) -> Tensor:
    """Images (P, 1, S, S) averaged over 3 x 3 pixels with binomial weights: less noise, less compression."""
    line = torch.tensor([0.25, 0.5, 0.25])
    return functional.conv2d(
        functional.pad(pictures, (1, 1, 1, 1), mode="replicate"), (line[:, None] * line).view(1, 1, 3, 3)
    )


def _slope(pictures: Tensor) -> Tensor:
    """The squared gradient, in levels a pixel."""
    across = functional.pad((pictures[..., 2:] - pictures[..., :-2]) / 2, (1, 1))
    down = functional.pad((pictures[..., 2:, :] - pictures[..., :-2, :]) / 2, (0, 0, 1, 1))
    return across**2 + down**2
