"""DAISY as scikit-image computes it, in plain operations."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from linnaea.arrays import Float64, Integers

EPS = 1e-10  # what scikit-image adds to each number, and converters would take for nothing: here the least there is
FAINTEST = 1e-20  # squared, of a gradient that has no direction


class PlainDaisy(nn.Module):
    """Squares (N, 3, S, S) of whole numbers to descriptors (N, P, (1 + rings x histograms) x orientations).

    What is blurred is only read at few places: blurring and reading are one product with a matrix from either side.
    `spacing` is that of the places and the radius; the image is continued beyond its edges by half of it.
    """

    continued: Tensor
    directions: Tensor

    def __init__(self, side: int, spacing: int, *, orientations: int, histograms: int, rings: int) -> None:
        super().__init__()
        before, after = spacing // 2, spacing // 2 + 1
        pixels = np.pad(np.arange(side), (before, after), mode="reflect")
        angles = 2 * np.pi * np.arange(orientations) / orientations - np.pi
        self.width = orientations / math.pi
        self._keep("continued", np.eye(side)[pixels])
        self._keep("directions", np.stack([np.cos(angles), np.sin(angles)])[:, None, :, None, None])
        readings = _readings(len(pixels), spacing, histograms, rings)
        self.count = len(readings)
        for number, (down, across) in enumerate(readings):
            self._keep(f"down_{number}", down)
            self._keep(f"across_{number}", across.T)

    def _keep(self, name: str, values: Float64) -> None:
        self.register_buffer(name, torch.from_numpy(np.asarray(values, dtype=np.float32)))

    def forward(self, squares: Tensor) -> Tensor:
        """Squares (N, 3, S, S) to descriptors (N, P, D)."""
        votes = self.votes(self.continued @ grey(squares) @ self.continued.T / 255)
        found = [
            self.get_buffer(f"down_{number}") @ votes @ self.get_buffer(f"across_{number}")
            for number in range(self.count)
        ]
        descriptors = torch.cat(found, dim=1).flatten(2).transpose(1, 2).clamp(min=EPS)
        return descriptors / descriptors.sum(dim=2, keepdim=True)

    def votes(self, pixels: Tensor) -> Tensor:
        """What the gradients of grey pixels (N, 1, L, L) say for each orientation (N, O, L, L)."""
        across = functional.pad(pixels[..., 1:] - pixels[..., :-1], (0, 1))
        down = functional.pad(pixels[..., 1:, :] - pixels[..., :-1, :], (0, 0, 0, 1))
        length = torch.sqrt(across * across + down * down)
        cosine = (across * self.directions[0] + down * self.directions[1]) / torch.sqrt(
            (across * across + down * down).clamp(min=FAINTEST)
        )
        return torch.exp(self.width * cosine) * length


def grey(squares: Tensor) -> Tensor:
    """Colours (N, 3, S, S) of whole numbers without their colours (N, 1, S, S), in whole numbers, as OpenCV has it."""
    red, green, blue = squares[:, :1], squares[:, 1:2], squares[:, 2:3]
    return torch.floor((red * 9798 + green * 19235 + blue * 3735 + 16384) / 32768)


def _readings(length: int, spacing: int, histograms: int, rings: int) -> Sequence[tuple[Float64, Float64]]:
    """Of each histogram of a descriptor what blurs and reads `length` rows, and columns: (P, length) each."""
    count = (length - 2 * spacing + spacing - 1) // spacing
    places = spacing + spacing * np.arange(count)
    sigmas = [spacing * (ring + 1) / (2 * rings) for ring in range(rings)]
    found = [(_blur(length, sigmas[0], places),) * 2]
    for ring, sigma in enumerate(sigmas):
        radius = spacing * (ring + 1) / rings
        for number in range(histograms):
            angle = 2 * math.pi * number / histograms
            down, across = (round(radius * turn(angle)) for turn in (math.sin, math.cos))
            found.append((_blur(length, sigma, places + down), _blur(length, sigma, places + across)))
    return found


def _blur(length: int, sigma: float, places: Integers) -> Float64:
    """The rows (P, length) of the matrix that blurs `length` numbers by a Gaussian, at these places."""
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(np.eye(length), sigma, axis=0, mode="reflect")[places])
