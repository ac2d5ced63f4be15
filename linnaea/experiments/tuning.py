"""A search for good options, from labelled images to a finished run of the best trial."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from linnaea.classifier import Classifier
from linnaea.dataset import Dataset
from linnaea.errors import UsageError
from linnaea.experiments.attempt import Attempted, Material
from linnaea.experiments.cross_validation import Fold, Folds, cross_validate, require_enough
from linnaea.experiments.ladder import Choice, write_ladder
from linnaea.experiments.logs import Logs
from linnaea.experiments.preparation import Prepared
from linnaea.experiments.recipe_file import FILE as RECIPE_FILE
from linnaea.experiments.recipe_file import recipe_of
from linnaea.experiments.repetition import Repeated, Turns, folds_of
from linnaea.experiments.run_life import timed
from linnaea.experiments.search.book import FILE, Book, Entry, require_optuna
from linnaea.experiments.search.contract import SEARCHES, Hunt, Limits, require_changeable
from linnaea.experiments.search.defaults import default_space
from linnaea.experiments.search.importance import importance_finding, unknowable
from linnaea.experiments.search.outcome import because, optimism_finding, record_of
from linnaea.experiments.search.space import Space, given_in, read_space
from linnaea.experiments.search.table import in_words, row_of
from linnaea.experiments.search.trying import Field, Way
from linnaea.experiments.training import Training, settle, way_to_learn
from linnaea.experiments.training_run import concluded
from linnaea.learning.recipe import OF_LOOP, OF_TRAINING, OF_TRANSFER
from linnaea.learning.rungs import Step, steps_for
from linnaea.options import Decision, Learning, Machine, Options, Preparation, Repetition, Searching
from linnaea.options.option import changed
from linnaea.run import Run
from linnaea.runtime.duration import parse_duration
from linnaea.runtime.files import write_text

logger = logging.getLogger("linnaea")
NAME = "search"
TRIALS = 20
SEARCHING_SHARE = 0.8  # of the time limit, where there is one and no budget

NAMES = {"augmentations": "augment"}  # of options that are called otherwise


@dataclass(frozen=True)
class Tuning:
    """A search that is settled: what is the same for all trials, what is searched, and how.

    `things` and `groups` are what a training of the winner would be given beside its options of learning.
    """

    training: Training
    learning: Learning
    machine: Machine
    searching: Searching
    space: Space
    things: Mapping[str, Any]
    groups: Mapping[str, Options]

    @property
    def budget(self) -> float | None:
        """Seconds for all searches together; None for no limit."""
        given = parse_duration(self.searching.budget)
        left = self.training.until - time.monotonic()
        limit = None if left == math.inf else max(0.0, SEARCHING_SHARE * left)
        return min((value for value in (given, limit) if value is not None), default=None)

    @property
    def trials(self) -> int | None:
        """The most trials of a search; None for any number."""
        given = self.searching.trials
        if given is not None or self.searching.search == "grid" or self.budget is not None:
            return given
        return TRIALS

    @property
    def changing(self) -> bool:
        """Whether values change while a network trains."""
        return bool(SEARCHES.about(self.searching.search).capabilities.get("changing"))

    def recipe(self, best: Entry) -> str:
        """The text of the file that trains as the best trial did."""
        learning = self.space.applied(self.learning, best.values)
        followed = self.way(learning).step.rung.recipe
        names = [name for name in (*OF_LOOP, *OF_TRAINING, *OF_TRANSFER) if name not in followed]
        unused: dict[str, Any] = {NAMES.get(name, name): False if name == "find_lr" else None for name in names}
        groups = {**self.groups, "learning": changed(learning, unused)}
        ended = "Trains with the values that the best member ended with, which changed while it trained"
        return recipe_of("train", self.things, groups, title=ended if self.changing else "Trains as the best trial did")

    def way(self, learning: Learning) -> Way:
        """The one step and the options that options of learning stand for."""
        steps, _, options = way_to_learn(learning, self.machine, self.training.dataset, self.training.recipe.channels)
        return Way(_only(steps, learning.model), options)


def settle_tuning(
    data: str | Path | Dataset,
    preparation: Preparation,
    learning: Learning,
    decision: Decision,
    machine: Machine,
    repetition: Repetition,
    searching: Searching,
    log: Sequence[str] = (),
) -> Tuning:
    """Look at what was asked for; raises UsageError or DataError for what does not go together or with the data."""
    require_optuna()
    if searching.on == "ray":
        from linnaea.experiments.ray_cluster import require_ray

        require_ray("tune")
    space = None if searching.space is None else read_space(searching.space)
    learning = _with_one_model(learning, space)
    training = settle(data, preparation, learning, decision, machine, repetition, log)
    require_enough(training.dataset, searching.inner_folds)
    step = _only(list(training.steps), learning.model)
    space = default_space(step, learning) if space is None else space
    twice = [name for name in space.names if name in given_in(learning) and name != "model"]
    if twice:
        raise UsageError(f"{', '.join(twice)} is given and searched: leave one of them out.")
    require_changeable(searching.search, space, folds=searching.inner_folds, epochs=learning.epochs)
    once, untimed = changed(repetition, {"folds": None}), changed(machine, {"time_limit": None})  # as trials are made
    groups = {"preparation": preparation, "decision": decision, "machine": untimed, "repetition": once}
    tuning = Tuning(training, learning, machine, searching, space, {"data": data, "log": log}, groups)
    _require_possible(tuning)
    return tuning


def _with_one_model(learning: Learning, space: Space | None) -> Learning:
    """The options with one model to begin with: the last step of the ladder for "auto", else the first choice."""
    choices = next((one.points for one in space.parameters if one.name == "model"), None) if space else None
    if choices is not None:
        if learning.model != "auto":
            raise UsageError("the model is given and searched: leave one of them out.")
        return changed(learning, {"model": choices[0]})
    if learning.model != "auto":
        return learning
    steps, _ = steps_for(learning.model, learning.weights)
    return changed(learning, {"model": steps[-1].name})


def _only(steps: list[Step], model: str) -> Step:
    if len(steps) != 1:
        raise UsageError(
            f"--model is {model!r}, and a trial learns one: name one, or search them by a line such as "
            'model = ["resnet18", "mobilenetv3_small_100"] in --space.'
        )
    return steps[0]


def _require_possible(tuning: Tuning) -> None:
    """Raise UsageError where the training refuses a choice, or an end of a range, of the space."""
    for name, value in tuning.space.extremes():
        try:
            tuning.way(tuning.space.applied(tuning.learning, {name: value}))
        except UsageError as error:
            raise UsageError(f"the space has {name} = {value!r}, which cannot be tried: {error}") from None


def searched_and_concluded(tuning: Tuning, training: Training, prepared: Prepared, run: Run, logs: Logs) -> Classifier:
    """Search, cross-validate the search where that is asked for, and conclude the winner as any other run."""
    material, repetition = Material.of(prepared, training.recipe), training.repetition
    folds = folds_of(prepared, repetition, run, training.split_seed)
    budget = tuning.budget
    each = math.inf if budget is None else budget / (1 + (repetition.folds or 0))
    with timed(run, "search"):
        hunt = _hunt(tuning, prepared, material, run, "", each)
        best, winner = _won(tuning, hunt)
    _write_down(tuning, hunt, best, winner, run)
    for row in best.told.get("history") or ():
        logs.epoch(winner.name, row)
    if folds is not None:
        with timed(run, "folds"):
            cross_validate(
                folds,
                training.recipe,
                training.split_seed,
                run,
                training.aims,
                lambda fold: _won_in(tuning, fold, run, each),
            )
    entries = hunt.book.entries
    choice = Choice(winner, because(winner.name, tuning.searching, best, entries))
    if (repetition.seeds or 1) > 1:
        way = hunt.field.way(best.values)
        turns = Turns(training.until, repetition.seeds or 1)
        repeated = Repeated([way.step], way.options, training.aims, training.recipe, repetition, turns)
        repeated.over_seeds(choice, material, run)
    classifier = concluded(training, choice, material, prepared, run)
    optimism = optimism_finding(run, best, entries)
    if optimism is not None:
        run.add_findings(NAME, [optimism])
        if optimism.severity != "info":
            logger.warning(optimism.summary)
    return classifier


def _hunt(tuning: Tuning, prepared: Prepared, material: Material, run: Run, name: str, seconds: float) -> Hunt:
    """A search on these images; `name` keeps it apart from others in the run."""
    training, inner = tuning.training, tuning.searching.inner_folds
    parts: tuple[Material, ...] = ()
    if inner is not None:
        parts = tuple(Folds.of(prepared, inner, training.split_seed).in_turn_val(training.recipe))
    place = run.folder / "checkpoints" / (name or NAME)
    field = Field(tuning.space, tuning.learning, tuning.way, material, place, parts)
    book = Book.open(run.folder / FILE, name or NAME)
    limits = Limits(tuning.trials, time.monotonic() + seconds)
    told = None if name else partial(_write_trials, run)
    return Hunt(
        field, tuning.space, book, limits, training.options.seed, f"{name}, " if name else "", told, tuning.searching.on
    )


def _won(tuning: Tuning, hunt: Hunt) -> tuple[Entry, Attempted]:
    """Search, and give the best trial with its attempt; raises UsageError where no trial finished."""
    SEARCHES[tuning.searching.search](hunt)
    hunt.tell_counts()
    hunt.require_won()
    best = hunt.book.best
    assert best is not None, "one finished"
    winner = hunt.field.attempted(best.number, best.values)
    _ = winner.finished  # where it was made again and failed, that is raised
    return best, winner


def _won_in(tuning: Tuning, fold: Fold, run: Run, seconds: float) -> tuple[str, Attempted]:
    """What a search within a fold finds: its values in words, and the attempt."""
    hunt = _hunt(tuning, fold.prepared, fold.material, run, f"fold-{fold.number}", seconds)
    best, winner = _won(tuning, hunt)
    return in_words(best.values), winner


def _write_trials(run: Run, book: Book) -> None:
    best = book.best
    rows = [row_of(entry, chosen=best is not None and entry.number == best.number) for entry in book.entries]
    names = list(dict.fromkeys(name for row in rows for name in row if name != "note"))
    run.write_rows("trials.csv", [{name: row.get(name) for name in [*names, "note"]} for row in rows])


def _write_down(tuning: Tuning, hunt: Hunt, best: Entry, winner: Attempted, run: Run) -> None:
    """The trials, which options mattered, the epochs of the winner and its row in the ladder, and how it was found."""
    entries = hunt.book.entries
    _write_trials(run, hunt.book)
    write_text(run.folder / RECIPE_FILE, tuning.recipe(best))
    importance = unknowable(len(entries)) if tuning.changing else importance_finding(tuning.space, entries, hunt.seed)
    run.write_findings(NAME, [importance])
    run.write_rows("history.csv", [{"rung": winner.name, **row} for row in best.told.get("history") or ()])
    write_ladder(run, [winner], tuning.training.dataset.task, winner)
    run.update(search=record_of(tuning.space, tuning.searching, best, entries))
