"""One contract for every model, HOG beside two other implementations."""

import json

import numpy as np
import pytest
import torch
from skimage.feature import hog as skimage_hog
from torch import nn

from linnaea.errors import BundleError
from linnaea.models import MODELS, build
from linnaea.models.compact import Compact
from linnaea.models.convolution import Convolution
from linnaea.models.hog import CELLS, COLOURS, ORIENTATIONS, Hog, colour_histograms, hog_length, oriented_gradients
from linnaea.models.model import Model, as_pixels, to_pixels
from linnaea.models.network import Network

CLASSES, SIZE = 5, 40
ARGUMENTS = {
    "majority": {"classes": CLASSES},
    "hog": {"classes": CLASSES, "size": SIZE},
    "compact": {"classes": CLASSES, "size": SIZE, "widths": [8, 16, 24]},
    "lenet5": {"classes": CLASSES, "size": SIZE},
    "textbook_cnn": {"classes": CLASSES, "size": SIZE, "dense": 32, "dropout": 0.5},
    "network": {"name": "test_resnet", "classes": CLASSES, "size": SIZE, "mean": [0.4, 0.5, 0.6]},
}
SHARED = {"classes": CLASSES, "size": SIZE}
TWO = [
    {"kind": name, "arguments": {**SHARED, **more}}
    for name, more in (("lenet5", {}), ("textbook_cnn", {"dense": 32, "dropout": 0.5}))
]
ARGUMENTS |= {
    "ensemble": {**SHARED, "members": TWO, "temperatures": [1.0, 2.0]},
    "heads": {**SHARED, "body": TWO[0], "length": 84, "heads": 3},
    "masked": {**SHARED, "body": TWO[1], "members": 3, "places": ["body.9"], "shares": [0.5]},
    "rounded": {**SHARED, "of": TWO[0], "bits": "int8"},
}
MIXTURES = ("ensemble", "heads", "masked")
LENGTHS = {"majority": 1, "hog": 1764 + 192, "compact": 24, "lenet5": 84, "textbook_cnn": 32, "rounded": 84}


@pytest.fixture(params=[name for name in MODELS if MODELS[name].scorer == "torch"])  # others: test_classical.py
def kind(request):
    return request.param


@pytest.fixture
def model(kind):
    """A model in evaluation mode with weights that tell images apart."""
    torch.manual_seed(0)
    made = build(kind, ARGUMENTS[kind])
    if kind == "majority":
        made.prior.copy_(torch.randn(CLASSES))
    if kind == "heads":
        made.weight.normal_()
    if kind == "masked":
        made.get_submodule("body.body.9").kept.bernoulli_(0.5)
    if kind == "rounded":
        state = {name: _random_integers(name, value) for name, value in made.state_dict().items()}
        made.load_state_dict(state)
    return made.eval()


def _random_integers(name, value):
    """Values and scales of weights of about the size that training starts from; all else as it is."""
    if name.startswith("values/"):
        return torch.randint_like(value, -127, 128)
    return torch.full_like(value, 0.1 / 127) if name.startswith("scales/") else value


@pytest.fixture
def pixels():
    """Six images (6, 3, 40, 40) in [0, 1]: four of noise, one black, one white."""
    noise = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return torch.cat([noise, torch.zeros(1, 3, SIZE, SIZE), torch.ones(1, 3, SIZE, SIZE)])


def bytes_as_pixels(values):
    """Images (N, S, S) of grey brightness, 0 to 255, as pixels."""
    return to_pixels(torch.from_numpy(np.repeat(values[..., None], 3, axis=3).astype(np.uint8)))


def test_a_model_needs_features_and_a_head():
    with pytest.raises(TypeError, match="abstract"):
        type("Headless", (Model,), {"features": lambda self, pixels: pixels})()


@torch.no_grad()
def test_forward_is_the_head_on_the_features(model, kind, pixels):
    features = model.features(pixels)
    logits = model(pixels)
    assert features.shape == (6, LENGTHS.get(kind, features.shape[1]))
    assert logits.shape == (6, CLASSES)
    assert features.dtype == logits.dtype == torch.float32
    assert torch.isfinite(features).all()
    torch.testing.assert_close(model.head(features), logits, rtol=0, atol=0)


@torch.no_grad()
def test_head_is_linear_or_constant_unless_it_says_otherwise(model, pixels):
    assert model.linear != (model.kind in MIXTURES)
    if not model.linear:
        return
    features = model.features(pixels)
    first, second = features[:3], features[3:]
    middle = (model.head(first) + model.head(second)) / 2
    torch.testing.assert_close(model.head((first + second) / 2), middle, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_model_takes_any_linear_head(model, pixels):
    if not model.has_linear_head:
        given = model.plain() if model.kind == "rounded" else model  # its head is rounded too
        assert given.has_linear_head or model.kind in ("majority", *MIXTURES), (
            "every model that looks at pictures can be given another head"
        )
        return
    model.eval()
    features = model.features(pixels)
    weight, bias = torch.randn(7, features.shape[1]), torch.randn(7)
    other = model.with_head(weight, bias)
    torch.testing.assert_close(other.features(pixels), features)
    torch.testing.assert_close(other(pixels), features @ weight.T + bias, rtol=1e-4, atol=1e-4)
    again = build(other.kind, other.arguments)
    again.load_state_dict(other.state_dict())


@torch.no_grad()
def test_an_answer_does_not_depend_on_the_batch(model, pixels):
    together = model(pixels)
    alone = torch.cat([model(picture[None]) for picture in pixels])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model(pixels.flip(0)).flip(0), together, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_memory_layout_does_not_matter(model, pixels):
    torch.testing.assert_close(
        model(pixels.contiguous(memory_format=torch.channels_last)), model(pixels), rtol=1e-4, atol=1e-5
    )


@torch.no_grad()
def test_a_description_and_weights_make_it_anew(model, kind, pixels):
    description = json.loads(json.dumps({"kind": model.kind, "arguments": model.arguments}))
    assert description["kind"] == kind
    again = build(**description)
    again.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    assert again.arguments == model.arguments
    torch.testing.assert_close(again.eval()(pixels), model(pixels), rtol=0, atol=0)


def test_gradients_reach_the_pixels(model, kind, pixels):
    pixels.requires_grad_()
    model(pixels)[:, 0].sum().backward()
    assert torch.isfinite(pixels.grad).all(), "also where a picture is flat"
    assert kind == "majority" or (pixels.grad[:4].abs().amax(dim=(1, 2, 3)) > 0).all()


@torch.no_grad()
def test_pixels_are_left_as_they_were(model, pixels):
    before = pixels.clone()
    model(pixels)
    assert torch.equal(pixels, before)


@torch.no_grad()
def test_it_can_be_traced_for_export(model, pixels):
    program = torch.export.export(model, (pixels,), dynamic_shapes={"pixels": {0: torch.export.Dim("n", min=1)}})
    torch.testing.assert_close(program.module()(pixels[:3]), model(pixels[:3]), rtol=1e-4, atol=1e-5)


def test_it_knows_where_it_lies_and_how_large_it_is(model):
    assert model.device == torch.device("cpu")
    assert model.megabytes == pytest.approx(sum(value.nbytes for value in model.state_dict().values()) / 1e6)


@torch.no_grad()
@pytest.mark.parametrize("size", [8, 9, 20, 100, 224])
@pytest.mark.parametrize("name", ["hog", "compact", "lenet5", "textbook_cnn"])
def test_own_models_take_pictures_of_any_size(name, size):
    model = build(name, {"classes": 2, "size": size}).eval()
    features = model.features(torch.rand(2, 3, size, size))
    assert features.shape == (2, {"hog": 1956, "compact": 192, "lenet5": 84, "textbook_cnn": 128}[name])
    assert torch.isfinite(model.head(features)).all()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("hog", {"classes": 2}, "cannot build the model 'hog'.*size"),
        ("hog", {"classes": 2, "size": 16, "colour": 1}, "cannot build the model 'hog'.*colour"),
        ("network", {"name": "test_resnet", "classes": -1, "size": 32}, "cannot build the model 'network'"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(name, arguments, message):
    with pytest.raises(BundleError, match=message):
        build(name, arguments)


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(BundleError, match=r"unknown model 'hgo': expected one of .*Did you mean 'hog'"):
        build("hgo", {})


@torch.no_grad()
def test_network_normalises_by_itself(pixels):
    plain = Network("test_resnet", 2, SIZE, (0, 0, 0), (1, 1, 1)).eval()
    shifted = Network("test_resnet", 2, SIZE, (0.5, 0.4, 0.3), (0.5, 0.2, 0.1)).eval()
    shifted.load_state_dict(plain.state_dict())
    mean, std = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1), torch.tensor([0.5, 0.2, 0.1]).view(3, 1, 1)
    torch.testing.assert_close(shifted(pixels), plain((pixels - mean) / std))


@torch.no_grad()
def test_whitening_makes_responses_of_unit_variance():
    smooth = nn.functional.interpolate(torch.rand(200, 3, 8, 8), size=32, mode="bilinear")
    model = Compact(3, 32)
    model.whiten(smooth, epsilon=0)
    responses = model.stem(smooth).transpose(0, 1).flatten(1)[:12]
    covariance = torch.cov(responses)
    torch.testing.assert_close(covariance, torch.eye(12), rtol=0, atol=0.02)
    torch.testing.assert_close(model.stem.weight[:12], -model.stem.weight[12:])


@torch.no_grad()
def test_whitening_in_parts_is_whitening_of_the_whole():
    pictures = torch.rand(130, 3, 32, 32)
    model = Compact(3, 32)
    model.whiten(pictures)
    patches = nn.functional.unfold(pictures, 2).transpose(1, 2).reshape(-1, 12).double()
    values, vectors = torch.linalg.eigh(torch.cov(patches.T, correction=0))
    expected = (vectors / torch.sqrt(values + 5e-4)).T.reshape(12, 3, 2, 2).float()
    torch.testing.assert_close(model.stem.weight[:12].abs(), expected.abs(), rtol=1e-3, atol=1e-4)


def loop_hog(picture):
    """HOG of one image (3, S, S), pixel by pixel, vote by vote, in double precision."""
    side = picture.shape[-1]
    cell = side // CELLS
    histograms = np.zeros((CELLS, CELLS, ORIENTATIONS))
    for row in range(side):
        for column in range(side):
            across = down = 0.0
            for channel in picture:
                right = channel[row, column + 1] - channel[row, column - 1] if 0 < column < side - 1 else 0.0
                below = channel[row + 1, column] - channel[row - 1, column] if 0 < row < side - 1 else 0.0
                if np.hypot(right, below) > np.hypot(across, down):
                    across, down = right, below
            position = np.degrees(np.arctan2(down, across)) % 180 / 20 - 0.5  # bin k has its centre at 10 + 20 k
            lower, share = int(np.floor(position)), position - np.floor(position)
            votes = histograms[row // cell, column // cell]
            votes[lower % ORIENTATIONS] += (1 - share) * np.hypot(across, down) / cell**2
            votes[(lower + 1) % ORIENTATIONS] += share * np.hypot(across, down) / cell**2
    return np.array(
        [
            [l2_hys(histograms[row : row + 2, column : column + 2]) for column in range(CELLS - 1)]
            for row in range(CELLS - 1)
        ]
    )


def l2_hys(block):
    cut = np.minimum(block / max(np.linalg.norm(block), 1e-5), 0.2)
    return cut / max(np.linalg.norm(cut), 1e-5)


def as_blocks(features):
    """HOG features (N, 1764) as (N, 7, 7, 2, 2, 9): rows and columns of blocks, of cells, and orientations."""
    return features.reshape(-1, 2, 2, ORIENTATIONS, CELLS - 1, CELLS - 1).permute(0, 4, 5, 1, 2, 3).numpy()


@pytest.mark.parametrize("side", [16, 32])
def test_hog_equals_a_plain_loop(side):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (3, 3, side, side)).astype(np.float32) / 255
    pictures[2, :, : side // 2] = 0.5  # half of it flat
    blocks = as_blocks(oriented_gradients(torch.from_numpy(pictures)))
    for picture, ours in zip(pictures, blocks, strict=True):
        np.testing.assert_allclose(ours, loop_hog(picture.astype(np.float64)), atol=2e-4)


@pytest.mark.parametrize("degrees", range(10, 180, 20))
def test_hog_equals_scikit_image_where_gradients_lie_on_bin_centres(degrees):
    # scikit-image gives a whole vote to one bin, we share it between two: at bin centres both do the same. Central
    # differences of a parabola over a slanted line point along that line exactly, with lengths that vary.
    row, column = np.mgrid[:64, :64] / 64
    angle = np.radians(degrees)
    along = column * np.cos(angle) + row * np.sin(angle) + 0.8
    picture = along**2 / 8
    expected = skimage_hog(
        picture, ORIENTATIONS, (8, 8), (2, 2), block_norm="L2-Hys", transform_sqrt=False, feature_vector=False
    )
    pixels = torch.from_numpy(picture.astype(np.float32)).expand(1, 3, -1, -1)
    inner = slice(1, -1)  # at the border, where one difference is set to zero, gradients point elsewhere
    ours = as_blocks(oriented_gradients(pixels))[0, inner, inner]
    assert ours.max() > 0.3
    np.testing.assert_allclose(ours, expected[inner, inner], atol=1e-3)


@torch.no_grad()
def test_hog_hardly_moves_when_pixels_hardly_move(pixels):
    model = Hog(2, SIZE)
    moved = (pixels[:4] + 1e-5 * torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    assert (model.features(moved) - model.features(pixels[:4])).abs().max() < 1e-3


def test_hog_of_flat_pictures_is_zero(pixels):
    assert not oriented_gradients(pixels[4:]).any()
    assert oriented_gradients(pixels).shape == (6, hog_length())


def test_colour_histograms_equal_numpy_at_bin_centres():
    levels = np.random.default_rng(0).integers(0, COLOURS, (2, 3, 16, 16))
    ours = colour_histograms(torch.from_numpy(levels / (COLOURS - 1)).float()).view(2, COLOURS, 3, 2, 2).numpy()
    for number, channel, top, left in np.ndindex(2, 3, 2, 2):
        quarter = levels[number, channel, 8 * top : 8 * top + 8, 8 * left : 8 * left + 8]
        expected = np.bincount(quarter.ravel(), minlength=COLOURS) / 64
        np.testing.assert_allclose(ours[number, :, channel, top, left], expected, atol=1e-5)


def test_colour_histograms_share_every_pixel_out(pixels):
    shares = colour_histograms(pixels).view(6, COLOURS, 12).sum(dim=1)
    torch.testing.assert_close(shares, torch.ones(6, 12))


def test_bytes_become_pixels():
    pixels = bytes_as_pixels(np.array([[[0, 255], [51, 102]]]))
    assert pixels.shape == (1, 3, 2, 2)
    torch.testing.assert_close(pixels[0, 1], torch.tensor([[0.0, 1.0], [0.2, 0.4]]))
    assert pixels.is_contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def test_both_sides_give_the_same_answer_once_asked_for(pixels):
    model = Compact(3, SIZE).eval()
    single = model(pixels)
    model.look_at_both_sides()
    torch.testing.assert_close(model(pixels), model(pixels.flip(3)))
    torch.testing.assert_close(model(pixels), (single + Compact.forward(_one_sided(model), pixels.flip(3))) / 2)
    assert build("compact", model.arguments).mirrored


def _one_sided(model):
    single = Compact(3, SIZE).eval()
    single.load_state_dict(model.state_dict())
    return single


@pytest.mark.parametrize("side", [1, 3, 7, 8, 9])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_quick_convolution_learns_as_torchs_own(side, kind):
    torch.manual_seed(0)
    own, reference = Convolution(5, 7), torch.nn.Conv2d(5, 7, 3, padding=1, bias=False)
    reference.load_state_dict(own.state_dict())
    found = []
    for layer in (own, reference):
        maps = torch.linspace(-1, 1, 4 * 5 * side * side).view(4, 5, side, side).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16):
            out = layer(maps)
        assert out.dtype == kind
        (out.float() ** 2).sum().backward()
        found.append((out.float().detach(), maps.grad, layer.weight.grad))
    for mine, theirs in zip(*found, strict=True):
        scale = theirs.abs().max()
        torch.testing.assert_close(mine / scale, theirs / scale, rtol=0, atol=1e-5 if kind == torch.float32 else 2e-2)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_pixels_made_in_parts_are_the_same_to_the_bit(layout):
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (19, 5, 7, 3), dtype=np.uint8))
    made = as_pixels(images, layout)
    assert torch.equal(made, to_pixels(images))
    assert made.is_contiguous(memory_format=layout)
