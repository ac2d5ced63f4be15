"""Pictures as spectra with decorrelated colours, which optimisation changes evenly at all scales (Olah et al. 2017)."""

import torch
from torch import Tensor

from linnaea.runtime.arguments import COLOUR

# What brightness and two contrasts of natural images are in red, green and blue, the longest column of length one:
# the square root of the covariance of the colours of ImageNet's pixels.
COLOURS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOURS = COLOURS / COLOURS.norm(dim=0).max()
FAINT = 0.01  # the deviation of a spectrum to begin with
SOFTEN = 0.25


def random_spectrum(count: int, side: int, channels: int, seed: int) -> Tensor:
    """Spectra (N, C, S, S // 2 + 1, 2) of `count` faint grey pictures."""
    random = torch.Generator().manual_seed(seed)
    return FAINT * torch.randn((count, channels, side, side // 2 + 1, 2), generator=random)


def pictures_of(spectrum: Tensor, side: int) -> Tensor:
    """Pictures (N, C, S, S), 0 to 1, of spectra (N, C, S, S // 2 + 1, 2); a spectrum of zeros is grey."""
    frequency = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None])
    scale = (side / frequency.clamp(min=1 / side)).to(spectrum.device)
    waves = torch.fft.irfft2(torch.view_as_complex(spectrum) * scale, s=(side, side)) * SOFTEN
    if waves.shape[1] == COLOUR:
        waves = torch.einsum("oc,nchw->nohw", COLOURS.to(waves), waves)
    return torch.sigmoid(waves)
