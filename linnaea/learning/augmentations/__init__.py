"""Augmentations: what is changed in training images without changing what they show.

Each maps a batch of images (N, 3, H, W) of uint8 to another, drawing from the generator it is given; those that mix
images mix their labels too. Add one by registering it in `AUGMENTATIONS`.
"""

from linnaea.learning.augmentations.contract import AUGMENTATIONS, Augmentation, Mixing, augment, require_channels_for

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Mixing",
    "augment",
    "require_channels_for",
]
