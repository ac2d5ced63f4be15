"""The run in whose folder an exported file or a bundle lies."""

from pathlib import Path

from linnaea.classifier import Classifier
from linnaea.run import Run

LEVELS = 3  # RUN/model, RUN/export/onnx and, of several into a folder with a name, RUN/export/NAME/onnx


def surrounding_run(folder: Path, classifier: Classifier) -> Run | None:
    """The run around the folder of a classifier that was made of the data of this run; None where there is none."""
    around = next((Run(place) for place in folder.resolve().parents[:LEVELS] if Run.is_in(place)), None)
    if around is None or not (around.folder / "manifest.csv").exists():
        return None
    told = classifier.provenance.get("dataset")
    return around if told and told == (around.record().get("dataset") or {}).get("fingerprint") else None
