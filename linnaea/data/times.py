"""The `time` column as an order: numbers or ISO 8601 dates, never strings by alphabet."""

import math
import re
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.errors import DataError

MONTH = re.compile(r"\d{4}-\d{2}")
CAMERA = re.compile(r"(\d{4}):(\d{2}):(\d{2})(?= |$)")  # cameras write 2024:05:01 12:30:00 into EXIF
UNKNOWN = -1


def moments(values: Sequence[Any]) -> npt.NDArray[np.int64]:
    """The place of each time among the distinct ones (N,), 0 the earliest, -1 where there is none.

    Times are all numbers or all dates: ISO 8601 ("2024-05", "2024-05-01", "2024-05-01T12:30:00+02:00"), or with
    colons as cameras write them ("2024:05:01 12:30:00"). Raises DataError for anything else, and where only some
    dates have a time zone, because they have no order.
    """
    known = [value for value in values if not _is_missing(value)]
    numbers = [_number(value) for value in known]
    read: Sequence[Any] = _dates(known) if None in numbers else numbers
    places = {moment: place for place, moment in enumerate(sorted(set(read)))}
    following = iter(read)
    return np.array([UNKNOWN if _is_missing(value) else places[next(following)] for value in values], dtype=np.int64)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or bool(value != value)  # NaN is not itself


def _number(value: Any) -> int | float | None:
    if isinstance(value, bool | date):
        return None
    for kind in (int, float) if isinstance(value, int | str) else (float,):
        try:
            number = kind(value)
        except (TypeError, ValueError):
            continue
        return number if math.isfinite(number) else None
    return None


def _dates(values: Sequence[Any]) -> list[datetime]:
    dates = [_date(value) for value in values]
    strange = [value for value, moment in zip(values, dates, strict=True) if moment is None]
    if strange:
        raise DataError(
            f"{len(strange)} of {len(values)} times cannot be read or differ in form from the others (first "
            f"{strange[0]!r}): expected all numbers, or all ISO 8601 dates such as 2024-05-01 or 2024-05-01T12:30:00. "
            "Other formats are ambiguous: convert them."
        )
    read = [moment for moment in dates if moment is not None]
    zoned = sum(moment.tzinfo is not None for moment in read)
    if 0 < zoned < len(read):
        raise DataError(
            f"{zoned} of {len(read)} times have a time zone and the others have none, so their order is unknown: "
            "give all of them one, such as 2024-05-01T12:30:00+02:00, or none."
        )
    return read


def _date(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    if not isinstance(value, str):
        return None
    text = CAMERA.sub(r"\1-\2-\3", value.strip())
    try:
        return datetime.fromisoformat(f"{text}-01" if MONTH.fullmatch(text) else text)
    except ValueError:
        return None
