"""Bags of visual words."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from linnaea.arrays import Float32
from linnaea.models.classical.encodings.contract import ENCODINGS, Encoding, some_of

WORDS = 256
MOST_DESCRIPTORS = 50_000
PARTS = 2  # per side, beside the whole image


@ENCODINGS.register("bovw", title="Bag of visual words")
class BagOfWords(Encoding):
    """Counts of the nearest words of a k-means vocabulary (Csurka et al. 2004), in the image and in its quarters.

    The quarters are a spatial pyramid of two levels (Lazebnik et al. 2006); counts are weighted by how few images have
    the word (tf-idf, Sivic and Zisserman 2003), and the vector (N, 5 W) has unit length. `words` (W, D) are the
    vocabulary, `rarity` (W,) their weights.
    """

    kind = "bovw"
    words: Tensor
    rarity: Tensor

    def __init__(self, words: int, length: int) -> None:
        super().__init__(words=words, length=length)
        self.register_buffer("words", torch.zeros(words, length))
        self.register_buffer("rarity", torch.ones(words))

    def forward(self, descriptors: Tensor) -> Tensor:
        """Descriptors (N, P, D) to weighted counts (N, 5 W)."""
        cells = torch.cat([self.counts(descriptors)[:, None], self._quarters(descriptors)], dim=1)
        return functional.normalize((cells * self.rarity).flatten(1), dim=1)

    def counts(self, descriptors: Tensor) -> Tensor:
        """How often each word is the nearest (N, W)."""
        return self._ones(descriptors).sum(dim=1)

    def _ones(self, descriptors: Tensor) -> Tensor:
        """1 for the nearest word of each descriptor (N, P, W), of equally near ones the first."""
        distances = self.words.square().sum(dim=1) - 2 * descriptors @ self.words.T
        places = torch.arange(len(self.words), device=descriptors.device)
        return (distances.argmin(dim=2, keepdim=True) == places).float()

    def _quarters(self, descriptors: Tensor) -> Tensor:
        """The counts in each quarter (N, 4, W); an odd number of places per side leaves the later ones the larger."""
        side = math.isqrt(descriptors.shape[1])
        grid = self._ones(descriptors).reshape(descriptors.shape[0], side, side, -1)
        half = side // PARTS
        halves = (slice(0, half), slice(half, side))
        return torch.stack([grid[:, down, across].sum(dim=(1, 2)) for down in halves for across in halves], dim=1)

    @classmethod
    def fit(cls, descriptors: Float32, seed: int) -> "BagOfWords":
        """At most 256 words from 50,000 descriptors, and the smoothed inverse frequencies of images that have them."""
        from sklearn.cluster import MiniBatchKMeans

        rows = some_of(descriptors, MOST_DESCRIPTORS, seed)
        number = min(WORDS, len(np.unique(rows, axis=0)))
        found = MiniBatchKMeans(number, batch_size=2_048, n_init=1, random_state=seed).fit(rows)
        bag = cls(number, descriptors.shape[2]).filled(words=found.cluster_centers_)
        parts = (torch.from_numpy(part) for part in np.array_split(descriptors, max(1, len(descriptors) // 64)))
        having = sum((bag.counts(part) > 0).sum(dim=0) for part in parts)
        return bag.filled(rarity=1 + np.log((1 + len(descriptors)) / (1 + np.asarray(having))))
