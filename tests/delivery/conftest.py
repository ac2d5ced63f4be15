"""A run folder as `linnaea train` leaves it, small and made up, with names that try to break a page."""

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from linnaea.delivery.exporters.onnxruntime_web import ARCHIVE

SCRIPT = "<script>alert(1)</script>"
LONG = "Größere Moosjungfer (Leucorrhinia pectoralis) — 大きな 白顔蜻蛉, adult female, wings spread"
CLASSES = ["Linnaea borealis", "Calluna vulgaris", "Vaccinium myrtillus", "Trientalis europaea", LONG, SCRIPT]
COUNTS = np.array(
    [
        [71, 0, 1, 1, 0, 0],
        [1, 60, 2, 0, 0, 0],
        [0, 4, 52, 0, 0, 1],
        [2, 0, 0, 49, 1, 0],
        [0, 0, 0, 1, 38, 2],
        [0, 0, 1, 0, 1, 6],
    ]
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, of which each test opens what it needs."""
    pytest.importorskip("playwright", reason="needs playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="session", autouse=True)
def page_runtime(own_cache) -> None:
    """The files of onnxruntime-web that the user's cache keeps are in that of the tests, which fetch nothing."""
    kept = Path("~/.cache/linnaea").expanduser() / ARCHIVE.removesuffix(".tgz")
    place = Path(os.environ["LINNAEA_CACHE"]) / kept.name
    if kept.is_dir() and not place.exists():
        place.symlink_to(kept)


@pytest.fixture
def finished_run(tmp_path: Path) -> Path:
    """A finished run with every file that a report reads."""
    return make_run(tmp_path / "twinflowers")


@pytest.fixture
def edit() -> Callable[..., None]:
    """Change a JSON file: `edit(path, key=value)` replaces keys of the object in it."""

    def change(path: Path, **values: Any) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def make_run(run: Path) -> Path:
    photos = run.parent / "photos"
    ids = make_photos(photos)
    write(run / "run.json", run_facts(photos))
    write(run / "metrics.json", {"test": metrics(0.0), "val": metrics(0.002)})
    write(run / "findings" / "test.json", evaluation(ids))
    write(run / "findings" / "val.json", evaluation(ids))
    write(run / "findings" / "audit.json", audit(ids))
    write(
        run / "findings" / "export.json", [finding("parity", "All 32 images get the same answer from the ONNX file.")]
    )
    write(run / "model" / "classifier.json", classifier())
    (run / "model" / "README.md").write_text("# Model card\n")
    write_csv(run / "ladder.csv", LADDER)
    write_csv(run / "history.csv", history())
    write_csv(run / "manifest.csv", manifest(ids))
    return run


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def write_csv(path: Path, text: list[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows(text)


def make_photos(root: Path) -> list[str]:
    """Twelve small images of different shapes; the last id has no file, the one before is broken."""
    root.mkdir(parents=True)
    ids = [f"class {number % 6}/photo {number:02d} <b>.png" for number in range(14)]
    for number, name in enumerate(ids[:-1]):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        width, height = [(220, 160), (160, 220), (200, 200)][number % 3]
        image = Image.new("RGB", (width, height), (40 + 12 * number, 90 + 8 * number, 70))
        draw = ImageDraw.Draw(image)
        for petal in range(5):
            x, y = 40 + 23 * petal, 50 + (31 * petal * (number + 1)) % 90
            draw.ellipse([x, y, x + 50, y + 34], fill=(230, 180 - 9 * number, 200), outline=(120, 60, 90))
        image.save(path)
    (root / ids[-2]).write_bytes(b"\x89PNG\r\n\x1a\n but broken")
    return ids


def run_facts(photos: Path) -> dict[str, Any]:
    return {
        "linnaea": "0.1.0",
        "status": "finished",
        "command": "linnaea train photos --out runs/twinflowers --time-limit 20m",
        "arguments": {"source": "photos", "model": "resnet18.a1_in1k", "time_limit": 1200.0, "group": None, "seed": 0},
        "seed": 0,
        "versions": {"linnaea": "0.1.0", "torch": "2.15.0", "timm": "1.0.22"},
        "machine": {"system": "Linux", "processor": "x86_64", "cores": 2, "memory_gb": 15.6},
        "plan": {
            "dtype": "bfloat16",
            "memory_format": "channels_last",
            "threads": 2,
            "measured": {"fp32": 31.2, "bf16": 118.0},
        },
        "dataset": {
            "root": str(photos),
            "fingerprint": "9f2c" * 16,
            "images": 1960,
            "classes": CLASSES,
            "task": "multiclass",
            "splits": {"train": 1372, "val": 294, "test": 294},
            "excluded": 9,
        },
        "started": "2026-03-02T09:14:05+00:00",
        "finished": "2026-03-02T09:22:41+00:00",
        "seconds": 516.2,
        "timings": {
            "read": 3.1,
            "audit": 21.4,
            "decode": 38.0,
            "embed": 64.9,
            "ladder": 371.5,
            "evaluate": 9.8,
            "report": 1.2,
        },
        "chosen": "frozen",
        "chosen_because": "fine-tune is better by less than its interval and costs twelve times as much",
        "notes": ["The time limit left no room for a second seed of fine-tune."],
        "test_opened": [{"when": "2026-03-02T09:22:30+00:00", "by": "train"}],
    }


def metrics(shift: float) -> dict[str, Any]:
    shares = {
        "accuracy": (0.9388, 0.9051, 0.961),
        "balanced_accuracy": (0.9102, 0.861, 0.949),
        "f1_macro": (0.902, 0.853, 0.942),
        "nll": (0.231, 0.17, 0.301),
        "brier": (0.098, 0.071, 0.129),
        "ece": (0.021, 0.012, 0.044),
        "roc_auc_ovr": (0.991, 0.984, 0.996),
        "aurc": (0.0113, 0.006, 0.019),
        "coverage": (0.918, 0.881, 0.944),
        "mean_set_size": (1.07, 1.04, 1.1),
        "unsure_rate": (0.051, 0.031, 0.083),
        "unfamiliar_rate": (0.037, 0.021, 0.066),
        "answered_accuracy": (0.974, 0.947, 0.988),
    }
    entries: dict[str, Any] = {
        name: {
            "value": value + shift,
            "lo": lo + shift,
            "hi": hi + shift,
            "n": 294,
            "method": "bootstrap, 1000 resamples",
        }
        for name, (value, lo, hi) in shares.items()
    }
    entries["accuracy"]["method"] = "Wilson"
    entries["top5_accuracy"] = {"value": None, "lo": None, "hi": None, "n": 294, "method": "not defined for 6 classes"}
    return entries


def finding(name: str, summary: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "summary": summary,
        "severity": "info",
        "count": 0,
        "figure": None,
        "rows": [],
        "images": [],
    } | more


def evaluation(ids: list[str]) -> list[dict[str, Any]]:
    total, right = COUNTS.sum(axis=1), COUNTS.diagonal()
    answered = COUNTS.sum(axis=0)
    classes = [
        {
            "class": name,
            "n": int(total[k]),
            "precision": right[k] / answered[k],
            "precision_lo": 0.8,
            "precision_hi": 0.99,
            "recall": right[k] / total[k],
            "recall_lo": max(0.0, right[k] / total[k] - 0.09),
            "recall_hi": min(1.0, right[k] / total[k] + 0.04),
            "f1": 2 * right[k] / (total[k] + answered[k]),
        }
        for k, name in enumerate(CLASSES)
    ]
    confusion = [
        {"truth": CLASSES[t], "answer": CLASSES[a], "count": int(COUNTS[t, a])}
        for t in range(6)
        for a in range(6)
        if COUNTS[t, a]
    ]
    reliability = [
        {
            "lo": low,
            "hi": low + 0.1,
            "confidence": low + 0.06,
            "accuracy": min(1.0, low + 0.03 + 0.05 * (low > 0.6)),
            "accuracy_lo": max(0.0, low - 0.12 + 0.08 * low),
            "accuracy_hi": min(1.0, low + 0.16 - 0.06 * low),
            "n": int(4 + 240 * low**9),
        }
        for low in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    ]
    mistakes = [
        {
            "id": name,
            "truth": CLASSES[number % 6],
            "label": CLASSES[(number + 1) % 6],
            "confidence": 0.99 - 0.03 * number,
            "truth_probability": 0.004 * (number + 1),
        }
        for number, name in enumerate(ids)
    ]
    answers = [
        ("ok", 267, 267 / 294),
        ("unsure", 15, 15 / 294),
        ("unfamiliar", 11, 11 / 294),
        ("unreadable", 1, 1 / 294),
    ]
    return [
        finding("per_class", f"The weakest class is {SCRIPT}: 6 of its 8 images are found.", rows=classes),
        finding("confusion", "18 of 294 images were given the name of another class.", count=18, rows=confusion),
        finding("reliability", "Stated confidence is off by 2.1 % on average.", rows=reliability),
        finding("mistakes", "The mistakes it was surest of.", count=18, rows=mistakes, images=ids),
        finding(
            "answers",
            "27 of 294 images were declined.",
            rows=[{"reason": r, "count": c, "share": s} for r, c, s in answers],
        ),
        finding(
            "unreadable",
            "1 image could not be read.",
            rows=[{"id": "bad.png", "detail": "truncated file"}],
            severity="warning",
        ),
    ]


def audit(ids: list[str]) -> list[dict[str, Any]]:
    pairs = [{"path": ids[k], "twin": ids[k + 1], "similarity": 0.981 - k / 300, "kept": k % 2 == 0} for k in range(12)]
    return [
        finding(
            "near_duplicates",
            "12 pairs look alike; each pair was kept within one split.",
            count=24,
            rows=pairs,
            images=ids[:10],
        ),
        finding(
            "imbalance",
            f"{SCRIPT} has 54 images, nine times fewer than the commonest class.",
            severity="warning",
            count=54,
        ),
        finding(
            "label_errors",
            "About 1.4 % of labels look wrong.",
            severity="warning",
            count=27,
            images=ids[-3:],
            figure={"value": 0.014, "lo": 0.009, "hi": 0.021, "n": 1372, "method": "cross-validation"},
            rows=[{"path": ids[3], "label": LONG, "looks_like": SCRIPT, "scores": [0.1, 0.9]}],
        ),
    ]


def classifier() -> dict[str, Any]:
    return {
        "format": 1,
        "classes": CLASSES,
        "task": "multiclass",
        "model": {"name": "frozen", "backbone": "resnet18.a1_in1k"},
        "recipe": {"size": 224, "fit": "crop"},
        "calibrator": {"kind": "temperature", "arguments": {"temperature": 1.31}},
        "policy": {
            "coverage": 0.9,
            "set_threshold": 0.62,
            "unsure_rate": 0.05,
            "confidence_threshold": 0.55,
            "unfamiliar_rate": 0.05,
            "ood_threshold": 3.27,
        },
        "provenance": {"weights": "timm/resnet18.a1_in1k", "licence": "apache-2.0"},
    }


LADDER: list[list[Any]] = [
    [
        "rung",
        "metric",
        "value",
        "lo",
        "hi",
        "n",
        "seconds",
        "megabytes",
        "images_per_second",
        "status",
        "chosen",
        "note",
    ],
    ["majority", "accuracy", 0.2483, 0.2024, 0.3007, 294, 0.01, 0.001, 92000, "finished", "", ""],
    ["classical", "accuracy", 0.7211, 0.667, 0.7694, 294, 41.3, 3.2, 180, "finished", "", "HOG and an SVM"],
    [
        "frozen",
        "accuracy",
        0.9354,
        0.9012,
        0.9583,
        294,
        66.0,
        44.8,
        96,
        "finished",
        "yes",
        "resnet18.a1_in1k, 30 % cheaper",
    ],
    ["fine-tune", "accuracy", 0.9456, 0.9133, 0.9663, 294, 262.4, 44.8, 96, "finished", "", ""],
    ["large", "", "", "", "", "", "", "", "", "skipped", "", "the time limit of 20 min was used up"],
]


def history() -> list[list[Any]]:
    rows = [
        [
            "fine-tune",
            epoch,
            26.1,
            0.001,
            round(1.5 * 0.7**epoch + 0.06, 4),
            round(1.2 * 0.75**epoch + 0.19, 4),
            round(0.95 - 0.4 * 0.6**epoch, 4),
        ]
        for epoch in range(1, 11)
    ]
    return [["rung", "epoch", "seconds", "learning_rate", "train_loss", "val_loss", "val_accuracy"], *rows]


def manifest(ids: list[str]) -> list[list[Any]]:
    names = [*ids, *(f"class {k % 6}/image {k:04d}.jpg" for k in range(len(ids), 1960))]
    splits = ["train"] * 1372 + ["val"] * 294 + ["test"] * 294
    used = [
        [name, CLASSES[k % 6], split, "", "00" * 32, ""]
        for k, (name, split) in enumerate(zip(names, splits, strict=True))
    ]
    twins = [[f"copy {k} of <b>.png", CLASSES[0], "train", "", "", "the same bytes as another file"] for k in range(7)]
    broken = [
        ["torn.jpg", CLASSES[1], "", "", "", "unreadable: truncated file"],
        ["empty.jpg", "", "", "", "", "unreadable: no bytes"],
    ]
    return [["path", "label", "split", "group", "sha256", "excluded"], *used, *twins, *broken]
