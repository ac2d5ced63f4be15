"""How fast networks embed and train here in each number and memory format, and which the execution plan picks."""

from benchmarks.table import keep
from linnaea.experiments.network_timing import TITLES, measure_plans
from linnaea.runtime.plan import Plan

NETWORKS = ("resnet18", "mobilenetv3_small_100", "efficientnet_b0", "vit_small_patch16_224")
SIZE = 224
REMARKS = (
    "Images per second, the median of steps taken in turn, from random weights and made images of 224 pixels; "
    "difference is that of the picked format's outputs from float32, relative to their spread. "
)


def main() -> None:
    """Measure each network for both purposes."""
    rows = [row(name, purpose, plan) for name in NETWORKS for purpose, plan in measure_plans(name).items()]
    keep("execution_plan", "The execution plan", rows, REMARKS)


def row(network: str, purpose: str, plan: Plan) -> dict[str, str]:
    """A column per format, and what was picked."""
    speeds = {
        f"{seen.precision} {seen.memory_format}": "refused"
        if seen.images_per_second is None
        else f"{seen.images_per_second:.1f}"
        for seen in plan.measured
    }
    picked = [
        seen for seen in plan.measured if (seen.precision, seen.memory_format) == (plan.precision, plan.memory_format)
    ]
    return {
        "network": network,
        "work": TITLES[purpose].lower(),
        "threads": str(plan.threads),
        **speeds,
        "picked": f"{plan.precision} {plan.memory_format}",
        "difference": f"{picked[-1].difference or 0:.1g}" if picked else "not measured",
    }


if __name__ == "__main__":
    main()
