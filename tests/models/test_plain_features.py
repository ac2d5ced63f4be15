"""Features in plain operations are those of the libraries that train, and what has none says what else there is."""

import cv2
import numpy as np
import pytest
import torch
from skimage.feature._hoghistogram import hog_histograms

from linnaea.models.classical import FEATURES
from linnaea.models.classical.pipeline import Classical, described
from linnaea.models.classical.plain.daisy import grey
from linnaea.models.classical.plain.hog import PlainHog, strongest_gradients
from linnaea.models.classical.plain.squares import in_colours, squares
from linnaea.models.ensembles.ensemble import Ensemble

PLAIN = [name for name in FEATURES if FEATURES.about(name).capabilities.get("plain")]


def pictures(size, seed=0):
    """Noise, smooth noise, and flat, grey and black images."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    smooth = np.stack([cv2.GaussianBlur(image, (5, 5), 1.5) for image in noise])
    alike = np.repeat(smooth[..., :1], 3, axis=-1)
    flat = np.stack([np.full((size, size, 3), value, dtype=np.uint8) for value in (0, 200)])
    return np.concatenate([noise, smooth, alike, flat])


def tensors(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize("size", [1, 3, 28, 33, 48, 63, 64, 65, 96, 128, 150, 224, 256, 300, 320, 512])
def test_squares_are_those_of_opencv_to_the_last_bit(size):
    feature, images = FEATURES["hog"](size), pictures(size)[::4]
    made = squares(size, feature.side)(tensors(images)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(made, np.stack([feature.square(image) for image in images]))


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("size", [24, 64, 96])
@pytest.mark.parametrize("name", PLAIN)
def test_descriptors_are_those_of_the_library(name, size, dense):
    feature, images = FEATURES[name](size, dense=dense), pictures(size)
    made = feature.plain()(squares(size, feature.side)(tensors(images))).numpy()
    np.testing.assert_allclose(made, described(feature, images), atol=2e-6)


@pytest.mark.parametrize("size", [24, 64, 96])
def test_colours_are_the_same_to_the_last_bit_in_whatever_order_they_are_added(size):
    """A forest splits between two values, and of many images one lies there: a rounding error is another leaf."""
    feature, images = FEATURES["colours"](size), pictures(size)
    given = squares(size, feature.side)(tensors(images))
    made, turned = feature.plain()(given).numpy(), described(feature, images[:, ::-1, ::-1])
    np.testing.assert_array_equal(made, described(feature, images))
    np.testing.assert_array_equal(turned, made[:, ::-1])  # which brings the last quarter to the front
    np.testing.assert_array_equal(made.reshape(len(images), 4, 3, -1).sum(axis=-1), 1)


def test_every_whole_gradient_votes_as_in_scikit_image():
    """All differences of two bytes, down and across: 511 x 511 of them."""
    values = np.arange(-255.0, 256)
    down, across = (part.ravel() for part in np.meshgrid(values, values, indexing="ij"))
    told = np.zeros((len(down), 1, 9))
    hog_histograms(across[:, None], down[:, None], 1, 1, 1, len(down), 1, len(down), 9, told)
    given = (torch.from_numpy(part).float().view(1, 1, 1, -1) for part in (across, down))
    votes = PlainHog(64, 8, 9).orientations(*given)[0, :, 0].T.numpy()
    np.testing.assert_array_equal(votes[told[:, 0].any(axis=1)], (told[:, 0] > 0)[told[:, 0].any(axis=1)])
    assert (votes.sum(axis=1) == 1).all()


def test_the_first_of_channels_that_are_as_steep_counts():
    squares = torch.zeros(1, 3, 4, 4)
    squares[0, 1, :, 2:] = 9.0
    squares[0, 2, 2:] = 9.0
    across, down = strongest_gradients(squares)
    assert (across[0, 0, 1, 1], down[0, 0, 1, 1]) == (9.0, 0.0)


def test_grey_is_that_of_opencv():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    np.testing.assert_array_equal(grey(tensors(image[None]))[0, 0].numpy(), cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_channels_are_looked_at_as_they_are_when_trained(channels):
    images = torch.arange(channels * 4.0).view(1, channels, 2, 2)
    expected = images[:, :3] if channels > 3 else images[:, :1].repeat(1, 3, 1, 1)
    torch.testing.assert_close(in_colours(images), expected)


@pytest.mark.parametrize("name", list(FEATURES))
def test_a_feature_is_plain_or_names_its_operator(name):
    feature = FEATURES[name](32)
    assert (feature.plain() is not None) == (name in PLAIN)
    assert bool(feature.operator) == (name not in PLAIN)
    reason = Classical(2, 32, name).unexportable
    assert not reason if name in PLAIN else f"{name} is the operator {feature.operator}, which no format has" in reason
    assert reason == "" or "colours, daisy or hog" in reason


def test_an_ensemble_names_the_member_that_cannot_leave():
    members = [{"kind": "classical", "arguments": Classical(2, 32, name).arguments} for name in ("hog", "sift")]
    reason = Ensemble(2, 32, members).unexportable
    assert reason.startswith("member 2 cannot: the feature sift is the operator SIFT of OpenCV")
