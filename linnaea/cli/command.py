"""A verb as a command: its arguments are those of the verb and of how it tells what came of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from linnaea.cli.parameters import parameter_of
from linnaea.cli.recipe import RECIPE, read_recipe
from linnaea.runtime.saying import harmless
from linnaea.verbs.calling import Function, call, groups_of, keywords_of
from linnaea.verbs.contract import telling_of


class VerbCommand(click.Command):
    """The command of a verb; options are shown in its groups, and a recipe may give them."""

    def __init__(self, name: str, verb: Function, meaning: str) -> None:
        self.verb, self.tell = verb, telling_of(verb)
        self.own, self.telling = keywords_of(verb), keywords_of(self.tell)
        parameters = [parameter_of(keyword) for keyword in (*self.own, *self.telling)]
        recipe = click.Option(
            ["--recipe"],
            metavar="FILE",
            expose_value=False,
            help=f"TOML file with options, which those given here precede{self._or_first()}. Default: none.",
        )
        super().__init__(name, params=[*parameters, recipe], help=meaning, callback=self._run)

    def _or_first(self) -> str:
        return "; it may also stand in place of the data" if any(one.name == "data" for one in self.own) else ""

    def _run(self, **values: Any) -> None:
        """Run the verb and tell what came of it."""
        _log()
        telling = {one.name: values.pop(one.name) for one in self.telling}
        given = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        self.tell(lambda: call(self.verb, given), given, **telling)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the recipe first, where one is given: what it says is the default of what is not."""
        words, _, _ = self.make_parser(ctx).parse_args(args=list(args)) if _may_hold_recipe(args) else ({}, [], [])
        file, first = words.get("recipe"), words.get("data")
        if isinstance(first, str) and first.endswith(RECIPE):
            file = first
            args.remove(first)
        if isinstance(file, str):
            ctx.default_map = read_recipe(Path(file), self.name or "", self.own)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments, then the options of the verb, then those of each group under its title."""
        parameters = {parameter.name: parameter for parameter in self.get_params(ctx)}
        positional = [
            (parameters[one.name].make_metavar(ctx), one.option.help, one.required)
            for one in self.own
            if one.required or one.option.plain
        ]
        _section(
            formatter,
            "Arguments",
            [(str(name), f"{meaning}  [required]" if needed else meaning) for name, meaning, needed in positional],
        )
        titles = {name: group.title for name, group in groups_of(self.verb).items()}
        grouped = {one.name: one.group for one in self.own if one.group is not None}
        plain = [one for name, one in parameters.items() if name not in grouped and isinstance(one, click.Option)]
        _section(formatter, "Options", _records(plain, ctx))
        for group, title in titles.items():
            _section(formatter, title, _records([parameters[name] for name in grouped if grouped[name] == group], ctx))


def _may_hold_recipe(args: Sequence[str]) -> bool:
    return any(word.startswith("--recipe") or word.endswith(RECIPE) for word in args)


def _records(parameters: Sequence[click.Parameter], ctx: click.Context) -> list[tuple[str, str]]:
    return [record for parameter in parameters if (record := parameter.get_help_record(ctx)) is not None]


def _section(formatter: click.HelpFormatter, title: str, rows: Sequence[tuple[str, str]]) -> None:
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows)


def _log() -> None:
    """Let what the verb logs be seen."""
    import logging
    import sys
    import warnings

    warnings.filterwarnings("ignore", module=r"PIL\.")  # broken remarks in an image that is read all the same
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("linnaea").addFilter(harmless)
    logging.getLogger("linnaea").setLevel(logging.INFO)
