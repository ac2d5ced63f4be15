"""Weights that timm and torchvision offer, from the local cache or downloaded."""

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from linnaea.models import torchvision_bodies
from linnaea.models.timm_import import import_timm
from linnaea.models.weights_files import Content, read_content

CONNECT_SECONDS = 3


def from_timm(name: str) -> tuple[Content | None, str]:
    """The weights that timm offers and their tag, or None and why there are none."""
    timm = import_timm()

    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        return None, f"timm has no pretrained weights for {name}."
    if not in_cache_of_timm(config) and not _reachable():
        return None, _unreachable(name)
    facts = {
        "input_size": str(int(config.input_size[-1])),
        "mean": str(list(config.mean)),
        "std": str(list(config.std)),
        **({"licence": config.license} if config.license else {}),
    }
    state = timm.create_model(name, pretrained=True).state_dict()
    return Content(state, facts), f"timm {config.architecture}.{config.tag}"


def from_torchvision(name: str) -> tuple[Content | None, str]:
    """The weights that torchvision offers and their tag, or None and why there are none."""
    offered = torchvision_bodies.pretrained(name)
    if offered is None:
        return None, f"torchvision has no pretrained weights for {name}."
    file = file_of_torchvision(offered)
    if not file.exists():
        if not _reachable():
            return None, _unreachable(name)
        _download(offered.url, file)
    return read_content(file), f"torchvision {name}.{offered.name}"


def in_cache_of_timm(config: Any) -> bool:
    """Whether the weights that timm's configuration names lie in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    return bool(config.hf_hub_id) and isinstance(try_to_load_from_cache(config.hf_hub_id, "model.safetensors"), str)


def file_of_torchvision(offered: Any) -> Path:
    """Where torch keeps weights that it downloaded."""
    from torch import hub

    return Path(hub.get_dir()) / "checkpoints" / Path(urlparse(offered.url).path).name


def _download(url: str, file: Path) -> None:
    """Download a file whose name ends in the beginning of its SHA-256, which is checked."""
    from torch import hub

    file.parent.mkdir(parents=True, exist_ok=True)
    hub.download_url_to_file(url, str(file), hash_prefix=file.stem.rpartition("-")[2], progress=False)


def _unreachable(name: str) -> str:
    return f"No pretrained weights of {name}: they are not in the local cache and the internet could not be reached."


def _reachable() -> bool:
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    if HF_HUB_OFFLINE:
        return False
    try:
        with urllib.request.urlopen(urllib.request.Request(ENDPOINT, method="HEAD"), timeout=CONNECT_SECONDS):  # noqa: S310
            return True
    except (urllib.error.URLError, OSError, ValueError):
        return False
