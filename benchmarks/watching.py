"""Tests that look after every image: false alarms at any time, delay; intervals of accuracy without labels."""

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax
from scipy.stats import beta

from benchmarks.table import keep
from linnaea.decisions import Policy
from linnaea.delivery.monitoring.seen import Seen
from linnaea.delivery.monitoring.streams import Streams
from linnaea.finding import Estimate
from linnaea.statistics.label_free import Judged, estimates
from linnaea.statistics.label_shift import accuracy_of_shares
from linnaea.statistics.sequential_alarms import Guarantee

CLASSES = tuple("abcde")
EVEN = np.full(5, 0.2)
REFERENCE, CHANGED_AT = 500, 1_000
POLICY = Policy(coverage=0.9, set_threshold=0.1, ood_threshold=2.0)
RATES = (0.01, 0.05)
LENGTH, STREAMS = 2_000, 1_000
DELAYS, AFTER = 50, 3_000
WINDOWS, WINDOW = 1_000, 300


@dataclass(frozen=True)
class World:
    """Where images come from: how far classes lie `apart`, their shares, the share of a new class, how odd images are.

    Probabilities are right in the plain world, and of images that are only harder: a blurred one has weaker evidence.
    """

    apart: float = 3.0
    shares: tuple[float, ...] = tuple(EVEN)
    new: float = 0.0
    odd: float = 0.0
    blind: bool = False

    def drawn(self, random: np.random.Generator, n: int) -> Seen:
        """Answers for n images, with their truth; a new class looks like the first and has none."""
        truth = random.choice(5, n, p=self.shares)
        strange = random.random(n) < self.new
        seen = self.apart * np.eye(5)[np.where(strange, 0, truth)] + random.normal(size=(n, 5))
        supposed = 3.0 if self.blind else self.apart
        logits = log_softmax(supposed * seen + np.log(EVEN), axis=1)
        probabilities = softmax(logits, axis=1)
        labels = probabilities.argmax(axis=1)
        scores = random.normal(size=n) + self.odd + 1.0 * strange
        held = (probabilities >= POLICY.set_threshold) | (np.arange(5) == labels[:, None])
        return Seen(
            ids=[str(number) for number in range(n)],
            logits=logits,
            confidence=probabilities.max(axis=1),
            ood_scores=scores,
            labels=[CLASSES[k] for k in labels],
            sets=[[CLASSES[k] for k in np.flatnonzero(row)] for row in held],
            reasons=["unfamiliar" if score > POLICY.ood_threshold else "ok" for score in scores],
            times=np.arange(n, dtype=np.float64),
            truth=["new" if new else CLASSES[k] for k, new in zip(truth, strange, strict=True)],
        )


PLAIN = World()
CHANGES = {
    "evidence weaker by 10 %, confidence knows": World(apart=2.7),
    "evidence weaker by 20 %": World(apart=2.4),
    "evidence weaker by 40 %": World(apart=1.8),
    "the same by 40 %, confidence does not know": World(apart=1.8, blind=True),
    "OOD score higher by 0.5 standard deviations": World(odd=0.5),
    "OOD score higher by 1": World(odd=1.0),
    "new class, 5 % of images": World(new=0.05),
    "new class, 20 % of images": World(new=0.2),
}
WORLDS = {
    "as the reference": PLAIN,
    "harder, confidence knows": World(apart=1.8),
    "harder, confidence does not know": World(apart=1.8, blind=True),
    "other class shares": World(shares=(0.6, 0.1, 0.1, 0.1, 0.1)),
    "new class, 10 %": World(new=0.1),
}


def begun(random: np.random.Generator, guarantee: Guarantee, seed: int) -> Streams:
    """Streams after a reference of the plain world."""
    return Streams.begin(PLAIN.drawn(random, REFERENCE), POLICY, guarantee, seed=seed)


def one_undrifted(rate: float, labelled: bool, seed: int) -> tuple[bool, int]:
    """Whether anything was ever certain in one stream where nothing changed, and how often anything was suspected."""
    random = np.random.default_rng([1, int(1000 * rate), labelled, seed])
    seen = PLAIN.drawn(random, LENGTH)
    streams = begun(random, Guarantee(rate), seed)
    _, changes = streams.told(seen if labelled else seen.with_(truth=()), POLICY)
    return any(one.status == "certain" for one in changes), sum(one.status == "suspected" for one in changes)


def false_alarms(pool: ProcessPoolExecutor, count: int) -> list[dict[str, Any]]:
    """The share of streams in which anything was ever certain, beside what was promised."""
    rows = []
    for rate in RATES:
        found = list(pool.map(partial(one_undrifted, rate, True), range(count), chunksize=10))
        wrong, suspected = sum(one for one, _ in found), sum(number for _, number in found)
        lo, hi = beta.ppf(0.005, wrong, count - wrong + 1) if wrong else 0.0, beta.ppf(0.995, wrong + 1, count - wrong)
        rows.append(
            {
                "promised, at any time": f"{rate:.0%}",
                "streams": count,
                "images each": LENGTH,
                "false alarms": f"{wrong / count:.1%} (99 %: {lo:.1%} to {hi:.1%})",
                "suspected, of 10,000 images": f"{1e4 * suspected / count / LENGTH:.2f}",
            }
        )
    return rows


def one_delay(world: World, labelled: bool, seed: int) -> tuple[float, float, float]:
    """Images from a change to when it was suspected and certain, and by how many its beginning was missed."""
    random = np.random.default_rng([2, labelled, seed])
    streams = begun(random, Guarantee(), seed)
    after = world.drawn(random, AFTER).with_(times=CHANGED_AT + np.arange(AFTER, dtype=np.float64))
    parts = [PLAIN.drawn(random, CHANGED_AT), after]
    changes = []
    for part in parts:
        streams, news = streams.told(part if labelled else part.with_(truth=()), POLICY)
        changes += [one for one in news if one.time >= CHANGED_AT]
    first = next((one for one in changes if one.status in ("suspected", "certain")), None)
    sure = next((one for one in changes if one.status == "certain"), None)
    told = [np.inf if one is None else one.time - CHANGED_AT + 1 for one in (first, sure)]
    return told[0], told[1], np.nan if first is None else abs(first.since_time - CHANGED_AT)


def delays(pool: ProcessPoolExecutor, count: int) -> list[dict[str, Any]]:
    """How long changes of several strengths go unnoticed, without labels and with the labels of all images."""
    rows = []
    for name, world in CHANGES.items():
        row: dict[str, Any] = {"change": name}
        for labelled in (False, True):
            found = np.array(list(pool.map(partial(one_delay, world, labelled), range(count), chunksize=5)))
            kind = "with labels" if labelled else "without labels"
            row[f"suspected after, {kind}"] = _median(found[:, 0])
            row[f"certain after, {kind}"] = _median(found[:, 1])
            if not labelled:
                row["beginning off by"] = _median(found[np.isfinite(found[:, 2]), 2])
        rows.append(row)
    return rows


def _median(values: np.ndarray) -> str:
    known = np.isfinite(values)
    if not known.any():
        return "never"
    middle = np.median(np.where(known, values, 1e9))
    missed = "" if known.all() else f" ({(~known).mean():.0%} never)"
    return ("most never" if middle > 1e8 else f"{middle:.0f}") + missed


def one_window(world: World, seed: int) -> dict[str, Estimate]:
    """All estimates of the accuracy of one window."""
    random = np.random.default_rng([3, seed])
    known, new = PLAIN.drawn(random, REFERENCE), world.drawn(random, WINDOW)
    right = np.array([label == truth for label, truth in zip(known.labels, known.truth, strict=True)])
    targets = np.array([CLASSES.index(truth) for truth in known.truth])
    found = dict(estimates(Judged(known.confidence, right), new.confidence, seed=seed))
    by_class = accuracy_of_shares(softmax(known.logits, axis=1), targets, right, softmax(new.logits, axis=1))[0]
    return found | {"class_shares": by_class}


def coverage(pool: ProcessPoolExecutor, count: int) -> list[dict[str, Any]]:
    """How often intervals of accuracy without labels hold it, where images differ in one way or another."""
    rows = []
    for name, world in WORLDS.items():
        many = world.drawn(np.random.default_rng(4), 100_000)
        truth = np.mean([label == true for label, true in zip(many.labels, many.truth, strict=True)])
        found = list(pool.map(partial(one_window, world), range(count), chunksize=20))
        row: dict[str, Any] = {"images are": name, "accuracy": f"{truth:.3f}"}
        for method in found[0]:
            each = [one[method] for one in found]
            held = np.mean([one.lo <= truth <= one.hi for one in each])
            row[method.replace("_", " ")] = f"{held:.1%} (mean {np.mean([one.value for one in each]):.3f})"
        rows.append(row)
    return rows


def main() -> None:
    """All three; `--small` tries them at a size that proves nothing."""
    small = "--small" in sys.argv
    with ProcessPoolExecutor(2) as pool:
        alarms = false_alarms(pool, 20 if small else STREAMS)
        late = delays(pool, 4 if small else DELAYS)
        held = coverage(pool, 20 if small else WINDOWS)
    if small:
        print(*alarms, *late, *held, sep="\n")
        return
    tell(alarms, late, held)


def tell(alarms: list[dict[str, Any]], late: list[dict[str, Any]], held: list[dict[str, Any]]) -> None:
    """Keep the three tables."""
    keep(
        "watching_alarms",
        "False alarms of tests that look after every image",
        alarms,
        f"{LENGTH:,} images each, as the reference of {REFERENCE}, looked at after every image by all streams "
        "together, those of labels among them. In brackets the interval of Clopper and Pearson.",
    )
    keep(
        "watching_delays",
        "How long a change goes unnoticed",
        late,
        f"Medians over {DELAYS} streams, in images after a change that comes after {CHANGED_AT:,} images and lasts; "
        "at most 1 % false alarms at any time. With labels: those of all images, at once.",
    )
    keep(
        "watching_coverage",
        "How often 95 % intervals of accuracy without labels hold it",
        held,
        f"Of {WINDOWS:,} windows of {WINDOW} images, with a reference of {REFERENCE}, in brackets the mean estimate. "
        "They fail where what they suppose does not hold: that is what the lower rows show.",
    )


if __name__ == "__main__":
    main()
