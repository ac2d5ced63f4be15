"""The families there are and the light index of each: what is known of its members without importing them."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from linnaea.errors import UsageError, suggest
from linnaea.registry.about import HOUSE, About, taken, unknown, warn
from linnaea.registry.places import sources
from linnaea.registry.plugins import plugins
from linnaea.registry.source import Declaration, Registration, declared_in, read


@dataclass(frozen=True, eq=False, repr=False)
class Family:
    """A family by its noun, such as "loss": the variable of its registry, where that is made, and where members lie."""

    noun: str
    variable: str
    module: str
    package: str
    title: str
    use: str = ""
    origin: str = HOUSE

    @classmethod
    def made(cls, declaration: Declaration, module: str, origin: str) -> "Family":
        """The family that a module declares."""
        noun, title = declaration.noun, declaration.title or f"{declaration.noun}s".capitalize()
        return cls(noun, declaration.variable, module, declaration.package, title, declaration.use, origin)

    @cached_property
    def members(self) -> Mapping[str, About]:
        """What is known of each member, by name and in order: by `order`, cost and name."""
        found: dict[str, About] = {}
        for origin, module, registration in self._registrations():
            try:
                told = self._told(found, origin, module, registration)
            except UsageError as error:
                if origin == HOUSE:
                    raise
                warn(f"A {self.noun} of the plugin {origin} is left out: {error}")
            else:
                found[told.name] = told
        return {told.name: told for told in sorted(found.values(), key=lambda told: told.rank)}

    def about(self, name: str) -> About:
        """What is known of a member; raises UsageError with a suggestion for an unknown name."""
        if name not in self.known:
            raise unknown(self.noun, name, self.known)
        return self.known[name]

    @property
    def known(self) -> Mapping[str, About]:
        """As `members`, and those that were registered while the program runs, where the registry is imported."""
        registry = getattr(sys.modules.get(self.module), self.variable, None)
        return self.members if registry is None else {name: registry.about(name) for name in registry}

    def _told(self, found: Mapping[str, About], origin: str, module: str, registration: Registration) -> About:
        if registration.fault:
            raise UsageError(registration.fault)
        if registration.name in found:
            raise taken(self.noun, registration.name, found[registration.name].module)
        return About.given(self.noun, registration.name, module, origin, registration.keywords)

    def _registrations(self) -> Iterator[tuple[str, str, Registration]]:
        texts = {module: (self.origin, read(module, path)) for module, path in sources(self.package)}
        for plugin in plugins():
            texts |= {module: (plugin.name, text) for module, text in plugin.texts if module not in texts}
        for module, (origin, text) in texts.items():
            yield from ((origin, module, one) for one in text.registrations if self._is_for_us(one))

    def _is_for_us(self, registration: Registration) -> bool:
        if registration.variable != self.variable:
            return False
        source, package = f"{registration.source}.", f"{self.package}."
        return source.startswith(package) or package.startswith(source)


@cache
def families() -> Mapping[str, Family]:
    """Every family of the house and of the plugins, by its noun."""
    found: dict[str, Family] = {}
    for made in _made():
        if made.noun not in found:
            found[made.noun] = made
        else:
            warn(f"{made.origin} makes a second family {made.noun!r} in {made.module}: it is left out.")
    return dict(sorted(found.items(), key=lambda item: item[1].title))


def _made() -> Iterator[Family]:
    for module, path in sources(HOUSE):
        yield from (Family.made(one, module, HOUSE) for one in declared_in(module, path))
    for plugin in plugins():
        for module, text in plugin.texts:
            yield from (Family.made(one, module, plugin.name) for one in text.declarations)


def family(noun: str) -> Family:
    """The family of this noun; raises UsageError where there is none."""
    if noun not in families():
        known = ", ".join(families())
        raise UsageError(f"there is no family {noun!r}: expected one of {known}.{suggest(noun, families())}")
    return families()[noun]


@cache
def family_in(noun: str, package: str) -> Family:
    """The family whose registry is made in a package; of all files only those of the package are read for it."""
    for module, path in sources(package):
        for one in declared_in(module, path):
            if (one.noun, one.package) == (noun, package):
                return Family.made(one, module, _origin(package))
    raise UsageError(
        f'no file in {package} says NAME = Registry("{noun}", "{package}") at its top level: expected the registry to '
        "be made there, beside its members."
    )


def _origin(package: str) -> str:
    top = package.partition(".")[0]
    return next((plugin.name for plugin in plugins() if plugin.module.partition(".")[0] == top), HOUSE)
