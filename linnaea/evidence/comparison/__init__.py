"""Comparison: two classifiers, or many, on the same images, over trainings, or over data sets."""
