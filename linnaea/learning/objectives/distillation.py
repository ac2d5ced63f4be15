"""Distillation: learning from what another classifier answers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

from torch import Tensor, nn
from torch.nn import functional

from linnaea.learning.objectives.contract import OBJECTIVES, Setting, mixed


class FromTeacher(ABC):
    """What a network learns from labels and from a teacher, of batches of images (B, 3, S, S) of uint8 and targets.

    The teacher sees the same images, changed and mixed as they are (Beyer et al. 2022). A network with a distillation
    token learns from the labels by its class head and from the teacher by the other (Touvron et al. 2021); any other by
    its one head. `share` is that of the teacher in the loss.
    """

    share: ClassVar[float]

    def __init__(self, setting: Setting) -> None:
        assert setting.teacher is not None, "it is asked for before"
        self.setting, self.teacher = setting, setting.teacher

    @classmethod
    def made(cls, setting: Setting) -> Self:
        """One for this training."""
        return cls(setting)

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The weighted mean of both losses, and how often network and teacher give the same answer."""
        setting = self.setting
        images, targets = self.seen(*batch)
        heads = model(images.float().div_(255), apart=True).heads
        said = self.teacher.logits(images)
        labels = setting.balance.loss(setting.criterion, heads[0], targets, setting.label_smoothing)
        taught = self.matched(heads[-1].float(), said)
        agreement = (heads[-1].argmax(dim=1) == said.argmax(dim=1)).float().mean()
        loss = (1 - self.share) * labels + self.share * taught
        return loss, {"label_loss": labels, "teacher_loss": taught, "agreement": agreement}

    def seen(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The images and targets that the network is shown: these, mixed."""
        return mixed(self.setting, images, targets)

    @abstractmethod
    def matched(self, logits: Tensor, said: Tensor) -> Tensor:
        """The loss of logits (N, K) against those of the teacher, a scalar."""


@OBJECTIVES.register(
    "distillation",
    title="Distillation",
    meaning="The teacher's probabilities at a temperature, beside the labels.",
    order=6,
    tasks=("binary", "multiclass", "hierarchical"),
    balances=("draws", "weights", "loss", "pictures"),
    amount=("the temperature", 4, 1, 20),
    mixes=True,
    teacher=True,
)
class Distillation(FromTeacher):
    """Distillation of logits (Hinton et al. 2015): nine tenths of the loss are the teacher's, a tenth the labels'."""

    share = 0.9

    def matched(self, logits: Tensor, said: Tensor) -> Tensor:
        """The divergence of the softened probabilities."""
        assert self.setting.amount is not None, "it takes a number"
        return softened(logits, said, self.setting.amount)


@OBJECTIVES.register(
    "hard_distillation",
    title="Hard distillation",
    meaning="The teacher's answers as if they were labels, beside the labels.",
    order=7,
    tasks=("binary", "multiclass", "hierarchical"),
    balances=("draws", "weights", "loss", "pictures"),
    mixes=True,
    teacher=True,
)
class HardDistillation(FromTeacher):
    """Hard-label distillation (Touvron et al. 2021): half of the loss is against labels, half against answers."""

    share = 0.5

    def matched(self, logits: Tensor, said: Tensor) -> Tensor:
        """The cross-entropy against the teacher's answers."""
        return functional.cross_entropy(logits, said.argmax(dim=1))


def softened(logits: Tensor, said: Tensor, temperature: float) -> Tensor:
    """The mean divergence of probabilities (N, K) at a temperature T from the teacher's, times T^2 for its gradient."""
    own, wanted = (functional.log_softmax(part / temperature, dim=1) for part in (logits, said))
    return temperature**2 * functional.kl_div(own, wanted, reduction="batchmean", log_target=True)
