"""The verb `dossier`: what is measured, stated and missing, which points it answers; and the gate in the report."""

import json
import re

import pytest
from material import run as command

import linnaea
from linnaea.data.datasheet import KEYS, Datasheet, as_toml
from linnaea.delivery.dossier import ANNEX, CARD, SECTIONS, Sources
from linnaea.delivery.dossier.contract import MEASURED, MISSING
from linnaea.delivery.dossier.statements import QUESTIONS, Statements, read_statements, write_statements
from linnaea.delivery.report.folder import Folder
from linnaea.delivery.report.pages import Material
from linnaea.errors import DataError, RunError
from linnaea.run import Run
from linnaea.runtime.files import sha256_of


def text_of(path):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8")))


def gaps_of(path):
    page = path.read_text(encoding="utf-8")
    return page[page.index('id="missing"') : page.index('class="toc"')]


def test_what_is_missing_comes_first_and_is_never_filled_in(run):
    page = linnaea.dossier(run)
    assert page == run / "dossier.html"
    gaps = gaps_of(page)
    for question in QUESTIONS.values():
        assert question.text in gaps
    assert "linnaea evaluate" in gaps
    assert f"linnaea check {run}" in gaps
    assert page.read_text().index('id="missing"') < page.read_text().index('id="purpose"')


def test_it_has_the_figures_of_the_run_with_intervals_and_the_hashes_of_its_files(run):
    text = text_of(linnaea.dossier(run))
    accuracy = json.loads((run / "metrics.json").read_text())["test"]["accuracy"]
    assert f"{100 * accuracy['lo']:.1f}" in text
    for name in ("model/weights.safetensors", "predictions/test.parquet", "run.json"):
        assert sha256_of(run / name) in text
    assert json.loads((run / "run.json").read_text())["dataset"]["fingerprint"] in text


@pytest.mark.parametrize("ending", ["toml", "md"])
def test_what_people_state_is_marked_as_said_by_them(run, tmp_path, ending, monkeypatch):
    place = tmp_path / f"said.{ending}"
    assert command(["dossier", "--write-statements", place], monkeypatch) == 0
    text = place.read_text()
    if ending == "toml":
        text = text.replace('oversight = ""', 'oversight = "A warden confirms each answer."')
        text = text.replace('stated_by = ""', 'stated_by = "C. Linnaeus"')
    else:
        text = text.replace("# oversight\n", "# oversight\n\nA warden confirms each answer.\n")
        text = text.replace("# stated_by\n", "# stated_by\n\nC. Linnaeus\n")
    place.write_text(text)
    page = linnaea.dossier(run, statements=place, out=tmp_path / "d.html")
    told = text_of(page)
    assert "A warden confirms each answer." in told
    assert f"stated said.{ending}, C. Linnaeus" in told
    assert QUESTIONS["oversight"].text not in gaps_of(page)
    assert QUESTIONS["risks"].text in gaps_of(page)
    assert "&lt;!--" not in page.read_text()


def test_the_datasheet_answers_where_no_statement_does(run):
    (run / "datasheet.toml").write_text(as_toml(Datasheet(dict.fromkeys(KEYS, "From the old herbarium."))))
    page = linnaea.dossier(run)
    assert QUESTIONS["provenance"].text not in gaps_of(page)
    assert "stated datasheet.toml From the old herbarium." in text_of(page)


def test_every_point_is_asked_for_somewhere_and_the_last_table_says_what_answers_it(run):
    material = Material.of(Folder(run))
    blocks = [block for name in SECTIONS for block in SECTIONS[name](Sources(material, Statements({}, {}), None))]
    points = {point for one in [*blocks, *QUESTIONS.values()] for point in one.annex}
    names = {name for one in [*blocks, *QUESTIONS.values()] for name in one.card}
    assert points == set(ANNEX)
    assert names == set(CARD)
    assert {question.section for question in QUESTIONS.values()} <= set(SECTIONS)
    page = linnaea.dossier(run).read_text()
    coverage = page[page.index('id="coverage"') :]
    assert all(f'<th scope="row">{point}' in coverage for point in [*ANNEX, *CARD])
    assert "not answered" in coverage


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_names_the_source_of_each_block(name, run):
    blocks = list(SECTIONS[name](Sources(Material.of(Folder(run)), Statements({}, {}), None)))
    assert SECTIONS.about(name).title
    for block in blocks:
        assert block.kind in (MEASURED, MISSING)
        assert block.title
        assert block.source


def test_the_check_is_in_the_dossier_and_the_report_until_the_bundle_changes(run):
    waived = {name: {"waived": "a test"} for name in ("guessing", "leakage")}
    linnaea.check(run, rules=waived | {"performance": {"least": 0.0}})
    page = linnaea.dossier(run)
    assert "A signature under the check" in gaps_of(page)
    assert "Waived: a test" in text_of(page)
    assert "half the light" in text_of(page)
    report = text_of(linnaea.report(run))
    assert "Release gate" in report
    assert "nobody has signed it off" in report
    classifier = linnaea.load(run)
    classifier.with_(provenance={**classifier.provenance, "notes": ["changed"]}).save(run / "model")
    assert "This check is void: model/classifier.json has changed since the check" in text_of(linnaea.report(run))
    assert "The last one is void" in gaps_of(linnaea.dossier(run))


def test_names_and_statements_cannot_act_on_the_page(run, tmp_path):
    place = tmp_path / "said.toml"
    place.write_text('risks = "<script>alert(1)</script>"')
    page = linnaea.dossier(run, statements=place).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "@media print" in page
    assert "http://" not in page


def test_bad_input_is_refused(run, tmp_path, monkeypatch, capsys):
    place = tmp_path / "said.toml"
    place.write_text('oversigth = "x"')
    with pytest.raises(DataError, match="Did you mean 'oversight'"):
        linnaea.dossier(run, statements=place)
    place.write_text("oversight = ")
    with pytest.raises(DataError, match="cannot be read as TOML"):
        linnaea.dossier(run, statements=place)
    place.write_text("oversight = true")
    with pytest.raises(DataError, match="expected words"):
        linnaea.dossier(run, statements=place)
    with pytest.raises(DataError, match="--write-statements"):
        linnaea.dossier(run, statements=tmp_path / "none.toml")
    with pytest.raises(RunError, match="bundle of a classifier"):
        linnaea.dossier(run / "model")
    assert command(["dossier"], monkeypatch) == 2
    assert "dossier needs a run" in capsys.readouterr().err
    Run.open(run).update(status="running")
    with pytest.raises(RunError, match="before it was finished"):
        linnaea.dossier(run)
    assert not (run / "dossier.html").exists()


def test_an_empty_template_states_nothing(tmp_path):
    for ending in ("toml", "md"):
        place = write_statements(tmp_path / f"empty.{ending}")
        assert {key: text for key, text in read_statements(place).items() if text} == {}
