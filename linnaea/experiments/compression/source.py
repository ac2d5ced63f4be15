"""What is compressed: a finished run, by which methods, and what was asked for; refused here where it cannot be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from linnaea.classifier import Classifier, load
from linnaea.delivery.compression import COMPRESSORS, Wanted
from linnaea.errors import UsageError
from linnaea.evidence.calibration import Aims
from linnaea.models import MODELS
from linnaea.options import Compressing
from linnaea.registry.index import family
from linnaea.run import Run
from linnaea.runtime.target import parse_target

AIMS = tuple(field.name for field in fields(Aims))
COMPRESSED = "compressed_from"  # the argument of a run that says which one it was made of


@dataclass(frozen=True)
class Source:
    """A run with its classifier, the names of the methods, what is wanted, and the arguments that are kept of it."""

    run: Run
    classifier: Classifier
    methods: Sequence[str]
    wanted: Wanted
    kept: Mapping[str, Any]

    @classmethod
    def of(cls, run: Run, asked: Compressing) -> "Source":
        """Of a finished run; raises UsageError where a method cannot compress it, or none was given."""
        run.require_finished()
        classifier = load(run.model_folder)
        wanted = Wanted(
            asked.bits,
            asked.backend,
            asked.max_drop / 100,
            None if asked.target is None else parse_target(asked.target),
            asked.student,
            asked.match,
            asked.trials,
        )
        methods = list(asked.method)
        _require_order(methods)
        _require_used(asked, methods)
        _require_nearer(wanted, methods)
        for name in methods:
            COMPRESSORS[name].require_wanted(wanted)
        for name in methods:
            _require_takes(name, classifier, run)
            COMPRESSORS[name].require(classifier, wanted)
            if COMPRESSORS.about(name).capabilities.get("replaces"):
                break  # what follows works on another network
        arguments = run.record()["arguments"]
        kept = {name: arguments.get(name) for name in (*AIMS, "ood", "duplicates")}
        return cls(run, classifier, methods, wanted, kept)

    @property
    def seed(self) -> int:
        """That of the run."""
        return int(self.run.record().get("seed") or 0)


def _require_order(methods: Sequence[str]) -> None:
    if not methods:
        raise UsageError(f"method is empty: expected one or more of {', '.join(COMPRESSORS)}, separated by commas.")
    twice = next((name for place, name in enumerate(methods) if name in methods[:place]), None)
    if twice is not None:
        raise UsageError(f"method {twice} is given twice: name each method once.")
    for name, following in pairwise(methods):
        if COMPRESSORS.about(name).capabilities.get("last"):
            raise UsageError(
                f"method is {','.join(methods)}, but {following} cannot change what {name} leaves: put {name} last."
            )


def _require_used(asked: Compressing, methods: Sequence[str]) -> None:
    """Raise UsageError for an option that none of the methods has a use for."""
    integers = ("quantize", "qat")
    own = {"student": ["distill"], "match": ["distill"], "trials": ["search"], "bits": integers, "backend": integers}
    for name, able in own.items():
        if getattr(asked, name) != getattr(Compressing(), name) and not set(able) & set(methods):
            raise UsageError(
                f"{name} is {getattr(asked, name)}, and it is for --method {' or '.join(able)} alone: leave it out."
            )


def _require_nearer(wanted: Wanted, methods: Sequence[str]) -> None:
    """Raise UsageError for a target that none of the methods brings nearer."""
    if wanted.target is not None and not any(
        COMPRESSORS.about(name).capabilities.get("smaller", True) for name in methods
    ):
        raise UsageError(
            f"{' and '.join(methods)} cannot meet the target {wanted.target.text}: zeros are stored and multiplied "
            "like other numbers, and only a compressed file gets smaller. Use --method prune, or add quantize."
        )


def _require_takes(name: str, classifier: Classifier, run: Run) -> None:
    kind, origin = classifier.scorer.kind, run.record()["arguments"].get(COMPRESSED)
    if MODELS.about(classifier.model.kind).capabilities.get("quantised"):
        mend = "a run with its network as it was trained" if origin is None else f"the run that it came from, {origin}"
        raise UsageError(f"{name} cannot compress a network that is kept in few bits already: compress {mend}.")
    if kind not in _takes(name):
        able = [other for other in COMPRESSORS if kind in _takes(other)]
        mend = f"expected one of {', '.join(able)}" if able else "compress a run with a network, such as one of frozen"
        raise UsageError(f"{name} cannot compress a classifier of the kind {kind}: {mend}.")


def _takes(name: str) -> tuple[str, ...]:
    """The kinds of scorers that a method can work on, told without importing it."""
    takes = family("compressor").about(name).capabilities.get("takes", ())
    assert isinstance(takes, tuple), f"compressor {name}: takes is a tuple of kinds of scorers"
    return takes
