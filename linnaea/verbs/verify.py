"""`verify`: whether a classifier is what was saved, and whose signature says so."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnaea.errors import BundleError, CheckFailedError
from linnaea.options.things import AsJson, BundleFolder, Trusted
from linnaea.runtime.saying import say_result
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.classifier.signed import Signed


def tell(answer: Callable[[], "Signed"], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Say the address and the signatures; the exit code is 1 where anything is wrong."""
    try:
        found = answer()
    except BundleError as error:
        raise CheckFailedError(str(error)) from None
    say_result(found, as_json)


@VERBS.register(
    "verify",
    title="Verify",
    meaning="Whether every file of a classifier is what was saved, its address, and whose key has signed it.",
    order=67,
)
@told_by(tell)
def verify(
    run: BundleFolder,
    *,
    trust: Trusted = (),
) -> "Signed":
    """Read every file of a bundle and say its address and its signatures; nothing in it is executed.

    Raises BundleError where a file has changed, is missing or could harm, where the signature is void or damaged, and
    where keys are trusted and none of them has signed it.
    """
    from linnaea.classifier.signed import verified
    from linnaea.run import Run

    return verified(run.model_folder if isinstance(run, Run) else Path(run), trust or None)
