"""Folding changes no feature beyond rounding, follows the weights, and leaves alone what it cannot take apart."""

import pytest
import torch
from torch import nn

from linnaea.models.compact import Compact
from linnaea.models.folding import folded
from linnaea.models.model import Model
from linnaea.models.network import Network

SIZE = 64


def trained(model):
    """As if trained: statistics and scales of its batch normalisations that are not those of a beginning."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return model.eval()


def norms(model):
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


class Squeezed(Model):
    """A convolution whose output a batch normalisation reads, and somebody else too."""

    kind = "squeezed"

    def __init__(self, also):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.also = also

    def features(self, pixels):
        made = self.convolution(pixels)
        return (self.norm(made) + self.also * made).mean(dim=(2, 3))

    def head(self, features):
        return features


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "efficientnet_b0", "test_resnet", "regnetx_002"])
def test_networks_answer_the_same_without_batch_normalisation(name):
    model = trained(Network(name, 3, SIZE))
    found, pixels = folded(model, SIZE), torch.rand(5, 3, SIZE, SIZE)
    assert not norms(found)
    assert norms(model)
    torch.testing.assert_close(found.features(pixels), model.features(pixels), rtol=1e-3, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("change", ["step", "loaded", "statistics"])
def test_a_changed_weight_is_followed(change):
    model, pixels = trained(Compact(3, 32)), torch.rand(5, 3, 32, 32)
    before = folded(model, 32)
    assert folded(model, 32) is before
    if change == "step":
        for value in model.parameters():
            value.grad = torch.randn_like(value)
        torch.optim.SGD(model.parameters(), lr=0.1).step()
    elif change == "loaded":
        model.load_state_dict(trained(Compact(3, 32)).state_dict())
    else:
        model.train()(pixels)
    after = folded(model, 32)
    assert after is not before
    torch.testing.assert_close(after.features(pixels), model.features(pixels), rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_a_convolution_that_others_read_too_is_left_alone():
    alone, shared = trained(Squeezed(also=0)), trained(Squeezed(also=1))
    assert folded(alone, 16) is not alone
    assert folded(shared, 16) is shared


@torch.no_grad()
def test_a_body_that_is_used_twice_is_folded_once():
    model = trained(Compact(3, 32, mirrored=True))
    found, pixels = folded(model, 32), torch.rand(5, 3, 32, 32)
    assert len(norms(found)) == 3  # those before which there is a maximum
    assert len(norms(model)) == 6
    torch.testing.assert_close(found.features(pixels), model.features(pixels), rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_another_layout_is_no_other_network():
    model = trained(Network("test_resnet", 3, SIZE))
    before = folded(model, SIZE)
    model.to(memory_format=torch.channels_last)
    assert folded(model, SIZE) is before


@torch.no_grad()
def test_looking_at_both_sides_is_followed():
    model, pixels = trained(Compact(3, 32)), torch.rand(5, 3, 32, 32)
    before = folded(model, 32)
    model.look_at_both_sides()
    after = folded(model, 32)
    assert after is not before
    torch.testing.assert_close(after.features(pixels), model.features(pixels), rtol=1e-3, atol=1e-4)


def test_weights_without_versions_are_folded_too():
    with torch.inference_mode():
        model = trained(Network("test_resnet", 3, SIZE))
        assert not norms(folded(model, SIZE))


def test_what_is_folded_answers_the_same_where_gradients_are_kept():
    model, pixels = trained(Compact(3, 32)), torch.rand(5, 3, 32, 32)
    torch.testing.assert_close(folded(model, 32).features(pixels), model.features(pixels), rtol=1e-3, atol=1e-4)


class Asking(Squeezed):
    """A body that asks a part for what a folded one does not have."""

    kind = "asking"

    def features(self, pixels):
        return self.norm(self.convolution(pixels)).mean(dim=(2, 3)) * self.norm.weight


def test_a_body_that_asks_for_its_parts_is_left_alone():
    model = trained(Asking(also=0))
    assert folded(model, 16) is model


def test_a_network_without_batch_normalisation_stays_as_it_is():
    model = Network("vit_tiny_patch16_224", 3, SIZE).eval()
    assert folded(model, SIZE) is model
