"""Verbs called by their options alone: the groups that a verb takes are made of flat keyword arguments."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from typing import Annotated, Any, get_args, get_origin

from linnaea.errors import UsageError, suggest
from linnaea.options.option import Keyword, Only, Options, changed, keywords_in, parted

Function = Callable[..., Any]


def keywords_of(function: Function) -> list[Keyword]:
    """The arguments of a verb, its own ones and the options of its groups, in the order of its signature."""
    parameters = inspect.signature(function).parameters.values()
    return [keyword for parameter in parameters for keyword in _keywords(parameter, parameter.annotation)]


def _keywords(parameter: inspect.Parameter, hint: Any) -> list[Keyword]:
    if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and get_origin(hint) is not Annotated:
        return []  # what a telling function is given
    group, names = _group(hint)
    if group is None:
        kind, option = parted(hint)
        default = MISSING if parameter.default is parameter.empty else parameter.default
        positional = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        return [Keyword(parameter.name, kind, option, default, positional=positional)]
    return [
        Keyword(one.name, one.type, one.option, getattr(parameter.default, one.name), parameter.name)
        for one in keywords_in(group)
        if names is None or one.name in names
    ]


def _group(hint: Any) -> tuple[type[Options] | None, tuple[str, ...] | None]:
    """The group of options that an argument takes, and which of them; None where it is one argument."""
    kind, *metadata = get_args(hint) if get_origin(hint) is Annotated else [hint]
    if not (isinstance(kind, type) and issubclass(kind, Options)):
        return None, None
    return kind, next((one.names for one in metadata if isinstance(one, Only)), None)


def groups_of(function: Function) -> dict[str, Options]:
    """The groups that a verb takes, by name, with the values that they have where nothing is given."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if isinstance(parameter.default, Options)
    }


def call(function: Function, values: Mapping[str, Any]) -> Any:
    """Call a verb with options by their names; those that are not given have their defaults."""
    keywords = [keyword for keyword in keywords_of(function) if keyword.name in values]
    own = {keyword.name: values[keyword.name] for keyword in keywords if keyword.group is None}
    groups = groups_of(function)
    for name, group in groups.items():
        groups[name] = changed(group, {one.name: values[one.name] for one in keywords if one.group == name})
    return function(**own, **groups)


def flat_signature(function: Function) -> inspect.Signature:
    """The signature of a verb whose options are keyword arguments."""
    parameters = [
        inspect.Parameter(
            keyword.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD if keyword.positional else inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if keyword.required else keyword.default,
            annotation=keyword.type,
        )
        for keyword in keywords_of(function)
    ]
    return inspect.Signature(parameters, return_annotation=function.__annotations__.get("return", None))


def in_python(name: str, function: Function) -> Function:
    """The verb as people call it in Python: with options as keyword arguments, each checked before any work is done."""
    signature, keywords = flat_signature(function), keywords_of(function)

    def verb(*arguments: Any, **options: Any) -> Any:
        options = _flat(name, options, keywords)
        _require_known(name, options, keywords)
        given = signature.bind(*arguments, **options).arguments
        for keyword in keywords:
            if keyword.group is None and not keyword.positional and keyword.name in given:
                keyword.require(given[keyword.name])
        return call(function, given)

    verb.__name__ = verb.__qualname__ = name
    verb.__module__, verb.__doc__ = function.__module__, documented(function, keywords)
    verb.__signature__ = signature  # type: ignore[attr-defined]
    return verb


def _flat(verb: str, options: Mapping[str, Any], keywords: Sequence[Keyword]) -> dict[str, Any]:
    """The options where some are given in tables named as their groups, as in a recipe that was read from a file."""
    groups = {keyword.group for keyword in keywords if keyword.group is not None}
    found = {name: value for name, value in options.items() if name not in groups}
    for group in groups & options.keys():
        if not isinstance(options[group], Mapping):
            raise UsageError(f"{group} is a table of options: expected a dictionary, as a recipe has it.")
        own = [keyword.name for keyword in keywords if keyword.group == group]
        for name, value in options[group].items():
            if name not in own:
                raise UsageError(f"{verb} has no option {name!r} in [{group}].{suggest(name, own)}")
            if name in found:
                raise UsageError(f"{name} is given twice, by itself and in [{group}].")
            found[name] = value
    return found


def documented(function: Function, keywords: Sequence[Keyword]) -> str:
    """The docstring of a verb, followed by what each argument is."""
    lines = [f"    {keyword.name}: {keyword.option.help}" for keyword in keywords]
    return "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Arguments:", *lines])


def _require_known(verb: str, options: Mapping[str, Any], keywords: Sequence[Keyword]) -> None:
    known = [keyword.name for keyword in keywords]
    for name in options:
        if name not in known:
            raise UsageError(
                f"{verb} has no option {name!r}: expected one of {', '.join(known)}.{suggest(name, known)}"
            )
