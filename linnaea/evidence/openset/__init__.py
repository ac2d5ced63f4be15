"""Open-set recognition: scores of unfamiliarity, fitted and judged, and the grouping of unfamiliar images."""

from linnaea.evidence.openset.figures import openset_figures
from linnaea.evidence.openset.fitting import DEFAULT, fit_familiarity, require_score

__all__ = ["DEFAULT", "fit_familiarity", "openset_figures", "require_score"]
