"""Scores of very many images: part after part into files, which a killed scoring goes on from, here or on a cluster."""

from linnaea.experiments.scoring.carrying_out import Scored, score

__all__ = ["Scored", "score"]
