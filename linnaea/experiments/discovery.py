"""What a classifier calls unfamiliar, grouped into proposals for new classes."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.classifier import Classifier, load
from linnaea.data.images.opening import UnreadableError
from linnaea.data.images.pixels import decode_files, read_content
from linnaea.data.writers.names import Names, safe
from linnaea.delivery.sheet import Strip, write_sheet
from linnaea.errors import DataError, UsageError
from linnaea.evidence.openset.grouping import Grouping, group_strangers
from linnaea.experiments.embedded_files import Embedded, embed_files
from linnaea.finding import Finding
from linnaea.models.familiarity import Known
from linnaea.models.feature_cache import embed_once
from linnaea.predictions import Predictions, label_text
from linnaea.run import Run
from linnaea.runtime.containers import MARK, Located
from linnaea.runtime.files import whole_folder

logger = logging.getLogger("linnaea")
NAME = "discovered"
MOST_GROUPED, MOST_KNOWN = 4_000, 2_000
SHOWN = 8


@dataclass(frozen=True)
class Discovery:
    """The folder with a folder of copies per group, the contact sheet of the groups, and the finding."""

    folder: Path
    sheet: Path
    finding: Finding


@dataclass(frozen=True, eq=False)
class Unfamiliar:
    """The unfamiliar images: where they are, what the model makes of them, and what was answered."""

    paths: list[Located]
    embedded: Embedded
    answers: Predictions
    asked: int


def unfamiliar_images(run: Run, classifier: Classifier, paths: Sequence[Located]) -> Unfamiliar:
    """The unfamiliar ones of these images, at most 4,000, the strangest; raises DataError where there are none."""
    embedded = embed_files(classifier, paths)
    foreign = embedded.not_of(run)
    unreadable = sum(reason is not None for reason in embedded.failed)
    if unreadable:
        logger.warning(f"{unreadable} of {len(paths)} images are unreadable and left out.")
    if len(foreign) < len(paths):
        logger.warning(f"{len(paths) - len(foreign)} of {len(paths)} images are the run's own and are left out.")
    answers = embedded.answers(classifier, [str(path) for path in paths], [None] * len(paths))
    reasons = answers.column("reason")
    unfamiliar = [row for row in foreign if reasons[row] == "unfamiliar"]
    found = list({embedded.sha256[row]: row for row in reversed(unfamiliar)}.values())  # copies once, the first
    if not found:
        raise DataError(
            f"none of {len(paths)} images is unfamiliar to {run.folder} apart from its own: there is nothing to "
            "discover in them. Images that you can name yourself may be given to `linnaea grow` at once, in a folder "
            "per class."
        )
    if len(found) > MOST_GROUPED:
        logger.warning(f"{len(found)} images are unfamiliar: only the {MOST_GROUPED} strangest are grouped.")
    scores = answers.column("ood_score")
    rows = sorted(sorted(found, key=lambda row: -scores[row])[:MOST_GROUPED])
    table = answers.table.take(rows)
    return Unfamiliar([paths[row] for row in rows], embedded.take(rows), answers.with_table(table), len(paths))


def grouped(run: Run, classifier: Classifier, features: npt.NDArray[np.float32], smallest: int) -> Grouping:
    """Grouped by what differs between the run's classes more than within them."""
    part = run.dataset().split("train")
    rows = np.sort(np.random.default_rng(0).permutation(len(part))[:MOST_KNOWN])
    part = part.take(rows.tolist())
    decoded = decode_files(part.paths, classifier.recipe)
    lost = decoded.excluded(part.ids)
    if lost:
        raise DataError(
            f"{len(lost)} of the run's own images can no longer be read (first {lost[0].path}): put them back."
        )
    known = Known.of(classifier.model, embed_once(classifier.model, decoded.images), part.targets)
    return group_strangers(known, features, smallest=smallest)


def copied(unfamiliar: Unfamiliar, grouping: Grouping, folder: Path) -> list[dict[str, Any]]:
    """Copy the images of each group into a folder of its own; a row per group for the finding."""
    rows, labels = [], list(map(label_text, unfamiliar.answers.column("label")))
    for group in range(int(grouping.groups.max()) + 1):
        members = _members(grouping, group)
        names, below = Names(), folder / f"new-{group + 1}"
        below.mkdir()
        for member in members:
            path = unfamiliar.paths[member]
            name = PurePosixPath(str(path).rpartition(MARK)[2] or str(path))
            try:
                content = read_content(path)
            except UnreadableError as error:
                raise DataError(f"{path} could be read a moment ago, but not now: {error}.") from None
            (below / names.give("", safe(name.stem), name.suffix)).write_bytes(content)
        answered = [labels[member] for member in members]
        nearest = max(sorted(set(answered)), key=answered.count)
        rows.append(
            {
                "group": below.name,
                "images": len(members),
                "alike": round(float(grouping.typical[members].mean()), 3),
                "mostly answered": f"{nearest} ({answered.count(nearest)} of {len(members)})",
                "example": str(unfamiliar.paths[members[0]]),
            }
        )
    return rows


def _members(grouping: Grouping, group: int) -> list[int]:
    """The images of a group, the most typical first."""
    members = np.flatnonzero(grouping.groups == group)
    order: list[int] = members[np.argsort(-grouping.typical[members], kind="stable")].tolist()
    return order


def contact_sheet(classifier: Classifier, unfamiliar: Unfamiliar, grouping: Grouping, place: Path) -> Path:
    """Write the sheet with the most typical images of each group."""
    strips = []
    for group in range(int(grouping.groups.max()) + 1):
        members = _members(grouping, group)
        images = decode_files([unfamiliar.paths[member] for member in members[:SHOWN]], classifier.recipe).images
        strips.append(Strip(f"new-{group + 1} ({len(members)})", np.asarray(images)))
    title = f"{len(strips)} groups of unfamiliar images, the most typical of each first"
    return write_sheet(place, title, [], strips)


def discovery_finding(unfamiliar: Unfamiliar, grouping: Grouping, rows: list[dict[str, Any]], place: Path) -> Finding:
    """How many images are unfamiliar, and what speaks for their groups."""
    grouped = int((grouping.groups >= 0).sum())
    return Finding(
        NAME,
        f"{len(unfamiliar.paths)} of {unfamiliar.asked} images are unfamiliar; {grouped} of them form {len(rows)} "
        f"groups, copied to {place}; {len(unfamiliar.paths) - grouped} stay alone. {_how_apart(grouping)}",
        count=len(unfamiliar.paths),
        rows=rows,
    )


def _how_apart(grouping: Grouping) -> str:
    """What speaks for the groups, in one sentence."""
    if not grouping.silhouette:
        return "They form one group: no division of them is clearer than dividing a known class would be."
    return (
        f"The silhouette of the groups is {grouping.silhouette:.2f}; dividing a known class into as many groups gives "
        f"{grouping.within:.2f} at most. Groups are proposals: look at them before you name them."
    )


def discover_classes(opened: Run, images: Sequence[Located], place: Path, smallest: int) -> Discovery:
    """Group what the run's classifier calls unfamiliar, and copy each group to `place`; see `linnaea.discover`."""
    opened.require_finished()
    classifier = load(opened.model_folder)
    if classifier.ood_score is None or classifier.policy.ood_threshold is None:
        raise UsageError(
            f"nothing is unfamiliar to {opened.folder}: it has no familiarity score. Train it with --ood auto and "
            "another model."
        )
    with opened.locked(), whole_folder(place) as folder:
        strangers = unfamiliar_images(opened, classifier, images)
        grouping = grouped(opened, classifier, strangers.embedded.features, smallest)
        if not (grouping.groups >= 0).any():
            raise DataError(
                f"{len(strangers.paths)} of {strangers.asked} images count as unfamiliar, and no group of them has "
                f"{smallest}: give more images. Images that you can name yourself may be given to `linnaea grow` at "
                "once, in a folder per class."
            )
        rows = copied(strangers, grouping, folder)
    sheet = contact_sheet(classifier, strangers, grouping, place.with_name(f"{place.name}.png"))
    finding = discovery_finding(strangers, grouping, rows, place)
    opened.write_findings(NAME, [finding])
    return Discovery(place, sheet, finding)
