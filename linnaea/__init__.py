"""Linnaea: a folder of images in, a classifier you can defend out.

Nothing heavy is imported before it is used: `import linnaea` loads neither torch nor numpy. The verbs, such as
`linnaea.train`, are made from their functions in `linnaea.verbs`; what type checkers and editors see of them is written
to `__init__.pyi` by `python -m linnaea.verbs.stub`.
"""

from typing import Any

from linnaea.runtime.lazily import lazily

_HOMES = {
    "Classifier": "linnaea.classifier",
    "Dataset": "linnaea.dataset",
    "Estimate": "linnaea.finding",
    "Finding": "linnaea.finding",
    "ImageClassifier": "linnaea.estimator",
    "LinnaeaError": "linnaea.errors",
    "Predictions": "linnaea.predictions",
    "Run": "linnaea.run",
    "load": "linnaea.classifier",
}
_member = lazily(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("linnaea")
    if name == "__all__":
        return __dir__()
    if name.startswith("_") or name in _HOMES:
        return _member(name)
    from linnaea.verbs.calling import in_python
    from linnaea.verbs.contract import VERBS

    if name not in VERBS:
        return _member(name)
    verb = globals()[name] = in_python(name, VERBS[name])
    return verb


def __dir__() -> list[str]:
    from linnaea.verbs.contract import VERBS

    return sorted([*_HOMES, *VERBS])
