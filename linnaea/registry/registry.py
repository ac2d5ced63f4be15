"""One way to extend: a member registered under its own name in its family's registry."""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, TypeVar

from linnaea.errors import UsageError
from linnaea.registry.about import HOUSE, About, Cost, first_line, taken, unknown, warn

Member = TypeVar("Member")


class Registry(Generic[Member]):
    """The members of one family by name, in order: by their `order`, then by cost, then by name.

    `family` is the singular noun of the family ("metric", "rung", ...), `title` its heading in the method table, `use`
    a sentence on who uses it; `package` is the package, or the one module, its members lie in. A member is imported
    when it is asked for; names, and what `about` says, are read without importing any. Without a package there are only
    those that are registered while the program runs, in the order in which they came.
    """

    def __init__(self, family: str, package: str | None = None, *, title: str = "", use: str = "") -> None:
        self.family, self.package = family, package
        self.title, self.use = title, use
        self._members: dict[str, Member] = {}
        self._told: dict[str, About] = {}
        self._sorted: Mapping[str, About] | None = None

    def register(
        self,
        name: str,
        *,
        title: str = "",
        meaning: str = "",
        cost: Cost | None = None,
        order: float | None = None,
        **capabilities: object,
    ) -> Callable[[Member], Member]:
        """Return a decorator that registers its argument as `name`; a name is given once.

        `title` is what people call it, `meaning` says in one line of plain English what it does: where it is not given,
        the docstring of the function or class that is decorated. `cost` is the class of what it takes, and all else
        that is known of it are its capabilities. All of these are plain values, written out.
        """
        module = _caller()
        keywords = {"title": title, "cost": cost, "order": order, **capabilities}
        keywords |= {"meaning": meaning} if meaning else {}

        def add(member: Member) -> Member:
            told = About.given(self.family, name, module, HOUSE, {"meaning": _docstring(member), **keywords})
            if name in self._members:
                raise taken(self.family, name, self._told[name].module)
            expected = told if self._is_own(module) else self._index.get(name, told)
            if expected.module != module:
                raise taken(self.family, name, expected.module)
            self._members[name], self._told[name], self._sorted = member, expected, None
            return member

        return add

    def _is_own(self, module: str) -> bool:
        return f"{module}.".startswith(f"{self.package}.")  # then the index says the same, and need not be read for it

    @property
    def _index(self) -> Mapping[str, About]:
        from linnaea.registry.index import family_in  # the command line starts faster without it

        return {} if self.package is None else family_in(self.family, self.package).members

    @property
    def _known(self) -> Mapping[str, About]:
        if self._sorted is None:
            known = {**self._index, **self._told}
            ranked = sorted(known.values(), key=lambda told: told.rank) if self.package else known.values()
            self._sorted = {told.name: told for told in ranked}
        return self._sorted

    def about(self, name: str) -> About:
        """What is known of a member, without importing it; raises UsageError for an unknown name."""
        if name in self._members:
            return self._told[name]
        if name not in self._known:
            raise unknown(self.family, name, self._known)
        return self._known[name]

    def __getitem__(self, name: str) -> Member:
        if name not in self._members:
            self._load(self.about(name))
        return self._members[name]

    def _load(self, told: About) -> None:
        whose = "" if told.origin == HOUSE else f" of the plugin {told.origin}"
        try:
            importlib.import_module(told.module)
        except Exception as error:
            self._keep({name for name, known in self._told.items() if known.module != told.module})
            if told.origin == HOUSE:
                raise
            raise UsageError(f"the {self.family} {told.name!r}{whose} cannot be imported: {error}") from error
        if told.name not in self._members:
            raise UsageError(f"{told.module}{whose} was imported and did not register the {self.family} {told.name!r}.")

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def items(self) -> Iterator[tuple[str, Member]]:
        """Names with their members, in order, all imported; what a plugin fails to give is warned about."""
        for name, told in self._known.items():
            try:
                member = self[name]
            except UsageError as error:
                if told.origin == HOUSE:
                    raise
                warn(f"{error} It is left out.")
                continue
            yield name, member

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Forget in the end what was registered within, but for members that were imported for the first time."""
        before = set(self._members)
        try:
            yield
        finally:
            self._keep(before | set(self._index))

    def _keep(self, names: set[str]) -> None:
        self._members = {name: member for name, member in self._members.items() if name in names}
        self._told = {name: told for name, told in self._told.items() if name in names}
        self._sorted = None


def _docstring(member: object) -> str:
    has_own = inspect.isroutine(member) or inspect.isclass(member)
    return first_line(inspect.cleandoc(member.__doc__ or "")) if has_own else ""


def _caller() -> str:
    """The module that registers."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals["__name__"] == __name__:
        frame = frame.f_back
    return str(frame.f_globals["__name__"]) if frame is not None else "__main__"
