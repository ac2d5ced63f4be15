"""Low-rank adapters and soups: what learns, what is left in the classifier, and that val decides."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from material import draw_pets
from safetensors.torch import save_file

import linnaea
from linnaea.errors import UsageError
from linnaea.learning.examples import Examples
from linnaea.learning.low_rank import adapt, merge
from linnaea.learning.rungs import RUNGS, TrainingRecipe, scratch
from linnaea.learning.soup import Soup, _mean
from linnaea.models.bodies import create_body
from linnaea.models.network import Network
from linnaea.models.weights import read_weights

NAME = "test_vit"
SEED = 1  # of a training in which epochs are better together


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "vit.safetensors"
    facts = {"architecture": NAME, "input_size": "32", "mean": "0.5,0.5,0.5", "std": "0.5,0.5,0.5"}
    save_file(create_body(NAME, 32, {}).state_dict(), path, metadata=facts)
    return path


@pytest.fixture
def pretrained(job, make_bars, weights_file):
    job = replace(job, train=make_bars(96, 32), val=make_bars(64, 32, seed=1), weights=read_weights(weights_file))
    return replace(job, options=replace(job.options, augmentations=(), epochs=4))


def with_recipe(job, **recipe):
    return replace(job, options=replace(job.options, recipe=TrainingRecipe(**recipe)))


def test_adapters_change_nothing_at_first_and_are_added_to_the_weights_in_the_end():
    torch.manual_seed(0)
    network, pixels = Network(NAME, 2, 32).eval(), torch.rand(2, 3, 32, 32)
    before, names = network(pixels), list(network.state_dict())
    adapt(network, 4, 0)
    assert torch.allclose(network(pixels), before, atol=1e-6)
    learning = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert all("lora_" in name or name.startswith("classifier.") for name in learning)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    changed = network(pixels)
    assert not torch.allclose(changed, before, atol=1e-3)
    merge(network)
    assert torch.allclose(network.eval()(pixels), changed, atol=1e-5)
    assert list(network.state_dict()) == names
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_what_is_merged_is_the_product_of_the_adapters_over_their_rank():
    network = Network(NAME, 2, 32)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    adapt(network, 4, 0)
    layer = network.body.get_submodule("blocks.0.attn.qkv")
    with torch.no_grad():
        layer.lora_B["default"].weight.normal_()
    first, second = layer.lora_A["default"].weight.clone(), layer.lora_B["default"].weight.clone()
    merge(network)
    change = network.state_dict()["body.blocks.0.attn.qkv.weight"] - before["body.blocks.0.attn.qkv.weight"]
    assert torch.allclose(change, 2 * second @ first, atol=1e-5)


def test_finetuning_by_adapters_moves_linear_layers_alone(pretrained):
    before = pretrained.weights.state
    fitted = RUNGS["finetune"].fit(with_recipe(pretrained, lora=2))
    after = {name.removeprefix("body."): value for name, value in fitted.model.body_weights().items()}
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    linear = {name for name, part in fitted.model.body.named_modules() if isinstance(part, torch.nn.Linear)}
    assert moved == {f"{name}.weight" for name in linear}
    assert any("adapters of rank 2" in note for note in fitted.notes)


def test_adapters_are_for_networks_with_linear_layers(tmp_path):
    path = tmp_path / "convolutions.safetensors"
    save_file(create_body("test_resnet", 32, {}).state_dict(), path, metadata={"architecture": "test_resnet"})
    photos = draw_pets(tmp_path / "pets", "a.png", "b.png")
    with pytest.raises(UsageError, match="test_resnet has no linear layers to adapt"):
        linnaea.train(photos, model="finetune", weights=path, lora=4)
    with pytest.raises(UsageError, match="leave out --unfreeze"):
        TrainingRecipe(lora=4, unfreeze="last:2")


def test_attention_of_torch_is_not_adapted_where_that_would_not_matter():
    network = Network("vit_b_16", 2, 32, arguments_of_body={})
    adapt(network, 2, 0)
    adapted = {name for name, _ in network.named_parameters() if "lora_" in name}
    assert adapted
    assert not any("self_attention" in name for name in adapted)


@pytest.fixture
def noisy(job):
    """Every seventh label is wrong, so that epochs differ in what they got wrong."""

    def some(examples, seed):
        wrong = np.random.default_rng(seed).random(len(examples)) < 0.15
        return Examples(examples.images, np.where(wrong, 1 - examples.targets, examples.targets))

    options = replace(job.options, epochs=8, batch_size=16, augmentations=(), learning_rate=0.01, seed=SEED)
    train, val = some(job.train.take(slice(64)), 9), some(job.val, 10)
    job = replace(job, train=train, val=val, options=options, network="textbook_cnn")
    return lambda **recipe: with_recipe(job, optimizer="adamw", schedule="constant", patience=50, **recipe)


def test_a_soup_is_the_mean_of_the_epochs_that_it_names(noisy, monkeypatch, caplog):
    seen = {}

    def end(self, state, usual=Soup.end):
        seen.update({epoch: dict(weights) for epoch, weights in self.ingredients.items()})
        seen["losses"] = dict(self.losses)
        usual(self, state)
        seen["told"] = state.notes[-1]

    monkeypatch.setattr(Soup, "end", end)
    with caplog.at_level("INFO", "linnaea"):
        fitted = RUNGS["scratch"].fit(noisy(soup=3))
    told, losses = seen.pop("told"), seen.pop("losses")
    assert set(seen) == set(sorted(losses, key=losses.get)[:3])
    assert told in fitted.notes
    assert told in caplog.text
    named = [int(number) for number in re.findall(r"\d+", told.partition(":")[0])]
    assert "are the mean of" in told
    mean = {name: torch.stack([seen[epoch][name] for epoch in named]).mean(dim=0) for name in seen[named[0]]}
    for name, value in fitted.model.state_dict().items():
        assert torch.allclose(value, mean[name], atol=1e-6)


def test_weights_of_a_checkpoint_and_later_ones_need_not_lie_on_one_device():
    mean = _mean([{"weight": torch.ones(2, device="meta")}, {"weight": torch.ones(2)}])
    assert mean["weight"].device.type == "meta"


def test_a_soup_is_kept_where_it_is_better_on_val(noisy, monkeypatch):
    kept, usual = [], scratch.train_network

    def train(*given, **more):
        kept.append(usual(*given, **more))
        return kept[-1]

    monkeypatch.setattr(scratch, "train_network", train)
    for recipe in ({}, {"soup": 3}):
        RUNGS["scratch"].fit(noisy(**recipe))
    alone, soup = kept
    assert alone.history[-1]["train_loss"] == soup.history[-1]["train_loss"]
    assert soup.loss < alone.loss


def test_a_resumed_soup_has_the_same_ingredients(noisy, tmp_path):
    class Stopped(Exception):  # noqa: N818  it is no error
        pass

    def stop(row):
        if row["epoch"] == 5:
            raise Stopped

    whole = RUNGS["scratch"].fit(noisy(soup=3))
    job = replace(noisy(soup=3), checkpoints=tmp_path)
    with pytest.raises(Stopped):
        RUNGS["scratch"].fit(replace(job, on_epoch=stop))
    resumed = RUNGS["scratch"].fit(job)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])
    assert [note for note in resumed.notes if "mean of" in note] == [note for note in whole.notes if "mean of" in note]
