"""Everything after decoding as one torch graph: what predicts here is what an export carries."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from linnaea.classifier.calibrators import Calibrator
from linnaea.models import Model
from linnaea.models.familiarity import Familiarity
from linnaea.models.model import to_pixels
from linnaea.task import Task

Answers = tuple[Tensor, ...]


class Judging(nn.Module):
    """From features and raw scores to raw scores, calibrated logits and probabilities (N, K), and OOD scores (N,).

    OOD scores are made of raw scores, which calibration leaves as they are; they are 0 without a familiarity score.
    `prior_shift` (K,) is added to calibrated logits.
    """

    prior_shift: Tensor | None

    def __init__(
        self, task: Task, calibrator: Calibrator, familiarity: Familiarity | None, prior_shift: Sequence[float] = ()
    ) -> None:
        super().__init__()
        self.task, self.calibrator, self.familiarity = task, calibrator, familiarity
        shift = torch.tensor(prior_shift, dtype=torch.float32) if prior_shift else None
        self.register_buffer("prior_shift", shift, persistent=False)

    def forward(self, features: Tensor | None, raw: Tensor, parts: Tensor | None = None) -> Answers:
        """Features (N, D) and `parts` of uncertainty (N, 3), where there are some, and raw scores (N, K) to the four.

        Raises ValueError where the familiarity score is of members and there are no parts.
        """
        logits = self.calibrator(raw)
        if self.prior_shift is not None:
            logits = logits + self.prior_shift
        if self.familiarity is None:
            return raw, logits, self.task.activation(logits), raw[:, 0] * 0
        if self.familiarity.of_members and parts is None:
            raise ValueError(f"the score {self.familiarity.kind} is that of several members, and the model has none")
        scores = self.familiarity(parts if self.familiarity.of_members else features, raw)
        return raw, logits, self.task.activation(logits), scores


class Answering(nn.Module):
    """Images (N, S, S, 3) of uint8 to raw scores, calibrated logits and probabilities (N, K), and OOD scores (N,).

    Of a model that answers by several members, the parts of its uncertainty (N, 3) follow.
    """

    def __init__(self, model: Model, judging: Judging) -> None:
        super().__init__()
        self.model, self.judging = model, judging

    def forward(self, images: Tensor) -> Answers:
        """The four or five, from the features of the images."""
        features = self.model.features(to_pixels(images))
        uncertainty = self.model.uncertainty(features)
        answers: Answers = self.judging(features, self.model.head(features), uncertainty)
        return answers if uncertainty is None else (*answers, uncertainty)
