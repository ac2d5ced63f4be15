"""`read`: labelled images as a dataset."""

from linnaea.data.sources import read

__all__ = ["read"]
