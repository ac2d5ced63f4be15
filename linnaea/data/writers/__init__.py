"""Writers: the forms that `linnaea.convert` writes, each with the bytes of every image as they are.

A writer fills an empty folder with a dataset; it is registered under the name of its form.
"""

from linnaea.data.writers.contract import WRITERS, Writer

__all__ = ["WRITERS", "Writer"]
