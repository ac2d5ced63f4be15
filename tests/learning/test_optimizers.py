"""Optimizers take the steps that their papers say: those of independent implementations, or formulas in float64."""

import math

import numpy as np
import pytest
import timm
import timm.optim
import torch
from schedulefree import AdamWScheduleFreeReference
from torch import nn

from linnaea.errors import UsageError
from linnaea.learning.checkpoints import load_checkpoint, save_checkpoint
from linnaea.learning.optimizers import OPTIMIZERS, make_optimizer, usual_rate
from linnaea.learning.optimizers.groups import layers_of, parameter_groups
from linnaea.models.compact import Compact
from linnaea.models.network import Network

STEPS, RATE, DECAY = 6, 0.01, 0.1


class Body(nn.Module):
    """A matrix, a vector, and a head."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.matrix = nn.Parameter(torch.randn(4, 6, generator=generator))
        self.vector = nn.Parameter(torch.randn(5, generator=generator))
        self.classifier = nn.Linear(3, 2)
        with torch.no_grad():
            self.classifier.weight.copy_(torch.randn(2, 3, generator=generator))
            self.classifier.bias.zero_()


def gradients(step):
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(shape, generator=generator) for shape in ((4, 6), (5,), (2, 3), (2,))]


def stepped(make):
    """Weights after some steps on given gradients, by an optimizer of the parameters."""
    model = Body()
    optimizer = make(model)
    if hasattr(optimizer, "train"):
        optimizer.train()
    for step in range(STEPS):
        for parameter, gradient in zip(model.parameters(), gradients(step), strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
    if hasattr(optimizer, "eval"):
        optimizer.eval()
    return [parameter.detach().numpy().astype(np.float64) for parameter in model.parameters()]


def by_formula(rule):
    """Weights after the same steps by a rule in float64: weights, gradient, step, decay, memory to weights."""
    found = []
    for number, parameter in enumerate(Body().parameters()):
        weights, memory = parameter.detach().double().numpy(), {}
        for step in range(STEPS):
            decay = DECAY if weights.ndim > 1 else 0.0
            weights = rule(weights, gradients(step)[number].double().numpy(), step + 1, decay, memory)
        found.append(weights)
    return found


def nesterov(weights, gradient, step, decay, memory):
    gradient = gradient + decay * weights
    memory["velocity"] = 0.9 * memory.get("velocity", 0.0) + gradient
    return weights - RATE * (gradient + 0.9 * memory["velocity"])


def moments(gradient, step, memory, most=False):
    memory["first"] = 0.9 * memory.get("first", 0.0) + 0.1 * gradient
    memory["second"] = 0.999 * memory.get("second", 0.0) + 0.001 * gradient**2
    memory["most"] = np.maximum(memory.get("most", 0.0), memory["second"])
    second = memory["most"] if most else memory["second"]
    return memory["first"] / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)


def adam(weights, gradient, step, decay, memory, most=False):
    return weights - RATE * moments(gradient + decay * weights, step, memory, most)


def amsgrad(*given):
    return adam(*given, most=True)


def adamw(weights, gradient, step, decay, memory):
    return weights * (1 - RATE * decay) - RATE * moments(gradient, step, memory)


def lion(weights, gradient, step, decay, memory):
    momentum = memory.get("momentum", np.zeros_like(weights))
    memory["momentum"] = 0.99 * momentum + 0.01 * gradient
    return weights * (1 - RATE * decay) - RATE * np.sign(0.9 * momentum + 0.1 * gradient)


@pytest.mark.parametrize(
    ("name", "rule"),
    [("sgd", nesterov), ("adam", adam), ("amsgrad", amsgrad), ("adamw", adamw), ("lion", lion)],
)
def test_steps_are_those_of_the_formula(name, rule):
    found = stepped(lambda model: make_optimizer(f"{name}:{DECAY}", model, RATE))
    for ours, expected in zip(found, by_formula(rule), strict=True):
        assert ours == pytest.approx(expected, abs=1e-5)


def test_lamb_takes_steps_as_long_as_a_tensor_is_large():
    """You et al. 2020: the gradient of all tensors together is shortened to 1; tensors without decay step as Adam."""
    weights = [parameter.detach().double().numpy() for parameter in Body().parameters()]
    memories = [{} for _ in weights]
    for step in range(STEPS):
        given = [gradient.double().numpy() for gradient in gradients(step)]
        length = max(1.0, math.sqrt(sum((gradient**2).sum() for gradient in given)))
        for number, gradient in enumerate(given):
            memory, own = memories[number], weights[number]
            memory["first"] = 0.9 * memory.get("first", 0.0) + 0.1 * gradient / length
            memory["second"] = 0.999 * memory.get("second", 0.0) + 0.001 * (gradient / length) ** 2
            root = np.sqrt(memory["second"] / (1 - 0.999 ** (step + 1))) + 1e-6
            update, trust = memory["first"] / (1 - 0.9 ** (step + 1)) / root, 1.0
            if own.ndim > 1:
                update = update + DECAY * own
                trust = np.linalg.norm(own) / np.linalg.norm(update)
            weights[number] = own - RATE * trust * update
    found = stepped(lambda model: make_optimizer(f"lamb:{DECAY}", model, RATE))
    for ours, expected in zip(found, weights, strict=True):
        assert ours == pytest.approx(expected, abs=1e-5)


def nadamw(weights, gradient, step, decay, memory):
    memory["first"] = 0.9 * memory.get("first", 0.0) + 0.1 * gradient
    memory["second"] = 0.999 * memory.get("second", 0.0) + 0.001 * gradient**2
    ahead = (0.9 * memory["first"] + 0.1 * gradient) / (1 - 0.9**step)
    return weights * (1 - RATE * decay) - RATE * ahead / (np.sqrt(memory["second"] / (1 - 0.999**step)) + 1e-7)


def test_muon_makes_steps_of_matrices_orthogonal_as_torch_does():
    def torchs(model):
        return torch.optim.Muon([model.matrix], lr=RATE, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")

    found = stepped(lambda model: make_optimizer(f"muon:{DECAY}", model, RATE))
    assert found[0] == pytest.approx(stepped(torchs)[0], abs=1e-5)
    for ours, expected in zip(found[1:], by_formula(nadamw)[1:], strict=True):
        assert ours == pytest.approx(expected, abs=1e-5)


def test_schedule_free_shows_the_averages_of_its_reference():
    def reference(model):
        groups = [
            {"params": [model.matrix, model.classifier.weight], "weight_decay": DECAY},
            {"params": [model.vector, model.classifier.bias], "weight_decay": 0.0},
        ]
        return AdamWScheduleFreeReference(groups, lr=RATE)

    found = stepped(lambda model: make_optimizer(f"schedule_free:{DECAY}", model, RATE))
    for ours, theirs in zip(found, stepped(reference), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_an_optimizer_brought_back_takes_the_same_steps(name, tmp_path):
    """Also those that count their steps in groups."""

    def run(model, optimizer, steps):
        for step in steps:
            for parameter, gradient in zip(model.parameters(), gradients(step), strict=True):
                parameter.grad = gradient.clone()
            optimizer.step()

    whole, again = Body(), Body()
    optimizer = make_optimizer(name, whole, RATE)
    if hasattr(optimizer, "train"):
        optimizer.train()
    run(whole, optimizer, range(3))
    save_checkpoint(tmp_path / "some.safetensors", whole, optimizer, {})
    run(whole, optimizer, range(3, 6))
    other = make_optimizer(name, again, RATE)
    load_checkpoint(tmp_path / "some.safetensors", again, other)
    run(again, other, range(3, 6))
    for expected, found in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(expected, found)


def test_norms_biases_and_what_the_network_lists_do_not_decay():
    model = Network("vit_tiny_patch16_224", 2, 32)
    decays = {
        id(parameter): group["weight_decay"] for group in parameter_groups(model, 0.3) for parameter in group["params"]
    }
    for name, parameter in model.named_parameters():
        spared = parameter.ndim < 2 or name in ("body.pos_embed", "body.cls_token")
        assert decays[id(parameter)] == (0.0 if spared else 0.3), name


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet18", "mobilenetv3_small_050"])
def test_layers_learn_at_the_rates_that_timm_gives_them(name):
    model = Network(name, 2, 32)
    listed = model.body.no_weight_decay() if hasattr(model.body, "no_weight_decay") else ()
    expected = {
        id(parameter): (group["lr_scale"], group["weight_decay"])
        for group in timm.optim.param_groups_layer_decay(model.body, 0.1, listed, layer_decay=0.5)
        for parameter in group["params"]
    }
    found = {
        id(parameter): (group["rate_scale"], group["weight_decay"])
        for group in parameter_groups(model, 0.1, layer_decay=0.5)
        for parameter in group["params"]
    }
    assert found[id(model.classifier.weight)] == (1.0, 0.1)
    assert {key: found[key] for key in expected} == expected
    assert len(found) == len(expected) + 2


def test_the_rate_of_a_layer_is_that_of_its_place():
    groups = parameter_groups(Network("resnet18", 2, 32), 0.0, layer_decay=0.5)
    optimizer = torch.optim.SGD(groups, lr=1.0)
    assert min(group["rate_scale"] for group in optimizer.param_groups) == 0.5 ** max(
        layers_of(Network("resnet18", 2, 32), coarse=False).values()
    )


def test_what_has_no_layers_says_so():
    with pytest.raises(UsageError, match="what the layers of Compact are"):
        layers_of(Compact(2, 16), coarse=True)


def test_the_rate_follows_the_images_per_step():
    assert usual_rate("sgd:0.1", "from_scratch", 512) == pytest.approx(2 * usual_rate("sgd", "from_scratch", 256))
    assert usual_rate("adamw", "fine_tuning", 128) == pytest.approx(2 * usual_rate("adamw", "fine_tuning", 32))
