"""Where things come from: the data, the settings, and how the classifier decides, put in words."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linnaea.delivery.report.folder import Folder, Part, listing, mapping, rows_of
from linnaea.delivery.report.words import NOTHING, cell, decimal, number, percent, whole
from linnaea.runtime.cells import split_cell, unescape

SPLITS = ("train", "val", "test")
MOST_NAMES = 5


@dataclass
class Group:
    """Files that were left out for one reason: how many, and the first few names."""

    reason: str
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count one more file."""
        self.count += 1
        if len(self.first) < MOST_NAMES:
            self.first.append(name)


@dataclass(frozen=True)
class Manifest:
    """Counts of the used images by (label, split) and by split, and what was left out by reason, the commonest first.

    An image that shows several labels counts for each.
    """

    used: Counter[tuple[str, str]]
    images: Counter[str]
    left_out: Sequence[Group]


def read_manifest(path: Path, *, several: bool = False) -> Manifest:
    """Count a manifest row by row; what follows a colon in a reason tells single files apart.

    `several` says that a cell may hold several labels.
    """
    used: Counter[tuple[str, str]] = Counter()
    images: Counter[str] = Counter()
    groups: dict[str, Group] = {}
    for row in rows_of(path):
        if excluded := row.get("excluded"):
            reason, _, detail = excluded.partition(": ")
            name = row.get("path", "") + (f" ({detail})" if detail else "")
            groups.setdefault(reason, Group(reason)).add(name)
        else:
            cell, split = row.get("label", ""), row.get("split") or "no split"
            used.update((label, split) for label in (split_cell(cell) if several else [unescape(cell)]))
            images[split] += 1
    if not images and not groups:
        raise ValueError("it has no rows")
    return Manifest(used, images, sorted(groups.values(), key=lambda group: (-group.count, group.reason)))


def split_table(folder: Folder, manifest: Part, most: int) -> dict[str, Any]:
    """Images per split and, from the manifest, per class and split; at most `most` classes, the rarest first."""
    used: Counter[tuple[str, str]] = manifest.content.used if manifest.content else Counter()
    per_label, per_split = Counter[str](), manifest.content.images if manifest.content else Counter[str]()
    for (label, _), count in used.items():
        per_label[label] += count
    stated = mapping(folder.dataset.get("splits")) or dict(per_split)
    splits = [split for split in SPLITS if split in stated] + sorted(set(stated) - set(SPLITS))
    labels = sorted(per_label, key=lambda label: (per_label[label], label))
    totals = [number(stated[split]) or 0 for split in splits]
    listed, total = per_split.total(), sum(totals)
    differs = f"run.json counts {whole(total)} images, manifest.csv lists {whole(listed)}: one of them was changed."
    return {
        "splits": splits,
        "totals": totals,
        "total": total,
        "rows": [
            {"label": label, "total": per_label[label], "counts": [used[label, split] for split in splits]}
            for label in labels[:most]
        ],
        "classes": len(labels),
        "differs": differs if listed and total != listed else "",
    }


def policy_sentences(classifier: Mapping[str, Any]) -> Iterator[str]:
    """How the classifier comes to an answer, a sentence per step."""
    recipe, calibrator = mapping(classifier.get("recipe")), mapping(classifier.get("calibrator"))
    earlier = mapping(classifier.get("calibration"))  # of bundles of the format 1
    calibrator = calibrator or ({"kind": earlier.get("method"), "arguments": earlier} if earlier else {})
    policy = mapping(classifier.get("policy"))
    size, fit = recipe.get("size"), recipe.get("fit")
    yield "A file that cannot be decoded is answered “unreadable”, never guessed and never skipped."
    if size:
        yield f"Each image is resized to {cell(size)} pixels{f' (fit: {cell(fit)})' if fit else ''}, as in training."
    yield _calibration_sentence(calibrator)
    yield from filter(None, [threshold_sentence(classifier)])
    yield from _threshold_sentences(policy, several=classifier.get("task") == "multilabel")
    yield _set_sentence(policy, several=classifier.get("task") == "multilabel")


def _set_sentence(policy: Mapping[str, Any], *, several: bool) -> str:
    least, coverage = number(policy.get("set_threshold")), number(policy.get("coverage"))
    if least is None:
        return "No prediction set is made: the policy holds no conformal threshold."
    if several:
        return (
            f"Beside its answer it gives a prediction set, made so that of the labels that an image shows it misses at "
            f"most {percent(None if coverage is None else 1 - coverage)} on average over images like the validation "
            f"images (labels with a probability of {decimal(least)} or more)."
        )
    sets = policy.get("sets") or "lac"
    if sets != "lac":
        whom = "of the images of a class, on the mean over classes," if sets == "risk" else "of images"
        return (
            f"Beside its one answer it gives a prediction set by the method “{cell(sets)}”, made so that it holds the "
            f"truth for at least about {percent(coverage)} {whom} like the validation images."
        )
    return (
        "Beside its one answer it gives a prediction set, made so that it holds the truth for at least about "
        f"{percent(coverage)} of images like the validation images (classes with a probability of {decimal(least)} or "
        "more)."
    )


def _calibration_sentence(calibrator: Mapping[str, Any]) -> str:
    kind, temperature = calibrator.get("kind"), number(mapping(calibrator.get("arguments")).get("temperature"))
    if not kind or kind == "none":
        return "Its probabilities are not calibrated."
    if kind != "temperature" or temperature is None:
        return f"Its probabilities are calibrated by the method “{cell(kind)}”."
    effect = (
        "less confident"
        if temperature > 1
        else "more confident"
        if temperature < 1
        else "neither more nor less confident"
    )
    return f"Scores are divided by a temperature of {temperature:.3g}, which makes it {effect} than the raw model."


def threshold_sentence(classifier: Mapping[str, Any]) -> str:
    """What decides between two classes, or which labels are answered; empty where it is the likeliest class."""
    policy, classes = mapping(classifier.get("policy")), listing(classifier.get("classes"))
    thresholds = [value for value in map(number, listing(policy.get("thresholds"))) if value is not None]
    aim = f"chosen on the validation images for the aim “{cell(policy.get('aim'))}”"
    if classifier.get("task") == "binary" and thresholds and len(classes) == 2:
        yes, no = (f"“{cell(name)}”" for name in (classes[1], classes[0]))
        return f"{yes} is answered at a probability of {thresholds[0]:.4f} or more and {no} below, {aim}."
    if classifier.get("task") == "multilabel" and thresholds:
        low, high = (decimal(edge(thresholds)) for edge in (min, max))
        return f"A label is answered at or above its own threshold ({low} to {high}), {aim}."
    if classifier.get("task") == "hierarchical" and thresholds:
        expected = f"no more than {percent(policy.get('risk'))} of the answers are expected to be wrong"
        if thresholds[0] <= 0:
            return f"The answer is the likeliest class, never a group: on the validation images, {expected} even so."
        return (
            f"The answer is the deepest class or group with a probability of at least {decimal(thresholds[0])}, that "
            f"of a group being the sum over its classes; this was chosen on the validation images so that {expected}."
        )
    return ""


def _threshold_sentences(policy: Mapping[str, Any], *, several: bool) -> Iterator[str]:
    if number(policy.get("ood_threshold")) is not None:
        yield (
            f"An image whose unfamiliarity score exceeds {decimal(policy['ood_threshold'])} is answered “unfamiliar”; "
            f"the threshold was set to reject at most {percent(policy.get('unfamiliar_rate'))} of ordinary images."
        )
    else:
        yield "It never answers “unfamiliar”: the policy holds no threshold for it."
    if number(policy.get("risk")) is not None:
        if listing(policy.get("thresholds")) != [0.0]:
            yield "If not even a group at the top is as probable, the answer is “unsure” and names only the whole tree."
    elif number(policy.get("confidence_threshold")) is not None:
        which = "the decision on any label has a probability" if several else "the likeliest class has a probability"
        yield (
            f"If {which} under {percent(policy['confidence_threshold'])}, the answer is "
            f"“unsure”; the threshold was set to decline {percent(policy.get('unsure_rate'))} of ordinary images."
        )
    else:
        yield "It never answers “unsure”: the policy holds no confidence threshold."


def classes_of(folder: Folder, classifier: Mapping[str, Any]) -> list[str]:
    """The names of the classes in the order of the classifier, or else of run.json."""
    stated = listing(classifier.get("classes")) or listing(folder.dataset.get("classes"))
    return [str(name) for name in stated]


def facts(content: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested settings as pairs of a dotted name and its value."""
    pairs: list[tuple[str, str]] = []
    for key, value in content.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and value:
            pairs += facts(value, f"{name}.")
        else:
            pairs.append((name, cell(value)))
    return pairs


def seal_sentence(folder: Folder) -> str:
    """How often the sealed test split was opened."""
    opened = listing(folder.run.get("test_opened"))
    if not opened:
        return "The sealed test split has not been opened."
    times = "once" if len(opened) == 1 else f"{len(opened)} times"
    return f"The sealed test split was opened {times}."


def limits(folder: Folder, classifier: Mapping[str, Any], small: Sequence[str]) -> list[str]:
    """What the classifier cannot do, in honest general sentences joined with this run's facts."""
    classes = classes_of(folder, classifier)
    known = f"It knows {whole(len(classes))} classes" if classes else "It knows only the classes it was trained on"
    validation = number(mapping(folder.dataset.get("splits")).get("val"))
    chosen_on = f"{whole(validation)} validation images" if validation is not None else "the validation images"
    return [
        f"{known}. Images of anything else should come back “unfamiliar” or “unsure”; some will be given a wrong "
        "class.",
        "The figures hold for images like these: the same cameras, places and labelling practice. Measure again "
        "wherever those change.",
        f"Rung, temperature and thresholds were fitted on {chosen_on}: the fewer there are, the more is due to chance.",
        "A high confidence is a statement about many images, never a proof about one.",
        *small,
    ]


def provenance(folder: Folder) -> list[tuple[str, str]]:
    """The data's origin as pairs of a name and a value."""
    data = folder.dataset
    classes = listing(data.get("classes"))
    return [
        ("folder", cell(data.get("root"))),
        ("images used", whole(data.get("images"))),
        ("images left out", whole(data.get("excluded"))),
        ("classes", whole(len(classes)) if classes else NOTHING),
        ("task", cell(data.get("task"))),
        ("fingerprint", cell(data.get("fingerprint"))),
    ]
