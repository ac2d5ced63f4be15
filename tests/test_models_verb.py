"""`linnaea models` lists what there is: names without torch, the costs of what is shown, and what is at hand."""

import json
import subprocess
import sys

import pytest
import torch
from material import run
from safetensors.torch import save_file

import linnaea
from linnaea.experiments import network_facts
from linnaea.learning.model_names import networks_of
from linnaea.models.bodies import create_body
from linnaea.models.lenet import LeNet5


def listed(monkeypatch, capsys, *words):
    assert run(["models", *words], monkeypatch) == 0
    return capsys.readouterr().out


def test_parameters_and_multiply_adds_are_those_of_the_network():
    found = {one.name: one for one in linnaea.list_models("resnet1?").found}
    body = create_body("resnet18", 224, {})
    assert found["resnet18"].parameters == sum(part.numel() for part in body.parameters())
    assert found["resnet18"].multiply_adds == pytest.approx(1.82e9, rel=0.01), "as in the paper"
    assert (found["resnet18"].size, found["resnet18"].licence, found["resnet18"].library) == (224, "apache-2.0", "timm")
    (lenet,) = linnaea.list_models("lenet5").found
    assert lenet.parameters == sum(part.numel() for part in LeNet5(2, 32).body.parameters())
    assert lenet.multiply_adds == 28 * 28 * 6 * 75 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84
    (alexnet,) = linnaea.list_models("alexnet").found
    assert alexnet.library == "torchvision"
    assert alexnet.parameters == 57_003_840, "with the two dense layers before the last"


def test_no_weights_are_allocated(monkeypatch):
    made = []
    create = network_facts.create_body
    monkeypatch.setattr(network_facts, "create_body", lambda *given: made.append(create(*given)) or made[-1])
    linnaea.list_models("vgg11")
    assert made
    assert {part.device.type for body in made for part in body.parameters()} == {"meta"}


def test_families_are_shown_where_no_pattern_is_given(monkeypatch, capsys):
    rows = json.loads(listed(monkeypatch, capsys, "--json"))
    names = {row["name"] for row in rows}
    assert {
        "lenet5",
        "alexnet",
        "googlenet",
        "resnet50",
        "mobilenetv1_100",
        "deit_small_distilled_patch16_224",
    } <= names
    assert all(row["parameters"] and row["multiply_adds"] and not row["remark"] for row in rows)


def test_what_cannot_all_be_counted_is_said(monkeypatch, capsys):
    monkeypatch.setattr("linnaea.experiments.network_list.MOST", 1)
    printed = listed(monkeypatch, capsys, "squeezenet*")
    assert "squeezenet1_0" in printed
    assert "1 more name not shown: narrow the pattern, or use --names." in printed


def test_names_alone_need_no_torch():
    code = """
import sys
sys.argv = ["linnaea", "models", "shufflenet*", "--names"]
from linnaea.cli import main
try:
    main()
except SystemExit as done:
    assert done.code == 0
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = [f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")]
    assert done.stdout.split() == expected


def test_all_names_are_listed(monkeypatch, capsys):
    names = listed(monkeypatch, capsys, "--names").split()
    assert len(names) == len(set(names))
    assert {"frozen", "compact", "lenet5", *networks_of("timm"), *networks_of("torchvision")} <= set(names)


def test_a_rung_is_listed_as_what_it_is(monkeypatch, capsys):
    assert "Frozen backbone" in listed(monkeypatch, capsys, "frozen")


def test_what_matches_nothing_is_refused_with_the_nearest(monkeypatch, capsys):
    assert run(["models", "resnt18"], monkeypatch) == 2
    assert "no network has a name like 'resnt18'. Did you mean 'resnet18'?" in capsys.readouterr().err


def test_files_of_weights_are_found(tmp_path):
    (tmp_path / "deep").mkdir()
    save_file({"a": torch.zeros(1)}, tmp_path / "deep" / "own.safetensors", {"architecture": "test_resnet.r160_in1k"})
    save_file({"a": torch.zeros(1)}, tmp_path / "nameless.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    (one,) = linnaea.list_models("test_resnet", folder=tmp_path).found
    assert one.weights == ("deep/own.safetensors",)


def test_the_speed_measured_here_is_shown():
    from linnaea.experiments.network_timing import pictures
    from linnaea.models.embedding import measure_embedding
    from linnaea.models.network import Network

    plan = measure_embedding(Network("test_efficientnet", 2, 32), pictures(32, 32), count=1000, anew=True)
    fastest = max(seen.images_per_second or 0 for seen in plan.measured)
    (one,) = linnaea.list_models("test_efficientnet").found[:1]
    assert one.images_per_second == {"32": fastest}
    assert f"{fastest:.0f} at 32" in str(linnaea.list_models("test_efficientnet"))


def test_a_network_that_cannot_be_counted_says_why(monkeypatch):
    def never(*_):
        raise RuntimeError("no such kernel\nand a long trace")

    monkeypatch.setattr(network_facts, "create_body", never)
    (one,) = linnaea.list_models("resnet18d").found[:1]
    assert (one.parameters, one.remark) == (None, "cannot be counted: no such kernel")
