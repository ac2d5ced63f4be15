"""Explainers against captum, and against their formulas written out."""

import numpy as np
import pytest
import torch
from captum.attr import GuidedBackprop, InputXGradient, IntegratedGradients, LayerAttribution, LayerGradCam, Saliency
from torch import nn

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.data.images.pixels import Recipe
from linnaea.evidence.explanation import Settings, Subject, run_explainer
from linnaea.models.network import Network
from linnaea.models.textbook import TextbookNetwork

SIDE = 24
TARGETS = np.array([1, 0, 2])


def subject_of(model, side=SIDE):
    return Subject(Classifier(scorer_of(model.eval()), ("a", "b", "c"), "multiclass", Recipe(side)))


@pytest.fixture(scope="module")
def subject():
    """A small network of ReLUs, as layers of their own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return subject_of(TextbookNetwork(3, SIDE))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


def made(name, subject, images, **settings):
    return run_explainer(name, subject, images, TARGETS, Settings(**settings)).values


def given(subject, images):
    return subject.tensor(images).requires_grad_(), torch.from_numpy(TARGETS)


def near(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_saliency_is_captums(subject, images):
    pixels, targets = given(subject, images)
    near(made("saliency", subject, images), Saliency(subject.network).attribute(pixels, targets).amax(1).numpy())


def test_input_x_gradient_is_captums(subject, images):
    pixels, targets = given(subject, images)
    expected = InputXGradient(subject.network).attribute(pixels, targets).sum(1).detach().numpy()
    near(made("input_x_gradient", subject, images), expected)


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
def test_guided_backprop_is_captums_where_every_relu_is_a_layer(subject, images):
    pixels, targets = given(subject, images)
    expected = GuidedBackprop(subject.network).attribute(pixels, targets).abs().amax(1).numpy()
    near(made("guided_backprop", subject, images), expected)
    assert not np.allclose(expected, made("saliency", subject, images))


def test_guided_backprop_says_where_there_is_nothing_to_guide(images):
    small = {"embed_dim": 16, "depth": 1, "num_heads": 2, "patch_size": 8}
    subject = subject_of(Network("vit_tiny_patch16_224", 3, SIDE, arguments_of_body=small))
    found = run_explainer("guided_backprop", subject, images, TARGETS, Settings())
    assert found.said == "the network has no ReLU: this is its saliency"
    np.testing.assert_array_equal(found.values, made("saliency", subject, images))


@pytest.mark.parametrize("place", ["body.0", "body.3"])
def test_gradcam_is_captums(subject, images, place):
    pixels, targets = given(subject, images)
    layer = subject.network.get_submodule(place)
    low = LayerGradCam(subject.network, layer).attribute(pixels, targets, relu_attributions=True)
    expected = LayerAttribution.interpolate(low, (SIDE, SIDE), "bilinear")[:, 0].detach().numpy()
    near(made("gradcam", subject, images, layer=place), expected)


def test_without_a_name_the_last_layer_with_a_map_is_taken(subject, images):
    np.testing.assert_array_equal(made("gradcam", subject, images), made("gradcam", subject, images, layer="body.3"))


def test_integrated_gradients_add_up_to_the_difference_of_the_scores(subject, images):
    pixels, _ = given(subject, images)
    grey = torch.full_like(pixels, 0.5)
    with torch.no_grad():
        differences = (subject.network(pixels) - subject.network(grey))[range(3), TARGETS].numpy()
    sums = made("integrated_gradients", subject, images, samples=200).sum(axis=(1, 2))
    np.testing.assert_allclose(sums, differences, atol=0.02 * np.abs(differences).max())
    expected = IntegratedGradients(subject.network).attribute(pixels, grey, torch.from_numpy(TARGETS), n_steps=20)
    near(made("integrated_gradients", subject, images, samples=20), expected.sum(1).detach().numpy())


def test_gradient_shap_adds_up_to_the_difference_from_its_baselines(subject, images):
    pixels, _ = given(subject, images)
    with torch.no_grad():
        baselines = torch.stack([torch.full_like(pixels[0], grey) for grey in (0.0, 0.5, 1.0)])
        differences = (subject.network(pixels) - subject.network(baselines).mean(0))[range(3), TARGETS].numpy()
    sums = made("gradient_shap", subject, images, samples=400).sum(axis=(1, 2))
    np.testing.assert_allclose(sums, differences, atol=0.15 * np.abs(differences).max())


def test_smoothgrad_is_the_mean_over_noise(subject, images):
    pixels, random = subject.tensor(images), torch.Generator().manual_seed(5)
    total = 0
    for _ in range(4):
        noisy = (pixels + 0.15 * torch.randn(pixels.shape[1:], generator=random)).requires_grad_()
        subject.network(noisy)[range(3), TARGETS].sum().backward()
        total = total + noisy.grad
    subject.network.zero_grad()
    near(made("smoothgrad", subject, images, seed=5, samples=4), (total / 4).abs().amax(1).numpy())
    assert not np.allclose(made("smoothgrad", subject, images, seed=6, samples=4), (total / 4).abs().amax(1).numpy())


def by_hand(subject, images):
    """The map of the second convolution and its gradient, by a network cut in two."""
    body, head = subject.network.body, subject.network.classifier
    activation = body[:4](2 * subject.tensor(images) - 1).detach().requires_grad_()
    scores = head(body[4:](activation))[range(3), TARGETS]
    gradient = torch.autograd.grad(scores.sum(), activation)[0]
    return activation.detach().numpy().astype(np.float64), gradient.numpy().astype(np.float64)


def larger(maps):
    tensor = torch.from_numpy(maps)[:, None]
    return nn.functional.interpolate(tensor, size=(SIDE, SIDE), mode="bilinear")[:, 0].numpy()


def test_gradcam_plus_plus_is_its_formula(subject, images):
    activation, gradient = by_hand(subject, images)
    total = np.maximum(activation, 0).sum(axis=(2, 3), keepdims=True)
    shares = np.divide(gradient**2, 2 * gradient**2 + total * gradient**3, out=0 * gradient, where=gradient > 0)
    weights = (shares * np.maximum(gradient, 0)).sum(axis=(2, 3), keepdims=True)
    near(made("gradcam_plus_plus", subject, images), larger(np.maximum((weights * activation).sum(1), 0)))


def test_layercam_is_its_formula(subject, images):
    activation, gradient = by_hand(subject, images)
    near(made("layercam", subject, images), larger(np.maximum((np.maximum(gradient, 0) * activation).sum(1), 0)))


def test_eigencam_is_the_first_direction_by_power_iteration(subject, images):
    activation, _ = by_hand(subject, images)
    maps = []
    for one in activation:
        flat = one.reshape(len(one), -1).T
        direction = np.ones(flat.shape[1])
        for _ in range(500):
            direction = flat.T @ (flat @ direction)
            direction /= np.linalg.norm(direction)
        projected = flat @ direction
        maps.append(np.maximum(projected * np.sign(projected.sum()), 0).reshape(one.shape[1:]))
    near(made("eigencam", subject, images), larger(np.stack(maps)))


class Transformer:
    """What the attention of a small transformer of timm is, read off its own softmax."""

    def __init__(self, **arguments):
        small = {"embed_dim": 24, "depth": 3, "num_heads": 3, "patch_size": 8, **arguments}
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.network = Network("vit_tiny_patch16_224", 3, 32, arguments_of_body=small)
            with torch.no_grad():
                for weight in self.network.parameters():
                    weight.add_(0.3 * torch.randn_like(weight))
        self.subject = subject_of(self.network, 32)

    def matrices(self, images):
        found = []
        for block in self.network.body.blocks:
            block.attn.fused_attn = False
            block.attn.attn_drop.register_forward_hook(lambda _, given, __: found.append(given[0]))
        with torch.no_grad():
            self.network.features(self.subject.tensor(images))
        for block in self.network.body.blocks:
            block.attn.attn_drop._forward_hooks.clear()
        return [matrix.mean(1).double().numpy() for matrix in found]


@pytest.mark.parametrize(
    ("arguments", "prefix", "read"),
    [({}, 1, [0]), ({"reg_tokens": 4}, 5, [0]), ({"class_token": False, "global_pool": "avg"}, 0, range(16))],
)
def test_rollout_is_the_product_of_the_layers(arguments, prefix, read):
    images = np.random.default_rng(3).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    transformer = Transformer(**arguments)
    fused = run_explainer("rollout", transformer.subject, images, TARGETS, Settings()).values
    total = np.eye(16 + prefix)[None]
    for matrix in transformer.matrices(images):
        total = (matrix + np.eye(16 + prefix)) / 2 @ total
    expected = total[:, list(read)].mean(axis=1)[:, prefix:].reshape(3, 4, 4)
    larger = nn.functional.interpolate(torch.from_numpy(expected)[:, None], size=(32, 32), mode="bilinear")[:, 0]
    near(fused, larger.numpy())
    near(run_explainer("rollout", transformer.subject, images, TARGETS, Settings()).values, larger.numpy())
