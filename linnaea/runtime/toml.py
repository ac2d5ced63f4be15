"""Values as TOML, which the standard library reads but does not write."""

import json
import re
from collections.abc import Mapping
from typing import Any

BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_value(value: Any) -> str:
    """A text, number, truth value or list of them as TOML; a text of several lines stays one."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    lines = [_escaped(line) for line in value.split("\n")]
    return f'"{lines[0]}"' if len(lines) == 1 else '"""\n' + "\n".join(lines) + '"""'


def toml_table(name: str, content: Mapping[str, Any]) -> list[str]:
    """The lines of a table, tables within it last."""
    lines = [f"[{name}]"]
    lines += [f"{_key(key)} = {toml_value(value)}" for key, value in content.items() if not isinstance(value, Mapping)]
    for key, value in content.items():
        if isinstance(value, Mapping):
            lines += ["", *toml_table(f"{name}.{_key(key)}", value)]
    return lines


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else toml_value(key.replace("\n", " "))


def _escaped(line: str) -> str:
    return json.dumps(line, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f")
