"""What an exported page answers for real photos in Chromium, against `predict` from the same files."""

import functools
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import linnaea
from benchmarks.table import keep, photo_sets

SET, PHOTOS, SIDES = "hymenoptera", 120, (224, 64)
PATIENCE = 600_000  # milliseconds
Answers = dict[str, dict[str, Any]]


def main() -> None:
    """Photos as they are, JPEG, and as PNG, at two sizes: at the smaller one JPEG is shrunk while it is decoded."""
    weights, chromium = Path(os.environ.get("LINNAEA_WEIGHTS", "")), shutil.which("chromium")
    if not weights.is_file() or chromium is None:
        raise SystemExit("Set LINNAEA_WEIGHTS to a safetensors file of ImageNet weights, and install chromium.")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        forms = as_files(Path(name))
        for side in SIDES:
            run = Path(name) / f"run {side}"
            linnaea.train(photo_sets() / SET, out=run, weights=str(weights), model="frozen", img_size=side)
            folder = linnaea.export(run, "web").folder
            rows += [row(side, form, folder, files, chromium) for form, files in forms.items()]
    remarks = (
        f"{PHOTOS} photos of {SET}, a frozen {weights.name.split('.')[0]} exported with `--to web`, asked in Chromium "
        "and by `linnaea predict` with the same folder. Confidence: the largest and the mean difference."
    )
    keep("browser", "A page against predict", rows, remarks)


def as_files(folder: Path) -> dict[str, list[Path]]:
    """The photos as they are, and as PNG."""
    photos = sorted((photo_sets() / SET).rglob("*.jpg"))
    chosen = [photos[place] for place in np.linspace(0, len(photos) - 1, PHOTOS).astype(int)]
    (folder / "png").mkdir()
    copies = []
    for number, photo in enumerate(chosen):
        copies.append(folder / "png" / f"{number}.png")
        with Image.open(photo) as image:
            image.save(copies[-1])
    return {"JPEG": chosen, "PNG": copies}


def row(side: int, form: str, folder: Path, files: list[Path], chromium: str) -> dict[str, Any]:
    """How the answers differ."""
    theirs = asked(folder, files, chromium)
    ours = linnaea.load(folder).predict([str(path) for path in files])
    told = [theirs[path.name] for path in files]
    columns = ("label", "reason", "prediction_set")
    same = {
        name: sum(one[name] == other for one, other in zip(told, ours.column(name), strict=True)) for name in columns
    }
    gaps = np.abs([one["confidence"] for one in told] - np.asarray(ours.column("confidence")))
    return {
        "side": side,
        "files": form,
        "same label": f"{same['label']} of {len(files)}",
        "same reason": f"{same['reason']} of {len(files)}",
        "same set": f"{same['prediction_set']} of {len(files)}",
        "largest difference": f"{gaps.max():.1e}",
        "mean": f"{gaps.mean():.1e}",
    }


def asked(folder: Path, files: list[Path], chromium: str) -> Answers:
    """What the page answers, by the name of the file."""
    from playwright.sync_api import sync_playwright

    with served(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.wait_for_selector("body[data-state=ready]")
        page.set_input_files("#choose", files)
        page.wait_for_selector("body[data-state=ready]")
        with page.expect_download() as download:
            page.click("#save")
        lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
        browser.close()
    return {told["id"]: told for told in map(json.loads, lines)}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address under which a static server gives a folder."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    main()
