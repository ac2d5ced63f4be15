"""What maps have in common: where mistakes look, where right answers look, and shortcuts that many images share."""

from linnaea.evidence.explanation.aggregates.mistakes import Answered, where_mistakes_look
from linnaea.evidence.explanation.aggregates.places import PLACES, mass_by_place, mean_map
from linnaea.evidence.explanation.aggregates.shortcuts import where_classes_look

__all__ = ["PLACES", "Answered", "mass_by_place", "mean_map", "where_classes_look", "where_mistakes_look"]
