"""The boundary around every parser that is not ours: whatever it raises becomes an error that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager

from linnaea.errors import DataError, LinnaeaError

LONGEST = 200  # letters of somebody else's message
MEND = "it is cut off or damaged, fetch it again"


@contextmanager
def parsing(place: object, form: str, mend: str = MEND) -> Iterator[None]:
    """Turn whatever a parser of `form` ("a zip archive") raises about the file at `place` into a DataError.

    Our own errors pass, and so do those of the system, such as a missing permission: they say the truth already.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, LinnaeaError) or is_of_the_system(error):
            raise
        raise DataError(f"{place} cannot be read as {form} ({reason_of(error)}): {mend}.") from None


def is_of_the_system(error: BaseException) -> bool:
    """Whether the operating system says so, rather than a parser that calls its own trouble an OSError."""
    return isinstance(error, OSError) and error.errno is not None


def reason_of(error: BaseException) -> str:
    """What an error says, in a line that a person can read."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "it needs more memory than is available"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
