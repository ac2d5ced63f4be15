"""Classifiers by the names that they are asked for by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from linnaea.classifier import Classifier
from linnaea.classifier.bundle import bundle_folder
from linnaea.classifier.content import content_of
from linnaea.classifier.signature import Trust
from linnaea.errors import LinnaeaError, UsageError
from linnaea.experiments.finished_run import finished_classifier, placed


class UnknownModelError(LinnaeaError, LookupError):
    """A server has no model of this name, or no such version of it."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A classifier as it is served."""

    name: str
    version: str
    digest: str
    classifier: Classifier


@dataclass(frozen=True, eq=False)
class LoadedModels:
    """Those that were loaded, by name."""

    by_name: Mapping[str, Loaded]

    @property
    def names(self) -> Sequence[str]:
        """The names, that of the default first."""
        return list(self.by_name)

    def chosen(self, client: str, name: str | None = None, version: str | None = None) -> Loaded:
        """What answers: that of this name, or the first."""
        found = self.by_name.get(self.names[0] if name is None else name)
        if found is None or version not in (None, found.version):
            raise UnknownModelError(f"there is no such model: expected one of {', '.join(self.names)}.")
        return found


def served_models(
    given: Sequence[str | Path | Classifier], *, max_pixels: int | None, device: str, trust: Trust
) -> LoadedModels:
    """Load each."""
    found: dict[str, Loaded] = {}
    for one in given:
        if isinstance(one, Classifier):
            found["model"] = Loaded("model", "1", "", placed(one, max_pixels, device))
            continue
        folder = Path(one)
        classifier = placed(finished_classifier(folder, trust), max_pixels, device)
        digest = content_of(bundle_folder(folder)).address
        found[folder.resolve().name] = Loaded(folder.resolve().name, digest[-64:][:12], digest, classifier)
    if not found:
        raise UsageError("there is nothing to serve: give the folder of a run, a bundle or an export.")
    return LoadedModels(found)
