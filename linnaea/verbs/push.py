"""`push`: a classifier into a model registry."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Option
from linnaea.options.things import AsJson, BundleFolder
from linnaea.runtime.saying import say, say_json, say_text
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.delivery.model_registries import Pushed


def tell(answer: Callable[[], "Pushed"], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Say as which version it is kept, and how to get it."""
    pushed = answer()
    if as_json:
        say_json(pushed.to_json())
        return
    say_text(str(pushed))
    say(f"Next: linnaea pull {pushed.source} FOLDER")


@VERBS.register(
    "push",
    title="Push",
    meaning="Keep a classifier as a new version in a model registry: a folder, MLflow, or the Hugging Face Hub.",
    order=68,
)
@told_by(tell)
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
