"""Arguments of a verb as parameters of its command."""

from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, get_args

import click

from linnaea.options.option import Keyword


class Value(click.ParamType):  # type: ignore[type-arg]  # generic in the newest versions only
    """A value of one Python type: read from words, or as a recipe gives it, where it must be of that type."""

    def __init__(self, kind: type, keyword: Keyword) -> None:
        self.kind, self.keyword = kind, keyword
        self.name = {int: "integer", float: "float"}.get(kind, "path" if keyword.option.read is Path else "text")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value; fails with what was expected."""
        if self.kind is str:
            return self._text(value, param, ctx)
        if isinstance(value, bool) or not isinstance(value, str | self.kind | int):
            self._refuse(value, param, ctx)
        try:
            return self.kind(value)
        except ValueError:
            self._refuse(value, param, ctx)

    def _refuse(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
        expected = {int: "a whole number", float: "a number"}.get(self.kind, f"a valid {self.name}")
        usual = self.keyword.default
        such = f", such as {usual}" if isinstance(usual, int | float) and not isinstance(usual, bool) else ""
        self.fail(f"{value!r} is not {expected}{such}.", param, ctx)

    def _text(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        read = self.keyword.option.read
        if isinstance(value, str):
            return value if read is None else read(value)
        if isinstance(value, Path) or value == self.keyword.default or self._fits(value):
            return value
        if read is None or isinstance(value, bool | int | float):
            self.fail(f"{value!r} is not a valid text.", param, ctx)
        return read(value)

    def _fits(self, value: Any) -> bool:
        """Whether a value is of a type that the option may have; whole numbers are numbers."""
        kinds = _kinds(self.keyword.type)
        return type(value) in kinds or (type(value) is int and float in kinds)


def parameter_of(keyword: Keyword) -> click.Parameter:
    """The argument or option of a command for an argument of its verb."""
    option, kind = keyword.option, _kind(keyword.type)
    if keyword.required or option.plain:
        usual = {} if keyword.required else {"default": keyword.default}  # None as a default would count as given
        return click.Argument(
            [keyword.name],
            type=Value(kind, keyword),
            nargs=-1 if option.many else 1,
            required=keyword.required,
            metavar=option.metavar,
            callback=_checked(keyword, keyword.name),
            **usual,
        )
    flags = option.flags or (f"--{keyword.name.replace('_', '-')}",)
    checked, shown = _checked(keyword, flags[0]), keyword.default is not None and kind is not bool
    if kind is bool:
        return click.Option([keyword.name, *flags], is_flag=True, default=keyword.default, help=option.help)
    if option.repeated:
        return click.Option(
            [keyword.name, *flags],
            type=Value(kind, keyword),
            multiple=True,
            default=keyword.default,
            metavar=option.metavar,
            help=option.help,
            callback=checked,
        )
    return click.Option(
        [keyword.name, *flags],
        type=Value(kind, keyword),
        default=keyword.default,
        show_default=shown,
        help=option.help,
        callback=checked,
    )


def _checked(keyword: Keyword, called: str) -> Any:
    def check(ctx: click.Context, _: click.Parameter, value: Any) -> Any:
        if not ctx.resilient_parsing:
            keyword.require(list(value) if isinstance(value, tuple) else value, called)
        return value

    return check


def _kind(hint: Any) -> type:
    """The type of words on the command line: whole numbers, numbers, switches, or text for all else."""
    kinds = _kinds(hint)
    return next((kind for kind in (bool, int, float) if kind in kinds and str not in kinds), str)


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if isinstance(hint, UnionType) else (hint,)
