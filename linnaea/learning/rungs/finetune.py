"""The rung that trains a pretrained network whole, starting from a head fitted on its frozen features."""

import torch

from linnaea.learning.rungs.frozen import fit_frozen
from linnaea.learning.rungs.guard import choose_augmentations
from linnaea.learning.rungs.planned import plan_training
from linnaea.learning.rungs.rung import RUNGS, Fitted, Job, Rung
from linnaea.learning.training import Schedule, fit

EPOCHS = 10
BATCH_SIZE = 32
LEARNING_RATE = 3e-4
BODY_RATE = 0.3
USUAL = ("zoom", "flip")


def fit_finetune(job: Job) -> Fitted:
    """Linear probing, then fine-tuning (Kumar et al. 2022): AdamW, the body slower than the head."""
    probed = fit_frozen(job)
    augmentations, notes = choose_augmentations(job, USUAL)
    model = probed.model
    rate = job.options.learning_rate or LEARNING_RATE
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model.get_submodule("body").parameters()), "rate_scale": BODY_RATE},
            {"params": list(model.get_submodule("classifier").parameters()), "rate_scale": 1.0},
        ],
        lr=rate,
        weight_decay=0.02,
        fused=True,
    )
    epochs = job.options.epochs or EPOCHS
    plan = plan_training(job, model, job.options.batch_size or BATCH_SIZE, epochs)
    history = fit(
        model,
        optimizer,
        job.train,
        job.val,
        Schedule(epochs, plan.batch_size or BATCH_SIZE, rate, patience=4, deadline=job.deadline),
        job.task,
        plan=plan,
        augmentations=augmentations,
        balance=job.balance,
        label_smoothing=0.0 if job.task.multilabel else 0.05,
        seed=job.options.seed,
        checkpoints=job.checkpoints,
        on_epoch=job.on_epoch,
    )
    return Fitted(model, history, [*probed.notes, *notes, *plan.notes], plan.to_json())


RUNGS.register("finetune")(
    Rung(fit_finetune, pretrained=True, balances=("draws", "weights", "loss", "pictures"), usual=USUAL)
)
