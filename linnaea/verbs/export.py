"""`export`: the classifier of a run as folders for other programs and machines."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.errors import UsageError
from linnaea.options import Option, RunFolder, checks
from linnaea.options.checks import one_of
from linnaea.options.words import names_in
from linnaea.runtime.arguments import EXPORT_PRECISIONS, require_export_precision
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.delivery.exporters import Exported
    from linnaea.experiments.exporting import Exports

FORMAT = checks.member("export format", "linnaea.delivery.exporters")


def _require(names: Sequence[str], precision: str, out: str | Path | None) -> None:
    """Refuse what can be refused before torch is loaded."""
    from linnaea.registry.index import family

    known = family("export format").known
    for name in (one for one in names if one in known):
        require_export_precision(name, precision, {one: told.capabilities for one, told in known.items()})
    if out is None or len(names) != 1:
        return
    place = Path(out)
    if place.is_file():
        raise UsageError(f"{out} is a file: give an empty or a new folder with --out.")
    others = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
    if others and "parity.json" not in others:  # else it is an earlier export, which may be replaced
        raise UsageError(
            f"{out} holds other files (first {others[0]}): give an empty or a new folder with --out, or move them."
        )


@VERBS.register(
    "export",
    title="Export",
    meaning="Export the classifier of a run and check that the files give the same answers.",
    order=60,
)
def export(
    run: RunFolder,
    to: Annotated[
        str | Sequence[str],
        Option(
            "Formats to export to, separated by commas: {names}.",
            lambda name, given: FORMAT(name, names_in(given)),
            names=checks.names("export format", "linnaea.delivery.exporters"),
        ),
    ] = "onnx",
    *,
    precision: Annotated[
        str,
        Option("Number format of weights and arithmetic: fp32, bf16, fp16 or int8.", one_of(*EXPORT_PRECISIONS)),
    ] = "fp32",
    out: Annotated[
        str | Path | None,
        Option("Folder to write to; of several formats, each goes into one in it. Default: RUN/export.", read=Path),
    ] = None,
) -> "Exported | Exports":
    """Export a run's classifier and check that the exported files answer the same; see `linnaea.delivery.exporters`.

    Each format goes into a folder of its own, by default RUN/export/FORMAT, or FORMAT-PRECISION where that is not
    fp32. It is written whole or not at all: up to 500 images of the test split, or of val where there is none, are
    answered by both from the bytes of their files, and what differs by more than the precision tolerates raises
    CheckFailedError and leaves nothing but `parity.json`. The folder is a classifier again: `predict`, `evaluate`,
    `compare` and `bench` take it. A name gives an `Exported`; several, as a list or joined by commas, give `Exports`.
    """
    names = names_in(to)
    _require(names, precision, out)
    from linnaea.experiments.exporting import export_run
    from linnaea.run import Run

    opened = run if isinstance(run, Run) else Run.open(run)
    exports = export_run(opened, names, precision, None if out is None else Path(out))
    return exports.each[0] if isinstance(to, str) and len(names) == 1 else exports
