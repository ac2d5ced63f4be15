"""`linnaea demo`: the whole way on scikit-learn's 1,797 handwritten digits, offline."""

from collections.abc import Callable
from pathlib import Path

from linnaea.errors import UsageError
from linnaea.experiments.digits import write_digits, write_photo
from linnaea.finding import Estimate
from linnaea.runtime.containers import Located
from linnaea.runtime.files import read_json
from linnaea.verbs.audit import audit
from linnaea.verbs.export import export
from linnaea.verbs.report import report
from linnaea.verbs.train import train


def demonstrate(out: Path, say: Callable[[str], object]) -> None:
    """Write the digits as PNG class folders below `out`, then audit, train, export and predict, saying each step."""
    run = out / "run"
    if run.exists():
        raise UsageError(f"{run} already exists: remove it, or choose another folder with --out.")
    digits = write_digits(out / "digits")
    say(f"1. {len(list(digits.rglob('*.png')))} handwritten digits are in {digits}.")
    say("2. The audit, before any model:")
    findings = audit(digits)
    for finding in findings:
        say(f"   {finding.summary}")
    if not findings:
        say("   Nothing to report: no broken files, duplicates, contradicting labels or small classes.")
    say("3. The ladder, from the majority class up, each rung judged on images it was not trained on:")
    classifier = train(digits, out=run, weights="none", time_limit="90s")
    say("4. Exported to ONNX, and checked to give the same answers:")
    say(f"   {export(run).parity.summary}")
    say("5. Answers for three digits and a photograph of a flower, which is not a digit:")
    chosen = [path for path, split in zip(*_test_images(run), strict=True) if split == "test"][:3]
    predictions = classifier.predict([*chosen, write_photo(out / "flower.jpg")])
    say(str(predictions))
    report(run)
    figures = {name: Estimate(**figure) for name, figure in read_json(run / "metrics.json")["test"].items()}
    say("\nOn the sealed test split, with 95 % intervals:")
    for name in ("accuracy", "balanced_accuracy", "ece", "coverage", "unfamiliar_rate"):
        say(f"   {name:18} {figures[name]}")
    say(f"\nRun folder  {run}\nReport      {run / 'report.html'}\nNext        linnaea predict {run} YOUR_PHOTO.jpg")


def _test_images(run: Path) -> tuple[list[Located], list[str]]:
    from linnaea.run import Run

    dataset = Run.open(run).dataset()
    return dataset.paths, dataset.column("split")
