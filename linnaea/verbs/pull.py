"""`pull`: a classifier out of a model registry."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.options import Option
from linnaea.options.things import Trusted
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.delivery.model_registries import Pulled


@VERBS.register(
    "pull",
    title="Pull",
    meaning="Fetch a version of a classifier from a model registry into a new folder, checked before it appears there.",
    order=69,
)
def pull(
    source: Annotated[
        str, Option("Where from: models/birds@3, mlflow:birds@production, hf:user/birds. Default version: the latest.")
    ],
    folder: Annotated[str | Path, Option("Folder to write to, which is not there yet or is empty.", read=Path)],
    *,
    trust: Trusted = (),
) -> "Pulled":
    """Fetch a version of a bundle, check all of it, and only then let it appear in a folder.

    A version is a number, `sha256-` with digits of its address, a tag, or `latest`. Raises BundleError where what came
    is not what was pushed, could harm, or is not signed as asked; RegistryError where there is no such version;
    UsageError where the folder holds anything.
    """
    from linnaea.delivery.model_registries import pull as pull_bundle

    return pull_bundle(source, Path(folder), trust=trust or None)
