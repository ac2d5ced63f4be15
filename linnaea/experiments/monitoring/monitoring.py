"""A classifier watched offline: what came since against what it was judged on, as findings, a file and a page."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from linnaea.classifier import Classifier
from linnaea.delivery.monitoring import ALARM, MONITORS, Watched
from linnaea.delivery.monitoring.alerts import channels_of
from linnaea.delivery.monitoring.cutting import cut_into_windows, parse_window
from linnaea.delivery.monitoring.drift.testing import require_rate
from linnaea.delivery.monitoring.late_labels import joined, read_late_labels
from linnaea.delivery.report.monitoring import render_monitoring
from linnaea.errors import DataError, UsageError
from linnaea.experiments.finished_run import finished_classifier, placed
from linnaea.experiments.monitoring.alarms import tell_alarms
from linnaea.experiments.monitoring.reference import Reference, reference_of, require_reference
from linnaea.experiments.monitoring.served import Given, Since, addresses, since_images, since_log
from linnaea.experiments.surrounding_run import surrounding_run
from linnaea.finding import Finding
from linnaea.run import Run, now
from linnaea.runtime.arguments import require_share
from linnaea.runtime.files import write_json, write_text

ALERTED = "alerts.json"  # what was told, and what waits
FILE, PAGE = "monitoring.json", "monitoring.html"


@dataclass(frozen=True)
class Asked:
    """How to look: what windows are, the accepted rate of false alarms, the seed, where to compute, where to write.

    `labels` is a table, or a folder of reviewed images, that came after the answers of a log; `alert` names who is told
    of alarms.
    """

    window: str = "500"
    rate: float = 0.01
    seed: int = 0
    device: str = "auto"
    max_pixels: int | None = None
    out: Path | None = None
    labels: Path | None = None
    alert: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Monitored:
    """What the monitors found, by the name of each; `facts` say of what. `page` and `file` are where it is written."""

    found: dict[str, Sequence[Finding]]
    facts: dict[str, Any]
    page: Path = field(default_factory=Path)
    file: Path = field(default_factory=Path)

    @property
    def findings(self) -> list[Finding]:
        """All of them, in order."""
        return [finding for each in self.found.values() for finding in each]

    @property
    def alarms(self) -> list[Finding]:
        """Those that are alarms."""
        return [finding for finding in self.findings if finding.severity == ALARM]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        found = {name: [finding.to_json() for finding in each] for name, each in self.found.items()}
        return {**self.facts, "alarm": bool(self.alarms), "monitors": found}


def monitor_classifier(
    given: Classifier | Run | str | Path,
    log: str | Path | None,
    images: Given | None,
    reference: str | Path,
    how: Asked,
) -> Monitored:
    """Look at a log, or at images, in windows, and write what is found; see `linnaea.monitor`."""
    _require(log, images, how)
    labels, channels = None if how.labels is None else read_late_labels(how.labels), channels_of(how.alert)
    classifier = placed(finished_classifier(given), how.max_pixels, how.device)
    place, run = _run_of(given, classifier)
    predictions = require_reference(reference, classifier, run, place or "this classifier")
    since = _since(classifier, log, images, run, place)
    if labels is not None:
        seen, notes = joined(since.seen, labels)
        since = replace(since, seen=seen, findings=(*since.findings, *notes))
    decode = bool(since.seen.looks) or since.seen.features is not None
    judged_on = reference_of(reference, predictions, classifier, run, decode=decode, seed=how.seed)
    watched = Watched(
        classifier.classes,
        classifier.task,
        classifier.policy,
        judged_on.seen,
        cut_into_windows(since.seen, how.window),
        rate=how.rate,
        seed=how.seed,
    )
    found: dict[str, Sequence[Finding]] = {"log": since.findings} if since.findings else {}
    found |= {name: monitor(watched) for name, monitor in MONITORS.items()}
    name = run.folder.resolve().name if run else str(place or "classifier")
    of = {"name": name, "classifiers": sorted(addresses(run, place)), "provenance": classifier.provenance}
    facts = of | _facts(watched, since, judged_on, how)
    out = how.out or (run.folder if run is not None else Path()) / "monitoring"
    made = _written(Monitored(found, facts), out)
    told = tell_alarms(made.findings, channels, out / ALERTED, facts["name"])
    return replace(made, facts=made.facts | {"notes": [*made.facts["notes"], *told]})


def _require(log: str | Path | None, images: Given | None, how: Asked) -> None:
    """Raise UsageError, before anything is loaded, for what cannot be looked at."""
    if (log is None) == (images is None or images == []):
        both = "both are given" if log is not None else "neither is given"
        raise UsageError(f"monitor looks at --log LOG or at --images FOLDER, and {both}: give one of them.")
    if how.labels is not None and log is None:
        raise UsageError("labels are of requests in a log: give --log LOG with --labels, or leave them out.")
    parse_window(how.window)
    require_share("rate", how.rate, 0.01)
    require_rate(how.rate)


def _run_of(given: Classifier | Run | str | Path, classifier: Classifier) -> tuple[Path | None, Run | None]:
    """The folder that was given, and the run that it is, or that lies around it."""
    if isinstance(given, Run):
        return given.folder, given
    if isinstance(given, Classifier):
        return None, None
    place = Path(given)
    return place, Run.open(place) if Run.is_in(place) else surrounding_run(place, classifier)


def _since(
    classifier: Classifier, log: str | Path | None, images: Given | None, run: Run | None, place: Path | None
) -> Since:
    if log is not None:
        return since_log(classifier, Path(log), run, place)
    assert images is not None, "one of both is given"
    since = since_images(classifier, images)
    if not since.seen.readable.any():
        raise DataError(f"none of the {len(since.seen)} images of {since.named} can be read: give others.")
    return since


def _facts(watched: Watched, since: Since, reference: Reference, how: Asked) -> dict[str, Any]:
    return {
        "made": now(),
        "since": since.named,
        "images": len(since.seen),
        "windows": len(watched.windows),
        "window": str(how.window),
        "reference": reference.named,
        "reference_images": len(reference.seen),
        "rate": how.rate,
        "seed": how.seed,
        "classes": list(watched.classes),
        "notes": list(reference.notes),
    }


def _written(made: Monitored, out: Path) -> Monitored:
    out.mkdir(parents=True, exist_ok=True)
    content = made.to_json()
    file = write_json(out / FILE, content)
    page = write_text(out / PAGE, render_monitoring(content))
    return Monitored(made.found, made.facts, page, file)
