"""Splits that cannot leak: duplicates and groups are never torn apart, however the rest is dealt out.

A splitter is a function from a `Deal` (images in whole units, and the shares of the parts) to the part of each image,
registered under its name.
"""

from linnaea.data.splits.assignment import default_fractions, fill_splits, require_all, split
from linnaea.data.splits.contract import SPLITTERS, Deal, Dealt, Splitter
from linnaea.data.splits.folds import assign_folds, each_fold, given_folds, random_folds, with_folds
from linnaea.data.splits.mix import changed_mix

__all__ = [
    "SPLITTERS",
    "Deal",
    "Dealt",
    "Splitter",
    "assign_folds",
    "changed_mix",
    "default_fractions",
    "each_fold",
    "fill_splits",
    "given_folds",
    "random_folds",
    "require_all",
    "split",
    "with_folds",
]
