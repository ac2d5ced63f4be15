"""Every error Linnaea raises on purpose: what was given, what was expected, how to mend it."""

from collections.abc import Iterable
from pathlib import Path


class LinnaeaError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns for it."""

    exit_code = 2


class UsageError(LinnaeaError, ValueError):
    """An argument has a value the verb cannot use."""


class DataError(LinnaeaError, ValueError):
    """The data cannot be used as requested."""


class UnreadableImageError(DataError):
    """One image file cannot be decoded; the message is the reason written to the manifest."""


class BundleError(LinnaeaError):
    """A saved classifier is incomplete, changed since it was saved, or of an unknown kind."""


class RunError(LinnaeaError):
    """A run folder is missing, half written, or was made with other arguments."""

    @classmethod
    def missing(cls, folder: str | Path) -> "RunError":
        """There is no folder at the path of a run."""
        fault = "is a file" if Path(folder).exists() else "does not exist"
        return cls(f"{folder} {fault}: expected the folder of a run, such as runs/birds.")


class RegistryError(LinnaeaError):
    """A model registry cannot be reached, refuses what is asked, or holds no such version."""


class UnavailableError(LinnaeaError):
    """A server cannot answer at present, though the request is good; it may be repeated later."""


class MissingExtraError(LinnaeaError, ImportError):
    """An optional library is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed: install it with `pip install 'linnaea[{extra}]'`.")


class CheckFailedError(LinnaeaError):
    """A check that the user requested ran to its end and did not hold."""

    exit_code = 1


def suggest(given: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the closest known name, or an empty string."""
    import difflib  # nothing starts later for it

    close = difflib.get_close_matches(given, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
