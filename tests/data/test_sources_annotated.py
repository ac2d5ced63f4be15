"""Sets with annotation files: COCO, Pascal VOC, Open Images and ImageNet, and what can be wrong with them."""

import json
from xml.sax.saxutils import escape

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from material import reasons, touch

from linnaea.data.sources import read
from linnaea.errors import DataError

NAN = float("nan")


# COCO

CATEGORIES = [
    {"id": 1, "name": "person", "supercategory": "person"},
    {"id": 18, "name": "dog", "supercategory": "animal"},
    {"id": 3, "name": "car", "supercategory": "vehicle"},
]


def coco(images, objects, categories=CATEGORIES):
    """The content of a file: names of images by number, and pairs of image and category."""
    return {
        "info": {"year": 2017},
        "images": [{"id": number, "file_name": name, "width": 9, "height": 9} for number, name in images.items()],
        "annotations": [
            {"id": n, "image_id": image, "category_id": category, "bbox": [0, 0, 5, 5], "area": 25, "iscrowd": 0}
            for n, (image, category) in enumerate(objects)
        ],
        "categories": categories,
    }


def write_json(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


def whole_coco(root, folder="{}"):
    train, val = {7: "a.jpg", 8: "b.jpg", 9: "c.jpg"}, {7: "d.jpg"}
    write_json(root / "annotations/instances_train2017.json", coco(train, [(7, 1), (7, 18), (7, 1), (8, 18)]))
    write_json(root / "annotations/instances_val2017.json", coco(val, [(7, 3)]))
    places = {name: folder.format("train2017") for name in train.values()} | {"d.jpg": folder.format("val2017")}
    return touch(root, *(f"{place}/{name}" for name, place in places.items()))


@pytest.mark.parametrize("folder", ["{}", "images/{}", "images"])
def test_coco(tmp_path, folder):
    dataset = read(whole_coco(tmp_path, folder))
    by_name = {path.rpartition("/")[2]: label for path, label in zip(dataset.ids, dataset.labels, strict=True)}
    assert by_name == {"a.jpg": ["dog", "person"], "b.jpg": ["dog"], "c.jpg": [], "d.jpg": ["car"]}
    assert dataset.classes == ("dog", "person", "car")
    assert sorted(dataset.column("split")) == ["train", "train", "train", "val"]
    assert dataset.taxonomy == {"dog": "animal", "car": "vehicle"}
    assert all(path.is_file() for path in dataset.paths)


def test_one_coco_file(tmp_path):
    whole_coco(tmp_path)
    dataset = read(tmp_path / "annotations" / "instances_val2017.json")
    assert (dataset.ids, dataset.classes) == (["val2017/d.jpg"], ("car", "dog", "person"))
    write_json(tmp_path / "mine" / "labels.json", coco({1: "x/1.jpg"}, [(1, 3)]))
    assert read(touch(tmp_path / "mine", "x/1.jpg") / "labels.json").ids == ["x/1.jpg"]


def test_coco_files_beside_the_images(tmp_path):
    categories = [{"id": 0, "name": "pets", "supercategory": "none"}, {"id": 1, "name": "dog", "supercategory": "pets"}]
    for split in ("train", "valid"):
        write_json(tmp_path / split / "_annotations.coco.json", coco({0: "1.jpg"}, [(0, 1)], categories))
        touch(tmp_path, f"{split}/1.jpg")
    dataset = read(tmp_path)
    assert dataset.ids == ["train/1.jpg", "valid/1.jpg"]
    assert dataset.column("split") == ["train", "val"]
    assert (dataset.classes, dataset.taxonomy) == (("dog",), {"dog": "pets"})


def test_coco_images_that_cannot_be_used_are_listed(tmp_path):
    images = {1: "a.jpg", 2: "gone.jpg", 3: "../a.jpg", 4: "/etc/passwd", 5: "a.jpg"}
    file = write_json(tmp_path / "x.json", coco(images, [(2, 3)]))
    dataset = read(touch(tmp_path, "a.jpg") and file)
    assert dataset.ids == ["a.jpg"]
    outside = "path leads outside the table's folder"
    assert reasons(dataset) == {
        "gone.jpg": "file not found",
        "../a.jpg": outside,
        "/etc/passwd": outside,
        "a.jpg": "named twice in the file",
    }


@pytest.mark.parametrize(
    ("objects", "categories", "message"),
    [
        (
            [(7, 1), (8, 1), (9, 1)],
            CATEGORIES,
            r"2 annotations in .* refer to images that the file does not list \(ids 8, 9\)",
        ),
        ([(7, 99)], CATEGORIES, r"1 annotations in .* refer to categories that the file does not list \(ids 99\)"),
        ([(7, "1")], CATEGORIES, r"refer to categories that the file does not list \(ids '1'\)"),
        ([], [*CATEGORIES, {"id": 4, "name": "dog"}], r"uses 1 category names twice \(first 'dog'\)"),
        ([], [*CATEGORIES, {"id": 18, "name": "cat"}], "gives 1 categories the id of another"),
    ],
)
def test_coco_files_that_contradict_themselves(tmp_path, objects, categories, message):
    touch(tmp_path, "a.jpg")
    with pytest.raises(DataError, match=message):
        read(write_json(tmp_path / "x.json", coco({7: "a.jpg"}, objects, categories)))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"images": 3}', "[" * 100_000, '{"images": [], "categories": [{}], "annotations": []}']
)
def test_json_that_is_no_coco(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match="cannot be read as COCO instances"):
        read(tmp_path / "x.json")


def test_coco_without_its_images(tmp_path):
    with pytest.raises(DataError, match=r"contains no images; 1 file was left out \(file not found\)"):
        read(write_json(tmp_path / "x.json", coco({7: "a.jpg"}, [])))


def test_a_group_of_categories_with_two_parents(tmp_path):
    for split, group in (("train", "animal"), ("val", "pet")):
        categories = [{"id": 1, "name": "dog", "supercategory": group}]
        write_json(tmp_path / f"annotations/instances_{split}.json", coco({1: "1.jpg"}, [(1, 1)], categories))
        touch(tmp_path, f"{split}/1.jpg")
    with pytest.raises(DataError, match="'dog' two parents, 'animal' and 'pet'"):
        read(tmp_path)


@settings(max_examples=50, deadline=None)
@given(
    content=st.recursive(
        st.none() | st.integers(0, 3) | st.sampled_from(["a.jpg", "dog"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["images", "annotations", "categories", "id", "name", "file_name"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_makes_coco_fail_otherwise(tmp_path_factory, content):
    file = write_json(touch(tmp_path_factory.mktemp("coco"), "a.jpg") / "x.json", content)
    with pytest.raises(DataError):
        read(file)


# Pascal VOC


def annotation(*objects, name="000001.jpg"):
    """XML as in the challenge; objects are names, a star after those that are difficult."""
    entries = "".join(
        f"<object><name>{escape(entry.rstrip('*'))}</name><pose>Left</pose><truncated>0</truncated>"
        f"<difficult>{int(entry.endswith('*'))}</difficult><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax>"
        f"<ymax>4</ymax></bndbox><part><name>head</name></part></object>"
        for entry in objects
    )
    return f"<annotation><folder>VOC2012</folder><filename>{name}</filename>{entries}</annotation>"


def voc(root, *, lists=True, **images):
    for stem, objects in images.items():
        touch(root, f"JPEGImages/{stem}.jpg")
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{stem}.xml").write_text(annotation(*objects), encoding="utf-8")
    if lists:
        (root / "ImageSets/Main").mkdir(parents=True)
        for split, stems in {
            "train": "a\nb\n",
            "val": "c\n",
            "trainval": "a\nb\nc\n",
            "dog_train": "a  1\nb -1\n",
        }.items():
            (root / "ImageSets/Main" / f"{split}.txt").write_text(stems)
    return root


def test_voc(tmp_path):
    dataset = read(
        voc(tmp_path, a=["dog", "dog", "cat & mouse*"], b=["cat & mouse", "dog*", "dog"], c=["bird*"], d=["dog"])
    )
    assert dataset.ids == ["JPEGImages/a.jpg", "JPEGImages/b.jpg", "JPEGImages/c.jpg"]
    assert dataset.labels == [["dog"], ["cat & mouse", "dog"], []]
    assert dataset.column("unknown") == [["cat & mouse"], [], ["bird"]]
    assert dataset.column("split") == ["train", "train", "val"]
    nan = [[NAN, 1, 0], [1, 1, 0], [0, 0, NAN]]
    assert dataset.classes == ("cat & mouse", "dog", "bird")
    assert np.array_equal(dataset.targets, np.array(nan, dtype=np.float32), equal_nan=True)
    assert reasons(dataset) == {"JPEGImages/d.jpg": "not in any list in ImageSets/Main"}


def test_voc_without_lists_and_with_files_missing(tmp_path):
    root = voc(tmp_path, lists=False, a=["dog"], b=["cat"])
    touch(root, "JPEGImages/only.jpg", "JPEGImages/notes.txt")
    (root / "Annotations" / "gone.xml").write_text(annotation("cow"))
    dataset = read(root)
    assert (len(dataset), dataset.has("split"), dataset.has("unknown")) == (2, False, False)
    assert reasons(dataset) == {
        "JPEGImages/only.jpg": "no file in Annotations",
        "JPEGImages/notes.txt": "not an image file (.txt)",
        "JPEGImages/gone.jpg": "file not found",
    }


def test_an_image_in_two_lists(tmp_path):
    root = voc(tmp_path, a=["dog"], b=["cat"])
    (root / "ImageSets/Main/test.txt").write_text("b\n")
    with pytest.raises(DataError, match=r"'b' in both train\.txt and test\.txt"):
        read(root)


def test_two_images_of_one_name_are_ambiguous_unless_the_annotation_names_one(tmp_path):
    root = voc(tmp_path, lists=False, a=["dog"], b=["cat"], c=["cow"])
    (root / "Annotations" / "b.xml").write_text(annotation("cat", name="b.png"))
    touch(root, "JPEGImages/a.png", "JPEGImages/b.png", "JPEGImages/c.txt")
    dataset = read(root)
    assert (dataset.ids, dataset.labels) == (["JPEGImages/b.png", "JPEGImages/c.jpg"], [["cat"], ["cow"]])
    assert reasons(dataset) == {
        "JPEGImages/a.jpg": "ambiguous: one annotation for this image and a.png",
        "JPEGImages/a.png": "ambiguous: one annotation for this image and a.jpg",
        "JPEGImages/b.jpg": "the annotation of this name is for b.png",
        "JPEGImages/c.txt": "not an image file (.txt)",
    }


def test_lists_and_annotations_with_a_mark_or_in_another_encoding(tmp_path):
    root = voc(tmp_path, a=["dog"], b=["cat"], c=["cow"])
    for file in (root / "ImageSets/Main/train.txt", root / "Annotations" / "a.xml"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    declared = '<?xml version="1.0" encoding="ISO-8859-1"?>' + annotation("größe")
    (root / "Annotations" / "b.xml").write_bytes(declared.encode("latin-1"))
    assert read(root).labels == [["dog"], ["größe"], ["cow"]]
    for file in (root / "Annotations" / "b.xml", root / "ImageSets/Main/val.txt"):
        file.write_bytes((annotation("größe") if file.suffix == ".xml" else "größe\n").encode("latin-1"))
        with pytest.raises(DataError, match=rf"{file.name}, line 1: byte \d+ is 0xf6, which is not UTF-8"):
            read(root)
        (root / "Annotations" / "b.xml").write_text(annotation("cat"))


def test_a_deep_annotation(tmp_path):
    root = voc(tmp_path, lists=False, a=["dog"], b=["cat"])
    (root / "Annotations" / "a.xml").write_text("<annotation>" * 100_000 + "</annotation>" * 100_000)
    assert read(root).labels == [[], ["cat"]]


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a "dog">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS + annotation("dog").replace("dog", "&i;"), "declares a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd">' + annotation("dog"), "declares a document type"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + annotation("&x;"), "declares a document type"),
        (annotation("dog")[:-9], "cannot be read as an annotation"),
        ("", "cannot be read as an annotation"),
        ('<?xml version="1.0" encoding="nonsense"?><annotation/>', "cannot be read as an annotation"),
        ("<annotation><object><pose>Left</pose></object></annotation>", "an object without a name"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_annotations_that_are_bombs_or_broken(tmp_path, text, message, encoding):
    root = voc(tmp_path, lists=False, a=["dog"])
    (root / "Annotations" / "a.xml").write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match=message):
        read(root)


# Open Images


def open_images(root, *lines, name="validation-annotations-human-imagelabels.csv", descriptions=True):
    text = "\n".join(["ImageID,Source,LabelName,Confidence", *lines]) + "\n"
    (root / name).write_text(text)
    if descriptions:
        names = 'LabelName,DisplayName\n/m/1,Dog\n/m/2,"Cat, tame"\n/m/3,Bat\n/m/4,Bat\n'
        (root / "oidv7-class-descriptions.csv").write_text(names)
    return root


LINES = ("aa,verification,/m/1,1", "aa,verification,/m/2,0", "bb,crowdsource,/m/2,1", "bb,verification,/m/1,0.7")


@pytest.mark.parametrize("folder", ["", "images", "validation", "images/val"])
def test_open_images(tmp_path, folder):
    root = open_images(tmp_path, *LINES, "cc,verification,/m/1,0")
    touch(root / folder, "aa.jpg", "bb.jpg")
    dataset = read(root)
    assert [path.rpartition("/")[2] for path in dataset.ids] == ["aa.jpg", "bb.jpg"]
    assert dataset.classes == ("Cat, tame", "Dog")
    assert dataset.labels == [["Dog"], ["Cat, tame"]]
    assert np.array_equal(dataset.targets, np.array([[0, 1], [1, NAN]], dtype=np.float32), equal_nan=True)
    assert dataset.column("split") == ["val", "val"]
    assert reasons(dataset) == {"cc.jpg": "file not found"}


def test_two_files_of_open_images_that_disagree(tmp_path):
    root = touch(open_images(tmp_path, *LINES, descriptions=False), "aa.jpg", "bb.jpg")
    open_images(root, "aa,machine,/m/2,1", "bb,machine,/m/3,1", name="validation-machine.csv", descriptions=False)
    dataset = read(root)
    assert dataset.classes == ("/m/1", "/m/2", "/m/3")
    assert np.array_equal(dataset.targets, np.array([[1, NAN, NAN], [NAN, 1, 1]], dtype=np.float32), equal_nan=True)
    open_images(root, "aa,machine,/m/2,1", name="train-x.csv", descriptions=False)
    with pytest.raises(DataError, match=r"'aa' is labelled in both (train|val) and (train|val)"):
        read(root)


def test_open_images_given_as_a_file(tmp_path):
    root = touch(
        open_images(tmp_path, "aa,v,/m/3,1", "bb,v,/m/4,1", name="labels.csv"), "aa.jpg", "bb.jpg", "../cc.jpg"
    )
    assert read(root / "labels.csv").classes == ("Bat (/m/3)", "Bat (/m/4)")
    open_images(root, "aa,v,/m/3,1", "../cc,v,/m/4,1", name="labels.csv")
    assert reasons(read(root)) == {"../cc.jpg": "file not found"}
    open_images(root, "aa,v,/m/3,yes", name="labels.csv")
    with pytest.raises(DataError, match="a Confidence that is not a number"):
        read(root / "labels.csv")


# ImageNet

TENCH, CRANE, MACHINE = "n01440764", "n02012849", "n03126707"


def imagenet(root, *, names=True):
    touch(root, *(f"train/{synset}/{synset}_{n}.JPEG" for synset in (TENCH, CRANE, MACHINE) for n in (1, 2)))
    if names:
        lines = [f"{TENCH} tench, Tinca tinca", f"{CRANE} crane", f"{MACHINE} crane", "n00000001 entity"]
        (root / "LOC_synset_mapping.txt").write_text("\n".join(lines))
    return root


def test_imagenet_has_readable_names_that_stay_distinct(tmp_path):
    dataset = read(touch(imagenet(tmp_path), f"val/{TENCH}/1.JPEG", "test/2.JPEG", f"train/{TENCH}/notes.txt"))
    assert dataset.classes == (f"crane ({CRANE})", f"crane ({MACHINE})", "tench")
    assert set(dataset.column("synset")) == {TENCH, CRANE, MACHINE}
    assert dataset.column("split").count("val") == 1
    found = reasons(dataset)
    assert found["test/2.JPEG"] == "no label given"
    assert found[f"train/{TENCH}/notes.txt"] == "not an image file (.txt)"


def test_imagenet_without_names_or_splits(tmp_path):
    assert read(imagenet(tmp_path, names=False)).classes == (TENCH, CRANE, MACHINE)
    assert read(tmp_path / "train").classes == (TENCH, CRANE, MACHINE)
    assert not read(tmp_path / "train").has("split")


def test_a_flat_val_folder_with_a_solution(tmp_path):
    root = imagenet(tmp_path, names=False)
    (root / "imagenet_class_index.json").write_text(json.dumps({"0": [TENCH, "tench"], "1": [CRANE, "crane_bird"]}))
    text = f"ImageId,PredictionString\nILSVRC2012_val_1,{CRANE} 1 2 3 4 {CRANE} 5 6 7 8\n"
    (root / "LOC_val_solution.csv").write_text(text)
    dataset = read(touch(root, "val/ILSVRC2012_val_1.JPEG", "val/ILSVRC2012_val_2.JPEG"))
    assert dict(zip(dataset.ids, dataset.labels, strict=True))["val/ILSVRC2012_val_1.JPEG"] == "crane_bird"
    assert reasons(dataset) == {"val/ILSVRC2012_val_2.JPEG": "no label given"}
    (root / "LOC_val_solution.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="ImageId,PredictionString"):
        read(root)


def test_imagenet_as_kaggle_has_it(tmp_path):
    imagenet(tmp_path / "ILSVRC/Data/CLS-LOC", names=False)
    (tmp_path / "LOC_synset_mapping.txt").write_text(f"{TENCH} tench, Tinca tinca\n")
    dataset = read(tmp_path)
    assert dataset.ids[0] == f"ILSVRC/Data/CLS-LOC/train/{TENCH}/{TENCH}_1.JPEG"
    assert "tench" in dataset.classes


def test_tiny_imagenet(tmp_path):
    touch(tmp_path, f"train/{TENCH}/images/a.JPEG", f"train/{CRANE}/images/b.JPEG", "val/images/val_0.JPEG")
    (tmp_path / "val/val_annotations.txt").write_text(f"val_0.JPEG\t{CRANE}\t0\t32\t44\t62\n")
    (tmp_path / "words.txt").write_text(f"{TENCH}\ttench, Tinca tinca\n{CRANE}\tcrane\n")
    dataset = read(tmp_path)
    assert dict(zip(dataset.ids, dataset.labels, strict=True))["val/images/val_0.JPEG"] == "crane"
    assert dataset.classes == ("crane", "tench")
    assert dataset.excluded == ()
