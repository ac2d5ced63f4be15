"""What was done to a network is done again when it is loaded."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.data.images.pixels import Recipe
from linnaea.errors import BundleError, UsageError
from linnaea.models.network import Network
from linnaea.models.surgery import operate
from linnaea.models.surgery.narrowing import narrowed_from
from linnaea.models.weights import read_weights

SIZE = 32
NARROW = {"kind": "narrowed", "shapes": {"conv1.weight": [8, None, None, None]}, "heads": {}}
THIN = {"kind": "factored", "ranks": {"layer2.0.conv2": [4, 5], "layer2.0.downsample.1": 3}}
SHORT = {"kind": "skipped", "blocks": ["layer1.0"]}
FRESH = """
import sys, numpy as np
from linnaea.classifier import load
probabilities = load(sys.argv[1]).score(np.load(sys.argv[2])).probabilities
np.save(sys.argv[3], probabilities)
assert "torch_pruning" not in sys.modules
"""


def classifier_of(network):
    return Classifier(scorer_of(network), ("ant", "bee"), "multiclass", Recipe(SIZE))


def test_a_network_that_was_operated_on_loads_in_a_fresh_process_and_answers_the_same(tmp_path):
    torch.manual_seed(0)
    network = Network("test_resnet", 2, SIZE, operations=[THIN, SHORT]).eval()
    classifier = classifier_of(network)
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    classifier.save(tmp_path / "bundle")
    subprocess.run(
        [sys.executable, "-c", FRESH, *map(str, (tmp_path / "bundle", tmp_path / "images.npy", tmp_path / "out.npy"))],
        check=True,
    )
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), classifier.score(images).probabilities, atol=1e-6)


def test_the_weights_of_such_a_run_can_be_trained_on(tmp_path):
    torch.manual_seed(0)
    network = Network("test_resnet", 2, SIZE, operations=[THIN]).eval()
    classifier_of(network).save(tmp_path / "model")
    built = read_weights(tmp_path).build(5, SIZE)
    pixels = torch.rand(2, 3, SIZE, SIZE)
    torch.testing.assert_close(built.eval().features(pixels), network.features(pixels))
    assert built.arguments["operations"] == [THIN]


def test_narrowing_says_what_layers_are_left_and_lets_them_know():
    before = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1))
    after = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Conv2d(5, 5, 3, groups=5), nn.Conv2d(5, 4, 1))
    operation = narrowed_from(before, after)
    assert operation["shapes"]["0.weight"] == [5, None, None, None]
    assert "3.bias" not in operation["shapes"]
    operate(before, [operation])
    before.load_state_dict(after.state_dict())
    pixels = torch.rand(2, 3, 9, 9)
    torch.testing.assert_close(before.eval()(pixels), after.eval()(pixels))
    assert before[2].groups == before[2].in_channels == 5
    assert before[1].num_features == 5


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        ({"kind": "painted"}, "expected one of narrowed, factored, skipped"),
        ({"kind": "narrowed", "shapes": {"0.weight": [9, None]}}, "cannot have the shape"),
        ({"kind": "narrowed", "shapes": {"0.weight": [0, None]}}, "cannot have the shape"),
        ({"kind": "narrowed", "shapes": {"0.weight": [True, None]}}, "cannot have the shape"),
        ({"kind": "narrowed", "shapes": {"0.weight": [2]}}, "has 2 dimensions, not 1"),
        ({"kind": "narrowed", "shapes": {"7.weight": [2, None]}}, "has no tensor 7.weight"),
        ({"kind": "narrowed", "shapes": {}, "heads": {"0": 1}}, "has no heads"),
        ({"kind": "narrowed", "width": 2}, "cannot be narrowed as it is told"),
        ({"kind": "factored", "ranks": {"0": 9}}, "does not fit a layer of 4 and 8 channels"),
        ({"kind": "factored", "ranks": {"0": [2, 2]}}, "does not fit"),
        ({"kind": "factored", "ranks": {"1": 2}}, "no layer that can be factored"),
        ({"kind": "skipped", "blocks": ["0"]}, "no block that can be left out"),
        ("narrowed", "expected one of"),
    ],
)
def test_what_cannot_have_been_done_is_refused(operation, told):
    with pytest.raises(UsageError, match=told.replace("[", r"\[")):
        operate(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), [operation])


def test_a_bundle_that_claims_a_wider_layer_than_the_network_has_is_refused(tmp_path):
    from linnaea.models import build

    arguments = dict(Network("test_resnet", 2, SIZE).arguments)
    wide = NARROW | {"shapes": {"conv1.0.weight": [10**9, None, None, None]}}
    with pytest.raises(BundleError, match="cannot have the shape"):
        build("network", arguments | {"operations": [wide]})
