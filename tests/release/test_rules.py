"""Every rule of the gate passes on a good run, fails on a bad one, and is not done where its evidence is missing."""

import shutil

import numpy as np
import pytest
from planted_run import Look, edit, grouped, of, plant

from linnaea.errors import UsageError
from linnaea.evidence.gate import RULES, Case, judge_rules
from linnaea.evidence.gate.contract import FAIL, NOT_DONE, OUTCOMES, PASS, TOO_FEW, WAIVED
from linnaea.evidence.gate.held import AT_LEAST, Held, held
from linnaea.evidence.gate.parameters import checked, settings_of
from linnaea.finding import Estimate, Finding
from linnaea.run import Run


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("good") / "run")


@pytest.fixture(scope="module")
def poor(tmp_path_factory):
    """One class is found in half of its images only, and taken for another one; it is far too sure."""
    folder = tmp_path_factory.mktemp("poor") / "run"
    return plant(folder, right=0.99, flips={"bee": (0.3, "ant"), "ant": (0.5, "bee")})


@pytest.fixture
def copy(good, tmp_path):
    shutil.copytree(good.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def verdicts(run, tables=None, look=None):
    found = judge_rules(Case(run, look or Look()), checked(tables or {}, "rules"))
    return {verdict.rule: verdict for verdict in found}


def torn(run):
    text = (run.folder / "manifest.csv").read_text().replace("train 1,", "test 1,")
    (run.folder / "manifest.csv").write_text(text)


def copied(run):
    text = (run.folder / "manifest.csv").read_text()
    (run.folder / "manifest.csv").write_text(text.replace(f"{3:064}", f"{903:064}"))


def without(*names):
    def change(run):
        for name in names:
            (run.folder / name).unlink()

    return change


def opened(run):
    run.update(test_opened=[{"by": "evaluate", "when": "now"}] * 9)


def unanswered(key):
    def change(run):
        path = run.folder / "datasheet.toml"
        path.write_text(path.read_text().replace(f'{key} = "known"', f'{key} = ""'))

    return change


def guessed(run):
    run.write_findings("guessing", [Finding("guessing", "It is not better.", "warning", figure=of(0.0, -0.02, 0.02))])


def no_test(run):
    path = run.folder / "manifest.csv"
    path.write_text(path.read_text().replace(",test,", ",val,"))
    without("predictions/test.parquet")(run)


def missed(run):
    broken = {"value": 0.5, "lo": 0.45, "hi": 0.55, "n": 900, "promised": "at least", "bound": 0.9}
    run.add_findings("test", [Finding("promise_coverage", "Missed: told.", "warning", rows=[broken])])


def plain(run):
    path = run.folder / "manifest.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text(
        "\n".join(",".join([*line[:3], "group" if place == 0 else "", *line[4:]]) for place, line in enumerate(lines))
    )


def no_promises(run):
    findings = [finding for finding in run.findings("test") if not finding.is_promise]
    run.write_findings("test", findings)


def worse(run):
    run.write_findings("groups", grouped(0.3, 0.6))


def no_ece(run):
    edit(run, "metrics.json", lambda content: content["test"].pop("ece"))


NOTHING = object()
BAD = {  # what spoils a good run, or the poor one, or trials that come out badly
    "holdout_size": no_test,
    "holdout_like_future": torn,
    "guessing": guessed,
    "holdout_openings": opened,
    "performance": "poor",
    "recall_floor": "poor",
    "confusion": "poor",
    "calibration": "poor",
    "promises": missed,
    "worst_group": worse,
    "leakage": copied,
    "lighting": Look(lost=0.5),
    "occlusion": Look(lost=0.5),
    "damage": Look(lost=0.5),
    "strangers": Look(turned_away=0.1),
    "parity": Look(parity="error"),
    "provenance": unanswered("licence"),
    "labelling": unanswered("labelling"),
    "limits": unanswered("limits"),
}
LACKING = {
    "holdout_like_future": plain,
    "guessing": without("findings/guessing.json"),
    "holdout_openings": no_test,
    "performance": no_test,
    "interval_width": no_test,
    "recall_floor": no_test,
    "confusion": no_test,
    "calibration": no_ece,
    "promises": no_promises,
    "worst_group": without("findings/groups.json"),
    "leakage": without("findings/audit.json"),
    "lighting": Look(lost=None),
    "occlusion": Look(lost=None),
    "damage": Look(lost=None),
    "strangers": Look(turned_away=None),
    "parity": Look(parity=None),
    "provenance": without("datasheet.toml"),
    "labelling": without("datasheet.toml"),
    "limits": without("datasheet.toml"),
}


def verdict_of(rule, spoilt, copy, poor):
    if isinstance(spoilt, Look):
        return verdicts(copy, look=spoilt)[rule]
    if spoilt == "poor":
        return verdicts(poor)[rule]
    spoilt(copy)
    return verdicts(copy)[rule]


def test_every_rule_is_tried():
    can_fail = [rule for rule in RULES if RULES.about(rule).capabilities.get("fails", True)]
    assert sorted(BAD) == sorted(can_fail)
    assert set(RULES) - set(LACKING) == {"holdout_size"}  # that there is none is what it says


def test_a_good_run_passes_every_rule(good):
    found = verdicts(good)
    assert {rule: verdict.sentence for rule, verdict in found.items() if verdict.outcome != PASS} == {}
    for verdict in found.values():
        assert verdict.evidence, "a pass rests on something"
        assert all(fact.what and fact.file and fact.outcome in OUTCOMES for fact in verdict.evidence)


@pytest.mark.parametrize("rule", BAD)
def test_a_bad_run_fails(rule, copy, poor):
    found = verdict_of(rule, BAD[rule], copy, poor)
    assert found.outcome == FAIL, found.sentence
    assert found.mend
    assert any(fact.outcome == FAIL for fact in found.evidence)


@pytest.mark.parametrize("rule", LACKING)
def test_without_its_evidence_a_rule_is_not_done(rule, copy, poor):
    found = verdict_of(rule, LACKING[rule], copy, poor)
    assert found.outcome == NOT_DONE, found.sentence
    assert found.mend


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_a_title_a_meaning_and_parameters_that_are_explained(rule):
    about = RULES.about(rule)
    assert about.title
    assert about.meaning.endswith(".")
    for setting in settings_of(rule).values():
        assert setting.parameter.help.endswith(".")
        assert (
            setting.require("place", list(setting.default) if isinstance(setting.default, tuple) else setting.default)
            == setting.default
        )


def test_a_small_test_split_is_too_small_to_tell_and_does_not_fail(tmp_path):
    found = verdicts(plant(tmp_path / "run", images=30, groups=0), look=Look(lost=0.14, n=20))
    few = {rule for rule, verdict in found.items() if verdict.outcome == TOO_FEW}
    assert {"holdout_size", "interval_width", "recall_floor", "confusion", "lighting"} <= few
    assert FAIL not in {verdict.outcome for verdict in found.values()}
    told = found["recall_floor"]
    needed = [fact.needed for fact in told.evidence if fact.outcome == TOO_FEW]
    assert all(count and count > 0 for count in needed)
    assert "more would decide it" in told.sentence


def test_few_images_that_do_not_show_it_to_be_better_than_guessing_do_not_fail(copy):
    copy.write_findings("guessing", [Finding("guessing", "Not shown.", "warning", figure=of(0.2, -0.1, 0.5, n=18))])
    found = verdicts(copy)["guessing"]
    assert found.outcome == TOO_FEW
    assert found.evidence[0].needed == 23  # an interval of 0.3 to either side at 18 images is one of 0.2 at 41


def test_as_many_more_images_as_it_says_decide(tmp_path):
    """Of a class whose recall stays where it is."""
    from linnaea.evidence.gate.held import AT_LEAST, Held
    from linnaea.finding import Estimate
    from linnaea.statistics.shares import limits_of_share

    def held(n):
        return Held("the recall", Estimate(0.8, *limits_of_share(0.8 * n, n), n, "Wilson"), AT_LEAST, 0.7, "file")

    few = held(40)
    assert few.outcome == TOO_FEW
    assert held(40 + few.needed).outcome == PASS
    assert held(40 + few.needed // 2).outcome == TOO_FEW


def test_one_floor_may_be_set_for_one_class(good):
    found = verdicts(good, {"recall_floor": {"classes": {"bee": 0.999}}})["recall_floor"]
    assert found.outcome == FAIL
    assert "bee" in found.sentence
    with pytest.raises(UsageError, match="Did you mean 'bee'"):
        verdicts(good, {"recall_floor": {"classes": {"bees": 0.9}}})


def test_how_many_facts_are_alike_is_said_in_plain_english():
    low = Estimate(0.3, 0.2, 0.4, 90, "Wilson")
    facts = [Held(name, low, AT_LEAST, bound, "metrics.json") for name, bound in (("a", 0.5), ("b", 0.6), ("c", 0.1))]
    assert held(facts, "Train a better model.").sentence.endswith(" The same holds for 2 of 3 figures.")


def test_a_rule_may_be_waived_with_the_reason(copy):
    opened(copy)
    found = verdicts(copy, {"holdout_openings": {"waived": "it is an exercise"}})["holdout_openings"]
    assert (found.outcome, found.sentence) == (WAIVED, "Waived: it is an exercise")


def test_weights_that_have_learnt_from_the_hold_out_leak(copy, tmp_path):
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    shutil.copy(copy.folder / "run.json", earlier)
    text = (copy.folder / "manifest.csv").read_text()
    (earlier / "manifest.csv").write_text(text.replace(",test,", ",train,"))
    copy.update(arguments={"weights": str(earlier)})
    assert "whose weights it began with" in verdicts(copy)["leakage"].sentence
    (earlier / "manifest.csv").unlink()
    assert verdicts(copy)["leakage"].outcome == NOT_DONE


def test_what_has_leaked_is_said_without_an_audit_too(copy):
    copied(copy)
    (copy.folder / "findings" / "audit.json").unlink()
    assert verdicts(copy)["leakage"].outcome == FAIL


def test_real_strangers_count_before_made_up_ones(copy):
    rejected = {"value": 0.2, "lo": 0.1, "hi": 0.3, "n": 80, "method": "Wilson"}
    edit(
        copy,
        "metrics.json",
        lambda content: content.update({"openset-mushrooms-1234abcd": {"unknown_rejected": rejected}}),
    )
    found = verdicts(copy)["strangers"]
    assert found.outcome == FAIL
    assert "the images of mushrooms" in found.sentence


def test_clean_runs_are_not_failed_by_chance():
    """Of runs whose ten classes lie exactly on the floor, few are said to fail: the error is that of all classes."""
    from linnaea.evidence.gate.classes import FILE, Limited
    from linnaea.evidence.gate.held import AT_LEAST, Held, held

    random, failed, passed = np.random.default_rng(1), 0, 0
    for _ in range(400):
        right = random.random(2000) < 0.8
        limited = Limited.of(np.arange(2000) % 10, right, 10, None)
        facts = [
            Held(str(place), limited.estimate(place), AT_LEAST, 0.8, FILE, surely=limited.limits(place))
            for place in range(10)
        ]
        outcome = held(facts, "").outcome
        failed, passed = failed + (outcome == FAIL), passed + (outcome == PASS)
    assert failed <= 400 * 0.05
    assert passed <= 400 * 0.025


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"recal_floor": {"least": 0.8}}, "Did you mean 'recall_floor'"),
        ({"recall_floor": {"lest": 0.8}}, "Did you mean 'least'"),
        ({"recall_floor": {"least": 80}}, "expected a number from 0 to 1"),
        ({"recall_floor": {"least": "0.8"}}, "expected a number from 0 to 1"),
        ({"recall_floor": {"classes": 0.9}}, "expected a table"),
        ({"recall_floor": 0.9}, "expected a table"),
        ({"holdout_size": {"least": 10.5}}, "expected a whole number"),
        ({"limits": {"answered": "limits"}}, "expected a list of words"),
        ({"limits": {"waived": " "}}, "expected the reason in words"),
    ],
)
def test_mistakes_in_rules_are_refused(tables, said):
    with pytest.raises(UsageError, match=said):
        checked(tables, "check.toml")


def test_findings_without_groups_by_a_column_say_what_to_run(copy):
    copy.write_findings("groups", [Finding("bad_slices", "No group of images that look alike is worse.", count=0)])
    told = verdicts(copy)["worst_group"]
    assert told.outcome == NOT_DONE
    assert told.sentence.startswith("No column was named that makes groups")
    assert f"linnaea evaluate {copy.folder} --by" in told.mend or "--by COLUMN" in told.mend


def test_groups_that_are_all_small_are_named(copy):
    small = Finding("small_groups", "2 groups have fewer than 10 images: n (3), s (4).", "warning", 2)
    copy.write_findings("groups", [Finding("groups", "2 groups by site."), small])
    assert "n (3), s (4)" in verdicts(copy)["worst_group"].sentence
