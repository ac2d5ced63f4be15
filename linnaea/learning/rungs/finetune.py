"""The rung that trains a pretrained network whole, starting from a head fitted on its frozen features."""

from dataclasses import replace

import torch

from linnaea.learning.job import Fitted, Job
from linnaea.learning.rungs.contract import RUNGS, Rung
from linnaea.learning.rungs.frozen import fit_frozen
from linnaea.learning.rungs.guard import choose_augmentations
from linnaea.learning.rungs.planned import plan_training
from linnaea.learning.schedule import Schedule
from linnaea.learning.supervised import Trained, train_network
from linnaea.models.network import Network

EXAMPLES_SEEN = 18_000
FEWEST_EPOCHS, MOST_EPOCHS = 4, 12
BATCH_SIZE = 32
LEARNING_RATE = 2e-4
WEIGHT_DECAY = 0.02
USUAL = ("zoom", "flip")


def fit_finetune(job: Job) -> Fitted:
    """Linear probing, then fine-tuning (Kumar et al. 2022): AdamW, batch normalisation as pretraining left it."""
    probed = fit_frozen(job)
    assert isinstance(probed.model, Network), "a frozen backbone is a network"
    model, options = probed.model, job.options
    augmentations, notes = choose_augmentations(job, USUAL)
    kept = model.keep_statistics()
    rate = options.learning_rate or LEARNING_RATE
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY, fused=True)
    epochs = options.epochs or max(FEWEST_EPOCHS, min(MOST_EPOCHS, round(EXAMPLES_SEEN / len(job.train))))
    plan = plan_training(job, model, options.batch_size or BATCH_SIZE, epochs)
    trained = train_network(
        job,
        model,
        optimizer,
        Schedule(epochs, plan.batch_size or BATCH_SIZE, rate, patience=4, deadline=job.deadline_to_train(model)),
        plan,
        augmentations=augmentations,
        label_smoothing=0.0 if job.task.multilabel else 0.05,
    )
    notes = [*probed.notes, *notes, *filter(None, [kept]), *plan.notes]
    if trained.kept:
        return Fitted(model, trained.history, notes, plan.to_json())
    return replace(
        probed, model=model, history=trained.history, notes=notes, plan=plan.to_json(), warnings=[_not_better(trained)]
    )


def _not_better(trained: Trained) -> str:
    if not trained.history:
        return (
            "The time limit left no time for a single step of fine-tuning: the frozen backbone was kept. Set a longer "
            "--time-limit."
        )
    lowest = min(row["val_loss_calibrated"] for row in trained.history)
    return (
        f"Fine-tuning did not help: its lowest loss on val was {lowest:.3f}, against {trained.start:.3f} for the "
        "frozen backbone it started from, so those weights were kept. A smaller --lr or more --epochs may help."
    )


RUNGS.register("finetune", title="Fine-tuning", meaning="A pretrained network, all of it trained on.", cost="hours")(
    Rung(fit_finetune, pretrained=True, balances=("draws", "weights", "loss", "pictures"), usual=USUAL)
)
