"""Gradients of a class by the pixels, and what they become with noise, and by the pixels themselves."""

import torch
from torch import Tensor

from linnaea.arrays import Array, Float32, Integers
from linnaea.evidence.explanation.contract import EXPLAINERS, Maps, Settings
from linnaea.evidence.explanation.subject import Subject

DRAWS = 25
NOISE = 0.15  # standard deviation of the noise of SmoothGrad, of the range of pixels, as in the paper


@EXPLAINERS.register(
    "saliency",
    title="Saliency",
    meaning="How steeply the class's score changes with each pixel, in the steepest channel (Simonyan et al. 2014).",
    kind="map",
    needs="gradients",
    signed=False,
    order=10,
)
def saliency(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of 0 and above."""
    return Maps(steepest(gradient_of(subject, subject.tensor(pixels), targets)))


@EXPLAINERS.register(
    "smoothgrad",
    title="SmoothGrad",
    meaning="Saliency of the gradient averaged over noisy copies of the image (Smilkov et al. 2017).",
    kind="map",
    needs="gradients",
    signed=False,
    order=11,
)
def smoothgrad(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of 0 and above; every image is given the same noise, 25 draws of it or `samples`."""
    draws, given = settings.samples or DRAWS, subject.tensor(pixels)
    random = torch.Generator().manual_seed(settings.seed)
    total = torch.zeros_like(given)
    for _ in range(draws):
        noise = torch.randn(given.shape[1:], generator=random).to(given.device)
        total += gradient_of(subject, given + NOISE * noise, targets)
    return Maps(steepest(total / draws), f"{draws} noisy copies, their noise {NOISE:g} of the range of pixels")


@EXPLAINERS.register(
    "input_x_gradient",
    title="Input x gradient",
    meaning="Each pixel times its gradient, over the channels (Shrikumar et al. 2016).",
    kind="map",
    needs="gradients",
    signed=True,
    order=12,
)
def input_x_gradient(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of both signs; a black pixel has 0, whatever it does."""
    given = subject.tensor(pixels)
    return Maps(summed(given * gradient_of(subject, given, targets)))


@torch.enable_grad()
def gradient_of(subject: Subject, given: Tensor, targets: Integers) -> Tensor:
    """The gradient (N, C, S, S) of each image's raw score of its target by its pixels."""
    given = given.detach().requires_grad_()
    scores = subject.network(given)
    chosen = scores.gather(1, torch.from_numpy(targets).to(scores.device)[:, None])
    (gradient,) = torch.autograd.grad(chosen.sum(), given)
    return gradient.detach()


def steepest(gradient: Tensor) -> Float32:
    """The largest absolute value of any channel: (N, C, S, S) to (N, S, S)."""
    values: Float32 = gradient.abs().amax(dim=1).float().cpu().numpy()
    return values


def summed(attribution: Tensor) -> Float32:
    """The sum over the channels: (N, C, S, S) to (N, S, S)."""
    values: Float32 = attribution.sum(dim=1).float().detach().cpu().numpy()
    return values
