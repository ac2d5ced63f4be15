"""Ways to a model that says how much of its doubt more data could take away: ensembles and posteriors of weights."""

from linnaea.learning.uncertainty.choosing import collects, read, steps_with_members
from linnaea.learning.uncertainty.contract import UNCERTAINTIES, Method

__all__ = ["UNCERTAINTIES", "Method", "collects", "read", "steps_with_members"]
