"""The command line: one command per stage, its flags the keyword arguments of the verb."""

import errno
import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from linnaea.errors import LinnaeaError, UsageError

app = typer.Typer(
    name="linnaea",
    help="A folder of images in, a classifier you can defend out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

GOES_ON = "A training goes on where it was with the same command and --resume."

Data = Annotated[Path, typer.Argument(help="Class folders, train/val/test folders, or a CSV or Parquet file of paths.")]
RunFolder = Annotated[Path, typer.Argument(help="The folder of a finished run, such as runs/birds.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Duplicates = Annotated[str, typer.Option(help="Kept in one split: near (look the same) or exact (same bytes).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def train(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; a new one below runs/ by default.")] = None,
    model: Annotated[str, typer.Option(help="auto (the ladder), or rungs and timm networks by commas.")] = "auto",
    weights: Annotated[str, typer.Option(help="auto, none, or a safetensors file of pretrained weights.")] = "auto",
    time_limit: Annotated[str | None, typer.Option(help="Such as 90s, 10m or 1h30m.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", "-b", help="Images per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="The highest learning rate.")] = None,
    img_size: Annotated[int | None, typer.Option("--img-size", "--imgsz", help="Side of the pictures.")] = None,
    fit: Annotated[str, typer.Option(help="How a picture becomes square: crop, pad or stretch.")] = "crop",
    duplicates: Duplicates = "near",
    augment: Annotated[str | None, typer.Option(help="Augmentations joined by commas, or none; by evidence.")] = None,
    coverage: Annotated[float, typer.Option(help="Share of images whose prediction set holds the truth.")] = 0.9,
    unsure_rate: Annotated[float, typer.Option(help="Share of known images to answer with 'unsure'.")] = 0.05,
    unfamiliar_rate: Annotated[float, typer.Option(help="Share of known images to call 'unfamiliar'.")] = 0.05,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto (measured), float32 or bfloat16.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
) -> None:
    """Train a classifier: audit, split, climb the ladder, calibrate, evaluate, report."""
    from linnaea import pipeline

    names = None if augment is None else [] if augment == "none" else augment.split(",")
    classifier = pipeline.train(
        data,
        out=out,
        model=model,
        weights=weights,
        time_limit=time_limit,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        img_size=img_size,
        fit=fit,
        duplicates=duplicates,
        augment=names,
        coverage=coverage,
        unsure_rate=unsure_rate,
        unfamiliar_rate=unfamiliar_rate,
        seed=seed,
        device=device,
        precision=precision,
        resume=resume,
    )
    folder = out or Path("runs") / classifier.provenance["run"]
    typer.echo(_verdict(folder))
    typer.echo(f"The run is in {folder}, its report in {folder / 'report.html'}.")
    typer.echo(f"Next: linnaea predict {folder} PHOTO.jpg")


@app.command()
def audit(
    data: Data,
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 on any warning.")] = False,
    duplicates: Duplicates = "near",
    seed: Seed = 0,
) -> None:
    """Look at the data before any model does."""
    from linnaea import pipeline

    findings = pipeline.audit(data, duplicates=duplicates, seed=seed)
    if as_json:
        _print_json([finding.to_json() for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{finding.severity:8} {finding.name}: {finding.summary}")
        typer.echo(f"{len(findings)} finding{'s' * (len(findings) != 1)}.\nNext: linnaea train {data}")
    if strict and any(finding.severity != "info" for finding in findings):
        raise typer.Exit(1)


@app.command()
def split(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="The CSV file to write; manifest.csv beside the images.")] = None,
    fractions: Annotated[str | None, typer.Option(help="Shares of train, val and test, such as 0.7,0.15,0.15.")] = None,
    duplicates: Duplicates = "near",
    seed: Seed = 0,
) -> None:
    """Split into train, val and test without leaks, and write who went where."""
    from linnaea import pipeline
    from linnaea.runtime.files import write_text

    dataset = pipeline.split(data, fractions=_shares(fractions), duplicates=duplicates, seed=seed)
    place = out or dataset.root / "manifest.csv"
    if out is None and place.exists():
        raise UsageError(f"{place} is there already: remove it, or name another file with --out.")
    write_text(place, dataset.manifest())
    splits = dataset.column("split")
    typer.echo(", ".join(f"{splits.count(name)} {name}" for name in dict.fromkeys(splits)) + f" images, in {place}.")
    if place.resolve().parent == dataset.root.resolve():
        typer.echo(f"Next: linnaea train {place}")
    else:
        typer.echo(f"Next: put it into {dataset.root}, whose files it names, and train on it there.")


@app.command()
def evaluate(
    run: RunFolder,
    data: Annotated[Path | None, typer.Option(help="Other labelled images; the run's test split by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge a run on its test split, or on other data, with intervals."""
    from linnaea import pipeline

    evaluation = pipeline.evaluate(run, data)
    if as_json:
        from dataclasses import asdict

        _print_json({name: asdict(figure) for name, figure in evaluation.figures.items()})
    else:
        typer.echo(str(evaluation))
        typer.echo(f"The figures are in {run / 'metrics.json'}.\nNext: linnaea report {run}")


@app.command()
def predict(
    run: RunFolder,
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    output_format: Annotated[str, typer.Option("--format", help="table, csv, json or parquet.")] = "table",
    out: Annotated[Path | None, typer.Option(help="The file to write; standard output by default.")] = None,
) -> None:
    """Answer for image files: label, confidence, prediction set, OOD score and a reason."""
    from linnaea import pipeline
    from linnaea.delivery.answers import FORMATS

    write = FORMATS[output_format]  # an unknown format is refused before any work is done
    text = write(pipeline.predict(run, list(images)), out)
    typer.echo(text if out is None else f"The answers are in {out}.")


@app.command()
def compare(
    first: RunFolder,
    second: Annotated[Path, typer.Argument(help="The run to compare it with.")],
    as_json: AsJson = False,
) -> None:
    """Compare two runs on the same images by a paired test."""
    from linnaea import pipeline

    comparison = pipeline.compare(first, second)
    if as_json:
        _print_json(comparison.to_json())
    else:
        typer.echo(str(comparison))


@app.command()
def export(
    run: RunFolder,
    to: Annotated[str, typer.Option(help="The format: onnx.")] = "onnx",
    out: Annotated[Path | None, typer.Option(help="Folder to write; RUN/export/FORMAT by default.")] = None,
) -> None:
    """Export a run's classifier and check that the file answers the same."""
    from linnaea import pipeline

    exported = pipeline.export(run, to, out=out)
    typer.echo(str(exported))
    typer.echo(f"Next: python {exported.file.parent / 'predict.py'} PHOTO.jpg")


@app.command()
def report(run: RunFolder) -> None:
    """Write the report of a run anew: one self-contained HTML file."""
    from linnaea import pipeline

    typer.echo(f"The report is in {pipeline.report(run)}.")


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove everything that is kept.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show, or clear, what is kept between runs: decoded pixels and features."""
    from linnaea.runtime.cache import clear_cache, describe_cache

    freed = clear_cache() if clear else 0
    facts = describe_cache()
    if as_json:
        _print_json(facts | {"freed_bytes": freed})
        return
    if clear:
        typer.echo(f"{freed:,} bytes were freed.")
    typer.echo(f"{facts['folder'] or 'The cache is off.'}: {facts['bytes']:,} of at most {facts['limit']:,} bytes.")
    for row in facts["contents"]:
        typer.echo(f"  {row['bytes']:>15,} bytes  {row['rows']:>9,} rows  {row['namespace']}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine and this installation can do."""
    from linnaea.runtime.doctor import examine

    facts = examine()
    if as_json:
        _print_json(facts)
    else:
        width = max(map(len, facts))
        typer.echo("\n".join(f"{name:{width}}  {value}" for name, value in facts.items()))


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for the digits and the run.")] = Path("runs/demo")) -> None:
    """Do the whole way on 1,797 real handwritten digits, offline, in a few minutes."""
    from linnaea.demo import demonstrate

    demonstrate(out, typer.echo)


def main() -> None:
    """Run the command line; errors raised on purpose become one line and an exit code."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("linnaea").setLevel(logging.INFO)
    try:
        app(prog_name="linnaea")
    except LinnaeaError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as stop:  # typer answers Ctrl-C with an exit of its own, in silence
        if isinstance(stop, SystemExit) and stop.code != 130:
            raise
        typer.echo(f"Stopped. {GOES_ON}", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        typer.echo(f"Error: {_what_the_system_said(error)}", err=True)
        sys.exit(2)


def _what_the_system_said(error: OSError) -> str:
    named = f": {error.filename}" if error.filename else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    mend = f"Make room. {GOES_ON}" if full else "Check the path and its permissions."
    return f"{error.strerror or error}{named}. Nothing half-written was left behind. {mend}"


def _verdict(folder: Path) -> str:
    from linnaea.finding import Estimate
    from linnaea.runtime.files import read_json

    record, figures = read_json(folder / "run.json"), read_json(folder / "metrics.json")
    split = "test" if "test" in figures else "val"
    accuracy = Estimate(**figures[split]["accuracy"])
    return f"{record['chosen_because']}\nAccuracy on {split}: {accuracy} of {accuracy.n} images."


def _shares(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--fractions is {text!r}; expected three shares such as 0.7,0.15,0.15.") from None
    return {"train": train, "val": val, "test": test}


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
