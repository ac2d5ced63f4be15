"""`linnaea demo`: the whole way on scikit-learn's 1,797 handwritten digits, offline."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from linnaea import pipeline
from linnaea.errors import UsageError
from linnaea.finding import Estimate
from linnaea.runtime.containers import Located
from linnaea.runtime.files import read_json

ENLARGED = 4


def demonstrate(out: Path, say: Callable[[str], object]) -> None:
    """Write the digits as PNG class folders below `out`, then audit, train, export and predict, saying each step."""
    run = out / "run"
    if run.exists():
        raise UsageError(f"{run} already exists: remove it, or choose another folder with --out.")
    digits = write_digits(out / "digits")
    say(f"1. {len(list(digits.rglob('*.png')))} handwritten digits are in {digits}.")
    say("2. The audit, before any model:")
    findings = pipeline.audit(digits)
    for finding in findings:
        say(f"   {finding.summary}")
    if not findings:
        say("   Nothing to report: no broken files, duplicates, contradicting labels or small classes.")
    say("3. The ladder, from the majority class up, each rung judged on images it was not trained on:")
    classifier = pipeline.train(digits, out=run, weights="none", time_limit="90s")
    say("4. Exported to ONNX, and checked to give the same answers:")
    say(f"   {pipeline.export(run).parity.summary}")
    say("5. Answers for three digits and a photograph of a flower, which is not a digit:")
    chosen = [path for path, split in zip(*_test_images(run), strict=True) if split == "test"][:3]
    predictions = classifier.predict([*chosen, write_photo(out / "flower.jpg")])
    say(str(predictions))
    pipeline.report(run)
    figures = {name: Estimate(**figure) for name, figure in read_json(run / "metrics.json")["test"].items()}
    say("\nOn the sealed test split, with 95 % intervals:")
    for name in ("accuracy", "balanced_accuracy", "ece", "coverage", "unfamiliar_rate"):
        say(f"   {name:18} {figures[name]}")
    say(f"\nRun folder  {run}\nReport      {run / 'report.html'}\nNext        linnaea predict {run} YOUR_PHOTO.jpg")


def write_digits(folder: Path) -> Path:
    """Write scikit-learn's digits (Alpaydin and Kaynak 1998) as 32-pixel PNG files in a folder per class."""
    from sklearn.datasets import load_digits

    images, targets = load_digits(return_X_y=True)
    for number, (pixels, target) in enumerate(zip(images.reshape(-1, 8, 8), targets, strict=True)):
        place = folder / str(target) / f"{number:04}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((pixels / 16 * 255).round().astype(np.uint8))
        grey.resize((8 * ENLARGED, 8 * ENLARGED), Image.Resampling.BICUBIC).save(place)
    return folder


def write_photo(path: Path) -> Path:
    """Write scikit-learn's photograph of a flower."""
    from sklearn.datasets import load_sample_image

    Image.fromarray(load_sample_image("flower.jpg")).save(path, quality=90)
    return path


def _test_images(run: Path) -> tuple[list[Located], list[str]]:
    from linnaea.run import Run

    dataset = Run.open(run).dataset()
    return dataset.paths, dataset.column("split")
