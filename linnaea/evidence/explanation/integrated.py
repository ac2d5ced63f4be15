"""Gradients along ways to the image: integrated gradients and GradientSHAP, both by captum."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Array, Integers
from linnaea.data.images.pixels import decode_files
from linnaea.evidence.explanation.contract import EXPLAINERS, Maps, Settings
from linnaea.evidence.explanation.gradients import summed
from linnaea.evidence.explanation.subject import Subject

STEPS, DRAWS, AT_ONCE = 32, 32, 16
GREYS = (0.0, 0.5, 1.0)
GREY = 0.5
MOST_BASELINES = 16


@EXPLAINERS.register(
    "integrated_gradients",
    title="Integrated gradients",
    meaning="Gradients summed along the way from plain grey to the image; they add up to the difference of the scores "
    "(Sundararajan et al. 2017).",
    kind="map",
    needs="gradients",
    signed=True,
    libraries=("captum",),
    extra="explain",
    cost="seconds",
    order=14,
)
def integrated_gradients(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of both signs, of 32 steps or `samples`."""
    from captum.attr import IntegratedGradients

    steps, given = settings.samples or STEPS, subject.tensor(pixels).requires_grad_()
    found = IntegratedGradients(subject.network).attribute(
        given,
        baselines=torch.full_like(given[:1], GREY),
        target=torch.from_numpy(targets).to(given.device),
        n_steps=steps,
        internal_batch_size=max(AT_ONCE, len(given)),
    )
    return Maps(summed(found), f"{steps} steps from plain grey")


@EXPLAINERS.register(
    "gradient_shap",
    title="GradientSHAP",
    meaning="Gradients at random places on ways from other images, times the way: expected Shapley values if the model "
    "were linear (Lundberg and Lee 2017; Erion et al. 2021).",
    kind="map",
    needs="gradients",
    signed=True,
    libraries=("captum",),
    extra="explain",
    cost="seconds",
    order=15,
)
def gradient_shap(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of both signs, of 32 draws or `samples`.

    The ways begin at 16 training images, drawn by the seed, or at black, grey and white where none are known.
    """
    from captum.attr import GradientShap

    draws, (baselines, said) = settings.samples or DRAWS, _baselines(subject, settings.seed)
    method, found = GradientShap(subject.network), []
    for image, target in zip(subject.tensor(pixels), targets.tolist(), strict=True):
        with _seeded(settings.seed):  # each alone, so that the draws of one do not depend on those beside it
            made = method.attribute(image[None].requires_grad_(), baselines, n_samples=draws, target=target)
        found.append(made.detach())
    return Maps(summed(torch.cat(found)), f"{draws} draws on ways from {said}")


def _baselines(subject: Subject, seed: int) -> tuple[Tensor, str]:
    """Images (B, C, S, S) where ways begin, and what they are called."""
    training = subject.training
    if training is not None:
        rows = np.sort(np.random.default_rng(seed).permutation(len(training))[:MOST_BASELINES])
        images = decode_files(training.take(rows.tolist()).paths, subject.classifier.recipe).kept().images
        if len(images):
            return subject.tensor(np.asarray(images)), f"{len(images)} training images"
    side, _, channels = subject.shape
    plain = np.stack([np.full((side, side, channels), grey, dtype=np.float32) for grey in GREYS])
    return subject.tensor(plain), "black, grey and white"


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The random numbers that captum draws are those of a seed, and everybody else's are as before."""
    before = np.random.get_state()  # noqa: NPY002  captum draws from it
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002
