"""Numbers as people read them, and what each metric means in one plain line."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from linnaea.runtime.words import in_number

SPACE = "\N{NO-BREAK SPACE}"
NOTHING = "–"
MONTHS = (  # strftime would use the machine's language
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """How a metric is called and explained; `share` is shown in percent, `bounded` lies in [0, 1] and gets a bar."""

    title: str
    meaning: str
    share: bool = False
    bounded: bool = True


METRICS = {
    "accuracy": Metric("Accuracy", "Share of images named correctly.", share=True),
    "map": Metric("Mean average precision", "Ranking quality, averaged over labels; 1 is perfect."),
    "balanced_accuracy": Metric(
        "Balanced accuracy", "Accuracy averaged over classes: a rare class counts as much as a common one.", share=True
    ),
    "f1_macro": Metric("Macro F1", "Balance of precision and recall, averaged over classes; 1 is perfect."),
    "top5_accuracy": Metric("Top-5 accuracy", "Share of images with the truth among the five likeliest.", share=True),
    "roc_auc_ovr": Metric("ROC AUC", "Chance that an image of a class outranks one that is not; 0.5 is guessing."),
    "roc_auc_macro": Metric(
        "ROC AUC", "Chance that an image with a label outranks one without, averaged over labels; 0.5 is guessing."
    ),
    "f1_micro": Metric("Micro F1", "Balance of precision and recall over all decisions; common labels weigh most."),
    "f1_samples": Metric("F1 per image", "Balance of precision and recall of an image's labels, averaged over images."),
    "hamming_loss": Metric("Hamming loss", "Share of decisions, label by label, that are wrong.", share=True),
    "subset_accuracy": Metric("All labels right", "Share of images with every label answered correctly.", share=True),
    "sensitivity": Metric("Sensitivity", "Share of the positive class that is found; also called recall.", share=True),
    "specificity": Metric("Specificity", "Share of the negative class that is not flagged.", share=True),
    "ppv": Metric("Positive predictive value", "Share of positive answers that are right.", share=True),
    "npv": Metric("Negative predictive value", "Share of negative answers that are right.", share=True),
    "average_precision": Metric("Average precision", "Precision at each positive, averaged; 1 is perfect."),
    "risk": Metric("Wrong answers", "Share of images whose answer is neither their class nor above it.", share=True),
    "information": Metric(
        "Information", "How deep the right answers go, as a share of the way to the class; wrong ones count nothing."
    ),
    "answer_depth": Metric("Depth of the answers", "Levels below the root, on average; 0 is no answer.", bounded=False),
    "top_level_accuracy": Metric("Top-level accuracy", "Share of images put into the right top group.", share=True),
    "hierarchical_precision": Metric(
        "Hierarchical precision", "Share of the nodes named, each answer with all above it, that are true."
    ),
    "hierarchical_recall": Metric("Hierarchical recall", "Share of the true nodes, each with all above it, named."),
    "hierarchical_f1": Metric("Hierarchical F1", "Balance of the two; 1 is perfect."),
    "mistake_severity": Metric(
        "Severity of mistakes",
        "Height of the lowest group that holds both truth and likeliest class, over the mistakes; 1 is mildest.",
        bounded=False,
    ),
    "tree_distance": Metric(
        "Distance in the tree", "Steps from the likeliest class to the truth, on average.", bounded=False
    ),
    "nll": Metric(
        "Log loss", "Surprise at the truth, in nats; 0 is perfect, one sure mistake costs a lot.", bounded=False
    ),
    "brier": Metric("Brier score", "Squared distance from probabilities to truth; lower is better.", bounded=False),
    "ece": Metric(
        "Calibration error", "How far stated confidence lies from the share that is right; lower is better.", share=True
    ),
    "aurc": Metric(
        "Risk over coverage", "Error left when the least sure answers are set aside first; lower is better."
    ),
    "answered_accuracy": Metric("Accuracy when it answers", "Share right among images not declined.", share=True),
    "unsure_rate": Metric("Unsure", "Share of images declined because the answer was not sure enough.", share=True),
    "unfamiliar_rate": Metric("Unfamiliar", "Share declined because they look unlike the training images.", share=True),
    "auroc": Metric("AUROC", "Chance that an unknown image scores higher than a known one; 0.5 is guessing."),
    "aupr": Metric("AUPR", "Precision at each unknown image found by its score, averaged; 1 is perfect."),
    "fpr_at_95_tpr": Metric(
        "Let through at 95 %", "Share of unknown images that pass where 95 % of the known do.", share=True
    ),
    "oscr": Metric(
        "OSCR", "Chance that a known image is labelled correctly and scores as more familiar than an unknown one."
    ),
    "unknown_rejected": Metric("Unknown called unfamiliar", "Share of unknown images that are declined.", share=True),
    "known_rejected": Metric("Known called unfamiliar", "Share of known images that are declined.", share=True),
    "coverage": Metric("Coverage of the prediction set", "Share of images whose set holds the truth.", share=True),
    "false_negative_rate": Metric(
        "Missed by the prediction set", "Share of an image's labels that its set misses, averaged.", share=True
    ),
    "mean_set_size": Metric(
        "Size of the prediction set", "Classes named per image, on average; 1 is the most decisive.", bounded=False
    ),
}

IN_TREES = {"accuracy": Metric("Accuracy", "Share of images whose most probable class is right.", share=True)}


def metric_named(name: str, *, in_tree: bool = False) -> Metric:
    """The description of a metric; an unknown one keeps its name and says that nothing is known of it.

    `in_tree` says that classes lie below groups, so that an answer need not be a class.
    """
    if in_tree and name in IN_TREES:
        return IN_TREES[name]
    kind, _, share = name.partition("_at_prevalence_")
    if kind in METRICS and number(share) is not None:
        title = f"{METRICS[kind].title} at a prevalence of {percent(share)}"
        return Metric(title, "The same where the positive class has that share.", share=True)
    plain = Metric(name.replace("_", " ").capitalize(), "This version has no plain description of it.", bounded=False)
    return METRICS.get(name, plain)


def number(value: Any) -> float | None:
    """A finite float from JSON or CSV; None for what is empty, not a number or infinite."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) else None


def whole(value: Any) -> str:
    """A count with its thousands set apart."""
    count = number(value)
    return NOTHING if count is None else f"{count:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def percent(value: Any, unit: bool = True) -> str:
    """A share as a percentage with one decimal, never rounded to a certainty that it is not."""
    share = number(value)
    if share is None:
        return NOTHING
    text = f"{100 * share:.1f}"
    if text == "100.0" and share < 1:
        text = f">{SPACE}99.9"
    elif text == "0.0" and share > 0:
        text = f"<{SPACE}0.1"
    return f"{text}{SPACE}%" if unit else text


def decimal(value: Any, digits: int = 3) -> str:
    """A number with a fixed number of decimals."""
    result = number(value)
    return NOTHING if result is None else f"{result:.{digits}f}"


def figure(value: Any, metric: Metric) -> str:
    """A metric's value alone."""
    if number(value) is None:
        return "not defined"
    return percent(value) if metric.share else decimal(value)


def bounds(entry: Mapping[str, Any], metric: Metric) -> str:
    """A metric's interval as `91.0 to 96.3`, empty when there is none."""
    lo, hi = number(entry.get("lo")), number(entry.get("hi"))
    if lo is None or hi is None:
        return ""
    low, high = (percent(end, unit=False) if metric.share else decimal(end) for end in (lo, hi))
    return f"{low}{SPACE}to{SPACE}{high}"


def estimate(entry: Mapping[str, Any], metric: Metric) -> str:
    """A metric with its interval as `94.1 % (91.0 to 96.3)`."""
    interval = bounds(entry, metric)
    return figure(entry.get("value"), metric) + (f" ({interval})" if interval else "")


def limits(row: Mapping[str, Any], name: str) -> str:
    """The interval of a share in a row, from the columns `<name>_lo` and `<name>_hi`, a dash where there is none."""
    return bounds({"lo": row.get(f"{name}_lo"), "hi": row.get(f"{name}_hi")}, METRICS["accuracy"]) or NOTHING


def duration(value: Any) -> str:
    """Seconds as people say them: `0.42 s`, `8.1 s`, `3 min 12 s`, `2 h 05 min`."""
    seconds = number(value)
    if seconds is None:
        return NOTHING
    if seconds < 59.5:
        return f"{seconds:.{2 if seconds < 1 else 1 if seconds < 10 else 0}f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{SPACE}min" + (f" {rest}{SPACE}s" if rest else "")
    return f"{minutes // 60}{SPACE}h {minutes % 60:02d}{SPACE}min"


def size(value: Any) -> str:
    """Megabytes with one decimal."""
    megabytes = number(value)
    if megabytes is None:
        return NOTHING
    return f"<{SPACE}0.1{SPACE}MB" if 0 < megabytes < 0.05 else f"{megabytes:.1f}{SPACE}MB"


def moment(value: Any) -> str:
    """A time from ISO 8601 as `2 March 2026, 09:22 UTC`; anything else is shown as it stands."""
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return cell(value)
    zone = f" {time.tzname()}" if time.tzinfo else ""
    return f"{time.day} {MONTHS[time.month - 1]} {time.year}, {time:%H:%M}{zone}"


def counted(count: float, noun: str, plural: str = "") -> str:
    """A count with its noun in the right number: `1 image`, `3 images`, `2 classes`."""
    return f"{whole(count)} {in_number(count, noun, plural)}"


def cell(value: Any) -> str:
    """Any JSON value as the text of a table cell."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {cell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value) or NOTHING
    return str(value)
