"""What came since: from an audit log, or from a folder of images."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.classifier import Classifier
from linnaea.classifier.bundle import is_bundle
from linnaea.classifier.content import content_of
from linnaea.delivery.bill_of_materials import FILE as BILL
from linnaea.delivery.monitoring import Seen
from linnaea.delivery.monitoring.answers import joined_seen, seen_of
from linnaea.delivery.monitoring.cutting import set_back
from linnaea.delivery.serving.audit_log import read_log
from linnaea.errors import DataError
from linnaea.experiments.image_files import image_files
from linnaea.experiments.monitoring.looking import has_features, look_at, seen_in
from linnaea.finding import Finding
from linnaea.run import Run
from linnaea.runtime.words import counted

AT_ONCE = 10_000
IMAGES = "images"
EXPORTS = "export"
NAMED = 5
Given = str | Path | Sequence[str | Path]


@dataclass(frozen=True, eq=False)
class Since:
    """What came since, `named` in words, and what is wrong with it."""

    seen: Seen
    named: str
    findings: tuple[Finding, ...] = ()


def since_images(classifier: Classifier, images: Given) -> Since:
    """What the classifier sees in image files, in the order of their names in each folder."""
    paths = image_files(images)
    named = ", ".join(map(str, [images] if isinstance(images, str | Path) else images[:NAMED]))
    return Since(seen_in(classifier, paths, [str(path) for path in paths], {}), named)


def since_log(classifier: Classifier, folder: Path, run: Run | None, given: Path | None) -> Since:
    """What an audit log holds of this classifier, and of exports beside it; features where images were kept.

    Answers of other models are left out and counted. Raises DataError where there is none of this classifier, and
    where there are several models and nobody knows which of them this classifier is.
    """
    log, others, parts = read_log(folder), Counter[tuple[str, str]](), list[Seen]()
    ours = addresses(run, given)
    kept = {path.stem: path for path in (folder / IMAGES).glob("*")} if (folder / IMAGES).is_dir() else {}
    for chunk in _chunks(_of_these(log.records, ours, others)):
        images = [kept.get(str(record["sha256"])) for record in chunk]
        parts.append(seen_of(chunk, len(classifier.classes)).with_(images=images if kept else ()))
    findings = [*_faults(log.faults), *_other_models(others)]
    if not parts:
        raise DataError(
            f"{folder} holds no answer of this classifier"
            + (f", but {counted(sum(others.values()), 'answer')} of {_listed(others)}" if others else "")
            + ": give the run or the export that was served."
        )
    seen = joined_seen(parts)
    if not ours:
        findings.append(_unproven(folder, seen))
    if kept:
        seen = seen.with_(images=[path for part in parts for path in part.images])
        seen = _with_features(classifier, seen)
    back = set_back(seen)
    if back:
        findings.append(Finding("clock", back, "warning"))
    return Since(seen, str(folder), tuple(findings))


def addresses(run: Run | None, given: Path | None) -> set[str]:
    """The addresses of what answers as the classifier does: its bundle and the exports in the folder of the run.

    Each also as it was before a push wrote the bill of materials into it.
    """
    places = {given} if given is not None else set()
    if run is not None:
        places |= {run.model_folder, *(path.parent for path in (run.folder / EXPORTS).rglob("classifier.json"))}
    contents = [content_of(place) for place in places if is_bundle(place) and not Run.is_in(place)]
    before = [replace(one, files={name: sha for name, sha in one.files.items() if name != BILL}) for one in contents]
    return {one.address for one in (*contents, *before)}


def _of_these(
    records: Iterator[dict[str, Any]], ours: set[str], others: Counter[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    for record in records:
        if not ours or record["digest"] in ours:
            yield record
        else:
            others[str(record["model"]), str(record["version"])] += 1


def _chunks(records: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while chunk := list(islice(records, AT_ONCE)):
        yield chunk


def _with_features(classifier: Classifier, seen: Seen) -> Seen:
    """The same with features of the images that were kept, NaN for the others; without a network as it was."""
    rows = [row for row, path in enumerate(seen.images) if path is not None]
    if not rows or not has_features(classifier):
        return seen
    looked = look_at(classifier, [path for path in seen.images if path is not None])
    assert looked.features is not None, "it has features"
    features = np.full((len(seen), looked.features.shape[1]), np.nan, dtype=np.float32)
    features[rows] = looked.features
    return seen.with_(features=features)


def _faults(faults: Sequence[object]) -> list[Finding]:
    if not faults:
        return []
    told = "; ".join(map(str, faults[:NAMED]))
    return [Finding("audit_log", f"The log has {counted(len(faults), 'fault')}: {told}. The rest is used.", "warning")]


def _other_models(others: Mapping[tuple[str, str], int]) -> list[Finding]:
    if not others:
        return []
    told = f"{counted(sum(others.values()), 'answer')} of another model are left out: {_listed(others)}."
    rows = [{"model": model, "version": version, "answers": count} for (model, version), count in others.items()]
    return [Finding("other_models", told, "warning", sum(others.values()), rows=rows)]


def _unproven(folder: Path, seen: Seen) -> Finding:
    """That answers are taken on trust, of a classifier that was given without its folder."""
    models = Counter(zip(seen.slices["model"], seen.slices["version"], strict=True))
    if len(models) > 1:
        raise DataError(
            f"{folder} holds answers of {_listed(models)}, and a classifier in memory does not say which of them are "
            "its own: give the folder of the run or of the export that was served."
        )
    told = f"A classifier in memory does not say whether answers are its own: those of {_listed(models)} are taken."
    return Finding("unproven_model", told, "warning", len(seen))


def _listed(others: Mapping[tuple[str, str], int]) -> str:
    names = [f"{model} {version} ({count:,})" for (model, version), count in others.items()]
    return ", ".join(names[:NAMED]) + ", ..." * (len(names) > NAMED)
