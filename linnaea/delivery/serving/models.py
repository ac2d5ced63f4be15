"""The classifiers of a server, by name and version; what is asked for by name alone goes to one of the versions."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from linnaea.classifier import Classifier, load
from linnaea.classifier.bundle import bundle_folder
from linnaea.classifier.content import DESCRIPTION, SCHEME, content_of
from linnaea.classifier.signature import Trust
from linnaea.delivery.model_registries.contract import MODEL_REGISTRIES
from linnaea.delivery.model_registries.target import KIND
from linnaea.delivery.serving.canary import Canary
from linnaea.errors import BundleError, LinnaeaError, RunError, UsageError, suggest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
GIVEN = re.compile(r"([^=/\\:]*)=(.*)", re.DOTALL)  # NAME=FOLDER; a folder may have the sign in its own name
RECORD, LEVELS = "run.json", 3  # a run's, and how far above a bundle or an export it may lie
DIGITS = 12  # of an address, which are the version


class UnknownModelError(LinnaeaError, LookupError):
    """A server has no model of this name, or no such version of it."""


@dataclass(frozen=True)
class Source:
    """Where a classifier comes from: a folder, or a target in a model registry, and the `name` it is asked for by.

    `named` says that the name was given, not taken from the folder.
    """

    name: str
    place: str
    named: bool = False

    @classmethod
    def read(cls, text: "str | Path | Source") -> "Source":
        """From `FOLDER`, `NAME=FOLDER` or `NAME=kind:place@version`; raises UsageError for what is no name."""
        if isinstance(text, Source):
            return text
        found = GIVEN.fullmatch(str(text))
        given = found if found is not None and not Path(str(text)).exists() else None
        name, place = (given[1], given[2]) if given is not None else ("", str(text))
        if not place:
            raise UsageError(f"{text!r} names no folder: expected NAME=FOLDER, such as birds=runs/birds.")
        called = name if given is not None else name_of(place)
        if not NAME.fullmatch(called):
            raise UsageError(
                f"{called!r} cannot be the name of a model: expected at most 100 letters, digits, dots and dashes; "
                f"give it one, such as birds={place}."
            )
        return cls(called, place, given is not None)

    @property
    def registry(self) -> bool:
        """Whether it is a target in a model registry, not a folder."""
        found = KIND.fullmatch(self.place)
        return found is not None and found[1] in MODEL_REGISTRIES


def name_of(place: str) -> str:
    """What a classifier is called where nobody says: as the run around its folder, its registry's name, its folder."""
    if (found := KIND.fullmatch(place)) and found[1] in MODEL_REGISTRIES:
        return found[2].rpartition("@")[0].rpartition("/")[2] or found[2].rpartition("/")[2]
    folder = Path(place).resolve()
    around = (each.name for each in (folder, *folder.parents[:LEVELS]) if (each / RECORD).is_file())
    return next(around, folder.name)


def sources_of(given: Iterable[str | Path | Source]) -> tuple[Source, ...]:
    """The sources of a command line; raises UsageError where two have one name that nobody gave, or one is twice.

    A name that is given several times has several versions: the first is answered with, the others may be asked for,
    or be tried on a share of what comes.
    """
    sources = tuple(Source.read(one) for one in given)
    if not sources:
        raise UsageError("there is nothing to serve: give the folder of a run, a bundle or an export.")
    for number, source in enumerate(sources):
        for other in sources[:number]:
            if other.name == source.name and other.place == source.place:
                raise UsageError(f"{source.place} is given twice as {source.name!r}: give it once.")
            if other.name == source.name and not (other.named and source.named):
                raise UsageError(
                    f"{other.place} and {source.place} would both be called {source.name!r}: give each a name, such as "
                    f"{source.name}-2={source.place}, or both the same one where they are two versions of one model."
                )
    return sources


@dataclass(frozen=True, eq=False)
class Served:
    """A classifier as it is served: `digest` is the address of its content, `version` the first digits of that.

    `folder` is where it was loaded from.
    """

    name: str
    version: str
    digest: str
    classifier: Classifier
    folder: Path
    source: Source


def load_served(source: Source, folder: Path | None = None, *, trust: Trust = None) -> Served:
    """Load what a source names, or a copy of it in `folder`, checked as `linnaea.load` checks.

    Raises BundleError where it is damaged, of a later format, not signed as asked, or changed while it was read;
    RunError where there is nothing.
    """
    where = Path(source.place) if folder is None else folder
    if not where.is_dir():
        raise RunError.missing(where)
    bundle = bundle_folder(where)
    if not (bundle / DESCRIPTION).is_file():
        raise BundleError(f"{where} holds no classifier: expected the folder of a finished run, a bundle or an export.")
    before = content_of(bundle).address
    classifier = load(bundle, trust=trust)
    digest = content_of(bundle).address
    if digest != before:
        raise BundleError(f"{bundle} was written to while it was read: put whole folders in place, and try again.")
    version = digest.removeprefix(SCHEME)[:DIGITS]
    return Served(source.name, version, digest, classifier, bundle, source)


@dataclass(frozen=True)
class Named:
    """What is served under a name: its versions, of which the first is answered with, and the second may be tried."""

    versions: tuple[Served, ...]
    canary: Canary | None = None

    def find(self, version: str | None) -> Served:
        """The version that is meant, or the first."""
        if version is None:
            return self.versions[0]
        for served in self.versions:
            if version in (served.version, served.digest):
                return served
        known = [served.version for served in self.versions]
        raise UnknownModelError(
            f"the model {self.versions[0].name!r} has no version {version!r}: expected {' or '.join(known)}."
        )

    def chosen(self, client: str) -> Served:
        """The version that answers a client who asks for none."""
        tried = self.canary is not None and self.canary.takes(self.versions[0].name, client)
        return self.versions[1] if tried else self.versions[0]


@dataclass
class Models:
    """All that a server answers with, in the order in which they were given; the first name is the default.

    What was found keeps answering the request that it was found for, whatever is put in its place meanwhile. Raises
    UsageError where a canary has no second version to try.
    """

    served: Sequence[Served]
    canaries: Mapping[str, Canary] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._table = self._tabled(self.served)

    def _tabled(self, served: Sequence[Served]) -> dict[str, Named]:
        if not served:
            raise UsageError("there is nothing to serve: give the folder of a run, a bundle or an export.")
        names = dict.fromkeys(each.name for each in served)
        for name, canary in self.canaries.items():
            count = sum(each.name == name for each in served)
            if count != 2:
                told = "there is no model of this name" if not count else f"it has {count} version{'s' * (count > 1)}"
                raise UsageError(
                    f"a share of {canary.share:g} of {name!r} is to be tried, and {told}: expected two, such as "
                    f"{name}=runs/old {name}=runs/new."
                )
        return {
            name: Named(tuple(each for each in served if each.name == name), self.canaries.get(name)) for name in names
        }

    def __iter__(self) -> Iterator[Served]:
        return (served for named in self._table.values() for served in named.versions)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, the default first."""
        return tuple(self._table)

    def versions(self, name: str) -> tuple[str, ...]:
        """The versions of a model, the one that is answered with first."""
        return tuple(dict.fromkeys(served.version for served in self._named(name).versions))

    def find(self, name: str | None = None, version: str | None = None) -> Served:
        """What is meant: the first model where no name is given, its first version where none is.

        Raises UnknownModelError, with what there is.
        """
        return self._named(name).find(version)

    def chosen(self, client: str, name: str | None = None, version: str | None = None) -> Served:
        """What answers this client: the version asked for, else the first one, or the one that is being tried."""
        named = self._named(name)
        return named.chosen(client) if version is None else named.find(version)

    def swap(self, old: Served, new: Served) -> None:
        """Put one in the place of another, at once; raises UnknownModelError where that is no longer served."""
        there = list(self)
        if not any(each is old for each in there):
            raise UnknownModelError(f"version {old.version} of {old.name!r} is no longer served.")
        served = [replace(new, name=old.name) if each is old else each for each in there]
        self._table, self.served = self._tabled(served), tuple(served)

    def _named(self, name: str | None) -> Named:
        table = self._table
        if name is None:
            return next(iter(table.values()))
        if name not in table:
            raise UnknownModelError(
                f"there is no model {name!r}: expected one of {', '.join(table)}.{suggest(name, list(table))}"
            )
        return table[name]
