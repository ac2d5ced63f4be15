"""What tests are made of: files, archives, images, and the command line."""

import io
import sys
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from linnaea.cli import main
from linnaea.dataset import Dataset

TAR_MODES = {"tar": "w", "gz": "w:gz", "tgz": "w:gz", "xz": "w:xz", "bz2": "w:bz2"}


def touch(root, *names):
    """Empty files; gives the folder back."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def pack(path, members):
    """Write an archive of names and contents; a content may be a tar header or a zip header instead."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(*((content, b"") if isinstance(content, zipfile.ZipInfo) else (name, content)))
        return path
    with tarfile.open(path, TAR_MODES[path.suffix[1:]]) as archive:
        for name, content in members.items():
            entry, body = (content, b"") if isinstance(content, tarfile.TarInfo) else (tarfile.TarInfo(name), content)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return path


def smooth(number, size=64):
    """A smooth image with structure, different for every number."""
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def draw_pets(folder, *names):
    """Images of noise of these names, by turns in the class folders `cat` and `dog`; gives the folder back."""
    for number, name in enumerate(names):
        place = folder / ("cat", "dog")[number % 2] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place)
    return folder


def striped(folder, count, *, noise=0.0, seed=0, splits=(None,)):
    """Stripes that lie or stand, the share `noise` of them under the other name; a table with their names."""
    random = np.random.default_rng(seed)
    rows = []
    for split in splits:
        for number in range(count):
            kind = number % 2
            wave = 128 + 90 * np.sin(np.arange(32) * random.uniform(0.5, 1.2) + random.uniform(0, 6))
            pixels = np.tile(wave, (32, 1)) if kind else np.tile(wave, (32, 1)).T
            pixels = np.clip(pixels + random.normal(0, 40, (32, 32)), 0, 255).astype(np.uint8)
            name = f"{split}-{number:03}.png"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).convert("RGB").save(folder / name)
            label = ("lying", "standing")[kind if random.random() >= noise else 1 - kind]
            rows.append({"path": name, "label": label} | ({"split": split} if split else {}))
    return Dataset(pa.Table.from_pylist(rows), ("lying", "standing"), "binary", folder)


def reasons(dataset):
    """Why each file was left out."""
    return {entry.path: entry.reason for entry in dataset.excluded}


def run(words, monkeypatch):
    """The exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["linnaea", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code or 0
