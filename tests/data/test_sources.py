"""Every form of labelled images is read, and what is not used is listed with its reason."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from material import reasons, touch
from PIL import Image

from linnaea.data.sources import SOURCES, read
from linnaea.data.sources.folders import images_in
from linnaea.data.sources.missing import MISSING
from linnaea.data.sources.trees import Folder
from linnaea.errors import DataError


def test_class_folders(tmp_path):
    dataset = read(touch(tmp_path, "dog/2.JPG", "dog/1.png", "cat/deep/er/3.webp"))
    assert dataset.ids == ["cat/deep/er/3.webp", "dog/1.png", "dog/2.JPG"]
    assert dataset.labels == ["cat", "dog", "dog"]
    assert dataset.classes == ("cat", "dog")
    assert dataset.task == "binary"
    assert not dataset.has("split")


@pytest.mark.parametrize("val", ["val", "valid", "validation", "dev", "Val"])
@pytest.mark.parametrize("test", ["test", "testing", "TEST"])
def test_split_folders_under_all_their_names(tmp_path, val, test):
    dataset = read(touch(tmp_path, "train/a/1.png", "train/b/1.png", f"{val}/a/2.png", f"{test}/b/3.png"))
    by_path = dict(zip(dataset.ids, dataset.column("split"), strict=True))
    assert by_path == {"train/a/1.png": "train", "train/b/1.png": "train", f"{val}/a/2.png": "val"} | {
        f"{test}/b/3.png": "test"
    }


def test_a_train_folder_alone_is_a_split(tmp_path):
    dataset = read(touch(tmp_path, "train/a/1.png", "train/b/2.png"))
    assert dataset.classes == ("a", "b")
    assert dataset.column("split") == ["train", "train"]


def test_a_class_called_train_among_others_is_a_class(tmp_path):
    assert read(touch(tmp_path, "train/1.png", "tram/2.png")).classes == ("train", "tram")


def test_classes_of_train_come_first(tmp_path):
    dataset = read(touch(tmp_path, "train/b/1.png", "train/c/1.png", "val/a/2.png", "val/b/3.png"))
    assert dataset.classes == ("b", "c", "a")


def test_what_is_left_out_is_listed(tmp_path):
    touch(tmp_path, "a/1.png", "a/notes.txt", "a/noending", "b/2.png", "loose.png", ".DS_Store", "a/.DS_Store")
    touch(tmp_path, ".ipynb_checkpoints/a/1.png", "a/.ipynb_checkpoints/1.png", "b/Thumbs.db", "__MACOSX/a/1.png")
    (tmp_path / "empty").mkdir()
    dataset = read(tmp_path)
    assert dataset.ids == ["a/1.png", "b/2.png"]
    assert reasons(dataset) == {
        ".DS_Store": "hidden",
        ".ipynb_checkpoints": "hidden",
        "__MACOSX": "hidden",
        "a/.DS_Store": "hidden",
        "a/.ipynb_checkpoints/1.png": "hidden",
        "a/noending": "not an image file (no ending)",
        "a/notes.txt": "not an image file (.txt)",
        "b/Thumbs.db": "hidden",
        "empty": "class folder without images",
        "loose.png": "not in a class folder",
    }


def test_folders_without_images_beside_the_splits_are_listed(tmp_path):
    dataset = read(touch(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png", "notes/a/3.txt"))
    assert reasons(dataset) == {"notes/a/3.txt": "outside the split folders"}


def test_a_link_in_a_circle_is_walked_once(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a", target_is_directory=True)
    assert read(tmp_path).ids == ["a/1.png", "b/2.png"]


def test_a_link_out_of_the_folder_is_followed_only_where_asked(tmp_path, monkeypatch):
    touch(tmp_path, "elsewhere/1.png", "elsewhere/deep/3.png", "data/b/2.png", "data/b/within/4.png")
    (tmp_path / "data" / "a").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "data" / "b" / "deep").symlink_to(tmp_path / "elsewhere" / "deep", target_is_directory=True)
    (tmp_path / "data" / "c").symlink_to(tmp_path / "data" / "b" / "within", target_is_directory=True)
    (tmp_path / "data" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "same").symlink_to(tmp_path / "data", target_is_directory=True)
    dataset = read(tmp_path / "same")  # what is named is followed
    assert dataset.ids == ["b/2.png", "b/within/4.png", "c/4.png"]
    outside = "link out of the folder, not followed (set LINNAEA_FOLLOW_LINKS=1 to follow it)"
    assert reasons(dataset) == {"a": outside, "b/deep": outside, "up": "link to a folder that contains it"}
    monkeypatch.setenv("LINNAEA_FOLLOW_LINKS", "1")
    dataset = read(tmp_path / "data")
    assert dataset.ids == ["a/1.png", "a/deep/3.png", "b/2.png", "b/deep/3.png", "b/within/4.png", "c/4.png"]
    assert list(reasons(dataset)) == ["up"]


def test_what_systems_leave_behind_is_listed_and_not_read(tmp_path):
    litter = ("@eaDir", "$RECYCLE.BIN", "lost+found", "System Volume Information", "__MACOSX", ".ipynb_checkpoints")
    dataset = read(
        touch(tmp_path, "a/1.png", "b/2.png", "a/@eaDir/1.png/thumb.jpg", *(f"{name}/3.jpg" for name in litter))
    )
    assert dataset.ids == ["a/1.png", "b/2.png"]
    assert reasons(dataset) == dict.fromkeys((*litter, "a/@eaDir/1.png/thumb.jpg"), "hidden")


def test_names_in_any_script(tmp_path):
    dataset = read(touch(tmp_path, "Ünï côde/ein Bild.png", "猫 ねこ/1 (2).png"))
    assert dataset.classes == ("Ünï côde", "猫 ねこ")
    assert all(path.exists() for path in dataset.paths)


@pytest.mark.parametrize("names", [[], ["1.png"], ["a/notes.txt"], [".hidden/1.png"]])
def test_folders_without_labelled_images_say_what_was_expected(tmp_path, names):
    with pytest.raises(DataError, match=r"contains no (labelled )?images.*expected"):
        read(touch(tmp_path, *names))


def test_absent_paths_and_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "nothing")
    touch(tmp_path, "photo.png")
    with pytest.raises(DataError, match="contains no labelled images"):
        read(tmp_path / "photo.png")


def test_images_in_a_folder(tmp_path):
    touch(tmp_path, "b/2.png", "a.jpg", "c.jfif", "d.HEIC", ".hidden/3.png", "notes.txt", "empty")
    Image.new("L", (4, 4)).save(tmp_path / "unnamed", "PNG")
    found = list(images_in(Folder(tmp_path)))
    others = [entry for entry in found if not isinstance(entry, str)]
    assert {name for name in found if isinstance(name, str)} == {"a.jpg", "b/2.png", "c.jfif", "d.HEIC", "unnamed"}
    assert {entry.path: entry.reason for entry in others} == {
        ".hidden/3.png": "hidden",
        "notes.txt": "not an image file (.txt)",
        "empty": "not an image file (no ending)",
    }


def test_every_source_is_registered_once():
    names = list(SOURCES)
    assert names[-2:] == ["split folders", "class folders"]
    assert names.index("Open Images") < names.index("table") < names.index("COCO")
    assert names.index("shards") < names.index("archive") < names.index("split folders")


def test_every_source_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    assert [name for name in SOURCES if f"| {name} |" not in page] == []


def write_csv(root, text):
    (root / "labels.csv").write_text(text, encoding="utf-8")
    return root / "labels.csv"


@pytest.mark.parametrize("header", ["path,label", "file_name,class", "filename,target", "image,label"])
def test_tables_under_their_usual_columns(tmp_path, header):
    touch(tmp_path, "1.png", "2.png")
    file = write_csv(tmp_path, f"{header}\n1.png,a\n2.png,b\n")
    assert read(file).labels == read(tmp_path).labels == ["a", "b"]


def test_a_table_keeps_splits_groups_and_more(tmp_path):
    touch(tmp_path, "1.png", "2.png", "3.png")
    text = "path,label,split,group,site\n1.png,a,Training,p1,x\n2.png,b, valid ,p2,\n3.png,a,test,,y\n"
    dataset = read(write_csv(tmp_path, text))
    assert dataset.column("split") == ["train", "val", "test"]
    assert dataset.column("group") == ["p1", "p2", None]
    assert dataset.column("site") == ["x", None, "y"]


def test_rows_that_cannot_be_used_are_listed(tmp_path):
    touch(tmp_path, "1.png", "2.png", "3.png", "4.png")
    rows = ["1.png,a", "2.png,b", "gone.png,a", "1.png,a", "4.png,a", "4.png,b", "3.png,"]
    rows += ["3.png,  ", ",a", "../1.png,a", "/etc/x.png,a"]
    dataset = read(write_csv(tmp_path, "\n".join(["path,label", *rows])))
    assert dataset.ids == ["1.png", "2.png"]
    assert [entry.reason for entry in dataset.excluded] == [
        "file not found",
        "named twice in the table",
        "named twice in the table, with different labels",
        "named twice in the table, with different labels",
        "no label given",
        "named twice in the table",
        "no path given",
        "path leads outside the table's folder",
        "path leads outside the table's folder",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a table"),
        ("path,label\n1.png,a,b\n", "cannot be read as a table"),
        ("path,label\n", "contains no images"),
        ("path,lable\n1.png,a\n", "Did you mean 'lable'"),
        ("label\na\n", "expected 'path' among them"),
        ("path,label,label\n1.png,a,b\n", "twice"),
        ("path,label,split\n1.png,a,somewhere\n", "row 2: the split is 'somewhere'"),
        ("path,label\ngone.png,a\n", "file not found"),
    ],
)
def test_tables_that_cannot_be_used_say_why(tmp_path, text, message):
    touch(tmp_path, "1.png")
    with pytest.raises(DataError, match=message):
        read(write_csv(tmp_path, text))


@pytest.mark.parametrize("content", [b"path,label\n1.png,\xff\xfe\n", b"PK\x03\x04 no table at all \x00\xff"])
def test_bytes_that_are_no_table_are_refused(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DataError):
        read(tmp_path / "labels.csv")


def test_a_byte_order_mark_and_other_line_ends_do_not_matter(tmp_path):
    touch(tmp_path, "1.png", "2.png")
    (tmp_path / "labels.csv").write_bytes("﻿path,label\r\n1.png,a\r\n2.png,b\r\n".encode())
    assert read(tmp_path).classes == ("a", "b")


def test_parquet_with_numbers(tmp_path):
    touch(tmp_path, "1.png", "2.png")
    pq.write_table(pa.table({"path": ["1.png", "2.png"], "label": [0, 1], "group": [0, 7]}), tmp_path / "x.parquet")
    dataset = read(tmp_path / "x.parquet")
    assert dataset.labels == ["0", "1"]
    assert dataset.column("group") == ["0", "7"]
    (tmp_path / "y.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="cannot be read as a table"):
        read(tmp_path / "y.parquet")


CELLS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="|;,[({'"), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(labels=st.lists(CELLS.filter(lambda cell: cell.strip() not in ("", *MISSING)), min_size=1, max_size=6))
def test_any_label_survives_a_table(tmp_path_factory, labels):
    root = tmp_path_factory.mktemp("table")
    names = [f"{number}.png" for number in range(len(labels))]
    touch(root, *names)
    quoted = [label.replace('"', '""') for label in labels]
    text = "\n".join(["path,label", *(f'{name},"{label}"' for name, label in zip(names, quoted, strict=True))])
    assert read(write_csv(root, text)).labels == labels
