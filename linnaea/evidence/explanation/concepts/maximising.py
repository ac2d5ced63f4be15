"""Activation maximisation: a picture that a part of a network answers to as strongly as it can be made to."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from linnaea.evidence.explanation.concepts.spectrum import pictures_of, random_spectrum

RATE = 11.0  # per step, divided by the side: of fewer waves each must rise higher to be seen
SHIFT, SCALE, TURN = 0.06, 0.1, math.radians(5)  # of the side, of the size, and either way
GREY = 0.5


def maximise(
    activation: Callable[[Tensor], Tensor], shape: tuple[int, int, int], count: int, *, steps: int, seed: int
) -> Tensor:
    """`count` pictures (N, C, S, S), 0 to 1, the n-th of which drives `activation(pictures)[n]`.

    By Adam on their spectra; at every step each is shifted, enlarged and turned a little, so that no pattern survives
    that needs its exact place. `shape` is (S, S, C).
    """
    side, _, channels = shape
    spectrum = random_spectrum(count, side, channels, seed).requires_grad_()
    optimizer = torch.optim.Adam([spectrum], lr=RATE / side)
    random = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad()
            loss = -activation(moved(pictures_of(spectrum, side), random)).sum()
            (spectrum.grad,) = torch.autograd.grad(loss, [spectrum])
            optimizer.step()
    return pictures_of(spectrum.detach(), side)


def moved(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Pictures (N, C, S, S), each shifted, enlarged or made smaller, and turned at random; what is beyond is grey."""
    count = len(pictures)
    drawn = torch.rand((count, 4), generator=random).mul(2).sub(1)
    shift, size, angle = drawn[:, :2], 1 + drawn[:, 2:3] * SCALE, drawn[:, 3:] * TURN
    turned = torch.cat([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(count, 2, 2)
    theta = torch.cat([turned * size[:, :, None], 2 * SHIFT * shift[:, :, None]], dim=2).to(pictures)
    grid = functional.affine_grid(theta, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures - GREY, grid, align_corners=False) + GREY
