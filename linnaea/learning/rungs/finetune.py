"""The rung that trains a pretrained network whole, starting from a head fitted on its frozen features."""

import torch

from linnaea.learning.rungs.frozen import fit_frozen
from linnaea.learning.rungs.guard import choose_augmentations
from linnaea.learning.rungs.rung import RUNGS, Fitted, Job, Rung
from linnaea.learning.training import Schedule, fit
from linnaea.runtime.files import read_json, write_json
from linnaea.runtime.plan import Plan, measure

EPOCHS = 10
BATCH_SIZE = 32
LEARNING_RATE = 3e-4
BODY_RATE = 0.3
USUAL = ("zoom", "flip")


def fit_finetune(job: Job) -> Fitted:
    """Linear probing, then fine-tuning (Kumar et al. 2022): AdamW, the body slower than the head."""
    probed = fit_frozen(job)
    augmentations, notes = choose_augmentations(job, USUAL)
    batch_size = job.options.batch_size or BATCH_SIZE
    model = probed.model
    rate = job.options.learning_rate or LEARNING_RATE
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model.get_submodule("body").parameters()), "rate_scale": BODY_RATE},
            {"params": list(model.get_submodule("classifier").parameters()), "rate_scale": 1.0},
        ],
        lr=rate,
        weight_decay=0.02,
    )
    plan = measure_training(job, model, batch_size)
    history = fit(
        model,
        optimizer,
        job.train,
        job.val,
        Schedule(job.options.epochs or EPOCHS, batch_size, rate, patience=4, deadline=job.deadline),
        job.task,
        plan=plan,
        augmentations=augmentations,
        balance=job.balance,
        label_smoothing=0.0 if job.task.multilabel else 0.05,
        seed=job.options.seed,
        checkpoints=job.checkpoints,
        on_epoch=job.on_epoch,
    )
    return Fitted(model, history, [*probed.notes, *notes], plan.to_json())


def measure_training(job: Job, model: torch.nn.Module, batch_size: int) -> Plan:
    """Time forward and backward passes of one batch under each candidate plan; weights and buffers stay as they are.

    The plan is kept beside the checkpoints, so that a resumed training goes on in the same number format.
    """
    kept = job.checkpoints / "plan.json" if job.checkpoints else None
    if kept is not None and kept.exists():
        return Plan.from_json(read_json(kept) | {"device": job.options.device})
    images, targets = job.train.batch(torch.arange(min(batch_size, len(job.train))).numpy())
    pixels = images.to(job.options.device).float().div_(255).contiguous(memory_format=torch.channels_last)
    targets = targets.to(job.options.device)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.to(job.options.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]

    def step(plan: Plan) -> None:
        with plan.autocast():
            logits = model(pixels)
        torch.autograd.backward(job.task.loss(logits, targets))

    plan = measure(job.options.device, step, job.options.precision)
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    if kept is not None:
        write_json(kept, plan.to_json())
    return plan


RUNGS.register("finetune")(
    Rung(fit_finetune, pretrained=True, balances=("draws", "weights", "loss", "pictures"), usual=USUAL)
)
