"""A soup: the mean of the weights of several epochs, as far as it is better on val than the best of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from linnaea.learning.hooks import Hook, State
from linnaea.learning.judging import Judged

Weights = dict[str, Tensor]
NOTHING = "There was nothing to make a soup of: no epoch was better than the first weights, or only one ran."


@dataclass
class Soup(Hook):
    """A greedy soup (Wortsman et al. 2022) of at most `most` of the epochs with the lowest losses on val.

    In the end they are added in the order of these losses, each only where the mean of all that are in it has a lower
    loss. It comes before `judged`, whose best weights it begins with and replaces. What came of it is noted.
    """

    judged: Judged
    most: int
    ingredients: dict[int, Weights] = field(default_factory=dict)
    losses: dict[int, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:  # type: ignore[override]
        """For looking at each soup."""
        return self.judged.seconds * (self.most - 1)

    def after_epoch(self, state: State) -> None:
        """Keep the weights where they are among the best."""
        row = state.history[-1]
        self.losses[row["epoch"]] = row["val_loss_calibrated"]
        best = sorted(self.losses, key=self.losses.__getitem__)[: self.most]
        if row["epoch"] in best:
            self.ingredients[row["epoch"]] = self.judged.weights(state)
        self.ingredients = {epoch: weights for epoch, weights in self.ingredients.items() if epoch in best}

    def end(self, state: State) -> None:
        """Let the best soup be what is left in the model."""
        order = sorted(self.ingredients, key=self.losses.__getitem__)
        if self.judged.best["epoch"] == 0 or len(order) < 2:
            state.mention(NOTHING)
            return
        chosen, alone = [order[0]], self.judged.best["loss"]
        lowest, kept = alone, self.ingredients[order[0]]
        for epoch in order[1:]:
            mean = _mean([self.ingredients[each] for each in (*chosen, epoch)])
            state.model.load_state_dict(mean)
            loss = self.judged.judge(state.network).calibrated
            if loss < lowest:
                lowest, kept = loss, mean
                chosen.append(epoch)
        self.judged.prefer(kept, lowest)
        state.mention(_in_words(sorted(chosen), len(order), lowest, alone))

    def tensors(self) -> Weights:
        """The ingredients, and their losses."""
        kept = {
            f"{epoch}/{name}": value for epoch, weights in self.ingredients.items() for name, value in weights.items()
        }
        return {**kept, "losses": torch.tensor(sorted(self.losses.items()), dtype=torch.float64).reshape(-1, 2)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take them back."""
        self.losses = {int(epoch): loss for epoch, loss in tensors["losses"].tolist()}
        self.ingredients = {}
        for name, value in tensors.items():
            epoch, _, rest = name.partition("/")
            if rest:
                self.ingredients.setdefault(int(epoch), {})[rest] = value


def _mean(several: list[Weights]) -> Weights:
    """The mean of each tensor of decimals, running means included; counters are those of the first.

    Weights that a checkpoint gave back may lie elsewhere than those of later epochs.
    """

    def of(name: str, first: Tensor) -> Tensor:
        if not first.is_floating_point():
            return first
        return torch.stack([weights[name].to(first.device) for weights in several]).mean(dim=0)

    return {name: of(name, first) for name, first in several[0].items()}


def _in_words(chosen: list[int], tried: int, loss: float, alone: float) -> str:
    if len(chosen) == 1:
        return f"No mean over some of the {tried} best epochs had a lower loss on val than epoch {chosen[0]} alone."
    listed = ", ".join(map(str, chosen[:-1])) + f" and {chosen[-1]}"
    return (
        f"The weights are the mean of those of the epochs {listed}: its loss on val is {loss:.3f}, that of the best "
        f"epoch alone {alone:.3f}."
    )
