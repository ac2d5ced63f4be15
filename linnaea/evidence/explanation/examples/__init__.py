"""Explanations by other images: near ones, typical ones, and those that taught the classifier to answer so."""
