"""What is asked of a retraining, made of options, and all of it refused before any work where it cannot be."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from linnaea.classifier.content import DESCRIPTION
from linnaea.delivery.model_registries.promotion import Place
from linnaea.errors import DataError, RunError, UsageError
from linnaea.experiments.monitoring.monitoring import FILE, Asked, monitor_classifier
from linnaea.experiments.monitoring.served import addresses
from linnaea.experiments.retraining.carrying_out import Order
from linnaea.experiments.retraining.deciding import require_demands
from linnaea.experiments.retraining.triggers import read_triggers
from linnaea.experiments.retraining.version import require_shares
from linnaea.finding import Finding
from linnaea.options import Retraining
from linnaea.run import Run
from linnaea.runtime.files import read_json


def order_of(
    run: Run,
    asked: Retraining,
    rules: Mapping[str, Mapping[str, Any]],
    *,
    review: str | Path | None,
    log: str | Path | None,
    monitoring: str | Path | None,
) -> Order:
    """The order; raises UsageError for triggers, shares, margins and places that cannot be."""
    if log is not None and monitoring is not None:
        raise UsageError(
            "both --log, to be monitored now, and --monitoring, what was found before, are given: give one."
        )
    when = [asked.when] if isinstance(asked.when, str) else list(asked.when)
    read_triggers(when)
    return Order(
        review=None if review is None else Path(review),
        when=when,
        shares=require_shares(asked.test_share, asked.val_share),
        demands=require_demands(asked.margin, asked.on_new, rules),
        place=None if asked.place is None else Place(asked.place, asked.tag),
        warm_start=asked.warm_start,
        monitored=partial(watched, run, Path(log))
        if log is not None
        else partial(found_before, run, None if monitoring is None else Path(monitoring)),
    )


def watched(run: Run, log: Path) -> Sequence[Finding]:
    """What monitoring finds in a log now."""
    return monitor_classifier(run, log, None, "test", Asked()).findings


def found_before(run: Run, given: Path | None) -> Sequence[Finding] | None:
    """What monitoring found: in the file or folder that is given, else beside the run; None where nobody monitored."""
    place = run.folder / "monitoring" if given is None else given
    file = place / FILE if place.is_dir() else place
    if file.is_file():
        return _findings(file, run)
    if given is not None:
        raise DataError(f"{given} holds no {FILE}: `linnaea monitor {run.folder}` writes one.")
    return None


def _findings(file: Path, run: Run) -> list[Finding]:
    """What was found; raises DataError where it was found of another classifier."""
    content = read_json(file)
    try:
        watched, made_from = set(content.get("classifiers", ())), content.get("provenance")
        found = [Finding.from_json(one) for each in content["monitors"].values() for one in each]
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise RunError(f"{file} is not what `linnaea monitor` wrote ({error!r}): run it again.") from None
    ours = read_json(run.model_folder / DESCRIPTION).get("provenance")
    if watched and not watched & addresses(run, None) and (not ours or made_from != ours):
        raise DataError(
            f"{file} was found of {content.get('name')}, which is not the classifier of {run.folder}, nor exported "
            f"from it: run `linnaea monitor {run.folder}`."
        )
    return found
