"""Features of many images, computed once."""

import json
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Float32, Images
from linnaea.models.folding import folded
from linnaea.models.model import Model, as_pixels
from linnaea.runtime.machine import one_thread_each, prepare_processor
from linnaea.runtime.plan import SECONDS, WORTH_MEASURING, Plan, Workload, inference_bytes, measure
from linnaea.runtime.progress import track

__all__ = ["WORTH_MEASURING", "batch_size", "embed", "features_of", "identity", "measure_embedding"]

WORTH_FOLDING = 64  # images: of fewer, folding takes longer than it saves
COMPARED = 4  # images whose features are compared between plans
logger = logging.getLogger("linnaea")


@torch.no_grad()
def embed(model: Model, images: Images, plan: Plan | None = None) -> Float32:
    """Features (N, D) of images (N, S, S, 3) of uint8, in float32 unless the plan says otherwise.

    A batch whose features are not finite in a reduced number format is computed again in float32, which is said once.
    """
    plan = plan or Plan(str(model.device))
    model.eval()
    many = len(images) >= WORTH_FOLDING
    model = _prepared(model, images.shape[1], plan) if many else model.to(memory_format=plan.layout)
    return np.concatenate([features.cpu().numpy() for features in features_of(model, images, plan)])


@torch.no_grad()
def features_of(model: Model, images: Images, plan: Plan) -> Iterator[Tensor]:
    """Features (B, D) in float32 of some images after the other, where the model is; it is used as it stands."""
    prepare_processor()
    step = plan.batch_size or batch_size(images, model)
    parts, beyond = [images[start : start + step] for start in range(0, len(images), step)], 0
    each = _each(model, parts, plan)
    for features, again in each if len(parts) == 1 else track(each, "embedding", len(parts)):
        yield features
        beyond += again
    if beyond:
        logger.warning(
            f"{beyond} of {len(parts)} batches were computed again in float32, because {plan.precision} gave NaN or "
            "infinity."
        )


def _each(model: Model, parts: Sequence[Images], plan: Plan) -> Iterator[tuple[Tensor, bool]]:
    """The features of each batch and whether they were computed again; of a tiny model several batches at a time."""
    if not (model.tiny and len(parts) > 1 and model.device.type == "cpu"):
        yield from (_finite_features(model, part, plan) for part in parts)
        return
    with one_thread_each() as threads, ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda part: _finite_features(model, part, plan), parts)


@torch.no_grad()
def _finite_features(model: Model, images: Images, plan: Plan) -> tuple[Tensor, bool]:
    features = _features(model, images, plan)
    if plan.precision == "float32" or bool(torch.isfinite(features).all()):
        return features, False
    return _features(model, images, plan.in_float32()), True


def _prepared(model: Model, side: int, plan: Plan) -> Model:
    """The model as it answers fastest under a plan."""
    return folded(model, side).to(memory_format=plan.layout)


def _features(model: Model, images: Images, plan: Plan) -> Tensor:
    """Features (B, D) of one batch, where the model is."""
    pixels = as_pixels(torch.from_numpy(np.asarray(images)).to(model.device), plan.layout)
    with plan.autocast():
        features: Tensor = model.features(pixels).float()
    return features


def measure_embedding(
    model: Model,
    images: Images,
    precision: str = "auto",
    *,
    memory_format: str = "auto",
    count: int | None = None,
    seconds: float = SECONDS,
    anew: bool = False,
) -> Plan:
    """The fastest plan for `embed` on this machine, see `linnaea.runtime.plan.measure`.

    `images` (N, S, S, 3) are of those to come, of which there are `count` (None: these). They should be like them: what
    the formats are compared by is how features differ between images.
    """
    usual, side = batch_size(images, model), images.shape[1]

    def first(number: int) -> Images:
        """Some of the images, from all parts of them, repeated where there are fewer."""
        return images[np.linspace(0, len(images) - 1, number).round().astype(np.int64)]

    @torch.no_grad()
    def answers(plan: Plan) -> Tensor:
        return _features(_prepared(model, side, plan), first(COMPARED), plan).cpu()

    @torch.no_grad()
    def step(plan: Plan) -> bool:
        features = _features(_prepared(model, side, plan), first(plan.batch_size or usual), plan)
        return bool(torch.isfinite(features).all())

    prepare_processor()
    plain = Plan(str(model.device))
    workload = Workload(
        identity(model),
        "embed",
        images.shape[1:],
        len(images) if count is None else count,
        usual,
        step,
        answers,
        image_bytes=inference_bytes(model, lambda: _features(model.eval(), first(1), plain)),
    )
    return measure(
        str(model.device), workload, precision=precision, memory_format=memory_format, seconds=seconds, anew=anew
    )


def identity(model: Model) -> str:
    """What decides how fast a model is: its kind and arguments, without the number of classes."""
    arguments = {name: value for name, value in model.arguments.items() if name != "classes"}
    return f"{model.kind} {json.dumps(arguments, sort_keys=True)}"


def batch_size(images: Images, model: Model) -> int:
    """Images per batch such that their activations stay in the processor's cache."""
    return int(max(1, model.pixels_per_batch // (images.shape[1] * images.shape[2])))
