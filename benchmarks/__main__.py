"""`python -m benchmarks [NAME ...]` runs all benchmarks, or those named, and writes docs/benchmarks.md."""

import sys
from pathlib import Path

from benchmarks import (
    active_learning,
    all_pairs,
    audit_log,
    audit_speed,
    balance,
    browser,
    calibrators,
    cifar10,
    cifar10_half_hour,
    classical_speed,
    compiling,
    compressed,
    concepts,
    conformal,
    coverage,
    decoding,
    ensembles,
    evaluating,
    execution_plan,
    explaining,
    fairness,
    fashion,
    finetuning,
    first_prediction,
    frozen,
    growth,
    hierarchical,
    hostile_requests,
    inference,
    interval_coverage,
    killed,
    label_errors,
    monitoring,
    multilabel,
    near_duplicates,
    networks,
    openset,
    photos,
    profiling,
    quantized,
    reporting,
    serving,
    startup,
    streaming,
    time_limit,
    transfer,
    transfer_peer,
)
from benchmarks.table import RESULTS

ALL = {
    "startup": startup,
    "first_prediction": first_prediction,
    "browser": browser,
    "execution_plan": execution_plan,
    "finetuning": finetuning,
    "profiling": profiling,
    "frozen": frozen,
    "growth": growth,
    "compiling": compiling,
    "photos": photos,
    "transfer": transfer,
    "transfer_peer": transfer_peer,
    "time_limit": time_limit,
    "reporting": reporting,
    "streaming": streaming,
    "evaluating": evaluating,
    "networks": networks,
    "fairness": fairness,
    "fashion": fashion,
    "classical_speed": classical_speed,
    "cifar10": cifar10,
    "cifar10_half_hour": cifar10_half_hour,
    "all_pairs": all_pairs,
    "near_duplicates": near_duplicates,
    "label_errors": label_errors,
    "audit_speed": audit_speed,
    "audit_log": audit_log,
    "decoding": decoding,
    "balance": balance,
    "hierarchical": hierarchical,
    "inference": inference,
    "multilabel": multilabel,
    "coverage": coverage,
    "conformal": conformal,
    "calibrators": calibrators,
    "interval_coverage": interval_coverage,
    "openset": openset,
    "monitoring": monitoring,
    "concepts": concepts,
    "killed": killed,
    "explaining": explaining,
    "ensembles": ensembles,
    "quantized": quantized,
    "compressed": compressed,
    "active_learning": active_learning,
    "serving": serving,
    "hostile_requests": hostile_requests,
}
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Every table on this page is printed by a script in `benchmarks/` and kept, with its JSON, in `benchmarks/results/`.
Run them all with `make bench`; those on photos need `LINNAEA_DATA` and `LINNAEA_WEIGHTS`.
"""


def write_page() -> None:
    """Put the kept tables together."""
    known = [*ALL, *sorted({path.stem for path in RESULTS.glob("*.md")} - set(ALL))]
    tables = [(RESULTS / f"{name}.md").read_text() for name in known if (RESULTS / f"{name}.md").exists()]
    PAGE.write_text("\n".join([HEAD, *tables]))


if __name__ == "__main__":
    for name in sys.argv[1:] or ALL:
        ALL[name].main()
    write_page()
