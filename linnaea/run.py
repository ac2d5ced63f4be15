"""A run is a folder: the frozen arguments, what happened, the classifier and the evidence."""

import csv
import logging
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from linnaea.dataset import LISTS, MANIFEST, Dataset, Excluded
from linnaea.errors import DataError, RunError
from linnaea.finding import Finding
from linnaea.predictions import Predictions
from linnaea.runtime.cells import as_csv, records_in, rows_in, split_cell, unescape
from linnaea.runtime.checksums import has_checksum
from linnaea.runtime.files import read_json, write_json, write_text
from linnaea.runtime.locks import LOCK, held, holder_of
from linnaea.runtime.text import decoded
from linnaea.task import TASKS

RECORDED_LIBRARIES = ("linnaea", "torch", "torchvision", "timm", "numpy", "pillow", "scikit-learn")
logger = logging.getLogger("linnaea")
TRAINS = tuple(
    f"{program} {verb} " for program in ("linnaea", "python -m linnaea") for verb in ("train", "tune", "retrain")
)
NO_FACTS = ("path", "label", "split", "sha256", *LISTS)  # of a file that was left out
WITHOUT_RESUME = {  # the verb, and what it does, by an argument that only its runs have
    "grown_from": ("grow", "Growing"),
    "members": ("ensemble", "Combining runs"),
    "compressed_from": ("compress", "Compressing"),
}
RECORD = {"status": str, "arguments": dict, "started": str, "timings": dict, "notes": list, "test_opened": list}
NO_TEST = "There is no test split: the figures are on val, which also chose the model, and are too optimistic."


@dataclass(frozen=True)
class Run:
    """A run folder; every method reads or writes one of its files, atomically."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, arguments: Mapping[str, Any], command: str) -> "Run":
        """Start a run in an empty or absent folder; raises RunError where there is one already."""
        if not is_vacant(folder):
            goes_on = "" if _without_resume(arguments) else ", or continue it with --resume"
            raise RunError(f"{folder} already exists: choose another --out{goes_on}.")
        run = cls(folder)
        content = {
            "linnaea": version("linnaea"),
            "status": "running",
            "command": command,
            "arguments": dict(arguments),
            "versions": {name: version(name) for name in RECORDED_LIBRARIES} | {"python": platform.python_version()},
            "machine": {"system": platform.platform(), "processor": platform.machine()},
            "started": now(),
            "timings": {},
            "notes": [],
            "test_opened": [],
        }
        write_json(run.record_file, content)
        return run

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """Open a run that exists; raises RunError when the folder holds none."""
        run = cls(Path(folder))
        if not run.folder.is_dir():
            raise RunError.missing(folder)
        run.record()
        return run

    @property
    def record_file(self) -> Path:
        """`run.json`."""
        return self.folder / "run.json"

    @staticmethod
    def is_in(folder: str | Path) -> bool:
        """Whether a folder is that of a run."""
        return (Path(folder) / "run.json").is_file()

    @property
    def judged_on(self) -> str:
        """The split that its figures are of: `test`, or `val` where there is no test split."""
        return "test" if (self.folder / "predictions" / "test.parquet").exists() else "val"

    @property
    def model_folder(self) -> Path:
        """The bundle of the finished classifier."""
        return self.folder / "model"

    def record(self) -> dict[str, Any]:
        """The content of `run.json`; raises RunError where it is not what a run has written."""
        content = read_json(self.record_file)
        if not isinstance(content, dict) or "status" not in content:
            raise RunError(f"{self.record_file} is not the record of a run: the folder belongs to something else.")
        strange = [name for name, kind in RECORD.items() if not isinstance(content.get(name), kind)]
        if strange:
            raise RunError(
                f"{self.record_file} was changed: {', '.join(strange)} should be there and "
                f"{'are' if len(strange) > 1 else 'is'} not what a run writes. Take the original file."
            )
        return content

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing into the run meanwhile; raises RunError where one is at work in it."""
        with held(self.folder):
            yield

    @property
    def in_use(self) -> bool:
        """Whether a process, this one or another, is at work in the run."""
        return holder_of(self.folder) is not None

    def update(self, **changes: Any) -> None:
        """Replace entries of `run.json`."""
        write_json(self.record_file, self.record() | changes)

    def note(self, *sentences: str) -> None:
        """Append sentences to the notes, each once."""
        known = self.record()["notes"]
        self.update(notes=[*known, *(sentence for sentence in dict.fromkeys(sentences) if sentence not in known)])

    def timed(self, stage: str, seconds: float) -> None:
        """Record how long a stage took."""
        self.update(timings=self.record()["timings"] | {stage: round(seconds, 2)})

    def count_test(self, by: str, **more: Any) -> None:
        """Record that the sealed test split was opened, with what `more` is known of the look, of JSON types."""
        self.update(test_opened=[*self.record()["test_opened"], {"when": now(), "by": by, **more}])

    @property
    def made_by(self) -> str:
        """The verb that makes such a run: train, or another that has an argument of its own."""
        arguments = self.record()["arguments"]
        return next((verb for name, (verb, _) in WITHOUT_RESUME.items() if name in arguments), "train")

    def require_finished(self) -> None:
        """Raise RunError, saying how to go on, unless the run has come to its end."""
        status = self.record()["status"]
        if status == "finished":
            return
        holder = holder_of(self.folder)
        if holder is not None:
            raise RunError(f"{self.folder} is not finished: {holder} is working in it. Wait until it has finished.")
        came_to = {"running": "was killed", "interrupted": "was stopped"}.get(status, status)
        raise RunError(f"the run {self.folder} {came_to} before it was finished. {self.how_to_go_on()}")

    def how_to_go_on(self) -> str:
        """The command that continues a run that was stopped, in a sentence."""
        record = self.record()
        command = str(record.get("command", "")).removesuffix(" --resume")
        never = _without_resume(record["arguments"])
        if never:
            return f"{never} cannot be continued: remove the folder and start again."
        if not command.startswith(TRAINS):
            return "Continue it with linnaea.train, the same arguments and resume=True."
        return f"Continue it with: {command} --resume"

    def write_findings(self, name: str, findings: list[Finding]) -> Path:
        """Write `findings/<name>.json`."""
        return write_json(self.folder / "findings" / f"{name}.json", [finding.to_json() for finding in findings])

    def add_findings(self, name: str, findings: list[Finding]) -> Path:
        """Write them beside those that are there, in place of any of the same name."""
        named = {finding.name for finding in findings}
        known = [finding for finding in self.findings(name) if finding.name not in named]
        return self.write_findings(name, [*known, *findings])

    def findings(self, name: str) -> list[Finding]:
        """Read `findings/<name>.json`; none when it is not there yet."""
        path = self.folder / "findings" / f"{name}.json"
        return [Finding.from_json(each) for each in read_json(path)] if path.is_file() else []

    def write_dataset(self, dataset: Dataset) -> None:
        """Write `manifest.csv`, and what identifies the data into `run.json`."""
        write_text(self.folder / "manifest.csv", dataset.manifest(dataset.metadata))
        splits = dataset.column("split")
        self.update(
            dataset={
                "root": str(dataset.root.resolve()),
                "fingerprint": dataset.fingerprint,
                "images": len(dataset),
                "classes": list(dataset.classes),
                "task": dataset.task,
                "splits": {name: splits.count(name) for name in dict.fromkeys(splits)},
                "excluded": len(dataset.excluded),
                "taxonomy": dict(dataset.taxonomy),
            }
        )

    def dataset(self) -> Dataset:
        """The dataset as the manifest has it."""
        facts = self.record().get("dataset")
        manifest = self.folder / "manifest.csv"
        if facts is None or not manifest.exists():
            raise RunError(f"{self.folder} has no manifest: the run stopped before its data was read.")
        rows, several = self._manifest_rows(manifest), TASKS[facts["task"]].multilabel
        used = [row for row in rows if not row["excluded"]]
        written = [name for name in (rows[0] if rows else ()) if name != "excluded"]
        names = [name for name in written if any(row[name] for row in used)]
        table = pa.table({name: _column(name, [row[name] for row in used], several) for name in names})
        left = tuple(
            Excluded(
                row["path"],
                row["excluded"],
                (row["label"] if several else unescape(row["label"])) or None,
                row["split"] or None,
                tuple((name, row[name]) for name in written if name not in NO_FACTS and row[name]),
            )
            for row in rows
            if row["excluded"]
        )
        groups = facts.get("taxonomy", {})
        return Dataset(table, tuple(facts["classes"]), facts["task"], Path(facts["root"]), left, groups)

    def _manifest_rows(self, manifest: Path) -> list[dict[str, str]]:
        try:
            text = decoded(manifest.read_bytes(), str(manifest))
            names, rows = next(rows_in(text), []), list(records_in(text))
        except (csv.Error, DataError) as error:
            raise RunError(f"{manifest} cannot be read ({error}): it was changed; start a new run.") from None
        if names[: len(MANIFEST)] != [*MANIFEST] or names[-1] != "excluded" or len(set(names)) < len(names):
            raise RunError(
                f"{manifest} does not have the columns {','.join(MANIFEST)}, further ones, and excluded: it was "
                "changed; start a new run."
            )
        return rows

    def predictions(self, name: str) -> Predictions:
        """Read `predictions/<name>.parquet`; raises RunError where it is absent or has changed since it was written."""
        file = self.folder / "predictions" / f"{name}.parquet"
        found = Predictions.read(file)
        if not has_checksum(file):
            logger.warning(f"{file} has no recorded SHA-256, as in runs of earlier versions: it is used unchecked.")
        return found

    def write_rows(self, name: str, rows: list[dict[str, Any]]) -> Path:
        """Write a CSV file with all keys of the rows as header; what a row lacks stays empty."""
        names = list(dict.fromkeys(key for row in rows for key in row))
        cells = [names, *([_cell(row.get(key)) for key in names] for row in rows)] if rows else []
        return write_text(self.folder / name, as_csv(cells))

    def read_rows(self, name: str) -> list[dict[str, str]]:
        """Read a CSV file of the run; no rows when it is not there yet."""
        path = self.folder / name
        if not path.exists():
            return []
        return list(records_in(decoded(path.read_bytes(), str(path))))


def _without_resume(arguments: Mapping[str, Any]) -> str:
    """What makes runs of such arguments, where it cannot be continued; "" where it can."""
    return next((said for name, (_, said) in WITHOUT_RESUME.items() if name in arguments), "")


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def command_line() -> str:
    """The command that started this process, for the record."""
    import shlex

    name = Path(sys.argv[0]).name
    return shlex.join([*(["python", "-m", "linnaea"] if name == "__main__.py" else [name]), *sys.argv[1:]])


def is_vacant(folder: Path) -> bool:
    """Whether a run may begin in the folder: it is not there, or nothing is in it but a lock."""
    if not folder.exists():
        return True
    return folder.is_dir() and all(path.name == LOCK for path in folder.iterdir())


def _column(name: str, cells: list[str], several: bool) -> pa.Array:
    """What the cells of a manifest say."""
    if several and name in ("label", *LISTS):
        return pa.array([split_cell(cell) if cell else None for cell in cells], pa.list_(pa.string()))
    return pa.array([unescape(cell) if name == "label" else cell or None for cell in cells], pa.string())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
