"""`attack`: how many answers stay correct when images are changed to mislead."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import UsageError
from linnaea.options import Option, RunFolder
from linnaea.options.checks import at_least, member
from linnaea.runtime.saying import say
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.finding import Finding


def tell(answer: Callable[[], "Finding"], given: Mapping[str, Any]) -> None:
    """Say what stayed correct, and what comes next."""
    say(answer().summary, f"Next: linnaea report {given['run']}")


@VERBS.register("attack", meaning="Change images to mislead a run, and count what stays correct.", order=57)
@told_by(tell)
def attack(
    run: RunFolder,
    *,
    method: Annotated[str, Option("Attack to try.", member("attack", "herbarium"))] = "fgsm",
    epsilon: Annotated[float, Option("How much a pixel may change, of 1.")] = 0.03,
    images: Annotated[int, Option("How many images of the validation split to change.", at_least(1))] = 100,
) -> "Finding":
    """The accuracy on changed images of the validation split, which is at most that; kept in the run's findings."""
    import torch

    from herbarium.attacks import ATTACKS
    from linnaea.classifier import load
    from linnaea.data.images.pixels import decode_files
    from linnaea.finding import Estimate, Finding
    from linnaea.models.model import to_pixels
    from linnaea.run import Run
    from linnaea.statistics.shares import limits_of_share

    opened = run if isinstance(run, Run) else Run.open(run)
    classifier, val = load(opened.model_folder), opened.dataset().split("val")
    if val.multilabel:
        raise UsageError("an attack misleads about the one label of an image, but these have several.")
    val = val.take(range(min(images, len(val))))
    pixels = to_pixels(torch.from_numpy(decode_files(val.paths, classifier.recipe).images))
    truths = torch.from_numpy(val.targets)
    changed = ATTACKS[method](classifier.model, pixels, truths, epsilon)
    before, after = (int((classifier.model(each).argmax(dim=1) == truths).sum()) for each in (pixels, changed))
    figure = Estimate(after / len(val), *limits_of_share(after, len(val)), len(val), "Wilson")
    summary = (
        f"{before} of {len(val)} images are answered correctly, and {after} after {method} changed each pixel by up to "
        f"{epsilon:g}: no more than that many withstand it."
    )
    finding = Finding(f"attack_{method}", summary, count=len(val), figure=figure)
    with opened.locked():
        opened.write_findings("attack", [finding])
    return finding
