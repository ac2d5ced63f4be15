"""Every registered augmentation meets one contract; flips are used only where mirrored pictures mean the same."""

import numpy as np
import pytest
import torch

from linnaea.learning.augmentation import AUGMENTATIONS, augment
from linnaea.learning.mirror import choose_augmentations
from linnaea.learning.rungs import Job, Options
from linnaea.learning.training import Examples
from linnaea.task import TASKS


def pictures(count=24, size=16):
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
@pytest.mark.parametrize("count", [1, 3, 24])
def test_contract(name, count):
    images = pictures(count)
    before = images.clone()
    first, second = (AUGMENTATIONS[name](images, seeded()) for _ in range(2))
    assert first.shape == images.shape
    assert first.dtype == torch.uint8
    assert torch.equal(first, second), "the same seed gives the same pictures"
    assert torch.equal(images, before), "the input is not changed"


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_something_changes(name):
    assert not torch.equal(AUGMENTATIONS[name](pictures(), seeded()), pictures())


def test_flip_mirrors_about_half():
    images = pictures(1000)
    flipped = augment(images, ["flip"], seeded())
    same = (flipped == images).flatten(1).all(dim=1)
    mirrored = (flipped == images.flip(3)).flatten(1).all(dim=1)
    assert bool((same | mirrored).all())
    assert 0.4 < mirrored.float().mean() < 0.6


def arrows(count, sided, seed):
    """Bright wedges at the left or the right; the class is the side, or the height when `sided` is false."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 40, (count, 32, 32, 3), dtype=np.uint8)
    left, top = generator.integers(0, 2, count), generator.integers(0, 2, count)
    for image, across, down in zip(images, left, top, strict=True):
        image[16 * down + 4 : 16 * down + 12, 16 * across + 4 : 16 * across + 12] = 230
    return Examples(images, (left if sided else top).astype(np.int64))


@pytest.mark.parametrize("sided", [True, False])
def test_flips_are_chosen_by_evidence_and_written_down(sided):
    job = Job(arrows(200, sided, 0), arrows(100, sided, 1), 2, TASKS["binary"], Options())
    names, (note,) = choose_augmentations(job, ("shift", "flip"))
    assert names == (("shift",) if sided else ("shift", "flip"))
    assert f"Mirroring is {'not used' if sided else 'used'}" in note


def test_the_user_has_the_last_word():
    job = Job(arrows(20, True, 0), arrows(20, True, 1), 2, TASKS["binary"], Options(augmentations=("flip",)))
    assert choose_augmentations(job, ("shift", "flip")) == (("flip",), ["Augmentations as asked: flip."])
