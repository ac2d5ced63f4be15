"""Answers by the mean over several members, and the parts of their uncertainty."""

import math
from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from linnaea.models.model import Model

PARTS = ("total", "aleatoric", "epistemic")


class Mixture(Model):
    """A model whose probabilities are the mean of those of its members; `several` says that labels are not exclusive.

    Its scores are the logarithms of the mean probabilities, of several labels their log odds.
    """

    several: bool

    @abstractmethod
    def members(self, features: Tensor) -> Tensor:
        """Features (N, D) to what each member says of them: raw scores (N, M, K)."""

    def head(self, features: Tensor) -> Tensor:
        """Features (N, D) to the scores of the mean (N, K)."""
        return mixed(self.members(features), several=self.several)

    def uncertainty(self, features: Tensor) -> Tensor:
        """Total, aleatoric and epistemic uncertainty of features (N, D) in nats (N, 3)."""
        return parts(self.members(features), several=self.several)

    @property
    def linear(self) -> bool:
        """A mean of probabilities is not linear in the features."""
        return False


def mixed(scores: Tensor, *, several: bool) -> Tensor:
    """The scores of the mean probabilities (N, K) of members with raw scores (N, M, K)."""
    if not several:
        return _mean(functional.log_softmax(scores, dim=-1))
    return _mean(_log_sigmoid(scores)) - _mean(_log_sigmoid(-scores))


def parts(scores: Tensor, *, several: bool) -> Tensor:
    """Total, aleatoric and epistemic uncertainty (N, 3), in nats, of members with raw scores (N, M, K).

    Aleatoric is the mean of the members' entropies, epistemic the mutual information of answer and member, the mean
    divergence of members from their mean, and total their sum, which is the entropy of the mean (Depeweg et al. 2018).
    Of several labels they are sums over labels. None is below 0.
    """
    logs = _logs(scores, several=several)
    shares = logs.exp()
    means = _mean(logs).unsqueeze(1)
    aleatoric = -(shares * logs).sum(dim=(2, 3)).mean(dim=1)
    epistemic = (shares * (logs - means)).sum(dim=(2, 3)).mean(dim=1).clamp(min=0)
    return torch.stack([aleatoric + epistemic, aleatoric, epistemic], dim=1)


def _logs(scores: Tensor, *, several: bool) -> Tensor:
    """Log-probabilities (N, M, L, C) of members, of L decisions among C outcomes each."""
    if several:
        return torch.stack([_log_sigmoid(scores), _log_sigmoid(-scores)], dim=-1)
    return functional.log_softmax(scores, dim=-1).unsqueeze(2)


def _log_sigmoid(scores: Tensor) -> Tensor:
    """By an operator that every format has; Core ML has no `logsigmoid`."""
    return -functional.softplus(-scores)


def _mean(logs: Tensor) -> Tensor:
    """The logarithm of the mean over members, the second dimension."""
    return torch.logsumexp(logs, dim=1) - math.log(logs.shape[1])
