"""The documentation is run: every block of Python and every command, with what it says they print."""

import importlib.util
import json
import logging
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import tomllib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import linnaea
from linnaea.cli import main
from linnaea.registry import families

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
WITHOUT_RUN = {"README.md"}  # its reader trains the first run; on every other page there is one in runs/photos
SLOW = {"README.md", "compression.md", "evidence.md", "export.md", "fairness.md", "learning.md", "models.md"}
SHOWN_ONLY = {"text", "mermaid"}
SHAPES = ("circle", "cross", "square")
FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e-?\d+)?")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it is, its language and its text."""

    page: Path
    line: int
    language: str
    text: str


def blocks_of(page):
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text[: found.start()].count("\n") + 1, found[2], textwrap.dedent(found[3]))
        for found in FENCE.finditer(text)
    ]


def named(page):
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("generate_tables", ROOT / "docs" / "generate_tables.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 120 drawings: 40 circles, crosses and squares of 64 pixels each."""
    folder, random = tmp_path_factory.mktemp("drawn") / "photos", np.random.default_rng(0)
    for shape, number in ((shape, number) for shape in SHAPES for number in range(40)):
        image = Image.new("RGB", (64, 64), tuple(random.integers(150, 256, 3).tolist()))
        half = int(random.integers(8, 16))
        x, y = random.integers(half + 4, 60 - half, 2).tolist()
        draw(ImageDraw.Draw(image), shape, (x - half, y - half, x + half, y + half), random)
        place = folder / shape / f"{number:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        image.save(place)
    return folder


def draw(pen, shape, box, random):
    colour = tuple(random.integers(0, 110, 3).tolist())
    left, top, right, bottom = box
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    else:
        pen.line(box, fill=colour, width=5)
        pen.line((left, bottom, right, top), fill=colour, width=5)


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "photos"
    linnaea.train(photos, out=folder, model="majority,hog", weights="none")
    return folder


@pytest.fixture
def workplace(tmp_path, monkeypatch, photos, tables):
    """A folder with `photos` in it; no network, and whatever an example registers is forgotten afterwards."""
    shutil.copytree(photos, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "linnaea.models.weights._from_hub", lambda name: (None, f"No pretrained weights of {name}: this is a test.")
    )
    logger = logging.getLogger("linnaea")
    level = logger.level
    with ExitStack() as stack:
        for family in families().values():
            stack.enter_context(tables.registry_of(family).restored())
        yield tmp_path
    logger.setLevel(level)


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=named(page), marks=[pytest.mark.slow] * (page.name in SLOW)) for page in PAGES]
)
def test_every_block_runs(page, workplace, request, monkeypatch, capsys, caplog):
    if page.name not in WITHOUT_RUN and any(block.language in ("python", "console") for block in blocks_of(page)):
        shutil.copytree(request.getfixturevalue("run"), workplace / "runs" / "photos")
    names = {"__name__": "documentation"}
    for block in blocks_of(page):
        if block.language == "python":
            source = "\n" * block.line + block.text
            exec(compile(source, str(page), "exec"), names)
        elif block.language == "console":
            for command, printed in commands_of(block):
                check_command(command, printed, monkeypatch, capsys, caplog)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "json":
            json.loads(block.text)
        else:
            assert block.language in SHOWN_ONLY, f"{named(page)}:{block.line}: nothing runs a {block.language!r} block"
    for name, test in list(names.items()):
        if name.startswith("test_"):
            test()


def commands_of(block):
    """The commands of a console block, each with the lines that it is said to print."""
    commands = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            assert commands, f"{named(block.page)}:{block.line}: the block does not begin with a command"
            commands[-1][1].append(line)
    return commands


def check_command(command, said, monkeypatch, capsys, caplog):
    words = shlex.split(command, comments=True)
    expected = re.search(r"# exits with (\d)$", command)
    if words[0] == "linnaea":
        code, printed = run_linnaea(words, monkeypatch, capsys, caplog)
    elif words[0] == "python":
        done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=False)
        code, printed = done.returncode, done.stdout + done.stderr
    else:
        check_mentioned(words)
        return
    assert code == (int(expected[1]) if expected else 0), f"{command} exits with {code}:\n{printed}"
    check_printed(command, said, printed)


def run_linnaea(words, monkeypatch, capsys, caplog):
    monkeypatch.setattr(sys, "argv", words)
    caplog.clear()
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main()
    captured = capsys.readouterr()
    logged = [record.getMessage() for record in caplog.records if record.name == "linnaea"]
    return stopped.value.code or 0, "\n".join([*logged, captured.out, captured.err])


def check_mentioned(words):
    """Commands that are not run here, because they would change the installation or take minutes."""
    if words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[1:], "make without a target"
        assert set(words[1:]) <= set(targets)
    elif words[:2] == ["pip", "install"]:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = re.findall(r"\[(\w+)\]", " ".join(words))
        assert set(extras) <= set(project["optional-dependencies"])
    else:
        raise AssertionError(f"nothing runs the command {shlex.join(words)!r}")


def check_printed(command, said, printed):
    """Each line that the page shows is printed, in that order; numbers may differ, `...` stands for any lines."""
    lines = iter([masked(line) for line in printed.splitlines()])
    for line in said:
        if line.strip() in ("", "..."):
            continue
        assert masked(line) in lines, f"{command} does not print {line!r}, or not there; it printed:\n{printed}"


def masked(line):
    return " ".join(NUMBER.sub("#", line).split())


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_fence_is_seen(page):
    fences = re.findall(r"^ *```", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(blocks_of(page))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page):
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{named(page)} links to {target}, which does not exist"
        assert not heading or heading in headings_of(file), f"{named(page)} links to {target}: no such heading"


def headings_of(page):
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_the_index_leads_to_every_page():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    missing = [page.name for page in PAGES if page.parent.name == "docs" and f"({page.name})" not in index]
    assert missing == ["index.md"]


def test_the_method_table_is_up_to_date(tables):
    assert tables.PAGE.read_text(encoding="utf-8") == tables.page(), "run: python docs/generate_tables.py"


def test_every_file_of_a_run_is_documented(run):
    page = (ROOT / "docs" / "run-folder.md").read_text(encoding="utf-8")
    documented = [re.sub(r"<\w+>", "[^/]+", name) for name in re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)]
    left = [path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()]
    assert [name for name in left if not any(re.fullmatch(pattern, name) for pattern in documented)] == []


def test_the_change_log_names_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
