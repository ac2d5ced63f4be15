"""The verb `check`: exit codes, the record in the bundle and when it is void, looks that are counted, bad input."""

import json
import logging
import shutil

import pytest
from material import run as command

import linnaea
from linnaea.classifier.sign_off import read_sign_off
from linnaea.errors import DataError, RunError, UsageError
from linnaea.evidence.gate import RULES
from linnaea.run import Run

WAIVED = {name: {"waived": "this is a test"} for name in RULES}


def only(*rules, **tables):
    return {name: table for name, table in WAIVED.items() if name not in rules} | tables


def test_the_record_says_what_was_found_by_which_files_and_versions(run):
    found = linnaea.check(run)
    record = json.loads((run / "model" / "check.json").read_text())
    assert [rule["rule"] for rule in record["rules"]] == list(RULES)
    assert record["rules"] == json.loads(json.dumps([verdict.to_json() for verdict in found.verdicts]))
    assert record["counts"] == found.counts
    assert record["signed_off_by"] is None
    assert {"model/classifier.json", "model/weights.safetensors", "predictions/test.parquet"} <= set(
        record["sha256_of_files"]
    )
    assert {"linnaea", "torch"} <= set(record["versions"])
    trial = next(rule for rule in record["rules"] if rule["rule"] == "lighting")
    assert {fact["figure"]["n"] for fact in trial["evidence"]} == {24}
    assert all(fact["figure"]["lo"] <= fact["figure"]["value"] <= fact["figure"]["hi"] for fact in trial["evidence"])


def test_quick_trials_are_one_look_at_the_test_split_and_no_more(run):
    linnaea.check(run, rules=only("guessing", "recall_floor", "calibration"))
    assert [look["by"] for look in Run.open(run).record()["test_opened"]] == ["train"]
    linnaea.check(run)
    assert [look["by"] for look in Run.open(run).record()["test_opened"]] == ["train", "check"]


def test_the_same_trials_of_the_same_bundle_count_once_and_others_again(run):
    def looks():
        return [look["by"] for look in Run.open(run).record()["test_opened"]]

    for _ in range(3):
        linnaea.check(run, rules=only("lighting", "damage"))
    assert looks() == ["train", "check"]
    linnaea.check(run, rules=only("damage"))
    assert looks() == ["train", "check"]
    linnaea.check(run, rules=only("lighting", "occlusion"))
    assert looks() == ["train", "check", "check"]
    classifier = linnaea.load(run)
    classifier.with_(provenance={**classifier.provenance, "notes": ["changed"]}).save(run / "model")
    linnaea.check(run, rules=only("lighting"))
    assert looks() == ["train", "check", "check", "check"]


def test_the_exit_code_is_for_machines(run, tmp_path, monkeypatch, capsys):
    rules = tmp_path / "check.toml"
    kept = [name for name in RULES if name not in ("performance", "parity")]
    waived = "".join(f'[{name}]\nwaived = "this is a test"\n' for name in kept)
    rules.write_text(waived)
    assert command(["check", run, "--rules", rules], monkeypatch) == 0
    assert command(["check", run, "--rules", rules, "--strict"], monkeypatch) == 1
    assert "parity" in capsys.readouterr().err
    rules.write_text(waived + "[performance]\nleast = 1.0\n")
    assert command(["check", run, "--rules", rules, "--json"], monkeypatch) in (0, 1)
    assert json.loads(capsys.readouterr().out)["counts"]["not done"] == 1


def test_the_written_rules_are_the_usual_ones(run, tmp_path, monkeypatch, capsys):
    rules = tmp_path / "check.toml"
    assert command(["check", "--write-rules", rules], monkeypatch) == 0
    assert "Next: linnaea check RUN" in capsys.readouterr().out
    with_file = linnaea.check(run, rules=rules)
    assert [verdict.parameters for verdict in with_file.verdicts] == [
        verdict.parameters for verdict in linnaea.check(run).verdicts
    ]
    assert command(["check", "--write-rules", rules], monkeypatch) == 2


def test_a_sign_off_is_void_when_the_bundle_changes_and_loading_says_so(run, caplog):
    found = linnaea.check(run, rules=only("performance"), signed_off_by="C. Linnaeus")
    assert found.signed_off_by == "C. Linnaeus"
    assert read_sign_off(run / "model", run=run).void == ""
    linnaea.load(run)
    assert "void" not in caplog.text
    classifier = linnaea.load(run)
    classifier.with_(provenance={**classifier.provenance, "notes": ["changed"]}).save(run / "model")
    with caplog.at_level(logging.WARNING, logger="linnaea"):
        linnaea.load(run)
    assert "the sign-off by C. Linnaeus is void: model/classifier.json has changed since the check" in caplog.text


def test_a_record_that_was_edited_is_void(run):
    linnaea.check(run, rules=only("performance"), signed_off_by="C. Linnaeus")
    path = run / "model" / "check.json"
    path.write_text(path.read_text().replace("C. Linnaeus", "A. Nobody"))
    assert read_sign_off(run / "model").void == "it was edited after the check"


def test_evidence_that_changed_makes_it_void_for_the_run(run):
    linnaea.check(run, rules=only("performance"), signed_off_by="C. Linnaeus")
    metrics = run / "metrics.json"
    metrics.write_text(metrics.read_text().replace("Wilson", "Guess"))
    assert read_sign_off(run / "model").void == ""
    assert read_sign_off(run / "model", run=run).void == "metrics.json has changed since the check"


def test_findings_and_parts_of_the_record_that_changed_make_it_void(run):
    rules = only("performance", "guessing")
    linnaea.check(run, rules=rules, signed_off_by="C. Linnaeus")
    Run.open(run).count_test("evaluate")
    assert read_sign_off(run / "model", run=run).void == ""
    arguments = Run.open(run).record()["arguments"]
    Run.open(run).update(arguments=arguments | {"weights": "elsewhere"})
    assert read_sign_off(run / "model", run=run).void == "'arguments' of run.json has changed since the check"
    Run.open(run).update(arguments=arguments)
    findings = run / "findings" / "guessing.json"
    findings.write_text(findings.read_text() + " ")
    assert read_sign_off(run / "model", run=run).void == "findings/guessing.json has changed since the check"


def test_what_is_open_is_not_signed_off_and_how_to_waive_is_said(run, tmp_path, monkeypatch, capsys, caplog):
    found = linnaea.check(run, rules=only("holdout_size", "parity"), signed_off_by="C. Linnaeus")
    assert (found.signed_off_by, found.counts.get("fail")) == ("", None)
    assert "not signed off: holdout_size (too few), parity (not done) would have to pass" in caplog.text
    assert "--write-rules" in caplog.text
    rules = tmp_path / "check.toml"
    waived = "".join(f'[{name}]\nwaived = "this is a test"\n' for name in RULES if name != "parity")
    rules.write_text(waived)
    signing = ["check", run, "--rules", rules, "--signed-off-by", "C. Linnaeus"]
    assert command(signing, monkeypatch) == 1
    assert "parity (not done)" in capsys.readouterr().err
    rules.write_text(waived + '[parity]\nwaived = "nothing is exported"\n')
    assert command(signing, monkeypatch) == 0


def test_what_fails_is_not_signed_off(run, caplog):
    failing = only("holdout_openings", holdout_openings={"most": 1})
    Run.open(run).count_test("evaluate")
    found = linnaea.check(run, rules=failing, signed_off_by="C. Linnaeus")
    assert found.signed_off_by == ""
    assert json.loads((run / "model" / "check.json").read_text())["signed_off_by"] is None
    assert "not signed off: holdout_openings (fail) would have to pass" in caplog.text
    with pytest.raises(UsageError, match="signed_off_by is empty"):
        linnaea.check(run, signed_off_by=" ")


def test_images_that_are_gone_are_said(run, tmp_path):
    record = json.loads((run / "run.json").read_text())
    record["dataset"]["root"] = str(tmp_path / "nowhere")
    (run / "run.json").write_text(json.dumps(record))
    found = {verdict.rule: verdict for verdict in linnaea.check(run).verdicts}
    assert found["lighting"].outcome == "not done"
    assert "put them back" in found["lighting"].sentence
    assert [look["by"] for look in Run.open(run).record()["test_opened"]] == ["train"]


def test_bad_input_is_refused(run, tmp_path, monkeypatch, capsys):
    rules = tmp_path / "check.toml"
    rules.write_text("[recal_floor]\nleast = 0.8\n")
    with pytest.raises(UsageError, match=r"check.toml: there is no rule 'recal_floor'.*Did you mean 'recall_floor'"):
        linnaea.check(run, rules=rules)
    rules.write_text("[recall_floor\nleast")
    with pytest.raises(DataError, match=r"check.toml cannot be read as TOML"):
        linnaea.check(run, rules=rules)
    with pytest.raises(DataError, match="--write-rules"):
        linnaea.check(run, rules=tmp_path / "none.toml")
    with pytest.raises(
        RunError, match=r"bundle of a classifier, without the evidence that it is judged by. Give the run around it"
    ):
        linnaea.check(run / "model")
    shutil.copytree(run / "model", tmp_path / "bundle")
    with pytest.raises(RunError, match="Give the run that it came from"):
        linnaea.check(tmp_path / "bundle")
    assert command(["check"], monkeypatch) == 2
    assert "check needs a run" in capsys.readouterr().err
    Run.open(run).update(status="interrupted")
    with pytest.raises(RunError, match="before it was finished"):
        linnaea.check(run)
    assert not (run / "model" / "check.json").exists()
