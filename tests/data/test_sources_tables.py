"""Tables: several labels per image, 0/1 columns, taxonomies, metadata files, and cells of every kind."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from material import touch

import linnaea as ln
from linnaea.data.sources import read
from linnaea.dataset import Excluded
from linnaea.errors import DataError
from linnaea.runtime.cells import escape, join_cell

NAN = float("nan")


def table(root, text, name="labels.csv", images=4):
    touch(root, *(f"{number}.png" for number in range(1, images + 1)))
    (root / name).write_text(text, encoding="utf-8")
    return root / name


def rows(header, *cells):
    return "\n".join([header, *(f"{number}.png,{cell}" for number, cell in enumerate(cells, 1))]) + "\n"


def same(matrix, expected):
    return np.array_equal(matrix, np.array(expected, dtype=np.float32), equal_nan=True)


def test_several_labels_joined_by_bars(tmp_path):
    dataset = read(table(tmp_path, rows("path,label", "dog|cat", "cat", "", "cat|cat|")))
    assert dataset.task == "multilabel"
    assert dataset.multilabel
    assert dataset.classes == ("cat", "dog")
    assert dataset.labels == dataset.label_lists == [["cat", "dog"], ["cat"], [], ["cat"]]
    assert same(dataset.targets, [[1, 1], [1, 0], [0, 0], [1, 0]])
    assert dataset.targets.dtype == np.float32


def test_an_empty_cell_among_several_labels_is_said(tmp_path, caplog):
    caplog.set_level("INFO", "linnaea")
    read(table(tmp_path, rows("path,label", "a|b", "")))
    assert "1 images" in caplog.text
    assert "showing none of the classes" in caplog.text


def test_a_bar_within_a_name(tmp_path):
    one = read(table(tmp_path, rows("path,label", "a\\|b", "c\\d")))
    assert (one.task, one.labels) == ("binary", ["a|b", "c\\d"])
    several = read(table(tmp_path, rows("path,label", "a\\|b|c", "c\\\\|a")))
    assert several.labels == [["a|b", "c"], ["a", "c\\"]]


def test_labels_that_differ_by_case_or_spaces_stay_apart(tmp_path):
    dataset = read(table(tmp_path, rows("path,label", "cat", "Cat", "cat ", " cat")))
    assert dataset.classes == (" cat", "Cat", "cat", "cat ")
    assert read(table(tmp_path, rows("path,label", "cat|Cat", "cat |"))).classes == ("Cat", "cat", "cat ")


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cat", "-cat", "@cat", "=cmd|' /C calc'!A0".replace("|", "\\|"), "1,5", "TRUE"]
)
def test_cells_that_a_spreadsheet_would_run_are_plain_text(tmp_path, cell):
    file = table(tmp_path, f'path,label,group\n1.png,"{cell}","{cell}"\n2.png,b,c\n')
    dataset = read(file)
    assert dataset.labels[0] == cell.replace("\\|", "|")
    assert dataset.column("group")[0] == cell
    file.write_text(dataset.manifest())
    assert read(file).labels == dataset.labels


def test_a_column_per_class(tmp_path):
    text = rows("path,site,open,short,group", "x,1,0,p1", "y,0,0,p1", "x,1,1.0,p2", "y,False,true,p2")
    dataset = read(table(tmp_path, text))
    assert dataset.classes == ("open", "short")
    assert dataset.labels == [["open"], [], ["open", "short"], ["short"]]
    assert dataset.column("group") == ["p1", "p1", "p2", "p2"]
    assert dataset.column("site") == ["x", "y", "x", "y"]
    assert not dataset.has("unknown")


def test_a_blank_cell_is_unknown_which_is_not_absent(tmp_path):
    dataset = read(table(tmp_path, rows("path,a,b,c", "1,,0", "-1,0,0", ",,", "0,0,0")))
    assert same(dataset.targets, [[1, NAN, 0], [NAN, 0, 0], [0, 0, 0]])
    assert dataset.column("unknown") == [["b"], ["a"], []]
    assert [(entry.path, entry.reason) for entry in dataset.excluded] == [("3.png", "no label given")]


def test_a_class_that_no_image_shows_is_a_class(tmp_path):
    assert read(table(tmp_path, rows("path,a,b", "1,0", "0,0"))).classes == ("a", "b")


@pytest.mark.parametrize("header", ["path,a,site", "path,a,b"])
def test_one_column_of_flags_is_not_enough(tmp_path, header):
    with pytest.raises(DataError, match=r"expected 'label' among them, or two or more columns of 0 and 1"):
        read(table(tmp_path, rows(header, "1,x", "0,2")))


def test_unknown_and_absent_as_columns(tmp_path):
    dataset = read(table(tmp_path, rows("path,label,unknown", "a|b,c", "c|,", "|,a|b")))
    assert same(dataset.targets, [[1, 1, NAN], [0, 0, 1], [NAN, NAN, 0]])
    dataset = read(table(tmp_path, rows("path,label,absent", "a|b,c", "c|,", "|,a|b")))
    assert same(dataset.targets, [[1, 1, 0], [NAN, NAN, 1], [0, 0, NAN]])


def test_a_column_called_unknown_beside_one_label_is_metadata(tmp_path):
    dataset = read(table(tmp_path, rows("path,label,unknown", "a,x", "b,y")))
    assert (dataset.task, dataset.column("unknown")) == ("binary", ["x", "y"])


def test_lists_in_parquet(tmp_path):
    touch(tmp_path, "1.png", "2.png", "3.png", "4.png")
    labels = pa.array([["b", "a"], [], None, ["a", None]], pa.list_(pa.string()))
    pq.write_table(pa.table({"path": [f"{n}.png" for n in (1, 2, 3, 4)], "label": labels}), tmp_path / "x.parquet")
    dataset = read(tmp_path / "x.parquet")
    assert dataset.labels == [["a", "b"], [], ["a"]]
    assert dataset.excluded[0].reason == "no label given"


def test_a_label_that_is_none_of_the_classes_is_named():
    for labels, task in ((["a", "z"], "binary"), ([["a"], ["z"]], "multilabel")):
        dataset = ln.Dataset(pa.table({"path": ["1", "2"], "label": labels}), ("a", "b"), task, None)
        with pytest.raises(DataError, match="the label 'z' is not one of the classes a, b"):
            _ = dataset.targets


def test_parquet_of_other_types(tmp_path):
    touch(tmp_path, "1.png", "2.png")
    file, paths = tmp_path / "x.parquet", ["1.png", "2.png"]
    pq.write_table(pa.table({"path": paths, "label": [[1, 2], [2]], "group": [0.5, None]}), file)
    dataset = read(file)
    assert (dataset.labels, dataset.column("group")) == ([["1", "2"], ["2"]], ["0.5", None])
    pq.write_table(
        pa.table({"path": paths, "label": pa.array(["a", "b"]).dictionary_encode(), "x": [{"y": 1}, None]}), file
    )
    assert read(file).labels == ["a", "b"]
    for columns, mend in (
        ({"image": [{"bytes": b"", "path": "1.png"}], "label": [1]}, "For a Parquet file that contains the images"),
        ({"path": ["1.png"], "label": [{"a": 1}]}, "Write the name of the class there"),
    ):
        pq.write_table(pa.table(columns), file)
        with pytest.raises(DataError, match=rf"expected text\. {mend}"):
            read(file)


# Taxonomies


def test_labels_that_are_paths_are_a_taxonomy(tmp_path):
    dataset = read(table(tmp_path, rows("path,label", "animal/mammal/dog", "animal/bird", "vehicle/car", "thing")))
    assert dataset.classes == ("animal/bird", "animal/mammal/dog", "thing", "vehicle/car")
    assert dataset.taxonomy == {
        "animal/bird": "animal",
        "animal/mammal": "animal",
        "animal/mammal/dog": "animal/mammal",
        "vehicle/car": "vehicle",
    }


def test_names_with_an_odd_slash_are_no_paths(tmp_path):
    assert read(table(tmp_path, rows("path,label", "/a", "b/", "c//d", "e"))).taxonomy == {}


def test_a_taxonomy_beside_a_table_or_folders(tmp_path):
    text = "child,parent\ndog,mammal\ncat,mammal\nmammal,animal\nanimal,\n"
    file = table(tmp_path / "table", rows("path,label", "dog", "cat"))
    (tmp_path / "table" / "taxonomy.csv").write_text(text)
    touch(tmp_path / "folders", "dog/1.png", "cat/2.png")
    (tmp_path / "folders" / "taxonomy.csv").write_text(text)
    for source in (file, tmp_path / "folders"):
        dataset = read(source)
        assert dataset.taxonomy == {"dog": "mammal", "cat": "mammal", "mammal": "animal"}
        assert dataset.excluded == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("child,parent\na,b\na,c\n", "gives 'a' two parents, 'b' and 'c'"),
        ("child,parent\na,b\nb,c\nc,a\n", "runs in a loop, 'a' below 'b' below 'c' below 'a'"),
        ("child,parent\na,a\n", "runs in a loop, 'a' below 'a'"),
        ("child,parent\n,a\n", "a row without a child"),
        ("name,parent\na,b\n", "does not have the two columns child,parent"),
        ("child,parent\na,b,c\n", "does not have the two columns"),
        ('child,parent\n"a,b\n', "cannot be read as a table"),
    ],
)
def test_taxonomies_that_are_no_trees(tmp_path, text, message):
    file = table(tmp_path, rows("path,label", "a", "b"))
    (tmp_path / "taxonomy.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read(file)


def test_a_deep_taxonomy(tmp_path):
    file = table(tmp_path, rows("path,label", "n0", "n1"))
    (tmp_path / "taxonomy.csv").write_text("child,parent\n" + "\n".join(f"n{n},n{n + 1}" for n in range(20_000)))
    assert len(read(file).taxonomy) == 20_000


# Metadata files of Hugging Face


def write_metadata(folder, ending, entries):
    folder.mkdir(parents=True, exist_ok=True)
    if ending == "jsonl":
        text = "\n".join(json.dumps(entry) for entry in entries) + "\n"
        (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
    elif ending == "csv":
        with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, entries[0].keys())
            writer.writeheader()
            writer.writerows(entries)
    else:
        pq.write_table(pa.Table.from_pylist(entries), folder / "metadata.parquet")
    touch(folder, *(entry["file_name"] for entry in entries))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_metadata_in_one_folder(tmp_path, ending):
    entries = [{"file_name": "a/1.png", "label": "ünï"}, {"file_name": "a/2.png", "label": "x, y"}]
    write_metadata(tmp_path, ending, entries)
    assert read(tmp_path).labels == ["ünï", "x, y"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_metadata_in_each_split_folder(tmp_path, ending):
    write_metadata(tmp_path / "train", ending, [{"file_name": f"{n}.png", "label": n % 2} for n in range(4)])
    write_metadata(tmp_path / "validation", ending, [{"file_name": "0.png", "label": 1}])
    touch(tmp_path, "test/0.png")
    dataset = read(tmp_path)
    assert dataset.ids == [f"train/{n}.png" for n in range(4)] + ["validation/0.png"]
    assert dataset.column("split") == ["train"] * 4 + ["val"]
    assert dataset.labels == ["0", "1", "0", "1", "1"]


def test_split_folders_of_which_one_has_lists(tmp_path):
    write_metadata(tmp_path / "train", "jsonl", [{"file_name": "0.png", "label": ["a", "b"]}])
    write_metadata(tmp_path / "test", "jsonl", [{"file_name": "0.png", "label": "a", "n": 1}])
    dataset = read(tmp_path)
    assert dataset.labels == [["a"], ["a", "b"]]
    assert dataset.column("n") == ["1", None]


def test_json_lines_of_every_kind(tmp_path):
    entries = [{"file_name": "1.png", "label": 3, "box": {"x": 1}}, {"file_name": "2.png", "label": "2024-01-01"}]
    write_metadata(tmp_path, "jsonl", entries)
    dataset = read(tmp_path)
    assert dataset.labels == ["3", "2024-01-01"]
    assert dataset.column("box") == ['{"x": 1}', None]


@pytest.mark.parametrize("text", ["[1]\n", "{\n", '{"file_name": "1.png"}\nno\n', "\xff", "[" * 9_999])
def test_json_lines_that_are_none(tmp_path, text):
    with pytest.raises(DataError, match="cannot be read as a table"):
        read(table(tmp_path, text, "metadata.jsonl"))


# Times, and rows of many kinds


def test_times_become_text(tmp_path):
    touch(tmp_path, "1.png", "2.png")
    times = pa.array([0, 10**9], pa.timestamp("ns"))
    pq.write_table(pa.table({"path": ["1.png", "2.png"], "label": ["a", "b"], "time": times}), tmp_path / "x.parquet")
    dataset = read(tmp_path / "x.parquet")
    assert [time[:19] for time in dataset.column("time")] == ["1970-01-01 00:00:00", "1970-01-01 00:00:01"]
    (tmp_path / "x.parquet").unlink()
    (tmp_path / "manifest.csv").write_text(dataset.manifest())
    assert read(tmp_path).column("time") == dataset.column("time")


def test_what_a_manifest_left_out_keeps_its_label_and_split(tmp_path):
    touch(tmp_path, "1.png", "2.png")
    columns = {"path": ["1.png", "2.png"], "label": ["a", "b|c"], "split": ["train", "test"]}
    left = (Excluded("3.png", "truncated", "b|c", "test"), Excluded(".x", "hidden"))
    dataset = ln.Dataset(pa.table(columns), ("a", "b|c"), "binary", tmp_path, left)
    (tmp_path / "manifest.csv").write_text(dataset.manifest())
    again = read(tmp_path)
    assert again.excluded == left
    assert again.with_unreadable("test").ids == ["1.png", "2.png", "3.png"]


def test_absent_rows_are_not_looked_for_outside(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "linnaea.data.sources.trees.locate", lambda root, names: asked.extend(names) or [root / name for name in names]
    )
    with pytest.raises(DataError, match="path leads outside"):
        read(table(tmp_path, "path,label\n../../etc/passwd,a\nC:\\x.png,b\n"))
    assert set(asked) <= {"taxonomy.csv"}


CELLS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=9).filter(lambda text: text.strip())


@settings(max_examples=80, deadline=None)
@given(
    labels=st.lists(st.lists(CELLS, max_size=3, unique=True), min_size=1, max_size=5),
    several=st.booleans(),
    group=CELLS,
)
@example(labels=[["|"], ["a\r\nb\rc"], ['"']], several=False, group="=1+1")
def test_any_labels_survive_a_manifest(tmp_path_factory, labels, several, group):
    root = tmp_path_factory.mktemp("table")
    names = [f"{number}.png" for number in range(len(labels))]
    touch(root, *names)
    values = [sorted(cell) for cell in labels] if several else [cell[0] if cell else "x" for cell in labels]
    classes = tuple(sorted({name for cell in values for name in (cell if several else [cell])}))
    columns = {"path": names, "label": values, "group": [group] * len(names)}
    if several:
        columns["label"] = pa.array(values, pa.list_(pa.string()))
    task = "multilabel" if several else "binary"
    dataset = ln.Dataset(pa.table(columns), classes, task, root)
    (root / "manifest.csv").write_bytes(dataset.manifest().encode())
    again = read(root)
    assert (again.labels, again.classes) == (dataset.labels, classes)
    assert again.column("group") == dataset.column("group")
    assert again.fingerprint == replace(dataset, taxonomy=again.taxonomy).fingerprint


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=80) | st.text('pathlbe,1.ng"|\n\r', max_size=60).map(str.encode))
def test_no_bytes_make_a_table_fail_otherwise(tmp_path_factory, content):
    root = touch(tmp_path_factory.mktemp("table"), "1.png")
    (root / "labels.csv").write_bytes(content)
    try:
        assert len(read(root))
    except DataError:
        return


def test_a_large_table_is_read_quickly(tmp_path):
    names = [f"{number % 50}/{number}.png" for number in range(20_000)]
    for number in range(50):
        (tmp_path / str(number)).mkdir()
    for name in names[:2_000]:
        (tmp_path / name).touch()
    text = io.StringIO()
    csv.writer(text).writerows([("path", "label", "split"), *((name, f"c{len(name)}|x", "train") for name in names)])
    (tmp_path / "labels.csv").write_text(text.getvalue())
    dataset = read(tmp_path)
    assert len(dataset) == 2_000
    assert len(dataset.excluded) == 18_000


def test_real_tables_of_several_labels(photo_sets):
    boards = read(photo_sets / "pcb")
    assert boards.classes == ("copper", "mousebite", "open", "pin-hole", "short", "spur")
    assert boards.targets.shape == (1_500, 6)
    assert boards.has("group")
    photos = read(photo_sets / "coco256")
    assert (len(photos), len(photos.classes)) == (256, 76)
    assert photos.labels.count([]) == 2
    assert not math.isnan(photos.targets.sum())


def test_escaping_is_what_the_documentation_says():
    assert escape("a|b") == "a\\|b"
    assert join_cell(["a", "b|c"]) == "a|b\\|c"
