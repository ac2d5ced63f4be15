"""Features of one image: HOG, colours, DAISY, SIFT, SURF, ORB."""

from linnaea.models.classical.features.contract import FEATURES, Feature

__all__ = ["FEATURES", "Feature"]
