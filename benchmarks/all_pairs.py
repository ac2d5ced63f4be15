"""All pairs of similar vectors among 10^5, exact, against faiss's flat index."""

import time
from functools import cache

import numpy as np

from benchmarks.pairs import Apart, calibration, interleave, median
from benchmarks.peers import add_peer
from benchmarks.table import keep
from linnaea.data.duplicates.similarity import similar_pairs, unit

PEER = "faiss-cpu==1.15.1"
COUNTS = (12_500, 25_000, 50_000, 100_000)
WIDTH, SIMILAR = 384, 0.9
SAME = 1e-5  # share of the pairs that rounding may put on the other side of the line


def main() -> None:
    """The most against faiss, and how the time grows."""
    version = add_peer(PEER)
    with Apart(ours) as own, Apart(theirs) as other:
        paired = interleave(own, other)
        found = own.result, other.result
    growth = []
    for count in COUNTS:
        given = vectors(count)
        started = time.perf_counter()
        similar_pairs(given, SIMILAR)
        growth.append(time.perf_counter() - started)
    row = {
        "vectors": f"{COUNTS[-1]:,} x {WIDTH}",
        "linnaea": median(paired.ours),
        "faiss": median(paired.theirs),
        "ratio": paired.ratio_if(abs(found[0] - found[1]) <= SAME * found[1]),
        "aim": "3x",
        "pairs found": f"{found[0]:,} and {found[1]:,}",
    }
    power = np.polyfit(np.log(COUNTS), np.log(growth), 1)[0]
    remarks = (
        f"Cosine similarity of {SIMILAR} or more. faiss-cpu {version}: IndexFlatIP, range_search of all in itself, "
        "both sides of a pair. Each in a process of its own. Seconds of Linnaea grow as the number to the power "
        f"{power:.2f}. {calibration()}."
    )
    keep("all_pairs", "All pairs of similar vectors", [row], remarks)


@cache
def vectors(count: int) -> np.ndarray:
    """Ten around each of many centres, of length 1."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(count // 10, WIDTH))
    return unit(centres[generator.integers(0, len(centres), count)] + 0.3 * generator.normal(size=(count, WIDTH)))


def ours() -> int:
    """How many pairs there are."""
    return len(similar_pairs(vectors(COUNTS[-1]), SIMILAR)[0])


def theirs() -> int:
    """How many pairs faiss finds."""
    add_peer(PEER)
    import faiss

    given = np.ascontiguousarray(vectors(COUNTS[-1]), dtype=np.float32)
    index = faiss.IndexFlatIP(WIDTH)
    index.add(given)
    limits, _, _ = index.range_search(given, SIMILAR)
    return int(limits[-1] - len(given)) // 2


if __name__ == "__main__":
    main()
