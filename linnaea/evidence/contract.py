"""The contract of figures beside the metrics: what a policy did, and how well unknown images are recognised."""

from collections.abc import Callable
from typing import Any

from linnaea.registry import Registry

FIGURES: Registry[Callable[..., Any]] = Registry(
    "figure",
    "linnaea.evidence",
    title="Figures beside the metrics",
    use="Of the decisions of a policy, and of unknown images.",
)
"""Functions that make a figure of whatever it is made of. Capabilities, as those of metrics: `share`, shown in percent;
`bounded=False` where it does not lie between 0 and 1."""
