"""Recipes: the options of a verb in a TOML file, its own at the top, those of each group in a table of its name."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from linnaea.errors import UsageError, suggest
from linnaea.options.option import Keyword

RECIPE = ".toml"


def read_recipe(file: Path, verb: str, keywords: Sequence[Keyword]) -> dict[str, Any]:
    """The options in a file, by name; raises UsageError for a key that is none, and one in the wrong table."""
    found = dict(_options(file, _read(file), verb, keywords))
    found |= {one.name: _place(found[one.name], file) for one in keywords if one.may_be_path and one.name in found}
    repeated = [one.name for one in keywords if one.option.repeated and isinstance(found.get(one.name), Mapping)]
    return found | {name: _words(found[name]) for name in repeated}


def _place(value: Any, file: Path) -> Any:
    """A relative path, or several, as it is found from here or, where nothing is there, from the recipe's folder."""
    if isinstance(value, list):
        return [_place(one, file) for one in value]
    if not isinstance(value, str) or Path(value).exists() or not (file.parent / value).exists():
        return value
    return str(file.parent / value)


def _words(pairs: Mapping[str, Any]) -> list[str]:
    """A table as it is given on the command line: key=value, several times."""
    import json

    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in pairs.items()]


def _read(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise UsageError(f"the recipe {file} cannot be read: {reason}.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the recipe {file} is not TOML: {error}.") from None


def _options(
    file: Path, content: Mapping[str, Any], verb: str, keywords: Sequence[Keyword]
) -> Iterator[tuple[str, Any]]:
    place_of = {keyword.name: keyword.group for keyword in keywords}
    tables = dict.fromkeys(group for group in place_of.values() if group is not None)
    for key, value in content.items():
        if key in tables and isinstance(value, Mapping):
            for name, inner in value.items():
                _require(file, verb, name, key, place_of)
                yield name, inner
        else:
            _require(file, verb, key, None, {**place_of, **dict.fromkeys(tables, "")})
            yield key, value


def _require(file: Path, verb: str, key: str, table: str | None, place_of: Mapping[str, str | None]) -> None:
    """Raise UsageError unless this is the place of the key."""
    if key not in place_of:
        where = "" if table is None else f" in [{table}]"
        raise UsageError(f"{file}: {verb} has no option {key!r}{where}.{suggest(key, place_of)}")
    place = place_of[key]
    if place == "":
        raise UsageError(f"{file}: {key} is a table of options: expected [{key}] and a line for each.")
    if place != table:
        belongs = "above all tables" if place is None else f"in the table [{place}]"
        raise UsageError(f"{file}: {key} belongs {belongs}.")
