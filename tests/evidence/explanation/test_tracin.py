"""Influence in closed form against gradients that torch computes, and against captum's TracIn."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from linnaea.evidence.explanation.examples.head_gradients import influence, residuals

LENGTH, CLASSES = 6, 4


def gradient(layer, features, target):
    """Of the loss on one image by all weights of the layer, one after the other."""
    layer.zero_grad()
    logits = layer(features)
    if target.ndim == 1:
        there = ~torch.isnan(target)
        loss = functional.binary_cross_entropy_with_logits(logits[there], target[there], reduction="sum")
    else:
        loss = functional.cross_entropy(logits[None], target[None])
    loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in layer.parameters()]).clone()


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("several", [True, False])
def test_it_is_the_product_of_the_gradients(biased, several):
    random = torch.Generator().manual_seed(0)
    layer = nn.Linear(LENGTH, CLASSES, bias=biased).double()
    features = torch.randn(9, LENGTH, generator=random, dtype=torch.float64)
    targets = torch.randint(0, CLASSES, (9,), generator=random)
    if several:
        targets = torch.randint(0, 2, (9, CLASSES), generator=random).double()
        targets[2, 1] = torch.nan
    gradients = torch.stack([gradient(layer, *pair) for pair in zip(features, targets, strict=True)])
    own = residuals(layer(features).detach().numpy(), targets.numpy())
    found = influence((features[:3].numpy(), own[:3]), (features.numpy(), own), biased=biased)
    np.testing.assert_allclose(found, (gradients[:3] @ gradients.T).numpy(), rtol=1e-9, atol=1e-12)


def test_it_is_what_captum_finds_which_leaves_out_the_bias():
    influences = pytest.importorskip("captum.influence")
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(5, LENGTH), nn.ReLU(), nn.Linear(LENGTH, CLASSES))
    pixels, targets = torch.randn(12, 5), torch.randint(0, CLASSES, (12,))
    pairs = torch.utils.data.TensorDataset(pixels, targets)
    tracin = influences.TracInCPFast(
        network, network[2], pairs, ["given"], lambda *_: 1.0, nn.CrossEntropyLoss(reduction="sum"), batch_size=4
    )
    expected = tracin.influence((pixels[:3], targets[:3]))
    features = network[:2](pixels).detach().numpy()
    own = residuals(network(pixels).detach().numpy(), targets.numpy())
    np.testing.assert_allclose(
        influence((features[:3], own[:3]), (features, own), biased=False), expected, rtol=1e-4, atol=1e-6
    )


def test_training_on_a_proponent_lowers_the_loss_as_was_foretold():
    torch.manual_seed(2)
    layer = nn.Linear(LENGTH, CLASSES).double()
    features, targets = torch.randn(20, LENGTH).double(), torch.randint(0, CLASSES, (20,))
    own = residuals(layer(features).detach().numpy(), targets.numpy())
    foretold = influence((features[:1].numpy(), own[:1]), (features.numpy(), own))[0]
    before = functional.cross_entropy(layer(features[:1]), targets[:1]).item()
    state, step = {name: value.clone() for name, value in layer.state_dict().items()}, 1e-5
    for row in range(20):
        layer.load_state_dict(state)
        gradient(layer, features[row], targets[row])
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter -= step * parameter.grad
        after = functional.cross_entropy(layer(features[:1]), targets[:1]).item()
        assert (before - after) / step == pytest.approx(foretold[row], rel=1e-2, abs=1e-3)
