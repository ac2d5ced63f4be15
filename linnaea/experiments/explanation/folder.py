"""An explanation from the options that ask for it to the folder that holds it."""

from pathlib import Path

from linnaea.evidence.explanation import Settings, Subject
from linnaea.experiments.explanation.boxes import read_boxes
from linnaea.experiments.explanation.checks import AskedChecks, checked
from linnaea.experiments.explanation.explanation import Explanation
from linnaea.experiments.explanation.images import Given, chosen_images, none_given
from linnaea.experiments.explanation.methods import (
    explain_classes,
    explain_images,
    picture_classes_alone,
    require_possible,
    usual_methods,
)
from linnaea.experiments.image_files import image_files
from linnaea.options import Explaining
from linnaea.options.words import names_in
from linnaea.runtime.files import whole_folder


def explain_into(
    place: Path, subject: Subject, images: Given, explaining: Explaining, *, seed: int, report: bool
) -> Explanation:
    """Explain images, or classes where nobody looks at images, and write it into a folder; see `linnaea.explain`.

    `report` says that what was found goes into the report of the run as well, where there is one.
    """
    methods = names_in(explaining.method or ()) or usual_methods(subject)
    checks = None if explaining.check is None else names_in(explaining.check)
    asked = AskedChecks(checks, None if explaining.boxes is None else read_boxes(Path(explaining.boxes)))
    settings = _settings(explaining, seed)
    require_possible(subject, methods, explaining.target, settings)
    with whole_folder(place) as folder:
        if none_given(images) and picture_classes_alone(methods):
            made = explain_classes(subject, methods, explaining.target, settings, explaining.most)
        else:
            chosen = chosen_images(subject, images, explaining.most, seed)
            asked = asked.of(chosen, subject.classifier.recipe)
            made = explain_images(subject, chosen, methods, explaining.target, settings)
            made = checked(made, settings, asked)
        page = made.write(folder, subject.run.folder.resolve().name if subject.run else place.resolve().name)
    if report and subject.run is not None and made.findings:
        subject.run.write_findings("explanation", list(made.findings))
    return made.at(place / page.name)


def _settings(explaining: Explaining, seed: int) -> Settings:
    """What the methods are told."""
    shown = () if explaining.concept is None else tuple(image_files(explaining.concept))
    others = None if explaining.against is None else tuple(image_files(explaining.against))
    return Settings(seed, explaining.layer, explaining.samples, explaining.channel, shown, others)
