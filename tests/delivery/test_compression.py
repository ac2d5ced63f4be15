"""Networks in few bits: what is kept, by which images ranges are told, and what is refused."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from linnaea.delivery.compression import openvino_int8, qat, quantize
from linnaea.delivery.compression.calibration_images import calibration_images, few_sentence
from linnaea.delivery.compression.contract import Wanted
from linnaea.delivery.compression.rounding import rounded
from linnaea.delivery.compression.simulated import freed, simulated
from linnaea.errors import DataError, UsageError
from linnaea.models import MODELS
from linnaea.models.compiled import as_float
from linnaea.models.embedding import embed
from linnaea.models.lenet import LeNet5
from linnaea.models.majority import Majority
from linnaea.models.part import build_part
from linnaea.models.rounded import packed, unpacked
from linnaea.runtime.target import parse_target


@pytest.fixture(scope="module")
def lenet():
    torch.manual_seed(3)
    return LeNet5(classes=3, size=32).eval()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(("bits", "most", "share"), [(4, 7, 0.2), (8, 127, 0.27)])
def test_weights_are_the_nearest_multiples_of_their_scale(lenet, bits, most, share):
    made = rounded(lenet, bits)
    weight, kept = lenet.body[0].weight.detach().flatten(1), made.plain().body[0].weight.detach().flatten(1)
    groups = weight.split(32 if bits == 4 else weight.shape[1], dim=1)
    for before, after in zip(groups, kept.split([one.shape[1] for one in groups], dim=1), strict=True):
        scale = before.abs().amax(dim=1, keepdim=True) / most
        torch.testing.assert_close(after, (before / scale).round() * scale, atol=1e-6, rtol=0)
    assert made.megabytes < share * lenet.megabytes
    assert torch.equal(made.plain().body[0].bias, lenet.body[0].bias)


def test_sixteen_bits_are_those_of_torch(lenet):
    made = rounded(lenet, 16)
    assert made.bits == "float16"
    assert torch.equal(made.plain().classifier.weight, lenet.classifier.weight.half().float())
    large = copy.deepcopy(lenet)
    large.classifier.weight.data[0, 0] = 1e6
    assert rounded(large, 16).bits == "bfloat16"


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_what_is_kept_is_built_anew_as_it_was(lenet, images, bits):
    made = rounded(lenet, bits)
    again = build_part(MODELS, made.describe())
    again.load_state_dict(made.state_dict())
    assert all(value.dtype != torch.float32 for name, value in made.state_dict().items() if name.startswith("values"))
    pixels = torch.from_numpy(as_float(images)).permute(0, 3, 1, 2)
    assert torch.equal(again.eval()(pixels), made(pixels))
    assert torch.equal(copy.deepcopy(made)(pixels), made(pixels))


def test_two_integers_lie_in_a_byte():
    values = torch.from_numpy(np.random.default_rng(1).integers(-8, 8, (5, 64), dtype=np.int8))
    assert packed(values).shape == (5, 32)
    assert torch.equal(unpacked(packed(values)), values)


def test_ranges_are_told_by_all_classes_alike(images):
    targets = np.array([0] * 20 + [1] * 3 + [2])
    chosen = calibration_images(images, targets, most=6)
    rows = [next(row for row in range(24) if np.array_equal(images[row], one)) for one in chosen]
    assert np.bincount(targets[rows]).tolist() == [3, 2, 1] or np.bincount(targets[rows]).tolist() == [2, 3, 1]
    labels = np.zeros((24, 2))
    labels[:, 0] = 1
    for of_one in (np.zeros(24, dtype=np.int64), labels):
        with pytest.raises(DataError, match=r"show 1 class: .* Give training images of every class"):
            calibration_images(images, of_one)
    assert few_sentence(chosen)
    assert not few_sentence(images)


def test_a_network_is_trained_as_if_it_were_in_integers(lenet, images):
    pretending = simulated(lenet, images)
    pixels = torch.from_numpy(as_float(images)).permute(0, 3, 1, 2)
    with torch.no_grad():
        far = (pretending.features(pixels) - lenet.features(pixels)).abs().max() / lenet.features(pixels).abs().max()
    assert 0 < far < 0.1
    first = pretending.body[0]
    assert len(torch.unique(first.weight[0])) <= len(torch.unique(lenet.body[0].weight[0]))
    levels = first.weight[0] / (first.weight[0].abs().max() / 127)
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
    pretending.requires_grad_(True).train()(pixels).pow(2).mean().backward()
    original = first.parametrizations.weight.original
    assert float(original.grad.abs().sum()) > 0
    plain = freed(pretending)
    assert torch.equal(plain.body[0].weight, lenet.body[0].weight)
    torch.testing.assert_close(plain.features(pixels), lenet.features(pixels))


def test_ranges_hold_what_images_showed(lenet, images):
    pretending = simulated(lenet, images)
    first = pretending.body[0].ranged
    assert -1.0 <= float(first.low) < -0.9  # as it is normalised
    assert 0.9 < float(first.high) <= 1.0


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"bits": 4, "backend": "onnx"}, "onnx computes networks with 8 bits: choose these, or --backend torch"),
        ({"bits": 16, "backend": "onnx"}, "or --backend openvino or torch"),
        ({"bits": 4, "backend": "openvino"}, "openvino computes networks with 8 or 16 bits"),
    ],
)
def test_bits_that_a_backend_has_not_are_refused(wanted, said):
    with pytest.raises(UsageError, match=said):
        quantize.require(None, Wanted(**wanted))


def test_what_has_no_linear_head_is_refused(lenet):
    class Given:
        model = Majority(classes=3)

    with pytest.raises(UsageError, match="majority has no linear head"):
        quantize.require(Given, Wanted())
    Given.model = lenet
    for wanted in ({"bits": 4}, {"backend": "torch"}):
        with pytest.raises(UsageError, match=r"qat trains for 8 bits .* use quantize"):
            qat.require(Given, Wanted(**wanted))


@pytest.mark.parametrize(
    ("text", "seconds", "megabytes"),
    [("5ms", 0.005, None), (" 0.02 s", 0.02, None), ("2MB", None, 2.0), ("500kb", None, 0.5), ("800us", 8e-4, None)],
)
def test_targets_are_times_and_sizes(text, seconds, megabytes):
    target = parse_target(text)
    assert (target.seconds, target.megabytes) == (pytest.approx(seconds), pytest.approx(megabytes))


@pytest.mark.parametrize("text", ["", "fast", "5", "0ms", "-2MB", "2 parsecs", "1e3ms", "nanMB"])
def test_what_is_no_target_is_refused(text):
    with pytest.raises(UsageError, match="expected a time for one image, such as 5ms, or a size"):
        parse_target(text)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_runtimes_compute_with_integers_as_the_network_does(lenet, images, backend):
    made, notes = quantize.in_eight_bits(lenet, backend, images)
    ours, theirs = embed(lenet, images), embed(made, images)
    assert 0 < np.abs(ours - theirs).max() < 0.15 * np.abs(ours).max()
    assert made.megabytes < 0.5 * lenet.megabytes
    assert "24 training images" in notes[0]
    again = build_part(MODELS, made.describe())
    again.load_state_dict(made.state_dict())
    np.testing.assert_array_equal(embed(copy.deepcopy(again.eval()), images), theirs)


@pytest.mark.slow
def test_layers_go_back_to_float_until_little_enough_is_lost(lenet, images):
    """The judge is how near raw scores are to those of the network, which integers in all layers spoil."""
    ours = lenet.head(torch.from_numpy(embed(lenet, images))).detach().numpy()

    def worth(logits, rows=None):
        return float(1 / (1 + 1000 * np.abs(logits - ours[list(rows) if rows is not None else slice(None)]).mean()))

    def judge(model):
        return worth(model.head(torch.from_numpy(embed(model, images))).detach().numpy())

    plain = openvino_int8.quantized(lenet, images)
    least = 0.5 * (1 + judge(openvino_int8.as_compiled(lenet, plain)))
    given = SimpleNamespace(val=images, worth=worth, judge=judge, least=least)
    careful = openvino_int8.quantized_with_care(lenet, images, given)
    assert judge(openvino_int8.as_compiled(lenet, careful)) >= least
    assert openvino_int8.in_integers(careful) < openvino_int8.in_integers(plain) == 4
