"""Architecture search: which width, depth and size of images a network needs, under a latency measured here.

All candidates share the weights of the run: each is a part of its network, trained for one epoch. Those that are too
slow are not trained at all, and only the chosen one is trained fully.
"""

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.delivery.compression.contract import (
    COMPRESSORS,
    Compressed,
    Compressor,
    UnmetError,
    Wanted,
    Workshop,
)
from linnaea.delivery.compression.depth import at_size, spared, without
from linnaea.delivery.compression.front import Seen, choose, with_front
from linnaea.delivery.compression.prune import WHOLE_RATE, batches_of, loss_of, rows_of
from linnaea.delivery.compression.prune import require as require_prune
from linnaea.delivery.compression.pruning import Traced, cut, require_prunable, traced
from linnaea.delivery.compression.saliency import saliency_of
from linnaea.delivery.compression.stepping import MARGIN, whole_training
from linnaea.errors import MissingExtraError
from linnaea.models.model import to_pixels
from linnaea.models.network import Network

if TYPE_CHECKING:
    from optuna.study import Study

WIDEST, WIDTH_STEP = 0.8, 0.1
STRIDE, FEWEST_PIXELS, SIZES = 32, 32, 4
DEPTH = 1 / 3  # of the blocks that may be spared
LOOKED_AT = 32  # images
logger = logging.getLogger("linnaea")


def require(classifier: Classifier, wanted: Wanted) -> None:
    """Raise UsageError for what is no network, MissingExtraError without torch-pruning or optuna."""
    require_prune(classifier, wanted)
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtraError("optuna", "search")


@dataclass(eq=False)
class Space:
    """The parts of a network that may be tried: `blocks` may go in this order, `sizes` are sides of images."""

    network: Network
    saliency: dict[str, torch.Tensor]
    blocks: Sequence[str]
    sizes: Sequence[int]
    known: dict[int, Traced] = field(default_factory=dict)

    @classmethod
    def of(cls, network: Network, workshop: Workshop) -> "Space":
        """What may be tried of a network."""
        images = np.asarray(workshop.train[rows_of(workshop, LOOKED_AT)])
        order = spared(network, to_pixels(torch.from_numpy(images)))
        side = network.arguments["size"]
        smaller = range(side - STRIDE, max(FEWEST_PIXELS, side // 2) - 1, -STRIDE)
        sizes = [side, *(size for size in list(smaller)[:SIZES] if at_size(network, size) is not None)]
        several = workshop.targets.ndim == 2
        saliency = saliency_of(network, batches_of(workshop), loss_of(several=several))
        return cls(network, saliency, order[: round(DEPTH * len(order))], sizes)

    def make(self, width: float, skipped: int, size: int) -> Network:
        """One of them, with the weights of the network."""
        if skipped not in self.known:
            self.known[skipped] = traced(without(self.network, self.blocks[:skipped]), self.saliency)
        whole = self.known[skipped]
        narrow = cut(whole, width) if width else without(self.network, self.blocks[:skipped])
        found = at_size(narrow, size)
        assert found is not None, "sizes were tried"
        return found


def search(classifier: Classifier, workshop: Workshop) -> Compressed:
    """The part of the network that is chosen, trained on, and all points that were seen on the way."""
    network = require_prunable(classifier.model)
    space = Space.of(network, workshop)
    seen = with_front(_hunt(space, workshop))
    chosen = choose(seen, workshop.least, to_target=workshop.wanted.target is not None)
    if chosen is None:
        nearest = min(seen, key=lambda one: one.milliseconds)
        raise UnmetError(
            f"none of {len(seen)} networks was {_asked(workshop)}: the nearest point is {nearest.name}, with "
            f"{nearest.megabytes:.2f} MB and {nearest.milliseconds:.2f} ms for an image. Ask for less, or give more "
            "--trials."
        )
    model = space.make(chosen.width, chosen.skipped, chosen.size)
    own, epochs = workshop.at(chosen.size), whole_training(workshop)
    notes = own.tune(model, epochs=epochs, rate=WHOLE_RATE, taught=True, renewed=True)
    rows = [replace(one, chosen=one is chosen).to_json() for one in seen]
    front = sum(one.on_front for one in seen)
    trained = sum(one.figure is not None for one in seen)
    told = (
        f"Of {len(seen)} networks, {trained} were fast enough to be trained for an epoch and {front} were better than "
        f"any other in worth or time: chosen was {chosen.name}."
    )
    recipe = replace(classifier.recipe, size=chosen.size)
    made = classifier.with_(scorer=scorer_of(model), recipe=recipe)
    return Compressed(made, [told, *notes], {"seen": rows})


def _asked(workshop: Workshop) -> str:
    target = workshop.wanted.target
    return "faster than the run" if target is None else f"within {target.text}"


def _hunt(space: Space, workshop: Workshop) -> list[Seen]:
    """Propose, time, and train for an epoch what is fast enough, as often as was asked for."""
    import optuna

    optuna.logging.set_verbosity(logging.WARNING)
    trials = workshop.wanted.trials
    sampler = optuna.samplers.TPESampler(seed=workshop.seed, n_startup_trials=max(2, trials // 3))
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    before = workshop.speed(space.network)
    known: dict[tuple[float, int, int], Seen] = {}
    for _ in range(trials):
        number, values = _proposed(study, space)
        if values not in known:
            known[values] = _tried(space, workshop, values, before)
            logger.info(_told(known[values]))
        study.tell(number, (known[values].value, known[values].milliseconds))
    return list(known.values())


def _proposed(study: "Study", space: Space) -> tuple[int, tuple[float, int, int]]:
    trial = study.ask()
    width = trial.suggest_float("width", 0.0, WIDEST, step=WIDTH_STEP)
    skipped = trial.suggest_int("skipped", 0, len(space.blocks))
    size = trial.suggest_categorical("size", list(space.sizes))
    return trial.number, (round(width, 2), skipped, int(size))


def _tried(space: Space, workshop: Workshop, values: tuple[float, int, int], before: float) -> Seen:
    model = space.make(*values)
    own = workshop.at(values[2])
    seen = Seen(*values, own.speed(model), model.megabytes)
    slow = _too_much(seen, workshop, before)
    if slow:
        return replace(seen, note=slow)
    own.tune(model, epochs=1, rate=WHOLE_RATE, taught=True, renewed=True)
    return replace(seen, figure=own.figure(model))


def _too_much(seen: Seen, workshop: Workshop, before: float) -> str:
    """Why a network is not trained: it is too slow or too large; "" where it is neither."""
    target: Any = workshop.wanted.target
    if target is None:
        return "" if seen.milliseconds < before else "not trained: no faster than the run"
    if target.seconds is not None and seen.milliseconds > MARGIN * 1000 * target.seconds:
        return f"not trained: slower than {target.text}"
    if target.megabytes is not None and seen.megabytes > target.megabytes:
        return f"not trained: larger than {target.text}"
    return ""


def _told(seen: Seen) -> str:
    reached = seen.note if seen.figure is None else f"{seen.value:.4f} on val after an epoch"
    return f"search: {seen.name}: {seen.milliseconds:.2f} ms, {seen.megabytes:.2f} MB, {reached}"


COMPRESSORS.register(
    "search",
    title="Architecture search",
    meaning="Width, depth and size of images by a latency measured here; the chosen one is trained on.",
    cost="hours",
    takes=("torch",),
    trains=True,
    last=False,
)(Compressor(search, require))
