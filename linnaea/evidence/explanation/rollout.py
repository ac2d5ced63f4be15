"""Attention rollout (Abnar and Zuidema 2020)."""

import torch

from linnaea.arrays import Array, Integers
from linnaea.evidence.explanation.attention import Recording
from linnaea.evidence.explanation.cams import enlarged
from linnaea.evidence.explanation.contract import EXPLAINERS, Maps, Settings
from linnaea.evidence.explanation.subject import Subject


@EXPLAINERS.register(
    "rollout",
    title="Attention rollout",
    meaning="Attention followed through all layers from the tokens that are read to the places of the image, whatever "
    "the class (Abnar and Zuidema 2020).",
    kind="map",
    needs="attention",
    signed=False,
    order=6,
)
def rollout(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of 0 and above; heads are averaged, and half of each layer is what it was given."""
    attending = subject.layers.attention
    assert attending is not None, "what needs attention is asked of what has it"
    with torch.no_grad(), Recording() as recording:
        subject.network.features(subject.tensor(pixels))
    maps = attending.rollout(recording.found)
    return Maps(enlarged(maps, subject.size), f"{attending}, the same for every class")
