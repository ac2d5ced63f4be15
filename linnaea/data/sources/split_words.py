"""Words for splits: which folder or cell means train, val or test."""

import re
from collections import Counter
from collections.abc import Iterable

WORDS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "validate", "vld", "dev", "devel", "development"),
    "test": ("test", "testing", "tst", "holdout", "heldout"),
}
EITHER = ("eval", "evaluation")  # test where nothing else is, else val
UNLABELLED = ("predict", "prediction", "predictions", "pred", "inference", "unlabeled", "unlabelled", "submission")
FILLING = ("set", "data", "dataset", "split", "folder", "image", "images", "img", "imgs", "photos", "pictures", "ds")
TOKENS = re.compile(r"[^\W\d_]+")
SPLIT_OF = {word: split for split, words in WORDS.items() for word in words}
GLUED = re.compile(rf"^({'|'.join((*SPLIT_OF, *EITHER))})(set|data|dataset|images)$")
_APART = (("hold out", "holdout"), ("held out", "heldout"))


def split_of(name: str) -> str | None:
    """The split that a name means by itself, such as `Train`, `training_set`, `tst` or `val2017`; None if none."""
    return splits_among([name]).get(name)


def is_unlabelled(name: str) -> bool:
    """Whether a name is one of those for images to be answered, which have no labels."""
    return any(token in UNLABELLED for token in _tokens(name))


def splits_among(names: Iterable[str]) -> dict[str, str]:
    """The splits among names that stand side by side; those that mean none are left out.

    Beside the word for a split a name may hold a number and words such as `set` or `images`, and whatever else the
    other splits hold too (`seg_train`, `seg_test`), so that the classes `bullet train` and `test tube` are none. `eval`
    is test where there is no other test, else val.
    """
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name in names:
        tokens = [token for token in _tokens(name) if token not in FILLING]
        words = [token for token in tokens if token in SPLIT_OF or token in EITHER]
        if len(words) == 1:
            found[name] = words[0], tuple(token for token in tokens if token != words[0])
    rests = Counter(rest for _, rest in found.values() if rest)
    kept = {name: word for name, (word, rest) in found.items() if not rest or rests[rest] > 1}
    other = "val" if "test" in {SPLIT_OF.get(word) for word in kept.values()} else "test"
    return {name: SPLIT_OF.get(word, other) for name, word in kept.items()}


def _tokens(name: str) -> list[str]:
    """The words of a name in small letters; `trainset` is two."""
    text = " ".join(TOKENS.findall(name.lower()))
    for apart, together in _APART:
        text = text.replace(apart, together)
    return [part for token in text.split() for part in _unglued(token)]


def _unglued(token: str) -> tuple[str, ...]:
    glued = GLUED.match(token)
    return (glued[1], glued[2]) if glued else (token,)
