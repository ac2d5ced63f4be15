"""DeiT with two tokens: class head and distillation head are one linear layer on both, whose answer is the mean."""

import pytest
import timm
import torch

from linnaea.errors import UsageError
from linnaea.models.bodies import distilled
from linnaea.models.network import Network
from linnaea.models.weights import Weights

NAME = "deit_tiny_distilled_patch16_224"
SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 2, "patch_size": 8}


@pytest.fixture
def pixels():
    return torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_it_answers_as_timms_does(pixels):
    torch.manual_seed(0)
    theirs = timm.create_model(NAME, num_classes=3, img_size=32, **SMALL)
    for head in (theirs.head, theirs.head_dist):
        torch.nn.init.normal_(head.weight)
        torch.nn.init.normal_(head.bias)
    theirs.head_dist.bias.data.copy_(theirs.head.bias)
    state = {name: value for name, value in theirs.state_dict().items() if not name.startswith("head")}
    plain = (0.0,) * 3, (1.0,) * 3
    ours = Weights(NAME, 32, *plain, state, SMALL).build(3, 32).eval()
    with torch.no_grad():
        ours.classifier.weight.copy_(torch.cat([theirs.head.weight, theirs.head_dist.weight], dim=1) / 2)
        ours.classifier.bias.copy_(theirs.head.bias)
    assert torch.allclose(ours(pixels), theirs.eval()(pixels), atol=1e-5)
    theirs.train().set_distilled_training(True)
    expected, (features, heads) = theirs(pixels), ours.train()(pixels, apart=True)
    for head, timms in zip(heads, expected, strict=True):
        assert torch.allclose(head, timms, atol=1e-5)
    assert torch.allclose(ours.head(features), sum(heads) / 2, atol=1e-5)


def test_heads_apart_may_leave_the_features_alone(pixels):
    model = Network.fitting(NAME, 3, 32, arguments_of_body=SMALL)
    for detached in (True, False):
        model.zero_grad()
        _, heads = model(pixels, apart=True, detached=detached)
        sum(head.square().sum() for head in heads).backward()
        assert (model.body.dist_token.grad is None) == detached
        assert model.classifier.weight.grad.abs().sum() > 0


def test_a_network_of_one_token_has_one_head(pixels):
    model = Network.fitting("deit_tiny_patch16_224", 3, 32, arguments_of_body=SMALL).eval()
    features, heads = model(pixels, apart=True)
    assert features.shape == (5, 24)
    assert len(heads) == 1
    assert torch.equal(heads[0], model(pixels))
    assert not distilled("deit_tiny_patch16_224")
    assert not distilled("levit_128"), "it has two heads on one token"
    with pytest.raises(UsageError, match="tokens is 2"):
        Network("deit_tiny_patch16_224", 3, 32, tokens=2, arguments_of_body=SMALL)
