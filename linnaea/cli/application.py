"""The application: a command for each verb, found and read when it is wanted."""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from linnaea.cli.command import VerbCommand
from linnaea.errors import UsageError, suggest
from linnaea.runtime.saying import say
from linnaea.verbs import contract
from linnaea.verbs.contract import VERBS


class Application(click.Group):
    """Commands by their names; only that which is wanted is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs that are commands, in their order."""
        return list(_commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; None where there is none."""
        name = cmd_name.replace("-", "_")
        _import_own(name)
        try:
            told = VERBS.about(name)
        except UsageError:
            name = _commands().get(cmd_name, "")
            return VerbCommand(cmd_name, VERBS[name], VERBS.about(name).meaning) if name else None
        return VerbCommand(cmd_name, VERBS[name], told.meaning) if _command_of(name) == cmd_name else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is wanted; fails with a suggestion where there is none."""
        command = self.get_command(ctx, args[0])
        if command is None:
            ctx.fail(f"No such command {args[0]!r}.{suggest(args[0], self.list_commands(ctx))}")
        return args[0], command, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each verb does, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(command, VERBS.about(name).meaning) for command, name in _commands().items()])


def _commands() -> dict[str, str]:
    """The names of verbs by those of their commands, in their order."""
    return {command: name for name in VERBS if (command := _command_of(name))}


def _command_of(name: str) -> str:
    """What the command of a verb is called; empty where it has none."""
    given = VERBS.about(name).capabilities.get("command", True)
    return given if isinstance(given, str) else name.replace("_", "-") if given else ""


def _import_own(name: str) -> None:
    """Import a verb of the house, where it has one of this name: then no other need be looked at to find it."""
    if name.isidentifier() and (Path(contract.__file__).parent / f"{name}.py").is_file():
        import_module(f"{contract.__package__}.{name}")


def _show_version(ctx: click.Context, _: click.Parameter, asked: Any) -> None:
    if asked:
        import linnaea

        say(f"linnaea {linnaea.__version__}")
        ctx.exit()


app = Application(
    name="linnaea",
    help="A folder of images in, a classifier you can defend out.",
    no_args_is_help=True,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Print the version and exit.",
        )
    ],
)
