"""The usual rules as a commented TOML file to edit."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

from linnaea.errors import UsageError
from linnaea.evidence.gate.contract import RULES
from linnaea.evidence.gate.parameters import settings_of
from linnaea.runtime.files import write_text
from linnaea.runtime.toml import toml_value

HEAD = """
# The rules of the release gate: linnaea check RUN --rules {name}
# Each table sets the parameters of one rule; what is left out stays as it is here. A rule that has no use for a run is
# left out by a line such as: waived = "there is one site". It is then listed as waived, with that reason.
""".strip()


def write_rules(file: Path) -> Path:
    """Write every rule with its parameters, what they mean and their defaults; UsageError where the file is there."""
    if file.exists():
        raise UsageError(f"{file} already exists: edit it, or name another file.")
    return write_text(file, "\n".join([HEAD.format(name=file.name), *_tables()]) + "\n")


def _tables() -> Iterator[str]:
    for name in RULES:
        about = RULES.about(name)
        yield ""
        yield from textwrap.wrap(f"{about.title}. {about.meaning}", 118, initial_indent="# ", subsequent_indent="# ")
        yield f"[{name}]"
        for setting in settings_of(name).values():
            value = list(setting.default) if isinstance(setting.default, tuple) else setting.default
            line = f"{setting.name} = {toml_value(value)}" if value != {} else f"# {setting.name} = {{ NAME = 0.9 }}"
            yield f"# {setting.parameter.help}"
            yield line
