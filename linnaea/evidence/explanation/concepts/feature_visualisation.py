"""What a class, or a channel of a layer, looks like at its strongest: a picture made by the network itself."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Float64, Images, Integers
from linnaea.data.images.pixels import decode_files
from linnaea.errors import UsageError
from linnaea.evidence.explanation.concepts.maximising import maximise
from linnaea.evidence.explanation.contract import EXPLAINERS, Example, Examples, Settings
from linnaea.evidence.explanation.examples.training import in_sentences
from linnaea.evidence.explanation.layers import outputs_of
from linnaea.evidence.explanation.subject import Subject

STEPS = 128
COMPARED = 200  # training images, and as many of noise
AT_ONCE = 16


class Part(NamedTuple):
    """A part of a network that is pictured: what it is called, how strongly it answers (N,), and its class if any."""

    name: str
    activation: Callable[[Tensor], Tensor]
    target: int | None = None


@EXPLAINERS.register(
    "feature_visualisation",
    title="Feature visualisation",
    meaning="A picture that drives a class, or a channel, as far as it goes (Olah et al. 2017).",
    kind="picture",
    needs="gradients",
    takes=("channel",),
    order=70,
)
def feature_visualisation(subject: Subject, targets: Integers, settings: Settings) -> Examples:
    """A row per class, or one for the `channel` of a layer: the picture, and the training image that comes nearest.

    The picture is found in `samples` (None: 128) steps. It is compared with training images (at most 200, of the class)
    and with as many of noise. Arrays: `pictures` (R, S, S, C) and `activations` (R, 3), those of the picture, of the
    strongest training image (NaN where there is none) and of the strongest noise.
    """
    rows, pictures, activations, said = [], [], [], list[str]()
    parts = _parts(subject, targets, settings)
    for part in parts:
        made = maximise(
            lambda values, part=part: part.activation(values.to(subject.network.device)),  # type: ignore[misc]
            subject.shape,
            1,
            steps=settings.samples or STEPS,
            seed=settings.seed,
        )
        picture = np.rint(made.mul(255).permute(0, 2, 3, 1).cpu().numpy()).astype(np.uint8)
        known, ids = _of_training(subject, part.target)
        strengths = [_strengths(subject, part, images) for images in (picture, known, _noise(subject, settings.seed))]
        value, noise = float(strengths[0][0]), float(strengths[2].max())
        shown = [Example(picture[0], f"{part.name}: {value:.3g}; noise at most {noise:.3g}")]
        best = int(strengths[1].argmax()) if len(known) else None
        strongest = np.nan if best is None else float(strengths[1][best])
        if best is not None:
            shown.append(Example(known[best], f"strongest of {len(known)} training images: {strongest:.3g}", ids[best]))
        if value <= max(strongest, noise, -np.inf) if best is not None else value <= noise:
            said.append(f"The picture of {part.name} does not drive it beyond what is there: try more --samples.")
        rows.append(tuple(shown))
        pictures.append(picture[0])
        activations.append([value, strongest, noise])
    arrays = {"pictures": np.stack(pictures), "activations": np.array(activations)}
    titles = () if settings.channel is None else tuple(part.name for part in parts)
    return Examples(tuple(rows), arrays, in_sentences(*said), titles=titles)


def _parts(subject: Subject, targets: Integers, settings: Settings) -> list[Part]:
    """The classes, or the one channel; raises UsageError where the layer has no such channel."""
    network = subject.network
    if settings.channel is None:
        return [
            Part(subject.classes[target], lambda pixels, target=target: network(pixels)[:, target], int(target))  # type: ignore[misc]
            for target in targets
        ]
    layer, channel = subject.layer(settings.layer), settings.channel
    if not 0 <= channel < layer.channels:
        raise UsageError(f"channel is {channel}; expected 0 to {layer.channels - 1}, those of the layer {layer.name}.")

    def activation(pixels: Tensor) -> Tensor:
        with outputs_of(network, {layer.name: layer}) as found:
            network.features(pixels)
        return layer.maps(found[layer.name])[:, channel].mean(dim=(1, 2))

    return [Part(f"channel {channel} of {layer.name}", activation)]


@torch.no_grad()
def _strengths(subject: Subject, part: Part, images: Images) -> Float64:
    """How strongly a part answers to images (N,)."""
    starts = range(0, len(images), AT_ONCE)
    parts = [part.activation(subject.tensor(images[start : start + AT_ONCE])).double().cpu() for start in starts]
    return torch.cat(parts).numpy() if parts else np.zeros(0)


def _of_training(subject: Subject, target: int | None) -> tuple[Images, list[str]]:
    """Some training images, of a class where one is given, that can still be read, and their paths."""
    nothing = np.zeros((0, *subject.shape), dtype=np.uint8), list[str]()
    if subject.training is None:
        return nothing
    names = subject.training.label_lists
    wanted = [row for row, own in enumerate(names) if target is None or subject.classes[target] in own]
    dataset = subject.training.take(np.random.default_rng(0).permutation(wanted)[:COMPARED].astype(int).tolist())
    if not len(dataset):
        return nothing
    decoded = decode_files(dataset.paths, subject.classifier.recipe, keep=False)
    gone = decoded.failed
    return np.asarray(decoded.kept().images), [name for row, name in enumerate(dataset.ids) if row not in gone]


def _noise(subject: Subject, seed: int) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (COMPARED // 4, *subject.shape), dtype=np.uint8)
