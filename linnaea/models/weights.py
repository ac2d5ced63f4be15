"""Pretrained weights: from a file, from the local cache, or downloaded by name; and why there are none, if so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from linnaea.errors import UsageError
from linnaea.models.bodies import create_body, of_timm, require_network, standard
from linnaea.models.channels import widen
from linnaea.models.network import GREY, Network
from linnaea.models.run_weights import bundle_at, read_bundle_weights, weights_in
from linnaea.models.surgery import Operation, operate
from linnaea.models.weights_files import Content, read_content
from linnaea.models.weights_hub import from_timm, from_torchvision
from linnaea.runtime.arguments import COLOUR
from linnaea.runtime.files import sha256_of

DEFAULT_NETWORK = "mobilenetv3_large_100"
MOST_NAMED = 3


@dataclass(frozen=True)
class Weights:
    """Pretrained weights of a body with what the network needs to know about its images.

    `source` names the file, the run or the tag; `sha256` is the hash of the file where there is one, `run` the folder
    of a run that they are from, `channels` those of the images that the first layer reads, `operations` what was done
    to the body before.
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
    channels: int = COLOUR
    run: Path | None = None
    operations: Sequence[Operation] = ()

    def build(self, classes: int, size: int, channels: int = COLOUR) -> Network:
        """A network with these weights in its body and a fresh head; raises UsageError where they do not fit it."""
        state = self.fitting()[0]
        own: dict[str, Any] = {"mean": self.mean, "std": self.std, "arguments_of_body": self.arguments}
        own["operations"] = self.operations
        self.require_channels(channels)
        network = Network.fitting(self.network, classes, size, trained_on=self.size, **own)
        network = network.seeing(channels) if self.banded else network
        network.body.load_state_dict(self._resampled(state, network))
        return network.seeing(channels)

    @property
    def banded(self) -> bool:
        """Whether their first layer reads something else than colours, or grey shown as these."""
        return self.channels not in (GREY, COLOUR)

    def require_channels(self, channels: int) -> None:
        """Raise UsageError where they cannot see images of so many channels."""
        if self.banded and channels != self.channels:
            raise UsageError(
                f"the weights from {self.source} are for images of {self.channels} channels, and these have "
                f"{channels}: give --channels {self.channels}, or other weights."
            )

    def _body(self) -> nn.Module:
        body = create_body(self.network, self.size, self.arguments)
        operate(body, self.operations)
        return widen(body, self.channels, self.network, self.size) if self.banded else body

    def fitting(self) -> tuple[dict[str, Tensor], str]:
        """The weights that the body takes, and a sentence on those of a classifier, which are left out.

        Raises UsageError, with the names, where any is missing, unknown or of another shape.
        """
        with torch.device("meta"):
            own = self._body().state_dict()
        classifier = [name for name in self.state if name not in own and self._of_classifier(name)]
        unexpected = [name for name in self.state if name not in own and name not in classifier]
        missing = [name for name in own if name not in self.state and not name.endswith("num_batches_tracked")]
        shapes = [
            f"{name} {_shape(self.state[name])} instead of {_shape(own[name])}"
            for name in own
            if name in self.state and self.state[name].shape != own[name].shape
        ]
        faults = [
            f"{len(found)} {what} ({', '.join(found[:MOST_NAMED])}{', ...' if len(found) > MOST_NAMED else ''})"
            for what, found in (("missing", missing), ("unknown", unexpected), ("of another shape", shapes))
            if found
        ]
        if faults:
            raise UsageError(
                f"the weights from {self.source} do not fit {self.network}: of its {len(own)} tensors and their "
                f"{len(self.state)}, {'; '.join(faults)}. Nothing was loaded: name the network they were made for "
                "with --model."
            )
        kept = {name: self.state.get(name, torch.zeros((), dtype=torch.long)) for name in own}
        return kept, self._left_out(classifier)

    def _of_classifier(self, name: str) -> bool:
        return name.startswith(tuple(f"{place}." for place in standard(self.network).classifiers))

    def _left_out(self, names: list[str]) -> str:
        rows = {len(self.state[name]) for name in names if self.state[name].ndim}
        if not names:
            return ""
        told = f", of {max(rows):,} classes," if rows else ""
        return f"Their classifier{told} was left out ({', '.join(names[:MOST_NAMED])}): a new one is trained."

    def _resampled(self, state: dict[str, Tensor], network: Network) -> dict[str, Tensor]:
        """The weights, with position embeddings resampled where the images have another size than in pretraining."""
        own = network.body.state_dict()
        if all(own[name].shape == value.shape for name, value in state.items()):
            return state
        native = self._body()
        if not hasattr(native, "set_input_size"):
            raise UsageError(f"{self.network} cannot take images of {network.side} pixels: use --img-size {self.size}.")
        native.load_state_dict(state)
        resize: Any = native.set_input_size
        resize(img_size=network.side)
        return dict(native.state_dict())

    def provenance(self) -> dict[str, Any]:
        """What the model card says of them."""
        return {"network": self.network, "source": self.source, "sha256": self.sha256, "licence": self.licence}


def _shape(tensor: Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))})"


def find_weights(
    given: str | Path, network: str | None, arguments: Mapping[str, Any] | None = None
) -> tuple[Weights | None, str]:
    """The weights that `given` asks for ("auto", "none", a file or a run) and what is to be said of them, in sentences.

    `arguments` are those of the body that were asked for. Returns None, with the reason, when "auto" finds neither
    cached weights nor a way to download them. Raises UsageError for a file that is absent, is no file of weights, or
    was made for another network than the one asked for.
    """
    if str(given) == "none":
        return None, "No pretrained weights, as requested."
    found, note = _from_hub(network or DEFAULT_NETWORK) if str(given) == "auto" else _from_file(Path(given), network)
    if found is None:
        return None, note
    found = replace(found, arguments={**found.arguments, **(arguments or {})})
    return found, " ".join(filter(None, [note, found.fitting()[1]]))


def _from_file(path: Path, network: str | None) -> tuple[Weights | None, str]:
    found = read_weights(path, network)
    return found, f"Pretrained weights of {found.network} from {found.source}."


def read_weights(path: Path, network: str | None = None) -> Weights:
    """Read the weights of a run, or a file: safetensors, or what `torch.save` wrote, as far as that is tensors alone.

    The header of safetensors may name `architecture`, `model_args`, `mean`, `std`, `input_size` and `licence`; what is
    not said is as usual for the network.
    """
    bundle = bundle_at(path)
    content = read_content(path) if bundle is None else read_bundle_weights(bundle)
    name = content.facts.get("architecture") or network
    if name is None:
        raise UsageError(f"{path} does not say which network its weights are for: name the network with --model.")
    if network is not None and network.split(".")[0] != name.split(".")[0]:
        raise UsageError(f"{path} holds weights of {name}, but --model is {network}.")
    require_network(name)
    file = path if bundle is None else weights_in(bundle)
    return _weights(name, content, content.facts.get("source") or path.name, sha256_of(file))


def _weights(name: str, content: Content, source: str, sha256: str | None = None) -> Weights:
    usual, facts = standard(name), content.facts
    return Weights(
        network=name,
        size=int(content.numbers("input_size", (usual.size,))[-1]),
        mean=content.numbers("mean", usual.mean),
        std=content.numbers("std", usual.std),
        state=content.state,
        arguments=content.arguments,
        source=source,
        sha256=sha256,
        licence=facts.get("licence") or facts.get("license"),
        channels=int(content.numbers("channels", (COLOUR,))[0]),
        run=Path(facts["run"]) if "run" in facts else None,
        operations=content.operations,
    )


def _from_hub(name: str) -> tuple[Weights | None, str]:
    require_network(name)
    found, told = from_timm(name) if of_timm(name) else from_torchvision(name)
    if found is None:
        return None, told
    weights = _weights(name, found, told)
    return weights, f"Pretrained weights {weights.source}."
