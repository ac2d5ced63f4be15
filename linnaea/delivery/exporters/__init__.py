"""Exporters: the classifier as a file for another runtime, which must answer the same before it is called done.

An exporter writes its file into a folder and returns a function that answers for decoded images; it is registered in
`EXPORTERS`. `export` does what is common to all: the predict script, the parity check, the refusal.
"""

from linnaea.delivery.exporters.contract import EXPORTERS, Exported, Exporter, export

__all__ = ["EXPORTERS", "Exported", "Exporter", "export"]
