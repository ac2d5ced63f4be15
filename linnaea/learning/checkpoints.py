"""Checkpoints: all that training needs to go on as if it had never stopped, in one safetensors file each."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from linnaea.errors import RunError
from linnaea.runtime.files import write_tensors

MOST_NAMED = 2  # differences


class CheckpointError(RunError):
    """A checkpoint cannot be used; `fault` is the end of a sentence that begins with its name."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(
            f"the checkpoint {path} {fault}: delete the folder {path.parent} to train this rung again from the start."
        )
        self.path, self.fault = path, fault


@dataclass(frozen=True)
class _Content:
    tensors: dict[str, Tensor]
    state: Any
    groups: list[dict[str, float]]
    belongs: dict[str, Any]

    def below(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin so, by the rest of their names."""
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    state: Any,
    more: Mapping[str, Tensor] | None = None,
    *,
    belongs: Mapping[str, Any] | None = None,
    previous: Path | None = None,
) -> Path:
    """Write weights, optimizer state, `state` (JSON types) and `more` tensors, in place of the file only when whole.

    Of the optimizer's groups the numbers are kept: some count their steps there. `belongs` (JSON types) says what
    training this is, `previous` where the file goes that was there. All of it is under a SHA-256.
    """
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    if optimizer is not None:
        for number, slots in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    tensors |= {f"more/{name}": value for name, value in (more or {}).items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    groups = [] if optimizer is None else [_numbers(group) for group in optimizer.param_groups]
    facts = {"state": json.dumps(state), "groups": json.dumps(groups), "belongs": json.dumps(dict(belongs or {}))}
    return write_tensors(path, tensors, facts | {"sha256": _digest(tensors, facts)}, previous=previous)


def load_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    *,
    belongs: Mapping[str, Any] | None = None,
) -> tuple[Any, dict[str, Tensor]]:
    """Fill the model and the optimizer from `path` and return its state and further tensors.

    Raises CheckpointError, and leaves both as they were, where it cannot be read, is not what was written, or is that
    of another network or of a training for which `belongs` was another.
    """
    found = _read(path)
    _require_same(path, found, belongs)
    weights = found.below("model/")
    _require_fitting(path, weights, model.state_dict())
    if optimizer is not None and len(found.groups) != len(optimizer.param_groups):
        raise CheckpointError(
            path, f"has {len(found.groups)} groups of parameters where there are {len(optimizer.param_groups)}"
        )
    model.load_state_dict(weights)
    if optimizer is not None:
        _fill(optimizer, found)
    return found.state, found.below("more/")


def _fill(optimizer: torch.optim.Optimizer, found: _Content) -> None:
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in found.below("optimizer/").items():
        number, slot = name.split("/")
        slots.setdefault(int(number), {})[slot] = value
    groups = [own | numbers for own, numbers in zip(optimizer.state_dict()["param_groups"], found.groups, strict=True)]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})
    _lay_out(optimizer)


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


def _digest(tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> str:
    """SHA-256 of all names, types, shapes and bytes; tensors lie on the processor, each in one piece."""
    found = hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _read(path: Path) -> _Content:
    try:
        with safe_open(path, framework="pt") as handle:
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118  not a dictionary
            facts = dict(handle.metadata() or {})
        told = facts.pop("sha256")
        parts = [json.loads(facts[name]) for name in ("state", "groups", "belongs")]
    except KeyError as error:
        raise CheckpointError(path, f"is none, or one of an earlier version: it says nothing of {error}") from None
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise CheckpointError(path, f"cannot be read ({error})") from None
    if told != _digest(tensors, facts):
        raise CheckpointError(path, "is damaged: what is in it is not what was written (its SHA-256 differs)")
    return _Content(tensors, *parts)


def _require_same(path: Path, found: _Content, belongs: Mapping[str, Any] | None) -> None:
    """Raise CheckpointError where it is that of another training."""
    if belongs is None:
        return
    now = json.loads(json.dumps(dict(belongs)))
    differing = [name for name in now if found.belongs.get(name) != now[name]]
    if differing:
        listed = _listed(f"its {name} was {found.belongs.get(name)} and is now {now[name]}" for name in differing)
        raise CheckpointError(path, f"belongs to another training: {listed}")


def _require_fitting(path: Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError where weights are missing, unknown, or of other shapes."""
    shapes = [{name: tuple(value.shape) for name, value in part.items()} for part in (found, expected)]
    if shapes[0] != shapes[1]:
        names = [name for name in {**shapes[1], **shapes[0]} if shapes[0].get(name) != shapes[1].get(name)]
        listed = _listed(f"{name} is {shapes[0].get(name)} and should be {shapes[1].get(name)}" for name in names)
        raise CheckpointError(path, f"is that of another network: {listed}")


def _listed(differences: Iterable[str]) -> str:
    found = list(differences)
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return "; ".join(found[:MOST_NAMED]) + more
