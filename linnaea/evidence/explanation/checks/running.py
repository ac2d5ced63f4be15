"""Checks put to work on the maps of a subject."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from linnaea.arrays import Array, Flags, Floats, Images, Integers
from linnaea.evidence.explanation.checks.contract import (
    EXPLANATION_CHECKS,
    FAILED,
    Checked,
    Explained,
    Remake,
    Unlearnt,
)
from linnaea.evidence.explanation.checks.unlearning import ANSWERS, AnsweringAtRandom, unlearnt_networks
from linnaea.evidence.explanation.contract import EXPLAINERS, Maps, Settings
from linnaea.evidence.explanation.running import needs_of, run_explainer
from linnaea.evidence.explanation.subject import Subject
from linnaea.finding import Finding

USUAL = ("pointing", "agreement", "randomisation")
"""Those that are done unless others are asked for: they need no answers, or few."""
FEW = 8  # images that the usual sanity check looks at, and that networks in random order are measured on


@dataclass(frozen=True)
class CheckReport:
    """What checks found: findings, the flaw of each method that failed its sanity check, and figures per image."""

    findings: tuple[Finding, ...] = ()
    flaws: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, Array] = field(default_factory=dict)


def usual_checks(images: int) -> dict[str, int]:
    """The checks that are done unless others are asked for, each with the number of images that it looks at."""
    return {name: min(images, FEW) if _remakes(name) else images for name in USUAL}


def _remakes(name: str) -> bool:
    return bool(EXPLANATION_CHECKS.about(name).capabilities.get("remakes", 0))


def seen_of(
    subject: Subject,
    pixels: Images,
    targets: Integers,
    maps: Mapping[str, Floats],
    settings: Settings,
    objects: Flags | None = None,
) -> Explained:
    """What checks see of a subject and of maps (N, S, S) that were made by these settings."""

    def remake(method: str, images: Images, seed: int) -> Floats:
        return _maps(method, subject, images, targets, replace(settings, seed=seed))

    unlearnt = _Unlearning(subject, pixels, targets, settings)
    return Explained(subject.answer, pixels, targets, maps, remake, unlearnt, objects, settings.seed)


def _maps(method: str, subject: Subject, images: Images, targets: Integers, settings: Settings) -> Floats:
    made = run_explainer(method, subject, images, targets[: len(images)], settings)
    assert isinstance(made, Maps), "checks see maps"
    return made.values


class _Unlearning:
    """Stages of taking away what was learnt, for one method after the other."""

    def __init__(self, subject: Subject, pixels: Images, targets: Integers, settings: Settings) -> None:
        self.subject, self.pixels, self.targets, self.settings = subject, pixels, targets, settings
        self._subjects: list[tuple[str, Subject]] | None = None

    def __call__(self, method: str) -> Sequence[Unlearnt] | str:
        """The stages, or why there are none."""
        needs = needs_of(EXPLAINERS.about(method))
        if "gradients" in self.subject.can:
            stages = self._networks() if needs != "answers" else self._networks()[-1:]
            return [Unlearnt(how, self._remake(subject), subject.answer) for how, subject in stages]
        if needs == "answers":
            subject = AnsweringAtRandom(self.subject, self.pixels, self.settings.seed)
            return [Unlearnt(ANSWERS, self._remake(subject))]
        return f"a classifier of the kind {self.subject.kind} has no weights that could be put in random order"

    def _networks(self) -> list[tuple[str, Subject]]:
        if self._subjects is None:
            self._subjects = list(unlearnt_networks(self.subject, self.pixels[:FEW], self.settings.seed))
        return self._subjects

    def _remake(self, subject: Subject) -> Remake:
        def remake(method: str, images: Images, seed: int) -> Floats:
            return _maps(method, subject, images, self.targets, replace(self.settings, seed=seed))

        return remake


def check_maps(explained: Explained, checks: Mapping[str, int], tell: Callable[[str], object] = str) -> CheckReport:
    """What the checks of these names say, each of its number of images, the first ones; `tell` is told of each."""
    report = CheckReport()
    for name, count in checks.items():
        tell(EXPLANATION_CHECKS.about(name).title)
        found = EXPLANATION_CHECKS[name](_first(explained, count))
        if found is not None:
            report = _with(report, name, found)
    return report


def _with(report: CheckReport, name: str, found: Checked) -> CheckReport:
    flaws = dict(report.flaws)
    if EXPLANATION_CHECKS.about(name).capabilities.get("sanity"):
        failed = {method: verdict for method, verdict in found.verdicts.items() if verdict.outcome == FAILED}
        flaws |= {method: f"Fails the sanity check: {verdict.reason}." for method, verdict in failed.items()}
    return CheckReport((*report.findings, found.finding), flaws, {**report.measured, **found.measured})


def _first(explained: Explained, count: int) -> Explained:
    """The same of the first images alone."""
    if count >= len(explained.images):
        return explained
    return replace(
        explained,
        images=explained.images[:count],
        targets=explained.targets[:count],
        maps={method: maps[:count] for method, maps in explained.maps.items()},
        objects=None if explained.objects is None else explained.objects[:count],
    )
