"""`verify`: whether a classifier or an audit log is what was saved, and whose signature says so."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import BundleError, CheckFailedError
from linnaea.options import Option, checks
from linnaea.options.things import AsJson, Trusted
from linnaea.runtime.saying import say_result
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.classifier.signed import Signed
    from linnaea.delivery.serving.audit_log.checking import CheckedLog
    from linnaea.run import Run

Verifiable = Annotated[
    "str | Path | Run",
    Option("The folder of a run, a bundle or an export, or of an audit log.", checks.run, read=Path, metavar="RUN"),
]


def tell(answer: Callable[[], "Signed | CheckedLog"], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Say the address and the signatures, or what a log holds; the exit code is 1 where anything is wrong."""
    try:
        found = answer()
    except BundleError as error:
        raise CheckFailedError(str(error)) from None
    say_result(found, as_json)
    if faults := getattr(found, "faults", ()):
        raise CheckFailedError(f"{given['run']} is not what was written: {faults[0]}")


@VERBS.register(
    "verify",
    title="Verify",
    meaning="Whether every file of a classifier is what was saved, its address, and whose key has signed it; the same "
    "of an audit log and its chain of hashes.",
    order=67,
)
@told_by(tell)
def verify(
    run: Verifiable,
    *,
    trust: Trusted = (),
    head: Annotated[
        Sequence[str],
        Option(
            "Of an audit log: hash of a line, noted earlier, that must lie in it. May be repeated. Default: none.",
            repeated=True,
        ),
    ] = (),
) -> "Signed | CheckedLog":
    """Read every file of a bundle and say its address and its signatures; nothing in it is executed.

    Raises BundleError where a file has changed, is missing or could harm, where the signature is void or damaged, and
    where keys are trusted and none of them has signed it. Of an audit log, every line is read: `faults` says what was
    edited, cut off or taken away, as far as the hashes in it tell. Who rewrites all of them is found out by `head`.
    """
    from linnaea.delivery.serving.audit_log.chain import chain_folders
    from linnaea.run import Run

    folder = run.model_folder if isinstance(run, Run) else Path(run)
    if folder.is_dir() and chain_folders(folder):
        from linnaea.delivery.serving.audit_log.checking import checked_log

        return checked_log(folder, [head] if isinstance(head, str) else head)

    from linnaea.classifier.signed import verified

    return verified(folder, trust or None)
