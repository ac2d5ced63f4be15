"""`audit`: look at labelled images before any model of the user's does."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Labelled, Learning, Machine, Only, Option, Preparation
from linnaea.options.things import Also, AsJson, GuardFormulas
from linnaea.runtime.saying import say, say_findings
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.experiments.audit import Audit


def tell(
    answer: Callable[[], "Audit"],
    given: Mapping[str, Any],
    *,
    fix_list: Annotated[
        Path | None, Option("CSV file to write, with a row per image to check. Default: none.", read=Path)
    ] = None,
    report_file: Annotated[
        Path | None, Option("HTML file to write, with images. Default: none.", flags=("--report",), read=Path)
    ] = None,
    as_json: AsJson = False,
    strict: Annotated[bool, Option("Exit with 1 if there is any warning.")] = False,
    guard_formulas: GuardFormulas = True,
) -> None:
    """Say what was found, write what is asked for, and what comes next; the exit code is 1 for errors."""
    found = answer()
    grave = [finding for finding in found if finding.severity != "info"]
    broken = any(finding.severity == "error" for finding in found)
    say_findings(list(found), as_json)
    written = (
        fix_list and found.write_fixes(fix_list, guard_formulas=guard_formulas),
        report_file and found.write_report(report_file),
    )
    if not as_json:
        say(
            *(f"Written: {file}" for file in written if file),
            f"Findings that need attention: {len(grave)} of {len(found)}.",
        )
        if not broken:
            more = "".join(f" --also {one}" for one in given["also"])
            say(f"Next: linnaea train {given['data']}{more}")
    if broken or (strict and grave):
        sys.exit(1)


@VERBS.register(
    "audit",
    title="Audit",
    meaning="Check labelled images before training: files, duplicates, leaks, label errors, odd images, shortcuts.",
    order=10,
)
@told_by(tell)
def audit(
    data: Labelled,
    *,
    also: Also = (),
    preparation: Annotated[
        Preparation, Only("img_size", "fit", "max_pixels", "duplicates", "channels")
    ] = Preparation(),
    learning: Annotated[Learning, Only("weights")] = Learning(),
    machine: Annotated[Machine, Only("seed")] = Machine(),
) -> "Audit":
    """Look at labelled images before any model does; returns the findings, which behave as a sequence.

    Files left out; images repeated, also across splits, classes and groups; labels that are probably wrong, by a
    classifier cross-validated on features of `weights` (a file, "auto" for what can be had, "none" for classical
    features); outliers; dark, blurred, tiny, odd and cut images; small and rare classes; what gives the class away
    without the subject; order. Each file is read once, and not again while it stays as it is. `fit` is the way
    images will become square, and those of more than `max_pixels` (None: 50 megapixels) are not decoded. Raises
    DataError where no image can be read.
    """
    from linnaea.data.sources.together import read_together
    from linnaea.experiments.audit import audit_images

    return audit_images(read_together(data, also), preparation, learning.weights, machine.seed)
