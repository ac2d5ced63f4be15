"""The other verbs: each a stage of the pipeline on its own."""

import logging
from collections.abc import Sequence
from pathlib import Path

from linnaea.classifier import Classifier, load
from linnaea.data.hashing import hash_files
from linnaea.data.sources.archives import detects as is_archive
from linnaea.data.sources.assembling import SUFFIXES
from linnaea.data.sources.folders import images_in
from linnaea.dataset import Dataset
from linnaea.delivery.exporters import Exported
from linnaea.delivery.exporters import export as export_classifier
from linnaea.delivery.report import write_report
from linnaea.errors import DataError, UsageError
from linnaea.evidence import Comparison, Evaluation, judge, write_evaluation
from linnaea.evidence import compare as compare_predictions
from linnaea.evidence.prevalence import require_prevalence
from linnaea.pipeline.known import known_images
from linnaea.pipeline.strangers import judge_folder, judge_images
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.runtime.containers import Located

logger = logging.getLogger("linnaea")
AUDIT_SIZE = 64


def evaluate(
    classifier: Classifier | Run | str | Path,
    data: str | Path | Dataset | None = None,
    *,
    prevalence: float | None = None,
    unknown: str | Path | Sequence[str | Path] | None = None,
) -> Evaluation:
    """Judge a classifier on labelled images, or a run on its own test split, which is counted as opened once more.

    In place of a classifier a file of predictions may be given, as `Predictions.write` makes it, of any size: scores
    that do not fit memory are read part by part. Every figure comes with a 95 % interval. For a run the predictions,
    figures and tables are written into its folder. Images that cannot be read count as wrong answers. `prevalence`, of
    two classes, adds what answers are worth where the positive one has that share (Bayes' rule; Mercaldo et al. 2007).
    `unknown` are images of none of the classes: how well they are told from known ones is added to the figures and the
    findings. Raises DataError when no image carries a known class, UsageError for a prevalence that is none.
    """
    if isinstance(classifier, str | Path) and Path(classifier).suffix == ".parquet":
        if data is not None or unknown is not None:
            raise UsageError(f"{classifier} holds predictions that were made already: it takes no other images.")
        return judge(Predictions.open(Path(classifier)), prevalence=prevalence)
    if isinstance(classifier, Classifier):
        if data is None:
            raise DataError("a classifier alone has no data: give labelled images as the second argument.")
        require_prevalence(classifier.task, prevalence)
        predictions = classifier.predict(known_images(data, classifier))
        judged = judge(predictions, classifier.policy, prevalence=prevalence)
        if unknown is None:
            return judged
        openset = judge_images(classifier, predictions, image_files(unknown))
        return judged.with_more(openset.figures, openset.findings)
    run = classifier if isinstance(classifier, Run) else Run.open(classifier)
    run.require_finished()
    loaded = load(run.model_folder)
    require_prevalence(loaded.task, prevalence)
    if data is None:
        name, dataset = _own(run)
    else:
        dataset = _apart(run, known_images(data, loaded))
        name = f"{dataset.root.resolve().name}-{dataset.fingerprint[:8]}"
    answers = loaded.predict(dataset)
    evaluation = write_evaluation(answers, run.folder, name, loaded.policy, prevalence=prevalence)
    if name == "test":
        run.count_test("evaluate")
        times = len(run.record()["test_opened"])
        logger.info(f"The test split of {run.folder} has been opened {times} times; each look is written down.")
    if unknown is None:
        return evaluation
    named = Path(unknown if isinstance(unknown, str | Path) else unknown[0]).resolve().name
    openset = judge_folder(run, loaded, answers, image_files(unknown), named)
    return evaluation.with_more(openset.figures, openset.findings)


def predict(
    classifier: Classifier | str | Path,
    images: str | Path | Dataset | Sequence[str | Path],
    *,
    precision: str = "float32",
) -> Predictions:
    """Answer for image files; folders and archives among them stand for the images in them, hidden ones apart.

    `precision` is as for `Classifier.predict`. Raises DataError for a path that does not exist and a folder without
    images.
    """
    loaded = classifier if isinstance(classifier, Classifier) else _load_finished(Path(classifier))
    return loaded.predict(images if isinstance(images, Dataset) else image_files(images), precision=precision)


def compare(first: str | Path, second: str | Path) -> Comparison:
    """Compare two runs on the images they have in common, by a paired test; see `linnaea.evidence.compare`."""
    runs = Run.open(first), Run.open(second)
    if runs[0].folder.resolve() == runs[1].folder.resolve():
        raise UsageError(f"{first} and {second} are the same run: name two to compare.")
    for run in runs:
        run.require_finished()
    names = [_common_split(run) for run in runs]
    if names[0] != names[1]:
        raise DataError(
            f"{first} was judged on {names[0]} and {second} on {names[1]}: expected the same split; evaluate both on "
            "the same data."
        )
    _require_same_images(*runs)
    parts = [run.predictions(name) for run, name in zip(runs, names, strict=True)]
    shown = [run.folder.name for run in runs]
    if shown[0] == shown[1]:
        shown = [str(run.folder) for run in runs]
    return compare_predictions(parts[0], parts[1], (shown[0], shown[1]))


def export(run: str | Path, to: str = "onnx", *, out: str | Path | None = None) -> Exported:
    """Export a run's classifier and check that the exported file answers the same; see `linnaea.delivery.exporters`."""
    opened = Run.open(run)
    opened.require_finished()
    dataset = opened.dataset()
    name = "test" if len(dataset.split("test")) else "val"
    folder = Path(out) if out is not None else opened.folder / "export" / to
    if folder.exists() and any(folder.iterdir()) and not list(folder.glob("model.*")):
        raise UsageError(f"{folder} holds other files: give an empty or a new folder with --out.")
    exported = export_classifier(load(opened.model_folder), to, folder, dataset.split(name).paths)
    opened.write_findings("export", [exported.parity])
    return exported


def _require_same_images(first: Run, second: Run) -> None:
    """Raise DataError where images of the two runs share a name but not their content."""
    hashes = [dict(zip(run.dataset().ids, run.dataset().column("sha256"), strict=True)) for run in (first, second)]
    shared = hashes[0].keys() & hashes[1].keys()
    differing = [path for path in shared if hashes[0][path] != hashes[1][path]]
    if differing:
        raise DataError(
            f"{len(differing)} of {len(shared)} images have the same name in both runs but other content (first "
            f"{min(differing)}): runs can be compared on the same images only."
        )


def report(run: str | Path) -> Path:
    """Write the run's report anew and return its path."""
    return write_report(Run.open(run).folder)


def _load_finished(folder: Path) -> Classifier:
    """The classifier of a bundle, or of a run that came to its end."""
    if (folder / "run.json").exists():
        Run.open(folder).require_finished()
    return load(folder)


def image_files(images: str | Path | Sequence[str | Path]) -> list[Located]:
    """The image files that are named, and those in folders and archives; raises DataError where there are none."""
    paths = [Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise DataError(
            f"{len(missing)} of the paths do not exist: {', '.join(missing[:3])}; expected image files or folders of "
            "them."
        )
    return [file for path in paths for file in (_within(path) if path.is_dir() or is_archive(path) else [path])]


def _within(place: Path) -> list[Located]:
    found = images_in(place)
    if not found:
        raise DataError(f"{place} holds no images: expected files ending in {' '.join(SUFFIXES)} in it or below.")
    return found


def _apart(run: Run, dataset: Dataset) -> Dataset:
    """The images that the run was neither trained nor tuned on, by their content; those of its test split are counted.

    Raises DataError when none remain.
    """
    own = run.dataset()
    split_of = dict(zip(own.column("sha256"), own.column("split"), strict=True))
    hashes = ["" if isinstance(digest, Exception) else digest for digest in hash_files(dataset.paths)]
    seen = [split_of.get(digest) for digest in hashes]
    rows = [row for row, split in enumerate(seen) if split not in ("train", "val")]
    if not rows:
        raise DataError(f"the run was trained or tuned on every image of {dataset.root}: judge it on other images.")
    if len(rows) < len(dataset):
        logger.warning(f"{len(dataset) - len(rows)} images are not judged: the run was trained or tuned on them.")
    if "test" in seen:
        run.count_test(f"evaluate on {dataset.root}")
    return dataset.with_column("sha256", hashes).take(rows)


def _own(run: Run) -> tuple[str, Dataset]:
    """The run's own test split, or val where there is none; DataError unless every image is what it was."""
    dataset = run.dataset()
    name = "test" if len(dataset.split("test")) else "val"
    part = dataset.split(name)
    hashes = zip(part.ids, hash_files(part.paths), part.column("sha256"), strict=True)
    changed = [path for path, digest, recorded in hashes if digest != recorded]
    if changed:
        raise DataError(
            f"{len(changed)} of the run's {len(part)} {name} images have changed or gone from {dataset.root} (first "
            f"{changed[0]}): put them back, or judge the run on other data."
        )
    return name, part.with_unreadable(name)


def _common_split(run: Run) -> str:
    return "test" if (run.folder / "predictions" / "test.parquet").exists() else "val"
