"""`retrain`: a run trained again on what was reviewed since, compared with the old one, promoted where it may be."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import CheckFailedError
from linnaea.options import Machine, Only, Option, Retraining, RunFolder, checks
from linnaea.options.things import AsJson, Trusted
from linnaea.runtime.saying import say, say_json, say_text
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.experiments.retraining import Retrained


def tell(answer: Callable[[], "Retrained"], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Say what called, how it was judged and what was decided; the exit code is 1 where the new run is kept back."""
    found = answer()
    if as_json:
        say_json(found.to_json())
    else:
        say_text(str(found))
    if found.new is None:
        return
    if not as_json:
        say(f"The decision is in {found.new / 'retraining.html'}.", f"Next: {_next(found)}")
    if found.outcome == "kept back":
        raise CheckFailedError(found.sentence)


def _next(found: "Retrained") -> str:
    if found.moved is not None and found.place is not None:
        return f'linnaea rollback {found.place.target} --reason "..." brings the old one back'
    if found.outcome == "passed":
        return f"linnaea push {found.new} models/NAME --tag production"
    return f"linnaea report {found.new}"


@VERBS.register(
    "retrain",
    title="Retrain",
    meaning="Train a run again on what was reviewed since, compare it with the old one, promote it where it may be.",
    order=71,
)
@told_by(tell)
def retrain(
    run: RunFolder,
    *,
    review: Annotated[
        str | Path | None,
        Option("Folder of reviewed images, from `linnaea review`. Default: none.", checks.source, read=Path),
    ] = None,
    log: Annotated[
        str | Path | None,
        Option("Audit log of a server, to be monitored now. Default: none.", checks.files, read=Path),
    ] = None,
    monitoring: Annotated[
        str | Path | None,
        Option("What `linnaea monitor` found, monitoring.json or its folder. Default: that beside the run.", read=Path),
    ] = None,
    out: Annotated[
        str | Path | None,
        Option("Folder to write the new run to. Default: a new one beside the old run.", read=Path),
    ] = None,
    resume: Annotated[
        bool, Option("Continue a retraining that was interrupted; give it the same options, and --out.")
    ] = False,
    trust: Trusted = (),
    retraining: Retraining = Retraining(),
    machine: Annotated[Machine, Only("device")] = Machine(),
) -> "Retrained":
    """Train a run again where something calls for it, and promote the new one only where all that is asked holds.

    The new run learns by the recipe of the old one, from its images and those that were reviewed since: none that shows
    the same as an old test image, and a share of them is a new test set. It is compared with the old run by paired
    tests on the old and on the new test set, and checked as `linnaea check` does. Where all of it holds and a place is
    given, it is promoted there, and the old one kept: `linnaea rollback` brings it back. The decision with each reason
    is in the new run, `retraining.json` and `retraining.html`. Where nothing calls, nothing is trained. Raises
    DataError where nothing new was reviewed, where its classes are others, and where images of the run are gone or have
    changed; RegistryError where something else than the run is in use at the place.
    """
    from linnaea.experiments.release import read_rules
    from linnaea.experiments.retraining.asking import order_of
    from linnaea.experiments.retraining.carrying_out import retrain as carry_out
    from linnaea.run import Run

    old = run if isinstance(run, Run) else Run.open(run)
    asked = order_of(old, retraining, read_rules(retraining.rules), review=review, log=log, monitoring=monitoring)
    folder = None if out is None else Path(out)
    return carry_out(old, replace(asked, out=folder, resume=resume, device=machine.device, trust=trust or None))
