"""Checkpoints: all that training needs to go on as if it had never stopped, in one safetensors file each."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from linnaea.errors import RunError
from linnaea.runtime.files import write_tensors


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    state: Any,
    more: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write weights, optimizer state, `state` (JSON types) and `more` tensors, in place of the file only when whole."""
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    if optimizer is not None:
        for number, slots in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    tensors |= {f"more/{name}": value for name, value in (more or {}).items()}
    return write_tensors(path, tensors, {"state": json.dumps(state)})


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None
) -> tuple[Any, dict[str, Tensor]]:
    """Fill the model and the optimizer from `path` and return its state and further tensors.

    Raises RunError when it cannot be read.
    """
    tensors, state = _read(path)
    model.load_state_dict(_below("model/", tensors))
    if optimizer is not None:
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in _below("optimizer/", tensors).items():
            number, slot = name.split("/")
            slots.setdefault(int(number), {})[slot] = value
        optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    return state, _below("more/", tensors)


def _read(path: Path) -> tuple[dict[str, Tensor], Any]:
    try:
        with safe_open(path, framework="pt") as handle:
            return {name: handle.get_tensor(name) for name in handle.keys()}, json.loads(handle.metadata()["state"])  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"the checkpoint {path} cannot be read ({error}): delete it to train this rung again from the start."
        ) from None


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
