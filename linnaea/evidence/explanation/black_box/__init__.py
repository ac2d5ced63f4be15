"""Explanations by covering parts of an image: they ask only for answers, and so explain every classifier."""
