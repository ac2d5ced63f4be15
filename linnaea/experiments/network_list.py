"""What `linnaea models` lists: names without torch, and of those that are shown what a network costs and needs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from linnaea.errors import UsageError, suggest
from linnaea.learning.model_names import LIBRARIES, kind_of, networks_of, rungs, trainable
from linnaea.runtime.words import counted

MOST = 40  # of which more than the name is told
FAMILIES = {
    "compact": "compact network, for training from scratch",
    "lenet5": "LeNet-5",
    "textbook_cnn": "textbook network",
    "alexnet": "AlexNet",
    "vgg16": "VGG",
    "googlenet": "GoogLeNet",
    "inception_v3": "Inception",
    "resnet50": "ResNet",
    "densenet121": "DenseNet",
    "squeezenet1_1": "SqueezeNet",
    "shufflenet_v2_x1_0": "ShuffleNet",
    "mobilenetv1_100": "MobileNet V1",
    "mobilenetv2_100": "MobileNet V2",
    "mobilenetv3_large_100": "MobileNet V3",
    "efficientnet_b0": "EfficientNet",
    "convnext_tiny": "ConvNeXt",
    "vit_small_patch16_224": "ViT",
    "deit_small_distilled_patch16_224": "DeiT",
    "mobilevit_s": "convolutions and a transformer",
}


@dataclass(frozen=True)
class Listed:
    """A name that `--model` takes, and what is known of it.

    `parameters` and `multiply_adds`, for an image of `size` pixels, are those of all but the classifier. `weights` says
    where some are at hand, `licence` is that of the weights that its library offers. `images_per_second` is how fast it
    was measured here, by the side of the images. `remark` says why something is not known.
    """

    name: str
    kind: str
    library: str = ""
    family: str = ""
    parameters: int | None = None
    multiply_adds: int | None = None
    size: int | None = None
    licence: str | None = None
    weights: tuple[str, ...] = ()
    images_per_second: dict[str, float] | None = None
    remark: str = ""


@dataclass(frozen=True)
class NetworkList:
    """What was found, `left_out` names less; `plain` says that names are all that was asked for."""

    found: tuple[Listed, ...]
    left_out: int = 0
    plain: bool = False

    def __str__(self) -> str:
        if self.plain:
            return "\n".join(one.name for one in self.found)
        return "\n".join([*_table(self.found), *self._advice()])

    def _advice(self) -> Iterator[str]:
        yield "Parameters and multiply-adds are those of all but the classifier, for one image of that size."
        if self.left_out:
            yield f"{counted(self.left_out, 'more name')} not shown: narrow the pattern, or use --names."

    def to_json(self) -> list[dict[str, Any]]:
        """What was found, as JSON types."""
        return [
            {"name": one.name} if self.plain else asdict(one) | {"weights": list(one.weights)} for one in self.found
        ]


def list_networks(pattern: str | None = None, *, names: bool = False, folder: Path | None = None) -> NetworkList:
    """What matches the pattern, see `linnaea.list_models`."""
    found = list(FAMILIES) if pattern is None and not names else matching(pattern)
    if names:
        return NetworkList(tuple(Listed(name, "") for name in found), plain=True)
    from linnaea.experiments.network_facts import facts_of, files_in, speeds

    files, measured = files_in(folder), speeds()
    told = [
        facts_of(Listed(name, kind_of(name), family=FAMILIES.get(name, "")), files, measured) for name in found[:MOST]
    ]
    return NetworkList(tuple(told), len(found) - len(told))


def matching(pattern: str | None) -> list[str]:
    """All names that hold the pattern, or match it where it has `*` or `?`; raises UsageError where none does."""
    known = list(
        dict.fromkeys([*rungs(), *trainable(), *(one for library in LIBRARIES for one in networks_of(library))])
    )
    if pattern is None:
        return known
    whole = any(sign in pattern for sign in "*?[")
    found = [name for name in known if (fnmatchcase(name, pattern) if whole else pattern in name)]
    if not found:
        raise UsageError(f"no network has a name like {pattern!r}.{suggest(pattern.strip('*?'), known)}")
    return found


def _table(found: Sequence[Listed]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [
        ("name", "parameters", "mult-adds", "size", "licence", "images/s", "weights at hand", "")
    ]
    rows += [_cells(one) for one in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = {1, 2, 3, 5}
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _cells(one: Listed) -> tuple[str, ...]:
    speeds = one.images_per_second or {}
    return (
        one.name,
        _short(one.parameters),
        _short(one.multiply_adds),
        "-" if one.size is None else str(one.size),
        one.licence or "-",
        ", ".join(f"{speed:.0f} at {side}" for side, speed in speeds.items()) or "-",
        ", ".join(one.weights) or "-",
        one.remark or one.family,
    )


def _short(number: int | None) -> str:
    """Such as 25.6 M."""
    if number is None:
        return "-"
    for unit, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= unit:
            return f"{number / unit:.3g} {letter}"
    return str(number)
