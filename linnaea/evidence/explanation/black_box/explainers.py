"""Explainers that every classifier answers to: occlusion, RISE, LIME and KernelSHAP."""

from collections.abc import Callable

import numpy as np

from linnaea.arrays import Array, Floats, Integers
from linnaea.evidence.explanation.black_box.covering import FEWEST, require_evaluations
from linnaea.evidence.explanation.black_box.occluding import occlusion_map, window_for
from linnaea.evidence.explanation.black_box.random_masks import rise_map
from linnaea.evidence.explanation.black_box.regions import REGIONS, regions_said, superpixels
from linnaea.evidence.explanation.black_box.surrogates import kernel_shap_map, lime_map
from linnaea.evidence.explanation.contract import EXPLAINERS, Maps, Settings
from linnaea.evidence.explanation.subject import Subject

POSITIONS, MASKS, SAMPLES = 196, 1000, 500


@EXPLAINERS.register(
    "occlusion",
    title="Occlusion",
    meaning="How far the probability falls while a window is covered (Zeiler and Fergus 2014); 196 answers per image.",
    kind="map",
    needs="answers",
    signed=True,
    cost="minutes",
    order=110,
)
def occlusion(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of how far the probability of the target falls, the mean over the windows that cover a pixel."""
    evaluations = _evaluations(settings, POSITIONS)
    window, stride = window_for(subject.size, evaluations)

    def explain(image: Array, target: int) -> Floats:
        return occlusion_map(subject.answer, image, target, window=window, stride=stride)

    said = f"windows of {window} pixels, {stride} apart, covered by the image's mean colour"
    return _each(explain, pixels, targets, said)


@EXPLAINERS.register(
    "rise",
    title="RISE",
    meaning="The mean of random masks weighted by the answers behind them (Petsiuk 2018); 1,000 answers per image.",
    kind="map",
    needs="answers",
    signed=True,
    cost="minutes",
    order=120,
)
def rise(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of how much likelier the target is where a pixel is seen."""
    evaluations = _evaluations(settings, MASKS)

    def explain(image: Array, target: int) -> Floats:
        return rise_map(subject.answer, image, target, evaluations=evaluations, seed=settings.seed)

    return _each(explain, pixels, targets, f"{evaluations:,} random masks over the image's mean colour")


@EXPLAINERS.register(
    "lime",
    title="LIME",
    meaning="A ridge regression on which superpixels are left (Ribeiro et al. 2016); 500 answers per image.",
    kind="map",
    needs="answers",
    signed=True,
    cost="minutes",
    order=130,
)
def lime(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of the coefficient of the superpixel that each pixel is in."""
    evaluations = _evaluations(settings, SAMPLES)

    def explain(image: Array, target: int) -> Floats:
        regions = superpixels(image)
        return lime_map(subject.answer, image, target, regions, evaluations=evaluations, seed=settings.seed)

    return _each(explain, pixels, targets, f"{evaluations:,} samples of {regions_said()}")


@EXPLAINERS.register(
    "kernel_shap",
    title="KernelSHAP",
    meaning="Shapley values of superpixels, by regression (Lundberg and Lee 2017); 500 answers per image.",
    kind="map",
    needs="answers",
    signed=True,
    cost="minutes",
    order=140,
)
def kernel_shap(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of the Shapley value of the superpixel that each pixel is in.

    Of few evaluations the superpixels are few, so that there are at least four samples for each.
    """
    evaluations = _evaluations(settings, SAMPLES)

    def explain(image: Array, target: int) -> Floats:
        regions = superpixels(image, max(FEWEST, min(REGIONS, evaluations // FEWEST)))
        return kernel_shap_map(subject.answer, image, target, regions, evaluations=evaluations, seed=settings.seed)

    return _each(explain, pixels, targets, f"{evaluations:,} samples of {regions_said()}")


def _evaluations(settings: Settings, usual: int) -> int:
    count = usual if settings.samples is None else settings.samples
    require_evaluations(count)
    return count


def _each(explain: Callable[[Array, int], Floats], pixels: Array, targets: Integers, said: str) -> Maps:
    maps = [explain(image, int(target)) for image, target in zip(pixels, targets, strict=True)]
    return Maps(np.stack(maps).astype(np.float32), said)
