"""Classical pipelines: a feature of the image, maybe encoded by a vocabulary, and a head on it, each of a registry.

`hog+svm` is a feature and a head, `bovw:sift+svm` an encoding, a feature and a head. What libraries fit is kept as
arrays, and answers here without them.
"""

from linnaea.models.classical.encodings import ENCODINGS, Encoding
from linnaea.models.classical.features import FEATURES, Feature
from linnaea.models.classical.heads import HEADS, Head, Samples

__all__ = ["ENCODINGS", "FEATURES", "HEADS", "Encoding", "Feature", "Head", "Samples"]
