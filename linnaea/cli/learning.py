"""Commands that train a classifier, or teach one more."""

from pathlib import Path
from typing import Annotated

import typer

from linnaea.cli.application import (
    AsJson,
    Augment,
    Data,
    Device,
    Duplicates,
    Fit,
    ImageFiles,
    ImageSize,
    RunFolder,
    Seed,
    SplitBy,
    checked,
    names_in,
    one_of,
    print_json,
    read_by,
    share,
)
from linnaea.runtime.arguments import MEMORY_FORMATS, PRECISIONS, require_count, require_positive
from linnaea.runtime.duration import parse_duration
from linnaea.runtime.words import counted

commands = typer.Typer()
AIM = "Of thresholds: youden, f1, recall=0.95, precision=0.9, specificity=0.95, cost=1:5."


def _aim(given: str) -> object:
    from linnaea.evidence.aims import Goal

    return Goal.parse(given)


@commands.command()
def train(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; a new one below runs/ by default.")] = None,
    model: Annotated[str, typer.Option(help="auto (the ladder), or rungs and timm networks by commas.")] = "auto",
    weights: Annotated[str, typer.Option(help="auto, none, or a safetensors file of pretrained weights.")] = "auto",
    time_limit: Annotated[
        str | None, typer.Option(help="Such as 90s, 10m or 1h30m.", callback=read_by(parse_duration))
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training images.", callback=checked(require_count))
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", "-b", help="Images per step.", callback=checked(require_count))
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--lr", help="The highest learning rate.", callback=checked(require_positive))
    ] = None,
    img_size: ImageSize = None,
    fit: Fit = "crop",
    duplicates: Duplicates = "near",
    split_by: SplitBy = "stratified",
    datasheet: Annotated[Path | None, typer.Option(help="datasheet.toml beside the images by default.")] = None,
    augment: Augment = None,
    balance: Annotated[str | None, typer.Option(help="Against imbalance: oversample, focal and so on.")] = None,
    loss: Annotated[str | None, typer.Option(help="With a taxonomy: per_level, marginal, cross_entropy.")] = None,
    coverage: Annotated[
        float, typer.Option(help="Share of images whose prediction set holds the truth.", callback=share(0.9))
    ] = 0.9,
    unsure_rate: Annotated[
        float, typer.Option(help="Share of known images to answer with 'unsure'.", callback=share(0.05))
    ] = 0.05,
    unfamiliar_rate: Annotated[
        float, typer.Option(help="Share of known images to call 'unfamiliar'.", callback=share(0.05))
    ] = 0.05,
    ood: Annotated[str, typer.Option(help="What says how strange a picture is: auto, none, energy, knn ...")] = "auto",
    hold_out: Annotated[
        str | None, typer.Option(help="Classes to leave out, by commas, to be told as unknown.")
    ] = None,
    aim: Annotated[str | None, typer.Option(help=AIM, callback=read_by(_aim))] = None,
    positive: Annotated[str | None, typer.Option(help="Of two classes the one aims are about; the second.")] = None,
    risk: Annotated[
        float | None, typer.Option(help="With a taxonomy: the share of wrong answers; 0.1.", callback=share(0.1))
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option(help="auto (measured), float32, bfloat16, on cuda float16.", callback=one_of(*PRECISIONS))
    ] = "auto",
    memory_format: Annotated[
        str, typer.Option(help="auto (measured), channels_last or contiguous.", callback=one_of(*MEMORY_FORMATS))
    ] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
) -> None:
    """Train a classifier: audit, split, climb the ladder, calibrate, evaluate, report."""
    from linnaea import pipeline

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
        split_by=split_by,
        datasheet=datasheet,
        augment=names_in(augment),
        balance=None if balance == "none" else balance,
        loss=loss,
        coverage=coverage,
        unsure_rate=unsure_rate,
        unfamiliar_rate=unfamiliar_rate,
        ood=ood,
        hold_out=names_in(hold_out),
        aim=aim,
        positive=positive,
        risk=risk,
        seed=seed,
        device=device,
        precision=precision,
        memory_format=memory_format,
        resume=resume,
    )
    _told(out or Path("runs") / classifier.provenance["run"])


@commands.command()
def discover(
    run: RunFolder,
    images: ImageFiles,
    out: Annotated[Path | None, typer.Option(help="Folder to write; RUN/discovered by default.")] = None,
    smallest: Annotated[int, typer.Option(help="The fewest images that make a group.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Group the images that a run calls unfamiliar, and propose each group as a new class."""
    from linnaea import pipeline

    found = pipeline.discover(run, list(images), out=out, smallest=smallest)
    if as_json:
        print_json(found.finding.to_json() | {"folder": str(found.folder), "sheet": str(found.sheet)})
        return
    typer.echo(found.finding.summary)
    for row in found.finding.rows:
        typer.echo(f"  {row['group']}: {counted(row['images'], 'image')}, mostly answered {row['mostly answered']}")
    typer.echo(f"They are shown in {found.sheet}.")
    typer.echo(f"Next: rename the folders in {found.folder}, then linnaea grow {run} {found.folder}")


@commands.command()
def grow(
    run: RunFolder,
    data: Data,
    out: Annotated[Path | None, typer.Option(help="Folder of the new run; a new one beside the run.")] = None,
) -> None:
    """Teach a run's classifier further classes: its head is fitted anew, what it sees with stays as it is."""
    from linnaea import pipeline

    classifier = pipeline.grow(run, data, out=out)
    _told(out or Path(run).resolve().parent / classifier.provenance["run"])


def _told(folder: Path) -> None:
    """Say what came of a training, where it is, and what comes next."""
    typer.echo(_verdict(folder))
    typer.echo(f"The run is in {folder}, its report in {folder / 'report.html'}.")
    typer.echo(f"Next: linnaea predict {folder} PHOTO.jpg")


def _verdict(folder: Path) -> str:
    from linnaea.delivery.report.words import metric_named
    from linnaea.finding import Estimate
    from linnaea.runtime.files import read_json
    from linnaea.task import TASKS

    record, figures = read_json(folder / "run.json"), read_json(folder / "metrics.json")
    split, metric = "test" if "test" in figures else "val", TASKS[record["dataset"]["task"]].metric
    figure, of = Estimate(**figures[split][metric]), "of" if metric == "accuracy" else "on"
    return f"{record['chosen_because']}\n{metric_named(metric).title} on {split}: {figure} {of} {figure.n} images."
