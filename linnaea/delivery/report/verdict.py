"""The verdict: what promise was kept, what was chosen, how good it is, what to be wary of; each made from a fact."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linnaea.delivery.report import tables
from linnaea.delivery.report.folder import CALIBRATION, CURVES, GUESSING, Folder, Part, listing, mapping
from linnaea.delivery.report.tables import Evaluation
from linnaea.delivery.report.words import SPACE, bounds, counted, estimate, metric_named, number, percent
from linnaea.finding import Finding

UNJUDGED = "unjudged_classes"
MOST_NAMED = 5
FEW_IMAGES = 100
FEW_OF_A_CLASS = 10
WIDE = 0.1
POOR_CALIBRATION = 0.05

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """A sentence that begins with an outcome, such as kept or missed; both are empty in one that has none."""

    sentence: str
    kind: str = ""
    outcome: str = ""

    @classmethod
    def of(cls, finding: Finding) -> "Told":
        """What a finding about a promise says."""
        outcome, _, sentence = str(finding.summary or "").replace(" %", f"{SPACE}%").partition(": ")
        return cls(sentence, outcome.partition(" ")[0].lower(), f"{outcome}:")

    def __str__(self) -> str:
        return f"{self.outcome} {self.sentence}".strip()


@dataclass(frozen=True)
class Verdict:
    """The headline, the sentences under it, further promises, and the cautions with the gravest first.

    The headline says whether an aim or a risk was kept, where one was stated or anything promised was missed; `aim` is
    what the threshold between two classes was chosen for, if it was.
    """

    headline: Told
    sentences: Sequence[str]
    promises: Sequence[Told]
    cautions: Sequence[str]
    aim: str = ""

    @property
    def summary(self) -> str:
        """The headline and the sentence after it."""
        return " ".join([str(self.headline), *(self.sentences[:1] if self.headline.outcome else [])])


def verdict_of(folder: Folder, evaluation: Evaluation, ladder: Part, audit: Part, export: Part) -> Verdict:
    """Judge a run by its files alone."""
    rungs = ladder.content or []
    chosen = str(folder.run.get("chosen") or "")
    name = headline_metric(evaluation, rungs, chosen)
    first, later = tables.promises_of(evaluation)
    stated = [Told.of(finding) for finding in first]
    good = _how_good(folder, evaluation, name, chosen)
    sentences = [*_why_chosen(folder, evaluation, rungs, chosen), *_declines(folder, evaluation)] if chosen else []
    cautions = [
        *_about_run(folder),
        *_about_split(folder, evaluation),
        *_about_findings(export, "The export check"),
        *_about_findings(audit, "The data audit"),
        *_about_findings(folder.findings("thresholds"), "The choice of thresholds"),
        *_about_findings(folder.findings(CALIBRATION), "The choice of a calibrator"),
        *_about_learning(folder.findings(CURVES), chosen),
        *_about_unjudged(audit, evaluation),
        *_about_baseline(folder, rungs, chosen),
        *_about_figure(folder, evaluation, name),
    ]
    promises = [*stated[1:], *map(Told.of, later)]
    headline, sentences = (stated[0], [good, *sentences]) if stated else (Told(good), sentences)
    return Verdict(headline, sentences, promises, cautions, aim_of(evaluation))


def headline_metric(evaluation: Evaluation, rungs: Sequence[Row], chosen: str) -> str:
    """The metric that the rungs were chosen by when it was evaluated, else accuracy, else the first one."""
    measured = mapping(evaluation.metrics.content)
    by_ladder = [str(row.get("metric")) for row in rungs if row.get("rung") == chosen]
    wanted = [*by_ladder, "accuracy", *measured]
    return next((name for name in wanted if name in measured), "accuracy")


def _how_good(folder: Folder, evaluation: Evaluation, name: str, chosen: str) -> str:
    entry = evaluation.entry(name)
    who = f"The {chosen} rung" if chosen else "The classifier"
    if not entry:
        state = "has chosen no rung" if not chosen else f"chose {chosen}"
        return f"There is no verdict yet: the run is {folder.status}, {state} and holds no figures."
    metric, images = metric_named(name), tables.images_in(entry, evaluation.split)
    figure = estimate(entry, metric)
    if name == "accuracy" and folder.in_tree:
        return f"The most probable class{f' of the {chosen} rung' if chosen else ''} is right for {figure} of {images}."
    if name == "accuracy":
        aim = aim_of(evaluation)
        return f"{who} names {figure} of {images} correctly{f', at the threshold for {aim}' if aim else ''}."
    return f"{who} reaches {metric.title.lower()} {figure} on {images}."


def aim_of(evaluation: Evaluation) -> str:
    """Of two classes the aim that the threshold in use was chosen for; empty where the likelier class is answered."""
    points = evaluation.finding("operating_points")
    rows = [] if points.missing else points.content.rows
    aim = next((str(row.get("aim") or "") for row in rows if row.get("in_use")), "")
    return "" if aim == "default" else aim


def _why_chosen(folder: Folder, evaluation: Evaluation, rungs: Sequence[Row], chosen: str) -> Iterator[str]:
    because = str(folder.run.get("chosen_because") or "").strip()
    if because:
        yield f"Why {chosen}: {because.rstrip('.')}."
    else:
        yield f"run.json does not say why {chosen} was chosen."
    rows = {str(row.get("rung")): row for row in rungs}
    if chosen == "majority":
        yield f"That rung looks at no image, {_baseline(folder)}: nothing on the ladder was worth more."
    elif chosen in rows and number(rows.get("majority", {}).get("value")) is not None:
        metric = metric_named(str(rows[chosen].get("metric")))
        ours, base = (estimate(rows[rung], metric) for rung in (chosen, "majority"))
        how = ", by the likelier class," if aim_of(evaluation) else ""
        yield f"On the ladder{how} it reaches {ours}; {_baseline(folder)} reaches {base}."


def _baseline(folder: Folder) -> str:
    """What the rung does that does not look at the images."""
    return "answering the same for every image" if folder.several else "always answering the most frequent class"


def _declines(folder: Folder, evaluation: Evaluation) -> Iterator[str]:
    share = tables.declined_share(evaluation)
    if share is None:
        return
    entry = evaluation.entry("answered_accuracy")
    right = "are right, with the class or a group above it" if folder.in_tree else "are right"
    when = f"; when it answers, {estimate(entry, metric_named('answered_accuracy'))} {right}" if entry else ""
    if share == 0:  # of plain classes the headline has said how many are right
        again = when if folder.in_tree or folder.several else ""
        yield f"It answers every one of these images{again}."
    else:
        yield f"It declines to answer {percent(share)} of these images{when}."


def _about_run(folder: Folder) -> Iterator[str]:
    if folder.status == "finished":
        return
    error = folder.run.get("error")
    yield f"The run is {folder.status}, not finished" + (f": {error}" if error else ".")


def _about_split(folder: Folder, evaluation: Evaluation) -> Iterator[str]:
    opened = len(listing(folder.run.get("test_opened")))
    if evaluation.split == "val" and evaluation.metrics.content:
        yield (
            "These figures come from the validation images, which were also used to choose the rung and to "
            "calibrate: they are optimistic. Only sealed test images give a figure to defend."
        )
    elif opened > 1:
        yield f"The test split was opened {opened} times: each look makes its figures a little more flattering."


def _about_findings(part: Part, who: str) -> Iterator[str]:
    raised = [finding for finding in part.content or [] if finding.severity != "info"]
    if not raised:
        return
    worst = next((finding for finding in raised if finding.severity == "error"), raised[0])
    parts = [(severity, sum(finding.severity == severity for finding in raised)) for severity in ("error", "warning")]
    said = " and ".join(counted(count, severity) for severity, count in parts if count)
    yield f"{who} raised {said}. {'First' if len(raised) > 1 else 'It says'}: {worst.summary}"


def _about_learning(curves: Part, chosen: str) -> Iterator[str]:
    """What the learning curves of the chosen network warn of."""
    for finding in curves.content or []:
        if finding.severity != "info" and any(row.get("network") == chosen for row in finding.rows):
            yield str(finding.summary)


def _about_unjudged(audit: Part, evaluation: Evaluation) -> Iterator[str]:
    """Classes that no image judges, with the groups that keep theirs together where the audit says so."""
    told = [finding.summary for finding in audit.content or [] if finding.name == UNJUDGED]
    unseen = [name for name, count in tables.images_of_each(evaluation) if not count]
    if told:
        yield told[0]
    elif unseen:
        named = ", ".join(unseen[:MOST_NAMED]) + (", …" if len(unseen) > MOST_NAMED else "")
        yield f"None of the {tables.split_words(evaluation.split)} shows {named}: no figure speaks of it."


def _about_baseline(folder: Folder, rungs: Sequence[Row], chosen: str) -> Iterator[str]:
    """That the images did not show it to be better than guessing; by the ladder where nothing was compared."""
    compared = folder.findings(GUESSING)
    if not compared.missing:
        yield from (str(finding.summary) for finding in compared.content if finding.severity != "info")
        return
    rows = {str(row.get("rung")): row for row in rungs}
    lo, hi = number(rows.get(chosen, {}).get("lo")), number(rows.get("majority", {}).get("hi"))
    if chosen != "majority" and lo is not None and hi is not None and lo <= hi:
        yield f"The intervals of {chosen} and of {_baseline(folder)} overlap: it may know nothing."


def _about_figure(folder: Folder, evaluation: Evaluation, name: str) -> Iterator[str]:
    entry, metric, images = evaluation.entry(name), metric_named(name), tables.split_words(evaluation.split)
    n, lo, hi = (number(entry.get(key)) for key in ("n", "lo", "hi"))
    few = n is not None and n < FEW_IMAGES
    if lo is not None and hi is not None and hi - lo > WIDE and metric.bounded:
        because = f": only {tables.images_in(entry, evaluation.split)} stand behind it" if few else ""
        yield f"The interval is wide, {bounds(entry, metric)}{f'{chr(160)}%' if metric.share else ''}{because}."
    elif few:
        yield f"Only {tables.images_in(entry, evaluation.split)} stand behind these figures."
    each = tables.images_of_each(evaluation)
    rare = [name for name, count in each if 0 < count < FEW_OF_A_CLASS]
    if rare:
        have = "has" if len(rare) == 1 else "have"
        nouns = ("class", "classes") if evaluation.finding("per_label").missing else ("label", "labels")
        yield f"{counted(len(rare), *nouns)} of {len(each)} {have} fewer than {FEW_OF_A_CLASS} {images}."
    ece = number(evaluation.entry("ece").get("value"))
    if ece is not None and ece > POOR_CALIBRATION:
        what = "The probability of the most probable class" if folder.in_tree else "Stated confidence"
        yield f"{what} is off by {percent(ece)} on average: do not read it as a probability yet."
