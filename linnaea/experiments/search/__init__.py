"""Searching for good options: trials of one step of a ladder, the best of which becomes a run.

A search is a function of a `Hunt`, registered under its name.
"""
