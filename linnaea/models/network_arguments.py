"""Arguments of networks given as words, typed by the signature of the network: what `--model-arg` means."""

import inspect
import json
from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

import torch

from linnaea.errors import UsageError, suggest
from linnaea.models.bodies import REFUSED, create_body, standard
from linnaea.models.model import MODELS
from linnaea.models.network import ON_ODD_SIZES

SIDES = {"img_size", "image_size", "input_size"}
SETTLED = {
    "self",
    "classes",
    "size",
    "channels",
    "num_classes",
    "in_chans",
    "in_channels",
    "device",
    "dtype",
    "features_only",
}
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list such as [1, 2]"}
SWITCHES = {"true": True, "false": False}


def typed_arguments(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a registered model or of a network, words among them read as the network's signature says.

    Raises UsageError for one that it does not have, with the nearest it has, for one that is settled by another option,
    and for a value that it does not take.
    """
    if not given:
        return {}
    known, more = _signature(name)
    found = {key: _typed(name, key, value, known, more) for key, value in given.items()}
    try:
        _tried(name, found)
    except UsageError:
        raise
    except (*ON_ODD_SIZES, KeyError, AttributeError, NotImplementedError) as error:
        listed = ", ".join(f"{key}={value!r}" for key, value in found.items())
        raise UsageError(f"{name} cannot be made with {listed}: {error}.{_nearest(found, known)}") from None
    return found


def _nearest(found: Mapping[str, Any], known: Mapping[str, inspect.Parameter]) -> str:
    odd = next((key for key in found if key not in known), None)
    return "" if odd is None else suggest(odd, known)


def _signature(name: str) -> tuple[dict[str, inspect.Parameter], bool]:
    """The parameters by name, less those that are settled; and whether it may have others."""
    if name in MODELS:
        maker: Any = MODELS[name]
    else:
        with torch.device("meta"):
            maker = type(create_body(name, standard(name).size, {}))
    parameters = inspect.signature(maker.__init__).parameters.values()
    several = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    free = [one for one in parameters if one.name not in SETTLED | REFUSED | SIDES and one.kind not in several]
    return {one.name: one for one in free}, any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)


def _typed(name: str, key: str, value: Any, known: Mapping[str, inspect.Parameter], more: bool) -> Any:
    if key in SIDES or key == "size":
        raise UsageError(f"{key} of {name} is the side of the images: use --img-size.")
    if key in SETTLED | REFUSED:
        raise UsageError(f"{key} of {name} is settled by the images and classes: leave it out.")
    if key not in known and not more:
        expected = f"expected one of {', '.join(known)}" if known else "it takes none"
        raise UsageError(f"{name} has no argument {key!r}: {expected}.{suggest(key, known)}")
    kind = _kind(known[key]) if key in known else None
    read = _read(value, kind) if isinstance(value, str) else value
    if kind is not None and not (isinstance(read, kind) or (kind is float and type(read) is int)):
        raise UsageError(f"{key} of {name} is {value!r}; expected {WORDS[kind]}.")
    if kind is int and isinstance(read, bool):
        raise UsageError(f"{key} of {name} is {value!r}; expected {WORDS[kind]}.")
    return read


def _kind(parameter: inspect.Parameter) -> type | None:
    """The one plain type that an argument has by its default or else its annotation; None where it may have several."""
    for one in (type(parameter.default), parameter.annotation):
        if one in (bool, int, float, str):
            return None if _may_be_more(parameter.annotation, one) else one
        if one in (list, tuple) or get_origin(one) in (list, tuple):
            return None
    return None


def _may_be_more(annotation: Any, kind: type) -> bool:
    return get_origin(annotation) in (Union, UnionType) and not set(get_args(annotation)) <= {kind, type(None)}


def _read(text: str, kind: type | None) -> Any:
    """What a word says: of the kind where it can be read so, else as JSON, else text."""
    if kind is str:
        return text
    if text.lower() in SWITCHES:
        return SWITCHES[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _tried(name: str, arguments: Mapping[str, Any]) -> None:
    """Make it once, without memory for its weights."""
    usual = 64 if name in MODELS else standard(name).size
    with torch.device("meta"):
        if name in MODELS:
            maker: Any = MODELS[name]
            maker(classes=2, size=usual, **arguments)
        else:
            create_body(name, usual, arguments)
