"""Exporters: the classifier as a folder for another runtime, which must answer the same before it is put in place.

An exporter writes its files into a folder; it is registered in `EXPORTERS`. `export` does what is common to all: the
predict script, the parity check, the refusal.
"""

from linnaea.delivery.exporters.contract import EXPORTERS, Exporter, Order, UnfitError
from linnaea.delivery.exporters.exporting import (
    Exported,
    ParityError,
    compare_again,
    export,
    exported_in,
    folder_for,
    require_export,
    require_formats,
)
from linnaea.delivery.exporters.precisions import PRECISIONS, Precision

__all__ = [
    "EXPORTERS",
    "PRECISIONS",
    "Exported",
    "Exporter",
    "Order",
    "ParityError",
    "Precision",
    "UnfitError",
    "compare_again",
    "export",
    "exported_in",
    "folder_for",
    "require_export",
    "require_formats",
]
