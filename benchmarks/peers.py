"""Other people's libraries, installed apart from the project's own environment."""

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

PLACE = Path(os.environ.get("LINNAEA_PEERS", Path.home() / ".cache" / "linnaea-peers"))


def add_peer(requirement: str) -> str:
    """Install a pinned library without what it depends on, let it be imported here, and return its version.

    It shares torch and numpy with the project, so that both work on the very same numbers.
    """
    folder = PLACE / requirement.replace("==", "-")
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.partial")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(partial)]
        subprocess.run([*command, requirement], check=True)
        partial.rename(folder)
    sys.path.append(str(folder))
    return distribution(requirement.partition("==")[0]).version
