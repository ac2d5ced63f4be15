"""Features do not depend on the plan beyond its tolerance, and what a format cannot hold is computed in float32."""

import numpy as np
import pytest
import torch
from torch import nn

from linnaea.models.compact import Compact
from linnaea.models.embedding import batch_size, embed, measure_embedding
from linnaea.models.hog import Hog
from linnaea.models.model import Model
from linnaea.models.network import Network
from linnaea.runtime.machine import reduced_formats
from linnaea.runtime.plan import Plan
from linnaea.runtime.plan.agreement import TOLERANCES, difference

SIZE = 32


class Rounding(Model):
    """A brightness of 0.999 is 1 in bfloat16, and the root of what is left of 0.9995 is no number there."""

    kind = "rounding"

    def __init__(self):
        super().__init__(classes=2)
        self.weight = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.weight.weight)

    def features(self, pixels):
        brightness = self.weight(pixels.mean(dim=(1, 2, 3))[:, None])
        return torch.sqrt(0.9995 - brightness.float())

    def head(self, features):
        return features.expand(-1, 2)


@pytest.fixture
def photos():
    generator = np.random.default_rng(0)
    shades = generator.integers(0, 256, (40, 1, 1, 3))
    return np.clip(shades + generator.normal(0, 30, (40, SIZE, SIZE, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def half_white():
    """Dark images, then as many just short of white: of a brightness of 0.999."""
    images = np.full((300, SIZE, SIZE, 3), 255, dtype=np.uint8)
    images[:, 0] = 247
    images[:150] //= 2
    return images


@pytest.mark.parametrize("model", [lambda: Network("test_resnet", 3, SIZE), lambda: Compact(3, SIZE)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", ["channels_last", "contiguous"])
@pytest.mark.parametrize("batch", [None, 7])
def test_features_are_the_same_under_every_plan(model, precision, layout, batch, photos):
    torch.manual_seed(0)
    model = model()
    expected = torch.from_numpy(embed(model, photos, Plan("cpu", memory_format="contiguous")))
    found = torch.from_numpy(embed(model, photos, Plan("cpu", precision, memory_format=layout, batch_size=batch)))
    most = 1e-5 if precision == "float32" else TOLERANCES[precision]
    assert difference(found, expected) < most


def test_float32_repeats_to_the_last_digit(photos):
    torch.manual_seed(0)
    model, seen = Network("test_resnet", 3, SIZE), []
    for layout in ("channels_last", "contiguous", "channels_last"):  # whatever was in between
        seen.append(embed(model, photos, Plan("cpu", memory_format=layout)))
    np.testing.assert_array_equal(seen[0], seen[2])
    np.testing.assert_array_equal(seen[0], embed(model, photos))


def test_what_overflows_is_computed_again_in_float32(half_white, caplog):
    model = Rounding()
    expected = embed(model, half_white)
    assert np.isfinite(expected).all()
    found = embed(model, half_white, Plan("cpu", "bfloat16", batch_size=50))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[150:], expected[150:], rtol=1e-3)
    assert "3 of 6 batches were computed again in float32, because bfloat16 gave NaN or infinity." in caplog.text


def test_a_network_that_gives_nan_in_bfloat16_is_run_in_float32(half_white, monkeypatch, caplog):
    monkeypatch.setattr("linnaea.runtime.machine.reduced_formats", lambda device: ("bfloat16",))
    monkeypatch.setenv("LINNAEA_CACHE", "none")
    plan = measure_embedding(Rounding(), half_white)
    assert plan.precision == "float32"
    assert any("bfloat16 in channels_last gives NaN or infinity: it is not used." in note for note in plan.notes)
    assert "gives NaN or infinity" in caplog.text


def test_a_remembered_plan_is_for_the_network_whatever_its_classes(photos, monkeypatch, tmp_path):
    monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path))
    first = measure_embedding(Network("test_resnet", 3, SIZE), photos, count=1000)
    again = measure_embedding(Network("test_resnet", 5, SIZE), photos, count=1000)
    assert (first.source, again.source) == ("measured", "remembered")
    assert (again.precision, again.memory_format) == (first.precision, first.memory_format)
    assert {seen.precision for seen in first.measured} == {"float32", *reduced_formats("cpu")}
    other = measure_embedding(Network("test_efficientnet", 3, SIZE), photos, count=1000)
    assert other.source == "measured"


def test_a_batch_that_does_not_fit_is_halved(photos, monkeypatch):
    model = Network("test_resnet", 3, SIZE)
    monkeypatch.setattr("linnaea.runtime.plan.workload.usable_memory", lambda device: 3 * 10**6)
    plan = measure_embedding(model, photos, "float32")
    usual = batch_size(photos, model)
    assert plan.batch_size in [usual >> times for times in range(1, 10)]
    (note,) = plan.notes
    assert note.startswith(f"Batches of {plan.batch_size} images instead of {usual}")
    assert embed(model, photos, plan).shape == embed(model, photos).shape


def test_a_tiny_model_is_embedded_by_several_threads_of_one_each(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (9, 224, 224, 3), dtype=np.uint8)
    before, seen = torch.get_num_threads(), set()
    whole = Hog.features

    def features(self, pixels):
        seen.add(torch.get_num_threads())
        return whole(self, pixels)

    monkeypatch.setattr(Hog, "features", features)
    model = Hog(2, 224)
    together = embed(model, images)
    assert seen == {1}
    assert torch.get_num_threads() == before
    monkeypatch.setattr(model, "tiny", False)
    np.testing.assert_array_equal(together, embed(model, images))
