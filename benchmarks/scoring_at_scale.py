"""`linnaea predict --out scores.parquet` over very many images: memory, images a second, and on after a kill."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.table import keep

FEW, MANY = 10_000, 100_000
SHARD = 5_000  # images of a tar
SIDE = 24
OF_EACH_CLASS = 30
PROBE = """
import json, re, sys
from pathlib import Path
import linnaea
scored = linnaea.score(*sys.argv[1:4])
# Not ru_maxrss, which a process inherits from the one that started it.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(json.dumps({**scored.to_json(), "peak_kib": int(peak)}))
"""


def main(few: int = FEW, many: int = MANY) -> None:
    """A run on tiny images scores folders of them, and shards."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        run = trained(root)
        shards(root / "shards", few)
        folder(root / "few", few)
        folder(root / "many", many)
        rows = [
            scored(run, root / "few", root / "few.parquet", f"folder of {few:,}"),
            scored(run, root / "many", root / "many.parquet", f"folder of {many:,}"),
            scored(run, root / "shards", root / "shards.parquet", f"shards of {few:,}"),
            killed(run, root / "many", root / "killed.parquet", root / "many.parquet", many),
        ]
    growth = rows[1]["peak, MiB"] - rows[0]["peak, MiB"]
    remarks = (
        f"Images of {SIDE} pixels, PNG, in one folder or in tar files of {SHARD:,}, scored by HOG and logistic "
        f"regression in a process of its own, whose largest resident size is told. From {few:,} to {many:,} images it "
        f"grew by {growth} MiB. The last row was killed by SIGKILL and asked for again; the file was compared byte by "
        "byte with that of the second row."
    )
    keep("scoring_at_scale", "Scoring very many images", rows, remarks)


def scored(run: Path, images: Path, out: Path, name: str) -> dict[str, Any]:
    """One scoring from beginning to end."""
    began = time.monotonic()
    done = subprocess.run(command(run, images, out), capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    ids = pq.read_table(out, columns=["id"]).column("id")
    return {
        "images": name,
        "peak, MiB": told["peak_kib"] // 1024,
        "images a second": round(told["images_per_second"]),
        "seconds in all": round(time.monotonic() - began),
        "rows": len(ids),
        "different images": len(ids.unique()),
        "kept from before": told["kept"],
        "same file": "-",
    }


def killed(run: Path, images: Path, out: Path, whole: Path, many: int) -> dict[str, Any]:
    """The same, killed when a third of the parts are there, and begun again."""
    child = subprocess.Popen(command(run, images, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    parts = out.with_name(f"{out.name}.parts")
    while child.poll() is None and len(list(parts.glob("[0-9]*.parquet"))) < many / 1024 / 3:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    row = scored(run, images, out, f"folder of {many:,}, killed")
    same = sha256(out.read_bytes()).digest() == sha256(whole.read_bytes()).digest()
    return {**row, "same file": "yes" if same else "NO"}


def command(run: Path, images: Path, out: Path) -> list[Any]:
    return [sys.executable, "-c", PROBE, run, images, out]


def trained(root: Path) -> Path:
    """A run that tells dark from bright."""
    import linnaea

    for label, level in (("dark", 0), ("bright", 120)):
        (root / "data" / label).mkdir(parents=True)
        for number in range(OF_EACH_CLASS):
            (root / "data" / label / f"{number}.png").write_bytes(picture(number, level))
    linnaea.train(root / "data", out=root / "run", model="hog", weights="none")
    return root / "run"


def picture(number: int, level: int) -> bytes:
    """A PNG of noise, another one for every number."""
    pixels = np.random.default_rng(number).integers(level, level + 130, (SIDE, SIDE, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def folder(place: Path, count: int) -> None:
    """Very many files in one folder."""
    place.mkdir()
    for number in range(count):
        (place / f"{number:06}.png").write_bytes(picture(number, 60 * (number % 3)))


def shards(place: Path, count: int) -> None:
    """The same in tar files."""
    place.mkdir()
    starts = range(0, count, SHARD)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(lambda start: _shard(place / f"shard-{start:06}.tar", start, min(count, start + SHARD)), starts))


def _shard(file: Path, start: int, stop: int) -> None:
    with tarfile.open(file, "w") as archive:
        for number in range(start, stop):
            content = picture(number, 60 * (number % 3))
            entry = tarfile.TarInfo(f"{number:06}.png")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main(*map(int, re.findall(r"\d+", " ".join(sys.argv[1:]))))
