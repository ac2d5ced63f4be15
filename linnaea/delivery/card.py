"""The model card: `README.md` beside the weights, in the sections of Mitchell et al. 2019."""

from pathlib import Path
from typing import Any

from linnaea.runtime.files import read_json, write_text

FILL_IN = "*Not stated by the owner: write it here.*"


def write_card(run: Path) -> Path:
    """Write `model/README.md` from the run's record, metrics and classifier."""
    record, bundle = read_json(run / "run.json"), read_json(run / "model" / "classifier.json")
    figures = read_json(run / "metrics.json")
    split = "test" if "test" in figures else "val"
    data, policy = record["dataset"], bundle["policy"]
    classes = ", ".join(bundle["classes"][:20]) + (", ..." if len(bundle["classes"]) > 20 else "")
    sections = [
        f"# {run.name}: a {bundle['task']} image classifier",
        f"Answers with one of {len(bundle['classes'])} classes: {classes}.",
        "## Intended use",
        FILL_IN,
        "## Provenance of the data",
        f"{data['images']} images ({', '.join(f'{count} {name}' for name, count in data['splits'].items())}), "
        f"{data['excluded']} left out. Fingerprint `{data['fingerprint']}`. Collection, labelling, licence: {FILL_IN}",
        "## Training",
        f"{record['chosen_because']} Made by Linnaea {record['linnaea']}: `{record['command']}`.",
        *(f"- {note}" for note in [*record["notes"], *bundle["provenance"].get("notes", [])]),
        f"## Evaluation on {split}",
        "\n".join(_figure_rows(figures[split])),
        "## Limits",
        f"It knows no other classes than those above. It is unsure below a confidence of "
        f"{policy['confidence_threshold']:.3f} (set to reject {policy['unsure_rate']:.0%} of known images) and calls "
        f"{policy['unfamiliar_rate']:.0%} of known images unfamiliar. Its sets hold the truth in about "
        f"{policy['coverage']:.0%} of images like the {policy['n']} it was calibrated on, or more. All figures hold "
        f"for images like these, and for no others. {FILL_IN}",
    ]
    return write_text(run / "model" / "README.md", "\n\n".join(sections) + "\n")


def _figure_rows(figures: dict[str, dict[str, Any]]) -> list[str]:
    rows = ["| figure | value | 95 % interval | images |", "|---|---|---|---|"]
    for name, figure in figures.items():
        value = "not defined" if figure["value"] is None else f"{figure['value']:.4f}"
        interval = "" if figure["lo"] is None else f"{figure['lo']:.4f} to {figure['hi']:.4f}"
        rows.append(f"| {name} | {value} | {interval} | {figure['n']} |")
    return rows
