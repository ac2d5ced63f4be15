"""`demo`: the whole way on scikit-learn's 1,797 handwritten digits, offline."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from linnaea.errors import UsageError
from linnaea.options import Learning, Machine, Option
from linnaea.runtime.saying import say, say_text
from linnaea.verbs.audit import audit
from linnaea.verbs.contract import VERBS, told_by
from linnaea.verbs.export import export
from linnaea.verbs.report import report
from linnaea.verbs.train import train


def tell(answer: Callable[[], Path], given: Mapping[str, Any]) -> None:
    """It says all while it goes."""
    answer()


@VERBS.register(
    "demo",
    title="Demonstration",
    meaning="Run the whole way from images to answers on 1,797 real handwritten digits, offline, in a few minutes.",
    order=80,
)
@told_by(tell)
def demo(
    *, out: Annotated[str | Path, Option("Folder to write the digits and the run to.", read=Path)] = Path("runs/demo")
) -> Path:
    """Write the digits as PNG class folders below `out`, then audit, train, export and predict, saying each step.

    Returns the folder of the run.
    """
    from linnaea.experiments.digits import write_digits, write_photo
    from linnaea.finding import Estimate
    from linnaea.run import Run
    from linnaea.runtime.files import read_json

    run = Path(out) / "run"
    if run.exists():
        raise UsageError(f"{run} already exists: remove it, or choose another folder with --out.")
    digits = write_digits(Path(out) / "digits")
    say(f"1. {len(list(digits.rglob('*.png')))} handwritten digits are in {digits}.")
    say("2. The audit, before any model:")
    findings = audit(digits)
    for finding in findings:
        say(f"   {finding.summary}")
    if not findings:
        say("   Nothing to report: no broken files, duplicates, contradicting labels or small classes.")
    say("3. The ladder, from the majority class up, each rung judged on images it was not trained on:")
    classifier = train(digits, out=run, learning=Learning(weights="none"), machine=Machine(time_limit="90s"))
    say("4. Exported to ONNX, and checked to give the same answers:")
    say(f"   {export(run).parity.summary}")
    say("5. Answers for three digits and a photograph of a flower, which is not a digit:")
    chosen = Run.open(run).dataset().split("test").paths[:3]
    predictions = classifier.predict([*chosen, write_photo(Path(out) / "flower.jpg")])
    say_text(str(predictions))
    report(run)
    figures = {name: Estimate(**figure) for name, figure in read_json(run / "metrics.json")["test"].items()}
    say_text("\nOn the sealed test split, with 95 % intervals:")
    for name in ("accuracy", "balanced_accuracy", "ece", "coverage", "unfamiliar_rate"):
        say(f"   {name:18} {figures[name]}")
    say_text(
        f"\nRun folder  {run}\nReport      {run / 'report.html'}\nNext        linnaea predict {run} YOUR_PHOTO.jpg"
    )
    return run
