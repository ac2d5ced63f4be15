"""What is known of an option besides its type and default: its help, its check, how it is written and read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin

Group = TypeVar("Group", bound="Options")
Check = Callable[[str, Any], object]  # raises UsageError, with the name the option was given by


class Option:
    """The metadata of an option or a positional argument, as the last part of its `Annotated` type.

    `help` is a sentence for people. `check` is called with the name and a value that is given. `flags` are how it is
    written on the command line, where that is not its name. `read` makes a value of the words given there. `many` says
    that several words may be given, `repeated` that its flag may be, `plain` that it has no flag
    though it may be left out; `metavar` is what stands for it. `names` gives the names that stand for `{names}` in the
    help.
    """

    def __init__(
        self,
        help: str,  # noqa: A002  as everybody calls it
        check: Check | None = None,
        *,
        flags: tuple[str, ...] = (),
        read: Callable[[str], Any] | None = None,
        many: bool = False,
        repeated: bool = False,
        plain: bool = False,
        metavar: str | None = None,
        names: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self.text, self.check, self.flags, self.names = help, check, flags, names
        self.read, self.many, self.metavar = read, many, metavar
        self.repeated, self.plain = repeated, plain

    @property
    def help(self) -> str:
        """The sentence for people, with the names there are."""
        if self.names is None:
            return self.text
        *others, last = self.names()
        return self.text.replace("{names}", f"{', '.join(others)} or {last}" if others else last)


@dataclass(frozen=True, eq=False, repr=False)  # what is not made need not be waited for at every start
class Keyword:
    """An argument of a verb by its name: its type, its default where it has one, and the group it belongs to."""

    name: str
    type: Any
    option: Option
    default: Any = MISSING
    group: str | None = None
    positional: bool = False

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING

    @property
    def may_be_path(self) -> bool:
        """Whether a path may be given, of something that is read."""
        return self.name != "out" and "Path" in str(self.type)

    def require(self, value: Any, name: str | None = None) -> None:
        """Raise UsageError where the value is none that this may have; `name` is what the user calls it."""
        if self.option.check is not None and value is not self.default:
            self.option.check(name or self.name, value)


def parted(hint: Any) -> tuple[Any, Option]:
    """The type and the option in `Annotated[type, Option(...)]`; raises TypeError where there is none."""
    if get_origin(hint) is Annotated:
        kind, *metadata = get_args(hint)
        for one in metadata:
            if isinstance(one, Option):
                return kind, one
    raise TypeError(
        f"{hint!r} says nothing of the option: expected Annotated[type, Option(...)], which no "
        "`from __future__ import annotations` turns into text."
    )


class Only:
    """Of a group, the options that a verb has, in the `Annotated` type of its argument."""

    def __init__(self, *names: str) -> None:
        self.names = names


class Options:
    """A group of options: a frozen dataclass whose fields are `Annotated[type, Option(...)] = default`.

    Whoever makes one has its values checked. `title` is what the group is called among the options of a command.
    """

    title = ""

    def __post_init__(self) -> None:
        for keyword in keywords_in(type(self)):
            keyword.require(getattr(self, keyword.name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.named() == other.named()

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.named().items())
        return f"{type(self).__name__}({shown})"

    def named(self) -> dict[str, Any]:
        """Every option with its value, by name."""
        return {keyword.name: getattr(self, keyword.name) for keyword in keywords_in(type(self))}


def keywords_in(group: type[Options]) -> Iterator[Keyword]:
    """The options of a group, in order."""
    for name, hint in group.__annotations__.items():
        kind, option = parted(hint)
        yield Keyword(name, kind, option, vars(group)[name])


def changed(group: Group, values: Mapping[str, Any]) -> Group:
    """The group with other values."""
    return type(group)(**{**group.named(), **values})
