"""Class activation maps: the channels of a layer, weighed by what they do for a class."""

import torch
from torch import Tensor
from torch.nn import functional

from linnaea.arrays import Array, Float32, Integers
from linnaea.evidence.explanation.contract import EXPLAINERS, Maps, Settings
from linnaea.evidence.explanation.layers import Layer, outputs_of
from linnaea.evidence.explanation.subject import Subject


@EXPLAINERS.register(
    "gradcam",
    title="Grad-CAM",
    meaning="The last map of the network, its channels weighed by their mean gradient (Selvaraju et al. 2017).",
    kind="map",
    needs="layer",
    signed=False,
    order=1,
)
def gradcam(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of 0 and above: the layer's own, enlarged bilinearly."""
    layer = subject.layer(settings.layer)
    activation, gradient = at_layer(subject, layer, pixels, targets)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return Maps(enlarged(functional.relu((weights * activation).sum(dim=1)), subject.size), str(layer))


@torch.enable_grad()
def at_layer(subject: Subject, layer: Layer, pixels: Array, targets: Integers) -> tuple[Tensor, Tensor]:
    """The maps (N, C, H, H) of a layer, and the gradients of each image's raw score of its target by them."""
    network = subject.network
    with outputs_of(network, {layer.name: layer}) as found:
        scores = network(subject.tensor(pixels).requires_grad_())
    of_targets = scores.gather(1, torch.from_numpy(targets).to(scores.device)[:, None])
    (gradient,) = torch.autograd.grad(of_targets.sum(), found[layer.name])
    return layer.maps(found[layer.name].detach()), layer.maps(gradient)


def enlarged(maps: Tensor, side: int) -> Float32:
    """Maps (N, H, H) as (N, side, side)."""
    larger = functional.interpolate(maps[:, None], size=(side, side), mode="bilinear", align_corners=False)
    values: Float32 = larger[:, 0].float().cpu().numpy()
    return values
