"""What every explainer that makes maps must do, and which it is refused to."""

import copy
import warnings

import numpy as np
import pytest
import torch

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.data.images.pixels import Recipe
from linnaea.errors import LinnaeaError, UsageError
from linnaea.evidence.explanation import EXPLAINERS, Settings, Subject, fitting_explainers, run_explainer
from linnaea.evidence.explanation.contract import KINDS, NEEDS
from linnaea.evidence.explanation.running import is_signed, kind_of, needs_of
from linnaea.experiments.heat_maps import HeatMaps
from linnaea.models.compact import Compact
from linnaea.models.hog import Hog
from linnaea.models.majority import Majority
from linnaea.models.network import Network

SIDE = 32
FEW = Settings(seed=3, samples=6)
MAPS = [name for name in EXPLAINERS if kind_of(EXPLAINERS.about(name)) == "map"]


def classifier_of(model, side=SIDE):
    return Classifier(scorer_of(model.eval()), ("ant", "bee", "wasp"), "multiclass", Recipe(side))


@pytest.fixture(scope="module")
def subjects():
    """A convolutional network and a transformer, both with random weights."""
    with torch.random.fork_rng(), warnings.catch_warnings():
        torch.manual_seed(0)
        small = {"embed_dim": 24, "depth": 2, "num_heads": 2, "patch_size": 8}
        transformer = Network("vit_tiny_patch16_224", 3, SIDE, arguments_of_body=small)
        with torch.no_grad():
            for weight in transformer.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
        return {"map": Subject(classifier_of(Compact(3, SIDE))), "attention": Subject(classifier_of(transformer))}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


TARGETS = np.array([0, 2, 1])


def subject_for(name, subjects):
    return subjects["attention" if needs_of(EXPLAINERS.about(name)) == "attention" else "map"]


def test_their_capabilities_are_those_of_the_contract():
    for name in EXPLAINERS:
        about = EXPLAINERS.about(name)
        assert kind_of(about) in KINDS
        assert needs_of(about) in NEEDS
        assert about.meaning.endswith(".")


@pytest.mark.parametrize("name", MAPS)
def test_maps_are_finite_and_made_again_by_the_seed(name, subjects, images):
    subject = subject_for(name, subjects)
    made = run_explainer(name, subject, images, TARGETS, FEW).values
    assert made.shape == (3, SIDE, SIDE)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert is_signed(EXPLAINERS.about(name)) or made.min() >= 0
    assert np.ptp(made, axis=(1, 2)).max() > 0
    np.testing.assert_array_equal(made, run_explainer(name, subject, images, TARGETS, FEW).values)


@pytest.mark.parametrize("name", MAPS)
def test_the_map_of_an_image_does_not_depend_on_those_beside_it(name, subjects, images):
    subject = subject_for(name, subjects)
    together = run_explainer(name, subject, images, TARGETS, FEW).values
    alone = run_explainer(name, subject, images[1:2], TARGETS[1:2], FEW).values
    np.testing.assert_allclose(alone[0], together[1], atol=1e-4 * max(1e-3, np.abs(together[1]).max()))


@pytest.mark.parametrize("name", MAPS)
def test_nothing_of_the_classifier_changes(name, subjects, images):
    model = subject_for(name, subjects).classifier.model
    before, flags = copy.deepcopy(model.state_dict()), [weight.requires_grad for weight in model.parameters()]
    given = images.copy()
    with torch.no_grad():
        run_explainer(name, subject_for(name, subjects), images, TARGETS, FEW)
        assert not torch.is_grad_enabled()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert [weight.requires_grad for weight in model.parameters()] == flags
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module.training for module in model.modules())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
    np.testing.assert_array_equal(images, given)


@pytest.mark.parametrize("name", MAPS)
def test_a_black_image_has_a_finite_map(name, subjects):
    black = np.zeros((1, SIDE, SIDE, 3), dtype=np.uint8)
    assert np.isfinite(run_explainer(name, subject_for(name, subjects), black, TARGETS[:1], FEW).values).all()


def test_pixels_may_be_numbers(subjects, images):
    for subject in subjects.values():
        np.testing.assert_allclose(subject.answer(images / 255.0), subject.answer(images), atol=1e-5)
        name = "gradcam"
        of_numbers = run_explainer(name, subject, images / 255.0, TARGETS, FEW).values
        np.testing.assert_allclose(of_numbers, run_explainer(name, subject, images, TARGETS, FEW).values, atol=1e-5)


def test_a_method_that_does_not_fit_is_refused_with_those_that_do(images):
    subject = Subject(classifier_of(Hog(3, SIDE)))
    assert subject.can == {"answers", "features", "gradients"}
    with pytest.raises(UsageError, match="Grad-CAM needs layer, but a classifier of the kind hog has no layer"):
        run_explainer("gradcam", subject, images, TARGETS, FEW)
    assert "gradcam" not in fitting_explainers(subject)
    assert Subject(classifier_of(Majority(3))).can == {"answers", "features"}


def test_what_gives_no_maps_is_told(subjects, images):
    with EXPLAINERS.restored():

        @EXPLAINERS.register("broken", title="Broken", meaning="Gives NaN.", kind="map", needs="answers")
        def broken(subject, pixels, targets, settings):
            made = run_explainer("gradcam", subject, pixels, targets, settings)
            made.values[0, 0, 0] = np.nan
            return made

        with pytest.raises(LinnaeaError, match=r"Broken gave maps of the shape .* 3,071 values are finite"):
            run_explainer("broken", subjects["map"], images, TARGETS, FEW)


def test_a_layer_that_is_not_there_is_refused_with_a_suggestion(subjects):
    with pytest.raises(UsageError, match=r"layer is 'blocks.2.secnd'.* Did you mean 'blocks.2.second'"):
        subjects["map"].layer("blocks.2.secnd")
    with pytest.raises(UsageError, match="layer is 'classifier', whose output has no map"):
        subjects["map"].layer("classifier")
    assert subjects["map"].layer("blocks.1").grid == 7


def test_a_class_that_is_not_there_is_refused_with_a_suggestion(subjects):
    with pytest.raises(
        UsageError, match=r"target is 'bea', which is no class: one of ant, bee, wasp. Did you mean 'bee'"
    ):
        subjects["map"].class_number("bea")


@pytest.mark.parametrize(
    ("name", "side", "smaller", "layer"),
    [
        (
            "swin_tiny_patch4_window7_224",
            112,
            {"embed_dim": 24, "depths": [2, 2, 2], "num_heads": [2, 2, 4]},
            "body.layers.2.blocks.0.norm1",
        ),
        ("pvt_v2_b0", 64, {}, "body.stages"),
        ("vit_tiny_r_s16_p8_224", 64, {"embed_dim": 24, "depth": 3, "num_heads": 2}, "body.blocks.2.norm1"),
    ],
)
def test_the_layer_is_the_last_before_places_are_mixed(name, side, smaller, layer):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network.fitting(name, 3, side, arguments_of_body=smaller)
    assert Subject(classifier_of(network, side)).layer().name == layer


def test_hirescam_is_gradcam_where_a_mean_is_read_by_a_linear_head():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network("test_resnet", 3, 64)
        torch.nn.init.normal_(network.classifier.weight)
    subject = Subject(classifier_of(network, 64))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    ours, known = (run_explainer(one, subject, pixels, np.array([0, 2]), FEW).values for one in ("hirescam", "gradcam"))
    assert known.max() > 0
    np.testing.assert_allclose(ours, known, rtol=1e-4, atol=1e-6)


def test_a_heat_map_leaves_the_model_to_others_between_batches(subjects, images):
    pieces, maps = [], HeatMaps()

    def between(work):
        pieces.append(work)
        return work()

    classifier = subjects["map"].classifier
    for method, many in (("gradcam", False), ("occlusion", True)):
        pieces.clear()
        maps.require(classifier, method)
        assert maps.draw(classifier, images[0], method, between).startswith(b"\x89PNG")
        assert len(pieces) > 2 if many else len(pieces) == 2
