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
    """Write weights, optimizer state, `state` (JSON types) and `more` tensors, in place of the file only when whole.

    Of the optimizer's groups the numbers are kept: some count their steps there.
    """
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    if optimizer is not None:
        for number, slots in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    tensors |= {f"more/{name}": value for name, value in (more or {}).items()}
    groups = [] if optimizer is None else [_numbers(group) for group in optimizer.param_groups]
    return write_tensors(path, tensors, {"state": json.dumps(state), "groups": json.dumps(groups)})


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None
) -> tuple[Any, dict[str, Tensor]]:
    """Fill the model and the optimizer from `path` and return its state and further tensors.

    Raises RunError when it cannot be read.
    """
    tensors, state, kept = _read(path)
    model.load_state_dict(_below("model/", tensors))
    if optimizer is not None:
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in _below("optimizer/", tensors).items():
            number, slot = name.split("/")
            slots.setdefault(int(number), {})[slot] = value
        groups = [own | numbers for own, numbers in zip(optimizer.state_dict()["param_groups"], kept, strict=True)]
        optimizer.load_state_dict({"state": slots, "param_groups": groups})
        _lay_out(optimizer)
    return state, _below("more/", tensors)


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Lay out what belongs to a parameter as the parameter lies: sums in another order differ in their last digits."""
    for parameter, slots in optimizer.state.items():
        for slot, value in slots.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                slots[slot] = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def _numbers(group: Mapping[str, Any]) -> dict[str, float]:
    """What of a group is a number, such as a count of steps."""
    plain = {name: value.item() if isinstance(value, Tensor) else value for name, value in group.items()}
    return {name: value for name, value in plain.items() if isinstance(value, bool | int | float)}


def _read(path: Path) -> tuple[dict[str, Tensor], Any, list[dict[str, float]]]:
    try:
        with safe_open(path, framework="pt") as handle:
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118  not a dictionary
            told = handle.metadata()
            return tensors, json.loads(told["state"]), json.loads(told["groups"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"the checkpoint {path} cannot be read ({error}): delete it to train this rung again from the start."
        ) from None


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
