"""Where the classifiers of several processes lie: copies that nobody else writes to, so that all load the same."""

import logging
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from linnaea.classifier.bundle import bundle_folder, read_files
from linnaea.classifier.content import SCHEME, SIGNATURE, content_of
from linnaea.classifier.signature import Trust
from linnaea.delivery.model_registries import pull
from linnaea.delivery.model_registries.target import Target
from linnaea.delivery.serving.models import Source
from linnaea.errors import BundleError, RunError, UsageError
from linnaea.run import Run
from linnaea.runtime.files import whole_folder

logger = logging.getLogger("linnaea")


class Stage:
    """A folder with a copy of what each source held when it was asked for, under the address of its content.

    What comes from a model registry is always fetched into it; a folder is copied only where `copies` says so, and
    stands for itself otherwise.
    """

    def __init__(self, folder: Path, *, copies: bool, trust: Trust = None) -> None:
        self.folder, self.copies, self.trust = folder, copies, trust

    def fetch(self, source: Source) -> Path:
        """Where what the source holds lies; raises BundleError, RegistryError or RunError where it holds nothing."""
        if source.registry:
            return self._pulled(source)
        if not Path(source.place).is_dir():
            raise RunError.missing(source.place)
        if Run.is_in(Path(source.place)):
            Run.open(source.place).require_finished()
        bundle = bundle_folder(Path(source.place))
        return self._copied(bundle) if self.copies else bundle

    def keep(self, folders: Iterable[Path]) -> None:
        """Remove all copies but these."""
        kept = {folder.resolve() for folder in folders}
        for folder in self.folder.iterdir():
            if folder.is_dir() and folder.resolve() not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _pulled(self, source: Source) -> Path:
        meant = Target.read(source.place)
        version = meant.open().find(meant.wanted)
        named = version.address.removeprefix(SCHEME) or f"{meant.kind}-{source.name}-{version.number}"
        folder = self.folder / named
        if not folder.is_dir():
            exact = f"{meant.kind}:{meant.place}@{version.number}"
            with suppress(UsageError):  # another process was faster
                pull(exact, folder, trust=self.trust)
        return folder

    def _copied(self, bundle: Path) -> Path:
        content, _, _ = read_files(bundle)  # so that an error names what was given, not its copy
        folder = self.folder / content.address.removeprefix(SCHEME)
        if folder.is_dir():
            return folder
        try:
            with whole_folder(folder) as staged:
                for name in [*content.files, *([SIGNATURE] if (bundle / SIGNATURE).is_file() else [])]:
                    (staged / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(bundle / name, staged / name)
                if content_of(staged).address != content.address:
                    raise BundleError(f"{bundle} was written to while it was copied: put whole folders in place.")
        except FileNotFoundError as error:
            raise BundleError(f"{error.filename} went away while {bundle} was copied: try again.") from None
        return folder
