"""The files of the npm package onnxruntime-web that a page needs: in this package, in the cache, or fetched by npm.

Which version, what it must hash to and what is taken of it stands in `onnxruntime_web.json`. A wheel that was built
where npm is holds them; else they are fetched once and kept. `python -m linnaea.delivery.exporters.onnxruntime_web`
does that now, for a machine that has no network later. This file needs only the standard library, because the build
runs it.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

TOLD: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
NAMED = f"{TOLD['package']} {TOLD['version']}"
ARCHIVE = f"{TOLD['package']}-{TOLD['version']}.tgz"
INSIDE = Path(__file__).with_name("onnxruntime")  # put there by the build
LICENCE = "LICENSE.txt"
PATIENCE = 600  # seconds


class FetchError(OSError):
    """The files are not here and cannot be fetched; the message says why, and how to mend it."""


def found(cache: Path | None) -> Path | None:
    """The folder, here or in a cache, that holds the files under the names by which a page asks for them, or None."""
    names = (*TOLD["files"].values(), LICENCE)
    folders = (INSIDE, *([_kept(cache)] if cache else []))
    return next((folder for folder in folders if all((folder / name).is_file() for name in names)), None)


def runtime_files(cache: Path | None) -> Path:
    """The same, fetched into the cache where it is nowhere; raises FetchError."""
    folder = found(cache)
    if folder is not None:
        return folder
    if cache is None:
        raise FetchError(
            f"a page needs {NAMED}, which is not here, and the cache that would keep it is switched off: unset "
            "LINNAEA_CACHE."
        )
    return fetch(_kept(cache), cache)


def fetch(folder: Path, cache: Path | None = None) -> Path:
    """Fill a folder with the files of the package, from its archive in `cache` or by npm; returns it.

    Raises FetchError where neither has it, and where its bytes are not those that are expected.
    """
    given = cache / ARCHIVE if cache else None
    with tempfile.TemporaryDirectory() as made:
        archive = given if given is not None and given.is_file() else _packed_by_npm(Path(made), given)
        _require_integrity(archive)
        partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        _unpack(archive, partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)
    return folder


def _kept(cache: Path) -> Path:
    return cache / f"{TOLD['package']}-{TOLD['version']}"


def _packed_by_npm(folder: Path, otherwise: Path | None) -> Path:
    npm = shutil.which("npm")
    place = (
        f", or put {ARCHIVE} from https://www.npmjs.com/package/{TOLD['package']} at {otherwise}" if otherwise else ""
    )
    if npm is None:
        raise FetchError(
            f"a page needs {NAMED}, which is not here, and npm, which fetches it, is missing: install npm{place}."
        )
    command = [npm, "pack", "--silent", "--pack-destination", str(folder), f"{TOLD['package']}@{TOLD['version']}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603
        said = done.stderr if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if said or not (folder / ARCHIVE).is_file():
        told = " ".join(said.split())[-300:] or "it wrote nothing"
        raise FetchError(f"npm cannot fetch {NAMED}, which a page needs ({told}): try again with a network{place}.")
    return folder / ARCHIVE


def _require_integrity(archive: Path) -> None:
    """Raise FetchError unless an archive is the one whose hash we have (Subresource Integrity, sha512)."""
    kind, _, expected = TOLD["integrity"].partition("-")
    found = base64.b64encode(hashlib.new(kind, archive.read_bytes()).digest()).decode()
    if found != expected:
        raise FetchError(
            f"{archive} is not {NAMED}: its {kind} is {found}, expected {expected}. Remove it and try again."
        )


def _unpack(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    with tarfile.open(archive) as packed:
        for inside, name in TOLD["files"].items():
            content = packed.extractfile(f"package/{inside}")
            assert content is not None, f"{inside} is a file of {NAMED}, whose hash was compared"
            with content, (folder / name).open("wb") as target:
                shutil.copyfileobj(content, target)
    (folder / LICENCE).write_text(TOLD["licence"] + "\n", encoding="utf-8")


if __name__ == "__main__":
    from linnaea.runtime.cache import cache_folder
    from linnaea.runtime.saying import say

    try:
        say(str(runtime_files(cache_folder())))
    except FetchError as error:
        sys.exit(f"Error: {error}")
