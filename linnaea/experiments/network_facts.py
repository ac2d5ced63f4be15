"""What a network costs and needs, counted without memory for its weights, and what this machine has of it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch.utils.flop_counter import FlopCounterMode

from linnaea.models import MODELS, Model, torchvision_bodies
from linnaea.models.bodies import create_body, of_timm, standard
from linnaea.models.network import ON_ODD_SIZES
from linnaea.models.timm_import import import_timm
from linnaea.models.weights_hub import file_of_torchvision, in_cache_of_timm
from linnaea.registry.index import family_in
from linnaea.runtime.cache import PLANS, cache_folder
from linnaea.runtime.documents import documents
from linnaea.runtime.machine import detect
from linnaea.runtime.plan import Plan

if TYPE_CHECKING:
    from linnaea.experiments.network_list import Listed

OWN_SIZE = 32  # at which models of this library are counted
CLASSES = 2
Speeds = Mapping[str, dict[str, float]]


def facts_of(listed: "Listed", files: Mapping[str, list[str]], measured: Speeds) -> "Listed":
    """What is known of a name, with the `files` of weights and the speeds `measured` by the names of networks."""
    if listed.kind == "rung":
        return replace(
            listed, library="linnaea", remark=family_in("rung", "linnaea.learning.rungs").about(listed.name).title
        )
    speeds = measured.get(listed.name)
    if listed.kind == "model":
        return _counted(replace(listed, library="linnaea", size=OWN_SIZE, images_per_second=speeds))
    usual = standard(listed.name)
    told = replace(
        listed,
        library=usual.library,
        size=usual.size,
        licence=usual.licence,
        weights=(*_cached(listed.name), *files.get(listed.name.split(".")[0], [])),
        images_per_second=speeds,
    )
    return _counted(told)


def _counted(listed: "Listed") -> "Listed":
    """With parameters and multiply-adds, on torch's device without memory."""
    assert listed.size is not None, "it was set"
    try:
        with torch.device("meta"), torch.no_grad():
            body = _body(listed.name, listed.size).eval()
            with FlopCounterMode(display=False) as counter:
                (body.features if isinstance(body, Model) else body)(torch.zeros(1, 3, listed.size, listed.size))
        head = "classifier." if isinstance(body, Model) else "-"  # a body is without one
        own = [part.numel() for name, part in body.named_parameters() if not name.startswith(head)]
        return replace(listed, parameters=sum(own), multiply_adds=counter.get_total_flops() // 2)
    except (*ON_ODD_SIZES, NotImplementedError, AttributeError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return replace(listed, remark=f"cannot be counted: {reason}")


def _body(name: str, size: int) -> torch.nn.Module:
    if name not in MODELS:
        return create_body(name, size, {})
    maker: Any = MODELS[name]
    model: torch.nn.Module = maker(classes=CLASSES, size=size)
    return model


def _cached(name: str) -> list[str]:
    """The weights that `--weights auto` would take from a cache."""
    if of_timm(name):
        timm = import_timm()

        config = timm.get_pretrained_cfg(name)
        if config is None or not config.has_weights or not in_cache_of_timm(config):
            return []
        return [f"cache: {config.tag}"]
    offered = torchvision_bodies.pretrained(name)
    return [f"cache: {offered.name}"] if offered is not None and file_of_torchvision(offered).exists() else []


def files_in(folder: Path | None) -> dict[str, list[str]]:
    """The safetensors files below a folder that say which network they are for, by its name."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.safetensors")) if folder is not None else []:
        try:
            with safe_open(path, framework="pt") as handle:
                name = (handle.metadata() or {}).get("architecture", "")
        except (SafetensorError, OSError):
            continue
        if name:
            found.setdefault(name.split(".")[0], []).append(str(path.relative_to(folder or path)))
    return found


def speeds() -> Speeds:
    """Images per second that networks were measured to embed on this machine, by their names and sides of images."""
    folder, machine = cache_folder(), detect().fingerprint
    found: dict[str, dict[str, float]] = {}
    for path in documents(folder / PLANS) if folder is not None else []:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            key, plan = content["key"], Plan.from_json(content["content"])
            if key["purpose"] != "embed" or key["machine"] != machine:
                continue
            kind, _, arguments = key["network"].partition(" ")
            name, side = str(json.loads(arguments).get("name", kind)), str(key["shape"][0])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # of another version
        known = [seen.images_per_second for seen in plan.measured if seen.images_per_second is not None]
        if known:
            sides = found.setdefault(name, {})
            sides[side] = max(*known, sides.get(side, 0.0))
    return found
