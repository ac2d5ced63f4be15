"""No image meets the same backbone twice, and no feature is mistaken for another."""

import math
import time

import numpy as np
import pytest
import torch

from linnaea.models import feature_cache
from linnaea.models.embedding import embed
from linnaea.models.feature_cache import embed_once, embed_until, weights_hash
from linnaea.models.hog import Hog
from linnaea.models.network import Network
from linnaea.runtime.plan import Plan


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Network("test_resnet", 3, 32).eval()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 255, (12, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def embedded(monkeypatch, tmp_path):
    """How many images each call embedded, the first apart, by which the width is told; with an empty cache."""
    monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path / "cache"))
    counts = []
    monkeypatch.setattr(feature_cache, "embed", lambda *given: (counts.append(len(given[1])), embed(*given))[1])
    return counts


def test_what_was_embedded_is_not_embedded_again(model, images, embedded):
    first = embed_once(model, images)
    np.testing.assert_array_equal(first, embed(model, images))
    np.testing.assert_array_equal(embed_once(model, images), first)
    assert embedded == [1, 12, 1]
    order = [5, 3, 11]
    np.testing.assert_array_equal(embed_once(model, images[order]), first[order])
    assert embedded[3:] == [1]


def test_only_what_is_new_is_embedded(model, images, embedded):
    embed_once(model, images[:8])
    found = embed_once(model, images)
    np.testing.assert_allclose(found, embed(model, images), rtol=1e-5, atol=1e-6)
    assert embedded == [1, 8, 1, 4]


def test_other_weights_and_formats_have_features_of_their_own(model, images, embedded):
    first = embed_once(model, images)
    with torch.no_grad():
        next(iter(model.body.parameters())).mul_(1.5)
    assert not np.array_equal(embed_once(model, images), first)
    embed_once(model, images, Plan("cpu", "bfloat16"))
    assert [count for count in embedded if count > 1] == [12, 12, 12]


def test_another_head_changes_nothing(model, images, embedded):
    embed_once(model, images)
    with torch.no_grad():
        model.classifier.weight.mul_(2)
    other = model.with_head(torch.zeros(9, model.classifier.in_features), torch.zeros(9))
    assert weights_hash(other) == weights_hash(model)
    embed_once(other, images)
    assert [count for count in embedded if count > 1] == [12]


def test_parts_and_no_cache_at_all_give_the_same(model, images, embedded, monkeypatch):
    monkeypatch.setattr(feature_cache, "AT_ONCE", 5)
    expected = embed(model, images)
    np.testing.assert_allclose(embed_once(model, images), expected, rtol=1e-5, atol=1e-6)
    assert embedded == [1, 5, 5, 2]
    monkeypatch.setenv("LINNAEA_CACHE", "none")
    np.testing.assert_allclose(embed_once(model, images), expected, rtol=1e-5, atol=1e-6)
    assert embedded[4:] == [1, 5, 5, 2]


def test_no_images_have_no_features(model, embedded):
    with pytest.raises(ValueError, match="at least one array"):
        embed_once(model, np.zeros((0, 32, 32, 3), dtype=np.uint8))


def test_until_a_deadline_some_images_are_embedded_and_without_one_all():
    images = np.random.default_rng(0).integers(0, 256, (200, 16, 16, 3), dtype=np.uint8)
    model = Hog(2, 16)
    all_of_them = embed(model, images)
    for deadline, count in ((math.inf, 200), (time.monotonic() + 60, 200), (time.monotonic() - 1, 64)):
        found = embed_until(deadline, model, images, once=False, seed=3)
        assert len(found.rows) == count
        assert (np.diff(found.rows) > 0).all()
        np.testing.assert_allclose(found.features, all_of_them[found.rows], atol=1e-6)
        assert found.known == 0


def test_what_an_earlier_run_had_kept_is_counted():
    images = np.random.default_rng(1).integers(0, 256, (30, 16, 16, 3), dtype=np.uint8)
    model = Hog(2, 16)
    assert embed_until(math.inf, model, images[:20]).known == 0
    assert embed_until(math.inf, model, images).known == 20
    assert embed_until(time.monotonic() + 60, model, images).known == 30
