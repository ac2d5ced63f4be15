"""From what a rung has fitted to a model of several members."""

from collections.abc import Sequence
from dataclasses import replace

from linnaea.learning.job import Fitted, Job
from linnaea.models.ensembles.ensemble import Ensemble
from linnaea.models.model import Model


def with_ensemble(fitted: Fitted, models: Sequence[Model], job: Job, note: str) -> Fitted:
    """What came of a training, with an ensemble of whole models in place of the one."""
    made = Ensemble.of(models, job.classes, job.size, several=job.task.multilabel, channels=job.channels)
    return with_model(fitted, made, note)


def with_model(fitted: Fitted, model: Model, note: str) -> Fitted:
    """The same with another model; features are those of another one no longer."""
    notes = [*fitted.notes, note]
    return replace(fitted, model=model, notes=notes, features=None, val_features=None, fixed=False)
