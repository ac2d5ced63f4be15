"""Encodings: from many descriptors of an image to one vector of a fixed length."""

from linnaea.models.classical.encodings.contract import ENCODINGS, Encoding

__all__ = ["ENCODINGS", "Encoding"]
