"""Steps of fine-tuning at 224 pixels: the loop of this project against a plain loop on timm's network."""

import copy
from functools import cache, partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.pairs import Apart, Paired, calibration, in_turns, kernels
from benchmarks.table import keep
from linnaea.experiments.network_timing import measure_plans, pictures
from linnaea.learning.examples import Examples
from linnaea.learning.job import Job, Options
from linnaea.learning.schedule import Schedule
from linnaea.learning.supervised import train_network
from linnaea.models.network import Network
from linnaea.runtime.plan import Plan, pick_device
from linnaea.task import TASKS

NETWORKS = ("resnet50", "vit_small_patch16_224", "mobilenetv3_large_100", "efficientnet_b0")
AIMS = dict(zip(NETWORKS, ("4x (1x)", "4x (1x)", "1.5x (1x)", "1.5x (1x)"), strict=True))
SIZE, BATCH, STEPS, CLASSES, RATE = 224, 16, 3, 10, 1e-5
SCHEDULE = Schedule(epochs=1, batch_size=BATCH, learning_rate=RATE)
ALIKE = 0.8  # the least cosine between what the steps of both did to the head
PROOF = """
from benchmarks.finetuning import ours
from linnaea.runtime.plan import Plan
ours({network!r}, Plan({device!r}, precision={precision!r}, memory_format={memory_format!r}))
"""


def main() -> None:
    """Each network, against timm's defaults and against timm tuned by hand."""
    rows = [row(name) for name in NETWORKS]
    remarks = (
        f"{STEPS} steps of {BATCH} images with AdamW, from the same random weights, images in memory as bytes; "
        f"ours with checks, and validation on two. timm {version('timm')}: a loop; by default float32, contiguous; "
        "tuned: channels_last and bfloat16 by autocast. Seconds of a step are medians of five rounds; ratios have 95 "
        f"% limits and are left out where the cosine between what the steps did to both heads is under {ALIKE}. Each "
        f"side has its own process. {calibration()}."
    )
    keep("finetuning", "A step of fine-tuning", rows, remarks)


def row(name: str) -> dict[str, Any]:
    plan = measure_plans(name, batch_size=BATCH)["train"]
    with (
        Apart(partial(ours, name, plan)) as own,
        Apart(partial(theirs, name, False)) as usual,
        Apart(partial(theirs, name, True)) as tuned,
    ):
        mine, default, best = in_turns([own, usual, tuned])
        alike = [cosine(own.result, other.result) for other in (usual, tuned)]
    proof = kernels(
        PROOF.format(network=name, device=plan.device, precision=plan.precision, memory_format=plan.memory_format)
    )
    return {
        "network": name,
        "plan": f"{plan.precision} {plan.memory_format}",
        **{
            side: f"{np.median(seconds) / STEPS:.2f} s"
            for side, seconds in {"linnaea": mine, "timm": default, "timm, tuned": best}.items()
        },
        "ratio": Paired(mine, default).ratio_if(alike[0] >= ALIKE),
        "ratio, tuned": Paired(mine, best).ratio_if(alike[1] >= ALIKE),
        "aim": AIMS[name],
        "cosines": ", ".join(f"{value:.3f}" for value in alike),
        "kernels": "; ".join(proof[:2]),
    }


@cache
def examples() -> Examples:
    return Examples(pictures(BATCH * STEPS, SIZE), np.arange(BATCH * STEPS) % CLASSES)


def network(name: str) -> Network:
    return copy.deepcopy(_network(name)).to(pick_device())


@cache
def _network(name: str) -> Network:
    torch.manual_seed(0)
    return Network(name, CLASSES, SIZE)


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float((first * second).sum() / (np.linalg.norm(first) * np.linalg.norm(second) + 1e-30))


def head(model: Network) -> np.ndarray:
    return model.classifier.weight.detach().cpu().numpy().copy()


def ours(name: str, plan: Plan) -> np.ndarray:
    """What an epoch of so many steps did to the head (K, D)."""
    model, given = network(name), examples()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)  # as the rung has it
    before, after = head(model), []
    job = Job(
        given,
        given.take(np.arange(2)),
        CLASSES,
        TASKS["multiclass"],
        Options(),
        on_epoch=lambda _: after.append(head(model)),
    )
    train_network(job, model, optimizer, SCHEDULE, plan)
    return after[0] - before


def theirs(name: str, tuned: bool) -> np.ndarray:
    """What the same steps in a plain loop did to it: the same images in the same order, at the same rates."""
    model, given, device = network(name), examples(), pick_device()
    layout = torch.channels_last if tuned else torch.contiguous_format
    model = model.to(memory_format=layout).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    before, order = head(model), torch.randperm(len(given), generator=torch.Generator().manual_seed(0)).numpy()
    for step, rows in enumerate(np.array_split(order, STEPS)):
        optimizer.param_groups[0]["lr"] = SCHEDULE.rate(step / STEPS)
        images = torch.from_numpy(given.images[rows]).to(device).permute(0, 3, 1, 2).float().div(255)
        with torch.autocast(device, torch.bfloat16, enabled=tuned):
            logits = model(images.contiguous(memory_format=layout))
        loss = functional.cross_entropy(logits.float(), torch.from_numpy(given.targets[rows]).to(device))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return head(model) - before


if __name__ == "__main__":
    main()
