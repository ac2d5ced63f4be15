"""`check`: the checklist before a classifier is used, as rules that pass, fail, or say what was not done."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import CheckFailedError, UsageError
from linnaea.options import Machine, Only, Option, checks
from linnaea.options.things import AsJson
from linnaea.runtime.saying import say, say_json, say_text
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.experiments.release import Check
    from linnaea.run import Run

Released = Annotated[
    "str | Path | Run | None",
    Option("The folder of a finished run, such as runs/birds.", checks.run, read=Path, plain=True, metavar="RUN"),
]


def tell(
    answer: Callable[[], "Check"],
    given: Mapping[str, Any],
    *,
    write_rules: Annotated[
        Path | None, Option("Write the usual rules to a TOML file to edit, and check nothing.", read=Path)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say every verdict; the exit code is 1 where a rule fails, with `strict` also where one has nothing to go by."""
    if write_rules is not None:
        from linnaea.evidence.gate.rules_file import write_rules as write

        say(f"The rules are in {write(write_rules)}.", f"Next: linnaea check RUN --rules {write_rules}")
        return
    found = answer()
    if as_json:
        say_json(found.to_json())
    else:
        say_text(str(found))
        signed = f", signed off by {found.signed_off_by}" if found.signed_off_by else ""
        say(f"The record is in {found.file}{signed}.", f"Next: linnaea dossier {given['run']}")
    if given["signed_off_by"] is not None and not found.signed_off_by:
        raise CheckFailedError(found.why_unsigned)
    if refused := found.failed(strict=given["strict"]):
        raise CheckFailedError(f"{given['run']} is not ready: {', '.join(verdict.rule for verdict in refused)}.")


@VERBS.register(
    "check",
    title="Check",
    meaning="The checklist before a classifier is used, as rules: each passes, fails, or says what was not done.",
    order=64,
)
@told_by(tell)
def check(
    run: Released = None,
    *,
    rules: Annotated[
        str | Path | Mapping[str, Any] | None,
        Option("TOML file with parameters of rules. Default: the usual ones.", read=Path),
    ] = None,
    signed_off_by: Annotated[str | None, Option("Name of the person who answers for it. Default: nobody.")] = None,
    strict: Annotated[bool, Option("Rules that have too little to go by count as failed.")] = False,
    machine: Annotated[Machine, Only("device")] = Machine(),
) -> "Check":
    """Judge a finished run by the rules of the release gate, and write the record into its bundle, `model/check.json`.

    `rules` are a TOML file, or a dictionary, of parameters by rule. Each rule passes, fails, has too few images to
    tell, or was not done since what it judges by is missing; a rule that is `waived` there is not run. Rules that try
    changed images look at the test split: that is counted, once for the same bundle and trials. It is signed off by a
    name only where every rule passes or is waived, and void once the bundle or what it was judged by changes. Raises
    UsageError for rules that do not exist, RunError where the run is not finished.
    """
    from linnaea.experiments.release import check_run, read_rules
    from linnaea.experiments.released_run import released

    if run is None:
        raise UsageError("check needs a run: expected the folder of a finished one, such as runs/birds.")
    tables = read_rules(rules)
    return check_run(released(run), tables, signed_off_by=signed_off_by, strict=strict, device=machine.device)
