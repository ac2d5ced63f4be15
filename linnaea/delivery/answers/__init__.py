"""Predictions as text or files, for people and for programs."""

from linnaea.delivery.answers.choosing import writer_for
from linnaea.delivery.answers.contract import FORMATS, Writer

__all__ = ["FORMATS", "Writer", "writer_for"]
