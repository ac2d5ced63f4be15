"""`explain`: what in an image speaks for an answer."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Machine, Only, Option, Preparation, checks
from linnaea.options.checks import at_least
from linnaea.options.things import Answering, AsJson
from linnaea.options.words import names_in
from linnaea.runtime.saying import say, say_json
from linnaea.runtime.words import counted
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.dataset import Dataset
    from linnaea.experiments.explaining import Explanation


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
    method: Annotated[
        Sequence[str] | None,
        Option(
            "How, separated by commas: {names}. Default: Grad-CAM, or what the classifier allows.",
            checks.member("explainer", "linnaea.evidence.explanation"),
            names=checks.names("explainer", "linnaea.evidence.explanation"),
            read=names_in,
        ),
    ] = None,
    target: Annotated[str | None, Option("Class to explain. Default: the answer of each image.")] = None,
    layer: Annotated[
        str | None, Option("Layer of the network to look at. Default: the last with a map, as found by a trial.")
    ] = None,
    samples: Annotated[
        int | None, Option("Draws, masks or steps of a method. Default: its own number.", at_least(1, usual=50))
    ] = None,
    channel: Annotated[
        int | None, Option("Channel of the layer to picture. Default: the class is pictured.", at_least(0, usual=7))
    ] = None,
    concept: Annotated[
        str | Path | None,
        Option("Folder of pictures that have something in common, for tcav. Default: none.", checks.files, read=Path),
    ] = None,
    against: Annotated[
        str | Path | None,
        Option("Folder of pictures that have not. Default: images of the training split.", checks.files, read=Path),
    ] = None,
    check: Annotated[
        Sequence[str] | None,
        Option(
            "Checks of the maps, separated by commas: {names}, all or none. Default: randomisation (of 8 images), "
            "agreement, and pointing where boxes are given.",
            checks.member("check of explanations", "linnaea.evidence.explanation.checks", also=("all", "none")),
            names=checks.names("check of explanations", "linnaea.evidence.explanation.checks"),
            read=names_in,
        ),
    ] = None,
    boxes: Annotated[
        str | Path | None,
        Option("CSV file path,left,top,right,bottom: where on photos the object lies. Default: none.", read=Path),
    ] = None,
    most: Annotated[int, Option("Most images to explain of a folder or a split.", at_least(1, "images", 16))] = 16,
    out: Annotated[str | Path | None, Option("Folder to write to. Default: RUN/explanations.", read=Path)] = None,
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
    from linnaea.evidence.explanation import Settings
    from linnaea.experiments.boxes_file import read_boxes
    from linnaea.experiments.explained_images import chosen_images, none_given
    from linnaea.experiments.explaining import (
        explain_classes,
        explain_images,
        picture_classes_alone,
        require_possible,
        subject_of,
        usual_methods,
    )
    from linnaea.experiments.explanation_checks import Asked, checked
    from linnaea.experiments.image_files import image_files
    from linnaea.runtime.files import whole_folder

    subject = subject_of(classifier, preparation.max_pixels, machine.device)
    place = Path(out) if out is not None else (subject.run.folder if subject.run else Path()) / "explanations"
    methods = [method] if isinstance(method, str) else method or usual_methods(subject)
    asked = Asked([check] if isinstance(check, str) else check, None if boxes is None else read_boxes(Path(boxes)))
    shown = tuple(image_files(concept)) if concept is not None else ()
    others = tuple(image_files(against)) if against is not None else None
    settings = Settings(machine.seed, layer, samples, channel, shown, others)
    require_possible(subject, methods, target, settings)
    with whole_folder(place) as folder:
        if none_given(images) and picture_classes_alone(methods):
            made = explain_classes(subject, methods, target, settings, most)
        else:
            chosen = chosen_images(subject, images, most, machine.seed)
            asked = asked.of(chosen, subject.classifier.recipe)
            made = explain_images(subject, chosen, methods, target, settings)
            made = checked(made, settings, asked)
        page = made.write(folder, subject.run.folder.resolve().name if subject.run else place.resolve().name)
    if out is None and subject.run is not None and made.findings:
        subject.run.write_findings("explanation", list(made.findings))
    return made.at(place / page.name)
