"""A table for people."""

from linnaea.delivery.answers.contract import FORMATS, written

FORMATS.register("table", title="Table", meaning="Aligned columns, for people.", order=1)(written(str))
