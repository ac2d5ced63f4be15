"""Other people's libraries, installed apart from the project's own environment."""

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

PLACE = Path(os.environ.get("LINNAEA_PEERS", Path.home() / ".cache" / "linnaea-peers"))


def add_peer(*requirements: str) -> str:
    """Install pinned libraries, the peer first, let them be imported here, and return the peer's version.

    Nothing that they depend on comes with them: they share torch and numpy with the project, so that both work on the
    very same numbers. What the project has too is imported from the project.
    """
    folder = folder_of(requirements[0])
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.partial")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(partial)]
        subprocess.run([*command, *requirements], check=True)
        partial.rename(folder)
    sys.path.append(str(folder))
    return distribution(requirements[0].partition("==")[0]).version


def python_of(*requirements: str) -> Path:
    """The interpreter of an environment that a peer has to itself, as it asks for another torch than the project's.

    The peer and what it depends on are installed where they are not there yet.
    """
    folder = folder_of(requirements[0])
    python, finished = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join(requirements)
    if not finished.exists() or finished.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)
        finished.write_text(wanted)
    return python


def folder_of(requirement: str) -> Path:
    """Where a peer lies, or will."""
    return PLACE / requirement.replace("==", "-")
