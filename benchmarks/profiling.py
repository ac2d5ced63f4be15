"""Where the time of a step goes: what another number format, or another kernel, could gain at the most."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.finetuning import AIMS, BATCH, SIZE, network, ours
from benchmarks.pairs import calibration
from benchmarks.table import keep
from linnaea.experiments.network_timing import measure_plans, pictures
from linnaea.models.embedding import embed
from linnaea.runtime.plan import Plan

IMAGES = 64
KINDS = {  # parts of the names of torch's operators, the first that fits
    "attention": ("scaled_dot_product",),
    "convolutions": ("convolution",),
    "products": ("aten::addmm", "aten::mm", "aten::bmm", "linear"),
    "normalisation": ("norm",),
    "activations": ("gelu", "silu", "relu", "hardtanh", "hardswish", "hardsigmoid", "sigmoid"),
    "optimizer": ("_fused_adam",),
    "copies and sums": ("copy_", "aten::add", "aten::cat", "aten::mul", "aten::mean", "aten::sum"),
}
PRODUCTS = ("aten::addmm", "aten::mm", "aten::bmm")


def main() -> None:
    """Fine-tuning and embedding of each network, in the format that is picked for it."""
    rows = []
    for name in AIMS:
        plans = measure_plans(name, batch_size=BATCH)
        rows.append(row(name, "fine-tuning", plans["train"], partial(ours, name, plans["train"])))
        rows.append(row(name, "embedding", plans["embed"], partial(embedded, name, plans["embed"])))
    remarks = (
        f"Shares of the time of the same steps as above, {BATCH} images of {SIZE} pixels each, and of embedding "
        f"{IMAGES} images, by torch's profiler: of operators alone, forward and backward. Products at: what matrix "
        "products of linear layers reach, where they are a tenth of the time; with copies of their biases. A format "
        "of 16 bits makes products and convolutions faster, by no more than the two speeds that follow differ; "
        "attention's backward pass, normalisation, activations and sums it makes faster only by moving fewer bytes. "
        f"{calibration()}."
    )
    keep("profiling", "Where a step goes", rows, remarks)


def row(name: str, work: str, plan: Plan, step: Callable[[], object]) -> dict[str, Any]:
    """The share of each kind of operator, of a step that is not the first."""
    step()
    with profile(activities=[ProfilerActivity.CPU], with_flops=True) as seen:
        step()
    spent, products, operations = Counter[str](), 0.0, 0.0
    for event in seen.key_averages():
        spent[kind_of(event.key)] += event.self_cpu_time_total
        if event.key in PRODUCTS:
            products, operations = products + event.self_cpu_time_total, operations + event.flops
    whole = spent.total()
    return {
        "network": name,
        "work": work,
        "plan": f"{plan.precision} {plan.memory_format}",
        **{kind: f"{spent[kind] / whole:.0%}" for kind in (*KINDS, "others")},
        "products at": f"{operations / products / 1e3:.0f} GFLOP/s" if products > whole / 10 else "",
    }


def kind_of(operator: str) -> str:
    """The kind that an operator is of, by its name."""
    return next((kind for kind, parts in KINDS.items() if any(part in operator for part in parts)), "others")


def embedded(name: str, plan: Plan) -> object:
    """Features of a few images."""
    return embed(network(name), pictures(IMAGES, SIZE), plan)


if __name__ == "__main__":
    main()
