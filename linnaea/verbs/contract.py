"""The contract of verbs: typed functions, from whose signatures the command line, recipes and `linnaea.NAME` are made.

A verb takes what it is about as positional arguments, some keywords of its own, and groups of options:

    @VERBS.register("audit", meaning="Check labelled images before training.", order=10)
    @told_by(tell)
    def audit(data: Labelled, *, machine: Annotated[Machine, Only("seed")] = Machine()) -> "Audit": ...

Each argument that is no group is `Annotated[type, Option(...)]`. A module with a verb imports what is heavy in the body
of the verb: it is imported when a command line is checked. `command=False` keeps a verb off the command line;
`command="models"` gives it another name there, where the package has something else of that name.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from linnaea.options.things import AsJson
from linnaea.registry import Registry
from linnaea.runtime.saying import say, say_json, say_text

Verb = TypeVar("Verb", bound=Callable[..., Any])
Tell = Callable[..., None]
VERBS: Registry[Callable[..., Any]] = Registry(
    "verb",
    "linnaea.verbs",
    title="Verbs",
    use="Functions of the package, commands in the shell.",
)


def told_by(tell: Tell) -> Callable[[Verb], Verb]:
    """A decorator: on the command line, `tell` runs the verb and says what came of it.

    `tell(answer, given, *, ...)` calls `answer()` for what the verb returns, once or not at all; `given` are the
    arguments by name; its keywords, declared as those of a verb, are further options of the command.
    """

    def add(verb: Verb) -> Verb:
        setattr(verb, "told_by", tell)  # noqa: B010  a function has no such attribute of its own
        return verb

    return add


def telling_of(verb: Callable[..., Any]) -> Tell:
    """How the command line tells of a verb."""
    tell: Tell = getattr(verb, "told_by", tell_result)
    return tell


def tell_result(answer: Callable[[], Any], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Say what the verb returns in its own words or, where it has `to_json`, as JSON.

    A result may name the command that comes `next`, or several.
    """
    result = answer()
    if as_json:
        say_json(result.to_json() if hasattr(result, "to_json") else result)
    elif result is not None:
        say_text(str(result))
        following = getattr(result, "next", ())
        for command in [following] if isinstance(following, str) else following:
            say(f"Next: {command}")
