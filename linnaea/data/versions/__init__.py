"""Versions of a dataset: which image of one is which of the other, and what changed."""
