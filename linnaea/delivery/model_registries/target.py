"""Where a bundle is pushed to or pulled from, in words: `folder:/models/birds`, `mlflow:birds@3`, `hf:user/birds`."""

import re
from dataclasses import dataclass

from linnaea.delivery.model_registries.contract import LATEST, MODEL_REGISTRIES, ModelRegistry
from linnaea.errors import UsageError
from linnaea.registry.about import unknown

KIND = re.compile(r"([a-z][a-z0-9_-]+):(.*)", re.DOTALL)  # two letters or more: one is a drive


@dataclass(frozen=True)
class Target:
    """A kind of registry, the place in it, and the version: empty where none was named."""

    kind: str
    place: str
    version: str = ""

    @classmethod
    def read(cls, text: str) -> "Target":
        """From `kind:place@version`; a path alone is a folder. Raises UsageError for any other words."""
        given = str(text)
        if "://" in given:
            raise UsageError(
                f"{given!r} is the address of a server, which no registry here has: expected a path such as "
                "models/birds, mlflow:birds (the server is that of MLFLOW_TRACKING_URI) or hf:user/birds."
            )
        found = KIND.fullmatch(given)
        kind, rest = (found[1], found[2]) if found else ("folder", given)
        if kind not in MODEL_REGISTRIES:
            raise unknown("model registry", kind, MODEL_REGISTRIES)
        place, separator, version = rest.rpartition("@")
        if not separator or "/" in version:
            place, separator, version = rest, "", ""
        if not place or (separator and not version):
            raise UsageError(f"{given!r} is no target: expected one such as folder:/models/birds or mlflow:birds@3.")
        return cls(kind, place, version)

    @property
    def wanted(self) -> str:
        """The version that is meant: the latest where none was named."""
        return self.version or LATEST

    def open(self) -> ModelRegistry:
        """The registry at this place."""
        return MODEL_REGISTRIES[self.kind](self.place)

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}{f'@{self.version}' if self.version else ''}"
