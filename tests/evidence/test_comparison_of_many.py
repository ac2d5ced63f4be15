"""Several classifiers on the same images: the tests against other implementations and by simulation, and the words."""

import json

import numpy as np
import pytest
from scipy import stats

from linnaea.errors import DataError, UsageError
from linnaea.evidence.comparison.many import compare_many
from linnaea.evidence.comparison.over_datasets import compare_over_datasets
from linnaea.evidence.comparison.retrained import over_folds, over_seeds
from linnaea.statistics.margins import images_to_decide, tango
from linnaea.statistics.over_datasets import ranked, signed_ranks
from linnaea.statistics.paired import mcnemar
from linnaea.statistics.repeats import corrected_t


def delong(positive, first, second):
    """The p-value by DeLong et al. (1988), written down as in the paper: with all pairs of images."""
    areas, of_positives, of_others = [], [], []
    for scores in (first, second):
        won = (scores[positive][:, None] > scores[~positive]) + 0.5 * (scores[positive][:, None] == scores[~positive])
        areas.append(won.mean())
        of_positives.append(won.mean(axis=1))
        of_others.append(won.mean(axis=0))
    spread = np.cov(of_positives) / positive.sum() + np.cov(of_others) / (~positive).sum()
    error = np.sqrt(spread[0, 0] + spread[1, 1] - 2 * spread[0, 1])
    return 2 * stats.norm.sf(abs(areas[1] - areas[0]) / error), error


def test_areas_of_two_classes_are_tested_as_by_delong(random_ones):
    first, second = random_ones(120, 2, skill=1.0), random_ones(120, 2, skill=1.1, noise=0.5)
    pair = compare_many({"a": first, "b": second}, metric="roc_auc_ovr").pairs[0]
    # The scores are float32 in both, so that ties are the same.
    p_value, error = delong(first.targets == 1, first.scores()[:, 1], second.scores()[:, 1])
    assert pair.test == "DeLong"
    assert pair.p_value == pytest.approx(p_value, rel=1e-9)
    assert pair.difference.hi - pair.difference.lo == pytest.approx(2 * 1.959963984540054 * error, rel=1e-9)


def test_shares_are_tested_by_mcnemar_and_corrected_by_holm(random_ones):
    sides = {name: random_ones(300, 3, skill=skill, noise=0.3) for name, skill in (("a", 1.0), ("b", 1.1), ("c", 1.6))}
    found = compare_many(sides)
    hits = {name: one.answers == one.targets for name, one in sides.items()}
    for pair in found.pairs:
        first, second = hits[pair.first], hits[pair.second]
        assert pair.p_value == pytest.approx(mcnemar((first & ~second).sum(), (second & ~first).sum()))
    p_values = sorted(pair.p_value for pair in found.pairs)
    expected = np.minimum(np.maximum.accumulate(np.array(p_values) * [3, 2, 1]), 1)
    np.testing.assert_allclose(sorted(pair.adjusted for pair in found.pairs), expected)


@pytest.mark.slow
def test_several_like_classifiers_are_rarely_told_apart_and_different_ones_are(from_logits):
    random, called, found = np.random.default_rng(3), 0, 0
    for _ in range(60):
        targets = random.integers(0, 3, 150)
        logits = [random.normal(size=(150, 3)) + 1.5 * np.eye(3)[targets] for _ in range(4)]
        sides = {str(number): from_logits(one, targets) for number, one in enumerate(logits)}
        called += any(pair.better for pair in compare_many(sides).pairs)
        better = {"worse": sides["0"], "better": from_logits(logits[1] + 1.2 * np.eye(3)[targets], targets)}
        found += compare_many(better).pairs[0].better == "better"
    assert called <= 6, called
    assert found >= 50, found


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["roc_auc_ovr", "nll"])
def test_other_metrics_are_rarely_told_apart_by_chance(metric, from_logits):
    random, called, n = np.random.default_rng(4), 0, 120
    for seed in range(80):
        targets = random.integers(0, 2, n)
        both = [random.normal(size=(n, 2)) + np.eye(2)[targets] for _ in range(2)]
        sides = {name: from_logits(one, targets) for name, one in zip("ab", both, strict=True)}
        called += compare_many(sides, metric=metric, seed=seed, replicates=40).pairs[0].p_value < 0.05
    assert called <= 9, called  # 5 % of 80 are 4; more than 9 come of that in 1 of 100


def test_a_margin_is_crossed_by_chance_in_5_of_100_and_equals_are_found_to_be_within():
    random, n, margin = np.random.default_rng(5), 400, 0.05
    at_margin = random.multinomial(n, [0.05, 0.10, 0.85], 20_000)  # only the second, only the first, both or neither
    equals = random.multinomial(n, [0.05, 0.05, 0.90], 2_000)
    wrong = np.mean([tango(won, lost, n, margin) < 0.05 for won, lost, _ in at_margin])
    power = np.mean([tango(won, lost, n, margin) < 0.05 for won, lost, _ in equals])
    assert 0.03 < wrong < 0.056, wrong
    assert power > 0.9, power
    assert tango(0, 0, 400, 0.05) < 1e-3
    assert tango(0, 0, 10, 0.05) > 0.05


def test_the_margin_of_tango_solves_the_score_equation():
    # Tango 1998, example: 40 of 44 pairs agree; with the restricted estimate found by search in place of the formula.
    won, lost, n, margin = 1, 3, 44, 0.1
    shares = np.linspace(1e-9, 0.5, 2_000_001)  # of images that only the first has right; the second has less by margin
    only_second = shares - margin
    fit = only_second > 0
    likelihood = (
        won * np.log(only_second[fit])
        + lost * np.log(shares[fit])
        + (n - won - lost) * np.log(1 - shares[fit] - only_second[fit])
    )
    best = shares[fit][likelihood.argmax()]
    error = np.sqrt(n * (2 * best - margin - margin**2))
    assert tango(won, lost, n, margin) == pytest.approx(stats.norm.sf((won - lost + n * margin) / error), rel=1e-3)


def test_as_many_images_as_are_said_decide_in_80_of_100():
    only_second, only_first = 0.08, 0.04
    difference = only_second - only_first
    error = np.sqrt(only_second + only_first - difference**2)
    needed = images_to_decide(difference, error / np.sqrt(500), 500)
    drawn = np.random.default_rng(6).multinomial(needed, [only_second, only_first, 0.88], 1_000)
    power = np.mean([mcnemar(lost, won) < 0.05 for won, lost, _ in drawn])
    assert 0.75 < power < 0.85, power
    assert images_to_decide(0.0, 0.1, 500) is None


@pytest.mark.slow
def test_several_trainings_count_what_a_training_changes(from_logits):
    random, called, alone = np.random.default_rng(7), 0, 0
    for _ in range(60):
        targets = random.integers(0, 2, 200)
        images = random.normal(size=(200, 2))
        luck = random.normal(1.5, 0.5, 8)  # how good a training came out
        made = [
            from_logits(images + random.normal(0, 0.3, (200, 2)) + one * np.eye(2)[targets], targets) for one in luck
        ]
        pair = compare_many({"a": made[:4], "b": made[4:]}, replicates=40).pairs[0]
        called += pair.better is not None
        alone += compare_many({"a": made[0], "b": made[4]}, replicates=40).pairs[0].better is not None
    assert called <= 7, called
    assert alone > 2 * called + 5, "one training each is not enough to tell"


def test_folds_are_tested_as_nadeau_and_bengio_do(random_ones):
    differences = [0.02, 0.05, 0.01, 0.04, 0.03]
    told, p_value = corrected_t(differences, 1 / 4, 100)
    t = np.mean(differences) / np.sqrt((1 / 5 + 1 / 4) * np.var(differences, ddof=1))
    assert p_value == pytest.approx(2 * stats.t.sf(t, 4))
    half = stats.t.ppf(0.975, 4) * np.mean(differences) / t
    assert (told.lo, told.hi) == pytest.approx((0.03 - half, 0.03 + half))
    folds = [1 + row % 5 for row in range(100)]
    sides = {name: [random_ones(100, 3, skill=skill, fold=folds)] for name, skill in (("a", 1.0), ("b", 2.0))}
    row = over_folds(sides)[0]
    assert row["value"] == pytest.approx(np.mean(sides["b"][0].answers == sides["b"][0].targets) - np.mean(
        sides["a"][0].answers == sides["a"][0].targets
    ))  # fmt: skip
    with pytest.raises(DataError, match="same folds"):
        over_folds(sides | {"b": [random_ones(100, 3, fold=folds[::-1])]})


def test_seeds_are_tested_as_welch_does():
    values = {"a": [0.8, 0.82, 0.81], "b": [0.85, 0.86, 0.84, 0.88]}
    row = over_seeds(values, 100)[0]
    assert row["p_value"] == pytest.approx(stats.ttest_ind(values["b"], values["a"], equal_var=False).pvalue)
    assert over_seeds({"a": [0.8, 0.8], "b": [0.9, 0.9]}, 100)[0]["p_value"] is None


def test_ranks_over_datasets_are_those_of_demsar():
    # Demsar 2006, table 6: C4.5 and three variants on 14 data sets, areas under curves.
    table = np.array([
        [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
    ])  # fmt: skip
    found = ranked(table)
    np.testing.assert_allclose(found.ranks, [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    assert found.critical == pytest.approx(1.25, abs=0.005)  # 2.569 sqrt(4 * 5 / (6 * 14))
    assert found.p_value < 0.05
    assert ranked(np.ones((5, 3))).p_value == 1.0
    assert signed_ranks(np.zeros(8)) is None
    few = np.random.default_rng(8).normal(size=9)
    assert signed_ranks(few) == pytest.approx(stats.wilcoxon(few, method="exact").pvalue)


def test_datasets_without_a_difference_show_none():
    random = np.random.default_rng(9)
    called = [ranked(random.normal(size=(10, 4))).told_apart for _ in range(400)]
    assert 0.02 < np.mean(called) < 0.08


def test_over_datasets_the_best_is_named_and_what_is_missing_is_said(random_ones):
    sides = {
        name: {f"set {seed}": random_ones(120, 3, skill=skill, seed=seed) for seed in range(8)}
        for name, skill in (("a", 0.7), ("b", 1.2), ("c", 2.0))
    }
    found = compare_over_datasets(sides | {"a": sides["a"] | {"more": random_ones(120, 3)}})
    assert found.sentence.startswith("Over 8 data sets c has the best mean rank, 1.00 of 3, by accuracy. ")
    assert "rank better than a" in found.sentence
    assert found.notes[0].endswith("left out: more.")
    with pytest.raises(DataError, match="1 data sets in common"):
        compare_over_datasets({name: {"set 1": one["set 1"]} for name, one in sides.items()})


def test_the_verdict_says_how_often_chance_would_show_as_much(random_ones):
    found = compare_many({"a": random_ones(400, 3, skill=1.0), "b": random_ones(400, 3, skill=1.5)}, margin=0.01)
    assert found.sentence.startswith("b has an accuracy ")
    assert "points higher than a on these 400 images" in found.sentence
    assert found.sentence.endswith("in fewer than 1 of 1,000 such samples (McNemar, exact).")
    assert "a is shown to be worse than b by more than 1 point (p < 0.001)." in found.lines
    level = compare_many({"a": random_ones(400, 3), "b": random_ones(400, 3)}, margin=0.05)
    assert "a and b are level" in level.sentence
    assert any(line.startswith("b and a are equivalent: that either is worse") for line in level.lines)
    near = compare_many({"a": random_ones(90, 3), "b": random_ones(90, 3, skill=1.6, noise=0.6)})
    assert near.sentence.startswith("No difference is shown between ")
    assert near.pairs[0].images_to_decide > 90


def test_order_of_classes_and_rows_does_not_matter_and_missing_rows_are_said(random_ones):
    a, b = random_ones(80, 3, skill=1.0), random_ones(80, 3, skill=1.6)
    turned = b.with_table(b.table.take(list(range(79, -1, -1))))
    assert compare_many({"a": a, "b": turned}).pairs == compare_many({"a": a, "b": b}).pairs
    fewer = compare_many({"a": a, "b": turned.with_table(turned.table.slice(0, 70)), "c": b})
    assert fewer.n == 70
    assert "Images that not all of them have are left out: 10 of a, 10 of c." in fewer.notes


def test_predictions_that_do_not_match_are_refused(random_ones):
    a = random_ones(40, 3)
    twice = a.with_table(a.table.take([*range(40), 3]))
    with pytest.raises(DataError, match="more than once"):
        compare_many({"a": a, "b": a, "c": twice})
    with pytest.raises(DataError, match="different questions"):
        compare_many({"a": a, "b": random_ones(40, 4)})
    holes = a.with_table(a.table.set_column(
        a.table.column_names.index("confidence"), "confidence", [[None, *a.column("confidence")[1:]]]
    ))  # fmt: skip
    with pytest.raises(DataError, match="no finite probabilities or confidence"):
        compare_many({"a": a, "b": holes})
    with pytest.raises(UsageError, match="does not apply"):
        compare_many({"a": a, "b": a}, metric="sensitivity")
    with pytest.raises(UsageError, match="margin is 2"):
        compare_many({"a": a, "b": a}, margin=2)


def test_what_is_not_defined_is_null_with_its_reason(from_logits):
    one_class = {
        name: from_logits(np.random.default_rng(k).normal(size=(20, 2)), np.zeros(20, int))
        for k, name in enumerate("ab")
    }
    told = json.loads(json.dumps(compare_many(one_class, metric="roc_auc_ovr").to_json()))
    assert told["values"]["a"]["value"] is None
    assert told["pairs"][0]["p_value"] is None
    assert told["pairs"][0]["difference"]["method"] == "not defined: all images belong to one class"
    assert "all images belong to one class" in told["sentence"]
    assert any("1 of 2 classes have no image here" in note for note in told["notes"])
    single = compare_many({name: from_logits(np.eye(3)[:1], np.zeros(1, int)) for name in "ab"}, margin=0.1)
    assert "this one image" in single.sentence
    assert single.pairs[0].p_value is None


def test_groups_are_tested_whole(random_ones):
    groups = [f"animal {row // 10}" for row in range(200)]
    sides = {name: random_ones(200, 3, skill=skill, group=groups) for name, skill in (("a", 1.0), ("b", 1.6))}
    assert compare_many(sides).pairs[0].test.startswith("sign flips over 20 groups")
    assert "over 20 groups" in compare_many(sides, metric="nll").pairs[0].test


def test_data_sets_that_all_rank_alike_show_no_more_than_so_few_can():
    alike = np.array([[0.7, 0.8, 0.9], [0.6, 0.65, 0.8]])
    assert ranked(alike).p_value == pytest.approx(1 / 6)  # of 6 orders, the second data set has that of the first
    assert ranked(np.tile(alike, (5, 1))).told_apart


def test_no_number_of_images_takes_away_what_a_training_changes():
    assert images_to_decide(0.02, 0.02, 400, fixed=1e-9) == pytest.approx(images_to_decide(0.02, 0.02, 400), abs=1)
    assert images_to_decide(0.02, 0.02, 400, fixed=0.002) > images_to_decide(0.02, 0.02, 400)
    assert images_to_decide(0.02, 0.02, 400, fixed=0.01) is None
    assert images_to_decide(0.0, 0.01, 400, margin=0.05, fixed=0.03) is None


def test_groups_count_where_any_of_them_has_them(random_ones):
    groups = [f"animal {row // 20}" for row in range(200)]
    sides = {"a": random_ones(200, 3, skill=1.0), "b": random_ones(200, 3, skill=2.0, group=groups)}
    assert "over 10 groups" in compare_many(sides).pairs[0].test


def test_folds_whose_figure_is_undefined_are_not_claimed(random_ones):
    whole = random_ones(100, 2).targets
    folds = np.where(whole == 0, 1 + np.arange(100) % 2, 2 + np.arange(100) % 2)  # fold 3 has one class alone
    sides = {name: [random_ones(100, 2, skill=skill, fold=folds.tolist())] for name, skill in (("a", 1.0), ("b", 2.0))}
    row = over_folds(sides, "roc_auc_ovr")[0]
    assert row["over"].endswith("of 3 folds, as the figure is undefined in the others")
    assert over_folds(sides, "accuracy")[0]["over"] == "3 folds"
    alone = np.where(whole == 0, 1, 2).tolist()
    sides = {name: [random_ones(100, 2, skill=skill, fold=alone)] for name, skill in (("a", 1.0), ("b", 2.0))}
    row = over_folds(sides, "roc_auc_ovr")[0]
    assert (row["value"], row["p_value"]) == (None, None)
    assert row["over"].startswith("0 of 2 folds")
    assert row["test"].endswith("not defined in any fold")
