"""What is in a file of weights: tensors and facts about them, read without running anything that is in it."""

import json
import logging
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from linnaea.errors import UsageError

PICKLED = (".pt", ".pth")
NESTED = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")  # the best first
WRAPPED = "module."  # what training on several devices puts before each name
logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class Content:
    """Tensors by name, and what the file says of them in words."""

    state: Mapping[str, Tensor]
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of the network; raises UsageError where they are no JSON object."""
        try:
            given = json.loads(self.facts.get("model_args", "{}"))
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise UsageError(f"the weights have the model_args {self.facts['model_args']!r}; expected a JSON object.")
        return given

    @property
    def operations(self) -> list[dict[str, Any]]:
        """What was done to the network after it was made; raises UsageError where that is no JSON list."""
        try:
            given = json.loads(self.facts.get("operations", "[]"))
        except ValueError:
            given = None
        if not isinstance(given, list):
            raise UsageError(f"the weights have the operations {self.facts['operations']!r}; expected a JSON list.")
        return given

    def numbers(self, name: str, usual: tuple[float, ...]) -> tuple[float, ...]:
        """Numbers written as "0.5,0.5,0.5", "[0.5, 0.5, 0.5]" or "224"; `usual` where the file says nothing."""
        if name not in self.facts:
            return usual
        try:
            return tuple(float(part) for part in self.facts[name].strip("[]() ").split(","))
        except ValueError:
            raise UsageError(f"the weights have the {name} {self.facts[name]!r}; expected numbers.") from None


def read_content(path: Path) -> Content:
    """Read safetensors, or a `.pt` or `.pth` file that holds tensors alone; raises UsageError for all else."""
    if not path.exists():
        raise UsageError(f"the weights file {path} does not exist.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder without a trained classifier: expected a run, or a file of weights.")
    return _pickled(path) if path.suffix in PICKLED else _safetensors(path)


def _safetensors(path: Path) -> Content:
    try:
        with safe_open(path, framework="pt") as handle:
            facts = handle.metadata() or {}
            return Content({name: handle.get_tensor(name) for name in handle.keys()}, facts)  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UsageError(
            f"{path} is not a readable safetensors file ({error}): expected one, or tensors alone in a .pt or "
            ".pth file."
        ) from None


def _pickled(path: Path) -> Content:
    logger.warning(
        f"{path.name} is a pickle, a kind of file that can hold code: only its tensors are read, and nothing in it is "
        "run. Prefer safetensors."
    )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{path} holds more than tensors{_named(error)}: it was refused, and nothing in it was run. Ask "
            "for a safetensors file, or save the state_dict() alone."
        ) from None
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{path} is not a readable file of torch: {reason}") from None
    return Content(_unwrapped(path, content))


def _named(error: Exception) -> str:
    """What the pickle would have called, without the advice of torch to load it in an unsafe way."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f" ({found[1]})" if found else ""


def _unwrapped(path: Path, content: Any) -> dict[str, Tensor]:
    """The tensors by the names that they have in the network."""
    inside = content
    if isinstance(content, Mapping):
        inside = next((content[key] for key in NESTED if isinstance(content.get(key), Mapping)), content)
    tensors = isinstance(inside, Mapping) and inside and all(isinstance(one, Tensor) for one in inside.values())
    if not tensors:
        held = ", ".join(map(str, list(content)[:5])) if isinstance(content, Mapping) else type(content).__name__
        raise UsageError(f"{path} holds {held or 'nothing'}: expected tensors by name, as state_dict() gives them.")
    wrapped = all(str(name).startswith(WRAPPED) for name in inside)
    return {str(name).removeprefix(WRAPPED) if wrapped else str(name): value for name, value in inside.items()}
