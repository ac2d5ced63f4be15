"""Archives and shards are read where they lie; what could do harm in them is refused and listed."""

import json
import os
import tarfile
import zipfile

import pytest
from material import pack, reasons

from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.data.sources import read
from linnaea.errors import DataError

ENDINGS = [".zip", ".tar", ".tar.gz", ".tar.xz"]


def members(*names):
    return {name: name.encode() for name in names}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("before", ["", "photos/", "a/b/photos/", "./"])
def test_class_folders_in_an_archive(tmp_path, ending, before):
    inside = members(
        *(before + name for name in ("dog/2.png", "dog/deep/1.jpg", "cat/3.png", "cat/.DS_Store", "cat/a.txt"))
    )
    path = pack(tmp_path / f"photos{ending}", {**inside, "__MACOSX/cat/x.png": b"", before + "README.md": b""})
    dataset = read(path)
    shown = before.removeprefix("./")
    assert dataset.ids == [f"photos{ending}#{shown}{name}" for name in ("cat/3.png", "dog/2.png", "dog/deep/1.jpg")]
    assert dataset.labels == ["cat", "dog", "dog"]
    assert dataset.root == tmp_path
    assert [image.read_bytes().decode() for image in dataset.paths] == [
        before + name for name in ("cat/3.png", "dog/2.png", "dog/deep/1.jpg")
    ]
    assert {name.partition("#")[2].removeprefix(shown): why for name, why in reasons(dataset).items()} == {
        "__MACOSX": "hidden",
        "README.md": "not in a class folder",
        "cat/.DS_Store": "hidden",
        "cat/a.txt": "not an image file (.txt)",
    }


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("before", ["", "set/"])
def test_split_folders_in_an_archive(tmp_path, ending, before):
    names = [f"{before}{name}" for name in ("train/a/1.png", "train/b/2.png", "valid/a/3.png", "other/a/4.txt")]
    dataset = read(pack(tmp_path / f"x{ending}", members(*names)))
    assert dataset.column("split") == ["train", "train", "val"]
    assert list(reasons(dataset).values()) == ["outside the split folders"]
    only_train = read(pack(tmp_path / f"y{ending}", members("train/a/1.png", "train/b/2.png")))
    assert only_train.column("split") == ["train", "train"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_table_in_an_archive(tmp_path, ending):
    text = b"path,label,split\nimages/1.png,a|b,train\nimages/2.png,,test\ngone.png,a,train\n../1.png,a,train\n"
    inside = {
        "set/labels.csv": text,
        "set/taxonomy.csv": b"child,parent\na,c\n",
        **members("set/images/1.png", "set/images/2.png"),
    }
    dataset = read(pack(tmp_path / f"x{ending}", inside))
    assert dataset.ids == [f"x{ending}#set/images/1.png", f"x{ending}#set/images/2.png"]
    assert dataset.labels == [["a", "b"], []]
    assert dataset.taxonomy == {"a": "c"}
    assert reasons(dataset) == {
        f"x{ending}#set/gone.png": "file not found",
        f"x{ending}#set/../1.png": "path leads outside the table's folder",
    }


def test_metadata_in_the_split_folders_of_an_archive(tmp_path):
    line = b'{"file_name": "1.png", "label": "%s"}\n'
    inside = {f"{split}/metadata.jsonl": line % split.encode() for split in ("train", "test")}
    dataset = read(pack(tmp_path / "x.zip", {**inside, **members("train/1.png", "test/1.png")}))
    assert dict(zip(dataset.column("split"), dataset.labels, strict=True)) == {"train": "train", "test": "test"}


def test_a_manifest_that_names_members_is_a_table(tmp_path):
    dataset = read(pack(tmp_path / "x.zip", members("a/1.png", "b/2.png")))
    (tmp_path / "manifest.csv").write_text(dataset.manifest())
    again = read(tmp_path)
    assert again.ids == dataset.ids
    assert [image.read_bytes() for image in again.paths] == [b"a/1.png", b"b/2.png"]
    (tmp_path / "x.zip").unlink()
    with pytest.raises(DataError, match="file not found"):
        read(tmp_path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_archive_without_images(tmp_path, ending):
    with pytest.raises(DataError, match="1 readable files and no folder of images"):
        read(pack(tmp_path / f"x{ending}", members("1.png")))
    with pytest.raises(DataError, match=r"contains no images.*not an image file"):
        read(pack(tmp_path / f"y{ending}", members("a/1.txt")))


def hostile(ending):
    """Members that would do harm if they were unpacked or followed."""
    if ending == ".zip":
        link = zipfile.ZipInfo("a/link.png")
        link.external_attr = 0o120777 << 16
        special = {"a/link.png": link}
    else:
        link, hard, device = (tarfile.TarInfo(f"a/{name}.png") for name in ("link", "hard", "device"))
        link.type, hard.type, device.type = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
        link.linkname = hard.linkname = "/etc/passwd"
        special = {"l": link, "h": hard, "d": device}
    return {
        **special,
        **members("a/good.png", "b/good.png", "../../evil.png", "/evil.png", "a/../../evil.png", "C:\\evil.png"),
    }


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_written_outside_or_followed(tmp_path, ending):
    path = pack(tmp_path / "deep" / "er" / f"x{ending}", hostile(ending))
    dataset = read(path)
    assert [name.partition("#")[2] for name in dataset.ids] == ["a/good.png", "b/good.png"]
    for image in dataset.paths:
        image.read_bytes()
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == {path}
    found = reasons(dataset)
    assert sum(why == "name leads outside the archive" for why in found.values()) == 4
    assert found[f"x{ending}#a/link.png"] == "a link in an archive"
    assert len(found) == (5 if ending == ".zip" else 7)


def test_a_zip_that_is_encrypted(tmp_path):
    path = pack(tmp_path / "x.zip", members("a/1.png", "b/2.png"))
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    path.write_bytes(content)
    assert reasons(read(path)) == {"x.zip#a/1.png": "encrypted in its archive"}


def test_a_damaged_member_is_listed_when_it_is_decoded(tmp_path):
    path = pack(tmp_path / "x.zip", {"a/1.png": os.urandom(500), "b/2.png": b""})
    content = bytearray(path.read_bytes())
    content[100] ^= 0xFF
    path.write_bytes(content)
    dataset = read(path)
    failed = decode_files(dataset.paths, Recipe(8)).failed
    assert failed[0].startswith("cannot be read: damaged in its archive")
    assert failed[1] == "empty file (0 bytes)"


# Shards


def sample(key, label, image=b"pixels", ending="json", **facts):
    parts = {f"{key}.jpg": image}
    if ending == "json":
        parts[f"{key}.json"] = json.dumps({"label": label, **facts}).encode()
    elif ending:
        parts[f"{key}.{ending}"] = str(label).encode()
    return parts


@pytest.mark.parametrize("ending", ["json", "cls", "txt"])
def test_shards(tmp_path, ending):
    pack(
        tmp_path / "set-train-000.tar", {**sample("0001", "cat", ending=ending), **sample("0002", "dog", ending=ending)}
    )
    pack(tmp_path / "set-val-000.tar", sample("0001", "cat", ending=ending))
    dataset = read(tmp_path)
    assert dataset.ids == ["set-train-000.tar#0001.jpg", "set-train-000.tar#0002.jpg", "set-val-000.tar#0001.jpg"]
    assert dataset.labels == ["cat", "dog", "cat"]
    assert dataset.column("split") == ["train", "train", "val"]
    assert dataset.paths[0].read_bytes() == b"pixels"
    assert read(tmp_path / "set-val-000.tar").labels == ["cat"]


def test_shards_in_split_folders_with_named_numbers(tmp_path):
    pack(tmp_path / "train" / "000.tar", {**sample("x/1", "1\n", ending="cls"), **sample("x/2", 0)})
    pack(tmp_path / "test" / "000.tar", sample("1", 1, ending="cls"))
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    dataset = read(tmp_path)
    assert dataset.ids == ["test/000.tar#1.jpg", "train/000.tar#x/1.jpg", "train/000.tar#x/2.jpg"]
    assert dataset.labels == ["dog", "dog", "cat"]
    assert dataset.column("split") == ["test", "train", "train"]


def test_shards_keep_what_json_says(tmp_path):
    facts = {"split": "valid", "group": 7, "time": "2024-01-01", "site": "north", "none": None}
    pack(tmp_path / "x.tar", {**sample("1", ["b", "a"], **facts), **sample("2", [], unknown=["b"]), **sample("3", "c")})
    dataset = read(tmp_path)
    assert dataset.classes == ("b", "c", "a")
    assert dataset.labels == [["b", "a"], [], ["c"]]
    assert dataset.column("unknown") == [None, ["b"], None]
    assert [dataset.column(name)[0] for name in ("split", "group", "time", "site")] == [
        "val",
        "7",
        "2024-01-01",
        "north",
    ]


def test_parts_that_lack_their_other_half_are_listed(tmp_path):
    inside = {
        **sample("1", "a"),
        **sample("2", "b"),
        **sample("3", None),
        **sample("4", "a", ending=None),
        "5.json": b"{}",
    }
    dataset = read(pack(tmp_path / "x.tar", inside))
    assert dataset.labels == ["a", "b"]
    assert reasons(dataset) == {
        "x.tar#3.jpg": "no label given",
        "x.tar#4.jpg": "no label given",
        "x.tar#5.json": "no image named 5 in the shard",
    }


def test_two_images_of_one_key_are_ambiguous(tmp_path):
    inside = {**sample("a", "cat"), "a.png": b"other", **sample("b", "dog"), "b.JSON": b"{}", **sample("c", "cat")}
    dataset = read(pack(tmp_path / "x.tar", inside))
    assert dataset.ids == ["x.tar#c.jpg"]
    assert reasons(dataset) == {
        "x.tar#a.jpg": "ambiguous: 2 images and 1 label named a in the shard",
        "x.tar#a.png": "ambiguous: 2 images and 1 label named a in the shard",
        "x.tar#b.jpg": "ambiguous: 1 image and 2 labels named b in the shard",
    }


def test_labels_of_shards_with_a_mark_lists_and_missing_ones(tmp_path):
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbfcat\r\ndog\r\n")
    inside = {**sample("1", "\ufeff0", ending="cls"), **sample("2", 1), **sample("3", float("nan"))}
    dataset = read(pack(tmp_path / "x.tar", {**inside, **sample("4", "nan", ending="cls")}))
    assert dataset.labels == ["cat", "dog"]
    assert set(reasons(dataset).values()) == {"no label given"}
    lists = {**sample("1", "['cat', 'dog']", ending="cls"), **sample("2", '["dog"]', ending="cls")}
    assert read(pack(tmp_path / "y" / "y.tar", lists)).labels == [["cat", "dog"], ["dog"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"x\.tar#1\.json cannot be read as JSON"),
        (b'{"label": {"a": 1}}', "expected a name, a number, or a list"),
        (b'{"label": 7}', "the label 7, but there are names for only 2 classes"),
        (b'{"label": "a", "split": "somewhere"}', "the split 'somewhere'"),
    ],
)
def test_labels_in_shards_that_cannot_be_used(tmp_path, content, message):
    (tmp_path / "classes.txt").write_text("a\nb\n")
    pack(tmp_path / "x.tar", {"1.jpg": b"pixels", "1.json": content})
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_a_tar_of_class_folders_with_captions_is_no_shard(tmp_path):
    inside = members("cat/1.png", "cat/1.txt", "dog/2.png", "dog/2.txt")
    assert read(pack(tmp_path / "x.tar", inside)).classes == ("cat", "dog")


def test_real_archives_hold_what_their_folders_hold(photo_sets, tmp_path):
    folder = photo_sets / "coco256"
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(photo_sets))
    packed, plain = read(path), read(folder)
    assert (packed.labels, packed.classes) == (plain.labels, plain.classes)
    decoded = [decode_files(dataset.take(range(20)).paths, Recipe(32)) for dataset in (packed, plain)]
    assert decoded[0].sha256 == decoded[1].sha256
    assert (decoded[0].images == decoded[1].images).all()
