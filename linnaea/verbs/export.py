"""`export`: the classifier of a run as a file for other programs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import UsageError
from linnaea.options import Option, RunFolder, checks
from linnaea.runtime.saying import say, say_text
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.delivery.exporters import Exported


def tell(answer: Callable[[], "Exported"], given: Mapping[str, Any]) -> None:
    """Say where the file is, whether it answers the same, and what comes next."""
    exported = answer()
    say_text(str(exported))
    say(f"Next: python {exported.file.parent / 'predict.py'} PHOTO.jpg")


@VERBS.register(
    "export",
    title="Export",
    meaning="Export the classifier of a run and check that the file gives the same answers.",
    order=60,
)
@told_by(tell)
def export(
    run: RunFolder,
    to: Annotated[
        str,
        Option(
            "Format to export to: {names}.",
            checks.member("export format", "linnaea.delivery.exporters"),
            names=checks.names("export format", "linnaea.delivery.exporters"),
        ),
    ] = "onnx",
    *,
    out: Annotated[str | Path | None, Option("Folder to write to. Default: RUN/export/FORMAT.", read=Path)] = None,
) -> "Exported":
    """Export a run's classifier and check that the exported file answers the same; see `linnaea.delivery.exporters`.

    The folder it is written to is a classifier again: `predict`, `evaluate` and `compare` take it.
    """
    from linnaea.classifier import load
    from linnaea.delivery.exporters import export as export_classifier
    from linnaea.run import Run

    opened = run if isinstance(run, Run) else Run.open(run)
    opened.require_finished()
    dataset = opened.dataset()
    name = "test" if len(dataset.split("test")) else "val"
    folder = Path(out) if out is not None else opened.folder / "export" / to
    if folder.exists() and any(folder.iterdir()) and not list(folder.glob("model.*")):
        raise UsageError(f"{folder} holds other files: give an empty or a new folder with --out.")
    with opened.locked():
        exported = export_classifier(load(opened.model_folder), to, folder, dataset.split(name).paths)
        opened.add_findings("export", [exported.parity])
    return exported
