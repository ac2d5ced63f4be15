"""Models that answer by several members: how far these disagree tells what more data could teach."""

from linnaea.models.ensembles.mixture import PARTS, Mixture

__all__ = ["PARTS", "Mixture"]
