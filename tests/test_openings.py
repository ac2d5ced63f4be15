"""Files that come with data are opened in a few places only, where they are guarded."""

import ast
from functools import cache
from pathlib import Path

import pytest

import linnaea

PACKAGE = Path(linnaea.__file__).parent
SEARCH = "classifier/pickled.py"  # looks for pickles in the first bytes of what is packed, and writes nothing
PARSERS = {  # of formats that strangers write, and where each may be used
    "tarfile": {
        SEARCH,
        "runtime/containers/tars.py",
        "data/writers/shards.py",  # writes them
        "delivery/exporters/onnxruntime_web.py",  # a package of npm, after its hash was compared with the one we know
    },
    "zipfile": {
        "runtime/containers/zips.py",
        SEARCH,
        "classifier/sessions/coreml.py",  # our own export; the file travels beside it and imports nothing of ours
        "classifier/sessions/pt2.py",  # the same
    },
    "gzip": {"runtime/containers/idx.py", "runtime/containers/tars.py"},
    "bz2": {"runtime/containers/tars.py", SEARCH},
    "lzma": {"runtime/containers/tars.py", SEARCH},
    "pickle": {
        "runtime/containers/pickles.py",
        "models/weights_files.py",  # for its error alone
        "learning/processes/passing.py",  # between processes that train together
    },
    "scipy.io": {"runtime/containers/svhn.py"},
    "h5py": set(),
    "tifffile": {"data/images/bands.py"},
}
PICTURES = {"data/images/opening.py"}  # what decides which formats of Pillow are tried, and how


@cache
def modules():
    return {file.relative_to(PACKAGE).as_posix(): ast.parse(file.read_text("utf-8")) for file in PACKAGE.rglob("*.py")}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def calls(tree):
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


@pytest.mark.parametrize("parser", PARSERS)
def test_a_foreign_parser_is_used_behind_the_boundary_only(parser):
    assert {name for name, tree in modules().items() if parser in set(imported(tree))} == PARSERS[parser]


def test_every_picture_is_opened_by_the_decoder():
    found = {
        name: calls(tree) & {"Image.open", "PIL.Image.open", "cv2.imread", "imread"} for name, tree in modules().items()
    }
    assert {name for name, used in found.items() if used} == set()
    assert {name for name, tree in modules().items() if any("Image.OPEN" in ast.unparse(node) for node in ast.walk(tree)
            if isinstance(node, ast.Attribute))} == PICTURES  # fmt: skip


@pytest.mark.parametrize(
    "room", ["runtime/containers", "data/audit", "data/splits", "data/writers", "delivery/report", "estimator.py"]
)
def test_nothing_else_there_reads_a_file_of_the_data(room):
    """Records of a run, which Linnaea wrote, are read by `csv` in the report."""
    reading = ("open", "read_bytes", "read_text", "fromfile", "imread")
    guarded = {"tarfile.open", "gzip.open", "kind.open", "self.read_bytes"}
    ours = {
        "delivery/report/folder.py": {"path.open", "path.read_bytes"},
        "delivery/report/page.py": {"path.read_text"},  # a template
        "data/writers/shards.py": {"tarfile.open"},
    }
    found = {
        name: {call for call in calls(tree) if call.rpartition(".")[2] in reading} - guarded - ours.get(name, set())
        for name, tree in modules().items()
        if name.startswith(room)
    }
    assert {name: used for name, used in found.items() if used} == {}
