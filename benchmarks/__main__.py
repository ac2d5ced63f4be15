"""`python -m benchmarks [NAME ...]` runs all benchmarks, or those named, and writes docs/benchmarks.md.

A benchmark is a file here with a function `main`.
"""

import sys
from importlib import import_module
from pathlib import Path

from benchmarks.table import RESULTS

FOLDER = Path(__file__).parent
ALL = sorted(file.stem for file in FOLDER.glob("[a-z]*.py") if "\ndef main(" in file.read_text(encoding="utf-8"))
PAGE = FOLDER.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Every table on this page is printed by a script in `benchmarks/` and kept, with its JSON, in `benchmarks/results/`.
Run them all with `make bench`; those on photos need `LINNAEA_DATA` and `LINNAEA_WEIGHTS`.
"""


def write_page() -> None:
    """Put the kept tables together."""
    PAGE.write_text("\n".join([HEAD, *(table.read_text() for table in sorted(RESULTS.glob("*.md")))]))


def main(names: list[str]) -> None:
    """Run them one after the other."""
    strange = [name for name in names if name not in ALL]
    if strange:
        sys.exit(f"there is no benchmark {strange[0]!r}: expected one of {', '.join(ALL)}.")
    for name in names or ALL:
        import_module(f"benchmarks.{name}").main()
    write_page()


if __name__ == "__main__":
    main(sys.argv[1:])
