"""What learns, from which weights, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from linnaea.options import checks
from linnaea.options.option import Option, Options
from linnaea.options.words import batch_in, names_in, pairs_in, unless_none
from linnaea.runtime.arguments import require_batch, require_count, require_positive


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Learning(Options):
    """What learns, and how.

    `model` is "auto" for the ladder of rungs, or names of rungs, registered models, classical pipelines and networks of
    timm or torchvision joined by commas; `weights` "auto", "none" or a file; `model_args` are arguments of the named
    networks, by name. `epochs`, `batch_size` and `learning_rate` None depend on the data and the network. `augment`
    names augmentations (None: chosen by evidence), `balance` what keeps rare classes from being neglected (None:
    nothing), `fair` what keeps groups, the values of the column `fair_by`, from being neglected (None: nothing), `loss`
    what is minimised (None: the usual loss of the task).

    The rest is about networks that are trained; None means what suits the rung. `objective` names what is made small
    from a network and a batch (None: the loss against labels), `teacher` a run that some objectives learn from.
    `optimizer` names one, the number after it is its weight decay; `schedule` how the rate falls after it has risen
    over the share `warmup` of the training. `accumulate` batches make a step, its gradient is no longer than
    `clip_norm`; `ema` is the decay of averaged weights. `on_nan` "rollback" goes back to the last checkpoint, with half
    the rate, when the loss is no number. `unfreeze` and `layer_decay` say which layers of a pretrained network learn,
    and how fast. `find_lr` looks for the rate by a range test. `uncertainty` names what several members are made by,
    which answer together (None: one model answers); a number is that of a deep ensemble.
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
        str | Path,
        Option(
            "Pretrained weights: auto (cached or downloaded), none, a file of safetensors, or a run to train on from."
        ),
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
        int | str | None,
        Option(
            "Images per training step, or auto: as many as fit and make it faster. Default: depends on the network.",
            require_batch,
            flags=("--batch-size", "-b"),
            read=batch_in,
            metavar="N",
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
    fair: Annotated[
        str | None,
        Option(
            "Method against differences between groups, for those of --fair-by: {names}. Default: none.",
            checks.member_with_number("fairness method", "linnaea.learning.fairness"),
            read=unless_none,
            names=checks.names("fairness method", "linnaea.learning.fairness"),
        ),
    ] = None
    fair_by: Annotated[
        str | None, Option("Column of metadata whose values are the groups to be fair to, with --fair.")
    ] = None
    loss: Annotated[
        str | None,
        Option(
            "Loss to train with, such as focal or, with a taxonomy, marginal. Default: the usual one of the task.",
            checks.loss,
        ),
    ] = None
    objective: Annotated[
        str | None,
        Option(
            "What networks make small, such as supervised_contrastive, triplet:0.3 or co_teaching. Default: labels.",
            checks.member_with_number("objective", "linnaea.learning.objectives"),
        ),
    ] = None
    teacher: Annotated[
        str | Path | None,
        Option(
            "Folder of a finished run to learn from, for the distillation objectives.", checks.classifier, read=Path
        ),
    ] = None
    optimizer: Annotated[
        str | None,
        Option(
            "Optimizer, such as sgd, adamw:0.05 (its weight decay) or lion. Default: depends on the network.",
            checks.member_with_number("optimizer", "linnaea.learning.optimizers"),
        ),
    ] = None
    schedule: Annotated[
        str | None,
        Option(
            "Schedule of the learning rate, such as cosine, step:0.1 or plateau. Default: one_cycle.",
            checks.member_with_number("schedule", "linnaea.learning.schedules"),
        ),
    ] = None
    warmup: Annotated[
        float | None,
        Option(
            "Share of the training over which the rate rises. Default: depends on the schedule.",
            checks.between(0, 0.9, 0.05),
        ),
    ] = None
    find_lr: Annotated[
        bool, Option("Look for the learning rate by a range test, and leave its plot with the checkpoints.")
    ] = False
    accumulate: Annotated[int | None, Option("Batches whose gradients make one step. Default: 1.", require_count)] = (
        None
    )
    clip_norm: Annotated[
        float | None, Option("Longest gradient; longer ones are shortened. Default: any length.", require_positive)
    ] = None
    ema: Annotated[
        float | None,
        Option("Decay per step of averaged weights, such as 0.999. Default: no averages.", checks.share(0.999)),
    ] = None
    label_smoothing: Annotated[
        float | None,
        Option(
            "Share of each label to spread over all classes. Default: depends on the rung.", checks.between(0, 0.9, 0.1)
        ),
    ] = None
    dropout: Annotated[
        float | None, Option("Share of features to drop while training (timm).", checks.between(0, 0.9, 0.2))
    ] = None
    drop_path: Annotated[
        float | None,
        Option("Share of residual branches to drop while training (timm).", checks.between(0, 0.9, 0.1)),
    ] = None
    on_nan: Annotated[
        str | None,
        Option(
            "What to do about a loss that is no number: stop, or rollback to the last checkpoint with half the rate. "
            "Default: stop.",
            checks.one_of("stop", "rollback"),
        ),
    ] = None
    patience: Annotated[
        int | None,
        Option(
            "Epochs without a lower loss on val after which training stops. Default: depends on the rung.",
            require_count,
        ),
    ] = None
    unfreeze: Annotated[
        str | None,
        Option(
            "Stages of a pretrained network that learn: all, last:2 or gradual. Default: all.",
            checks.member_with_number("unfreezing", "linnaea.learning.unfreezing"),
        ),
    ] = None
    lora: Annotated[
        int | None,
        Option(
            "Rank of low-rank adapters, which learn in place of a transformer's weights. Default: no adapters.",
            require_count,
        ),
    ] = None
    soup: Annotated[
        int | None,
        Option(
            "Average the weights of up to so many of the best epochs, where val says so. Default: no averages.",
            checks.at_least(2, "epochs", 5),
        ),
    ] = None
    uncertainty: Annotated[
        int | str | None,
        Option(
            "Answer by several members, with the parts of their uncertainty: {names}, such as swag:10; a number alone "
            "is that of a deep ensemble. Default: one network.",
            checks.uncertainty,
            flags=("--uncertainty", "--ensemble"),
            read=batch_in,
            metavar="METHOD|N",
            names=checks.names("uncertainty", "linnaea.learning.uncertainty"),
        ),
    ] = None
    layer_decay: Annotated[
        float | None,
        Option(
            "Rate of each layer of a pretrained network in terms of the next one's, such as 0.75. Default: 1.",
            checks.between(0.01, 1, 0.75),
        ),
    ] = None
