"""Where the figures of a run lie."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from linnaea.finding import Estimate, Finding
from linnaea.runtime.files import read_json, write_json


def keep_figures(folder: Path, name: str, figures: Mapping[str, Estimate], findings: Sequence[Finding]) -> None:
    """Write `findings/<name>.json` and the entry `name` of `metrics.json`, each atomically; other entries stay."""
    path = folder / "metrics.json"
    known = read_json(path) if path.exists() else {}
    write_json(folder / "findings" / f"{name}.json", [finding.to_json() for finding in findings])
    write_json(path, known | {name: {key: asdict(figure) for key, figure in figures.items()}})


def figures_in(folder: Path, name: str) -> dict[str, Estimate]:
    """The entry `name` of `metrics.json`; nothing where there is none."""
    path = folder / "metrics.json"
    known = read_json(path) if path.exists() else {}
    return {key: Estimate(**figure) for key, figure in known.get(name, {}).items()}
