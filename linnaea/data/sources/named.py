"""Sets by name, `torchvision:CIFAR10` and `hub:owner/name`, fetched once where a network is there.

<https://pytorch.org/vision/stable/datasets.html>, <https://huggingface.co/datasets>
"""

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.data.sources import cifar, folders, hub_objects, idx, imagenet, svhn
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.dataset import Dataset
from linnaea.errors import DataError, MissingExtraError, UsageError, suggest
from linnaea.runtime.cache import cache_folder

logger = logging.getLogger("linnaea")
TORCHVISION, HUB = "torchvision:", "hub:"


@dataclass(frozen=True)
class Named:
    """A set of torchvision: how it is fetched into a folder, where its files lie there, and who reads them."""

    fetch: Callable[[Any, Path], object]
    within: str
    detects: Callable[[Path], bool]
    read: Callable[[Path], Dataset]


def _whole(kind: Any, folder: Path) -> object:
    return kind(str(folder), download=True)


def _parts(kind: Any, folder: Path) -> object:
    return [kind(str(folder), split=split, download=True) for split in ("train", "test")]


def _archive(kind: Any, folder: Path) -> object:
    """Fetch and unpack only: torchvision would execute the pickles."""
    from torchvision.datasets.utils import download_and_extract_archive

    return download_and_extract_archive(kind.url, str(folder), filename=kind.filename, md5=kind.tgz_md5)


SETS = {
    "MNIST": Named(_whole, "MNIST/raw", idx.detects, idx.read),
    "FashionMNIST": Named(_whole, "FashionMNIST/raw", idx.detects, idx.read),
    "KMNIST": Named(_whole, "KMNIST/raw", idx.detects, idx.read),
    "CIFAR10": Named(_archive, "cifar-10-batches-py", cifar.detects, cifar.read),
    "CIFAR100": Named(_archive, "cifar-100-python", cifar.detects, cifar.read),
    "SVHN": Named(_parts, "", svhn.detects, svhn.read),
    "EuroSAT": Named(_whole, "eurosat/2750", folders.detects_classes, folders.read_classes),
    "Imagenette": Named(_whole, "imagenette2", imagenet.detects, imagenet.read),
}


def detects(path: Path) -> bool:
    """A name that begins with `torchvision:` or `hub:`."""
    return str(path).startswith((TORCHVISION, HUB))


def read(path: Path, folder: Path | None = None) -> Dataset:
    """`torchvision:CIFAR10` and others of its sets, `hub:owner/name` by the library `datasets`.

    What is not there yet is fetched into `folder`, by default below the cache. Raises DataError, saying what was tried,
    where there is neither a copy nor a network.
    """
    name = str(path)
    if name.startswith(TORCHVISION):
        return _from_torchvision(name.removeprefix(TORCHVISION), folder)
    return _from_hub(name.removeprefix(HUB), folder)


def _from_torchvision(name: str, folder: Path | None) -> Dataset:
    if name not in SETS:
        raise UsageError(
            f"{name!r} is not one of the torchvision sets that can be read: {', '.join(SETS)}.{suggest(name, SETS)}"
        )
    home = cache_folder()
    if folder is None and home is None:
        raise UsageError(f"{TORCHVISION}{name} needs a folder on disk: set LINNAEA_CACHE to one.")
    named, folder = SETS[name], folder or home / "sets" / name  # type: ignore[operator]
    place = folder / named.within
    if not named.detects(place):
        _fetch(name, named, folder)
    return named.read(place)


def _fetch(name: str, named: Named, folder: Path) -> None:
    from torchvision import datasets

    logger.info(f"Downloading {name} to {folder}.")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        named.fetch(getattr(datasets, name), folder)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{name} is not in {folder / named.within} and could not be downloaded ({error}): connect to the "
            "network, or put its files there."
        ) from None


def _from_hub(name: str, folder: Path | None) -> Dataset:
    if importlib.util.find_spec("datasets") is None:
        raise MissingExtraError("datasets", "hub")
    from datasets import load_dataset

    try:
        given = load_dataset(name)
    except Exception as error:  # noqa: BLE001  it raises errors of many libraries
        raise DataError(
            f"{HUB}{name} could not be loaded from the Hugging Face hub, its cache or a folder of that name "
            f"({type(error).__name__}: {error}): connect to the network, or check the name."
        ) from None
    return hub_objects.read(given, folder)


SOURCES.register(
    "name",
    title="Name of a set",
    meaning="`torchvision:CIFAR10` and others of its sets, `hub:owner/name` by the library `datasets`.",
    order=20,
)(Source(detects, read, writes=True))
