"""The bundle that is signed or pushed: that of a finished run, or a folder, with its bill of materials."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linnaea.classifier.bundle import bundle_folder
from linnaea.classifier.content import Content
from linnaea.delivery.bill_of_materials import with_bill
from linnaea.run import Run

PASSPHRASE = "LINNAEA_PASSPHRASE"  # noqa: S105  the name of a variable


@contextmanager
def bundle_held(given: str | Path | Run) -> Iterator[Path]:
    """The folder of a bundle, while no other process writes into the run around it.

    Raises RunError where that run has not come to its end.
    """
    folder = given.folder if isinstance(given, Run) else Path(given)
    if not Run.is_in(folder):
        yield bundle_folder(folder)
        return
    run = Run.open(folder)
    run.require_finished()
    with run.locked():
        yield run.model_folder


def sealed(given: str | Path | Run) -> Content:
    """The content of a bundle, with its bill of materials."""
    with bundle_held(given) as folder:
        return with_bill(folder)


def passphrase_for(question: str, *, needed: bool = True) -> str:
    """What LINNAEA_PASSPHRASE holds or, where there is somebody to be asked, what is typed; empty where neither is."""
    told = os.environ.get(PASSPHRASE)
    if told is not None or not needed or not sys.stdin.isatty():
        return told or ""
    from getpass import getpass

    return getpass(question)
