"""Commands about the data before any model learns from it."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from linnaea.cli.application import (
    AsJson,
    Augment,
    Data,
    Duplicates,
    Fit,
    GuardFormulas,
    ImageSize,
    MaxPixels,
    Seed,
    SplitBy,
    names_in,
    print_findings,
    print_json,
    print_result,
)
from linnaea.cli.saying import say
from linnaea.errors import CheckFailedError, UsageError
from linnaea.runtime.words import counted

commands = typer.Typer()


@commands.command()
def audit(
    data: Data,
    weights: Annotated[
        str, typer.Option(help="Pretrained weights to examine the images with: auto, none, or a safetensors file.")
    ] = "auto",
    img_size: ImageSize = None,
    fit: Fit = "crop",
    max_pixels: MaxPixels = None,
    duplicates: Duplicates = "near",
    fix_list: Annotated[
        Path | None, typer.Option(help="CSV file to write, with a row per image to check. Default: none.")
    ] = None,
    report_file: Annotated[
        Path | None, typer.Option("--report", help="HTML file to write, with images. Default: none.")
    ] = None,
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if there is any warning.")] = False,
    guard_formulas: GuardFormulas = True,
    seed: Seed = 0,
) -> None:
    """Check labelled images before training: files, duplicates, leaks, label errors, odd images, shortcuts."""
    import linnaea

    found = linnaea.audit(
        data, weights=weights, img_size=img_size, fit=fit, max_pixels=max_pixels, duplicates=duplicates, seed=seed
    )
    grave = [finding for finding in found if finding.severity != "info"]
    print_findings(list(found), as_json)
    for written in (
        fix_list and found.write_fixes(fix_list, guard_formulas=guard_formulas),
        report_file and found.write_report(report_file),
    ):
        if written and not as_json:
            say(f"Written: {written}")
    if not as_json:
        say(f"Findings that need attention: {len(grave)} of {len(found)}.")
    broken = any(finding.severity == "error" for finding in found)
    if not as_json and not broken:
        say(f"Next: linnaea train {data}")
    if broken or (strict and grave):
        raise typer.Exit(1)


@commands.command()
def preview(
    data: Data,
    augment: Augment = None,
    out: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("preview.png"),
    model: Annotated[str, typer.Option(help="Model whose default augmentations to show, as for train.")] = "auto",
    weights: Annotated[str, typer.Option(help="Pretrained weights, as for train.")] = "auto",
    img_size: ImageSize = None,
    fit: Fit = "crop",
    max_pixels: MaxPixels = None,
    seed: Seed = 0,
) -> None:
    """Show what a network will see: an image of each class, and what augmentation makes of it."""
    import linnaea

    shown = linnaea.preview(
        data,
        augment=names_in(augment),
        out=out,
        model=model,
        weights=weights,
        img_size=img_size,
        fit=fit,
        max_pixels=max_pixels,
        seed=seed,
    )
    say(*shown.notes)
    asked = f" --augment {augment}" if augment is not None else ""
    say(f"The sheet is in {shown.file}.", f"Next: linnaea train {data}{asked}")


@commands.command()
def split(
    data: Data,
    out: Annotated[
        Path | None, typer.Option(help="CSV file to write. Default: manifest.csv beside the images.")
    ] = None,
    split_by: SplitBy = "stratified",
    fractions: Annotated[
        str | None,
        typer.Option(
            help="Shares of train, val and test. Default: 0.7,0.15,0.15, with at most 5,000 images in val and in test."
        ),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Number of folds for cross-validation. Default: no folds, but one split.")
    ] = None,
    repeats: Annotated[int, typer.Option(help="How many times to draw the folds, differently each time.")] = 1,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Only check the splits that the data has for leaks; exit with 1 if there are any."
        ),
    ] = False,
    duplicates: Duplicates = "near",
    max_pixels: MaxPixels = None,
    seed: Seed = 0,
    guard_formulas: GuardFormulas = True,
    as_json: AsJson = False,
) -> None:
    """Split images into train, val and test without leaks, and write the split as CSV; or check existing splits."""
    import linnaea
    from linnaea.runtime.files import write_text

    if check:
        from linnaea.verbs.check_split import leaks_in

        if out or fractions or folds or repeats != 1:
            raise UsageError("--check only looks at existing splits: remove --out, --fractions, --folds and --repeats.")
        findings = linnaea.check_split(data, split_by=split_by, duplicates=duplicates, max_pixels=max_pixels)
        print_findings(findings, as_json)
        if leaks := leaks_in(findings):
            raise CheckFailedError(f"the splits of {data} leak: {', '.join(leak.name for leak in leaks)}.")
        return
    dataset = linnaea.split(
        data,
        split_by=split_by,
        fractions=_shares(fractions),
        folds=folds,
        repeats=repeats,
        duplicates=duplicates,
        max_pixels=max_pixels,
        seed=seed,
    )
    place = out or dataset.root / "manifest.csv"
    if out is None and place.exists():
        raise UsageError(f"{place} already exists: remove it, or name another file with --out.")
    columns = [f"fold_{repeat}" for repeat in range(1, repeats + 1)] if folds else []
    write_text(place, dataset.manifest(columns, guard_formulas=guard_formulas))
    parts = {name: Counter(dataset.column(name)) for name in columns or ["split"]}
    if as_json:
        print_json({"written": str(place), "images": {name: dict(counts) for name, counts in parts.items()}})
        return
    for name, counts in parts.items():
        shown = [f"{count} {part}" if name == "split" else f"{count}" for part, count in counts.items()]
        say(f"{'' if name == 'split' else f'{name}: '}{', '.join(shown)} images, in {place}.")
    if place.resolve().parent != dataset.root.resolve():
        say(f"Next: move it to {dataset.root}, as its paths are relative to that folder, and train on it there.")
    else:
        say(f"Next, in Python: linnaea.folds('{place}')" if folds else f"Next: linnaea train {place}")


@commands.command()
def diff(
    first: Annotated[Path, typer.Argument(help="Older version: a run, or anything that can be trained on.")],
    second: Annotated[Path, typer.Argument(help="Newer version, likewise.")],
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything differs.")] = False,
) -> None:
    """Say what changed between two versions of a dataset, image by image."""
    import linnaea

    found = linnaea.diff(first, second)
    print_result(found, as_json)
    if strict and found.differs:
        raise CheckFailedError(
            f"{first} and {second} differ: {', '.join(f'{n} {k}' for k, n in found.counts.items())}."
        )


@commands.command()
def datasheet(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="File to write. Default: datasheet.toml beside the images.")] = None,
) -> None:
    """Write a datasheet to fill in: questions that only people can answer, beside what was counted."""
    import linnaea

    file = linnaea.datasheet(data, out=out)
    say(f"The datasheet is in {file}: answer its questions, and each run that is trained with it keeps a copy.")
    say(f"Next: linnaea train {data}{f' --datasheet {out}' if out else ''}")


@commands.command()
def convert(
    data: Data,
    out: Annotated[Path, typer.Argument(help="Folder to write to; it must be new or empty.")],
    to: Annotated[
        str, typer.Option(help="What to write: folder (image files and a manifest) or shards (tar files).")
    ] = "folder",
    split: Annotated[str | None, typer.Option(help="Splits to convert, separated by commas. Default: all.")] = None,
    images_per_shard: Annotated[int, typer.Option(help="Largest number of images in one tar file.")] = 10_000,
) -> None:
    """Convert any supported source to a folder with a manifest, or to shards; image files are copied unchanged."""
    import linnaea

    names = split.split(",") if split else None
    dataset = linnaea.convert(data, out, to=to, split=names, images_per_shard=images_per_shard)
    left = f"; {counted(len(dataset.excluded), 'file was', 'files were')} left out (see {out / 'manifest.csv'})"
    images, classes = counted(len(dataset), "image"), counted(len(dataset.classes), "class", "classes")
    say(f"In {out}: {images} of {classes}{left * bool(dataset.excluded)}.")
    say(f"Next: linnaea audit {out}")


def _shares(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--fractions is {text!r}; expected three shares such as 0.7,0.15,0.15.") from None
    return {"train": train, "val": val, "test": test}
