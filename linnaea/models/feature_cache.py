"""Features that are computed once: kept under the pixels they are of, the weights and the number format."""

import hashlib
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from linnaea.arrays import Float32, Images
from linnaea.models.embedding import embed, identity
from linnaea.models.model import Model
from linnaea.runtime.cache import cached
from linnaea.runtime.machine import available_threads
from linnaea.runtime.plan import Plan
from linnaea.runtime.progress import working
from linnaea.runtime.store import Store

AT_ONCE = 2_048
UNDER_A_DEADLINE = 64


@dataclass(frozen=True)
class Embedded:
    """The `rows` (n,) of images that were embedded, their `features` (n, D), and how many of them had been kept."""

    rows: npt.NDArray[np.int64]
    features: Float32
    known: int = 0


def embed_once(model: Model, images: Images, plan: Plan | None = None) -> Float32:
    """What `embed` gives, (N, D), for a model whose body stays as it is; only images that it never met are embedded.

    Whoever asks, the ladder, the audit or a search: what one of them embedded serves the others, and later runs. Equal
    are images whose pixels are, which holds the file and how it was decoded; what was embedded before an interruption
    is kept.
    """
    return _looked_up(model, images, plan or Plan(str(model.device)))[0]


def embed_until(
    deadline: float, model: Model, images: Images, plan: Plan | None = None, *, once: bool = True, seed: int = 0
) -> Embedded:
    """The features of as many images, drawn at random by the seed, as can be embedded before a `time.monotonic`.

    At least 64 of them. `once` says whether features are looked up and kept, see `embed_once`.
    """
    plan = plan or Plan(str(model.device))

    def way(some: Images) -> tuple[Float32, int]:
        return _looked_up(model, some, plan) if once else (embed(model, some, plan), 0)

    if deadline == math.inf:
        return Embedded(np.arange(len(images)), *way(images))
    order, features, known, done = np.random.default_rng(seed).permutation(len(images)), [], 0, 0
    with working("embedding", len(images)) as work:
        while done < len(images) and (not done or time.monotonic() < deadline):
            found, looked_up = way(images[order[done : done + UNDER_A_DEADLINE]])
            features.append(found)
            known += looked_up
            done = work.done = done + len(found)
    sequence = np.argsort(order[:done])
    return Embedded(order[:done][sequence], np.concatenate(features)[sequence], known)


def _looked_up(model: Model, images: Images, plan: Plan) -> tuple[Float32, int]:
    """Features (N, D) and how many of them had been kept."""
    if not len(images):
        return embed(model, images, plan), 0
    namespace = f"features {weights_hash(model)} {plan.precision}"
    with ThreadPoolExecutor(available_threads()) as pool:
        keys = list(pool.map(_key, images))
    features = np.zeros((len(images), embed(model, images[:1], plan).shape[1]), dtype=np.float32)
    found = cached(lambda store: store.find(namespace, keys, features), otherwise=np.zeros(len(images), dtype=bool))
    missing = np.flatnonzero(~found)
    for start in range(0, len(missing), AT_ONCE):
        rows = missing[start : start + AT_ONCE]
        features[rows] = embed(model, images if len(rows) == len(images) else images[rows], plan)
        _keep(namespace, [keys[row] for row in rows], features[rows])
    return features, len(images) - len(missing)


def _key(image: Images) -> str:
    return hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()


def _keep(namespace: str, keys: Sequence[str], features: Float32) -> None:
    def write(store: Store) -> None:
        store.add(namespace, keys, features)

    cached(write, otherwise=None)


@torch.no_grad()
def weights_hash(model: Model) -> str:
    """Sixteen digits that change with whatever decides about a feature: kind of model, all weights but the head's."""
    found = hashlib.sha256(identity(model).encode())
    for name, value in sorted(model.body_weights().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()[:16]
