"""Fisher vectors."""

import math
import warnings

import torch
from torch import Tensor
from torch.nn import functional

from linnaea.arrays import Float32
from linnaea.models.classical.encodings.contract import ENCODINGS, Encoding, some_of

MODES = 16
COMPONENTS = 32
MOST_DESCRIPTORS = 30_000


@ENCODINGS.register("fisher", title="Fisher vector")
class Fisher(Encoding):
    """How descriptors would move a mixture of Gaussians: the improved Fisher vector (Perronnin et al. 2010).

    Descriptors are brought to their first 32 principal components by `mean` (D,) and `components` (C, D). `shares`
    (M,), `centres` and `variances` (M, C) are the mixture's; the vector has M (2 C + 1) numbers, square roots of their
    sizes, and unit length.
    """

    kind = "fisher"
    mean: Tensor
    components: Tensor
    shares: Tensor
    centres: Tensor
    variances: Tensor

    def __init__(self, modes: int, components: int, length: int) -> None:
        super().__init__(modes=modes, components=components, length=length)
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("components", torch.zeros(components, length))
        self.register_buffer("shares", torch.full((modes,), 1 / modes))
        self.register_buffer("centres", torch.zeros(modes, components))
        self.register_buffer("variances", torch.ones(modes, components))

    def forward(self, descriptors: Tensor) -> Tensor:
        """Descriptors (N, P, D) to Fisher vectors (N, M (2 C + 1))."""
        inputs = self.project(descriptors).double()
        shares, centres, variances = self.shares.double(), self.centres.double(), self.variances.double()
        likely = self._likely(inputs).transpose(1, 2) / inputs.shape[1]  # (N, M, P)
        sums, means, squares = likely.sum(dim=2), likely @ inputs, likely @ inputs.square()
        by_share = (sums - shares) / shares.sqrt()
        by_centre = (means - sums[..., None] * centres) / (shares.sqrt()[:, None] * variances.sqrt())
        spread = sums[..., None] * (variances - centres.square()) - squares + 2 * means * centres
        by_variance = spread / (math.sqrt(2) * shares.sqrt()[:, None] * variances)
        vector = torch.cat([by_share, by_centre.flatten(1), by_variance.flatten(1)], dim=1)
        return functional.normalize(vector.sign() * vector.abs().sqrt(), dim=1).float()

    def project(self, descriptors: Tensor) -> Tensor:
        """Descriptors (N, P, D) to their principal components (N, P, C)."""
        return (descriptors - self.mean) @ self.components.T

    def _likely(self, inputs: Tensor) -> Tensor:
        """The probability of each mode for each descriptor (N, P, M)."""
        precise = 1 / self.variances.double()
        centres = self.centres.double()
        far = inputs.square() @ precise.T - 2 * inputs @ (centres * precise).T + (centres.square() * precise).sum(dim=1)
        return (self.shares.double().log() - 0.5 * (far + self.variances.double().log().sum(dim=1))).softmax(dim=2)

    @classmethod
    def fit(cls, descriptors: Float32, seed: int) -> "Fisher":
        """Principal components and a mixture of at most 16 Gaussians of 30,000 descriptors."""
        from sklearn.decomposition import PCA
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        rows = some_of(descriptors, MOST_DESCRIPTORS, seed)
        kept = PCA(min(COMPONENTS, *rows.shape), random_state=seed).fit(rows)
        number = max(1, min(MODES, len(rows) // 2))
        mixture = GaussianMixture(number, covariance_type="diag", reg_covar=1e-4, max_iter=50, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # where it stops it is a mixture as good as any
            mixture.fit(kept.transform(rows))
        return cls(number, kept.n_components_, rows.shape[1]).filled(
            mean=kept.mean_,
            components=kept.components_,
            shares=mixture.weights_,
            centres=mixture.means_,
            variances=mixture.covariances_,
        )
