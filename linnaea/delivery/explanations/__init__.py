"""Explanations as people look at them: a picture for each, one file of arrays, one page."""

from linnaea.delivery.explanations.pictures import Drawing, overlay
from linnaea.delivery.explanations.sheets import ExplainedImage, Panel, Sheet

__all__ = ["Drawing", "ExplainedImage", "Panel", "Sheet", "overlay"]
