"""`explain`: what in an image speaks for an answer."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Explaining, Machine, Only, Option, Preparation, checks
from linnaea.options.things import Answering, AsJson
from linnaea.runtime.saying import say, say_json
from linnaea.runtime.words import counted
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.dataset import Dataset
    from linnaea.experiments.explanation.explanation import Explanation


def tell(answer: Callable[[], "Explanation"], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Say what was explained by what, what is wrong with it, and where it is."""
    made = answer()
    if as_json:
        say_json(made.to_json())
        return
    say(*made.notes)
    for name, said in made.said.items():
        say(f"  {name}: {said or 'done'}{'. ' + made.flaws[name] if name in made.flaws else ''}")
    for finding in made.findings:
        say(f"{finding.severity:8} {finding.name}: {finding.summary}")
    what = counted(len(made.targets), "image") if made.asked is None else counted(len(made.asked), "class", "classes")
    say(f"{what} explained by {counted(len(made.said), 'method')}: see {made.page}.")


@VERBS.register(
    "explain",
    title="Explain",
    meaning="Show what in an image speaks for an answer: maps over photos, arrays, and one page.",
    order=53,
)
@told_by(tell)
def explain(
    classifier: Answering,
    images: Annotated[
        "str | Path | Dataset | Sequence[str | Path] | None",
        Option(
            "Images: files, folders or labelled data. Default: images of the test split, mistakes among them.",
            checks.files,
            read=Path,
            many=True,
            plain=True,
        ),
    ] = None,
    *,
    out: Annotated[str | Path | None, Option("Folder to write to. Default: RUN/explanations.", read=Path)] = None,
    explaining: Explaining = Explaining(),
    preparation: Annotated[Preparation, Only("max_pixels")] = Preparation(),
    machine: Annotated[Machine, Only("seed", "device")] = Machine(),
) -> "Explanation":
    """Show what in images speaks for a class, by maps and by other images, and write it into a folder.

    `classifier` may be a run, a bundle or an exported file; methods that need gradients refuse what has none, and name
    those that can. `images` without labels have no truth; without any, some of the run's test split are explained, half
    of them mistakes, and the split is counted as opened once more. The class explained is `target` (None: the answer of
    each image). Written are a picture per image and method, `explanations.npz` and `index.html`, into `out` (None:
    `explanations` in the folder of the run, or here). `layer`, `samples` and `seed` are told to the methods; `most`
    images of a folder or a split are drawn by the seed. Methods that picture classes need no images: without any, they
    picture `target`, or all classes where there are at most `most`, or a `channel` of the layer; `concept` are pictures
    of what a class may depend on, compared with those `against` it (None: training images).

    Maps are looked at by checks: those named in `check` ("all", "none"; None: those that cost little). A method that
    fails the sanity check says so on its pictures. `boxes` are where the object lies on photos. Where the truth of
    images is known, it is told where mistakes look, and where one class looks and the others do not. Without `out` the
    findings also go into the report of the run. Raises UsageError for a class, a method, a check or a layer that does
    not exist, and for a method that cannot explain the classifier, DataError where no image can be read, and for boxes
    that are none.
    """
    from linnaea.experiments.explanation.folder import explain_into
    from linnaea.experiments.explanation.methods import subject_of

    subject = subject_of(classifier, preparation.max_pixels, machine.device)
    place = Path(out) if out is not None else (subject.run.folder if subject.run else Path()) / "explanations"
    return explain_into(place, subject, images, explaining, seed=machine.seed, report=out is None)
