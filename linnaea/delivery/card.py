"""The model card: `README.md` beside the weights, in the sections of Mitchell et al. 2019."""

from pathlib import Path
from typing import Any

from linnaea.data.datasheet import FILE, Datasheet, read_datasheet
from linnaea.finding import Finding, promises_in
from linnaea.runtime.files import read_json, write_text
from linnaea.runtime.neutral import code, in_markdown, neutral_lines

FILL_IN = "*Not stated by the owner: fill this in.*"
NO_DATASHEET = (
    "There is no datasheet: where the images come from, who labelled them, their licence, and what is "
    "known to be wrong with them are not stated. `linnaea datasheet DATA` writes one to fill in before training."
)
ELSEWHERE = ("intended_use", "unsuitable_use", "limits")  # in sections of their own


def write_card(run: Path) -> Path:
    """Write `model/README.md` from the run's record, metrics, classifier and datasheet."""
    record, bundle = read_json(run / "run.json"), read_json(run / "model" / "classifier.json")
    figures = read_json(run / "metrics.json")
    split = "test" if "test" in figures else "val"
    data, policy = record["dataset"], bundle["policy"]
    sheet = read_datasheet(run / FILE) if (run / FILE).is_file() else None
    sections = [
        f"# {in_markdown(run.name)}: a {bundle['task']} image classifier",
        f"{_answers(bundle)}{_decision(bundle)}",
        "## Intended use",
        *_uses(sheet),
        "## Provenance of the data",
        f"{data['images']} images ({', '.join(f'{count} {name}' for name, count in data['splits'].items())}), "
        f"{data['excluded']} left out. Fingerprint `{data['fingerprint']}`.",
        *_provenance(sheet),
        "## Training",
        f"{in_markdown(record['chosen_because'])} Made by Linnaea {record['linnaea']}: {code(record['command'])}.",
        *(f"- {in_markdown(note)}" for note in [*record["notes"], *bundle["provenance"].get("notes", [])]),
        f"## Evaluation on {split}",
        *_promises(run, split),
        "\n".join(_figure_rows(figures[split])),
        "## Limits",
        f"It knows only the classes above. It is unsure below a confidence of "
        f"{policy['confidence_threshold']:.3f} (set to reject {policy['unsure_rate']:.0%} of known images) and calls "
        f"{policy['unfamiliar_rate']:.0%} of known images unfamiliar. {_sets(bundle)} All figures hold for "
        f"images like these, and for no others. {sheet['limits'] if sheet and sheet['limits'] else FILL_IN}",
    ]
    return write_text(run / "model" / "README.md", neutral_lines("\n\n".join(sections)) + "\n")


def _promises(run: Path, split: str) -> list[str]:
    """Whether what was promised was kept, as a list of sentences."""
    path = run / "findings" / f"{split}.json"
    found = [Finding.from_json(entry) for entry in read_json(path)] if path.is_file() else []
    told = [f"- {in_markdown(finding.summary)}" for part in promises_in(found) for finding in part]
    return ["\n".join(told)] if told else []


def _answers(bundle: dict[str, Any]) -> str:
    """What it answers with, one of the classes or any number of them."""
    count, several = len(bundle["classes"]), bundle["task"] == "multilabel"
    named = ", ".join(map(in_markdown, bundle["classes"][:20])) + (", ..." if count > 20 else "")
    return f"Answers with {f'any of {count} labels, or none' if several else f'one of {count} classes'}: {named}."


def _sets(bundle: dict[str, Any]) -> str:
    """What its prediction sets promise."""
    coverage, like = bundle["policy"]["coverage"], f"images like the {bundle['policy']['n']} it was calibrated on"
    if bundle["task"] == "multilabel":
        return f"Its prediction sets miss at most {1 - coverage:.0%} of the labels of an image, on average over {like}."
    return f"Its prediction sets hold the truth in at least about {coverage:.0%} of {like}."


def _decision(bundle: dict[str, Any]) -> str:
    """Where thresholds decide: between which classes or for how many labels, and what they were chosen for."""
    thresholds, aim = bundle["policy"]["thresholds"], bundle["policy"]["aim"]
    if bundle["task"] == "hierarchical" and thresholds:
        return (
            f" Or with a group of them: the deepest one with a probability of at least {thresholds[0]:.4f}, chosen so "
            f"that {bundle['policy']['risk']:.0%} of the answers or fewer are expected to be wrong."
        )
    if bundle["task"] == "multilabel" and thresholds:
        return f" Each label is answered at or above its own threshold, chosen for {aim}."
    if bundle["task"] != "binary":
        return ""
    yes = f" The positive class is {in_markdown(bundle['classes'][1])}"
    return (
        f"{yes}, answered at a probability of {thresholds[0]:.4f} or more, chosen for {aim}."
        if thresholds
        else f"{yes}."
    )


def _uses(sheet: Datasheet | None) -> list[str]:
    if sheet is None or not sheet["intended_use"]:
        return [FILL_IN]
    return [sheet["intended_use"], *([f"Not meant for: {sheet['unsuitable_use']}"] if sheet["unsuitable_use"] else [])]


def _provenance(sheet: Datasheet | None) -> list[str]:
    """What the datasheet says of the data, and which of its questions nobody answered."""
    if sheet is None:
        return [NO_DATASHEET]
    told = [f"- **{key.replace('_', ' ')}**: {text}" for key, text in sheet.told(ELSEWHERE)]
    open_questions = ", ".join(key.replace("_", " ") for key in sheet.unanswered)
    return ["\n".join(told), f"Not answered in the datasheet: {open_questions or 'nothing'}."]


def _figure_rows(figures: dict[str, dict[str, Any]]) -> list[str]:
    rows = ["| figure | value | 95 % interval | images |", "|---|---|---|---|"]
    for name, figure in figures.items():
        value = "not defined" if figure["value"] is None else f"{figure['value']:.4f}"
        interval = "" if figure["lo"] is None else f"{figure['lo']:.4f} to {figure['hi']:.4f}"
        rows.append(f"| {name} | {value} | {interval} | {figure['n']} |")
    return rows
