"""How many labels are wrong, and which: label noise fitted to what a classifier says of images it never saw."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from linnaea.arrays import Float64, Integers
from linnaea.data.audit.contract import Judge
from linnaea.data.audit.noise_model import LARGEST, Fitted, Noise, fit, given_labels, start_from
from linnaea.finding import Estimate
from linnaea.statistics.spread import Z

FAINTEST = 1e-9  # probability; keeps logarithms finite
MOST_FITTED, LEAST_FITTED = 5_000, 1_500  # images that the noise is fitted on
MOST_SCORES = 150_000  # of these, as long as the least are left
MOST_PAIRED = 50  # classes of which pairs may be exchanged
STARTS = ((1.2, 0.02), (3.0, 0.3))  # sharpness and rate of wrong labels: nearly all are right, or many are wrong
SHARPER = (1.0, 4.0)  # times the sharpness that was found, from where another is sought
PLACES, HALVINGS = (0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.96), 4
CHANCE = 0.05  # of seeing one class taken for another among all pairs of classes
SEEN = 3.0  # standard errors by which two classes must be told apart
FAINT = 0.01  # share of wrong labels that the upper limit is sought with where none are seen
BEYOND = Z**2 / 2  # loss of log-likelihood at the limits of a 95 % interval
SURE = 3.32  # the same of a 99 % interval


@dataclass(frozen=True)
class LabelNoise:
    """What the labels of N images in K classes look like: `rate`, the share that is wrong, with its interval.

    It is `certain` that not every label is right where the likelihood says so at the level of 1 %. `agreed` is the
    share of labels that the judge names, `right` (N,) the probability that a label is right, given the image and the
    label, `looks_like` (N,) the most probable class other than the label.
    """

    rate: Estimate
    certain: bool
    agreed: float
    right: Float64
    looks_like: Integers

    @property
    def wrong(self) -> Float64:
        """The probability (N,) that a label is wrong."""
        return np.asarray(1 - self.right)


def label_noise(judge: Judge, targets: Integers) -> LabelNoise:
    """Fit the noise of labels (N,) to the probabilities (N, K) that a judge gives out of sample, by maximum likelihood.

    Classes that overlap and labels that are wrong both make a calibrated classifier unsure. They differ in the surest
    images: where every label is right, disagreement fades as the classifier becomes surer; labels wrong by chance
    leave a floor (Northcutt et al. 2021, "Confident learning"; Patrini et al. 2017). So the classifier is sharpened
    and a noise matrix fitted together, by expectation maximisation; a pair of classes has a rate of its own only where
    chance would not show one. The interval is that of the profile likelihood. Where some labels must be wrong, a
    second judge learns from labels of which those more likely wrong than right were replaced, and says which are.
    """
    logs = _logarithms(judge(targets))
    agreed = float((logs.argmax(axis=1) == targets).mean())
    most = min(MOST_FITTED, max(LEAST_FITTED, MOST_SCORES // logs.shape[1]))
    rows = np.sort(np.random.default_rng(0).permutation(len(targets))[:most])
    fitted, *others = _optima(logs[rows], targets[rows])
    limits = [_interval(logs[rows], targets[rows], entry, fitted.likelihood) for entry in (fitted, *others)]
    lo, hi = min(low for low, _ in limits), max(high for _, high in limits)
    rate = Estimate(_rate(fitted, targets[rows]), lo, hi, len(targets), "profile likelihood of label noise")
    right, looks_like = _told(fitted.noise, logs, targets)
    clean = _likelihood(fitted.noise.times(0.0), logs[rows], targets[rows])
    certain = fitted.likelihood - clean >= SURE
    if not certain:
        return LabelNoise(rate, certain, agreed, right, looks_like)
    logs = _logarithms(judge(np.where(right < 0.5, looks_like, targets)))
    again = _seen_anew(fitted.noise, logs[rows], targets[rows]).noise
    return LabelNoise(rate, certain, agreed, *_told(again, logs, targets))


def _logarithms(probabilities: npt.NDArray[np.floating]) -> Float64:
    return np.asarray(np.log(np.maximum(probabilities.astype(np.float64), FAINTEST)))


def _told(noise: Noise, logs: Float64, targets: Integers) -> tuple[Float64, Integers]:
    """The probability of each label (N,) to be right, and the most probable other class (N,)."""
    classes = given_labels(noise, logs, targets)[0]
    right = noise.right(classes, targets)
    classes[np.arange(len(targets)), targets] = -1.0
    return right, classes.argmax(axis=1)


def worth_a_look(right: Float64, precision: float = 0.5) -> Integers:
    """The labels with the least probability `right` (N,) of being right, the least first, as far as it is worth it.

    That is where the expected F1 of the list is highest (Ye et al. 2012), but at least a share of `precision` of the
    list is expected to be wrong.
    """
    order = np.argsort(right, kind="stable")
    wrong = np.cumsum(1 - right[order])
    length = np.arange(1, len(order) + 1)
    score = np.where(wrong >= precision * length, 2 * wrong / (length + wrong[-1]), 0.0)
    return np.asarray(order[: int(score.argmax()) + 1] if score.any() else order[:0])


def _optima(logs: Float64, targets: Integers) -> list[Fitted]:
    """The noise of the highest likelihood, then others of which the likelihood is hardly lower."""
    count, found = logs.shape[1], []
    for sharpness, rate in STARTS:
        found.append(fit(start_from(count, sharpness, rate), logs, targets))
        if 2 < count <= MOST_PAIRED:
            fitted = fit(start_from(count, sharpness, rate / 2, rate / 2), logs, targets)
            found.append(_without_chance(fitted, logs, targets))
    found.sort(key=lambda fitted: _cost(fitted.noise) - fitted.likelihood)
    best = found[0]
    best = replace(best, noise=replace(best.noise, alike=_alike(best.noise, logs, targets)))
    apart = [
        replace(entry, noise=replace(entry.noise, alike=best.noise.alike))
        for entry in found[1:]
        if entry.likelihood >= best.likelihood - BEYOND and abs(_rate(entry, targets) - _rate(best, targets)) > FAINT
    ]
    return [best, *apart[:1]]


def _rate(fitted: Fitted, targets: Integers) -> float:
    return float(1 - fitted.noise.right(fitted.classes, targets).mean())


def _alike(noise: Noise, logs: Float64, targets: Integers) -> npt.NDArray[np.bool_]:
    """Which classes taken for each other (K, K) look alike to the classifier, so that neither label need be wrong."""
    alike = np.zeros_like(noise.alike)
    for pair in {(min(pair), max(pair)) for pair in np.argwhere(noise.taken_for).tolist()}:
        alike[pair] = alike[pair[::-1]] = not _mistaken(noise, logs, targets, pair)
    return alike


def _mistaken(noise: Noise, logs: Float64, targets: Integers, pair: tuple[int, int]) -> bool:
    """Whether two classes are told apart and their labels still exchanged, judged by the images of these two alone.

    A classifier may be sure of most classes and blind for two: then labels and what it sees of these two are
    independent. It may see them less clearly than others: then half the sharpness explains the labels, or any, where
    they have no floor.
    """
    rows = np.flatnonzero(np.isin(logs.argmax(axis=1), pair) & np.isin(targets, pair))
    two, names = logs[rows][:, list(pair)], (targets[rows] == pair[1]).astype(np.int64)
    exchanged = np.array([noise.taken_for[pair], noise.taken_for[pair[::-1]]]) + noise.anywhere
    sizes = np.maximum(np.bincount(names, minlength=2), 1)
    if 1 - exchanged.sum() < SEEN * np.sqrt((exchanged * (1 - exchanged) / sizes).sum()):
        return False
    enough = np.log(max(2, len(noise.bias) * (len(noise.bias) - 1)) / CHANCE)
    plain = fit(start_from(2, 1.0, 0.0), two, names)
    clearer = replace(plain.noise, sharpness=max(plain.noise.sharpness, noise.sharpness / 2))
    with_floor = max(fit(start_from(2, sharp, rate / 2, rate / 2), two, names).likelihood for sharp, rate in STARTS)
    return bool(max(with_floor, plain.likelihood) - given_labels(clearer, two, names)[1] >= enough)


def _cost(noise: Noise) -> float:
    """Log-likelihood that pairs of classes must gain: that many are looked at."""
    count = len(noise.bias)
    return float(np.log(max(2, count * (count - 1)) / CHANCE) * np.count_nonzero(noise.taken_for))


def _without_chance(fitted: Fitted, logs: Float64, targets: Integers) -> Fitted:
    """Drop pairs of classes, those of the fewest images first, as long as the likelihood does not tell."""
    dropped = max(1, int(np.count_nonzero(fitted.noise.taken_for)) // 2)
    while fitted.noise.taken_for.any():
        images = fitted.noise.taken_for * fitted.classes.sum(axis=0)[:, None]
        least = float(np.sort(images[images > 0])[:dropped][-1])
        fewer = replace(fitted.noise, taken_for=np.where(images > least, fitted.noise.taken_for, 0.0))
        simpler = fit(fewer, logs, targets)
        if simpler.likelihood - _cost(simpler.noise) >= fitted.likelihood - _cost(fitted.noise):
            fitted = simpler
            dropped = max(1, int(np.count_nonzero(fitted.noise.taken_for)) // 2)
        elif dropped == 1:
            break
        else:
            dropped //= 2
    return fitted


def _interval(logs: Float64, targets: Integers, fitted: Fitted, highest: float) -> tuple[float, float]:
    """The 95 % limits of the share of wrong labels: the noise is made larger and smaller, the rest fitted again."""
    noise, rate = fitted.noise, _rate(fitted, targets)
    here = 1.0
    if rate < FAINT / 10:
        overlap = np.where(noise.alike, noise.taken_for, 0.0)
        noise, rate, here = replace(noise, anywhere=FAINT, taken_for=overlap), FAINT, 0.0

    def likely(factor: float) -> bool:
        return _likelihood(noise.times(factor), logs, targets) >= highest - BEYOND

    most = max(here, LARGEST / float(noise.other.max()))
    return _edge(likely, here, 0.0) * rate, min(1.0, _edge(likely, here, most) * rate)


def _edge(likely: Callable[[float], bool], inside: float, outside: float) -> float:
    """The farthest place from `inside` to `outside` that is likely; there may be unlikely ones between."""
    places = [outside + (inside - outside) * place**2 for place in PLACES]
    first = next((number for number, place in enumerate(places) if likely(place)), len(places))
    if first == 0:
        return outside
    near, far = (inside, places[-1]) if first == len(places) else (places[first], places[first - 1])
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        near, far = (middle, far) if likely(middle) else (near, middle)
    return (near + far) / 2


def _likelihood(noise: Noise, logs: Float64, targets: Integers) -> float:
    return _seen_anew(noise, logs, targets).likelihood


def _seen_anew(noise: Noise, logs: Float64, targets: Integers) -> Fitted:
    """The same noise with what the classifier sees fitted again, from as sharp as it was or sharper."""
    starts = [replace(noise, sharpness=noise.sharpness * factor) for factor in SHARPER]
    return max((fit(start, logs, targets, free=False) for start in starts), key=lambda entry: entry.likelihood)
