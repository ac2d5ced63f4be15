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
    MaxPixels,
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
from linnaea.cli.saying import say
from linnaea.runtime.arguments import MEMORY_FORMATS, PRECISIONS, require_count, require_positive
from linnaea.runtime.duration import parse_duration
from linnaea.runtime.words import counted

commands = typer.Typer()
AIM = (
    "What to choose thresholds for: youden, f1, recall=0.95, precision=0.9, specificity=0.95 or cost=1:5. "
    "Default: the likelier of two classes; with several labels, the highest F1 of each."
)


def _aim(given: str) -> object:
    from linnaea.evidence.aims import Goal

    return Goal.parse(given)


@commands.command()
def train(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="Folder to write the run to. Default: a new one in runs/.")] = None,
    model: Annotated[
        str, typer.Option(help="auto (the whole ladder), or names of rungs and timm networks, separated by commas.")
    ] = "auto",
    weights: Annotated[
        str, typer.Option(help="Pretrained weights: auto (cached or downloaded), none, or a safetensors file.")
    ] = "auto",
    time_limit: Annotated[
        str | None,
        typer.Option(
            help="Time limit for the whole command, such as 90s, 10m or 1h30m. Default: no limit.",
            callback=read_by(parse_duration),
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Most passes over the training images. Default: depends on their number.",
            callback=checked(require_count),
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            "-b",
            help="Images per training step. Default: depends on the network.",
            callback=checked(require_count),
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--lr", help="Highest learning rate. Default: depends on the network.", callback=checked(require_positive)
        ),
    ] = None,
    img_size: ImageSize = None,
    fit: Fit = "crop",
    max_pixels: MaxPixels = None,
    duplicates: Duplicates = "near",
    split_by: SplitBy = "stratified",
    datasheet: Annotated[
        Path | None,
        typer.Option(
            help="File with what people know about the data. Default: datasheet.toml beside the images, if any."
        ),
    ] = None,
    augment: Augment = None,
    balance: Annotated[
        str | None,
        typer.Option(help="Method against class imbalance, such as oversample, class_weights or focal. Default: none."),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="Loss for classes with a taxonomy: per_level, marginal or cross_entropy. Default: per_level."
        ),
    ] = None,
    coverage: Annotated[
        float,
        typer.Option(help="Share of images whose prediction set must contain the true class.", callback=share(0.9)),
    ] = 0.9,
    unsure_rate: Annotated[
        float,
        typer.Option(help="Share of images of the known classes that may be answered 'unsure'.", callback=share(0.05)),
    ] = 0.05,
    unfamiliar_rate: Annotated[
        float,
        typer.Option(
            help="Share of images of the known classes that may be called 'unfamiliar'.", callback=share(0.05)
        ),
    ] = 0.05,
    ood: Annotated[
        str, typer.Option(help="Score to recognise unfamiliar images by: auto, none, energy, knn or another.")
    ] = "auto",
    hold_out: Annotated[
        str | None,
        typer.Option(
            help="Classes, separated by commas, to leave out and use as unknown images in evaluation. Default: none."
        ),
    ] = None,
    aim: Annotated[str | None, typer.Option(help=AIM, callback=read_by(_aim))] = None,
    positive: Annotated[
        str | None, typer.Option(help="Positive class, for two-class data. Default: the second by name.")
    ] = None,
    risk: Annotated[
        float | None,
        typer.Option(
            help="With a taxonomy: the highest expected share of wrong answers. Default: 0.1.", callback=share(0.1)
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Annotated[
        str,
        typer.Option(
            help="Number format: auto (the fastest, as measured), float32, bfloat16, or float16 on cuda.",
            callback=one_of(*PRECISIONS),
        ),
    ] = "auto",
    memory_format: Annotated[
        str,
        typer.Option(
            help="Memory layout: auto (the fastest, as measured), channels_last or contiguous.",
            callback=one_of(*MEMORY_FORMATS),
        ),
    ] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run that was interrupted; give it the same options.")
    ] = False,
) -> None:
    """Train a classifier: audit and split the data, try each rung, calibrate, evaluate on the test split, report."""
    import linnaea

    classifier = linnaea.train(
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
        max_pixels=max_pixels,
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
    out: Annotated[Path | None, typer.Option(help="Folder to write to. Default: RUN/discovered.")] = None,
    smallest: Annotated[int, typer.Option(help="Smallest number of images in a group.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Group the images that a run calls unfamiliar, and propose each group as a new class."""
    import linnaea

    found = linnaea.discover(run, list(images), out=out, smallest=smallest)
    if as_json:
        print_json(found.finding.to_json() | {"folder": str(found.folder), "sheet": str(found.sheet)})
        return
    say(found.finding.summary)
    for row in found.finding.rows:
        say(f"  {row['group']}: {counted(row['images'], 'image')}, mostly answered {row['mostly answered']}")
    say(f"They are shown in {found.sheet}.")
    say(f"Next: rename the folders in {found.folder}, then linnaea grow {run} {found.folder}")


@commands.command()
def grow(
    run: RunFolder,
    data: Data,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write the new run to. Default: a new one beside the old run.")
    ] = None,
) -> None:
    """Add classes to the classifier of a run: only its head is fitted again."""
    import linnaea

    classifier = linnaea.grow(run, data, out=out)
    _told(out or Path(run).resolve().parent / classifier.provenance["run"])


def _told(folder: Path) -> None:
    """Say what came of a training, where it is, and what comes next."""
    say(*_verdict(folder))
    say(f"The run is in {folder}, its report in {folder / 'report.html'}.")
    say(f"Next: linnaea predict {folder} PHOTO.jpg")


def _verdict(folder: Path) -> list[str]:
    """Whether what was promised was kept, what was chosen and why, and how good it is."""
    from linnaea.delivery.report.words import metric_named
    from linnaea.finding import Estimate, Finding, promises_in
    from linnaea.runtime.files import read_json
    from linnaea.task import TASKS

    record, figures = read_json(folder / "run.json"), read_json(folder / "metrics.json")
    task = TASKS[record["dataset"]["task"]]
    split, metric = "test" if "test" in figures else "val", task.metric
    findings = map(Finding.from_json, read_json(folder / "findings" / f"{split}.json"))
    first, later = ([finding.summary for finding in told] for told in promises_in(findings))
    figure, of = Estimate(**figures[split][metric]), "of" if metric == "accuracy" else "on"
    whose = " of the most probable class" if task.hierarchical else ""
    reached = f"{metric_named(metric).title}{whose} on {split}: {figure} {of} {figure.n} images."
    return [*first, record["chosen_because"], reached, *later]
