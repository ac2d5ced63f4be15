"""What the text of a module says about families and their members; nothing of it is run."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from linnaea.registry.about import first_line

WORTH_READING = ("Registry(", ".register(")
STATEMENT = re.compile(r"^(?=[^\s)\]}#])", re.MULTILINE)  # each begins at the edge
QUOTES = '"""'


@dataclass(frozen=True)
class Declaration:
    """A family that a module makes: `variable = Registry(noun, package, title="...", use="...")`."""

    variable: str
    noun: str
    package: str
    title: str = ""
    use: str = ""


@dataclass(frozen=True, eq=False, repr=False)  # a mistyped name is answered sooner
class Registration:
    """A member that a module registers in the family bound to `variable` of the module `source`, maybe its own.

    `fault` says why that cannot be read from the text, and is empty where it can.
    """

    source: str
    variable: str
    name: str
    keywords: Mapping[str, object]
    fault: str = ""

    def explained(self, docstring: str) -> "Registration":
        """The same; what it decorates says what it means, if it does not say so itself."""
        return replace(self, keywords={"meaning": docstring, **self.keywords})


@dataclass(frozen=True, eq=False, repr=False)
class Text:
    """What one module declares and registers at its top level."""

    declarations: tuple[Declaration, ...] = ()
    registrations: tuple[Registration, ...] = ()


def declared_in(module: str, path: Path) -> tuple[Declaration, ...]:
    """The families that a module makes, told without parsing it where it makes none; errors as from `read`."""
    return read(module, path).declarations if WORTH_READING[0] in path.read_text(encoding="utf-8") else ()


@cache
def read(module: str, path: Path) -> Text:
    """Read the file of a module; raises OSError or SyntaxError where that is not possible."""
    text = path.read_text(encoding="utf-8")
    if not any(word in text for word in WORTH_READING):
        return Text()
    reader = _Reader(module, path)
    reader.visit(_parsed(text, path))
    return Text(tuple(reader.declarations), tuple(reader.registrations))


def _parsed(text: str, path: Path) -> ast.Module:
    """The statements that say something of families; the others as well where they cannot be told apart quickly."""
    try:
        return ast.parse(_shortened(text), str(path))
    except SyntaxError:  # such as a string of several lines that holds something like a statement
        return ast.parse(text, str(path))


def _shortened(text: str) -> str:
    """The text with only what is read of it, each line where it was: it takes a third of the time to parse."""
    kept, decorated = [], False
    for part in STATEMENT.split(text):
        shown = ""
        if part.startswith(("import ", "from ")) or any(word in part for word in WORTH_READING):
            shown = part
        elif decorated and part.startswith(("@", "def ", "class ")):
            shown = _to_docstring(part)
        decorated = part.startswith("@") and bool(shown)
        kept.append(shown + "\n" * (part.count("\n") - shown.count("\n")))
    return "".join(kept)


def _to_docstring(part: str) -> str:
    """A function or class to the end of its docstring."""
    before, quotes, after = part.partition(QUOTES)
    docstring, closing, _ = after.partition(QUOTES)
    return f"{before}{quotes}{docstring}{closing}" if closing else part


class _Reader(ast.NodeVisitor):
    """Visits what runs when a module is imported: not the bodies of functions."""

    def __init__(self, module: str, path: Path) -> None:
        self.module, self.path = module, path
        self.imported: dict[str, str] = {}  # a name here: what it stands for, with all its modules
        self.declarations: list[Declaration] = []
        self.registrations: list[Registration] = []

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            top = name.name.partition(".")[0]
            self.imported[name.asname or top] = name.name if name.asname else top

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for name in node.names:
            self.imported[name.asname or name.name] = f"{self._absolute(node)}.{name.name}"

    def _absolute(self, node: ast.ImportFrom) -> str:
        inside = [*self.module.split("."), *(["__init__"] if self.path.name == "__init__.py" else [])]
        return ".".join([*(inside[: -node.level] if node.level else []), *([node.module] if node.module else [])])

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._decorated(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._decorated(node)
        for statement in node.body:
            self.visit(statement)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Its body runs later, if at all."""

    def visit_Assign(self, node: ast.Assign) -> None:
        self._declared(node.targets[0], node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._declared(node.target, node.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and node.func.attr == "register":
            self.registrations += self._registered(node, node.func.value)
        self.generic_visit(node)

    def _decorated(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        before = len(self.registrations)
        for decorator in node.decorator_list:
            self.visit(decorator)
        told = first_line(ast.get_docstring(node))
        self.registrations[before:] = [one.explained(told) for one in self.registrations[before:]]

    def _declared(self, target: ast.expr, value: ast.expr | None) -> None:
        if not isinstance(target, ast.Name) or not isinstance(value, ast.Call):
            return
        made = value.func.value if isinstance(value.func, ast.Subscript) else value.func
        if _dotted(made).rpartition(".")[2] == "Registry":
            given = [one.value for one in value.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if len(given) == 2:
                told = {str(keyword.arg): str(ast.literal_eval(keyword.value)) for keyword in value.keywords}
                self.declarations.append(Declaration(target.id, *given, **told))

    def _registered(self, node: ast.Call, registry: ast.expr) -> Iterator[Registration]:
        called = _dotted(registry)
        if not called.rpartition(".")[2].isupper():
            return  # no registry of a family
        first, dot, rest = called.partition(".")
        full = f"{self.imported[first]}{dot}{rest}" if first in self.imported else f"{self.module}.{called}"
        source, _, variable = full.rpartition(".")
        try:
            name = ast.literal_eval(node.args[0])
            keywords = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
        except (IndexError, ValueError):
            fault = (
                f"{self.path}:{node.lineno}: what {called}.register is given must be written out, so that it can be "
                "read without running the file: a name in quotes and plain values."
            )
            yield Registration(source, variable, "", {}, fault)
        else:
            yield Registration(source, variable, str(name), keywords)


def _dotted(node: ast.expr) -> str:
    """The text of `a.b.NAME`; empty for what is no name."""
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""
