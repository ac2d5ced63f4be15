"""Tables and lists as people have them: other separators, encodings, words for missing, lists in a cell, odd paths."""

import json
import math
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from material import reasons, touch

from linnaea.data.datasheet import read_datasheet
from linnaea.data.sources import read
from linnaea.errors import DataError
from linnaea.runtime.text import decoded, lines_of

NAMES = ("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png")
LABELS = ["cat", "cat", "dog", "dog"]


@pytest.fixture
def told(caplog):
    caplog.set_level("INFO", "linnaea")
    return caplog


def write(root, content, name="labels.csv"):
    touch(root, *NAMES)
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root / name


def refusal(action, otherwise="names.txt labels.csv"):
    """The message of a DataError, or what it would hold where there was none; no other error passes."""
    try:
        action()
    except DataError as error:
        return str(error)
    return otherwise


def rows(header="path,label", separator=",", labels=LABELS):
    lines = [separator.join(pair) for pair in zip(NAMES, labels, strict=False)]
    return "\n".join([header.replace(",", separator), *lines]) + "\n"


# What can be accepted without doubt is accepted, and said


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (rows(), "labels.csv", ""),
        (rows(separator="\t"), "labels.tsv", ""),
        (rows(separator=";"), "labels.csv", "separated by semicolons"),
        (rows(separator="\t"), "labels.csv", "separated by tabs"),
        (rows(header="Path, LABEL "), "labels.csv", "the column 'Path' is read as 'path'"),
        (rows().replace("/", "\\"), "labels.csv", "4 paths"),
        (rows().encode("utf-16"), "labels.csv", "UTF-16"),
        (rows().encode("utf-8-sig"), "labels.csv", ""),
        (rows(header="image_path,class_name"), "labels.csv", ""),
    ],
)
def test_tables_in_other_dress_are_read(tmp_path, told, content, name, said):
    dataset = read(write(tmp_path, content, name))
    assert (dataset.ids, dataset.labels) == (list(NAMES), LABELS)
    assert said in told.text
    assert bool(said) == bool(told.text)


def test_absolute_paths_into_the_own_folder_are_relative(tmp_path, told):
    text = rows().replace("cat/", f"{tmp_path}/cat/")
    dataset = read(write(tmp_path, text))
    assert dataset.ids == list(NAMES)
    assert "2 absolute paths" in told.text
    elsewhere = rows().replace("cat/", "/somewhere/else/")
    assert set(reasons(read(write(tmp_path, elsewhere))).values()) == {"path leads outside the table's folder"}
    beside = rows().replace("cat/", f"{tmp_path}/../cat/")
    assert set(reasons(read(write(tmp_path, beside))).values()) == {"path leads outside the table's folder"}


def test_a_backslash_in_the_name_of_a_file_stays(tmp_path, told):
    touch(tmp_path, "a\\b.png", "c.png")
    (tmp_path / "labels.csv").write_text("path,label\na\\b.png,x\nc.png,y\n")
    assert read(tmp_path).ids == ["a\\b.png", "c.png"]
    assert not told.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat/0.png,cat\ndog/0.png,dog\n", r"no header; its first line is 'cat/0\.png,cat': add a line path,label"),
        ("path|label\ncat/0.png|cat\n", "one column, 'path|label': expected columns separated by commas"),
        ("place,label\ncat/0.png,cat\n", "the columns place, label; expected 'path' among them"),
        ("path,label\nno.png,cat\n", "1: file not found.*The first row names 'no.png'; paths are relative to"),
        ("path,label\n", "a header and no rows"),
        ("path,label,split\ncat/0.png,cat,somewhere\n", "row 2: the split is 'somewhere'"),
    ],
)
def test_messages_name_the_mend(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path, text))


# Encodings


@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl", "taxonomy.csv"])
def test_a_wrong_encoding_names_the_file_and_the_place(tmp_path, name):
    texts = {
        "labels.csv": "path,label\ncat/0.png,größe\n",
        "labels.jsonl": '{"path": "cat/0.png", "label": "cat"}\n{"path": "cat/1.png", "label": "größe"}\n',
        "taxonomy.csv": "child,parent\ncat,größe\n",
    }
    write(tmp_path, rows() if name == "taxonomy.csv" else b"", "labels.csv")
    file = write(tmp_path, texts[name].encode("latin-1"), name)
    with pytest.raises(DataError, match=rf"{name}, line 2: byte \d+ is 0xf6, which is not UTF-8.*größe.*iconv"):
        read(file if name.startswith("labels") else tmp_path)


def test_utf16_without_a_mark_is_named(tmp_path):
    with pytest.raises(DataError, match="UTF-16 text without a byte order mark"):
        read(write(tmp_path, rows().encode("utf-16-le")))


@given(st.text(st.characters(exclude_categories=("Cs",))), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_any_text_is_read_as_it_was_written(text, encoding):
    content = text.encode(encoding)
    if text.startswith("\ufeff") or (encoding == "utf-8" and "\0" in text):
        return
    assert decoded(content, "x") == text


@given(st.binary(max_size=200))
def test_no_bytes_fail_otherwise_than_by_name(content):
    assert "names.txt" in refusal(lambda: decoded(content, "names.txt"))


def test_lines_end_at_line_ends_only():
    assert lines_of("a\u2028b\x0bc\r\nd\re\n") == ["a\u2028b\x0bc", "d", "e"]
    assert lines_of("") == []


# Missing labels


def test_nan_is_a_missing_label_in_every_table(tmp_path, told):
    pq.write_table(pa.table({"path": NAMES, "label": [0.0, 0.0, 1.0, math.nan]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"path": NAMES, "label": ["0", "0", "1", "nan"]}), tmp_path / "b.parquet")
    write(
        tmp_path, "".join(f'{{"path": "{n}", "label": {v}}}\n' for n, v in zip(NAMES, "001", strict=False)), "c.jsonl"
    )
    with (tmp_path / "c.jsonl").open("a") as handle:
        handle.write(f'{{"path": "{NAMES[3]}", "label": NaN}}\n')
    write(tmp_path, rows(labels=["0", "0", "1", "nan"]), "d.csv")
    write(tmp_path, rows(labels=["0", "0", "1", "<NA>"]), "e.csv")
    for name in ("a.parquet", "b.parquet", "c.jsonl", "d.csv", "e.csv"):
        dataset = read(tmp_path / name)
        assert dataset.labels == ["0", "0", "1"], name
        assert reasons(dataset) == {NAMES[3]: "no label given"}
    assert told.text.count("which is read as missing") == 3  # those that were text


def test_a_class_that_may_be_a_missing_label_is_said(tmp_path, told):
    assert read(write(tmp_path, rows(labels=["None", "None", "dog", "dog"]))).classes == ("None", "dog")
    assert "2 cells of 'label'" in told.text
    assert "read as the name of a class" in told.text


def test_nan_is_no_group_and_no_split(tmp_path, told):
    header = "path,label,group,split"
    text = "\n".join([header, *(f"{n},{v},nan,nan" for n, v in zip(NAMES, LABELS, strict=True))])
    dataset = read(write(tmp_path, text))
    assert not dataset.has("group")
    assert not dataset.has("split")
    assert "4 cells of 'group'" in told.text
    pq.write_table(pa.table({"path": NAMES, "label": LABELS, "group": [math.nan] * 4}), tmp_path / "x.parquet")
    assert not read(tmp_path / "x.parquet").has("group")


def test_a_manifest_is_taken_as_it_is(tmp_path, told):
    touch(tmp_path, "nan/1.png", "['a']/2.png", "a;b/3.png", "a/4.png", "-x/5.png")
    dataset = read(tmp_path)
    (tmp_path / "manifest.csv").write_text(dataset.manifest())
    assert read(tmp_path).labels == dataset.labels
    assert not told.text


# Lists in a cell


def labelled(tmp_path, *labels, column="label"):
    quoted = ['"' + label.replace('"', '""') + '"' for label in labels]
    return read(write(tmp_path, rows(f"path,{column}", labels=quoted)))


@pytest.mark.parametrize(
    "cells",
    [
        ["['cat', 'dog']", "['dog']", "[]"],
        ['["cat", "dog"]', '["dog"]', "[]"],
        ["('cat', 'dog')", "('dog',)", "()"],
    ],
)
def test_lists_in_every_cell_are_several_labels(tmp_path, told, cells):
    dataset = labelled(tmp_path, *cells)
    assert (dataset.task, dataset.labels) == ("multilabel", [["cat", "dog"], ["dog"], []])
    assert "are lists" in told.text


def test_a_mark_in_every_cell_joins_labels(tmp_path, told):
    assert labelled(tmp_path, "cat;dog", "dog;bird", "dog; cat").labels == [
        ["cat", "dog"],
        ["bird", "dog"],
        ["cat", "dog"],
    ]
    assert "joined by ';'" in told.text


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["cat;dog", "dog", "cat"], r"1 label containing ';', first 'cat;dog'.*'cat\|dog'.*call the column 'class'"),
        (["cat,dog", "dog", "cat"], r"1 label containing ',', first 'cat,dog'"),
        (["cat;dog", "bird;cow", "cat"], "2 labels containing ';'"),
        (["['cat']", "dog", "cat"], "labels that are lists, such as .*, and 2 that are not"),
        (["[cat, dog]", "dog", "cat"], "1 label in brackets"),
        (['{"name": "cat"}', '{"name": "dog"}'], "2 labels that are objects"),
        (["[{'name': 'cat'}]", "[{'name': 'dog'}]"], "2 labels that are objects"),
    ],
)
def test_what_may_be_a_list_is_asked_about(tmp_path, cells, message):
    with pytest.raises(DataError, match=message):
        labelled(tmp_path, *cells)


def test_names_with_commas_are_names(tmp_path, told):
    names = ["tench, Tinca tinca", "goldfish, Carassius auratus", "great white shark, white shark"]
    assert labelled(tmp_path, *names).labels == names
    assert "3 classes" in told.text
    assert labelled(tmp_path, "cat, black", "cat, white", "dog, black").task == "multiclass"


def test_a_column_called_class_holds_one_name_per_cell(tmp_path):
    assert labelled(tmp_path, "cat;dog", "dog", "cat", column="class").classes == ("cat", "cat;dog", "dog")


def test_objects_as_labels_in_json_lines(tmp_path):
    lines = [json.dumps({"path": name, "label": {"name": name[:3], "id": 0}}) for name in NAMES]
    with pytest.raises(DataError, match=r"2 labels that are objects.*write the name of the class there"):
        read(write(tmp_path, "\n".join(lines), "labels.jsonl"))


@settings(max_examples=60, deadline=None)
@given(cells=st.lists(st.text("[]{}()'\",;abc\\0-", min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=4))
def test_no_cell_fails_otherwise(tmp_path_factory, cells):
    root = tmp_path_factory.mktemp("cells")
    assert "labels.csv" in refusal(lambda: labelled(root, *cells))


# Hostile tables


def test_deep_json_is_refused_by_name(tmp_path):
    deep = '{"path": "cat/0.png", "label": ' + "[" * 100_000 + "]" * 100_000 + "}"
    with pytest.raises(DataError, match=r"labels\.jsonl, line 1 cannot be read as a table .*nested too deeply"):
        read(write(tmp_path, deep, "labels.jsonl"))


def test_damaged_parquet_is_refused_by_name(tmp_path):
    file = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"path": [f"{n}.png" for n in range(900)], "label": ["cat"] * 900}), file)
    content = bytearray(file.read_bytes())
    content[30:60] = bytes(30)
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"labels\.parquet cannot be read as a table"):
        read(file)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_damage_to_a_parquet_file_fails_otherwise(tmp_path_factory, data):
    root = touch(tmp_path_factory.mktemp("parquet"), *NAMES)
    pq.write_table(pa.table({"path": NAMES, "label": LABELS}), root / "x.parquet")
    content = bytearray((root / "x.parquet").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (root / "x.parquet").write_bytes(content)
    assert "x.parquet" in refusal(lambda: read(root / "x.parquet"), "x.parquet")


def test_text_that_grows_beyond_measure_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("linnaea.data.sources.loading.MOST_TABLE_BYTES", 10**6)
    table = pa.table({"path": ["x" * 10_000] * 1_000, "label": ["cat"] * 1_000})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match="more than 1,000,000 bytes"):
        read(tmp_path / "x.parquet")


def test_a_pipe_in_place_of_a_list_is_refused(tmp_path):
    os.mkfifo(tmp_path / "datasheet.toml")
    with pytest.raises(DataError, match=r"datasheet\.toml cannot be read \(a pipe"):
        read_datasheet(tmp_path / "datasheet.toml")
