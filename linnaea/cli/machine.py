"""Commands about this machine and this installation."""

from pathlib import Path
from typing import Annotated

import typer

from linnaea.cli.application import AsJson, Device, checked, print_json
from linnaea.cli.saying import say, say_text
from linnaea.runtime.arguments import require_count, require_picture_size

commands = typer.Typer()


@commands.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove everything from the cache.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show or clear the cache: decoded pixels and features that are kept between runs."""
    from linnaea.runtime.cache import clear_cache, describe_cache

    freed = clear_cache() if clear else 0
    facts = describe_cache()
    if as_json:
        print_json(facts | {"freed_bytes": freed})
        return
    if clear:
        say(f"{freed:,} bytes were freed.")
    where = f"{facts['folder']}: {facts['bytes']:,} of at most {facts['limit']:,} bytes."
    say(where if facts["folder"] else "The cache is off.")
    for row in facts["contents"]:
        say(f"  {row['bytes']:>15,} bytes  {row['rows']:>9,} rows  {row['namespace']}")


@commands.command()
def doctor(
    network: Annotated[
        str | None, typer.Option(help="timm network to time in each number format and memory layout. Default: none.")
    ] = None,
    img_size: Annotated[
        int,
        typer.Option(
            "--img-size",
            "--imgsz",
            help="Side of its square images, in pixels.",
            callback=checked(require_picture_size),
        ),
    ] = 224,
    batch_size: Annotated[
        int, typer.Option("--batch-size", "-b", help="Images per training step.", callback=checked(require_count))
    ] = 32,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Show what this machine and this installation can do; with --network, how fast and in which formats."""
    from linnaea.runtime.doctor import examine

    facts, plans = examine(), {}
    if network is not None:
        from linnaea.experiments.network_timing import measure_plans, table

        plans = measure_plans(network, img_size=img_size, batch_size=batch_size, device=device)
    if as_json:
        print_json(facts | {"plans": {purpose: plan.to_json() for purpose, plan in plans.items()}})
        return
    width = max(map(len, facts))
    say(*(f"{name:{width}}  {value}" for name, value in facts.items()))
    if plans:
        say_text(f"\n{network} at {img_size} pixels\n{table(plans)}\nThe plans are remembered; * is taken.")


@commands.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to write the digits and the run to.")] = Path("runs/demo"),
) -> None:
    """Run the whole way from images to answers on 1,797 real handwritten digits, offline, in a few minutes."""
    from linnaea.verbs.demo import demonstrate

    demonstrate(out, say)
