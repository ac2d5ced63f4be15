"""A datasheet: a template that asks, answers that are read strictly, and a copy that travels with every run."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from material import draw_pets, run

import linnaea
from linnaea.data.datasheet import (
    KEYS,
    QUESTIONS,
    Datasheet,
    as_toml,
    copy_datasheet,
    find_datasheet,
    read_datasheet,
    stale,
)
from linnaea.errors import DataError, UsageError
from linnaea.runtime.toml import toml_table


@pytest.fixture
def photos(tmp_path):
    return draw_pets(tmp_path / "photos", *(f"{number}.{'jpg' if number > 5 else 'png'}" for number in range(8)))


def sheet_of(tmp_path, text):
    file = tmp_path / "datasheet.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_template_asks_every_question_and_counts_what_can_be_counted(photos):
    file = linnaea.datasheet(photos)
    assert file == photos / "datasheet.toml"
    text = file.read_text()
    content = tomllib.loads(text)
    assert [key for key in content if key != "counted"] == list(KEYS)
    assert all(f"# {question}\n{key} = " in text for part in QUESTIONS.values() for key, question in part.items())
    counted = content["counted"]
    assert counted["images"] == 8
    assert counted["classes"] == {"cat": 4, "dog": 4}
    assert counted["formats"] == {".png": 6, ".jpg": 2}
    assert len(counted["fingerprint"]) == 64
    assert read_datasheet(file).unanswered == list(KEYS)


def test_splits_and_groups_are_counted(photos, tmp_path):
    rows = [f"{path},{path[:3]},{part},{group}" for path, part, group in SPLIT_ROWS]
    (photos / "labels.csv").write_text("path,label,split,group\n" + "\n".join(rows) + "\n")
    counted = tomllib.loads(linnaea.datasheet(photos, out=tmp_path / "sheet.toml").read_text())["counted"]
    assert counted["splits"] == {"train": 3, "test": 1}
    assert counted["groups"] == 2


SPLIT_ROWS = [
    ("cat/0.png", "train", "x"),
    ("cat/2.png", "train", "x"),
    ("dog/1.png", "train", "y"),
    ("dog/3.png", "test", ""),
]


def test_an_existing_datasheet_is_not_overwritten(photos, monkeypatch, capsys):
    (photos / "datasheet.toml").write_text('licence = "CC0"\n')
    with pytest.raises(UsageError, match="already exists"):
        linnaea.datasheet(photos)
    assert run(["datasheet", photos], monkeypatch) == 2
    assert (photos / "datasheet.toml").read_text() == 'licence = "CC0"\n'
    assert run(["datasheet", photos, "--out", photos / "other.toml"], monkeypatch) == 0
    assert f"--datasheet {photos / 'other.toml'}" in capsys.readouterr().out


def test_a_datasheet_is_no_stray_file(photos):
    linnaea.datasheet(photos)
    assert linnaea.read(photos).excluded == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('license = "CC0"', "'license', which is not a question in a datasheet. Did you mean 'licence'"),
        ("[collection]\nwho = 'me'", "collection is {'who': 'me'}; expected words"),
        ("limits = true", "limits is True; expected words"),
        ("limits = [1, 2]", "expected words"),
        ("counted = 3", "counted is 3; expected a table"),
        ("licence = CC0", "cannot be read as TOML"),
        ("[counted]\nimages = 3\nlicence = 'CC0'", "answers 'licence' below .counted., .*: move it above"),
        ("[counted.classes]\ncat = 3\ncontact = 'me'", "answers 'contact' below .counted."),
    ],
)
def test_what_is_no_answer_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_datasheet(sheet_of(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="linnaea datasheet DATA"):
        read_datasheet(tmp_path / "none.toml")


def test_answers_are_words_whatever_their_type(tmp_path):
    text = 'version = 1.2\nannotators = ["Ann", "Ben"]\nname = "  Pets "\nlimits = ""\nmaintenance = 2024-05-01\n'
    sheet = read_datasheet(sheet_of(tmp_path, text))
    assert sheet.answers == {"version": "1.2", "annotators": "Ann; Ben", "name": "Pets", "maintenance": "2024-05-01"}
    assert sheet["limits"] == ""
    assert [key for key, _ in sheet.told(without=["name"])] == ["version", "annotators", "maintenance"]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.strip).filter(bool)


@given(answers=st.dictionaries(st.sampled_from(KEYS), WORDS), classes=st.dictionaries(WORDS, st.integers(0, 99)))
def test_whatever_is_answered_is_read_back(answers, classes):
    sheet = Datasheet(answers, {"images": 3, "classes": classes})
    content = tomllib.loads(as_toml(sheet))
    assert {key: text for key, text in content.items() if key in KEYS and text} == answers
    assert sum(content["counted"]["classes"].values()) == sum(classes.values()) or any("\n" in name for name in classes)


def test_tables_within_tables_are_toml():
    content = {"a b": 1, "inner": {"x.y": "1\n2", "deep": {"é": True}}}
    assert tomllib.loads("\n".join(toml_table("top", content))) == {"top": content}


def test_a_copy_has_the_answers_and_counts_anew(photos, tmp_path):
    sheet = read_datasheet(sheet_of(tmp_path, 'licence = "CC0"\n[counted]\nimages = 99\n'))
    dataset = linnaea.split(photos)
    content = tomllib.loads(copy_datasheet(sheet, dataset, tmp_path / "copy.toml").read_text())
    assert content["licence"] == "CC0"
    assert content["counted"]["images"] == len(dataset)
    assert content["counted"]["fingerprint"] == dataset.fingerprint
    assert "written for 99 images, but the data has 8" in stale(sheet, dataset)
    assert stale(Datasheet({}), dataset) == ""


def test_the_datasheet_beside_the_data_is_found(photos):
    assert find_datasheet(linnaea.read(photos)) is None
    file = linnaea.datasheet(photos)
    assert find_datasheet(linnaea.read(photos)) == file


@pytest.fixture
def trained(photos, tmp_path):
    def train(name, **options):
        linnaea.train(photos, out=tmp_path / name, model="majority", **options)
        return tmp_path / name

    return train


def test_a_datasheet_travels_into_the_run_the_card_and_the_report(photos, trained):
    answers = {
        "intended_use": "Counting pets.",
        "licence": "CC0 <b>",
        "limits": "Only by day.",
        "labelling": "Two vets.",
    }
    (photos / "datasheet.toml").write_text("\n".join(f'{key} = "{text}"' for key, text in answers.items()))
    folder = trained("with")
    copy = tomllib.loads((folder / "datasheet.toml").read_text())
    assert copy["licence"] == "CC0 <b>"
    assert copy["counted"]["fingerprint"] == linnaea.Run.open(folder).record()["dataset"]["fingerprint"]
    card = (folder / "model" / "README.md").read_text()
    assert "## Intended use\n\nCounting pets." in card
    assert all(text in card for text in answers.values())
    assert "no datasheet" not in card
    report = (folder / "report.html").read_text()
    assert "Counting pets." in report
    assert "CC0 &lt;b&gt;" in report


def test_where_there_is_no_datasheet_card_and_report_say_so(trained):
    folder = trained("without")
    assert not (folder / "datasheet.toml").exists()
    assert "There is no datasheet" in (folder / "model" / "README.md").read_text()
    assert "There is no datasheet" in (folder / "report.html").read_text()


def test_a_datasheet_can_be_named_and_is_refused_before_any_work(photos, trained, tmp_path):
    folder = trained("named", datasheet=sheet_of(tmp_path, 'contact = "ann@example.org"\n[counted]\nimages = 7\n'))
    assert "ann@example.org" in (folder / "model" / "README.md").read_text()
    assert any("written for 7 images" in note for note in linnaea.Run.open(folder).record()["notes"])
    with pytest.raises(DataError, match="not a question in a datasheet"):
        trained("wrong", datasheet=sheet_of(tmp_path, 'contacts = "x"'))
    assert not (tmp_path / "wrong").exists()
