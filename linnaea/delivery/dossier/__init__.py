"""The dossier of a run: one printable document for those who must decide whether the classifier may be used."""

from linnaea.delivery.dossier.contract import ANNEX, CARD, SECTIONS, Block, Section, Sources
from linnaea.delivery.dossier.writing import write_dossier

__all__ = ["ANNEX", "CARD", "SECTIONS", "Block", "Section", "Sources", "write_dossier"]
