"""Pretrained weights: from a file, from the local cache, or downloaded by name; and why there are none, if so."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from linnaea.errors import UsageError
from linnaea.models.network import Network, create_body, require_network
from linnaea.runtime.files import sha256_of

DEFAULT_NETWORK = "mobilenetv3_large_100"
CONNECT_SECONDS = 3


@dataclass(frozen=True)
class Weights:
    """Pretrained weights of a timm body with what the network needs to know about its images.

    `source` names the file or the timm tag; `sha256` is the hash of the file where there is one.
    """

    network: str
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    state: Mapping[str, Tensor]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    sha256: str | None = None
    licence: str | None = None

    def build(self, classes: int, size: int) -> Network:
        """A network with these weights in its body and a fresh head."""
        network = Network(self.network, classes, size, self.mean, self.std, self.arguments)
        missing, unexpected = network.body.load_state_dict(self._fitted_to(network, size), strict=False)
        heads = [name for name in unexpected if not name.startswith(("classifier", "fc", "head", "last_linear"))]
        if missing or heads:
            raise UsageError(
                f"the weights from {self.source} do not fit {self.network}: {len(missing)} tensors are missing and "
                f"{len(heads)} are unknown (first {[*missing, *heads][0]!r}); expected the keys of "
                f"timm.create_model({self.network!r})."
            )
        return network

    def _fitted_to(self, network: Network, size: int) -> dict[str, Tensor]:
        """The weights, with position embeddings resampled where the images have another size than in pretraining."""
        own = network.body.state_dict()
        if all(own[name].shape == value.shape for name, value in self.state.items() if name in own):
            return dict(self.state)
        native = create_body(self.network, self.size, self.arguments)
        if not hasattr(native, "set_input_size"):
            raise UsageError(f"{self.network} cannot take images of {size} pixels: use --img-size {self.size}.")
        native.load_state_dict(dict(self.state), strict=False)
        resize: Any = native.set_input_size
        resize(img_size=size)
        return dict(native.state_dict())

    def provenance(self) -> dict[str, Any]:
        """What the model card says of them."""
        return {"network": self.network, "source": self.source, "sha256": self.sha256, "licence": self.licence}


def find_weights(given: str | Path, network: str | None) -> tuple[Weights | None, str]:
    """The weights that `given` asks for ("auto", "none" or a file) and one sentence on where they came from.

    Returns None, with the reason, when "auto" finds neither cached weights nor a network to download them. Raises
    UsageError for a file that is absent, is not safetensors, or was made for another network than the one asked for.
    """
    if str(given) == "none":
        return None, "No pretrained weights, as requested."
    if str(given) != "auto":
        weights = read_weights(Path(given), network)
        return weights, f"Pretrained weights of {weights.network} from {weights.source}."
    return _from_hub(network or DEFAULT_NETWORK)


def read_weights(path: Path, network: str | None = None) -> Weights:
    """Read a safetensors file whose header names `architecture`, `model_args`, `mean`, `std` and `input_size`."""
    try:
        with safe_open(path, framework="pt") as handle:
            facts = handle.metadata() or {}
            state = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118  not a dictionary
    except FileNotFoundError:
        raise UsageError(f"the weights file {path} does not exist.") from None
    except (SafetensorError, OSError) as error:
        raise UsageError(
            f"{path} is not a readable safetensors file ({error}): pickled weights are not loaded."
        ) from None
    name = facts.get("architecture") or network
    if name is None:
        raise UsageError(f"{path} does not say which network its weights are for: name the network with --model.")
    if network is not None and network.split(".")[0] != name.split(".")[0]:
        raise UsageError(f"{path} holds weights of {name}, but --model is {network}.")
    require_network(name)
    return Weights(
        network=name,
        size=int(_numbers(facts.get("input_size", "3, 224, 224"))[-1]),
        mean=_numbers(facts.get("mean", "0.485, 0.456, 0.406")),
        std=_numbers(facts.get("std", "0.229, 0.224, 0.225")),
        state=state,
        arguments=json.loads(facts.get("model_args", "{}")),
        source=path.name,
        sha256=sha256_of(path),
        licence=facts.get("licence") or facts.get("license"),
    )


def _numbers(text: str) -> tuple[float, ...]:
    """Numbers written as "0.5,0.5,0.5", "[0.5, 0.5, 0.5]" or "224"."""
    return tuple(float(part) for part in text.strip("[]() ").split(","))


def _from_hub(name: str) -> tuple[Weights | None, str]:
    import timm

    require_network(name)
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        return None, f"timm has no pretrained weights for {name}."
    if not _cached(config) and not _reachable():
        return (
            None,
            f"No pretrained weights of {name}: they are not in the local cache and the internet could not be reached.",
        )
    body = timm.create_model(name, pretrained=True)
    weights = Weights(
        network=name,
        size=int(config.input_size[-1]),
        mean=tuple(config.mean),
        std=tuple(config.std),
        state=body.state_dict(),
        source=f"timm {config.architecture}.{config.tag}",
        licence=config.license,
    )
    return weights, f"Pretrained weights {weights.source}."


def _cached(config: Any) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return bool(config.hf_hub_id) and isinstance(try_to_load_from_cache(config.hf_hub_id, "model.safetensors"), str)


def _reachable() -> bool:
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    if HF_HUB_OFFLINE:
        return False
    try:
        with urllib.request.urlopen(urllib.request.Request(ENDPOINT, method="HEAD"), timeout=CONNECT_SECONDS):  # noqa: S310
            return True
    except (urllib.error.URLError, OSError, ValueError):
        return False
