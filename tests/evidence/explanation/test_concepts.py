"""Pictures that drive a class, and concepts: planted ones are found, and nothing is claimed where there is nothing."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ttest_ind

from linnaea.errors import DataError, UsageError
from linnaea.evidence.explanation.concepts.directions import (
    chance_directions,
    directions,
    sensitivity,
    told_apart,
)
from linnaea.evidence.explanation.concepts.maximising import moved
from linnaea.evidence.explanation.concepts.places import AtLayer, place_for
from linnaea.evidence.explanation.concepts.spectrum import pictures_of, random_spectrum
from linnaea.evidence.explanation.contract import EXPLAINERS, Settings

BLUE, RED = np.array([0]), np.array([1])


def folder_of(place, images):
    """Picture files."""
    place.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(place / f"{number}.png")
    return tuple(sorted(place.iterdir()))


def random_colours(count):
    """Images (count, 16, 16, 3) of one colour each."""
    colours = np.random.default_rng(7).integers(0, 256, (count, 1, 1, 3), dtype=np.uint8)
    return np.broadcast_to(colours, (count, 16, 16, 3))


@pytest.fixture
def network(make_subject, tmp_path, squares):
    """A small network with maps, which tells red from blue."""
    return make_subject(tmp_path / "network", *squares, kind="lenet5")


def test_a_spectrum_is_a_sum_of_waves_in_decorrelated_colours():
    assert torch.equal(pictures_of(torch.zeros(1, 3, 8, 5, 2), 8), torch.full((1, 3, 8, 8), 0.5))
    spectrum = torch.zeros(1, 3, 8, 5, 2)
    spectrum[0, 0, 0, 2, 0] = 1.0
    logits = torch.logit(pictures_of(spectrum, 8))[0]
    wave = torch.cos(2 * torch.pi * 2 * torch.arange(8) / 8).expand(8, 8)
    np.testing.assert_allclose(logits[0] / logits[0, 0, 0], wave, atol=1e-5)
    assert torch.allclose(logits[1], logits[0] * 0.27 / 0.26, atol=1e-6)
    assert (pictures_of(random_spectrum(2, 9, 4, 0), 9) - 0.5).abs().max() < 0.1


def test_pictures_are_moved_a_little_and_each_in_its_own_way():
    pictures = torch.zeros(2, 1, 32, 32)
    pictures[:, :, 12:20, 12:20] = 1
    shifted = moved(pictures, torch.Generator().manual_seed(0))
    assert not torch.equal(shifted[0], shifted[1])
    inside = shifted[:, 0, 14:18, 14:18]
    assert inside.min() > 0.9
    assert shifted.min() >= 0


def test_the_picture_drives_the_class_beyond_every_training_image_and_noise(network):
    explain = EXPLAINERS["feature_visualisation"]
    found = explain(network, np.array([0, 1]), Settings(samples=24))
    picture, training, noise = found.arrays["activations"].T
    reached = network.classifier.score(found.arrays["pictures"]).raw[[0, 1], [0, 1]]
    np.testing.assert_allclose(reached, picture, rtol=1e-4)
    every = network.classifier.score(np.stack([np.asarray(Image.open(path)) for path in network.training.paths])).raw
    np.testing.assert_allclose(training, every.max(axis=0), rtol=1e-4)
    assert (picture > training + 1).all()
    assert (picture > noise + 1).all()
    assert found.said == ""
    assert len(found.rows) == 2
    assert found.rows[1][1].caption.startswith("strongest of 10 training images")


def test_a_channel_is_driven_as_well_and_one_that_is_not_there_is_refused(network):
    explain = EXPLAINERS["feature_visualisation"]
    name = next(iter(network.layers.by_name))
    found = explain(network, RED, Settings(samples=150, layer=name, channel=3))
    picture, training, noise = found.arrays["activations"][0]
    assert picture > max(training, noise)
    assert found.rows[0][0].caption.startswith(f"channel 3 of {name}")
    with pytest.raises(UsageError, match="channel is 6; expected 0 to 5"):
        explain(network, RED, Settings(layer=name, channel=6))


def test_the_derivative_at_a_layer_is_that_of_adding_a_little_everywhere(network, squares):
    place = AtLayer(network, next(iter(network.layers.by_name.values())))
    images, step = squares[0][:3], 1e-3
    gradients = place.gradients(images, 1)
    module = dict(network.network.named_modules())[place.layer.name]
    before = network.classifier.score(images).raw[:, 1]
    for channel in (0, 4):
        more = torch.zeros(1, 6, 1, 1)
        more[0, channel] = step
        handle = module.register_forward_hook(lambda _, __, output, more=more: output + more)
        after = network.network(network.tensor(images))[:, 1].detach().numpy()
        handle.remove()
        np.testing.assert_allclose((after - before) / step, gradients[:, channel], rtol=0.05, atol=2e-2)


def test_each_picture_is_judged_by_the_classifier_of_all_the_others():
    random = np.random.default_rng(0)
    concept, others = random.normal(0.7, 1, (8, 3)), random.normal(size=(8, 3))
    inputs, signs = np.concatenate([concept, others]), np.repeat([1.0, -1.0], 8)
    centred = inputs - inputs.mean(axis=0)
    ridge = 0.1 * np.trace(centred @ centred.T) / 16
    hits = []
    for row in range(16):
        rest = np.arange(16) != row
        mean, level = inputs[rest].mean(axis=0), signs[rest].mean()
        own = inputs[rest] - mean
        weights = np.linalg.solve(own.T @ own + ridge * np.eye(3), own.T @ (signs[rest] - level))
        hits.append(((inputs[row] - mean) @ weights + level) * signs[row] > 0)
    assert told_apart(concept, others) == np.mean(hits)


def null(seed):
    """A concept of pictures like all others: its directions and those of chance, and a class's gradients."""
    random = np.random.default_rng(seed)
    mix = random.normal(size=(5, 5)) * np.linspace(2, 0.2, 5)
    pool, concept = random.normal(size=(40, 5)) @ mix, random.normal(size=(10, 5)) @ mix
    own = directions(concept, pool, 10, 2, random)
    chance = chance_directions(pool, 10, 12, 2, random)
    return random.normal(size=(6, 5)) + random.normal(size=5), own, chance


def test_a_meaningless_concept_is_claimed_no_more_often_than_the_level_says():
    trials = [null(seed) for seed in range(120)]
    p = np.array([sensitivity(*trial).p for trial in trials])
    assert (p < 0.05).sum() <= 13  # 6 expected; above 13 with a probability of 0.004
    assert (p < 0.5).mean() == pytest.approx(0.5, abs=0.15)
    repeats = [
        ttest_ind((g @ own.T).mean(axis=0), (chance @ g.mean(axis=0)).ravel()).pvalue for g, own, chance in trials
    ]
    assert (np.array(repeats) < 0.05).mean() > 0.08  # what taking repeats for independent would claim


@pytest.mark.parametrize("which", ["subject", "network"])
def test_a_planted_concept_is_found_and_chance_is_not(which, request, tmp_path, squares):
    subject, random = request.getfixturevalue(which), np.random.default_rng(5)
    images = random.integers(0, 60, (12, 1, 1, 3), dtype=np.uint8)
    images[..., 0] += 190
    redness = folder_of(tmp_path / "redness", np.broadcast_to(images, (12, 16, 16, 3)))
    against = folder_of(tmp_path / "colours", random_colours(60))
    found = EXPLAINERS["tcav"](subject, np.array([0, 1]), Settings(concept=redness, against=against))
    share, value, _, p = found.arrays["scores"].T
    assert "red: more of the concept speaks for it" in found.findings[0].summary
    assert "blue: more of the concept speaks against it" in found.findings[0].summary
    assert (p < 0.05).all()
    assert (value[0] < 0 < value[1], share[0] < 0.5 < share[1]) == (True, True)
    assert [each.caption for each in found.rows[1][:4]] == ["the concept"] * 4
    mixed = folder_of(tmp_path / "mixed", squares[0][::2])
    nothing = EXPLAINERS["tcav"](subject, RED, Settings(concept=mixed, against=against))
    assert "more of the concept speaks" not in nothing.findings[0].summary
    assert "red: no" in nothing.findings[0].summary


def test_concepts_that_cannot_be_sought_are_refused(subject, network, tmp_path, squares, monkeypatch):
    explain = EXPLAINERS["tcav"]
    two = folder_of(tmp_path / "two", random_colours(2))
    with pytest.raises(DataError, match="there are 2 pictures of the concept; expected at least 10"):
        explain(subject, RED, Settings(concept=two))
    many = folder_of(tmp_path / "many", squares[0])
    with pytest.raises(DataError, match="there are 2 pictures against it to compare them with; expected at least 20"):
        explain(subject, RED, Settings(concept=many, against=two))
    with pytest.raises(DataError, match="there are 0 training images to compare them with"):
        explain(subject, RED, Settings(concept=many))
    colours = random_colours(30)
    against = folder_of(tmp_path / "against", np.concatenate([colours, squares[0][:1]]))
    (tmp_path / "many" / "broken.png").write_bytes(b"nothing")
    found = explain(subject, RED, Settings(concept=(*many, tmp_path / "many" / "broken.png"), against=against))
    assert "1 file of the concept cannot be read. 1 file of pictures against it are pictures of the con" in found.said
    assert place_for(network, None).name.startswith("layer body.")
    assert place_for(subject, None).name == "features"
    monkeypatch.setattr(type(subject.classifier.model), "linear", False)
    with pytest.raises(UsageError, match="kind hog has neither a layer with a map nor a head that is linear"):
        place_for(subject, None)
