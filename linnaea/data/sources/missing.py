"""Words for a value that is missing: those that libraries write, and those that may be the name of a class."""

import logging

import numpy as np
import pyarrow as pa

from linnaea.runtime.words import counted, in_number

logger = logging.getLogger("linnaea")
MISSING = ("nan", "NaN", "NAN", "<NA>", "NaT", "#N/A")  # what pandas, R and spreadsheets write for nothing
DOUBTFUL = ("none", "null", "na", "n/a", "nil")  # in any letters


def tell_missing(cells: pa.DictionaryArray, column: str, where: str) -> None:
    """Say how many of these cells, of which each differs from the others, are taken as missing and how many may be."""
    counts = np.bincount(cells.indices.to_numpy(zero_copy_only=False), minlength=len(cells.dictionary)).tolist()
    for cell, count in zip(cells.dictionary.to_pylist(), counts, strict=True):
        if cell.strip() in MISSING:
            told = f"{in_number(count, 'is', 'are')} {cell!r}, which is read as missing."
        elif column == "label" and cell.strip().lower() in DOUBTFUL:
            told = (
                f"{in_number(count, 'is', 'are')} {cell!r}, which is read as the name of a class. If it means that the "
                "label is missing, leave the cell empty."
            )
        else:
            continue
        logger.info(f"{counted(count, 'cell')} of {column!r} in {where} {told}")
