"""What `classifier.json` must say: the name, type and range of each entry, and what must agree between them."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from linnaea.decisions import OF_EACH_CLASS, SETS
from linnaea.errors import BundleError, DataError, suggest
from linnaea.runtime.arguments import (
    COLOUR,
    LARGEST_NUMBER,
    LARGEST_PICTURE,
    LARGEST_VALUE,
    MOST_CHANNELS,
    SMALLEST_PICTURE,
)
from linnaea.task import TASKS
from linnaea.taxonomy import require_no_loop

LONGEST = 80  # letters of what was found that a message shows
HIGHEST = 2.0  # a threshold that no probability reaches
Content = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """What is expected of an entry, in words, whether a value is that, and whether there must be one."""

    expected: str
    holds: Callable[[Any], bool]
    needed: bool = True


def require_schema(content: Content, file: Path) -> None:
    """Raise BundleError, with what was found, what was expected, and the file, unless the description is right."""
    _require(content, ENTRIES, "", file)
    for agrees, told in _agreements(content):
        if not agrees:
            raise BundleError(f"{file}: {told}: it was changed or is damaged; take the original bundle.")


def _require(content: Any, entries: Mapping[str, Any], place: str, file: Path) -> None:
    for name in dict.fromkeys([*entries, *content]):
        where, expected = f"{place}{name}", entries.get(name)
        if expected is None:
            raise BundleError(f"{file}: unknown entry {where!r}.{suggest(name, entries)} Take the original bundle.")
        if isinstance(expected, Mapping):
            if not isinstance(content.get(name), Mapping):
                raise _wrong(file, where, content, name, f"an object with {', '.join(expected)}")
            _require(content[name], expected, f"{where}.", file)
        elif name not in content and not expected.needed:
            continue
        elif name not in content or not expected.holds(content[name]):
            raise _wrong(file, where, content, name, expected.expected)


def _wrong(file: Path, where: str, content: Content, name: str, expected: str) -> BundleError:
    found = repr(content[name]) if name in content else "missing"
    shown = found if len(found) <= LONGEST else f"{found[:LONGEST]}..."
    return BundleError(f"{file}: {where} is {shown}; expected {expected}. Take the original bundle.")


def is_number(value: Any) -> bool:
    """Whether it is a finite number, and none that stands for yes or no."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _whole(low: int, high: float) -> Rule:
    return Rule(
        f"a whole number from {low}" + (f" to {high}" if math.isfinite(high) else ""),
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
    )


def _between(low: float, high: float) -> Rule:
    return Rule(f"a number from {low} to {high}", lambda value: is_number(value) and low <= value <= high)


def _or_none(rule: Rule) -> Rule:
    return Rule(f"{rule.expected}, or null", lambda value: value is None or rule.holds(value))


def _list_of(rule: Rule) -> Rule:
    return Rule(
        f"a list, of {rule.expected} each", lambda value: isinstance(value, list) and all(map(rule.holds, value))
    )


def _is_name(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(value.strip()) and bool(value.encode())
    except UnicodeEncodeError:  # half of a letter
        return False


def _are_classes(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_name, value)) and len(set(value)) == len(value)


def _are_parents(value: Any) -> bool:
    """Pairs of child and parent that make a tree."""
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        return False
    if not all(_is_name(name) for pair in value for name in pair) or len(dict(value)) < len(value):
        return False
    try:
        require_no_loop(dict(value), "")
    except DataError:
        return False
    return True


def _are_thresholds(value: Any) -> bool:
    """Pairs of a group and a threshold, each group once."""
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        return False
    fit = all(_is_name(name) and is_number(number) and 0 <= number <= HIGHEST for name, number in value)
    return fit and len({name for name, _ in value}) == len(value)


TEXT = Rule("text", lambda value: isinstance(value, str))
OBJECT = Rule("an object", lambda value: isinstance(value, Mapping))
NUMBER = Rule("a number", is_number)
SHARE = _between(0, 1)
PART = {"kind": TEXT, "arguments": OBJECT}
THRESHOLD = _between(0, HIGHEST)
ENTRIES: Mapping[str, Any] = {
    "classes": Rule("a list of names, each once", _are_classes),
    "task": Rule(f"one of {', '.join(TASKS)}", lambda value: isinstance(value, str) and value in TASKS),
    "scorer": PART,
    "recipe": {
        "size": _whole(SMALLEST_PICTURE, LARGEST_PICTURE),
        "fit": TEXT,
        "max_pixels": _whole(1, math.inf),
        "white": _or_none(_whole(1, LARGEST_VALUE)),
        "channels": replace(_whole(1, MOST_CHANNELS), needed=False),
    },
    "calibrator": _or_none(OBJECT),
    "class_shares": {"prior": _list_of(SHARE), "shift": _list_of(NUMBER)},
    "familiarity": _or_none(OBJECT),
    "policy": {
        "coverage": SHARE,
        "set_threshold": _between(0, LARGEST_NUMBER),
        "unsure_rate": SHARE,
        "confidence_threshold": THRESHOLD,
        "unfamiliar_rate": SHARE,
        "ood_threshold": _or_none(NUMBER),
        "n": _whole(0, math.inf),
        "thresholds": _list_of(THRESHOLD),
        "aim": TEXT,
        "parents": Rule("a list of pairs, child and parent, that make a tree", _are_parents),
        "risk": _or_none(SHARE),
        "sets": Rule(f"one of {', '.join(SETS)}", lambda value: isinstance(value, str) and value in SETS),
        "set_thresholds": _list_of(SHARE),
        "set_penalty": SHARE,
        "set_free": _whole(0, LARGEST_NUMBER),
        "group_by": replace(TEXT, needed=False),
        "group_thresholds": Rule(
            "a list of pairs, group and threshold, each group once", _are_thresholds, needed=False
        ),
    },
    "provenance": OBJECT,
}


def _agreements(content: Content) -> Iterator[tuple[bool, str]]:
    """Whether entries agree with each other, and the words for where they do not."""
    task, policy, shares = TASKS[content["task"]], content["policy"], content["class_shares"]
    count, given, calibrated = len(content["classes"]), _arguments_of_model(content["scorer"]), policy["n"] > 0
    classes = f"there are {count} classes"
    yield (count == 2 if task.name == "binary" else count > 1 or task.multilabel), f"{classes} for the task {task.name}"
    yield given.get("classes", count) == count, f"{classes}, and the model has {given.get('classes')!r}"
    size, channels = content["recipe"]["size"], content["recipe"].get("channels", COLOUR)
    yield "size" not in given or _same(given["size"], size), f"images of {size} pixels do not match the model {given!r}"
    seen = given.get("channels", COLOUR) if given else channels
    yield _same(seen, channels), f"images of {channels} channels do not match the model {given!r}"
    for name in ("prior", "shift"):
        yield len(shares[name]) in (0, count), f"{classes}, and class_shares.{name} has {len(shares[name])}"
    adapted = "prior" in content["provenance"] or bool(shares["shift"])
    yield bool(shares["prior"] and shares["shift"]) or not adapted, "the shares of the classes are missing"
    thresholds = len(policy["thresholds"])
    yield (
        thresholds in _counts(task.name, count, calibrated),
        f"{thresholds} thresholds do not match the {task.name} task",
    )
    if task.hierarchical:
        yield bool(policy["parents"]), "the task is hierarchical, and policy.parents is empty"
        yield (policy["risk"] is None) == (not thresholds), "policy.risk and policy.thresholds do not match"
    elif calibrated:
        yield bool(policy["aim"]) == bool(thresholds), "policy.aim and policy.thresholds do not match"
    yield from _agreements_of_sets(task.multilabel, count, policy)
    whole = "ood_score" in content["scorer"]["arguments"]
    yield not calibrated or whole == (content["calibrator"] is None), "scorer, calibrator and policy do not match"
    strange = policy["ood_threshold"] is not None
    yield (
        not calibrated or strange == (bool(content["familiarity"]) or bool(_score_inside(content["scorer"]))),
        ("policy.ood_threshold and familiarity do not match"),
    )
    for name in ("familiarity", "calibrator"):
        for flag in _flags(content[name]):
            yield flag is task.multilabel, f"{name}.several is {flag!r} for the task {task.name}"


def _agreements_of_sets(several: bool, count: int, policy: Content) -> Iterator[tuple[bool, str]]:
    """Whether what the policy says of prediction sets agrees."""
    kind, thresholds = policy["sets"], len(policy["set_thresholds"])
    yield not several or kind == "risk", f"policy.sets is {kind!r} for several labels per image; expected 'risk'"
    expected = count if kind in OF_EACH_CLASS else 0
    yield thresholds == expected, f"policy.set_thresholds has {thresholds} for {count} classes by {kind}"
    limit = 1 + policy["set_penalty"] * count
    yield policy["set_threshold"] <= limit, f"policy.set_threshold is {policy['set_threshold']} for sets by {kind}"
    free = kind == "raps" or not (policy["set_penalty"] or policy["set_free"])
    yield free, f"there is a penalty for sets by {kind}"


def _arguments_of_model(scorer: Content) -> Content:
    """Those of the model in a scorer that holds one; none where another kind of scorer says for itself what fits."""
    model = scorer["arguments"].get("model")
    arguments = model.get("arguments") if isinstance(model, Mapping) else None
    return arguments if isinstance(arguments, Mapping) else {}


def _score_inside(scorer: Content) -> Any:
    """The familiarity score of a scorer that is a whole classifier."""
    return scorer["arguments"].get("ood_score")


def _counts(task: str, classes: int, calibrated: bool) -> tuple[int, ...]:
    """How many thresholds the answers of a task may have."""
    return {
        "binary": (0, 1),
        "multilabel": (classes,) if calibrated else (0, classes),
        "hierarchical": (1,) if calibrated else (0, 1),
    }.get(task, (0,))


def _same(given: Any, size: int) -> bool:
    return isinstance(given, int) and given == size


def _flags(description: Any) -> Iterator[Any]:
    """What a calibrator, or a familiarity score and its parts, say of several labels."""
    arguments = description.get("arguments") if isinstance(description, Mapping) else None
    if isinstance(arguments, Mapping):
        if "several" in arguments:
            yield arguments["several"]
        parts = arguments.get("parts")
        for part in parts if isinstance(parts, list) else []:
            yield from _flags(part)
