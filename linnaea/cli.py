"""The command line: one command per stage, its flags the keyword arguments of the verb."""

import copy
import errno
import functools
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import linnaea
from linnaea.errors import CheckFailedError, LinnaeaError, RunError, UsageError

app = typer.Typer(
    name="linnaea",
    help="A folder of images in, a classifier you can defend out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

BY = "stratified (by class), time (by the column time) or iterative (by label)."
AIM = "Of thresholds: youden, f1, recall=0.95, precision=0.9, specificity=0.95, cost=1:5."
GOES_ON = "A training goes on where it was with the same command and --resume."


def _with_source(given: Path) -> Path:
    """Refuse what holds no labelled images before anything heavy is imported."""
    from linnaea.data.sources import find_source

    find_source(given)
    return given


def _there(folder: Path) -> Path:
    """Refuse a run that is not there before anything heavy is imported."""
    if not folder.exists():
        raise RunError(f"{folder} does not exist: expected the folder of a run, such as runs/birds.")
    return folder


Data = Annotated[
    Path,
    typer.Argument(
        help="A folder of images, a table of paths, an archive, a native format or a name.", callback=_with_source
    ),
]
RunFolder = Annotated[Path, typer.Argument(help="The folder of a finished run, such as runs/birds.", callback=_there)]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Duplicates = Annotated[str, typer.Option(help="Kept in one split: near (look the same) or exact (same bytes).")]
Augment = Annotated[str | None, typer.Option(help="Augmentations joined by commas, or none; by evidence.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"linnaea {linnaea.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A folder of images in, a classifier you can defend out."""


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
    split_by: Annotated[str, typer.Option(help=BY)] = "stratified",
    datasheet: Annotated[Path | None, typer.Option(help="datasheet.toml beside the images by default.")] = None,
    augment: Augment = None,
    balance: Annotated[str | None, typer.Option(help="Against imbalance: oversample, focal and so on.")] = None,
    loss: Annotated[str | None, typer.Option(help="With a taxonomy: per_level, marginal, cross_entropy.")] = None,
    coverage: Annotated[float, typer.Option(help="Share of images whose prediction set holds the truth.")] = 0.9,
    unsure_rate: Annotated[float, typer.Option(help="Share of known images to answer with 'unsure'.")] = 0.05,
    unfamiliar_rate: Annotated[float, typer.Option(help="Share of known images to call 'unfamiliar'.")] = 0.05,
    ood: Annotated[str, typer.Option(help="What says how strange a picture is: auto, none, energy, knn ...")] = "auto",
    hold_out: Annotated[
        str | None, typer.Option(help="Classes to leave out, by commas, to be told as unknown.")
    ] = None,
    aim: Annotated[str | None, typer.Option(help=AIM)] = None,
    positive: Annotated[str | None, typer.Option(help="Of two classes the one aims are about; the second.")] = None,
    risk: Annotated[float | None, typer.Option(help="With a taxonomy: the share of wrong answers; 0.1.")] = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto (measured), float32, bfloat16, on cuda float16.")] = "auto",
    memory_format: Annotated[str, typer.Option(help="auto (measured), channels_last or contiguous.")] = "auto",
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
        augment=_names(augment),
        balance=None if balance == "none" else balance,
        loss=loss,
        coverage=coverage,
        unsure_rate=unsure_rate,
        unfamiliar_rate=unfamiliar_rate,
        ood=ood,
        hold_out=_names(hold_out),
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


@app.command()
def audit(
    data: Data,
    weights: Annotated[str, typer.Option(help="auto, none, or a safetensors file, to see the pictures with.")] = "auto",
    img_size: Annotated[int | None, typer.Option("--img-size", "--imgsz", help="Side of the pictures.")] = None,
    fit: Annotated[str, typer.Option(help="How a picture will become square: crop, pad or stretch.")] = "crop",
    duplicates: Duplicates = "near",
    fix_list: Annotated[Path | None, typer.Option(help="A CSV file to write, with a row per image to look at.")] = None,
    report_file: Annotated[Path | None, typer.Option("--report", help="An HTML file to write, with pictures.")] = None,
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 on any warning.")] = False,
    seed: Seed = 0,
) -> None:
    """Look at the data before any model does: files, duplicates, leaks, wrong labels, odd pictures, shortcuts."""
    from linnaea import pipeline

    found = pipeline.audit(data, weights=weights, img_size=img_size, fit=fit, duplicates=duplicates, seed=seed)
    grave = [finding for finding in found if finding.severity != "info"]
    _print_findings(list(found), as_json)
    for written in (fix_list and found.write_fixes(fix_list), report_file and found.write_report(report_file)):
        if written and not as_json:
            typer.echo(f"Written: {written}")
    if not as_json:
        typer.echo(f"{len(grave)} of {len(found)} findings ask for a look.\nNext: linnaea train {data}")
    if any(finding.severity == "error" for finding in found) or (strict and grave):
        raise typer.Exit(1)


@app.command()
def preview(
    data: Data,
    augment: Augment = None,
    out: Annotated[Path, typer.Option(help="The PNG file to write.")] = Path("preview.png"),
    model: Annotated[str, typer.Option(help="As for train, which knows what is usual for it.")] = "auto",
    weights: Annotated[str, typer.Option(help="As for train.")] = "auto",
    img_size: Annotated[int | None, typer.Option("--img-size", "--imgsz", help="Side of the pictures.")] = None,
    fit: Annotated[str, typer.Option(help="How a picture becomes square: crop, pad or stretch.")] = "crop",
    seed: Seed = 0,
) -> None:
    """Show what a network will see: a picture of each class, and what augmentations make of it."""
    from linnaea import pipeline

    shown = pipeline.preview(
        data, augment=_names(augment), out=out, model=model, weights=weights, img_size=img_size, fit=fit, seed=seed
    )
    typer.echo("\n".join(shown.notes))
    asked = f" --augment {augment}" if augment is not None else ""
    typer.echo(f"The sheet is in {shown.file}.\nNext: linnaea train {data}{asked}")


@app.command()
def split(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="The CSV file to write; manifest.csv beside the images.")] = None,
    split_by: Annotated[str, typer.Option("--by", "--split-by", help=BY)] = "stratified",
    fractions: Annotated[str | None, typer.Option(help="Shares of train, val and test, such as 0.7,0.15,0.15.")] = None,
    folds: Annotated[int | None, typer.Option(help="Folds for cross-validation, instead of one split.")] = None,
    repeats: Annotated[int, typer.Option(help="How often to make folds, each time others.")] = 1,
    check: Annotated[bool, typer.Option("--check", help="Only look for leaks in given splits; 1 if any.")] = False,
    duplicates: Duplicates = "near",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Split into train, val and test without leaks, and write who went where; or check the splits that there are."""
    from linnaea import pipeline
    from linnaea.runtime.files import write_text

    if check:
        if out or fractions or folds or repeats != 1:
            raise UsageError("--check only looks at splits: leave --out, --fractions, --folds and --repeats out.")
        findings = pipeline.check_split(data, split_by=split_by, duplicates=duplicates)
        _print_findings(findings, as_json)
        if leaks := pipeline.leaks_in(findings):
            raise CheckFailedError(f"the splits of {data} leak: {', '.join(leak.name for leak in leaks)}.")
        return
    dataset = pipeline.split(
        data,
        split_by=split_by,
        fractions=_shares(fractions),
        folds=folds,
        repeats=repeats,
        duplicates=duplicates,
        seed=seed,
    )
    place = out or dataset.root / "manifest.csv"
    if out is None and place.exists():
        raise UsageError(f"{place} is there already: remove it, or name another file with --out.")
    columns = [f"fold_{repeat}" for repeat in range(1, repeats + 1)] if folds else []
    write_text(place, dataset.manifest(columns))
    parts = {name: Counter(dataset.column(name)) for name in columns or ["split"]}
    if as_json:
        _print_json({"written": str(place), "images": {name: dict(counts) for name, counts in parts.items()}})
        return
    for name, counts in parts.items():
        shown = [f"{count} {part}" if name == "split" else f"{count}" for part, count in counts.items()]
        typer.echo(f"{'' if name == 'split' else f'{name}: '}{', '.join(shown)} images, in {place}.")
    if place.resolve().parent != dataset.root.resolve():
        typer.echo(f"Next: put it into {dataset.root}, whose files it names, and train on it there.")
    else:
        typer.echo(f"Next, in Python: linnaea.folds('{place}')" if folds else f"Next: linnaea train {place}")


@app.command()
def diff(
    first: Annotated[Path, typer.Argument(help="The older version: a run, or anything that can be trained on.")],
    second: Annotated[Path, typer.Argument(help="The newer version.")],
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything differs.")] = False,
) -> None:
    """Say what changed between two versions of a dataset, image by image."""
    from linnaea import pipeline

    found = pipeline.diff(first, second)
    if as_json:
        _print_json(found.to_json())
    else:
        typer.echo(str(found))
    if strict and found.differs:
        raise CheckFailedError(
            f"{first} and {second} differ: {', '.join(f'{n} {k}' for k, n in found.counts.items())}."
        )


@app.command()
def datasheet(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="The file to write; datasheet.toml beside the images.")] = None,
) -> None:
    """Write a datasheet to be filled in: what only people know about the data, beside what can be counted."""
    from linnaea import pipeline

    file = pipeline.datasheet(data, out=out)
    typer.echo(f"The datasheet is in {file}: answer its questions, then every run takes it along.")
    typer.echo(f"Next: linnaea train {data}{f' --datasheet {out}' if out else ''}")


@app.command()
def convert(
    data: Data,
    out: Annotated[Path, typer.Argument(help="The folder to write; new or empty.")],
    to: Annotated[str, typer.Option(help="folder (image files and a manifest) or shards (tar files).")] = "folder",
    split: Annotated[str | None, typer.Option(help="The splits to take, by commas; all by default.")] = None,
    images_per_shard: Annotated[int, typer.Option(help="The most images in one tar file.")] = 10_000,
) -> None:
    """Write images of any form as a folder with a manifest, or as shards; their bytes stay as they are."""
    from linnaea import pipeline

    names = split.split(",") if split else None
    dataset = pipeline.convert(data, out, to=to, split=names, images_per_shard=images_per_shard)
    left = f"; {len(dataset.excluded)} files were left out, {out / 'manifest.csv'} says why" * bool(dataset.excluded)
    typer.echo(f"{len(dataset)} images of {len(dataset.classes)} classes are in {out}{left}.")
    typer.echo(f"Next: linnaea audit {out}")


@app.command()
def evaluate(
    run: RunFolder,
    data: Annotated[Path | None, typer.Option(help="Other labelled images; the run's test split by default.")] = None,
    prevalence: Annotated[
        float | None, typer.Option(help="Of two classes: what answers are worth at this share of positives.")
    ] = None,
    unknown: Annotated[Path | None, typer.Option(help="Images of none of the classes, to be told as unknown.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge a run on its test split or on other data, or a file of predictions, with intervals."""
    from linnaea import pipeline

    evaluation = pipeline.evaluate(run, data, prevalence=prevalence, unknown=unknown)
    if as_json:
        from dataclasses import asdict

        _print_json({name: asdict(figure) for name, figure in evaluation.figures.items()})
    else:
        typer.echo(str(evaluation))
        if run.is_dir():
            typer.echo(f"The figures are in {run / 'metrics.json'}.\nNext: linnaea report {run}")


@app.command()
def discover(
    run: RunFolder,
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write; RUN/discovered by default.")] = None,
    smallest: Annotated[int, typer.Option(help="The fewest images that make a group.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Group the images that a run calls unfamiliar, and propose each group as a new class."""
    from linnaea import pipeline

    found = pipeline.discover(run, list(images), out=out, smallest=smallest)
    if as_json:
        _print_json(found.finding.to_json() | {"folder": str(found.folder), "sheet": str(found.sheet)})
        return
    typer.echo(found.finding.summary)
    for row in found.finding.rows:
        typer.echo(f"  {row['group']}: {row['images']} images, mostly answered {row['mostly answered']}")
    typer.echo(f"They are shown in {found.sheet}.")
    typer.echo(f"Next: rename the folders in {found.folder}, then linnaea grow {run} {found.folder}")


@app.command()
def grow(
    run: RunFolder,
    data: Data,
    out: Annotated[Path | None, typer.Option(help="Folder of the new run; a new one beside the run.")] = None,
) -> None:
    """Teach a run's classifier further classes: its head is fitted anew, what it sees with stays as it is."""
    from linnaea import pipeline

    classifier = pipeline.grow(run, data, out=out)
    _told(out or Path(run).resolve().parent / classifier.provenance["run"])


@app.command()
def predict(
    run: RunFolder,
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    output_format: Annotated[str, typer.Option("--format", help="table, csv, json or parquet.")] = "table",
    out: Annotated[Path | None, typer.Option(help="The file to write; standard output by default.")] = None,
    precision: Annotated[
        str, typer.Option(help="float32, auto (the fastest that agrees with it) or bfloat16.")
    ] = "float32",
) -> None:
    """Answer for image files: label, confidence, prediction set, OOD score and a reason."""
    from linnaea import pipeline
    from linnaea.delivery.answers import FORMATS

    write = FORMATS[output_format]  # an unknown format is refused before any work is done
    text = write(pipeline.predict(run, list(images), precision=precision), out)
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
def doctor(
    network: Annotated[str | None, typer.Option(help="A timm network, to measure how it runs fastest here.")] = None,
    img_size: Annotated[int, typer.Option("--img-size", "--imgsz", help="Side of its pictures.")] = 224,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", help="Images per step of training.")] = 32,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Say what this machine and this installation can do, and with --network how fast, in which formats."""
    from linnaea.runtime.doctor import examine

    facts, plans = examine(), {}
    if network is not None:
        from linnaea.pipeline.planning import measure_plans, table

        plans = measure_plans(network, img_size=img_size, batch_size=batch_size, device=device)
    if as_json:
        _print_json(facts | {"plans": {purpose: plan.to_json() for purpose, plan in plans.items()}})
        return
    width = max(map(len, facts))
    typer.echo("\n".join(f"{name:{width}}  {value}" for name, value in facts.items()))
    if plans:
        typer.echo(f"\n{network} at {img_size} pixels\n{table(plans)}\nThe plans are remembered; * is taken.")


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for the digits and the run.")] = Path("runs/demo")) -> None:
    """Do the whole way on 1,797 real handwritten digits, offline, in a few minutes."""
    from linnaea.demo import demonstrate

    demonstrate(out, typer.echo)


def main() -> None:
    """Run the command line; errors raised on purpose become one line and an exit code."""
    try:
        _only(sys.argv[1:2])(prog_name="linnaea")
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


def _only(wanted: Sequence[str]) -> typer.Typer:
    """The command line on which only the wanted command knows its options: to read those of all takes twice as long."""
    narrow = copy.copy(app)
    narrow.registered_commands = [copy.copy(info) for info in app.registered_commands]
    for info in narrow.registered_commands:
        assert info.callback is not None, "every command is a function"
        name = info.name or info.callback.__name__.replace("_", "-")
        info.callback = _logged(info.callback) if name in wanted else _named_only(info.callback)
    return narrow


def _logged(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, which tells the user what it does."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        import logging

        logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
        logging.getLogger("linnaea").setLevel(logging.INFO)
        return command(*arguments, **options)

    return run


def _named_only(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command for the list of commands."""

    def listed() -> None:
        raise AssertionError("only the wanted command is called")

    listed.__name__, listed.__doc__ = command.__name__, command.__doc__
    return listed


def _what_the_system_said(error: OSError) -> str:
    named = f": {error.filename}" if error.filename else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    mend = f"Make room. {GOES_ON}" if full else "Check the path and its permissions."
    return f"{error.strerror or error}{named}. Nothing half-written was left behind. {mend}"


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


def _names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    return [] if text == "none" else [name.strip() for name in text.split(",")]


def _shares(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--fractions is {text!r}; expected three shares such as 0.7,0.15,0.15.") from None
    return {"train": train, "val": val, "test": test}


def _print_findings(findings: list[Any], as_json: bool) -> None:
    if as_json:
        _print_json([finding.to_json() for finding in findings])
        return
    for finding in findings:
        typer.echo(f"{finding.severity:8} {finding.name}: {finding.summary}")


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
