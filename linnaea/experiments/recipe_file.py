"""The recipe of a run: what repeats it, as `linnaea train recipe.toml` and `linnaea.train(**recipe)` read it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnaea.dataset import Dataset
from linnaea.options import Options
from linnaea.options.option import Keyword, keywords_in
from linnaea.options.words import pairs_in
from linnaea.runtime.toml import toml_table, toml_value

FILE = "recipe.toml"
SEARCH_FILE = "search.toml"
ALWAYS, LOG = ("seed",), "log"
WORDS = ("auto", "none")  # that mean no file, whatever lies here


def recipe_of(
    verb: str,
    things: Mapping[str, Any],
    groups: Mapping[str, Options],
    *,
    file: str = FILE,
    title: str = "Repeats this run",
) -> str:
    """The text of the file: what the verb is about, and of each group the options that are not as they are by default.

    The seed is always there. `things` are named as they were given, paths so that they are found from every folder; a
    dataset, which no file can name, by a comment.
    `title` says at the top what it does.
    """
    place = "" if "data" in things and "run" not in things else "--recipe "
    lines = [f"# {title}: linnaea {verb} {place}{file}, or linnaea.{verb} with what is in here."]
    lines += [_line(name, value) for name, value in things.items() if value]
    for name, group in groups.items():
        options = [(one, getattr(group, one.name)) for one in keywords_in(type(group))]
        given = {
            one.name: _plain(pairs_in(value) if one.option.repeated else _placed(one, value))
            for one, value in options
            if one.name in ALWAYS or not _is_default(value, one.default)
        }
        if given:
            lines += ["", *toml_table(name, given)]
    return "\n".join(lines) + "\n"


def _line(name: str, value: Any) -> str:
    if isinstance(value, Dataset):
        return f"# {name} was a dataset made in Python: put the place of its images here, as {name} = ..."
    return f"{name} = {toml_value(_plain(value if name == LOG else _from_anywhere(value)))}"


def _from_anywhere(value: Any) -> Any:
    """A path, or several, as it is found from every folder; a word that names nothing here is left as it is."""
    if isinstance(value, list | tuple):
        return [_from_anywhere(one) for one in value]
    there = isinstance(value, str | Path) and value not in WORDS and Path(value).exists()
    return str(Path(value).absolute()) if there else value


def _placed(keyword: Keyword, value: Any) -> Any:
    return _from_anywhere(value) if keyword.may_be_path else value


def _is_default(value: Any, default: Any) -> bool:
    return bool(value == default) or (default == () and not value)


def _plain(value: Any) -> Any:
    """The value in types of TOML."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value
