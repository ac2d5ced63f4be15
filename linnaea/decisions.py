"""From probabilities to answers, by a policy: numpy alone, so that every export carries this very file.

Whatever answers, here, in an exported script or behind a server, decides by these lines.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from linnaea.arrays import Flags, Floats, Integers

ROOT = "anything"
UNDEFINED = "undefined"  # the reason where what the model said is not a number


@dataclass(frozen=True)
class Policy:
    """When to answer, and with what.

    `sets` names the rule, of `SETS`, by which a label belongs to the prediction set; by the usual one, lac, when its
    probability reaches `set_threshold`. By others each class has its own of `set_thresholds`, or classes belong while
    those that are likelier hold little enough probability, to which each class beyond the first `set_free` ones adds
    `set_penalty`. Where an image has one label, the answer always belongs. The set then holds the truth in about
    `coverage` of images like those it was fitted on, or more (split conformal prediction; the guarantee would be exact
    had these images not also chosen the model).

    `thresholds` decide: of several labels each is answered whose probability reaches its own, of two classes the second
    where its probability reaches the one number given; empty, the most probable class is the answer, or every label of
    at least one half. `aim` says what they were chosen for.

    Where classes lie below groups, `parents` are the pairs of child and parent, and the one threshold is what a class
    or a group must reach to be the answer, such that at most the share `risk` of answers is expected to be wrong.

    Where the value of `group_by` is known of an image and stands in `group_thresholds`, the threshold of that
    group decides between two classes in place of the common one.

    An answer is `unsure` below `confidence_threshold` and `unfamiliar` above `ood_threshold`; these were set to reject
    the shares `unsure_rate` and `unfamiliar_rate` of the `n` calibration images.
    """

    coverage: float = 0.9
    set_threshold: float = 0.0
    unsure_rate: float = 0.05
    confidence_threshold: float = 0.0
    unfamiliar_rate: float = 0.05
    ood_threshold: float | None = None
    n: int = 0
    thresholds: tuple[float, ...] = ()
    aim: str = ""
    parents: tuple[tuple[str, str], ...] = ()
    risk: float | None = None
    sets: str = "lac"
    set_thresholds: tuple[float, ...] = ()
    set_penalty: float = 0.0
    set_free: int = 0
    group_by: str = ""
    group_thresholds: tuple[tuple[str, float], ...] = ()

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Policy":
        """The policy that `dataclasses.asdict` wrote to JSON."""
        pairs = tuple((child, parent) for child, parent in content.get("parents", ()))
        own = {name: tuple(content.get(name, ())) for name in ("thresholds", "set_thresholds")}
        groups = tuple((str(name), float(value)) for name, value in content.get("group_thresholds", ()))
        return cls(**{**content, **own, "parents": pairs, "group_thresholds": groups})


@dataclass(frozen=True)
class Decided:
    """What was decided about N images: `labels`, a name each or a list of names, `confidence` (N,) in [0, 1], `sets`.

    Where there are several labels, the confidence is that of the least sure one: its probability where it is answered,
    and one less that where it is not.
    """

    labels: list[Any]
    confidence: Floats
    sets: list[Any]


@dataclass(frozen=True)
class Outputs:
    """What a classifier said of N images: `raw` scores, calibrated `logits` and `probabilities` (N, K).

    `ood_scores` (N,) are made of raw scores; None where there is no familiarity score. `uncertainty` (N, 3) are its
    total, aleatoric and epistemic parts in nats, before calibration; None where nothing answers by several members.
    """

    raw: Floats
    logits: Floats
    probabilities: Floats
    ood_scores: Floats | None = None
    uncertainty: Floats | None = None

    @classmethod
    def joined(cls, parts: "Sequence[Outputs]") -> "Outputs":
        """Those of several parts, one after the other."""
        raw, logits, probabilities = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("raw", "logits", "probabilities")
        )
        scores, uncertainty = (
            [values for part in parts if (values := getattr(part, name)) is not None]
            for name in ("ood_scores", "uncertainty")
        )
        return cls(
            raw,
            logits,
            probabilities,
            np.concatenate(scores) if scores else None,
            np.concatenate(uncertainty) if uncertainty else None,
        )

    def lengthened(self, count: int) -> "Outputs":
        """The same with rows of zeros after it, for images that could not be read and get no answer."""

        def longer(values: Floats) -> Floats:
            return np.concatenate([values, np.zeros((count, *values.shape[1:]), dtype=values.dtype)])

        scores, uncertainty = (
            None if values is None else longer(values) for values in (self.ood_scores, self.uncertainty)
        )
        return Outputs(longer(self.raw), longer(self.logits), longer(self.probabilities), scores, uncertainty)

    @property
    def defined(self) -> Flags:
        """Whether all of it is a number, neither NaN nor infinite (N,)."""
        parts = (self.raw, self.logits, self.probabilities)
        numbers = np.logical_and.reduce([np.isfinite(part).all(axis=1) for part in parts])
        return np.asarray(numbers if self.ood_scores is None else numbers & np.isfinite(self.ood_scores))


def answer(
    task: str, classes: Sequence[str], outputs: Outputs, policy: Policy, groups: Sequence[Any] | None = None
) -> tuple[Decided, list[str]]:
    """What is answered for N images, and a reason for each: `ok`, `unsure`, `unfamiliar` or `undefined`.

    What is not a number is not an answer: its label and its set are None, its confidence is NaN. `groups` (N,) are
    those of the images where the policy has thresholds for groups; None where they are not known.
    """
    defined = outputs.defined
    decided = in_groups(task, classes, np.where(defined[:, None], outputs.probabilities, 0.0), policy, groups)
    named = reasons(decided.confidence, outputs.ood_scores, policy)
    why = [reason if sound else UNDEFINED for reason, sound in zip(named, defined.tolist(), strict=True)]
    labels, sets = (
        [value if sound else None for value, sound in zip(values, defined.tolist(), strict=True)]
        for values in (decided.labels, decided.sets)
    )
    return Decided(labels, np.where(defined, decided.confidence, np.nan), sets), why


def in_groups(
    task: str, classes: Sequence[str], probabilities: Floats, policy: Policy, groups: Sequence[Any] | None
) -> Decided:
    """Decide by the threshold of each image's group (N,), by the common one where it has none or is not known."""
    if groups is None or not policy.group_thresholds:
        return decide(task, classes, probabilities, policy)
    own = dict(policy.group_thresholds)
    names = [str(group) if group is not None and str(group) in own else None for group in groups]
    labels, sets = [None] * len(names), [None] * len(names)
    confidence = np.zeros(len(names))
    for name in dict.fromkeys(names):
        rows = [row for row, other in enumerate(names) if other == name]
        part = policy if name is None else replace(policy, thresholds=(own[name],))
        decided = decide(task, classes, probabilities[rows], part)
        confidence[rows] = decided.confidence
        for row, label, members in zip(rows, decided.labels, decided.sets, strict=True):
            labels[row], sets[row] = label, members
    return Decided(labels, confidence, sets)


def by_common_threshold(policy: Policy) -> str:
    """What is to be said where a policy has thresholds for groups and the group is not known; else nothing."""
    if not policy.group_thresholds:
        return ""
    return (
        f"the classifier has a threshold for each group of {policy.group_by!r}, and of images that come without it the "
        "common threshold decides, for which nothing was made equal between groups"
    )


def decide(task: str, classes: Sequence[str], probabilities: Floats, policy: Policy) -> Decided:
    """Decide about probabilities (N, K), all of them numbers, by the rule of the task."""
    return RULES[task](classes, probabilities, policy)


def reasons(confidence: Floats, scores: Floats | None, policy: Policy) -> list[str]:
    """A reason per image, `ok`, `unsure` or `unfamiliar`; `scores` (N,) are OOD scores, None where there are none."""
    known = scores is not None and policy.ood_threshold is not None
    strange = scores > policy.ood_threshold if known else np.zeros(len(confidence), dtype=bool)  # type: ignore[operator]
    unsure = confidence < policy.confidence_threshold
    named: list[str] = np.where(strange, "unfamiliar", np.where(unsure, "unsure", "ok")).tolist()
    return named


def one_label(classes: Sequence[str], probabilities: Floats, policy: Policy) -> Decided:
    """The most probable class; of two classes the second where it reaches the policy's threshold."""
    answers = probabilities.argmax(axis=1)
    if policy.thresholds:
        answers = (probabilities[:, 1] >= policy.thresholds[0]).astype(np.int64)
    confidence = np.take_along_axis(probabilities, answers[:, None], axis=1)[:, 0]
    held = SETS[policy.sets](probabilities, policy) | (probabilities >= confidence[:, None])
    sets = _named(classes, probabilities, held)
    return Decided([classes[number] for number in answers.tolist()], confidence, sets)


def several_labels(classes: Sequence[str], probabilities: Floats, policy: Policy) -> Decided:
    """Every label whose probability reaches its threshold, the most probable first; possibly none."""
    there = labels_there(probabilities, policy)
    confidence = np.where(there, probabilities, 1 - probabilities).min(axis=1)
    sets = _named(classes, probabilities, SETS[policy.sets](probabilities, policy))
    return Decided(_named(classes, probabilities, there), confidence, sets)


def labels_there(probabilities: Floats, policy: Policy) -> Flags:
    """Which labels are answered (N, K)."""
    thresholds = np.asarray(policy.thresholds or 0.5, dtype=np.float64)
    return np.asarray(probabilities >= thresholds)


def likely_enough(probabilities: Floats, policy: Policy) -> Flags:
    """Classes whose probability reaches one threshold (N, K)."""
    return np.asarray(probabilities >= policy.set_threshold)


def likely_enough_for_class(probabilities: Floats, policy: Policy) -> Flags:
    """Classes whose probability reaches a threshold of their own (N, K)."""
    return np.asarray(probabilities >= np.asarray(policy.set_thresholds, dtype=np.float64))


def likely_enough_for_answer(probabilities: Floats, policy: Policy) -> Flags:
    """Classes whose probability reaches the threshold of the likeliest class (N, K)."""
    own = np.asarray(policy.set_thresholds, dtype=np.float64)[probabilities.argmax(axis=1)]
    return np.asarray(probabilities >= own[:, None])


def little_above(probabilities: Floats, policy: Policy) -> Flags:
    """Classes of which the likelier ones hold together no more than a threshold (N, K)."""
    return np.asarray(mass_above(probabilities, policy.set_penalty, policy.set_free) <= policy.set_threshold)


def mass_above(probabilities: Floats, penalty: float = 0.0, free: int = 0) -> Floats:
    """For each class the probability of those that are likelier (N, K), and `penalty` for each beyond the first."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ordered = np.take_along_axis(probabilities, order, axis=1).astype(np.float64)
    above = ordered.cumsum(axis=1) - ordered + penalty * np.maximum(0, np.arange(1, ordered.shape[1] + 1) - free)
    values: Floats = np.empty_like(above)
    np.put_along_axis(values, order, above, axis=1)
    return values


SETS: dict[str, Callable[[Floats, Policy], Flags]] = {
    "lac": likely_enough,
    "risk": likely_enough,
    "aps": little_above,
    "raps": little_above,
    "class_conditional": likely_enough_for_class,
    "clustered": likely_enough_for_class,
    "answer_conditional": likely_enough_for_answer,
}
OF_EACH_CLASS = ("class_conditional", "clustered", "answer_conditional")  # with a threshold for each


def _named(classes: Sequence[str], probabilities: Floats, chosen: Flags) -> list[list[str]]:
    """The names of the chosen classes of each image, the most probable first."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    pairs = zip(order.tolist(), chosen.tolist(), strict=True)
    return [[classes[number] for number in ranks if flags[number]] for ranks, flags in pairs]


@dataclass(frozen=True, eq=False)
class Level:
    """A tree cut at one depth: the nodes there, and the place of each class's own among them (K,)."""

    names: tuple[str, ...]
    places: Integers

    def sums(self, probabilities: Floats) -> Floats:
        """Probabilities of classes (N, K) to those of the nodes (N, len(names)); every row keeps its sum."""
        order = np.argsort(self.places, kind="stable")
        starts = np.searchsorted(self.places[order], np.arange(len(self.names)))
        sums: Floats = np.add.reduceat(probabilities[:, order], starts, axis=1)
        return sums


@dataclass(frozen=True, eq=False)
class Stage:
    """The most probable node of one level for each of N images: its place among `names` (N,), its probability (N,)."""

    names: tuple[str, ...]
    places: Integers
    confidence: Floats


def rolled_up(classes: Sequence[str], probabilities: Floats, policy: Policy) -> Decided:
    """The deepest node whose probability, the sum over its classes, reaches the threshold; else the root.

    The most probable node of each level is looked at, from the deepest level up; a class that lies less deep stands for
    itself. The confidence is the node's probability, for the root that of the best node below it.
    """
    plain = one_label(classes, probabilities, replace(policy, thresholds=()))
    if not policy.thresholds:
        return plain
    stages = stages_of(classes, probabilities, policy.parents)
    labels = np.full(len(probabilities), ways_down(tuple(classes), policy.parents)[0], dtype=object)
    confidence = stages[-1].confidence.copy()
    for stage in reversed(stages):  # a deeper one that reaches it comes last, and stays
        reached = stage.confidence >= policy.thresholds[0]
        labels[reached] = np.array(stage.names, dtype=object)[stage.places[reached]]
        confidence[reached] = stage.confidence[reached]
    return Decided(labels.tolist(), confidence, plain.sets)


def stages_of(classes: Sequence[str], probabilities: Floats, parents: tuple[tuple[str, str], ...]) -> list[Stage]:
    """The most probable node of each level for probabilities (N, K), from the classes up to the topmost groups.

    Its probability grows on the way up, or stays.
    """
    stages = []
    for level in reversed(levels_of(tuple(classes), parents)):
        sums = level.sums(probabilities)
        stages.append(Stage(level.names, sums.argmax(axis=1), sums.max(axis=1)))
    return stages


@lru_cache(maxsize=8)
def levels_of(classes: tuple[str, ...], parents: tuple[tuple[str, str], ...]) -> tuple[Level, ...]:
    """The tree cut at each depth, from 1 to that of the deepest class, where all classes are."""
    _, ways = ways_down(classes, parents)
    cuts = []
    for depth in range(max(1, *map(len, ways))):
        own = [way[depth] if depth < len(way) else name for name, way in zip(classes, ways, strict=True)]
        places = {name: place for place, name in enumerate(dict.fromkeys(own))}
        cuts.append(Level(tuple(places), np.array([places[name] for name in own])))
    return tuple(cuts)


@lru_cache(maxsize=8)
def ways_down(
    classes: tuple[str, ...], parents: tuple[tuple[str, str], ...]
) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """The root of the tree over the classes, and for each class the nodes from below the root down to itself.

    The root is the lowest group that all classes lie below, or "anything". `parents` must hold no loop.
    """
    above, ways = dict(parents), []
    for name in classes:
        way = [name]
        while way[-1] in above:
            way.append(above[way[-1]])
        ways.append(way[::-1])
    shared = 0
    while all(len(way) > shared and way[shared] == ways[0][shared] for way in ways):
        shared += 1
    root = ways[0][shared - 1] if shared else ROOT
    return root, tuple(tuple(way[shared:]) for way in ways)


RULES: dict[str, Callable[[Sequence[str], Floats, Policy], Decided]] = {
    "binary": one_label,
    "multiclass": one_label,
    "multilabel": several_labels,
    "hierarchical": rolled_up,
}
