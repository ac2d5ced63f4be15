"""`datasheet`: questions that only people can answer, beside what was counted; nothing here needs torch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from linnaea.options import Labelled, Option
from linnaea.runtime.saying import say
from linnaea.verbs.contract import VERBS, told_by


def tell(answer: Callable[[], Path], given: Mapping[str, Any]) -> None:
    """Say where the datasheet is, and what comes next."""
    say(f"The datasheet is in {answer()}: answer its questions, and each run that is trained with it keeps a copy.")
    out = given["out"]
    say(f"Next: linnaea train {given['data']}{f' --datasheet {out}' if out else ''}")


@VERBS.register(
    "datasheet",
    title="Datasheet",
    meaning="Write a datasheet to fill in: questions that only people can answer, beside what was counted.",
    order=30,
)
@told_by(tell)
def datasheet(
    data: Labelled,
    *,
    out: Annotated[
        str | Path | None, Option("File to write. Default: datasheet.toml beside the images.", read=Path)
    ] = None,
) -> Path:
    """Write an empty datasheet, with what can be counted filled in; raises UsageError where there is one already."""
    from linnaea.data.datasheet import place_for, write_template
    from linnaea.data.hashing import hashed
    from linnaea.data.sources import read
    from linnaea.dataset import Dataset

    dataset = data if isinstance(data, Dataset) else read(data)
    return write_template(hashed(dataset)[0], place_for(dataset) if out is None else Path(out))
