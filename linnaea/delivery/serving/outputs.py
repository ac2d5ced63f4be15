"""Answers as tensors of the Open Inference Protocol, in JSON or in binary after it, compressed where that is taken."""

import math
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from linnaea.arrays import Array
from linnaea.delivery.serving.doorway import in_json
from linnaea.delivery.serving.tensors import BINARY_SIZE, BOOL, COMPRESSIONS, FP32, JSON_LENGTH, Inference

REFUSING = re.compile(r";\s*q\s*=\s*0(\.0*)?\s*(;|$)", re.IGNORECASE)  # what a client does not take
WORTH_COMPRESSING = 1024  # bytes


@dataclass(frozen=True)
class Output:
    """An output: `values` are numbers or flags (N, ...), or a list of N texts."""

    name: str
    datatype: str
    values: Array | Sequence[str]
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        shape = self.values.shape if isinstance(self.values, np.ndarray) else (len(self.values),)
        object.__setattr__(self, "shape", shape)

    def block(self) -> bytes:
        """As it is sent in binary."""
        if isinstance(self.values, np.ndarray):
            kind = {FP32: "<f4", BOOL: "?"}[self.datatype]
            return np.ascontiguousarray(self.values, dtype=kind).tobytes()
        coded = [text.encode("utf-8", "backslashreplace") for text in self.values]
        return b"".join(struct.pack("<I", len(text)) + text for text in coded)

    def data(self) -> list[Any]:
        """As it is sent in JSON, one after the other; null where there is no number."""
        if not isinstance(self.values, np.ndarray):
            return list(self.values)
        flat: list[Any] = self.values.reshape(-1).tolist()
        return [None if isinstance(value, float) and math.isnan(value) else value for value in flat]


def written(facts: Mapping[str, Any], outputs: Sequence[Output], asked: Inference) -> tuple[bytes, dict[str, str]]:
    """A response with those outputs that are wanted, and what its header says of it."""
    told, blocks = [], []
    for output in outputs:
        if not asked.wants(output.name):
            continue
        entry: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
        if asked.in_binary(output.name):
            blocks.append(output.block())
            entry["parameters"] = {BINARY_SIZE: len(blocks[-1])}
        else:
            entry["data"] = output.data()
        told.append(entry)
    head = in_json({**facts, **({"id": asked.id} if asked.id is not None else {}), "outputs": told})
    if not blocks:
        return head, {"content-type": "application/json"}
    return b"".join([head, *blocks]), {"content-type": "application/octet-stream", JSON_LENGTH: str(len(head))}


def compressed(body: bytes, headers: dict[str, str], accepted: str) -> tuple[bytes, dict[str, str]]:
    """A response as the client accepts it, compressed where that is worth it."""
    able = {part.partition(";")[0].strip().lower() for part in accepted.split(",") if not REFUSING.search(part)}
    name = next((each for each in COMPRESSIONS if each in able), None)
    if name is None or len(body) < WORTH_COMPRESSING:
        return body, headers
    packer = zlib.compressobj(1, wbits=COMPRESSIONS[name])
    return packer.compress(body) + packer.flush(), {**headers, "content-encoding": name, "vary": "accept-encoding"}
