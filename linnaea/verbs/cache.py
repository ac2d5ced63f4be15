"""`cache`: decoded pixels and features that are kept between runs."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from linnaea.options import Option
from linnaea.options.things import AsJson
from linnaea.runtime.saying import say, say_json
from linnaea.verbs.contract import VERBS, told_by


def tell(answer: Callable[[], dict[str, Any]], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Print what is kept, and what was freed."""
    facts = answer()
    if as_json:
        say_json(facts)
        return
    if given["clear"]:
        say(f"{facts['freed_bytes']:,} bytes were freed.")
    where = f"{facts['folder']}: {facts['bytes']:,} of at most {facts['limit']:,} bytes."
    say(where if facts["folder"] else "The cache is off.")
    for row in facts["contents"]:
        say(f"  {row['bytes']:>15,} bytes  {row['rows']:>9,} rows  {row['namespace']}")


@VERBS.register(
    "cache",
    title="Cache",
    meaning="Show or clear the cache: decoded pixels and features that are kept between runs.",
    order=72,
)
@told_by(tell)
def cache(*, clear: Annotated[bool, Option("Remove everything from the cache.")] = False) -> dict[str, Any]:
    """What the cache holds, and how many bytes of it were freed, all of them with `clear`."""
    from linnaea.runtime.cache import clear_cache, describe_cache

    freed = clear_cache() if clear else 0
    return describe_cache() | {"freed_bytes": freed}
