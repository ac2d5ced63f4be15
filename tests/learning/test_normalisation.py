"""Batch normalisation after a short training: its statistics are those of the weights as they are."""

from dataclasses import replace

import torch

from linnaea.learning.hooks import State
from linnaea.learning.normalisation import Estimated
from linnaea.learning.rungs import RUNGS
from linnaea.models.network import Network
from linnaea.runtime.plan import Plan


def test_a_short_training_answers_by_what_it_learnt(job, make_bars):
    """Ten steps are too few for running means: without the estimate this stays at chance on the images it learnt."""
    options = replace(job.options, epochs=5, batch_size=32, augmentations=(), learning_rate=3e-3)
    small = replace(job, train=make_bars(64, 32), val=make_bars(64, 32), options=options, network="resnet10t")
    history = RUNGS["scratch"].fit(small).history
    assert history[-1]["seen_accuracy"] >= 0.9
    assert history[-1]["seen_loss"] < history[-1]["train_loss"] + 0.1


def test_the_statistics_are_those_of_the_images(make_bars):
    torch.manual_seed(0)
    model, bars = Network("resnet10t", 2, 32).train(), make_bars(64, 32)
    first = next(part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d))
    seen = []
    first.register_forward_hook(lambda part, given, result: seen.append(given[0]))
    drawn = torch.get_rng_state()
    Estimated(bars, 32, Plan("cpu"), 2).figures(State(model, model, torch.optim.SGD(model.parameters())))
    assert torch.equal(torch.get_rng_state(), drawn)
    means = torch.stack([maps.mean(dim=(0, 2, 3)) for maps in seen]).mean(dim=0)
    assert torch.allclose(first.running_mean, means, atol=1e-5)
    assert first.momentum == 0.1
    assert model.training


def test_kept_statistics_and_long_trainings_are_left_alone(make_bars):
    model, bars = Network("resnet10t", 2, 32), make_bars(8, 32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = State(model.train(), model, torch.optim.SGD(model.parameters()))
    Estimated(bars, 8, Plan("cpu"), 1_001).figures(state)
    model.keep_statistics()
    Estimated(bars, 8, Plan("cpu"), 1).figures(state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
