"""Distillation: a smaller network learns from labels and from what the run answers."""

import copy

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.delivery.compression.contract import COMPRESSORS, Compressed, Compressor, UnmetError, Wanted, Workshop
from linnaea.delivery.compression.prune import WHOLE_RATE
from linnaea.delivery.compression.stepping import whole_training
from linnaea.delivery.compression.students import body_megabytes, name_of, require_smaller, student_for
from linnaea.errors import UsageError
from linnaea.models.model import said
from linnaea.models.network import Network
from linnaea.task import TASKS


def require(classifier: Classifier, wanted: Wanted) -> None:
    """Raise UsageError for a task that has no teachers, and for a student that is not smaller than its teacher."""
    if TASKS[classifier.task].multilabel:
        raise UsageError("distill needs one label per image, and these have several: use --method prune or quantize.")
    if wanted.student is not None:
        require_smaller(wanted.student, classifier.model)
        target, own = wanted.target, body_megabytes(name_of(wanted.student))
        if target is not None and target.megabytes is not None and own > target.megabytes:
            raise UnmetError(
                f"the target is {target.text}, and the student {name_of(wanted.student)} takes {own:.2f} MB, which is "
                "the nearest point: name a smaller network with --student, or ask for less."
            )


def distill(classifier: Classifier, workshop: Workshop) -> Compressed:
    """The student, taught by the run; after another method and without a name, what that left is the student."""
    student = workshop.wanted.student
    if student is None and classifier is not workshop.source:
        model = copy.deepcopy(classifier.model)
        notes = workshop.tune(model, epochs=whole_training(workshop), rate=WHOLE_RATE, taught=True)
        return Compressed(classifier.with_(scorer=scorer_of(model)), ["The run taught what was left.", *notes])
    chosen = student_for(classifier.model) if student is None else student
    if isinstance(chosen, str):
        name = name_of(chosen)
        _require_fast_enough(name, classifier, workshop)
        model, notes = workshop.teach(chosen, workshop.wanted.match)
    else:
        name, model = f"a member ({chosen.arguments['name']})", copy.deepcopy(chosen)
        notes = workshop.tune(model, epochs=whole_training(workshop), rate=WHOLE_RATE, taught=True)
    share = model.megabytes / classifier.model.megabytes
    told = f"The student is {name}, of {share:.0%} of its teacher's size: {model.megabytes:.2f} MB."
    facts = {"student": name, "share": share, "match": workshop.wanted.match}
    return Compressed(classifier.with_(scorer=scorer_of(model)), [told, *notes], facts)


def _require_fast_enough(name: str, classifier: Classifier, workshop: Workshop) -> None:
    """Raise UnmetError, before it learns, for a student that takes longer for an image than the target says."""
    target = workshop.wanted.target
    if target is None or target.seconds is None:
        return
    recipe = classifier.recipe
    student = Network.fitting(name, len(classifier.classes), recipe.size, **said(recipe.channels))
    taken = workshop.speed(student)
    if taken > 1000 * target.seconds:
        raise UnmetError(
            f"the target is {target.text}, and the student {name} takes {taken:.2f} ms for an image, which is the "
            "nearest point: name a faster network with --student, or ask for less."
        )


COMPRESSORS.register(
    "distill",
    title="Distillation",
    meaning="A smaller network learns from labels and from what the run answers.",
    cost="hours",
    takes=("torch", "classical"),
    trains=True,
    last=False,
    replaces=True,
)(Compressor(distill, require))
