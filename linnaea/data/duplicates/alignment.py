"""Is one image the other, re-encoded, resized, brightened or a little cropped? Found by laying one over the other."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from linnaea.arrays import Flags

Thumbnails = npt.NDArray[np.uint8]
SIDE = 32
GREY = (0.299, 0.587, 0.114)
ROUGH_STEPS = ((4, 4), (2, 3))  # shrink by so much, then so many Gauss-Newton steps
FINE_STEPS = ((1, 2),)
SURE_STEPS = ((1, 4),)
LARGEST_STEP, LARGEST_SHIFT, LARGEST_ZOOM = 0.15, 0.2, 1.22
DAMPING = 1e-3
COARSE = 0.9  # correlation of 16 x 16 images that is worth a closer look
EXPLAINED = 0.9  # share of the variance of the colours that the other image explains
STRAY = 0.4  # largest difference anywhere, in standard deviations of the image
SATURATED = 250.0
AT_ONCE = 2048


@dataclass(frozen=True)
class Placement:
    """Where images of a batch lie on others: zoom (P, 2) and shift (P, 2) across and down, in half sides."""

    zoom: Tensor
    shift: Tensor

    def take(self, rows: Tensor) -> "Placement":
        """Those of these rows."""
        return Placement(self.zoom[rows], self.shift[rows])

    def inverse(self) -> "Placement":
        """Where the others lie on these."""
        return Placement(1 / self.zoom, -self.shift / self.zoom)

    def apply(self, pictures: Tensor, mode: str = "bilinear") -> tuple[Tensor, Tensor]:
        """Images (P, C, S, S) seen through the placement, and which pixels lie inside them (P, 1, S, S)."""
        side = pictures.shape[-1]
        steps = _positions(side)
        across = steps.view(1, 1, -1) * self.zoom[:, 0].view(-1, 1, 1) + self.shift[:, 0].view(-1, 1, 1)
        down = steps.view(1, -1, 1) * self.zoom[:, 1].view(-1, 1, 1) + self.shift[:, 1].view(-1, 1, 1)
        grid = torch.stack([across.expand(-1, side, side), down.expand(-1, side, side)], dim=-1)
        seen = functional.grid_sample(pictures, grid, mode=mode, padding_mode="border", align_corners=False)
        return seen, (grid.abs() <= 1).all(dim=-1).unsqueeze(1).float()


def agree_when_small(left: Thumbnails, right: Thumbnails) -> Flags:
    """Whether each pair of thumbnails (P, 32, 32, 3) may show the same image, whichever is the crop (P,)."""
    same = same_picture(left, right)
    other = ~same
    same[other] = same_picture(right[other], left[other])
    return same


def same_picture(left: Thumbnails, right: Thumbnails) -> npt.NDArray[np.bool_]:
    """Whether each pair of thumbnails (P, 32, 32, 3) may show the same image (P,): what a closer look decides.

    The left one is zoomed by up to 1.22, shifted by up to a tenth of its side and given another contrast and
    brightness so as to fit the right one (Lucas and Kanade 1981, with gain and bias), and then must explain 90 % of
    the variance of its colours and differ nowhere by more than two fifths of a standard deviation.
    """
    verdicts = [
        _same(*(torch.from_numpy(side[start : start + AT_ONCE]).permute(0, 3, 1, 2).float() for side in (left, right)))
        for start in range(0, len(left), AT_ONCE)
    ]
    return np.concatenate([np.zeros(0, dtype=bool), *verdicts])


def _same(left: Tensor, right: Tensor) -> npt.NDArray[np.bool_]:
    greys = grey(left), grey(right)
    placement = Placement(torch.ones(len(left), 2), torch.zeros(len(left), 2))
    placement, correlation = _register(*greys, placement, ROUGH_STEPS)
    near = correlation >= COARSE
    placement, _ = _register(greys[0][near], greys[1][near], placement.take(near), FINE_STEPS)
    verdict = torch.zeros(len(left), dtype=torch.bool)
    verdict[near] = _agrees(left[near], right[near], placement)
    return verdict.numpy()


def register(left: Tensor, right: Tensor, start: Placement | None = None) -> Placement:
    """Where grey images (P, 1, S, S) lie on others: from the middle on, either way round, or from a near start."""
    if start is not None:
        return _register(left, right, start, SURE_STEPS)[0]
    (ahead, reached), (back, returned) = (_from_the_middle(*pair) for pair in ((left, right), (right, left)))
    better, inverse = (returned > reached).unsqueeze(1), back.inverse()
    return Placement(torch.where(better, inverse.zoom, ahead.zoom), torch.where(better, inverse.shift, ahead.shift))


def _from_the_middle(left: Tensor, right: Tensor) -> tuple[Placement, Tensor]:
    start = Placement(torch.ones(len(left), 2), torch.zeros(len(left), 2))
    rough, _ = _register(left, right, start, ROUGH_STEPS)
    return _register(left, right, rough, SURE_STEPS)


def _register(
    left: Tensor, right: Tensor, placement: Placement, steps: tuple[tuple[int, int], ...]
) -> tuple[Placement, Tensor]:
    """A better placement of grey images (P, 1, S, S) on others, and their correlation there."""
    before = placement
    for shrink, count in steps:
        small, target = functional.avg_pool2d(left, shrink), functional.avg_pool2d(right, shrink)
        for _ in range(count):
            placement = _step(placement, small, target)
    (moved, inside), (stayed, within) = placement.apply(small), before.apply(small)
    after, start = _correlation(moved, target, inside), _correlation(stayed, target, within)
    still = (start >= after).unsqueeze(1)
    zoom, shift = torch.where(still, before.zoom, placement.zoom), torch.where(still, before.shift, placement.shift)
    return Placement(zoom, shift), torch.maximum(after, start)


def _step(placement: Placement, left: Tensor, right: Tensor) -> Placement:
    """One Gauss-Newton step on zoom, shift, gain and bias."""
    side = left.shape[-1]
    seen, inside = placement.apply(left)
    across = functional.pad(seen[..., 2:] - seen[..., :-2], (1, 1)) * (side / 4)
    down = functional.pad(seen[..., 2:, :] - seen[..., :-2, :], (0, 0, 1, 1)) * (side / 4)
    x, y = _positions(side).view(1, 1, 1, -1), _positions(side).view(1, 1, -1, 1)
    parts = torch.stack([across * x, down * y, across, down, seen, torch.ones_like(seen)], dim=-1)
    jacobian = (parts * inside.unsqueeze(-1)).reshape(len(left), side * side, 6)
    normal = jacobian.transpose(1, 2) @ jacobian
    damping = DAMPING * normal.diagonal(dim1=1, dim2=2).mean(dim=1) + 1e-6
    normal = normal + torch.eye(6) * damping.view(-1, 1, 1)
    solved = torch.linalg.solve(normal, jacobian.transpose(1, 2) @ (right * inside).reshape(len(left), side * side, 1))[
        ..., 0
    ]
    move = (solved[:, :4] / solved[:, 4:5].clamp(0.3, 3)).clamp(-LARGEST_STEP, LARGEST_STEP)
    zoom = (placement.zoom * (1 + move[:, :2])).clamp(1 / LARGEST_ZOOM, LARGEST_ZOOM)
    shift = (placement.shift + move[:, 2:] * placement.zoom).clamp(-LARGEST_SHIFT, LARGEST_SHIFT)
    return Placement(zoom, shift)


def _agrees(left: Tensor, right: Tensor, placement: Placement) -> Tensor:
    """Whether colours agree after one gain and bias, on the whole and everywhere; saturated pixels say nothing."""
    seen, inside = placement.apply(left)
    weight = inside * (torch.maximum(seen, right).amax(dim=1, keepdim=True) < SATURATED)
    seen, right = _centred(seen, weight), _centred(right, weight)
    gain = (seen * right).sum(dim=(1, 2, 3), keepdim=True) / _energy(seen).clamp(min=1)
    residual = right - gain * seen
    energy = _energy(right).clamp(min=1)
    explained = 1 - _energy(residual) / energy
    spread = (energy / (3 * weight.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1))).sqrt().clamp(min=4)
    stray = torch.maximum(
        functional.avg_pool2d(grey(residual), SIDE // 8, SIDE // 16).abs().amax(dim=(1, 2, 3)),
        functional.avg_pool2d(residual, SIDE // 4, SIDE // 8).abs().amax(dim=(1, 2, 3)),
    )
    return (explained.flatten() >= EXPLAINED) & (stray <= STRAY * spread.flatten())


def _correlation(left: Tensor, right: Tensor, weight: Tensor) -> Tensor:
    left, right = _centred(left, weight), _centred(right, weight)
    product = (left * right).sum(dim=(1, 2, 3))
    return product / (_energy(left) * _energy(right)).flatten().sqrt().clamp(min=1e-6)


def _centred(pictures: Tensor, weight: Tensor) -> Tensor:
    """Images less their mean where the weight is one, zero elsewhere."""
    total = (weight.sum(dim=(1, 2, 3), keepdim=True) * pictures.shape[1]).clamp(min=1)
    return (pictures - (pictures * weight).sum(dim=(1, 2, 3), keepdim=True) / total) * weight


def _energy(pictures: Tensor) -> Tensor:
    return pictures.square().sum(dim=(1, 2, 3), keepdim=True)


def grey(pictures: Tensor) -> Tensor:
    """The brightness (P, 1, S, S) of colour images (P, 3, S, S)."""
    red, green, blue = (weight * pictures[:, row : row + 1] for row, weight in enumerate(GREY))
    return red + green + blue


def _positions(side: int) -> Tensor:
    """The centres of pixels on a side from -1 to 1."""
    return (torch.arange(side) * 2 + 1) / side - 1
