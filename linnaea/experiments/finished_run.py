"""What a finished run has to answer with, and its own images."""

from pathlib import Path

from linnaea.classifier import Classifier, load
from linnaea.classifier.signature import Trust
from linnaea.data.hashing import hash_files
from linnaea.dataset import Dataset
from linnaea.errors import DataError
from linnaea.run import Run


def placed(classifier: Classifier, max_pixels: int | None, device: str) -> Classifier:
    """The same for images of up to so many pixels, on a device: "auto" is the best there is that it can go to."""
    able = classifier.allowing(max_pixels)
    if device == "auto" and not classifier.scorer.gradients:  # such as a file of another runtime
        return able
    from linnaea.runtime.plan import pick_device  # and with it torch, which such a file does without

    return able.to(pick_device(device))


def finished_classifier(given: Classifier | Run | str | Path, trust: Trust = None) -> Classifier:
    """The classifier itself, or that of a bundle, or of a run that came to its end, signed by a key in `trust`."""
    if isinstance(given, Classifier):
        return given
    folder = given.folder if isinstance(given, Run) else Path(given)
    if Run.is_in(folder):
        Run.open(folder).require_finished()
    return load(folder, trust=trust)


def own_images(run: Run) -> tuple[str, Dataset]:
    """The run's own test split, or val where there is none; DataError unless every image is what it was."""
    dataset = run.dataset()
    name = "test" if len(dataset.split("test")) else "val"
    part = dataset.split(name)
    hashes = zip(part.ids, hash_files(part.paths), part.column("sha256"), strict=True)
    changed = [path for path, digest, recorded in hashes if digest != recorded]
    if changed:
        raise DataError(
            f"{len(changed)} of the run's {len(part)} {name} images have changed or are missing from {dataset.root} "
            f"(first {changed[0]}): put them back, or judge the run on other data."
        )
    return name, part.with_unreadable(name)
