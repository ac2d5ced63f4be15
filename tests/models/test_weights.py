"""Weights from files and caches: what does not fit is named and nothing of it is loaded; a pickle runs nothing."""

import json
import logging
import os
from dataclasses import replace

import pytest
import torch
from material import striped
from safetensors.torch import save_file

import linnaea
from linnaea.errors import UsageError
from linnaea.models import weights_hub
from linnaea.models.bodies import create_body, standard
from linnaea.models.weights import find_weights, read_weights

NAME = "test_resnet"


def whole(name=NAME, classes=7, **arguments):
    """The state of a network with its classifier, as training elsewhere leaves it."""
    import timm

    torch.manual_seed(1)
    return timm.create_model(name, num_classes=classes, **arguments).state_dict()


@pytest.fixture
def saved(tmp_path):
    def save(content, name="weights.pth"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_with_code_is_refused_and_runs_nothing(saved, tmp_path):
    path = saved({"state_dict": whole(), "extra": Evil(tmp_path / "ran")})
    with pytest.raises(UsageError, match=r"holds more than tensors \(posix.mkdir\).*nothing in it was run"):
        read_weights(path, NAME)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UsageError) as refused:
        read_weights(path, NAME)
    assert "weights_only" not in str(refused.value), "no advice to load it in an unsafe way"
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists(), "the file would have run code"


@pytest.mark.parametrize(
    "wrap", [dict, lambda state: {"epoch": 3, "state_dict": state}, lambda state: {"model": state}]
)
@torch.no_grad()
def test_tensors_of_torch_are_read_with_a_warning(saved, wrap, caplog):
    state = whole()
    path = saved(wrap({f"module.{name}": value for name, value in state.items()}))
    with caplog.at_level(logging.WARNING, "linnaea"):
        found, note = find_weights(path, NAME)
    assert "weights.pth is a pickle" in caplog.text
    assert note == (
        "Pretrained weights of test_resnet from weights.pth. Their classifier, of 7 classes, was left out (fc.weight, "
        "fc.bias): a new one is trained."
    )
    built = found.build(3, 160).eval()
    for name, value in built.body.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert (found.mean, found.size) == (standard(NAME).mean, 160)


def test_what_does_not_fit_is_named_and_nothing_is_loaded(saved):
    state = whole()
    del state["layer1.0.conv1.weight"]
    state["layer2.0.conv1.weight"] = torch.zeros(1, 2, 3, 3)
    state["blocks.7"] = torch.zeros(1)
    with pytest.raises(UsageError) as refused:
        find_weights(saved(state), NAME)
    for said in (
        "1 missing (layer1.0.conv1.weight)",
        "1 unknown (blocks.7)",
        "1 of another shape (layer2.0.conv1.weight (1, 2, 3, 3) instead of (",
        "Nothing was loaded",
    ):
        assert said in str(refused.value)
    with pytest.raises(UsageError, match="do not fit"):
        read_weights(saved(state), NAME).build(2, 160)


def test_weights_of_another_network_do_not_fit(tmp_path):
    save_file(whole(), tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match=r"do not fit test_vit: .* missing .* unknown .*: name the network they were"):
        find_weights(tmp_path / "other.safetensors", "test_vit")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"epoch": 3, "loss": 0.5}, "holds epoch, loss: expected tensors by name"),
        ([1, 2], "holds list: expected tensors by name"),
        ({}, "holds nothing"),
    ],
)
def test_a_file_without_weights_is_refused(saved, content, said):
    with pytest.raises(UsageError, match=said):
        read_weights(saved(content), NAME)


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors", "weights.bin"])
def test_a_damaged_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04 nothing of use")
    with pytest.raises(UsageError, match="is not a readable"):
        read_weights(tmp_path / name, NAME)


def test_arguments_that_are_asked_for_precede_those_of_the_file(tmp_path):
    save_file(
        whole("test_vit"), tmp_path / "vit.safetensors", {"architecture": "test_vit", "model_args": '{"depth": 6}'}
    )
    found, _ = find_weights(tmp_path / "vit.safetensors", "test_vit", {"drop_rate": 0.3})
    assert found.arguments == {"depth": 6, "drop_rate": 0.3}
    with pytest.raises(UsageError, match=r"do not fit test_vit: .*missing"):
        find_weights(tmp_path / "vit.safetensors", "test_vit", {"depth": 7})


@torch.no_grad()
def test_small_images_are_enlarged_no_further_than_the_weights_are_used_to(tmp_path):
    save_file(whole(), tmp_path / "small.safetensors", {"architecture": NAME, "input_size": "3, 48, 48"})
    assert read_weights(tmp_path / "small.safetensors").build(2, 32).side == 48


@torch.no_grad()
def test_weights_of_torchvision_come_from_the_cache_of_torch(tmp_path, monkeypatch):
    from torchvision import models

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(weights_hub, "_reachable", lambda: False)
    found, note = find_weights("auto", "shufflenet_v2_x0_5")
    assert found is None
    assert "not in the local cache and the internet could not be reached" in note
    network = models.shufflenet_v2_x0_5(weights=None)
    file = weights_hub.file_of_torchvision(models.ShuffleNet_V2_X0_5_Weights.DEFAULT)
    file.parent.mkdir()
    torch.save(network.state_dict(), file)
    found, note = find_weights("auto", "shufflenet_v2_x0_5")
    assert note.startswith(
        "Pretrained weights torchvision shufflenet_v2_x0_5.IMAGENET1K_V1. Their classifier, of 1,000"
    )
    built = found.build(2, 224).eval()
    assert (found.size, found.mean) == (224, (0.485, 0.456, 0.406))
    pixels = torch.rand(2, 3, 224, 224)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (found.mean, found.std))
    torch.testing.assert_close(
        network.eval().fc(built.features(pixels)), network((pixels - mean) / std), rtol=1e-4, atol=1e-4
    )


@pytest.fixture
def run_of_network(tmp_path):
    """A run of a network on stripes, and its dataset."""
    stripes = striped(tmp_path / "data", 48)
    linnaea.train(stripes, out=tmp_path / "first", model=NAME, weights="none", epochs=1, img_size=32)
    return stripes, tmp_path / "first"


@pytest.mark.parametrize("place", ["", "model", "model/weights.safetensors"])
def test_a_run_is_trained_on_from(run_of_network, place):
    _, run = run_of_network
    found, note = find_weights(run / place, None)
    body = linnaea.load(run).scorer.model.body.state_dict()
    built = found.build(3, 32).body.state_dict()
    assert all(torch.equal(built[name], value) for name, value in body.items())
    assert (found.network, note) == (NAME, "Pretrained weights of test_resnet from run first.")


def test_images_that_a_run_has_learnt_from_are_warned_of(run_of_network, tmp_path, caplog):
    stripes, run = run_of_network
    options = {"weights": run, "model": "frozen", "img_size": 32}
    linnaea.train(stripes, out=tmp_path / "same", split_seed=0, **options)
    record = json.loads((tmp_path / "same" / "run.json").read_text())
    assert not [note for note in record["notes"] if "of test were" in note]
    assert record["way"]["weights"][0]["source"] == "run first"
    linnaea.train(stripes, out=tmp_path / "other", split_seed=1, **options)
    assert "were in train or val of" in caplog.text
    record = json.loads((tmp_path / "other" / "run.json").read_text())
    assert any("of test were in train or val of" in note for note in record["notes"])


def test_a_run_that_does_not_fit_is_refused(run_of_network, tmp_path):
    stripes, run = run_of_network
    with pytest.raises(UsageError, match="holds weights of test_resnet, but --model is resnet18"):
        find_weights(run, "resnet18")
    linnaea.train(stripes, out=tmp_path / "hog", model="hog", weights="none")
    with pytest.raises(UsageError, match=r"is hog, whose weights cannot be trained on"):
        find_weights(tmp_path / "hog", None)
    with pytest.raises(UsageError, match="a folder without a trained classifier"):
        find_weights(stripes.root, None)
    file = run / "model" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(UsageError, match="has changed since it was saved"):
        find_weights(run, None)


def test_weights_for_bands_are_for_as_many(run_of_network):
    _, run = run_of_network
    found, _ = find_weights(run, None)
    wide = found.build(2, 32).seeing(6)
    banded = replace(found, channels=6, state=wide.body.state_dict())
    assert all(torch.equal(banded.build(2, 32, 6).body.state_dict()[name], one) for name, one in banded.state.items())
    with pytest.raises(UsageError, match="for images of 6 channels, and these have 3"):
        banded.build(2, 32, 3)


def test_a_body_alone_needs_no_sentence_on_a_classifier(tmp_path):
    save_file(create_body(NAME, 160, {}).state_dict(), tmp_path / "body.safetensors")
    _, note = find_weights(tmp_path / "body.safetensors", NAME)
    assert note == "Pretrained weights of test_resnet from body.safetensors."
