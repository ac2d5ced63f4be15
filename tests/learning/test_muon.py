"""Muon: orthogonal steps for convolutions, plain momentum for the rest, and a state that can be resumed."""

import pytest
import torch
from torch import nn

from linnaea.learning.muon import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(8, 8), (5, 40), (40, 5), (1, 9)])
def test_singular_values_come_near_one_and_vectors_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, values, right = torch.linalg.svd(orthogonalized(matrix), full_matrices=False)
    assert values[0] < 1.3
    assert values.median() > 0.5
    own_left, _, own_right = torch.linalg.svd(matrix, full_matrices=False)
    nearest = own_left @ own_right
    alike = (nearest * (left @ right)).sum() / min(shape)
    assert alike > 0.95


def test_nothing_moves_without_a_gradient():
    assert torch.equal(orthogonalized(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_other_groups_are_those_of_sgd():
    ours, theirs = nn.Linear(4, 3), nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    own = Muon(ours.parameters(), lr=0.1, momentum=0.8, weight_decay=0.01)
    sgd = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.8, weight_decay=0.01, nesterov=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        inputs = torch.randn(6, 4, generator=generator)
        for layer, optimizer in ((ours, own), (theirs, sgd)):
            optimizer.zero_grad()
            layer(inputs).square().sum().backward()
            optimizer.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)


def test_orthogonal_weights_keep_their_norm_but_for_the_step():
    layer = nn.Conv2d(3, 16, 3, bias=False)
    optimizer = Muon([{"params": layer.parameters(), "orthogonal": True}], lr=0.0, momentum=0.6)
    layer(torch.randn(2, 3, 8, 8)).square().sum().backward()
    optimizer.step()
    assert float(layer.weight.norm().detach()) == pytest.approx(4.0, rel=1e-5)


def test_a_saved_state_goes_on_as_if_never_stopped():
    def made():
        torch.manual_seed(0)
        layer = nn.Conv2d(3, 8, 3)
        groups = [{"params": [layer.weight], "orthogonal": True}, {"params": [layer.bias]}]
        return layer, Muon(groups, lr=0.05, momentum=0.6)

    def train(layer, optimizer, steps):
        for step in steps:
            inputs = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(step))
            optimizer.zero_grad()
            layer(inputs).square().mean().backward()
            optimizer.step()

    whole, half = made(), made()
    train(*whole, range(4))
    train(*half, range(2))
    again = made()
    again[0].load_state_dict(half[0].state_dict())
    again[1].load_state_dict(half[1].state_dict())
    train(*again, range(2, 4))
    assert torch.equal(whole[0].weight, again[0].weight)
