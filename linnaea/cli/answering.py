"""Commands that ask a classifier, judge it and hand it on."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from linnaea.cli.application import (
    AsJson,
    GuardFormulas,
    ImageFiles,
    MaxPixels,
    OtherData,
    RunFolder,
    Strangers,
    one_of,
    print_json,
    print_result,
    share,
)
from linnaea.cli.saying import say, say_data, say_text
from linnaea.runtime.arguments import DAMAGED, PRECISIONS
from linnaea.runtime.words import counted

commands = typer.Typer()


@commands.command()
def evaluate(
    run: RunFolder,
    data: OtherData = None,
    prevalence: Annotated[
        float | None,
        typer.Option(
            help="Share of positives where the run will be used, for two-class data. Default: that of the images.",
            callback=share(0.01),
        ),
    ] = None,
    unknown: Strangers = None,
    max_pixels: MaxPixels = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a run on its test split or on other data, or a file of predictions: every figure with an interval."""
    import linnaea

    evaluation = linnaea.evaluate(run, data, prevalence=prevalence, unknown=unknown, max_pixels=max_pixels)
    if as_json:
        from dataclasses import asdict

        print_json({name: asdict(figure) for name, figure in evaluation.figures.items()})
    else:
        say_text(str(evaluation))
        if run.is_dir():
            say(f"The figures are in {run / 'metrics.json'}.", f"Next: linnaea report {run}")


@commands.command()
def predict(
    run: RunFolder,
    images: ImageFiles,
    output_format: Annotated[
        str | None,
        typer.Option("--format", help="table, csv, json or parquet. Default: by the ending of --out, else table."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write. Default: standard output.")] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="Number format: float32, auto (the fastest that agrees with it), bfloat16, or float16 on cuda.",
            callback=one_of(*PRECISIONS),
        ),
    ] = "float32",
    guard_formulas: GuardFormulas = True,
    damaged: Annotated[
        str,
        typer.Option(
            help="What to do with damaged images: refuse them, or answer from what is left.",
            callback=one_of(*DAMAGED),
        ),
    ] = "refuse",
    max_pixels: MaxPixels = None,
) -> None:
    """Classify image files: label, confidence, prediction set, OOD score and a reason for each."""
    import linnaea
    from linnaea.delivery.answers import writer_for

    # refused before any work is done
    write = writer_for(output_format, out, guard_formulas=guard_formulas)
    answers = linnaea.predict(run, list(images), precision=precision, damaged=damaged, max_pixels=max_pixels)
    text, reasons = write(answers, out), Counter(answers.column("reason"))
    if out is None:
        say_data(text)
    else:
        say(f"The answers are in {out}.")
    say(f"{counted(len(answers), 'image')}: {', '.join(f'{n} {name}' for name, n in reasons.items())}.", err=True)


@commands.command()
def compare(
    first: RunFolder,
    second: Annotated[Path, typer.Argument(help="Folder of the run to compare it with.")],
    as_json: AsJson = False,
) -> None:
    """Compare two runs on the same images with a paired test."""
    import linnaea

    comparison = linnaea.compare(first, second)
    print_result(comparison, as_json)


@commands.command()
def export(
    run: RunFolder,
    to: Annotated[str, typer.Option(help="Format to export to: onnx.")] = "onnx",
    out: Annotated[Path | None, typer.Option(help="Folder to write to. Default: RUN/export/FORMAT.")] = None,
) -> None:
    """Export the classifier of a run and check that the file gives the same answers."""
    import linnaea

    exported = linnaea.export(run, to, out=out)
    say_text(str(exported))
    say(f"Next: python {exported.file.parent / 'predict.py'} PHOTO.jpg")


@commands.command()
def report(run: RunFolder) -> None:
    """Write the report of a run again: one self-contained HTML file."""
    import linnaea

    say(f"The report is in {linnaea.report(run)}.")
