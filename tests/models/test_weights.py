"""Weights from files and caches: what does not fit is named and nothing of it is loaded; a pickle runs nothing."""

import logging
import os

import pytest
import torch
from safetensors.torch import save_file

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


def test_a_body_alone_needs_no_sentence_on_a_classifier(tmp_path):
    save_file(create_body(NAME, 160, {}).state_dict(), tmp_path / "body.safetensors")
    _, note = find_weights(tmp_path / "body.safetensors", NAME)
    assert note == "Pretrained weights of test_resnet from body.safetensors."
