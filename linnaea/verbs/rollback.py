"""`rollback`: the classifier that was in use before is in use again."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Option
from linnaea.options.things import AsJson, PlaceTag, Trusted
from linnaea.runtime.saying import say_json, say_text
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.delivery.model_registries.promotion import Moved


def tell(answer: Callable[[], "Moved"], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Say which version is in use now."""
    moved = answer()
    if as_json:
        say_json(moved.to_json())
        return
    say_text(str(moved))


@VERBS.register(
    "rollback",
    title="Roll back",
    meaning="Let the version that was in use before a promotion be in use again.",
    order=72,
)
@told_by(tell)
def rollback(
    place: Annotated[str, Option("Where it was promoted: a path such as models/birds, or mlflow:birds.")],
    *,
    reason: Annotated[str, Option("Why, for the history; it must be given.")] = "",
    to: Annotated[
        str | None, Option("Version to go to: a number or sha256-... Default: the one that was in use before.")
    ] = None,
    tag: PlaceTag = "production",
    trust: Trusted = (),
) -> "Moved":
    """Let the tag of a place point to the version before, which is checked first; the history says why and when.

    Nothing is deleted: the version that is left stays where it is, and may be promoted again. A second rollback goes
    one further back. Raises RegistryError where there is nothing before, and where another process moves the tag.
    """
    from linnaea.delivery.model_registries.promotion import Place, roll_back

    return roll_back(Place(place, tag), reason=reason, to=to, trust=trust or None)
