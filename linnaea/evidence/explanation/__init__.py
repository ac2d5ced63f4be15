"""Why it answers so: explainers, and the classifier as they see it."""

from typing import TYPE_CHECKING

from linnaea.runtime.lazily import lazily

if TYPE_CHECKING:
    from linnaea.evidence.explanation.contract import EXPLAINERS, Example, Examples, Maps, Settings
    from linnaea.evidence.explanation.running import fitting_explainers, require_fitting, run_explainer
    from linnaea.evidence.explanation.subject import Subject

_CONTRACT = ("EXPLAINERS", "Example", "Examples", "Maps", "Settings")
_RUNNING = ("fitting_explainers", "require_fitting", "run_explainer")

__all__ = [
    "EXPLAINERS",
    "Example",
    "Examples",
    "Maps",
    "Settings",
    "Subject",
    "fitting_explainers",
    "require_fitting",
    "run_explainer",
]

__getattr__ = lazily(
    __name__,
    {
        **dict.fromkeys(_CONTRACT, "linnaea.evidence.explanation.contract"),
        **dict.fromkeys(_RUNNING, "linnaea.evidence.explanation.running"),
        "Subject": "linnaea.evidence.explanation.subject",
    },
)
