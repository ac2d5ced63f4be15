"""Drift: false alarms where nothing changed, and what is seen of changes, beside other drift detectors."""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageEnhance, ImageFilter
from scipy.special import softmax
from scipy.stats import binom

from benchmarks.peers import python_of
from benchmarks.table import keep, photo_sets
from linnaea import read
from linnaea.data.images.looks import looks_of
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.delivery.monitoring import Seen
from linnaea.delivery.monitoring.drift import DRIFT_TESTS, Comparison
from linnaea.delivery.monitoring.drift.testing import judge_window
from linnaea.learning.heads import LinearHead, choose, fit_path
from linnaea.models.embedding import embed
from linnaea.models.weights import read_weights
from linnaea.statistics.exchanging import Exchange, draws_for

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Rows = npt.NDArray[np.int64]
Altered = Callable[[Image.Image, int, np.random.Generator], Image.Image]
EVIDENTLY = ("evidently==0.7.23", "pandas==2.3.3")  # it imports what pandas 3 no longer has
SIZE, IMAGES, LEARNT = 128, 3_000, 800
REFERENCE, WINDOW, RATE = 400, 100, 0.01
CHANGED = 250  # images of each changed kind, of which windows are drawn
NEW_CLASS, NEW_SHARE = "hat", 0.2
MORE, MIX = "t-shirt", 0.5  # the class of which there is more, and its share then
PEER_PERMUTATIONS = 100  # the default of alibi-detect
PEER_WINDOWS = 100
STREAMS, STREAM = 4, 10  # and of how many windows at most, until an alarm
EVIDENTLY_SCRIPT = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
found = []
with np.load(sys.argv[1]) as given:
    for number in range(int(given["count"])):
        sides = [pd.DataFrame(given[f"{name}{number}"], columns=[str(c) for c in given["columns"]]) for name in "rw"]
        result = json.loads(Report([DataDriftPreset()]).run(sides[1], sides[0]).json())
        named = [one for one in result["metrics"] if "DriftedColumnsCount" in str(one.get("metric_name", one))]
        counts = named[0]["value"]
        found.append([counts["count"], counts["share"]])
print(json.dumps(found))
"""


@dataclass(frozen=True, eq=False)
class Pool:
    """Images that windows are drawn of: what is known of them, their class by name, and their pixels."""

    seen: Seen
    names: list[str]
    pixels: Pixels


Changed = tuple[Rows, Seen, float | None]  # rows that the reference has not, images as they are then, their share


def main(windows: int = 1_000, repeats: int = 20) -> None:
    """False alarms and power on photos, then how long very many images take."""
    pool, look = prepared()
    known = np.array([name != NEW_CLASS for name in pool.names])
    usual = Pool(pool.seen.take(np.flatnonzero(known)), [n for n in pool.names if n != NEW_CLASS], pool.pixels[known])
    classes = tuple(sorted(set(usual.names)))
    rows = [undrifted(usual, classes, windows)]
    for title, changed in changes(pool, usual, look):
        rows.append(drifted(title, usual, changed, classes, repeats))
    low, high = binom.ppf([0.005, 0.995], windows, RATE)
    remarks = (
        f"Windows of {WINDOW} photos of clothing against {REFERENCE}, drawn anew each time; features of the frozen "
        f"network at {SIZE} px, a linear head on them, looks of the pixels (sizes of files are left out). Shares of "
        f"windows that are called changed. Linnaea: all drift tests together at {RATE:.0%}; of {windows:,} "
        f"undrifted windows {low:.0f} to {high:.0f} alarms would be within the 99 % band. MMD: as alibi-detect's "
        "MMDDrift computes it on the same features (Gaussian kernel of the median distance, unbiased, "
        f"{PEER_PERMUTATIONS} permutations), at its default of 5 % and at {RATE:.0%}. Evidently "
        f"{EVIDENTLY[0].partition('==')[2]}: DataDriftPreset at its defaults on 30 principal components, confidence "
        "and looks; any: at least one column is called drifted, half: the data set is, at its default share of one "
        f"half. Both of {min(PEER_WINDOWS, windows)} windows where nothing changed. Delay: images until "
        f"the first alarm where every window is changed, mean of {STREAMS} streams, "
        f"{STREAM * WINDOW:,} where there was none."
    )
    keep("monitoring", "Drift: false alarms and power", rows, remarks)
    keep("monitoring_speed", "Drift: 100,000 embeddings a window", speed(), "1,280 features, 999 draws.")


def prepared() -> tuple[Pool, Callable[[Pixels], Seen]]:
    """The pool, and what makes of pixels what is seen of them."""
    dataset = read(photo_sets() / "clothing")
    order = np.random.default_rng(0).permutation(len(dataset))[:IMAGES]
    dataset = dataset.take(order.tolist())
    names, images = list(dataset.labels), decode_files(dataset.paths, Recipe(SIZE)).images
    model = read_weights(Path(os.environ["LINNAEA_WEIGHTS"])).build(2, SIZE)
    classes = sorted(set(names) - {NEW_CLASS})
    taught = [row for row, name in enumerate(names) if name in classes][:LEARNT]
    features = embed(model, images[taught])
    targets = np.array([classes.index(names[row]) for row in taught])
    cut = 3 * len(taught) // 4
    path = fit_path(features[:cut], targets[:cut], len(classes))
    head = choose(path, features[cut:], targets[cut:])

    def look(pixels: Pixels) -> Seen:
        return seen_of(embed(model, pixels), pixels, head, classes)

    rest = np.setdiff1d(np.arange(len(names)), taught)
    return Pool(look(images[rest]), [names[row] for row in rest], images[rest]), look


def seen_of(features: Floats, pixels: Pixels, head: LinearHead, classes: list[str]) -> Seen:
    logits = (features @ np.asarray(head.weight).T + np.asarray(head.bias)).astype(np.float64)
    probabilities = softmax(logits, axis=1)
    strange = -np.log(np.exp(logits).sum(axis=1))
    looks = [looks_of(one, None, 10**9) for one in pixels]
    return Seen(
        ids=[str(row) for row in range(len(pixels))],
        logits=logits,
        confidence=probabilities.max(axis=1),
        ood_scores=strange,
        labels=[classes[place] for place in probabilities.argmax(axis=1)],
        sets=[[name for name, share in zip(classes, row, strict=True) if share > 0.1] for row in probabilities],
        reasons=["unfamiliar" if score > -3 else "ok" for score in strange],
        times=np.full(len(pixels), np.nan),
        looks={name: np.array([one[name] for one in looks]) for name in ("brightness", "spread", "sharpness")},
        features=np.asarray(features, dtype=np.float32),
    )


def noise(image: Image.Image, strength: int, random: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float32)
    noisy = pixels + random.normal(0, (4, 8, 14, 22, 34)[strength - 1], pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def blur(image: Image.Image, strength: int, random: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur((0.4, 0.7, 1.1, 1.8, 3.0)[strength - 1]))


def brightness(image: Image.Image, strength: int, random: np.random.Generator) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance((0.95, 0.9, 0.8, 0.65, 0.5)[strength - 1])


def contrast(image: Image.Image, strength: int, random: np.random.Generator) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance((0.95, 0.9, 0.8, 0.6, 0.4)[strength - 1])


def jpeg(image: Image.Image, strength: int, random: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=(70, 50, 30, 15, 7)[strength - 1])
    return Image.open(buffer).convert("RGB")


def new_camera(image: Image.Image, strength: int, random: np.random.Generator) -> Image.Image:
    """A slight cast towards blue, from a sensor of fewer pixels."""
    small = image.resize((SIZE * 3 // 4,) * 2, Image.Resampling.BILINEAR).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    cast = np.asarray(small, dtype=np.float32) * np.array([0.94, 1.0, 1.06], dtype=np.float32)
    return Image.fromarray(np.clip(cast, 0, 255).astype(np.uint8))


def changes(pool: Pool, usual: Pool, look: Callable[[Pixels], Seen]) -> Iterator[tuple[str, Changed]]:
    """What changes are called, and how a window is drawn in which it is so: from rows that the reference has not."""
    random = np.random.default_rng(1)
    some = np.sort(random.permutation(len(usual.names))[:CHANGED])
    for change in (noise, blur, brightness, contrast, jpeg):
        for strength in range(1, 6):
            yield f"{change.__name__} {strength}", (some, look(altered(usual.pixels[some], change, strength)), None)
    yield "new camera", (some, look(altered(usual.pixels[some], new_camera, 1)), None)
    strange = pool.seen.take([row for row, name in enumerate(pool.names) if name == NEW_CLASS])
    yield f"new class, {NEW_SHARE:.0%}", (np.zeros(0, dtype=np.int64), strange, NEW_SHARE)
    more = np.flatnonzero([name == MORE for name in usual.names])
    half = np.sort(random.permutation(more)[: len(more) // 2])
    share = np.mean([name == MORE for name in usual.names])
    yield f"{MORE} {MIX:.0%} instead of {share:.0%}", (half, usual.seen.take(half), (MIX - share) / (1 - share))


def altered(pixels: Pixels, change: Altered, strength: int) -> Pixels:
    random = np.random.default_rng(strength)
    return np.stack([np.asarray(change(Image.fromarray(one), strength, random)) for one in pixels])


def drawn(usual: Pool, changed: Changed, random: np.random.Generator) -> tuple[Seen, Seen]:
    """A reference and a window in which the change is so; images of the one are never in the other."""
    own, seen, share = changed
    free = np.setdiff1d(np.arange(len(usual.names)), own) if len(own) else np.arange(len(usual.names))
    order = random.permutation(free)
    reference, rest = usual.seen.take(order[:REFERENCE]), order[REFERENCE:]
    count = WINDOW if share is None else round(share * WINDOW)
    window = seen.take(random.permutation(len(seen))[:count])
    return reference, together(window, usual.seen.take(rest[: WINDOW - count]))


def together(one: Seen, other: Seen) -> Seen:
    lists = {name: [*getattr(one, name), *getattr(other, name)] for name in ("ids", "labels", "sets", "reasons")}
    arrays = {
        name: np.concatenate([getattr(one, name), getattr(other, name)])
        for name in ("logits", "confidence", "ood_scores", "times", "features")
    }
    return Seen(**lists, **arrays, looks={k: np.concatenate([one.looks[k], other.looks[k]]) for k in one.looks})


def undrifted(usual: Pool, classes: tuple[str, ...], windows: int) -> dict[str, object]:
    """The row of windows in which nothing changed."""
    none = (np.zeros(0, dtype=np.int64), usual.seen, 0.0)
    pairs = (drawn(usual, none, np.random.default_rng((2, number))) for number in range(windows))
    return row_of("nothing", pairs, classes, windows, peers=min(PEER_WINDOWS, windows), delay="")


def drifted(title: str, usual: Pool, changed: Changed, classes: tuple[str, ...], repeats: int) -> dict[str, object]:
    """The row of a change, and how long it takes until it is seen."""
    waits = []
    for stream in range(STREAMS):
        random = np.random.default_rng((3, stream))
        reference, waited = drawn(usual, changed, random)[0], STREAM
        for number in range(STREAM):
            _, window = drawn(usual, changed, random)
            if judge_window(reference, window, classes, rate=RATE, seed=number).alarm:
                waited = number + 1
                break
        waits.append(waited * WINDOW)
    pairs = (drawn(usual, changed, np.random.default_rng((4, number))) for number in range(repeats))
    return row_of(title, pairs, classes, repeats, peers=repeats, delay=f"{np.mean(waits):,.0f}")


def row_of(
    title: str, pairs: Iterable[tuple[Seen, Seen]], classes: tuple[str, ...], count: int, *, peers: int, delay: str
) -> dict[str, object]:
    alarms, mmd, kept = 0, [], []
    for number, (reference, window) in enumerate(pairs):
        alarms += judge_window(reference, window, classes, rate=RATE, seed=number).alarm
        if number < peers:
            mmd.append(peer_p(reference.features, window.features, number))
            kept.append((reference, window))
    evidently = evidently_of(kept)
    share = [f"{np.mean(np.array(mmd) < level):.1%}" for level in (0.05, RATE)]
    print(title, alarms, share, evidently, file=sys.stderr)
    return {
        "change": title,
        "windows": count,
        "linnaea": f"{alarms / count:.1%}" + (f" ({alarms})" if title == "nothing" else ""),
        "MMD at 5 %": share[0],
        f"MMD at {100 * RATE:g} %": share[1],
        "Evidently, any": f"{np.mean([drifted > 0 for drifted, _ in evidently]):.0%}",
        "Evidently, half": f"{np.mean([share >= 0.5 for _, share in evidently]):.0%}",
        "delay, images": delay,
    }


def peer_p(reference: Floats, window: Floats, seed: int) -> float:
    """The p-value of MMDDrift of alibi-detect: its kernel, its bandwidth, its unbiased estimate, its permutations."""
    values = torch.from_numpy(np.concatenate([reference, window]))
    distances = torch.cdist(values, values) ** 2
    count, split = len(values), len(reference)
    sigma = (0.5 * distances.flatten().sort().values[(count * count + count) // 2 - 1]).sqrt()
    kernel = torch.exp(-distances / (2 * sigma**2))
    kernel.fill_diagonal_(0)
    generator = torch.Generator().manual_seed(seed)

    def discrepancy(order: torch.Tensor) -> float:
        moved = kernel[order][:, order]
        own, other, between = moved[:split, :split], moved[split:, split:], moved[:split, split:]
        m, n = split, count - split
        return float(own.sum() / (m * (m - 1)) + other.sum() / (n * (n - 1)) - 2 * between.mean())

    seen = discrepancy(torch.arange(count))
    draws = [discrepancy(torch.randperm(count, generator=generator)) for _ in range(PEER_PERMUTATIONS)]
    return float(np.mean([seen <= one for one in draws]))


def evidently_of(pairs: list[tuple[Seen, Seen]]) -> list[list[float]]:
    """How many columns, and which share of them, Evidently calls drifted in each pair."""
    python = python_of(*EVIDENTLY)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.npz"
        tables = {"count": np.array(len(pairs))}
        for number, (reference, window) in enumerate(pairs):
            centre = reference.features.mean(axis=0)
            _, _, axes = np.linalg.svd(reference.features - centre, full_matrices=False)
            for name, seen in (("r", reference), ("w", window)):
                looks = np.stack([seen.confidence, *seen.looks.values()], axis=1)
                tables[f"{name}{number}"] = np.concatenate([(seen.features - centre) @ axes[:30].T, looks], axis=1)
            tables["columns"] = np.array([*(f"component {at}" for at in range(30)), "confidence", *reference.looks])
        np.savez(path, **tables)
        answer = subprocess.run([str(python), "-c", EVIDENTLY_SCRIPT, str(path)], capture_output=True, text=True)
    if answer.returncode:
        raise SystemExit(answer.stderr)
    found: list[list[float]] = json.loads(answer.stdout.strip().splitlines()[-1])
    return found


def speed() -> list[dict[str, object]]:
    """Seconds of the discrepancy alone, and of every drift test, where a window has 100,000 images."""
    random, classes, rows = np.random.default_rng(0), ("one", "other"), []
    window = made(100_000, random)
    for size in (10_000, 100_000):
        reference = made(size, random)
        seconds = {}
        for title, names in {"MMD": ["embedding_mmd"], "all drift tests": list(DRIFT_TESTS)}.items():
            started = time.perf_counter()
            exchange = Exchange.drawn(len(reference), len(window), draws_for(RATE), 0)
            compared = Comparison(reference, window, classes, exchange)
            for name in names:
                DRIFT_TESTS[name](compared)
            seconds[title] = f"{time.perf_counter() - started:.2f} s"
        taking_part = f"{exchange.images[1]:,} and {exchange.images[0]:,}"
        rows.append({"window": "100,000", "reference": f"{size:,}", "images that take part": taking_part, **seconds})
    return rows


def made(count: int, random: np.random.Generator) -> Seen:
    features = random.standard_normal((count, 1_280), dtype=np.float32)
    logits = features[:, :2].astype(np.float64)
    labels = ["one" if first > second else "other" for first, second in logits]
    confidence = softmax(logits, axis=1).max(axis=1)
    looks = {name: random.normal(size=count) for name in ("brightness", "spread", "sharpness", "width", "height")}
    nothing = np.full(count, np.nan)
    ids = [str(row) for row in range(count)]
    sets = [[label] for label in labels]
    return Seen(ids, logits, confidence, -confidence, labels, sets, ["ok"] * count, nothing, looks, features)


if __name__ == "__main__":
    main()
