"""Export: into a folder that is whole and was checked, or absent."""

import importlib.util
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.classifier import Classifier
from linnaea.classifier.content import DESCRIPTION, content_of
from linnaea.decisions import Outputs
from linnaea.delivery.exporters.contract import EXPORTERS, Answer, Exporter, Order, UnfitError, require_precision
from linnaea.delivery.exporters.parity import (
    PARITY,
    Sample,
    compared,
    in_a_line,
    not_run_here,
    said,
    sample_of,
    without_groups,
)
from linnaea.delivery.exporters.placing import names_in, put_in_place, require_free, staged
from linnaea.delivery.exporters.precisions import INTEGERS, PLAIN, PRECISIONS
from linnaea.delivery.exporters.script import PREDICT, write_script
from linnaea.errors import CheckFailedError, MissingExtraError, RunError, UsageError
from linnaea.finding import Finding
from linnaea.runtime.containers import Located
from linnaea.runtime.files import read_json, write_json
from linnaea.runtime.neutral import neutral
from linnaea.runtime.progress import working
from linnaea.runtime.words import counted

logger = logging.getLogger("linnaea")
PASSED, FAILED, NOT_RUN = "passed", "failed", "not run here"


class ParityError(CheckFailedError):
    """An exported model answers otherwise than its classifier; `finding` says how."""

    def __init__(self, finding: Finding, folder: Path) -> None:
        super().__init__(f"{finding.summary} Nothing was left in {folder} but {PARITY}.")
        self.finding = finding


@dataclass(frozen=True)
class Exported:
    """An export that was written: its format and precision, the main file, the size of its folder in 10^6 bytes.

    `parity` is what its check found; where it could not be run on this machine, a warning that says so.
    """

    to: str
    precision: str
    file: Path
    megabytes: float
    parity: Finding

    @property
    def folder(self) -> Path:
        """The folder with all that is needed; where it answers, a classifier, as `linnaea.load` takes it."""
        return self.file.parent

    @property
    def ran(self) -> bool:
        """Whether it could be run on this machine."""
        return self.parity.figure is not None

    @property
    def next(self) -> str:
        """What comes next."""
        if self.file.suffix == ".html":
            return f"python -m http.server -d {self.folder}"
        script = self.folder / PREDICT
        return f"python {script} PHOTO.jpg" if script.exists() else f"look into {self.folder}"

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        told = {"format": self.to, "precision": self.precision, "file": str(self.file), "megabytes": self.megabytes}
        return {**told, "ran_here": self.ran, "parity": self.parity.to_json()}

    def __str__(self) -> str:
        return (
            f"{self.file} ({self.megabytes:.1f} MB with its folder)\n{neutral(self.parity.summary)}\n"
            f"{content_of(self.folder).address}"
        )


def require_export(classifier: Classifier, to: str, precision: str, folder: Path) -> None:
    """Raise what `export` would before it does any work: an unknown or unfit format, a precision, a missing package.

    A format that cannot have the classifier is an UnfitError, which names those that can.
    """
    exporter = EXPORTERS[to]
    require_precision(to, precision)
    unfit = exporter.unfit(classifier)
    if unfit:
        raise UnfitError(_with_offers(unfit, classifier, to))
    told = EXPORTERS.about(to).capabilities
    needs = told.get("needs", ())
    assert isinstance(needs, tuple), f"export format {to}: needs is a tuple of packages"
    _require_packages(needs, str(told.get("extra", "export")))
    if precision == INTEGERS and classifier.scorer.kind != "compiled":
        quantizer = told.get("quantizer", ())
        assert isinstance(quantizer, tuple), f"export format {to}: quantizer is a tuple of packages"
        _require_packages(quantizer, "compress")
    require_free(folder)


def _require_packages(libraries: Sequence[str], extra: str) -> None:
    """Raise MissingExtraError, which names the extra, where one of them is missing."""
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError(library, extra)


def export(
    classifier: Classifier, to: str, folder: Path, images: Sequence[Located], order: Order = Order()
) -> Exported:
    """Write the classifier for another runtime and compare both on real images, from file to answer.

    `to` is a name in `EXPORTERS`; `images` are files to compare on, of which up to 500 are used. The folder becomes a
    classifier again where the format has a scorer. It is filled under another name and put in place when it has passed;
    an earlier export in it is replaced. Raises ParityError where answers differ by more than the precision
    tolerates: then the folder holds nothing but `parity.json`, which says what differed. What cannot be run on this
    machine is not compared, which is warned of. A script is given no groups: where the policy has thresholds for them,
    that is warned of too. See `require_export` for what is refused before.
    """
    require_export(classifier, to, order.precision, folder)
    sample = sample_of(classifier, images)
    with staged(folder) as staging:
        file, parity = _made(classifier, to, staging, sample, order)
        if parity.severity == "error":
            _leave_failed(staging, folder)
            raise ParityError(parity, folder)
        size = sum(each.stat().st_size for each in staging.rglob("*") if each.is_file()) / 1e6
        put_in_place(staging, folder)
    if parity.severity == "warning":
        logger.warning(parity.summary if parity.figure is None else without_groups(classifier))
    return Exported(to, order.precision, folder / file.relative_to(staging), size, parity)


def compare_again(classifier: Classifier, folder: Path, images: Sequence[Located]) -> Finding:
    """What the comparison of an exported folder finds now, on up to 500 of these images."""
    to, precision = exported_in(folder)
    exporter = EXPORTERS[to]
    away = exporter.elsewhere()
    if away:
        return not_run_here(to, precision, away)
    answer = _opened(exporter, folder, read_json(folder / DESCRIPTION))
    return compared(to, PRECISIONS[precision], classifier, sample_of(classifier, images), answer)


def exported_in(folder: Path) -> tuple[str, str]:
    """The format and the precision of what an export left in a folder; raises RunError where it left nothing whole."""
    content = read_json(folder / PARITY)
    told = content if isinstance(content, dict) else {}
    if told.get("outcome") == FAILED:
        raise RunError(f"{folder} holds no exported model: its export failed, as {PARITY} in it says; export again.")
    if told.get("format") not in EXPORTERS or told.get("precision") not in PRECISIONS:
        raise RunError(f"{folder / PARITY} does not say of which format the export is: export again.")
    return told["format"], told["precision"]


def _made(classifier: Classifier, to: str, staging: Path, sample: Sample, order: Order) -> tuple[Path, Finding]:
    """The main file of an export and what its check found; all that belongs to it lies in the folder."""
    exporter = EXPORTERS[to]
    logger.info(f"Writing the {said(to, order.precision)}.")
    try:
        with working(f"Writing the {said(to, order.precision)}"):
            file = exporter.write(classifier, staging, order)
    except UnfitError as error:
        raise UnfitError(_with_offers(str(error), classifier, to)) from error
    again = _again(classifier, exporter, staging, order)
    if exporter.scorer is not None:
        write_script(staging, exporter.scorer.session)
    away = exporter.elsewhere()
    if away:
        parity = not_run_here(to, order.precision, away)
    else:
        answer = _opened(exporter, staging, _described(again))
        logger.info(f"Comparing its answers on {len(sample.images)} of {counted(sample.chosen_from, 'image')}.")
        with working(f"Comparing the {said(to, order.precision)}"):
            parity = compared(to, PRECISIONS[order.precision], classifier, sample, answer)
    _record(staging, to, order.precision, parity)
    if exporter.scorer is not None and parity.severity != "error":
        again.save(staging)  # the last thing: without it nothing loads
    return file, parity


def _opened(exporter: Exporter, folder: Path, description: Mapping[str, Any]) -> Answer:
    """What answers; where the runtime cannot open its own files, what says so of every image, which fails the check."""
    try:
        return exporter.open(folder, description)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  every runtime has errors of its own
        told = in_a_line(error)

        def refuse(image: Path | bytes) -> Outputs:
            raise RuntimeError(told)

        return refuse


def _again(classifier: Classifier, exporter: Exporter, folder: Path, order: Order) -> Classifier:
    """The classifier that the files are; itself where the format is none."""
    if exporter.scorer is None:
        return classifier
    scorer = exporter.scorer(folder, classifier.ood_score, order.precision)
    return classifier.with_(scorer=scorer, calibrator=None, familiarity=None)


def _described(classifier: Classifier) -> Mapping[str, Any]:
    """What its `classifier.json` will say, as it is read from there."""
    content: Mapping[str, Any] = json.loads(json.dumps(classifier.describe()))
    return content


def _record(folder: Path, to: str, precision: str, parity: Finding) -> None:
    outcome = FAILED if parity.severity == "error" else NOT_RUN if parity.figure is None else PASSED
    told = {"format": to, "precision": precision, "outcome": outcome, "runtime": _runtime(to)}
    files = sorted({*names_in(folder), DESCRIPTION})
    write_json(folder / PARITY, {**told, **parity.to_json(), "files": files})


def _runtime(to: str) -> str:
    return str(EXPORTERS.about(to).capabilities.get("runtime", to))


def _leave_failed(staging: Path, folder: Path) -> None:
    """Leave the record of a check that failed, and nothing else, in the folder."""
    for path in staging.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != PARITY:
            path.unlink()
    put_in_place(staging, folder)


def _with_offers(reason: str, classifier: Classifier, to: str) -> str:
    """The reason, and the formats that can have the classifier."""
    able = [name for name, other in EXPORTERS.items() if name != to and not other.unfit(classifier)]
    offered = f" Other formats that can have it: {', '.join(able)}." if able else ""
    return f"{to}: {reason}{offered}"


def require_formats(names: Sequence[str]) -> None:
    """Raise UsageError where a format is named twice, or none is."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice or not names:
        raise UsageError(f"to is {', '.join(names) or 'empty'}; expected formats, each once: {', '.join(EXPORTERS)}.")


def folder_for(base: Path, to: str, precision: str) -> Path:
    """Where a format goes in a folder for several."""
    return base / (to if precision == PLAIN else f"{to}-{precision}")
