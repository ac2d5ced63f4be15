"""The release gate: a run's evidence and quick trials judged by rules, and the record of it in the bundle."""

import json
import logging
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from linnaea.classifier import load
from linnaea.classifier.sign_off import write_sign_off
from linnaea.data.datasheet import FILE as DATASHEET
from linnaea.errors import DataError, UsageError
from linnaea.evidence.gate import Case, Verdict, judge_rules
from linnaea.evidence.gate.contract import FAIL, NOT_DONE, OUTCOMES, PASS, TOO_FEW
from linnaea.evidence.gate.parameters import checked
from linnaea.experiments.finished_run import placed
from linnaea.experiments.quick_trials import Trials
from linnaea.run import RECORDED_LIBRARIES, Run, now
from linnaea.runtime.boundary import parsing
from linnaea.runtime.files import read_json
from linnaea.runtime.neutral import neutral
from linnaea.runtime.text import read_text

logger = logging.getLogger("linnaea")
CHECKED = ("metrics.json", "manifest.csv", "predictions/test.parquet", "predictions/val.parquet", DATASHEET)
PARTS = ("arguments", "way")  # of run.json that verdicts rest on: the looks and where the images lie may change


@dataclass(frozen=True)
class Check:
    """The verdicts of all rules on a run, when that was, who signed it off, and the file that says so."""

    run: str
    verdicts: Sequence[Verdict]
    checked: str
    signed_off_by: str
    file: Path

    @property
    def counts(self) -> dict[str, int]:
        """How many rules have each outcome, the gravest first."""
        found = Counter(verdict.outcome for verdict in self.verdicts)
        return {outcome: found[outcome] for outcome in OUTCOMES if found[outcome]}

    def failed(self, *, strict: bool = False) -> list[Verdict]:
        """The verdicts that keep it from being used; if `strict`, also those that say that nothing was shown."""
        grave = (FAIL, TOO_FEW, NOT_DONE) if strict else (FAIL,)
        return [verdict for verdict in self.verdicts if verdict.outcome in grave]

    @property
    def open(self) -> list[Verdict]:
        """The verdicts that keep it from being signed off: neither passed nor waived."""
        return self.failed(strict=True)

    @property
    def why_unsigned(self) -> str:
        """What is open, and how to waive it."""
        named = ", ".join(f"{verdict.rule} ({verdict.outcome})" for verdict in self.open)
        return (
            f"It is not signed off: {named} would have to pass, or be waived with the reason. To waive one, write "
            f'[{self.open[0].rule}] and below it waived = "the reason" into check.toml (`linnaea check --write-rules '
            "check.toml` begins one), and check with --rules check.toml."
        )

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {
            "run": self.run,
            "checked": self.checked,
            "signed_off_by": self.signed_off_by or None,
            "counts": self.counts,
            "rules": [verdict.to_json() for verdict in self.verdicts],
        }

    def __str__(self) -> str:
        lines = []
        for verdict in self.verdicts:
            lines.append(f"{verdict.outcome:9} {verdict.rule}: {neutral(verdict.sentence)}")
            if verdict.mend and verdict.outcome != PASS:
                lines.append(f"{'':9} {neutral(verdict.mend)}")
        return "\n".join([*lines, "", ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items()) + "."])


def read_rules(given: str | Path | Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The parameters of rules by rule, from a TOML file or a dictionary; raises DataError or UsageError for others."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return checked(given, "rules")
    path = Path(given)
    if not path.is_file():
        raise DataError(f"{path} does not exist: `linnaea check --write-rules {path}` writes the usual rules.")
    text = read_text(path)
    with parsing(path, "TOML", "expected tables such as [recall_floor] with lines such as least = 0.8"):
        content = tomllib.loads(text)
    return checked(content, str(path))


def check_run(
    run: Run,
    rules: Mapping[str, Mapping[str, Any]],
    *,
    signed_off_by: str | None = None,
    strict: bool = False,
    device: str = "auto",
) -> Check:
    """Judge a run by the rules, and write `check.json` into its bundle; see `linnaea.check`."""
    if signed_off_by is not None and not signed_off_by.strip():
        raise UsageError("signed_off_by is empty: expected the name of the person who answers for it.")
    with run.locked():
        trials = Trials(run, placed(load(run.model_folder), None, device))
        verdicts = list(judge_rules(Case(run, trials), rules))
        found = Check(run.folder.resolve().name, verdicts, now(), "", run.model_folder / "check.json")
        if signed_off_by is not None and found.open:
            logger.warning(found.why_unsigned)
        elif signed_off_by is not None:
            found = Check(found.run, verdicts, found.checked, signed_off_by.strip(), found.file)
        _record(run, found, strict=strict)
    return found


def _record(run: Run, found: Check, *, strict: bool) -> None:
    names = [f"model/{path.name}" for path in sorted(run.model_folder.iterdir()) if path.name in _bundled(run)]
    files = {
        name: run.folder / name
        for name in [*names, *CHECKED, *_named(run, found.verdicts)]
        if (run.folder / name).is_file()
    }
    record = run.record()
    parts = {part: record.get(part) for part in PARTS}
    versions = {name: version(name) for name in RECORDED_LIBRARIES}
    content = {**found.to_json(), "strict": strict, "versions": versions}
    write_sign_off(run.model_folder, json.loads(json.dumps(content)), files, parts)


def _named(run: Run, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The files of the run that the evidence names, those of a folder one by one.

    Without `run.json`, of which only `PARTS` are held to, and without files of earlier runs, which need not lie where
    the run is moved to.
    """
    for file in sorted({fact.file for verdict in verdicts for fact in verdict.evidence} - {"run.json"}):
        place = run.folder / file
        inside = not Path(file).is_absolute() and ".." not in Path(file).parts
        if inside and place.is_dir():
            yield from (path.relative_to(run.folder).as_posix() for path in sorted(place.rglob("*")) if path.is_file())
        elif inside:
            yield file


def _bundled(run: Run) -> set[str]:
    """The names of the files that make the bundle."""
    return {"classifier.json", *read_json(run.model_folder / "classifier.json")["files"]}
