"""What a scoring was asked for, written down beside its parts: another one does not go on from them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnaea.classifier.content import DESCRIPTION
from linnaea.errors import DataError, RunError
from linnaea.experiments.scoring.listing import Listing
from linnaea.runtime.files import read_json, sha256_of, write_json

if TYPE_CHECKING:
    from linnaea.runtime.plan import Plan

FORMAT = "linnaea scoring 1"
JOB, IMAGES = "job.json", "images.parquet"
BATCH = 256  # images that are decoded together: the same in every part, so that the same numbers come out
MOST_ROWS, MOST_NUMBERS = 1024, 2**20  # of a part
LIBRARIES = ("linnaea", "numpy", "pillow", "torch")


@dataclass(frozen=True)
class Asked:
    """What decides the answers: which classifier (the SHA-256 of its description, which names all weights) and how."""

    classifier: str
    damaged: str
    max_pixels: int | None
    precision: str
    device: str
    versions: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path, **options: Any) -> "Asked":
        """Of the bundle in a folder."""
        from importlib.metadata import PackageNotFoundError, version

        found = {}
        for name in LIBRARIES:
            try:
                found[name] = version(name)
            except PackageNotFoundError:  # torch, which exported files do without
                continue
        return cls(sha256_of(folder / DESCRIPTION), versions=found, **options)

    def differences(self, then: Mapping[str, Any]) -> Iterator[str]:
        """In which respects it is not what it was, in words."""
        now, versions = asdict(self), dict(then.get("versions", {}))
        for name in ("classifier", "damaged", "max_pixels", "precision", "device"):
            if then.get(name) != now[name]:
                was, is_now = (_shown(name, value) for value in (then.get(name), now[name]))
                yield f"{name.replace('_', '-')} was {was} and is {is_now}"
        for name in sorted(versions.keys() | self.versions.keys()):
            if versions.get(name) != self.versions.get(name):
                yield f"{name} was {versions.get(name)} and is {self.versions.get(name)}"


@dataclass(frozen=True)
class Job:
    """A scoring that was begun in the folder of its parts.

    `classifier` is the folder of the bundle, `base` what relative names of images begin in, `rows` the images of each
    part but the last, `plan` how the network runs, as JSON (None: in float32).
    """

    folder: Path
    classifier: Path
    base: Path
    asked: Asked
    images: int
    rows: int
    plan: Mapping[str, Any] | None = None

    @property
    def parts(self) -> int:
        """How many there are."""
        return -(-self.images // self.rows)

    def span(self, number: int) -> tuple[int, int]:
        """The first image of a part, and the one after its last."""
        return number * self.rows, min(self.images, (number + 1) * self.rows)

    @property
    def execution(self) -> "Plan | str":
        """As `Classifier.predict` takes it."""
        if self.plan is None:
            return "float32"
        from linnaea.runtime.plan import Plan

        return Plan.from_json(self.plan)

    def record(self) -> None:
        """Write it down, after the listing: without this file nothing was begun."""
        content = {"format": FORMAT, "asked": asdict(self.asked), "images": self.images, "rows": self.rows}
        write_json(self.folder / JOB, {**content, "plan": self.plan, "classifier": str(self.classifier)})


def rows_of_part(classes: int) -> int:
    """Images of a part: a whole number of batches, fewer where each image has very many scores."""
    return max(BATCH, min(MOST_ROWS, MOST_NUMBERS // max(1, classes) // BATCH * BATCH))


def is_begun(folder: Path) -> bool:
    """Whether a scoring was begun there."""
    return (folder / JOB).is_file()


def resumed(folder: Path, asked: Asked, classifier: Path, base: Path, listing: Listing) -> Job:
    """The scoring that was begun in a folder; raises DataError, with the difference, where it was another one."""
    told = read_json(folder / JOB)
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise RunError(f"{folder / JOB} is not the record of a scoring: remove the folder {folder} to begin anew.")
    differing = list(asked.differences(told["asked"]))
    images = Listing.read(folder / IMAGES).difference(listing)
    if images:
        differing.append(images)
    if differing:
        raise DataError(
            f"{folder} holds parts of another scoring: {'; '.join(differing)}. Ask for the same again to go on from "
            "them, choose another --out, or remove that folder to begin anew."
        )
    return Job(folder, classifier, base, asked, len(listing), int(told["rows"]), told["plan"])


def _shown(name: str, value: Any) -> str:
    if name == "classifier" and isinstance(value, str):
        return f"that of {DESCRIPTION} {value[:12]}"
    return "the usual one" if value is None else str(value)
