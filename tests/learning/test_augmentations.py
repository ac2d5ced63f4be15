"""Every registered augmentation meets one contract, and does to images and labels what its name says."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from linnaea.errors import UsageError
from linnaea.learning.amounts import amount_of, look_up
from linnaea.learning.augmentations import AUGMENTATIONS, Mixing, augment
from linnaea.learning.augmentations.contract import drawing_from
from linnaea.learning.augmentations.mixing import blend

CLASSES = 3
MIXING = [name for name, member in AUGMENTATIONS.items() if isinstance(member, Mixing)]


def pictures(count=24, height=16, width=16):
    drawn = torch.Generator().manual_seed(1)
    laid_out = torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=drawn)
    return laid_out.permute(0, 3, 1, 2)  # channels last, as training lays them out


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def changed_by(name, images, seed=0):
    return augment(images, torch.arange(len(images)) % CLASSES, [name], seeded(seed), CLASSES)


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
@pytest.mark.parametrize(("count", "height", "width"), [(1, 16, 16), (3, 17, 23), (24, 8, 8)])
def test_contract(name, count, height, width):
    images = pictures(count, height, width)
    before, state = images.clone(), torch.get_rng_state()
    first, second = (changed_by(name, images) for _ in range(2))
    assert first[0].shape == images.shape
    assert first[0].dtype == torch.uint8
    assert torch.equal(first[0], second[0]), "the same seed gives the same pictures"
    assert torch.equal(first[1], second[1]), "and the same labels"
    assert torch.equal(images, before), "the input is not changed"
    assert torch.equal(torch.get_rng_state(), state), "nobody else draws differently"


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_other_seeds_give_other_pictures(name):
    images = pictures()
    drawn = [changed_by(name, images, seed)[0] for seed in range(5)]
    assert any(not torch.equal(picture, images) for picture in drawn)
    assert len({tuple(picture.flatten().tolist()) for picture in drawn}) > 1


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name not in MIXING])
def test_labels_stay_where_nothing_is_mixed(name):
    assert torch.equal(changed_by(name, pictures())[1], torch.arange(24) % CLASSES)


@pytest.mark.parametrize("name", MIXING)
def test_labels_are_mixed_as_pictures_are(name):
    targets = torch.arange(60) % CLASSES
    plain = (80 * targets).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 16, 16)
    mixed, weights = augment(plain, targets, [name], seeded(), CLASSES)
    assert torch.allclose(weights.sum(dim=1), torch.ones(60), atol=1e-5)
    brightness = mixed.float().mean(dim=(1, 2, 3))
    assert torch.allclose(brightness, weights @ torch.tensor([0.0, 80, 160]), atol=0.6)
    assert ((weights > 0.1).sum(dim=1) > 1).any(), "something is mixed"


@pytest.mark.parametrize("name", MIXING)
def test_mixing_twice_keeps_the_sum_of_weights(name):
    _, weights = augment(pictures(), torch.arange(24) % CLASSES, ["mixup", name, "flip"], seeded(), CLASSES)
    assert torch.allclose(weights.sum(dim=1), torch.ones(24), atol=1e-5)


def test_blending_is_torchvisions_mixup():
    class Fixed(v2.MixUp):
        def make_params(self, flat_inputs):
            return {"lam": 0.3}

    images, targets = pictures(), torch.arange(24) % CLASSES
    expected, labels = Fixed(num_classes=CLASSES)(images.float(), targets)
    weights = torch.nn.functional.one_hot(targets, CLASSES).float()
    found, mixed = blend(images, weights, torch.arange(24).roll(1), torch.full((24,), 0.3))
    assert (found.float() - expected).abs().max() <= 0.51
    assert torch.allclose(mixed, labels)


@pytest.mark.parametrize(("name", "dimension"), [("flip", 3), ("vertical_flip", 2)])
def test_flips_mirror_about_half(name, dimension):
    images = pictures(1000, 8, 8)
    flipped, _ = changed_by(name, images)
    same = (flipped == images).flatten(1).all(dim=1)
    mirrored = (flipped == images.flip(dimension)).flatten(1).all(dim=1)
    assert bool((same | mirrored).all())
    assert 0.4 < mirrored.float().mean() < 0.6


@pytest.mark.parametrize(("name", "margin", "mode"), [("shift", 1, "reflect"), ("random_crop:0.0625", 1, "constant")])
def test_moved_pictures_are_parts_of_padded_ones(name, margin, mode):
    images = pictures(40)
    moved, _ = changed_by(name, images)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (margin,) * 2, (margin,) * 2), mode=mode)
    places = [(top, left) for top in range(2 * margin + 1) for left in range(2 * margin + 1)]
    seen = set()
    for picture, whole in zip(moved.numpy(), padded, strict=True):
        found = [at for at in places if (picture == whole[:, at[0] : at[0] + 16, at[1] : at[1] + 16]).all()]
        assert found
        seen.update(found)
    assert len(seen) == len(places), "every place is drawn"


def test_rotation_by_nothing_is_nothing_and_by_its_angle_is_torchvisions():
    images = pictures(1)
    assert torch.equal(changed_by("rotation:0", images)[0], images)
    with drawing_from(seeded()):
        expected = v2.RandomRotation(30, interpolation=v2.InterpolationMode.BILINEAR)(images)
    assert torch.equal(changed_by("rotation:30", images)[0], expected)


@pytest.mark.parametrize(
    ("name", "policy"),
    [("autoaugment", v2.AutoAugment), ("randaugment", v2.RandAugment), ("trivialaugment", v2.TrivialAugmentWide)],
)
def test_policies_are_torchvisions(name, policy):
    images = pictures(1)
    for seed in range(5):
        with drawing_from(seeded(seed)):
            expected = policy()(images)
        assert torch.equal(changed_by(name, images, seed)[0], expected)


def test_erasing_hides_rectangles_of_the_published_sizes():
    images = torch.full((500, 3, 20, 20), 255, dtype=torch.uint8)
    hidden = (changed_by("random_erasing", images)[0] == 0).float().mean(dim=(1, 2, 3))
    erased = hidden[hidden > 0]
    assert 0.4 < len(erased) / 500 < 0.6
    assert erased.min() > 0.01
    assert erased.max() < 0.36
    assert (changed_by("random_erasing:1", images)[0] == 0).flatten(1).any(dim=1).all()


def test_cutout_hides_a_square_that_may_reach_beyond_the_border():
    images = torch.full((300, 3, 20, 20), 255, dtype=torch.uint8)
    hidden = (changed_by("cutout", images)[0] == 0)[:, 0].flatten(1).sum(dim=1)
    assert hidden.max() == 100
    assert 25 <= hidden.min() < 100


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flp", "Did you mean 'flip'"),
        ("flip:3", "takes no number"),
        ("rotation:200", r"from 0 to 180, such as rotation:15"),
        ("rotation:far", "'far'"),
        ("rotation:nan", "from 0 to 180"),
        ("mixup:", "alpha of the Beta distribution"),
    ],
)
def test_names_that_mean_nothing_say_what_is_expected(name, message):
    with pytest.raises(UsageError, match=message):
        changed_by(name, pictures())


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if amount_of(AUGMENTATIONS.about(name))])
def test_a_given_amount_reaches_the_pictures(name):
    (_, usual), allowed = look_up(AUGMENTATIONS, name), amount_of(AUGMENTATIONS.about(name))
    assert usual == allowed.usual
    mild, wild = (changed_by(f"{name}:{amount}", pictures(), 3)[0] for amount in (allowed.least, allowed.most))
    assert not torch.equal(mild, wild)
