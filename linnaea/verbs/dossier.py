"""`dossier`: one printable document of a run for a regulator or a client; nothing here needs torch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import UsageError
from linnaea.options import Option, checks
from linnaea.runtime.saying import say
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.run import Run

Documented = Annotated[
    "str | Path | Run | None",
    Option("The folder of a finished run, such as runs/birds.", checks.run, read=Path, plain=True, metavar="RUN"),
]


def tell(
    answer: Callable[[], Path],
    given: Mapping[str, Any],
    *,
    write_statements: Annotated[
        Path | None,
        Option("Write the questions for people to a TOML or Markdown file to fill in, and no dossier.", read=Path),
    ] = None,
) -> None:
    """Say where the document is."""
    if write_statements is not None:
        from linnaea.delivery.dossier.statements import write_statements as write

        place = write(write_statements)
        say(f"The questions are in {place}.", f"Next: linnaea dossier RUN --statements {place}")
        return
    say(f"The dossier is in {answer()}: what is missing is listed first.")


@VERBS.register(
    "dossier",
    title="Dossier",
    meaning="Write one printable document of a run for a regulator or a client; what is missing is listed first.",
    order=66,
)
@told_by(tell)
def dossier(
    run: Documented = None,
    *,
    statements: Annotated[
        str | Path | None,
        Option("TOML or Markdown file with what only people can say. Default: RUN/dossier.toml, if there.", read=Path),
    ] = None,
    out: Annotated[str | Path | None, Option("HTML file to write. Default: RUN/dossier.html.", read=Path)] = None,
) -> Path:
    """Write the dossier of a finished run and return its path: one HTML file, to be read or printed.

    Purpose, data and rights, design, validation with intervals, sub-groups, robustness, oversight, limits, the release
    gate, versions and hashes; which points of Annex IV of the EU AI Act and of a model card each section answers. What
    was measured is told from what a person stated, in `statements` or the datasheet; what is missing is listed, and
    never filled in. Raises RunError for a run that is not finished or whose predictions have changed, DataError for
    statements that cannot be read.
    """
    from linnaea.delivery.dossier import write_dossier
    from linnaea.experiments.released_run import released
    from linnaea.runtime.checksums import require_all_unchanged

    if run is None:
        raise UsageError("dossier needs a run: expected the folder of a finished one, such as runs/birds.")
    folder = released(run).folder
    require_all_unchanged(folder / "predictions")
    given = None if statements is None else Path(statements)
    return write_dossier(folder, given, None if out is None else Path(out))
