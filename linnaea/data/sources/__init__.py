"""Sources: every form that a set of labelled images comes in, read to a `Dataset`.

A source is registered with two functions: `detects(given)` says whether what was given looks like its form,
`read(given)` returns the dataset. `read` tries them in their order, the most particular form first.
"""

from linnaea.data.sources.contract import SOURCES, Source
from linnaea.data.sources.reading import find_source, read

__all__ = ["SOURCES", "Source", "find_source", "read"]
