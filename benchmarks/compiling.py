"""Whether torch.compile pays on a processor: seconds of a core to translate a network, and what steps gain by it."""

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable

import torch

from benchmarks.table import keep
from linnaea.experiments.network_timing import pictures
from linnaea.models.network import Network
from linnaea.runtime.plan import Plan

NETWORKS = ("mobilenetv3_small_100", "resnet18", "vit_small_patch16_224")
SIZE, BATCH, PAIRS = 224, 4, 5
REMARKS = (
    "Seconds of processor time, with one thread, so that others on the machine hardly matter; eager and compiled steps "
    "take turns, medians. After so many images the translation has paid for itself. "
)


def main() -> None:
    """Each network, work and number format; the translations are kept nowhere."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"TORCHINDUCTOR_CACHE_DIR": folder, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        rows = [
            row(name, work, precision)
            for name in NETWORKS
            for work in ("embedding", "training")
            for precision in ("float32", "bfloat16")
        ]
    keep("compiling", "Does torch.compile pay?", rows, REMARKS)


def row(name: str, work: str, precision: str) -> dict[str, str]:
    """Translate one network and compare."""
    torch.compiler.reset()
    torch.manual_seed(0)
    plan = Plan("cpu", precision)
    model = Network(name, 10, SIZE).to(memory_format=plan.layout).train(work == "training")
    pixels = torch.from_numpy(pictures(BATCH, SIZE)).permute(0, 3, 1, 2).float() / 255
    eager, compiled = (step_of(form, pixels, plan, work) for form in (model, torch.compile(model)))
    timed(eager)
    translating = timed(compiled)
    pairs = [(timed(eager), timed(compiled)) for _ in range(PAIRS)]
    before, after = (statistics.median(seconds) / BATCH for seconds in zip(*pairs, strict=True))
    return {
        "network": name,
        "work": work,
        "format": precision,
        "eager, images/s": f"{1 / before:.1f}",
        "compiled": f"{1 / after:.1f}",
        "ratio": f"{before / after:.2f}",
        "translation, s": f"{translating:.0f}",
        "pays after": f"{translating / (before - after):,.0f} images" if after < before else "never",
    }


def step_of(
    model: Callable[[torch.Tensor], torch.Tensor], pixels: torch.Tensor, plan: Plan, work: str
) -> Callable[[], None]:
    """A forward pass, in training with the backward one."""

    def step() -> None:
        with torch.set_grad_enabled(work == "training"), plan.autocast():
            logits = model(pixels)
        if work == "training":
            torch.autograd.backward(logits.float().square().mean())

    return step


def timed(step: Callable[[], None]) -> float:
    """Seconds of processor time, with those of the C++ compiler."""
    started = processor_seconds()
    step()
    return processor_seconds() - started


def processor_seconds() -> float:
    """Of this process and those it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
