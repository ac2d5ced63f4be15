"""Figures of groups of images, and the gaps between them."""

import numpy as np
import pytest
from scipy import stats

from linnaea.errors import DataError, UsageError
from linnaea.evidence.fairness import GAPS, judge_groups, slices_of
from linnaea.evidence.fairness.gaps import Facts
from linnaea.evidence.fairness.slicing import MISSING, OTHERS
from linnaea.evidence.metrics import scores_of
from linnaea.predictions import Predictions
from linnaea.statistics.between_groups import (
    confidence_for_pairs,
    largest_difference,
    means_of,
    p_of_groups,
    widened,
)

CLASSES = ("ant", "bee")


def answered(truth, answers, **columns):
    """Predictions of a yes-or-no question, each answered with a confidence of 0.9."""
    probabilities = np.full((len(truth), 2), 0.1)
    probabilities[np.arange(len(truth)), answers] = 0.9
    labels = [CLASSES[answer] for answer in answers]
    made = {
        "id": [str(row) for row in range(len(truth))],
        "truth": [CLASSES[target] for target in truth],
        "probabilities": probabilities,
        "label": labels,
        "confidence": probabilities.max(axis=1),
        "prediction_set": [[label] for label in labels],
        "reason": ["ok"] * len(truth),
    }
    return Predictions.from_columns(made | columns, CLASSES, "binary")


def drawn(seed, n=300, groups=3, accuracy=(0.9, 0.9, 0.9)):
    """Images of some sites, each answered rightly with the site's own probability."""
    random = np.random.default_rng(seed)
    site, truth = random.integers(0, groups, n), random.integers(0, 2, n)
    right = random.random(n) < np.asarray(accuracy)[site]
    return answered(truth, np.where(right, truth, 1 - truth), site=[f"site {number}" for number in site])


def judged(predictions, *by, smallest=10, **columns):
    known = {name: predictions.column(name) for name in predictions.table.column_names} | columns
    return judge_groups(predictions, slices_of(known, by, smallest), smallest=smallest, replicates=40)


def finding(told, name):
    return next(one for one in told.findings if one.name == name)


def test_gaps_are_those_of_fairlearn():
    fairlearn = pytest.importorskip("fairlearn.metrics")
    predictions = drawn(1, accuracy=(0.9, 0.7, 0.8))
    told = judged(predictions, "site")
    arguments = predictions.targets, predictions.answers
    for name in ("demographic_parity_difference", "equal_opportunity_difference", "equalized_odds_difference"):
        expected = getattr(fairlearn, name)(*arguments, sensitive_features=predictions.column("site"))
        assert told.figures[f"{name}_by_site"].value == pytest.approx(expected, abs=1e-12)
    frame = fairlearn.MetricFrame(
        metrics=lambda truth, answers: float(np.mean(truth == answers)),
        y_true=arguments[0],
        y_pred=arguments[1],
        sensitive_features=predictions.column("site"),
    )
    assert told.figures["worst_group_by_site"].value == pytest.approx(frame.group_min())
    assert told.figures["accuracy_difference_by_site"].value == pytest.approx(frame.difference())
    assert {row["group"]: row["accuracy"] for row in finding(told, "groups").rows} == pytest.approx(
        frame.by_group.to_dict()
    )


def test_a_planted_gap_is_found_and_named():
    told = judged(drawn(2, accuracy=(0.95, 0.95, 0.7)), "site")
    worst = finding(told, "worst_group")
    assert worst.severity == "warning"
    assert worst.rows[0]["group"] == "site 2"
    figure = told.figures["accuracy_difference_by_site"]
    assert figure.lo < 0.25 < figure.hi
    assert figure.lo > 0
    assert finding(told, "gaps").rows[0]["found"]
    assert "site 2" in worst.summary


def test_nothing_is_said_where_nothing_differs():
    told = judged(drawn(3), "site")
    assert finding(told, "worst_group").severity == "info"
    assert finding(told, "gaps").severity == "info"
    assert not any(row["found"] for row in finding(told, "gaps").rows)


def simulated(seeds, accuracy):
    """Of simulations the smallest p-value, and whether the interval of the largest difference holds the truth."""
    told = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        places = random.integers(0, len(accuracy), 400)
        values = (random.random(400) < np.asarray(accuracy)[places]).astype(float)
        means = means_of(values, places, len(accuracy), confidence=confidence_for_pairs(len(accuracy)))
        _, lo, hi = largest_difference(means)
        truth = max(accuracy) - min(accuracy)
        told.append((p_of_groups(values, places, len(accuracy), seed=seed).min(), lo <= truth <= hi))
    return np.array(told)


def test_of_100_simulations_95_say_nothing_where_there_is_nothing():
    told = simulated(range(100), (0.85,) * 4)
    assert (told[:, 0] <= 0.05).sum() <= 5
    assert told[:, 1].sum() >= 95


def test_of_100_planted_gaps_most_are_found_and_95_intervals_hold_the_truth():
    told = simulated(range(100, 200), (0.9, 0.9, 0.9, 0.65))
    assert (told[:, 0] <= 0.05).sum() >= 95
    assert told[:, 1].sum() >= 95


@pytest.mark.slow
def test_of_100_simulations_95_evaluations_say_nothing_where_there_is_nothing():
    loud = sum(finding(judged(drawn(seed), "site"), "gaps").count > 0 for seed in range(100))
    assert loud <= 5


def test_shuffled_groups_agree_with_scipy():
    random = np.random.default_rng(4)
    values, places = random.normal(size=40), np.repeat([0, 1], 20)
    values[places == 1] += 0.6
    own = p_of_groups(values, places, 2)
    expected = stats.permutation_test(
        (values[places == 0], values[places == 1]),
        lambda one, other: np.mean(one) - np.mean(other),
        n_resamples=9999,
        random_state=0,
    ).pvalue
    assert own == pytest.approx([expected, expected], abs=0.02)
    flags = (values > 0).astype(float)
    table = [[flags[places == group].sum(), (1 - flags[places == group]).sum()] for group in (0, 1)]
    assert p_of_groups(flags, places, 2)[0] == pytest.approx(stats.fisher_exact(table).pvalue, abs=0.02)


def test_limits_for_all_groups_at_once_are_wider_than_for_one():
    assert confidence_for_pairs(2) == pytest.approx(0.95, abs=1e-6)
    assert confidence_for_pairs(5) > confidence_for_pairs(3) > 0.95
    assert widened(1) == pytest.approx(1)
    assert widened(10) > 1.4


def test_images_of_one_group_are_not_independent_evidence():
    random = np.random.default_rng(5)
    patients = np.repeat(np.arange(30), 20)
    site = (patients >= 15).astype(int)
    values = (random.random(30) < 0.5)[patients].astype(float)  # each patient is all right or all wrong
    assert p_of_groups(values, site, 2, patients).min() > 0.01
    loud = quiet = 0
    for seed in range(60):
        values = (np.random.default_rng(seed).random(30) < 0.5)[patients].astype(float)
        loud += p_of_groups(values, site, 2).min() < 0.05
        quiet += p_of_groups(values, site, 2, patients).min() < 0.05
    assert quiet <= 6 < loud
    wide, narrow = (means_of(values, site, 2, units) for units in (patients, None))
    assert (wide.hi - wide.lo > 2 * (narrow.hi - narrow.lo)).all()


def test_small_groups_are_shown_with_a_warning_and_not_judged():
    site = ["large"] * 100 + ["other"] * 100 + ["alone"]
    truth = np.tile([0, 1], 101)[:201]
    answers = truth.copy()
    answers[-1] = 1 - answers[-1]
    told = judged(answered(truth, answers), "site", site=site)
    small = finding(told, "small_groups")
    assert small.severity == "warning"
    assert small.rows == [{"by": "site", "group": "alone", "n": 1}]
    alone = next(row for row in finding(told, "groups").rows if row["group"] == "alone")
    assert alone["accuracy"] == 0
    assert alone["accuracy_hi"] > 0.7
    assert "not judged" in alone["note"]
    assert told.figures["worst_group_by_site"].value == 1
    assert finding(told, "gaps").severity == "info"


def test_a_class_that_a_group_has_not_leaves_its_figure_undefined_with_the_reason():
    truth = np.array([0, 1] * 50 + [0] * 50)
    told = judged(answered(truth, truth), "site", site=["both"] * 100 + ["ants only"] * 50)
    rows = {row["group"]: row for row in finding(told, "groups").rows}
    assert rows["ants only"]["sensitivity"] is None
    assert "sensitivity not defined" in rows["ants only"]["note"]
    gap = told.figures["equal_opportunity_difference_by_site"]
    assert gap.value is None
    assert gap.method.startswith("not defined: fewer than two groups")
    row = next(row for row in finding(told, "gaps").rows if row["gap"] == "equal_opportunity_difference")
    assert row["p"] is None
    assert not row["found"]


def test_several_labels_and_trees_are_judged_by_their_own_metrics():
    random = np.random.default_rng(6)
    names, n = ("cat", "dog", "owl"), 120
    there = random.random((n, 3)) < 0.4
    site = np.repeat([0, 1], n // 2)
    given = np.where(random.random((n, 3)) < np.where(site, 0.45, 0.05)[:, None], ~there, there)
    probabilities = np.where(given, 0.8, 0.2)

    def labels(flags):
        return [[name for name, flag in zip(names, row, strict=True) if flag] for row in flags]

    columns = {
        "id": [str(row) for row in range(n)],
        "truth": labels(there),
        "unknown": [["owl"] if row % 7 == 0 else [] for row in range(n)],
        "probabilities": probabilities,
        "label": labels(given),
        "confidence": np.full(n, 0.8),
        "reason": ["ok"] * n,
    }
    told = judged(Predictions.from_columns(columns, names, "multilabel"), "site", site=site.tolist())
    assert finding(told, "worst_group").rows[0]["group"] == "1"
    assert "map" in finding(told, "worst_group").summary
    assert told.figures["equalized_odds_difference_by_site"].lo > 0

    targets, wrong = random.integers(0, 3, n), (site == 1) & (random.random(n) < 0.5)
    answers = np.where(wrong, (targets + 1) % 3, targets)
    probabilities = np.full((n, 3), 0.1)
    probabilities[np.arange(n), answers] = 0.8
    columns = {
        "id": [str(row) for row in range(n)],
        "truth": [names[target] for target in targets],
        "probabilities": probabilities,
        "label": [names[answer] for answer in answers],
        "confidence": probabilities.max(axis=1),
        "reason": ["ok"] * n,
    }
    tree = Predictions.from_columns(columns, names, "hierarchical", {"cat": "mammal", "dog": "mammal"})
    assert finding(judged(tree, "site", site=site.tolist()), "worst_group").rows[0]["found"]


def test_predictions_of_no_number_are_refused():
    predictions = drawn(7, n=30)
    probabilities = predictions.scores()
    probabilities[3] = np.nan
    columns = {name: predictions.column(name) for name in predictions.table.column_names}
    broken = Predictions.from_columns(columns | {"probabilities": probabilities}, CLASSES, "binary")
    with pytest.raises(DataError, match="no finite probabilities"):
        judged(broken, "site")


def test_numbers_become_quarters_and_missing_values_a_group():
    ages = [float(age) for age in range(20, 60)] + [None, float("nan")]
    (slices,) = slices_of({"age": ages}, ["age"])
    assert slices.names == ("20 to 29", "30 to 39", "40 to 49", "50 to 59", MISSING)
    assert slices.images.tolist() == [10, 10, 10, 10, 2]
    assert "cut into 4 groups" in slices.note
    (texts,) = slices_of({"age": [str(int(age)) for age in ages[:40]]}, ["age"])
    assert texts.names == slices.names[:4]
    (few,) = slices_of({"level": [1, 2, 10] * 4}, ["level"])
    assert few.names == ("1", "2", "10")
    (days,) = slices_of({"day": [f"2024-01-{day:02}" for day in range(1, 21)]}, ["day"])
    assert days.names[0] == "2024-01-01 to 2024-01-05"


def test_many_texts_leave_rare_ones_together():
    values = ["often"] * 30 + ["seldom"] * 12 + [f"rare {number}" for number in range(40)]
    (slices,) = slices_of({"place": values}, ["place"])
    assert slices.names == ("often", "seldom", OTHERS)
    assert slices.images.tolist() == [30, 12, 40]
    assert "40 rare ones with 40 images are one group" in slices.note


def test_two_columns_are_looked_at_alone_and_together():
    columns = {"site": ["n", "n", "s", "s"], "sex": ["f", "m", "f", "f"]}
    site, sex, both = slices_of(columns, ["site", "sex"])
    assert (site.by, sex.by, both.by) == ("site", "sex", "site × sex")
    assert dict(zip(both.names, both.images.tolist(), strict=True)) == {"n × f": 1, "n × m": 1, "s × f": 2}


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (["sit"], r"no column .sit. of metadata\. The columns of metadata are site, name, same, none\. Did you mean"),
        (["site", "site"], "names 'site' twice"),
        (["label"], "groups of one class each"),
        (["name"], "30 different values, and none of them in 10 images"),
        (["same"], "same is 'x' for all of 30 images"),
        (["none"], "none is missing for every image"),
        ([], "names no column"),
    ],
)
def test_columns_that_make_no_groups_are_refused(by, said):
    columns = {
        "site": ["a", "b"] * 15,
        "name": [f"n{row}" for row in range(30)],
        "same": ["x"] * 30,
        "none": [None] * 30,
    }
    with pytest.raises(UsageError, match=said):
        slices_of(columns, by)


def test_one_image_is_no_group():
    with pytest.raises(UsageError, match="for the only image: there is nothing to compare"):
        slices_of({"site": ["a"]}, ["site"])


def test_every_gap_meets_its_contract():
    predictions = drawn(8, n=60)
    facts = Facts(predictions, scores_of(predictions))
    for name, gap in GAPS.items():
        for rate in gap(facts):
            assert rate.values.shape == rate.used.shape == (60,), name
            assert rate.used.dtype == bool, name
            assert np.isfinite(rate.values).all(), name
            assert np.abs(rate.values).max() <= 1, name
            assert rate.what, name
