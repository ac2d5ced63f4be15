"""A classifier on a frozen backbone, from photos: one embedding and a path of heads, against epochs of a trainer."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frozen_peers import EPOCHS, RATE, Given, fastai_epochs, trainer_epochs, versions
from benchmarks.pairs import Apart, Paired, in_turns, median
from benchmarks.table import keep, photo_sets
from linnaea import read
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.learning.heads import choose, fit_path
from linnaea.models.embedding import embed, measure_embedding
from linnaea.models.weights import read_weights

SET, JUDGED = "hymenoptera", "val"
PEERS: dict[str, Callable[..., float]] = {"fastai": fastai_epochs, "Trainer": trainer_epochs}
WITHIN = 0.002
EVERY = 5  # one in so many training images is kept to choose the head's strength by


def main() -> None:
    """Against each peer, as it comes and tuned by hand."""
    weights = Path(os.environ.get("LINNAEA_WEIGHTS", ""))
    if not weights.is_file():
        raise SystemExit("Set LINNAEA_WEIGHTS to a safetensors file of ImageNet weights to run this benchmark.")
    given = Given(photo_sets() / SET, JUDGED, weights)
    rows = rows_of(given)
    remarks = (
        f"{SET}: MobileNetV2 with the same weights, frozen; photos are judged that nobody trained on. Linnaea: files "
        f"to images, one embedding, logistic regression at six strengths, of which one in {EVERY} training images "
        "chooses, and the answers; of earlier runs it has the plan and nothing else. Peers "
        f"({', '.join(versions())}): {EPOCHS} epochs, each judged, as their loops do; one epoch is timed and counted "
        "as often, and the accuracy is that of a run of all of them. By default: float32, contiguous; fastai by "
        "fit_one_cycle, whose frozen body still trains its batch normalisation; Trainer with a learning rate of "
        f"{RATE}, as its own, 0.00005, is none for a new head. Tuned: channels_last, fastai without train_bn (it has "
        "a worker per core by itself), Trainer in bfloat16, 64 images at a time from two workers. Each side works "
        f"in a process of its own. No ratio is given where Linnaea is more than {WITHIN:.1%} less accurate."
    )
    keep("frozen", "A classifier on a frozen backbone", rows, remarks)


def rows_of(data: Given) -> list[dict[str, Any]]:
    """All sides in turns, then the accuracy of each peer after all of its epochs."""
    peers = {
        f"{peer}{', tuned' * tuned}": partial(epochs, data, tuned)
        for peer, epochs in PEERS.items()
        for tuned in (False, True)
    }
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        own = stack.enter_context(Apart(partial(ours, data), {"LINNAEA_CACHE": place}))
        ones = [stack.enter_context(Apart(partial(epochs, 1))) for epochs in peers.values()]
        mine, *others = in_turns([own, *ones])
        accuracy, images = own.result
    return [
        row(images, name, Paired(mine, EPOCHS * one), accuracy, partial(epochs, EPOCHS))
        for (name, epochs), one in zip(peers.items(), others, strict=True)
    ]


def row(images: str, peer: str, paired: Paired, accuracy: float, all_epochs: Callable[[], float]) -> dict[str, Any]:
    with Apart(all_epochs) as theirs:
        theirs()
    return {
        "photos": images,
        "peer": peer,
        "linnaea": median(paired.ours),
        "theirs": median(paired.theirs),
        "ratio": paired.ratio_if(accuracy >= theirs.result - WITHIN),
        "aim": "50x",
        "accuracies": f"{accuracy:.1%} and {theirs.result:.1%}",
    }


def ours(data: Given) -> tuple[float, str]:
    """The accuracy on the judged images, and how many images there were."""
    dataset = read(data.folder)
    train, judged = dataset.split("train"), dataset.split(data.judged)
    model = read_weights(data.weights).build(len(dataset.classes), 224)
    images = decode_files([*train.paths, *judged.paths], Recipe(224), keep=False).images
    features = embed(model, images, measure_embedding(model, images))
    targets, learned = train.targets, features[: len(train)]
    held = np.arange(len(train)) % EVERY == 0
    heads = fit_path(learned[~held], targets[~held], len(dataset.classes))
    best = choose(heads, learned[held], targets[held])
    answers = best.logits(features[len(train) :]).argmax(axis=1)
    return float((answers == judged.targets).mean()), f"{len(train)} and {len(judged)}"


if __name__ == "__main__":
    main()
