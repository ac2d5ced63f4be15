"""Which images were labelled: any, as likely as the next, or those that somebody chose for what they show."""

from collections.abc import Sequence

import numpy as np

from linnaea.arrays import Flags, Floats
from linnaea.delivery.monitoring.seen import Seen


def labelled_in(seen: Seen) -> Flags:
    """Whether each image has a label (n,)."""
    return np.array([one is not None for one in seen.truth] if len(seen.truth) else np.zeros(len(seen)), dtype=bool)


def evenly_labelled(parts: Sequence[Seen], seed: int = 0) -> tuple[list[Seen], bool]:
    """The same, with labels that say of all images what they say of their own, and whether that is known of them.

    It is where all images from one to another are labelled, whatever they show; and where the chance of each is known:
    of labels that were likelier than the least likely, so many are left out by chance that all are as likely.
    """
    if not parts:
        return [], True
    labelled = np.concatenate([labelled_in(one) for one in parts])
    if not labelled.any():
        return list(parts), True
    chances = np.concatenate([_chances(one) for one in parts])[labelled]
    if not np.isfinite(chances).all():
        return list(parts), nobody_chose(parts)
    least, random = float(chances.min()), np.random.default_rng((seed, 3))
    return [_thinned(one, least, random) for one in parts], True


def nobody_chose(parts: Sequence[Seen]) -> bool:
    """Whether all images that can be read, from the first that has a label to the last, have one."""
    labelled, readable = (np.concatenate([of(one) for one in parts]) for of in (labelled_in, _readable))
    places = np.flatnonzero(labelled)
    return not len(places) or bool((labelled | ~readable)[places[0] : places[-1] + 1].all())


def _readable(seen: Seen) -> Flags:
    return np.asarray(seen.readable, dtype=bool)


def _chances(seen: Seen) -> Floats:
    return np.full(len(seen), np.nan) if seen.chances is None else np.asarray(seen.chances, dtype=np.float64)


def _thinned(seen: Seen, least: float, random: np.random.Generator) -> Seen:
    kept = random.random(len(seen)) * _chances(seen) < least  # never where the chance is unknown: there is no label
    truth = [one if keep else None for one, keep in zip(seen.truth, kept.tolist(), strict=True)] if seen.truth else ()
    return seen.with_(truth=truth)
