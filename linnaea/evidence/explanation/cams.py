"""Class activation maps: the channels of a layer, weighed by what they do for a class."""

from collections.abc import Callable

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
    return _weighed(subject, pixels, targets, settings, lambda _, gradient: gradient.mean(dim=(2, 3), keepdim=True))


def _weighed(
    subject: Subject,
    pixels: Array,
    targets: Integers,
    settings: Settings,
    weights: Callable[[Tensor, Tensor], Tensor],
) -> Maps:
    """What the channels of the layer have in common, weighed by what `weights` makes of its maps and their gradients.

    Weights are (N, C, 1, 1) or (N, C, H, H), as the maps and gradients are.
    """
    layer = subject.layer(settings.layer)
    activation, gradient = at_layer(subject, layer, pixels, targets)
    added = (weights(activation, gradient) * activation).sum(dim=1)
    return Maps(enlarged(functional.relu(added), subject.size), str(layer))


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


@EXPLAINERS.register(
    "gradcam_plus_plus",
    title="Grad-CAM++",
    meaning="As Grad-CAM, each position of a channel weighed by what it adds to the class, so that several objects are "
    "seen (Chattopadhay et al. 2018).",
    kind="map",
    needs="layer",
    signed=False,
    order=2,
)
def gradcam_plus_plus(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of 0 and above; the class's score is the exponential of the raw one, as in the paper.

    With g the gradient and S the sum of a channel's positive responses, its weights are g² / (2 g² + S g³), which is
    1 / (2 + S g), where g is positive.
    """

    def weights(activation: Tensor, gradient: Tensor) -> Tensor:
        positive = functional.relu(gradient)
        responses = functional.relu(activation).sum(dim=(2, 3), keepdim=True)
        return (positive / (2 + responses * positive)).sum(dim=(2, 3), keepdim=True)

    return _weighed(subject, pixels, targets, settings, weights)


@EXPLAINERS.register(
    "layercam",
    title="Layer-CAM",
    meaning="As Grad-CAM, each position weighed by its own positive gradient: sharper, and of use at earlier layers "
    "(Jiang et al. 2021).",
    kind="map",
    needs="layer",
    signed=False,
    order=3,
)
def layercam(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of 0 and above."""
    return _weighed(subject, pixels, targets, settings, lambda _, gradient: functional.relu(gradient))


@EXPLAINERS.register(
    "hirescam",
    title="HiResCAM",
    meaning="As Grad-CAM, each position weighed by its own gradient: places that the class does not go by stay dark, "
    "also in a transformer (Draelos and Carin 2020).",
    kind="map",
    needs="layer",
    signed=False,
    order=4,
)
def hirescam(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of 0 and above; those of Grad-CAM where the map is averaged and read by a linear head."""
    return _weighed(subject, pixels, targets, settings, lambda _, gradient: gradient)


@EXPLAINERS.register(
    "eigencam",
    title="Eigen-CAM",
    meaning="What the channels of the last map have most in common, whatever the class (Muhammad and Yeasin 2020).",
    kind="map",
    needs="layer",
    signed=False,
    order=5,
)
def eigencam(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of 0 and above: each image's positions on the first right singular vector of its map."""
    layer = subject.layer(settings.layer)
    with torch.no_grad(), outputs_of(subject.network, {layer.name: layer}) as found:
        subject.network.features(subject.tensor(pixels))
    activation = layer.maps(found[layer.name])
    flat = activation.flatten(2).transpose(1, 2).double()
    _, _, vectors = torch.linalg.svd(flat, full_matrices=False)
    projected = torch.einsum("npc,nc->np", flat, vectors[:, 0])
    projected = projected * projected.sum(dim=1, keepdim=True).sign()  # of the two directions that towards the mean
    values = functional.relu(projected).reshape(len(flat), *activation.shape[2:])
    return Maps(enlarged(values.float(), subject.size), f"{layer}, the same for every class")
