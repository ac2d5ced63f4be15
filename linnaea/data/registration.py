"""Is one picture the other, re-encoded, resized, brightened or a little cropped? Found by laying one over the other."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from linnaea.runtime.cache import cached

Flags = npt.NDArray[np.bool_]
Thumbnails = npt.NDArray[np.uint8]
SIDE = 32
GREY = (0.299, 0.587, 0.114)
ROUGH_STEPS = ((4, 4), (2, 3))  # shrink by so much, then so many Gauss-Newton steps
FINE_STEPS = ((1, 2),)
LARGEST_STEP, LARGEST_SHIFT, LARGEST_ZOOM = 0.15, 0.2, 1.22
DAMPING = 1e-3
COARSE = 0.9  # correlation of 16 x 16 pictures that is worth a closer look
EXPLAINED = 0.92  # share of the variance of the colours that the other picture explains
STRAY = 0.33  # largest difference anywhere, in standard deviations of the picture
SATURATED = 250.0
AT_ONCE = 2048
WORTH_KEEPING = 256  # verdicts that take longer to reach than to look up


@dataclass(frozen=True)
class Placement:
    """Where pictures of a batch lie on others: zoom (P, 2) and shift (P, 2) across and down, in half sides."""

    zoom: Tensor
    shift: Tensor

    def apply(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (P, C, S, S) seen through the placement, and which pixels lie inside them (P, 1, S, S)."""
        side = pictures.shape[-1]
        steps = _positions(side)
        across = steps.view(1, 1, -1) * self.zoom[:, 0].view(-1, 1, 1) + self.shift[:, 0].view(-1, 1, 1)
        down = steps.view(1, -1, 1) * self.zoom[:, 1].view(-1, 1, 1) + self.shift[:, 1].view(-1, 1, 1)
        grid = torch.stack([across.expand(-1, side, side), down.expand(-1, side, side)], dim=-1)
        seen = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
        return seen, (grid.abs() <= 1).all(dim=-1).unsqueeze(1).float()


def judge_once(left: Thumbnails, right: Thumbnails) -> Flags:
    """Whether each pair of thumbnails (P, 32, 32, 3) shows the same picture, whichever is the crop (P,).

    Many pairs are judged once and remembered: a verdict depends on nothing but the two.
    """
    if len(left) < WORTH_KEEPING:
        return _either_way(left, right)
    verdicts = np.zeros((len(left), 1), dtype=np.uint8)
    both = zip(left, right, strict=True)
    names = [hashlib.sha256(b"".join(sorted((a.tobytes(), b.tobytes())))).hexdigest() for a, b in both]
    namespace = f"same picture {_version()}"
    known = cached(lambda store: store.find(namespace, names, verdicts), otherwise=np.zeros(len(left), dtype=bool))
    new = np.flatnonzero(~known)
    verdicts[new, 0] = _either_way(left[new], right[new])
    if len(new):
        cached(lambda store: store.add(namespace, [names[row] for row in new], verdicts[new]), otherwise=None)
    return np.asarray(verdicts[:, 0] == 1)


def _either_way(left: Thumbnails, right: Thumbnails) -> Flags:
    same = same_picture(left, right)
    other = ~same
    same[other] = same_picture(right[other], left[other])
    return same


@lru_cache
def _version() -> str:
    """Twelve digits that change with whatever decides about a verdict: this file, and torch."""
    return hashlib.sha256(Path(__file__).read_bytes() + torch.__version__.encode()).hexdigest()[:12]


def same_picture(left: Thumbnails, right: Thumbnails) -> npt.NDArray[np.bool_]:
    """Whether each pair of thumbnails (P, 32, 32, 3) shows the same picture (P,).

    The left one is zoomed by up to 1.22, shifted by up to a tenth of its side and given another contrast and
    brightness so as to fit the right one (Lucas and Kanade 1981, with gain and bias), and then must explain 92 % of
    the variance of its colours and differ nowhere by more than a third of a standard deviation.
    """
    verdicts = [
        _same(*(torch.from_numpy(side[start : start + AT_ONCE]).permute(0, 3, 1, 2).float() for side in (left, right)))
        for start in range(0, len(left), AT_ONCE)
    ]
    return np.concatenate([np.zeros(0, dtype=bool), *verdicts])


def _same(left: Tensor, right: Tensor) -> npt.NDArray[np.bool_]:
    greys = _grey(left), _grey(right)
    placement = Placement(torch.ones(len(left), 2), torch.zeros(len(left), 2))
    placement, correlation = _register(*greys, placement, ROUGH_STEPS)
    near = correlation >= COARSE
    start = Placement(placement.zoom[near], placement.shift[near])
    placement, _ = _register(greys[0][near], greys[1][near], start, FINE_STEPS)
    verdict = torch.zeros(len(left), dtype=torch.bool)
    verdict[near] = _agrees(left[near], right[near], placement)
    return verdict.numpy()


def _register(
    left: Tensor, right: Tensor, placement: Placement, steps: tuple[tuple[int, int], ...]
) -> tuple[Placement, Tensor]:
    """A better placement of grey pictures (P, 1, S, S) on others, and their correlation there."""
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
        functional.avg_pool2d(_grey(residual), SIDE // 8, SIDE // 16).abs().amax(dim=(1, 2, 3)),
        functional.avg_pool2d(residual, SIDE // 4, SIDE // 8).abs().amax(dim=(1, 2, 3)),
    )
    return (explained.flatten() >= EXPLAINED) & (stray <= STRAY * spread.flatten())


def _correlation(left: Tensor, right: Tensor, weight: Tensor) -> Tensor:
    left, right = _centred(left, weight), _centred(right, weight)
    product = (left * right).sum(dim=(1, 2, 3))
    return product / (_energy(left) * _energy(right)).flatten().sqrt().clamp(min=1e-6)


def _centred(pictures: Tensor, weight: Tensor) -> Tensor:
    """Pictures less their mean where the weight is one, zero elsewhere."""
    total = (weight.sum(dim=(1, 2, 3), keepdim=True) * pictures.shape[1]).clamp(min=1)
    return (pictures - (pictures * weight).sum(dim=(1, 2, 3), keepdim=True) / total) * weight


def _energy(pictures: Tensor) -> Tensor:
    return pictures.square().sum(dim=(1, 2, 3), keepdim=True)


def _grey(pictures: Tensor) -> Tensor:
    return (pictures * torch.tensor(GREY).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _positions(side: int) -> Tensor:
    """The centres of pixels on a side from -1 to 1."""
    return (torch.arange(side) * 2 + 1) / side - 1
