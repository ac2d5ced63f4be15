"""Several sources as one: what was labelled later counts, and no image comes twice."""

import io

import numpy as np
import pytest
from material import draw_pets, reasons, smooth
from PIL import Image

import linnaea
from linnaea.data.review import ReviewFolder
from linnaea.data.sources.together import read_together
from linnaea.errors import DataError

PETS = tuple(f"{number:02}.png" for number in range(24))


@pytest.fixture
def photos(tmp_path):
    """24 photos with splits, 12 of cats and 12 of dogs."""
    folder = draw_pets(tmp_path / "photos", *PETS)
    rows = [f"{path.parent.name}/{path.name},{path.parent.name},{split_of(path)}" for path in folder.glob("*/*.png")]
    (folder / "labels.csv").write_text("\n".join(["path,label,split", *rows]))
    return folder


def split_of(path):
    return ("train", "train", "val", "test")[int(path.stem) // 2 % 4]


@pytest.fixture
def review(tmp_path):
    return ReviewFolder(tmp_path / "review")


def png(number):
    out = io.BytesIO()
    smooth(number, 16).save(out, "PNG")
    return out.getvalue()


def test_a_review_adds_corrects_and_takes_out(photos, review, caplog):
    caplog.set_level("INFO")
    review.file((photos / "cat" / "00.png").read_bytes(), "dog")
    review.file((photos / "cat" / "06.png").read_bytes(), "cat")
    review.file((photos / "dog" / "01.png").read_bytes(), None)
    review.file(png(90), "cat")
    review.file(png(91), "bird")
    dataset = read_together(photos, [review.folder])
    known = {row["path"]: row for row in dataset.table.to_pylist()}
    assert len(dataset) == 25
    assert (known["cat/00.png"]["label"], known["cat/00.png"]["split"]) == ("dog", "train")
    assert (known["cat/06.png"]["label"], known["cat/06.png"]["split"]) == ("cat", "test")
    assert "dog/01.png" not in known
    assert dataset.classes == ("bird", "cat", "dog")
    new = [row for path, row in known.items() if path.startswith(str(review.folder.resolve()))]
    assert {row["label"] for row in new} == {"cat", "bird"}
    assert {row["split"] for row in new} == {"train"}
    assert all(path.is_file() for path in dataset.paths)
    told = reasons(dataset)
    assert told["dog/01.png"].startswith("none of the classes")
    assert any(reason == "the same image as cat/00.png, which has this label now" for reason in told.values())
    assert "2 images are new and in train, 1 label changed, 1 image is left out as none of the classes" in caplog.text


def test_copies_within_a_source_are_left_to_the_audit(photos, tmp_path):
    more = tmp_path / "more"
    for name in ("cat/a.png", "cat/b.png"):
        (more / name).parent.mkdir(parents=True, exist_ok=True)
        (more / name).write_bytes(png(7))
    (more / "dog").mkdir()
    (more / "dog" / "c.png").write_bytes(png(8))
    assert len(read_together(photos, [more])) == 27


def test_the_last_of_several_counts(photos, tmp_path):
    for name, label in (("first", "bird"), ("second", "fish")):
        ReviewFolder(tmp_path / name).file((photos / "cat" / "00.png").read_bytes(), label)
    dataset = read_together(photos, [tmp_path / "first", tmp_path / "second"])
    assert dict(zip(dataset.ids, dataset.labels, strict=True))["cat/00.png"] == "fish"
    assert len(dataset) == 24


def test_several_labels_beside_one(photos, review):
    review.file((photos / "cat" / "00.png").read_bytes(), ["cat", "dog"])
    dataset = read_together(photos, [review.folder])
    assert dataset.multilabel
    labels = dict(zip(dataset.ids, dataset.labels, strict=True))
    assert labels["cat/00.png"] == ["cat", "dog"]
    assert labels["dog/01.png"] == ["dog"]


def test_the_verbs_take_several(photos, review, tmp_path):
    random = np.random.default_rng(500)
    for number in range(8):
        out = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(out, "PNG")
        review.file(out.getvalue(), ("cat", "dog")[number % 2])
    review.file((photos / "cat" / "00.png").read_bytes(), "dog")
    assert len(linnaea.audit(photos, also=[review.folder], weights="none").dataset) == 32
    linnaea.train(photos, also=[review.folder], model="majority", weights="none", out=tmp_path / "run")
    rows = linnaea.run.Run(tmp_path / "run").dataset()
    assert len(rows) == 32
    assert dict(zip(rows.ids, rows.labels, strict=True))["cat/00.png"] == "dog"
    assert "also" in (tmp_path / "run" / "recipe.toml").read_text()
    with pytest.raises(DataError, match="does not exist"):
        linnaea.train(photos, also=[tmp_path / "nowhere"])
