"""The contract of a page of the report, and what it is made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from linnaea.delivery.report import origins
from linnaea.delivery.report.folder import Folder, Part, mapping
from linnaea.delivery.report.tables import Evaluation, evaluation_of
from linnaea.delivery.report.verdict import Verdict, verdict_of
from linnaea.registry import Registry


@dataclass(frozen=True)
class Material:
    """What lies in a run folder, read once: each piece is there, or says why it is not."""

    folder: Folder
    evaluation: Evaluation
    ladder: Part
    manifest: Part
    audit: Part
    export: Part
    classifier: Part
    verdict: Verdict

    @classmethod
    def of(cls, folder: Folder) -> "Material":
        """Read the files of a run folder."""
        evaluation, ladder, audit = evaluation_of(folder), folder.csv("ladder.csv"), folder.findings("audit")
        export = folder.findings("export", "The classifier was not exported, or not from this run folder.")
        return cls(
            folder=folder,
            evaluation=evaluation,
            ladder=ladder,
            manifest=folder.read("manifest.csv", partial(origins.read_manifest, several=folder.several)),
            audit=audit,
            export=export,
            classifier=folder.json("model/classifier.json"),
            verdict=verdict_of(folder, evaluation, ladder, audit, export),
        )

    @property
    def described(self) -> Mapping[str, Any]:
        """What classifier.json says of the classifier, empty where there is none."""
        return mapping(self.classifier.content)

    @property
    def seal(self) -> str:
        """How often the test split was opened."""
        return origins.seal_sentence(self.folder)


Page = Callable[[Material], Part | None]
"""Makes a page from a run, or None where the run has none.

It is drawn by the template `NAME.html` beside its module; without one its content is a list of findings, as
`report.found.listed` makes it. Capabilities: `tasks`, those it is for if not for all; `draws`, the findings of the
evaluation that it shows, so that they are not listed again under "Further findings".
"""

PAGES: Registry[Page] = Registry(
    "page of the report", "linnaea.delivery.report.pages", title="Pages of the report", use="Shown in `report.html`."
)
