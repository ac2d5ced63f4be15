"""Compression: from a classifier to one that is smaller or faster; how good that still is, others judge."""

from linnaea.delivery.compression.contract import COMPRESSORS, Compressed, Compressor, UnmetError, Wanted, Workshop

__all__ = ["COMPRESSORS", "Compressed", "Compressor", "UnmetError", "Wanted", "Workshop"]
