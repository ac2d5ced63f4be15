"""How the run was made."""

from linnaea.delivery.report import origins
from linnaea.delivery.report.folder import Part, listing, mapping
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import number


@PAGES.register("made", title="How it was made", order=190)
def made(material: Material) -> Part:
    """What run.json says about how the run was made, and the files of the folder."""
    folder = material.folder
    run = folder.run
    groups = {
        "Arguments": mapping(run.get("arguments")),
        "Execution plan": mapping(run.get("plan")),
        "Machine": mapping(run.get("machine")),
        "Versions": mapping(run.get("versions")),
    }
    timings = [(str(stage), number(value)) for stage, value in mapping(run.get("timings")).items()]
    longest = max((seconds for _, seconds in timings if seconds is not None), default=0)
    content = {
        "groups": {title: origins.facts(content) for title, content in groups.items()},
        "timings": [(stage, seconds, 100 * (seconds or 0) / longest if longest else 0) for stage, seconds in timings],
        "opened": [entry for entry in listing(run.get("test_opened")) if isinstance(entry, dict)],
        "notes": [str(note) for note in listing(run.get("notes"))],
        "contents": folder.contents(),
    }
    return Part(content)
