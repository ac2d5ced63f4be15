"""Which objective a training has, by its name, and what it cannot be asked for together with."""

from collections.abc import Sequence

from linnaea.errors import UsageError
from linnaea.learning.amounts import look_up
from linnaea.learning.augmentations import AUGMENTATIONS
from linnaea.learning.balance import ACTS, BALANCERS
from linnaea.learning.job import Job
from linnaea.learning.objectives.contract import OBJECTIVES, Objective, Setting
from linnaea.learning.objectives.mixing import parted
from linnaea.learning.objectives.teacher import Teacher
from linnaea.learning.recipe import TrainingRecipe
from linnaea.models.model import Model
from linnaea.runtime.arguments import COLOUR

USUAL = "supervised"


def objective_for(
    job: Job, model: Model, *, augmentations: Sequence[str], label_smoothing: float, epochs: int
) -> tuple[Objective, Sequence[str]]:
    """The objective that was asked for, or labels, for this model; and the augmentations left to the source of batches.

    `label_smoothing` is the usual one of the rung.
    """
    recipe = job.options.recipe
    name = recipe.objective or USUAL
    kind, amount = look_up(OBJECTIVES, name)
    changing, mixing = parted(augmentations)
    views = _says(name, "views")
    setting = Setting(
        model,
        job.criterion,
        job.balance,
        label_smoothing if recipe.label_smoothing is None else recipe.label_smoothing,
        changing if views else mixing,
        amount,
        epochs,
        job.options.seed,
        pretrained=job.weights is not None,
        teacher=job.teacher if _says(name, "teacher") else None,
    )
    return kind.made(setting), () if views else changing


def notes_on(recipe: TrainingRecipe, augmentations: Sequence[str]) -> list[str]:
    """What should be known of a network that learnt by an objective that was asked for, with these augmentations."""
    if recipe.objective is None:
        return []
    taught = "" if recipe.teacher is None else f", with the teacher {recipe.teacher}"
    told = [f"It learnt by the objective {recipe.objective}{taught}."]
    cutting = [name for name in augmentations if look_up(AUGMENTATIONS, name)[0].stretch is not None]
    if cutting and _says(recipe.objective, "views"):
        told.append(
            f"Its views were cut by {', '.join(cutting)} from the pixels that the network sees, not from the photos."
        )
    return told


def require_objective(
    recipe: TrainingRecipe,
    task: str,
    classes: Sequence[str],
    *,
    channels: int = COLOUR,
    balance: str | None = None,
    augmentations: Sequence[str] | None = None,
) -> None:
    """Raise UsageError for an objective that does not fit the task or what else was asked for, before any work."""
    name = recipe.objective or USUAL
    look_up(OBJECTIVES, name)
    if task not in _listed(name, "tasks"):
        fitting = [known for known in OBJECTIVES if task in _listed(known, "tasks")]
        raise UsageError(
            f"the objective {name!r} needs one label per image, but these data are {task}: use {', '.join(fitting)}."
        )
    _require_teacher(recipe, name, task, classes, channels)
    if balance is not None:
        _require_balance(name, balance)
    mixing = parted(augmentations or ())[1]
    if mixing and not _says(name, "mixes"):
        raise UsageError(
            f"the objective {name!r} cannot use images whose labels are mixed, and {', '.join(mixing)} was given with "
            "--augment: leave it out."
        )


def _require_teacher(recipe: TrainingRecipe, name: str, task: str, classes: Sequence[str], channels: int) -> None:
    taught = [known for known in OBJECTIVES if _says(known, "teacher")]
    if recipe.teacher is None and name.partition(":")[0] in taught:
        raise UsageError(f"the objective {name!r} needs a teacher: give the folder of a finished run with --teacher.")
    if recipe.teacher is not None:
        if name.partition(":")[0] not in taught:
            raise UsageError(
                f"the teacher {recipe.teacher} was given, and the objective {name!r} has no use for it: leave it out, "
                f"or choose --objective {', '.join(taught)}."
            )
        Teacher.of(recipe.teacher, classes, task, channels)


def _require_balance(name: str, balance: str) -> None:
    acts_on = look_up(BALANCERS, balance)[0].acts_on
    usable = _listed(name, "balances")
    if acts_on not in usable:
        instead = [known for known, member in BALANCERS.items() if member.acts_on in usable]
        raise UsageError(
            f"the balance {balance!r} {ACTS[acts_on]}, which the objective {name!r} has no use for: use "
            f"{', '.join(instead)}, or leave one of them out."
        )


def _says(name: str, capability: str) -> bool:
    return bool(OBJECTIVES.about(name.partition(":")[0]).capabilities.get(capability, False))


def _listed(name: str, capability: str) -> Sequence[str]:
    found = OBJECTIVES.about(name.partition(":")[0]).capabilities.get(capability, ())
    assert isinstance(found, tuple), "several words"
    return found
