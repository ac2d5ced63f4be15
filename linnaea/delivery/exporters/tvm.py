"""Machine code that Apache TVM makes of the whole classifier, for the processor of this machine."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.tvm import TvmScorer
from linnaea.classifier.sessions.tvm import FILES
from linnaea.delivery.exporters.contract import EXPORTERS, Exporter, Order, needs_a_network
from linnaea.delivery.exporters.graphs import converting, program_of
from linnaea.delivery.exporters.pt2 import has_compiler

LINKERS = ("g++", "gcc", "clang++")


def write(classifier: Classifier, folder: Path, order: Order) -> Path:
    """Write `model.so` into `folder`: it takes images (N, S, S, C) of uint8, of any N."""
    with converting("TVM"):  # whose own warnings are not passed on
        import tvm
        from tvm.relax.frontend.torch import from_exported_program
    program = program_of(classifier)
    with converting("TVM"), torch.no_grad():
        module = from_exported_program(program, custom_convert_map=dict(_operators()))
        library = tvm.compile(module, target=tvm.target.Target(_processor()))
        library.export_library(str(folder / FILES[0]))
    return folder / FILES[0]


def unfit(classifier: Classifier) -> str:
    """Why TVM cannot have a classifier, or cannot be linked here."""
    if not has_compiler(LINKERS):
        return "TVM links machine code with a C++ compiler, and there is none: install g++, or name one by CXX."
    return needs_a_network(classifier)


def _processor() -> dict[str, str]:
    """The target: what LLVM knows of the processor of this machine."""
    import tvm

    name = tvm.get_global_func("target.llvm_get_system_cpu", allow_missing=True)
    return {"kind": "llvm"} | ({"mcpu": str(name())} if name is not None else {})


def _operators() -> Mapping[str, Callable[[Any, Any], Any]]:
    """Operators of torch that TVM's importer lacks, in its own."""
    from tvm.relax import op

    return {"amax.default": _reduced(op.max), "amin.default": _reduced(op.min)}


def _reduced(reduce: Any) -> Callable[[Any, Any], Any]:
    """A reduction over some dimensions, all of them where none is named."""

    def convert(node: Any, importer: Any) -> Any:
        arguments: tuple[Any, ...] = tuple(node.args)
        dims = list(arguments[1]) if len(arguments) > 1 else []
        keep = bool(arguments[2]) if len(arguments) > 2 else False
        return importer.block_builder.emit(reduce(importer.env[arguments[0]], axis=dims or None, keepdims=keep))

    return convert


EXPORTERS.register(
    "tvm",
    title="Apache TVM",
    meaning="Machine code for processors like this one, made by TVM, with a script that needs apache-tvm alone.",
    order=60,
    cost="minutes",
    runtime="Apache TVM",
    precisions=("fp32",),
    needs=("tvm",),
    extra="tvm",
)(Exporter(write, TvmScorer, unfit=unfit))
