"""`compare`: classifiers on the same images; runs by what they left, which needs no torch."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Option
from linnaea.options.checks import each_run, run, share, source
from linnaea.options.things import AsJson, Trusted
from linnaea.runtime.saying import say
from linnaea.verbs.contract import VERBS, tell_result, told_by

if TYPE_CHECKING:
    from linnaea.dataset import Dataset
    from linnaea.evidence.comparison.many import Comparisons
    from linnaea.evidence.comparison.over_datasets import DatasetComparisons
    from linnaea.evidence.comparison.two import Comparison


def tell(answer: Callable[[], Any], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Say what was and was not shown, and where it was written."""
    tell_result(answer, given, as_json=as_json)
    if given["out"] is not None and not as_json:
        say(f"Written: {Path(given['out']) / 'comparison.html'} and comparison.json beside it.")


@VERBS.register(
    "compare",
    title="Compare",
    meaning="Compare two or more classifiers on the same images with paired tests.",
    order=54,
)
@told_by(tell)
def compare(
    first: Annotated[str | Path, Option("Folder of a run, a bundle or an export, or a file of predictions.", run)],
    second: Annotated[str | Path, Option("What to compare it with, of the same kinds.", run)],
    others: Annotated[
        Sequence[str | Path], Option("Further ones, of the same kinds.", each_run, read=Path, many=True, plain=True)
    ] = (),
    *,
    data: Annotated[
        "str | Path | Dataset | None",
        Option("Labelled images to compare them on. Default: the test split of the run.", source),
    ] = None,
    metric: Annotated[
        str | None, Option("What to judge them by, such as roc_auc_ovr. Default: the metric of the task.")
    ] = None,
    margin: Annotated[
        float | None,
        Option(
            "A difference that would not matter, such as 0.01 for a point: is one worse by less? Default: not asked.",
            share(0.01),
        ),
    ] = None,
    out: Annotated[
        Path | None, Option("Folder for the page comparison.html and comparison.json. Default: none.", read=Path)
    ] = None,
    trust: Trusted = (),
) -> "Comparison | Comparisons | DatasetComparisons":
    """Compare two or more classifiers on the images that all of them have; see `linnaea.evidence.compare`.

    Runs and files of predictions (`.parquet`) are compared by what they hold; a bundle or an exported folder answers
    for the images that the run beside it was judged on. With `data` all answer for these images, without those that a
    run was trained or tuned on. A folder that holds several runs is one classifier: trained with several seeds, where
    all its runs were judged on the same images, or judged on several data sets. Of two, all metrics are told; of more,
    or with `metric`, `margin` or `out`, every pair is tested by one metric and corrected for their number. Runs with
    `--folds` or `--seeds` are compared over these too. A comparison on a test split counts as a look at it. Where keys
    are to `trust`, one of them must have signed each classifier; files of predictions are not signed. Raises
    DataError where they have no image, task or classes in common, UsageError for a metric that does not apply.
    """
    from linnaea.classifier.signature import trusting
    from linnaea.experiments.comparing import compare_all
    from linnaea.experiments.contenders import require_all_signed

    given = [first, second, *others]
    with trusting(trust or None) as keys:
        if trust:
            require_all_signed(given, keys)
        return compare_all(given, data, metric=metric, margin=margin, out=out)
