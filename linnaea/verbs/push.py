"""`push`: a classifier into a model registry."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from linnaea.options import Option
from linnaea.options.things import BundleFolder
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.delivery.model_registries import Pushed


@VERBS.register(
    "push",
    title="Push",
    meaning="Keep a classifier as a new version in a model registry: a folder, MLflow, or the Hugging Face Hub.",
    order=68,
)
def push(
    run: BundleFolder,
    target: Annotated[str, Option("Where to: a path such as models/birds, mlflow:birds, or hf:user/birds.")],
    *,
    tag: Annotated[
        Sequence[str],
        Option(
            "Name for this version, such as production, which moves from another one. May be repeated.", repeated=True
        ),
    ] = (),
) -> "Pushed":
    """Keep the bundle of a run, or a bundle or an export, as a version in a registry, which numbers it.

    Pushing what is the latest version already makes no new one. The bill of materials, `sbom.cdx.json`, is written
    first where there is none. Raises BundleError for a bundle that cannot be loaded or whose signature is void,
    RegistryError where the registry cannot be reached or refuses.
    """
    from linnaea.delivery.model_registries import push as push_bundle
    from linnaea.experiments.sealed_bundle import bundle_held

    with bundle_held(run) as folder:
        return push_bundle(folder, target, tags=[tag] if isinstance(tag, str) else list(tag))
