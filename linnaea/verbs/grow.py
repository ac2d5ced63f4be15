"""`grow`: the classifier of a run learns further classes; what it sees with stays as it is."""

import logging
import math
import time
from pathlib import Path

from linnaea.classifier import Classifier, load
from linnaea.data.sources import read
from linnaea.dataset import Dataset
from linnaea.delivery.card import write_card
from linnaea.delivery.report import write_report
from linnaea.evidence.calibration import Aims
from linnaea.experiments.conclusion import conclude
from linnaea.experiments.examples import examples_job
from linnaea.experiments.growth import (
    AIMS,
    NAME,
    UNNAMED,
    cost_finding,
    fit_head,
    grown_folder,
    require_growable,
    united,
)
from linnaea.experiments.ladder import climb
from linnaea.experiments.preparation import prepare
from linnaea.experiments.run_life import begun, freeze, timed
from linnaea.learning.rungs import Options, Rung, Step
from linnaea.run import Run, now

logger = logging.getLogger("linnaea")


def grow(run: str | Path | Run, data: str | Path | Dataset, *, out: str | Path | None = None) -> Classifier:
    """Teach the classifier of a run further classes, or more of its own, and leave a new run in the folder `out`.

    `data` are labelled images, such as the folders of `linnaea.discover` under names that you gave them. What the model
    makes of an image stays as it is; only its linear head is fitted again, on the features of the run's images and the
    new ones, then calibrated and judged like any other. Images of the run stay in their splits, and new ones that show
    the same image join them. The finding `grown` says what it cost the classes known before. `out` None makes a new
    folder beside the run. Raises DataError, UsageError or RunError, each saying how to mend it.
    """
    started = time.monotonic()
    old = run if isinstance(run, Run) else Run.open(run)
    old.require_finished()
    classifier = load(old.model_folder)
    given = data if isinstance(data, Dataset) else read(data)
    require_growable(classifier, given)
    unnamed = [name for name in given.classes if UNNAMED.fullmatch(name)]
    if unnamed:
        logger.warning(
            f"{', '.join(unnamed)}: these groups have not been renamed and become classes under these names."
        )
    record = old.record()
    both = united(old.dataset(), given)
    arguments = {"grown_from": str(old.folder.resolve()), "data": str(given.root.resolve()), "seed": record["seed"]}
    kept = {name: record["arguments"].get(name) for name in (*AIMS, "ood", "duplicates")}
    if kept["aim"] is not None and both.task != "binary":
        kept["aim"] = None
        logger.warning("The aim of the run is dropped: it was for two classes, and now there are more.")
    aims = Aims(**{name: kept[name] for name in AIMS if kept[name] is not None})
    with begun(grown_folder(old, out), freeze(both, {**arguments, **kept}), resume=False) as new:
        new.update(seed=record["seed"])
        if old.judged_on == "test":  # what growing costs is told by it
            with old.locked():
                old.count_test(f"grow into {new.folder.name}")
        with timed(new, "decode, audit, split"):
            prepared = prepare(
                both,
                classifier.recipe,
                seed=record["seed"],
                duplicates=kept["duplicates"] or "near",
                keep_splits=both,
            )
            new.write_findings("audit", prepared.findings)
            new.write_dataset(prepared.dataset)
        job = examples_job(prepared, Options(seed=record["seed"]), math.inf)
        with timed(new, "ladder"):
            step = Step(NAME, Rung(lambda job: fit_head(job, classifier.model), pretrained=None))
            choice = climb(new, [step], job, prepared.dataset, classifier.recipe)
        assert choice.result.classifier is not None, "a ladder of one step that failed raises"
        new.update(
            chosen=NAME, chosen_because=f"The head of {old.folder.name} was fitted again.", plan={"device": "cpu"}
        )
        grown = conclude(choice.result, prepared, aims, new, ood=kept["ood"] or "auto")
        finding = cost_finding(old, new, classifier.classes)
        new.write_findings(NAME, [finding])
        logger.info(finding.summary)
        new.update(status="finished", finished=now(), seconds=round(time.monotonic() - started, 1))
        write_card(new.folder)
    write_report(new.folder)
    return grown
