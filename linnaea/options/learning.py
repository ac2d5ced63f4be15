"""What learns, from which weights, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from linnaea.options import checks
from linnaea.options.option import Option, Options
from linnaea.options.words import names_in, pairs_in, unless_none
from linnaea.runtime.arguments import require_count, require_positive


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Learning(Options):
    """What learns, and how.

    `model` is "auto" for the ladder of rungs, or names of rungs, registered models, classical pipelines and networks of
    timm or torchvision joined by commas; `weights` "auto", "none" or a file; `model_args` are arguments of the named
    networks, by name. `epochs`, `batch_size` and `learning_rate` None depend on the data and the network. `augment`
    names augmentations (None: chosen by evidence), `balance` what keeps rare classes from being neglected (None:
    nothing), `loss` what is minimised (None: the usual loss of the task).
    """

    title = "Learning"

    model: Annotated[
        str,
        Option(
            "auto (the whole ladder), or names of rungs, models, pipelines (hog+svm) and networks, by commas.",
            checks.model,
        ),
    ] = "auto"
    weights: Annotated[
        str | Path, Option("Pretrained weights: auto (cached or downloaded), none, or a file of safetensors.")
    ] = "auto"
    model_args: Annotated[
        Mapping[str, Any] | Sequence[str],
        Option(
            "Argument of the network, such as drop_rate=0.1; may be given several times. Default: none.",
            lambda _, given: pairs_in(given),
            flags=("--model-arg",),
            repeated=True,
            metavar="KEY=VALUE",
        ),
    ] = ()
    epochs: Annotated[
        int | None,
        Option("Most passes over the training images. Default: depends on their number.", require_count),
    ] = None
    batch_size: Annotated[
        int | None,
        Option(
            "Images per training step. Default: depends on the network.", require_count, flags=("--batch-size", "-b")
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        Option("Highest learning rate. Default: depends on the network.", require_positive, flags=("--lr",)),
    ] = None
    augment: Annotated[
        Sequence[str] | None,
        Option(
            "Augmentations, separated by commas, or none. Default: those that suit the data.",
            checks.member_with_number("augmentation", "linnaea.learning.augmentations"),
            read=names_in,
        ),
    ] = None
    balance: Annotated[
        str | None,
        Option(
            "Method against class imbalance, such as oversample, class_weights or focal. Default: none.",
            checks.member_with_number("balance", "linnaea.learning.balance"),
            read=unless_none,
        ),
    ] = None
    loss: Annotated[
        str | None,
        Option(
            "Loss to train with, such as focal or, with a taxonomy, marginal. Default: the usual one of the task.",
            checks.member_with_number("loss", "linnaea.learning.losses"),
        ),
    ] = None
