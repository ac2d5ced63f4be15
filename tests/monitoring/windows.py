"""Images made up for the tests of drift: features, logits that depend on them, looks."""

import numpy as np
from scipy.special import softmax

from linnaea.delivery.monitoring import Seen

CLASSES = ("ant", "bee", "fly")


def made(count, seed=0, *, shift=0.0, darker=0.0, mix=None, dimensions=6, scores=True):
    """So many images; `shift` moves the first features, `darker` takes light away, `mix` are shares of the classes."""
    random = np.random.default_rng(seed)
    kinds = random.choice(3, count, p=mix or [1 / 3] * 3)
    features = random.standard_normal((count, dimensions)).astype(np.float32)
    features[np.arange(count), kinds] += 3
    features[:, 3:5] += shift
    logits = 2.0 * features[:, :3]
    probabilities = softmax(logits, axis=1)
    return Seen(
        ids=[f"{seed}/{row}" for row in range(count)],
        logits=logits.astype(np.float64),
        confidence=probabilities.max(axis=1).astype(np.float64),
        ood_scores=-logits.max(axis=1).astype(np.float64),
        labels=[CLASSES[place] for place in probabilities.argmax(axis=1)],
        sets=[[name for name, share in zip(CLASSES, row, strict=True) if share > 0.1] for row in probabilities],
        reasons=["ok" if score > 3 else "unfamiliar" for score in logits.max(axis=1)],
        times=np.arange(count, dtype=np.float64),
        looks={
            "brightness": random.normal(0.5 - darker, 0.1, count),
            "sharpness": random.gamma(3, 1, count),
            "width": np.full(count, 640.0),
        },
        features=features if scores else None,
        slices={"key": ["north" if row % 2 else "south" for row in range(count)]},
    )
