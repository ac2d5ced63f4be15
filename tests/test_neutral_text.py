"""Names of files and classes do nothing on a terminal, in a spreadsheet or in Markdown."""

import csv
import io
import json
import logging
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from material import draw_pets, run, touch

import linnaea
from linnaea.data.sources import read
from linnaea.delivery.answers import FORMATS, writer_for
from linnaea.delivery.sheet import Strip, draw_sheet
from linnaea.predictions import Predictions
from linnaea.runtime.cells import as_csv, guarded, records_in, rows_in, unguarded
from linnaea.runtime.neutral import code, in_json, in_markdown, neutral, neutral_lines
from linnaea.runtime.saying import say, say_data, say_json

ATTACKS = {
    "\x1b[31mred\x1b[0m": "\\x1b[31mred\\x1b[0m",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "a\nError: b": "a\\nError: b",
    "a\rb\tc": "a\\rb\\tc",
    "gpj.\u202ecod": "gpj.\\u202ecod",
    "\u2066x\u2069": "\\u2066x\\u2069",
    "a\x9b31m": "a\\x9b31m",
    "a\u200bb\ufeff": "a\\u200bb\\ufeff",
    "\udcff": "\\udcff",
}
TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)


@pytest.mark.parametrize(("name", "shown"), ATTACKS.items())
def test_what_acts_is_written_out(name, shown):
    assert neutral(name) == shown


@pytest.mark.parametrize("name", ["Größe", "猫 ねこ", "می‌خواهم", "👩‍🔬", "a\\b", "[red]", "  x  ", "عربي"])
def test_names_in_any_script_stay(name):
    assert neutral(name) == name


@given(TEXTS)
def test_nothing_that_acts_is_left(text):
    for letter in neutral(text):
        assert unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(letter) not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    assert neutral_lines(text) == "\n".join(map(neutral, text.split("\n")))
    assert neutral(neutral(text)) == neutral(text)


@given(st.lists(TEXTS))
def test_json_for_a_terminal_says_the_same(texts):
    printed = in_json(json.dumps(texts, indent=2, ensure_ascii=False))
    assert json.loads(printed) == json.loads(json.dumps(texts))
    assert printed == neutral_lines(printed)


# The command line


def test_a_command_prints_names_that_do_not_act(tmp_path, monkeypatch, capsys):
    for name in ("\x1b[2Jcat", "dog\nError: all is lost"):
        draw_pets(tmp_path / "photos" / name, "1.png", "2.png")
    draw_pets(tmp_path / "others", "1.png", "2.png")
    assert run(["diff", tmp_path / "photos", tmp_path / "others"], monkeypatch) == 0
    printed = capsys.readouterr()
    told = printed.out + printed.err
    assert "\\x1b[2Jcat" in told
    assert told == neutral_lines(told)
    assert "\nError: all is lost" not in told


def test_errors_and_logs_are_single_lines(tmp_path, monkeypatch, capsys):
    touch(tmp_path, "a\nb/labels.csv")
    assert run(["audit", tmp_path / "a\nb" / "labels.csv"], monkeypatch) == 2
    assert capsys.readouterr().err.count("\n") == 1
    record = logging.LogRecord("linnaea", logging.INFO, "", 0, "%s is \x1b[0m", ("a\nb",), None)
    assert all(each(record) for each in logging.getLogger("linnaea").filters)
    assert record.getMessage() == "a\\nb is \\x1b[0m"


def test_each_line_said_is_one_line(capsys):
    say("a\nb", "c")
    say_json({"a\u202e": "b"})
    assert capsys.readouterr().out == 'a\\nb\nc\n{\n  "a\\u202e": "b"\n}\n'


@pytest.mark.parametrize(("terminal", "printed"), [(True, "a\\x1b[0m\n"), (False, "a\x1b[0m\n")])
def test_data_is_changed_on_terminals_only(capsys, monkeypatch, terminal, printed):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    say_data("a\x1b[0m")
    assert capsys.readouterr().out == printed


def test_nothing_is_printed_past_the_one_place():
    from pathlib import Path

    import linnaea

    root = Path(linnaea.__file__).parent
    written = [str(file.relative_to(root)) for file in root.rglob("*.py") if "sys.stdout" in file.read_text("utf-8")]
    script = "delivery/exporters/predict.py"  # it travels with an exported model, and has nothing of ours beside it
    assert set(written) - {script} == {"runtime/saying.py"}
    written = [str(file.relative_to(root)) for file in root.rglob("*.py") if "csv.writer" in file.read_text("utf-8")]
    assert written == ["runtime/cells.py"]


def test_sheets_can_be_drawn_of_any_name():
    pictures = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    assert draw_sheet("a\nb", ["c\nd"], [Strip("e\nf", pictures, ["g\nh"])]).width > 32


# Spreadsheets


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cat", "-cat", "@cat", "\tx", "\rx", "＝1", "'=1", "''-x", "=cmd|' /C calc'!A0"]
)
def test_cells_that_would_run_are_guarded(cell):
    assert guarded(cell) == "'" + cell
    assert unguarded(guarded(cell)) == cell


@pytest.mark.parametrize("cell", ["", "cat", "-1", "+1.5e-3", "-.5", "'quoted'", "it's", "'-1", "a=b", "1-2"])
def test_other_cells_and_numbers_stay(cell):
    assert guarded(cell) == unguarded(cell) == cell


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("=+-@'\t\r\n,\";|"))), min_size=1
    )
)
@example([["=1", "'=1"], ["''=1", "-1"]])
def test_any_cell_comes_back(rows):
    text = as_csv(rows)
    assert [row for row in rows_in(text) if row] == [row for row in rows if row]
    for row in csv.reader(io.StringIO(text, newline="")):
        assert not [cell for cell in row if cell[:1] in tuple("=@\t\r") and cell]
    assert list(csv.reader(io.StringIO(as_csv(rows, guard_formulas=False), newline=""))) == rows


def test_rows_of_other_lengths_are_named():
    with pytest.raises(csv.Error, match="row 3 has 1 cells, the header has 2"):
        list(records_in("a,b\n1,2\n3\n"))


def test_names_come_back_from_a_manifest(tmp_path):
    touch(tmp_path, "=cat/1.png", "-dog/2.png", "'=cow/3.png", "@x/+1.png")
    dataset = read(tmp_path)
    text = dataset.manifest()
    assert "\n'=cat/1.png,'=cat," in text
    assert "\n=cat/1.png,=cat," in dataset.manifest(guard_formulas=False)
    (tmp_path / "manifest.csv").write_text(text)
    again = read(tmp_path)
    assert (again.ids, again.labels) == (dataset.ids, dataset.labels)


def test_a_table_of_others_may_be_guarded_too(tmp_path, caplog):
    caplog.set_level("INFO", "linnaea")
    touch(tmp_path, "1.png", "2.png")
    (tmp_path / "labels.csv").write_text("path,label\n1.png,'=cat\n2.png,'dog'\n")
    assert read(tmp_path).labels == ["=cat", "'dog'"]
    assert "1 cell in" in caplog.text


def answers(*labels):
    return Predictions.from_columns(
        {
            "id": [f"-{number}.png\x1b" for number in range(len(labels))],
            "probabilities": np.eye(len(labels)),
            "label": list(labels),
            "confidence": [0.9] * len(labels),
            "reason": ["ok"] * len(labels),
            "prediction_set": [[name] for name in labels],
            "ood_score": [0.0] * len(labels),
            "detail": [None] * len(labels),
        },
        classes=labels,
        task="multiclass",
    )


def test_answers_are_guarded_as_an_option_that_is_on(tmp_path):
    given = answers("=cat", "dog", "cow\nError")
    table = FORMATS["table"](given, None)
    assert table.count("\n") == 3
    assert "-0.png\\x1b" in table
    assert "'=cat" in FORMATS["csv"](given, None)
    assert [row["label"] for row in records_in(FORMATS["csv"](given, None))] == ["=cat", "dog", "cow\nError"]
    writer_for(None, tmp_path / "x.csv", guard_formulas=False)(given, tmp_path / "x.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_bytes().decode(), newline="")))
    assert [row["label"] for row in rows] == ["=cat", "dog", "cow\nError"]


def test_a_split_is_written_either_way(tmp_path, monkeypatch, capsys):
    for name in ("=cat", "dog"):
        draw_pets(tmp_path / "photos" / name, *(f"{number}.png" for number in range(12)))
    for flags, first in (((), "'=cat"), (("--no-guard-formulas",), "=cat")):
        out = tmp_path / f"{len(flags)}.csv"
        assert run(["split", tmp_path / "photos", "--out", out, *flags], monkeypatch) == 0
        assert out.read_text().splitlines()[1].startswith(first)


# Markdown


@given(TEXTS)
@example("# heading")
@example("1. item")
@example("[a](http://b.c) <script>alert(1)</script> **x** `y` | z \\ &amp; ~~s~~")
def test_names_in_markdown_show_what_they_say(text):
    shown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(in_markdown(text))
    leaves = [leaf for block in shown for leaf in block.children or ()]
    assert {block.type for block in shown} <= {"paragraph_open", "inline", "paragraph_close"}
    assert {leaf.type for leaf in leaves} <= {"text"}
    assert "".join(leaf.content for leaf in leaves) == neutral(text).strip()


@given(TEXTS)
def test_code_in_markdown_is_code(text):
    shown = MarkdownIt("commonmark").parse(f"x {code(text)} y")
    kinds = [(leaf.type, leaf.content) for leaf in shown[1].children]
    if text.strip():
        assert kinds[1][0] == "code_inline"
        assert kinds[1][1].strip() == neutral(text).strip()


def test_a_card_of_odd_classes(tmp_path):
    for name in ("[red](http:", "<b>dog"):
        draw_pets(tmp_path / "photos" / name, *(f"{number}.png" for number in range(12)))
    linnaea.train(tmp_path / "photos", out=tmp_path / "run", model="majority", weights="none")
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "\\<b\\>dog" in card
    assert "\\[red\\](http:" in card
    assert "<b>" not in (tmp_path / "run" / "report.html").read_text()


def test_nothing_to_say_is_no_empty_line(capsys):
    say()
    say(*(line for line in ()), err=True)
    assert capsys.readouterr() == ("", "")
