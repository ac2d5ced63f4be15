"""Every network of the field by its usual name: it sees small images, takes a step, is kept, and leaves as a file."""

import numpy as np
import pytest
import torch
from material import smooth
from torch.nn import functional

from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.delivery.exporters import export
from linnaea.errors import UsageError
from linnaea.models import MODELS, build
from linnaea.models.bodies import create_body, known_network, require_network, standard
from linnaea.models.network import Network
from linnaea.models.network_arguments import typed_arguments

SLOW = {  # to export: ten seconds and more
    "alexnet",
    "densenet121",
    "efficientnet_lite0",
    "googlenet",
    "inception_v3",
    "mobilenetv1_100",
    "mobilenetv2_035",
    "mobilenetv3_small_050",
    "mobilevit_xxs",
    "shufflenet_v2_x0_5",
}
CLASSES = ("ant", "bee", "wasp")
SMALL = {"depth": 2}
NETWORKS = {  # name: side of the images, side within the network, arguments that make it smaller
    "lenet5": (28, None, {}),
    "textbook_cnn": (28, None, {"dense": 32}),
    "alexnet": (32, 64, {}),
    "vgg11": (32, 64, {"mlp_ratio": 0.02}),
    "googlenet": (32, 64, {}),
    "inception_v3": (32, 96, {}),
    "resnet10t": (28, 64, {}),
    "densenet121": (32, 64, {}),
    "efficientnet_lite0": (32, 64, {}),
    "mobilenetv1_100": (28, 64, {}),
    "mobilenetv2_035": (64, 64, {}),
    "mobilenetv3_small_050": (32, 64, {}),
    "shufflenet_v2_x0_5": (32, 64, {}),
    "squeezenet1_1": (28, 32, {}),
    "convnext_atto": (32, 64, {"depths": [1, 1, 1, 1]}),
    "vit_tiny_patch16_224": (28, 32, SMALL),
    "deit_tiny_distilled_patch16_224": (32, 32, SMALL),
    "mobilevit_xxs": (32, 64, {}),
}


def made(name):
    """The network as training from scratch makes it."""
    size, _, arguments = NETWORKS[name]
    torch.manual_seed(0)
    if name in MODELS:
        return build(name, {"classes": 3, "size": size, **arguments})
    return Network.fitting(name, 3, size, arguments_of_body=arguments)


@pytest.fixture(params=list(NETWORKS))
def name(request):
    return request.param


def test_a_network_takes_a_step_and_is_kept(name, tmp_path):
    size, seen, _ = NETWORKS[name]
    model = made(name)
    assert getattr(model, "side", size) == (seen or size)
    images = np.stack([np.asarray(smooth(number, size)) for number in range(8)])
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    before = {key: value.clone() for key, value in model.state_dict().items()}
    take_a_step(model, pixels)
    changed = [key for key, value in model.named_parameters() if not torch.equal(value, before[key])]
    assert len(changed) > 0.9 * len(list(model.parameters())), "the whole of it learns"
    classifier = Classifier(TorchScorer(model), CLASSES, "multiclass", Recipe(size))
    said = classifier.score(images)
    assert np.isfinite(said.raw).all()
    assert np.ptp(said.raw, axis=0).max() > 1e-5, "it tells images apart"
    np.testing.assert_array_equal(load(classifier.save(tmp_path / "kept")).score(images).raw, said.raw)


@pytest.mark.parametrize(
    "network", [pytest.param(one, marks=pytest.mark.slow if one in SLOW else ()) for one in NETWORKS]
)
def test_a_network_leaves_as_a_file_that_answers_the_same(network, tmp_path):
    size = NETWORKS[network][0]
    classifier = Classifier(TorchScorer(made(network)), CLASSES, "multiclass", Recipe(size))
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for number, file in enumerate(files):
        smooth(number, size).save(file)
    exported = export(classifier, "onnx", tmp_path / "exported", files)  # fails where the file answers otherwise
    assert exported.parity.figure.value < 1e-3


def take_a_step(model, pixels):
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-3)
    loss = functional.cross_entropy(model(pixels), torch.arange(len(pixels)) % 3)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(part.grad is not None and torch.isfinite(part.grad).all() for part in model.parameters())
    optimizer.step()
    model.eval()


@pytest.mark.parametrize(
    ("network", "size", "side"),
    [
        ("resnet18", 8, 64),
        ("resnet18", 64, 64),
        ("resnet18", 65, 65),
        ("squeezenet1_1", 31, 32),
        ("levit_128s", 32, 128),
    ],
)
@torch.no_grad()
def test_small_images_are_enlarged_within_the_network_and_it_says_so(network, size, side):
    model = Network.fitting(network, 2, size).eval()
    assert model.side == side
    assert model.arguments.get("seen") == (None if side == size else side)
    if side == size:
        assert model.remarks() == []
        return
    (remark,) = model.remarks()
    assert remark.startswith(f"Images of {size} pixels are enlarged to {side} within the network")
    pixels = torch.rand(2, 3, size, size)
    plain = Network(network, 2, side).eval()
    plain.load_state_dict(model.state_dict())
    larger = functional.interpolate(pixels, size=side, mode="bilinear")
    torch.testing.assert_close(model(pixels), plain(larger), rtol=1e-4, atol=1e-5)


def test_a_network_that_was_kept_without_being_enlarged_stays_so():
    model = build("network", {"name": "test_resnet", "classes": 2, "size": 32})
    assert (model.side, "seen" in model.arguments) == (32, False)


def test_a_network_that_takes_no_such_images_is_refused_in_words(monkeypatch):
    def never(*_):
        raise RuntimeError("kernel size is greater than the image")

    monkeypatch.setattr("linnaea.models.network.create_body", never)
    with pytest.raises(UsageError, match=r"resnet18 does not accept images of 24 pixels.*kernel size.*--img-size.*224"):
        Network.fitting("resnet18", 2, 24)


@pytest.mark.parametrize("network", ["alexnet", "squeezenet1_1", "googlenet", "shufflenet_v2_x0_5", "mnasnet0_5"])
@torch.no_grad()
def test_the_body_of_a_torchvision_network_is_what_its_classifier_is_given(network):
    from torchvision import models

    whole = models.get_model(
        network, weights=None, **({"init_weights": False} if network == "googlenet" else {})
    ).eval()
    body = create_body(network, 64, {}).eval()
    unfitting = body.load_state_dict(whole.state_dict(), strict=False)
    assert unfitting.missing_keys == []
    heads = tuple(f"{place}." for place in standard(network).classifiers)
    assert unfitting.unexpected_keys, "the classifier is not in the body"
    assert all(key.startswith(heads) for key in unfitting.unexpected_keys)
    if network != "squeezenet1_1":  # its classifier is a convolution before the mean
        (place,) = [place for place in standard(network).classifiers if place in dict(whole.named_modules())][:1]
        pixels = torch.rand(2, 3, 64, 64)
        torch.testing.assert_close(whole.get_submodule(place)(body(pixels)), whole(pixels), rtol=1e-4, atol=1e-5)


def test_what_neither_library_has_is_refused_with_the_nearest():
    assert known_network("shufflenet_v2_x1_0")
    assert not known_network("fasterrcnn_resnet50_fpn"), "it does not classify"
    with pytest.raises(UsageError, match="Did you mean 'squeezenet1_1'"):
        require_network("squeezenet11")


def test_torchvision_is_known_by_its_files():
    from torchvision import models

    from linnaea.learning.model_names import networks_of

    classification = set(models.list_models(module=models))
    assert classification <= set(networks_of("torchvision"))
    with_others = set(models.list_models())
    assert set(networks_of("torchvision")) <= with_others


@pytest.mark.parametrize(
    ("network", "given", "expected"),
    [
        ("resnet10t", {"drop_rate": "0.2"}, {"drop_rate": 0.2}),
        ("resnet10t", {"drop_rate": 0}, {"drop_rate": 0}),
        ("resnet10t", {"zero_init_last": "false"}, {"zero_init_last": False}),
        ("vit_tiny_patch16_224", {"depth": "3"}, {"depth": 3}),
        ("convnext_atto", {"depths": "[1, 1, 1, 1]"}, {"depths": [1, 1, 1, 1]}),
        ("efficientnet_lite0", {"pad_type": "same"}, {"pad_type": "same"}),
        ("alexnet", {"dropout": "0.1"}, {"dropout": 0.1}),
        ("textbook_cnn", {"dense": "32", "dropout": "0"}, {"dense": 32, "dropout": 0}),
        ("resnet10t", {}, {}),
    ],
)
def test_arguments_are_typed_by_the_signature(network, given, expected):
    assert typed_arguments(network, given) == expected


@pytest.mark.parametrize(
    ("network", "given", "said"),
    [
        ("resnet10t", {"drop_rat": "0.2"}, "resnet10t has no argument 'drop_rat'.*Did you mean 'drop_rate'"),
        ("resnet10t", {"drop_rate": "much"}, "drop_rate of resnet10t is 'much'; expected a number"),
        ("vit_tiny_patch16_224", {"depth": "2.5"}, "depth of vit_tiny_patch16_224 is '2.5'; expected a whole number"),
        ("vit_tiny_patch16_224", {"depth": True}, "expected a whole number"),
        ("vit_tiny_patch16_224", {"num_heads": "7"}, "cannot be made with num_heads=7"),
        ("vit_tiny_patch16_224", {"img_size": "32"}, "use --img-size"),
        ("resnet10t", {"num_classes": "4"}, "settled by the images and classes"),
        ("resnet10t", {"pretrained_cfg": "x"}, "settled by the images and classes"),
        ("mobilevit_xxs", {"width": "4"}, "cannot be made with width=4"),
        ("lenet5", {"dropout": "0.1"}, "lenet5 has no argument 'dropout'"),
        ("textbook_cnn", {"dropout": "1.5"}, "expected at least 1, and a share"),
        ("googlenet", {"aux_logits": "true"}, "settled by the images and classes"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(network, given, said):
    with pytest.raises(UsageError, match=said):
        typed_arguments(network, given)
