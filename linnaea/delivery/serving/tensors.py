"""Tensors as the Open Inference Protocol sends them, in JSON or in binary after it: bounded and checked."""

import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.arrays import Images
from linnaea.delivery.serving.limits import Limits, Refused
from linnaea.delivery.serving.reading import image_in_text, json_in

JSON_LENGTH = "inference-header-content-length"
BINARY, BINARY_SIZE = "binary_data", "binary_data_size"
BYTES, UINT8, BOOL, FP32 = "BYTES", "UINT8", "BOOL", "FP32"
MOST_DIMENSIONS, MOST_TENSORS, LONGEST_NAME = 8, 64, 100
LONGEST_ID = 255
LONGEST_LENGTH = 20  # digits
COMPRESSIONS = {"gzip": 31, "deflate": 15}  # as zlib knows them


@dataclass(frozen=True)
class Tensor:
    """An input: its name, datatype and shape, and either `data`, as JSON has it, or the bytes of a `block`."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Any = None
    block: memoryview | None = None

    @property
    def where(self) -> str:
        """What it is called in an error."""
        return f"the input {self.name!r}"

    def files(self) -> list[bytes]:
        """The files in a tensor of BYTES: base64 in JSON, each after its length in binary; raises Refused."""
        count = math.prod(self.shape)
        if self.block is not None:
            found = _counted(self.block, self.where)
        else:
            found = [image_in_text(text, f"{self.where}, element {place}") for place, text in enumerate(_flat(self))]
        if len(found) != count:
            raise Refused(
                400, f"{self.where} has {len(found)} elements, and its shape {list(self.shape)} says {count}."
            )
        return found

    def pixels(self) -> Images:
        """The numbers in a tensor of UINT8, in its shape; raises Refused for any that are not from 0 to 255."""
        count = math.prod(self.shape)
        if self.block is None:
            values = _even(self.data)
            self._require_size(len(values), count)
            numbers = _bytes_of(values)  # not by NumPy: a text among them would be as long in every place
        else:
            self._require_size(len(self.block), count)
            numbers = bytes(self.block)
        if numbers is None:
            raise Refused(400, f"{self.where} holds what is no whole number from 0 to 255, which {UINT8} has.")
        return np.frombuffer(numbers, dtype=np.uint8).reshape(self.shape)

    def _require_size(self, found: int, count: int) -> None:
        if found != count:
            raise Refused(
                400, f"{self.where} holds {found:,} numbers, and its shape {list(self.shape)} says {count:,}."
            )


@dataclass(frozen=True)
class Inference:
    """What is asked: the inputs, the `outputs` that are wanted with whether each is in binary (None: all), and an id.

    `binary` says whether outputs of which nothing is said are in binary.
    """

    inputs: tuple[Tensor, ...]
    outputs: Mapping[str, bool] | None = None
    id: str | None = None
    binary: bool = False

    def wants(self, name: str) -> bool:
        """Whether an output is wanted."""
        return self.outputs is None or name in self.outputs

    def in_binary(self, name: str) -> bool:
        """Whether it is wanted in binary."""
        return self.binary if self.outputs is None else self.outputs[name]


def read_inference(body: bytes, headers: Mapping[str, str], limits: Limits) -> Inference:
    """The request in a body, compressed or not, all JSON or followed by binary; raises Refused for any other."""
    plain = decompressed(body, headers.get("content-encoding", "identity"), limits.max_body)
    length = _json_length(headers.get(JSON_LENGTH), len(plain))
    content = json_in(plain[:length], limits)
    if not isinstance(content, dict):
        raise Refused(400, 'the JSON is no object; expected {"inputs": [...]}.')
    require_known(content, ("id", "parameters", "inputs", "outputs"), "the request")
    parameters = _parameters(content, ("binary_data_output",), "the request")
    identity = content.get("id")
    if identity is not None and not (isinstance(identity, str) and len(identity) <= LONGEST_ID):
        raise Refused(400, f"id is {str(identity)[:40]!r}; expected a text of at most {LONGEST_ID} letters.")
    rest = memoryview(plain)[length:]
    return Inference(
        _inputs(content.get("inputs"), rest),
        _outputs(content.get("outputs")),
        identity,
        _flag(parameters, "binary_data_output", False),
    )


def decompressed(body: bytes, encoding: str, most: int) -> bytes:
    """A body as it was before it was compressed, at most so many bytes of it; raises Refused for what is larger."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in COMPRESSIONS:
        raise Refused(415, f"Content-Encoding is {encoding[:40]!r}; expected {', '.join(COMPRESSIONS)} or none.")
    reader = zlib.decompressobj(COMPRESSIONS[name])
    try:
        plain = reader.decompress(body, most + 1)
    except zlib.error:
        raise Refused(400, f"the body is not what Content-Encoding says, {name}: send it as it says.") from None
    if len(plain) > most:
        raise Refused(413, f"the body has more than {most:,} bytes when decompressed (--max-body): send fewer images.")
    if not reader.eof or reader.unused_data:
        raise Refused(400, f"the body, compressed by {name}, is cut off or followed by something else: send it whole.")
    return plain


def require_known(content: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Raise Refused for a key that is none of these: what is not understood is not passed over."""
    strange = [key for key in content if key not in known]
    if strange:
        raise Refused(400, f"{where} has a key {strange[0][:60]!r}; expected only {', '.join(known)}.")


def _json_length(given: str | None, whole: int) -> int:
    if given is None:
        return whole
    if not (given.isascii() and given.isdecimal() and len(given) <= LONGEST_LENGTH) or int(given) > whole:
        raise Refused(400, f"{JSON_LENGTH} is {given[:40]!r}; expected how many of the {whole} bytes are JSON.")
    return int(given)


def _parameters(content: Mapping[str, Any], known: Sequence[str], where: str) -> Mapping[str, Any]:
    given = content.get("parameters", {})
    if not isinstance(given, dict):
        raise Refused(400, f"the parameters of {where} are no object.")
    require_known(given, known, f"the parameters of {where}")
    return given


def _flag(parameters: Mapping[str, Any], name: str, usual: bool) -> bool:
    value = parameters.get(name, usual)
    if not isinstance(value, bool):
        raise Refused(400, f"{name} is {str(value)[:40]!r}; expected true or false.")
    return value


def _listed(given: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not 0 < len(given) <= MOST_TENSORS or not all(isinstance(o, dict) for o in given):
        raise Refused(400, f"{name} is no list of objects, of at least one and at most {MOST_TENSORS}.")
    return given


def _name(given: Mapping[str, Any], what: str) -> str:
    name = given.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise Refused(400, f"an {what} has no name; expected a text of at most {LONGEST_NAME} letters.")
    return name


def _inputs(given: Any, rest: memoryview) -> tuple[Tensor, ...]:
    """The inputs, to whom what follows the JSON belongs in their order."""
    found, start = [], 0
    for one in _listed(given, "inputs"):
        name = _name(one, "input")
        require_known(one, ("name", "shape", "datatype", "parameters", "data"), f"the input {name!r}")
        parameters = _parameters(one, (BINARY_SIZE, "content_type"), f"the input {name!r}")
        size, shape = parameters.get(BINARY_SIZE), _shape(one.get("shape"), name)
        if (size is None) == ("data" not in one):
            raise Refused(
                400, f"the input {name!r} needs data, or {BINARY_SIZE} and bytes after the JSON: one of both."
            )
        if size is None:
            found.append(Tensor(name, str(one.get("datatype")), shape, one["data"]))
            continue
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(rest) - start:
            raise Refused(
                400, f"the input {name!r} is to have {str(size)[:40]} bytes, and {len(rest) - start} follow the JSON."
            )
        found.append(Tensor(name, str(one.get("datatype")), shape, block=rest[start : start + size]))
        start += size
    if start < len(rest):
        raise Refused(400, f"{len(rest) - start} bytes follow the JSON that belong to no input.")
    return tuple(found)


def _shape(given: Any, name: str) -> tuple[int, ...]:
    sound = isinstance(given, list) and 0 < len(given) <= MOST_DIMENSIONS
    if not sound or any(isinstance(n, bool) or not isinstance(n, int) or not 0 < n < 2**31 for n in given):
        raise Refused(400, f"the shape of {name!r} is {str(given)[:40]}; expected a list of whole numbers above 0.")
    return tuple(given)


def _outputs(given: Any) -> Mapping[str, bool] | None:
    if given is None:
        return None
    found: dict[str, bool] = {}
    for one in _listed(given, "outputs"):
        name = _name(one, "output")
        require_known(one, ("name", "parameters"), f"the output {name!r}")
        found[name] = _flag(_parameters(one, (BINARY,), f"the output {name!r}"), BINARY, False)
    return found


def _flat(tensor: Tensor) -> list[Any]:
    """The elements of a tensor in JSON, which may be nested as its shape is."""
    values = tensor.data if isinstance(tensor.data, list) else [tensor.data]
    for _ in range(len(tensor.shape) - 1):
        if not all(isinstance(value, list) for value in values):
            break
        values = [inner for value in values for inner in value]
    return values


def _even(data: Any) -> list[Any]:
    """The elements of lists in lists, one after the other; none where lists beside each other differ in length."""
    values = data if isinstance(data, list) else [data]
    while any(isinstance(value, list) for value in values):
        if len({len(value) if isinstance(value, list) else -1 for value in values}) > 1:
            return []
        values = [inner for value in values for inner in value]
    return values


def _bytes_of(values: Sequence[Any]) -> bytes | None:
    """Whole numbers from 0 to 255 as bytes; None where any is something else."""
    if any(type(value) is not int for value in values):
        return None
    try:
        return bytes(values)
    except (ValueError, OverflowError):
        return None


def _counted(block: memoryview, where: str) -> list[bytes]:
    """The elements of a block, each after its length in four bytes, the lowest first."""
    found, start = [], 0
    while start < len(block):
        if start + 4 > len(block):
            raise Refused(400, f"{where} ends within the length of an element.")
        (length,) = struct.unpack_from("<I", block, start)
        start += 4
        if start + length > len(block):
            raise Refused(400, f"{where} has an element of {length:,} bytes, and {len(block) - start:,} are left.")
        found.append(bytes(block[start : start + length]))
        start += length
    return found
