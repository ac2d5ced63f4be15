"""What is compared: runs, bundles and files of predictions, or folders of several of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linnaea.classifier.bundle import is_bundle, read_files
from linnaea.classifier.signature import require_signed
from linnaea.errors import DataError, UsageError
from linnaea.experiments.paired_comparison import Side
from linnaea.predictions import Predictions
from linnaea.run import Run

if TYPE_CHECKING:
    from linnaea.classifier.keys import PublicKey

FOLDS = "folds.parquet"


@dataclass(frozen=True)
class Contender:
    """A classifier under one name: one side or, of a folder of runs, several by the names of their folders."""

    name: str
    sides: Mapping[str, Side]

    @property
    def runs(self) -> list[Run]:
        """The runs among its sides."""
        return [side.run for side in self.sides.values() if side.run is not None]

    def kept(self) -> dict[str, Predictions]:
        """The finished predictions of each side; raises UsageError where one has none."""
        found = {}
        for name, side in self.sides.items():
            predictions = side.kept
            if predictions is None:
                raise UsageError(
                    f"{side.given} is a bundle without predictions of its own: give labelled images with --data."
                )
            found[name] = predictions
        return found

    def folds(self) -> list[Predictions] | None:
        """What was said of each image when its fold was left out; None where a side was not cross-validated."""
        files = [run.folder / "predictions" / FOLDS for run in self.runs]
        whole = len(files) == len(self.sides) and all(file.is_file() for file in files)
        return [Predictions.read(file) for file in files] if whole else None

    def seeds(self) -> list[float] | None:
        """The figures on val of a single run that was trained with several seeds."""
        if len(self.runs) != 1 or len(self.sides) != 1:
            return None
        if not (self.runs[0].folder / "findings" / "seeds.json").is_file():
            return None
        rows = self.runs[0].findings("seeds")[0].rows
        values = [float(row["value"]) for row in rows if row["value"] is not None]
        return values if len(values) > 1 else None


def is_collection(given: str | Path) -> bool:
    """Whether a folder holds runs or files of predictions, and is none of them itself."""
    folder = Path(given)
    return folder.is_dir() and not Run.is_in(folder) and not is_bundle(folder) and bool(_members(folder))


def contenders_of(given: Sequence[str | Path]) -> list[Contender]:
    """What the paths name, each under the name of its folder or, where these are the same, under its path.

    Raises UsageError where one is named twice, RunError where a path is none of what can be compared.
    """
    paths = [Path(one) for one in given]
    where = [path.resolve() for path in paths]
    twice = next((path for place, path in enumerate(paths) if where[place] in where[:place]), None)
    if twice is not None:
        raise UsageError(f"{twice} is given twice: name different classifiers.")
    names = [path.stem if path.suffix == ".parquet" else path.name for path in where]
    names = [name if names.count(name) == 1 else str(path) for name, path in zip(names, paths, strict=True)]
    return [Contender(name, _sides(path)) for name, path in zip(names, paths, strict=True)]


def require_all_signed(given: Sequence[str | Path], trusted: "Sequence[PublicKey]") -> None:
    """Raise BundleError unless a trusted key has signed each classifier, UsageError for predictions, which none has."""
    for one in (side.given for contender in contenders_of(given) for side in contender.sides.values()):
        if one.suffix == ".parquet":
            raise UsageError(f"{one} holds predictions, which are not signed: leave --trust out, or give their run.")
        require_signed(read_files(one)[0], trusted)


def are_trainings(contenders: Sequence[Contender], kept: Sequence[Mapping[str, Predictions]]) -> bool:
    """Whether the members of folders are trainings for the same images, and not judged on different data sets.

    Raises DataError where they are the one in one folder and the other in another.
    """
    several = [list(found.values()) for found in kept if len(found) > 1]
    same = [all(set(one.column("id")) == set(first.column("id")) for one in rest) for first, *rest in several]
    if len(set(same)) > 1:
        raise DataError(
            "one folder holds runs on the same images, which are taken for trainings with different seeds, and another "
            "runs on different ones, which are taken for data sets: give folders of the same kind."
        )
    if same and not same[0] and len(several) < len(contenders):
        raise DataError(
            "a folder holds runs on several data sets, and something else is given beside it: give a folder of runs "
            "for each classifier, with the same names."
        )
    return not same or same[0]


def _sides(path: Path) -> dict[str, Side]:
    if not is_collection(path):
        return {path.name: Side.of(path)}
    return {member.stem if member.suffix == ".parquet" else member.name: Side.of(member) for member in _members(path)}


def _members(folder: Path) -> list[Path]:
    return [
        one
        for one in sorted(folder.iterdir())
        if (one.suffix == ".parquet" and one.is_file()) or (one.is_dir() and (Run.is_in(one) or is_bundle(one)))
    ]
