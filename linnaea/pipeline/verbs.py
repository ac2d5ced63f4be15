"""The other verbs: each a stage of the pipeline on its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from linnaea.classifier import Classifier, load
from linnaea.data.pixels import Recipe
from linnaea.data.sources import read
from linnaea.dataset import Dataset
from linnaea.delivery.exporters import Exported
from linnaea.delivery.exporters import export as export_classifier
from linnaea.delivery.report import write_report
from linnaea.errors import DataError
from linnaea.evidence import Comparison, Evaluation, write_evaluation
from linnaea.evidence import compare as compare_predictions
from linnaea.evidence import figures as compute_figures
from linnaea.evidence import findings as compute_findings
from linnaea.finding import Finding
from linnaea.pipeline.preparation import prepare
from linnaea.predictions import Predictions
from linnaea.run import Run

AUDIT_SIZE = 64


def audit(data: str | Path | Dataset, *, seed: int = 0) -> list[Finding]:
    """Look at labelled images before any model does: files left out, duplicates, leaks, small and rare classes."""
    dataset = data if isinstance(data, Dataset) else read(data)
    return prepare(dataset, Recipe(AUDIT_SIZE), seed=seed).findings


def split(data: str | Path | Dataset, *, fractions: Mapping[str, float] | None = None, seed: int = 0) -> Dataset:
    """Split images into train, val and test: stratified, duplicates and groups never apart. Returns the dataset."""
    dataset = data if isinstance(data, Dataset) else read(data)
    return prepare(dataset, Recipe(AUDIT_SIZE), seed=seed, fractions=fractions).dataset


def evaluate(classifier: Classifier | Run | str | Path, data: str | Path | Dataset | None = None) -> Evaluation:
    """Judge a classifier on labelled images, or a run on its own test split, which is counted as opened once more.

    Every figure comes with a 95 % interval. For a run the predictions, figures and tables are written into its
    folder. Images that cannot be read count as wrong answers. Raises DataError when no image carries a known class.
    """
    if isinstance(classifier, Classifier):
        if data is None:
            raise DataError("a classifier alone has no data: give labelled images as the second argument.")
        predictions = classifier.predict(_known(data, classifier.classes))
        return Evaluation(predictions, compute_figures(predictions), compute_findings(predictions))
    run = classifier if isinstance(classifier, Run) else Run.open(classifier)
    run.require_finished()
    if data is None:
        name, dataset = _own(run)
    else:
        dataset = data if isinstance(data, Dataset) else read(data)
        name = dataset.root.resolve().name
    loaded = load(run.model_folder)
    evaluation = write_evaluation(loaded.predict(_known(dataset, loaded.classes)), run.folder, name)
    if data is None and name == "test":
        run.count_test("evaluate")
    return evaluation


def predict(classifier: Classifier | str | Path, images: str | Path | Dataset | Sequence[str | Path]) -> Predictions:
    """Answer for image files; folders among them stand for the images in them."""
    loaded = classifier if isinstance(classifier, Classifier) else load(classifier)
    return loaded.predict(images)


def compare(first: str | Path, second: str | Path) -> Comparison:
    """Compare two runs on the images they have in common, by a paired test; see `linnaea.evidence.compare`."""
    runs = Run.open(first), Run.open(second)
    names = [_common_split(run) for run in runs]
    if names[0] != names[1]:
        raise DataError(
            f"{first} was judged on {names[0]} and {second} on {names[1]}: expected the same split; evaluate both on "
            "the same data."
        )
    parts = [run.predictions(name) for run, name in zip(runs, names, strict=True)]
    return compare_predictions(parts[0], parts[1], (runs[0].folder.name, runs[1].folder.name))


def export(run: str | Path, to: str = "onnx", *, out: str | Path | None = None) -> Exported:
    """Export a run's classifier and check that the exported file answers the same; see `linnaea.delivery.exporters`."""
    opened = Run.open(run)
    opened.require_finished()
    dataset = opened.dataset()
    name = "test" if len(dataset.split("test")) else "val"
    folder = Path(out) if out is not None else opened.folder / "export" / to
    exported = export_classifier(load(opened.model_folder), to, folder, dataset.split(name).paths)
    opened.write_findings("export", [exported.parity])
    return exported


def report(run: str | Path) -> Path:
    """Write the run's report anew and return its path."""
    return write_report(Run.open(run).folder)


def _known(data: str | Path | Dataset, classes: Sequence[str]) -> Dataset:
    """The images whose label the classifier knows; the others are left out, which is an error when none remain."""
    dataset = data if isinstance(data, Dataset) else read(data)
    rows = [row for row, label in enumerate(dataset.labels) if label in set(classes)]
    if not rows:
        raise DataError(
            f"no image of {dataset.root} has a class that the classifier knows: the data has "
            f"{', '.join(dataset.classes[:5])}; the classifier knows {', '.join(classes[:5])}."
        )
    return dataset.take(rows)


def _own(run: Run) -> tuple[str, Dataset]:
    dataset = run.dataset()
    name = "test" if len(dataset.split("test")) else "val"
    return name, dataset.split(name)


def _common_split(run: Run) -> str:
    return "test" if (run.folder / "predictions" / "test.parquet").exists() else "val"
