"""Do prediction sets of every method hold the truth as often as was asked, over a thousand splits?

    python -m benchmarks.conformal [SPLITS]

What is expected exactly, not only at least, is told beside it: of n images to fit, the k-th smallest strangeness of
their truths, k = ceil((n + 1) * asked), covers k / (n + 1) of new images on average, where no two are as strange.
"""

import sys

import numpy as np

from benchmarks.table import keep
from linnaea.arrays import Flags, Floats, Integers
from linnaea.decisions import SETS, Policy
from linnaea.evidence.conformal import SET_METHODS, SetMaterial

SPLITS, FIT, NEW, CLASSES, ASKED = 1_000, 2_000, 1_000, 5, 0.9
EACH = 100  # images of each class to fit thresholds of classes to
NEAR, NEAR_CLASS = 0.003, 0.02
IMAGES = {"hard": 1.0, "easy": 8.0}  # how far apart logits lie
BOUNDS = {"clustered": "nearly 90%", "risk": "at least 90%"}  # whose exact coverage is not known
TUNED_ON = 5  # RAPS fits its threshold to all but one image in so many

Drawn = tuple[Floats, Integers]


def main() -> None:
    """Coverage, what is expected, and size of each method; then the coverage of each class with few images of it."""
    splits = int(sys.argv[1]) if len(sys.argv) > 1 else SPLITS
    of_all(splits)
    of_classes(splits)


def of_all(splits: int) -> None:
    """Every method on images that are hard to tell apart, and on those of which more than is asked are answered right.

    What is judged is the coverage that the method promises: of all images, or the mean over classes.
    """
    rows, right = [], {}
    for images, apart in IMAGES.items():
        random = np.random.default_rng(0)
        told: dict[str, list[tuple[float, ...]]] = {name: [] for name in methods()}
        answers = []
        for _ in range(splits):
            fit, new = drawn(FIT, apart, random), drawn(NEW, apart, random)
            answers.append((new[0].argmax(axis=1) == new[1]).mean())
            for name, found in told.items():
                found.append(judged(name, fit, new))
        rows += [row(images, name, np.array(found)) for name, found in told.items()]
        right[images] = float(np.mean(answers))
    shares = ", ".join(f"of the {name} ones {share:.0%}" for name, share in right.items())
    keep(
        "conformal",
        "Prediction sets of every method",
        rows,
        f"{splits:,} splits of {FIT:,} images to fit and {NEW:,} to judge, {CLASSES} classes, coverage asked: "
        f"{ASKED:.0%}; with the Monte Carlo error of the mean. Answered right are {shares}. Judged is what a method "
        "promises: the mean over classes for risk, all images together for the others. Expected is k / (n + 1) of the "
        "n images that each threshold is fitted to; clusters of classes and a controlled risk only have bounds. By the "
        "rule alone a set may be empty; in Linnaea the answer always belongs to it, and nothing is drawn by chance, so "
        "that sets hold the truth more often than asked where more answers than that are right: this is meant, and "
        "the aim is for images where it is not so.",
    )


def of_classes(splits: int) -> None:
    """The coverage of each class by thresholds of its own, of so few images of each."""
    random = np.random.default_rng(1)
    found = np.array([by_class("class_conditional", few(random), drawn(NEW, 1.0, random)) for _ in range(splits)])
    expected = exact(EACH)
    rows = [
        {
            "class": str(own + 1),
            "coverage": with_error(found[:, own]),
            "expected": f"{expected:.2%}",
            "off what was asked": f"{100 * (found[:, own].mean() - ASKED):+.2f}",
            "aim": f"within {100 * NEAR_CLASS:.0f} points",
            "in one split": f"± {100 * found[:, own].std(ddof=1):.1f} points",
        }
        for own in range(CLASSES)
    ]
    keep(
        "conformal_classes",
        f"Sets by class, with {EACH} images of each",
        rows,
        f"{splits:,} splits of {EACH} images of each of {CLASSES} classes to fit and {NEW:,} to judge, the hard images "
        f"of the table before, coverage asked: {ASKED:.0%}; means with their Monte Carlo error. The mean is what is "
        "promised: the last column is the standard deviation of what one split shows, by the images it was fitted to "
        "and those it was judged by.",
    )


def methods() -> list[str]:
    """Those for one label per image."""
    return [name for name in SET_METHODS if SET_METHODS.about(name).capabilities.get("one")]


def judged(name: str, fit: Drawn, new: Drawn) -> tuple[float, ...]:
    """Coverage, the same by the rule alone, what is expected (NaN: only bounds are known), and the mean size."""
    policy = Policy(**SET_METHODS[name](SetMaterial(*fit, ASKED)))
    rule = SETS[policy.sets](new[0], policy)
    promised = covered_of_classes if name == "risk" else covered
    held = with_answer(rule, new[0])
    return promised(held, new[1]), promised(rule, new[1]), expected_of(name, fit, new), held.sum(axis=1).mean()


def expected_of(name: str, fit: Drawn, new: Drawn) -> float:
    """The coverage of all new images that is expected of the rule, by how many images each threshold is fitted to."""
    if name in BOUNDS:
        return float("nan")
    if name in ("class_conditional", "answer_conditional"):
        groups, own = ((part[1] if name == "class_conditional" else part[0].argmax(axis=1)) for part in (fit, new))
        each = np.array([exact(int(count)) for count in np.bincount(groups, minlength=CLASSES)])
        return float(each[own].mean())
    return exact(FIT - FIT // TUNED_ON if name == "raps" else FIT)


def exact(images: int) -> float:
    """k / (n + 1), and 1 where there are too few images."""
    return min(1.0, float(np.ceil((images + 1) * ASKED - 1e-9)) / (images + 1))


def drawn(count: int, apart: float, random: np.random.Generator) -> Drawn:
    """Probabilities (n, K), and truths drawn by them (n,)."""
    logits = apart * random.normal(size=(count, CLASSES)) * np.linspace(0.6, 1.8, CLASSES)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truths = (probabilities.cumsum(axis=1) < random.random((count, 1))).sum(axis=1).clip(max=CLASSES - 1)
    return probabilities, truths


def few(random: np.random.Generator) -> Drawn:
    """As many images of each class as thresholds of classes shall be fitted to."""
    probabilities, truths = drawn(4 * EACH * CLASSES, 1.0, random)
    rows = np.concatenate([np.flatnonzero(truths == own)[:EACH] for own in range(CLASSES)])
    if len(rows) < EACH * CLASSES:
        raise SystemExit("Too few images of a class were drawn: expected more of each, draw more.")
    return probabilities[rows], truths[rows]


def with_answer(rule: Flags, probabilities: Floats) -> Flags:
    """The sets that are told: the answer always among them (n, K)."""
    return np.asarray(rule | (probabilities >= probabilities.max(axis=1, keepdims=True)))


def covered(held: Flags, truths: Integers) -> float:
    return float(held[np.arange(len(truths)), truths].mean())


def covered_of_classes(held: Flags, truths: Integers) -> float:
    return float(np.mean(shares_of(held, truths)))


def shares_of(held: Flags, truths: Integers) -> Floats:
    """The coverage of each class (K,)."""
    hits = held[np.arange(len(truths)), truths]
    return np.asarray(np.bincount(truths, hits, CLASSES) / np.bincount(truths, minlength=CLASSES))


def by_class(name: str, fit: Drawn, new: Drawn) -> Floats:
    policy = Policy(**SET_METHODS[name](SetMaterial(*fit, ASKED)))
    return shares_of(with_answer(SETS[policy.sets](new[0], policy), new[0]), new[1])


def with_error(values: Floats) -> str:
    """Their mean, and how far it is off by chance: one standard error."""
    return f"{values.mean():.2%} ± {100 * values.std(ddof=1) / len(values) ** 0.5:.2f}"


def row(images: str, name: str, found: Floats) -> dict[str, str]:
    """A method as a row of the table, of what its splits said (splits, 4)."""
    coverage, rule, expected, size = found.T
    return {
        "images": images,
        "method": name,
        "coverage": with_error(coverage),
        "by the rule alone": with_error(rule),
        "expected of it": BOUNDS.get(name, f"{expected.mean():.2%}"),
        "off what was asked": f"{100 * (coverage.mean() - ASKED):+.2f}",
        "aim": f"within {100 * NEAR:.1f} points" if images == "hard" else "as many as are right",
        "mean size": f"{size.mean():.2f}",
    }


if __name__ == "__main__":
    main()
