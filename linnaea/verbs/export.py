"""`export`: the classifier of a run as a file for other programs."""

import logging
from pathlib import Path

from linnaea.classifier import load
from linnaea.delivery.exporters import Exported
from linnaea.delivery.exporters import export as export_classifier
from linnaea.errors import UsageError
from linnaea.run import Run

logger = logging.getLogger("linnaea")


def export(run: str | Path, to: str = "onnx", *, out: str | Path | None = None) -> Exported:
    """Export a run's classifier and check that the exported file answers the same; see `linnaea.delivery.exporters`."""
    opened = Run.open(run)
    opened.require_finished()
    dataset = opened.dataset()
    name = "test" if len(dataset.split("test")) else "val"
    folder = Path(out) if out is not None else opened.folder / "export" / to
    if folder.exists() and any(folder.iterdir()) and not list(folder.glob("model.*")):
        raise UsageError(f"{folder} holds other files: give an empty or a new folder with --out.")
    with opened.locked():
        exported = export_classifier(load(opened.model_folder), to, folder, dataset.split(name).paths)
        opened.write_findings("export", [exported.parity])
    return exported
