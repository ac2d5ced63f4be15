"""Answers by several members: the mean, and the parts of its uncertainty, beside scipy's entropies."""

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from scipy.stats import entropy
from torch import nn
from torch.nn import functional

from linnaea.errors import BundleError, UsageError
from linnaea.models import build
from linnaea.models.ensembles.dropping import dropping_in
from linnaea.models.ensembles.ensemble import Ensemble
from linnaea.models.ensembles.masked import Masked
from linnaea.models.ensembles.mixture import mixed, parts
from linnaea.models.network import Network
from linnaea.models.resizing import averaged_to

LENET = {"kind": "lenet5", "arguments": {"classes": 3, "size": 32}}


def scores(*shape, scale=2.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_one_label_by_the_entropies_of_scipy():
    given = scores(20, 4, 5)
    shares = softmax(given.double().numpy(), axis=2)
    total, aleatoric, epistemic = parts(given, several=False).T.double().numpy()
    mean = shares.mean(axis=1)
    np.testing.assert_allclose(functional.softmax(mixed(given, several=False), dim=1), mean, atol=1e-6)
    np.testing.assert_allclose(total, entropy(mean, axis=1), atol=1e-5)
    np.testing.assert_allclose(aleatoric, entropy(shares, axis=2).mean(axis=1), atol=1e-5)
    np.testing.assert_array_equal((total - aleatoric - epistemic).round(6), 0)


def test_several_labels_add_the_entropies_of_each():
    given = scores(20, 4, 5)
    shares = expit(given.double().numpy())
    both = np.stack([shares, 1 - shares])
    total, aleatoric, _ = parts(given, several=True).T.double().numpy()
    np.testing.assert_allclose(torch.sigmoid(mixed(given, several=True)), shares.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(total, entropy(both.mean(axis=2), axis=0).sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(aleatoric, entropy(both, axis=0).sum(axis=2).mean(axis=1), atol=1e-5)


@pytest.mark.parametrize("several", [False, True])
def test_members_that_agree_leave_nothing_to_learn(several):
    given = scores(6, 1, 3).repeat(1, 4, 1)
    total, aleatoric, epistemic = parts(given, several=several).T
    assert epistemic.max() < 1e-6
    torch.testing.assert_close(total, aleatoric)
    torch.testing.assert_close(
        mixed(given, several=several).softmax(dim=1), given[:, 0].softmax(dim=1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("several", [False, True])
def test_certain_members_that_contradict_each_other_are_all_epistemic(several):
    given = torch.tensor([[[500.0, -500.0], [-500.0, 500.0]]])
    total, aleatoric, epistemic = parts(given, several=several)[0].tolist()
    assert aleatoric == 0
    assert total == epistemic == pytest.approx(np.log(2) * (2 if several else 1))
    assert mixed(given, several=several).isfinite().all()


@torch.no_grad()
def test_an_ensemble_answers_by_the_mean_of_its_members_at_their_sizes():
    torch.manual_seed(0)
    small = build("textbook_cnn", {"classes": 3, "size": 16}).eval()
    large = build("lenet5", {"classes": 3, "size": 32}).eval()
    made = Ensemble.of([large, small], 3, 32, several=False, channels=3)
    pixels = torch.rand(4, 3, 32, 32)
    expected = (large(pixels).softmax(1) + small(averaged_to(pixels, 16)).softmax(1)) / 2
    torch.testing.assert_close(made(pixels).softmax(dim=1), expected)
    torch.testing.assert_close(made.features(pixels)[:, :84], large.features(pixels))


@pytest.mark.parametrize(
    ("members", "channels", "told"),
    [
        ([LENET], 3, "an ensemble of 1 is none"),
        ([LENET, {"kind": "lenet5", "arguments": {"classes": 4, "size": 32}}], 3, "member 2 is for 4 classes"),
        ([LENET, LENET], 1, "member 1 is for 3 classes and images of 3 channels; expected 3 and 1"),
    ],
)
def test_members_that_do_not_fit_are_refused(members, channels, told):
    with pytest.raises(UsageError, match=told):
        Ensemble(3, 32, members, channels=channels)
    with pytest.raises(BundleError, match=told):
        build("ensemble", {"classes": 3, "size": 32, "members": members, "channels": channels})


@pytest.mark.parametrize(
    ("name", "arguments", "places", "late"),
    [
        ("test_efficientnet", {"drop_rate": 0.25}, 0, True),
        ("test_vit", {"drop_rate": 0.25}, 1, True),
        ("test_vit", {"proj_drop_rate": 0.25}, 12, False),
    ],
)
def test_dropout_is_found_where_it_is(name, arguments, places, late):
    torch.manual_seed(0)
    model = Network(name, 3, 32, arguments_of_body=arguments).eval()
    found = dropping_in(model, 32)
    assert found.late is late
    assert bool(found.places) == bool(places)
    assert found.share == (0.25 if late else 0)


def test_a_network_without_dropout_is_told_what_to_do():
    with pytest.raises(UsageError, match=r"drops nothing while it trains.*--dropout 0\.2"):
        dropping_in(build("lenet5", {"classes": 3, "size": 32}), 32)


@torch.no_grad()
def test_each_mask_is_a_network_whose_units_are_gone():
    torch.manual_seed(0)
    model = build("textbook_cnn", {"classes": 3, "size": 16, "dense": 32, "dropout": 0.5}).eval()
    generator = torch.Generator().manual_seed(1)
    made = Masked.of(model, dropping_in(model, 16), 4, 16, several=False, generator=generator)
    pixels = torch.rand(5, 3, 16, 16)
    kept = next(layer for layer in made.modules() if hasattr(layer, "kept")).kept
    assert 0.2 < kept.float().mean() < 0.8
    said = made.members(made.features(pixels))
    for member in range(4):
        expected = model.head(model.features(pixels) * kept[member] * 2)
        torch.testing.assert_close(said[:, member], expected)
    assert not any(isinstance(layer, nn.Dropout) for layer in made.modules())
