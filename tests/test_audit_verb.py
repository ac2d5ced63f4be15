"""`linnaea.audit` on folders of images: what was planted is found, and what is unchanged is not read again."""

import csv
import io
import os

import numpy as np
import pytest
from PIL import Image

import linnaea
from linnaea.data.audit import survey as digest_module
from linnaea.data.images.pixels import Recipe
from linnaea.errors import DataError
from linnaea.experiments import inspection
from linnaea.runtime.plan import Plan


def scene(label, number):
    """A smooth scene; those of class b have a bright bar across."""
    coarse = np.random.default_rng([label == "b", number]).integers(40, 160, (5, 5, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC)).copy()
    if label == "b":
        pixels[30:50] = 250
    return Image.fromarray(pixels)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path / "cache"))
    for label in "ab":
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(60):
            scene(label, number).save(tmp_path / "photos" / label / f"{number:02}.jpg", quality=92)
    folder = tmp_path / "photos"
    scene("b", 77).save(folder / "a" / "wrong.jpg", quality=92)
    scene("a", 5).crop((3, 2, 92, 78)).save(folder / "a" / "crop.jpg", quality=60)
    Image.new("RGB", (96, 80)).save(folder / "b" / "black.jpg")
    (folder / "b" / "broken.jpg").write_bytes(b"nothing")
    for path in folder.rglob("*.jpg"):
        os.utime(path, ns=(10**18, 10**18))
    return folder


def test_what_was_planted_is_found(photos, tmp_path):
    audit = linnaea.audit(photos, weights="none")
    named = {finding.name: finding for finding in audit}
    assert named["label_errors"].rows[0] | {"score": 0} == {
        "path": "a/wrong.jpg", "label": "a", "suggestion": "b", "score": 0
    }  # fmt: skip
    assert {row["path"] for row in named["duplicates"].rows} == {"a/05.jpg", "a/crop.jpg"}
    assert {row["path"] for row in named["dark"].rows} == {"b/black.jpg"}
    assert {row["path"] for row in named["left_out"].rows} == {"b/broken.jpg"}
    rows = list(csv.DictReader(io.StringIO(audit.write_fixes(tmp_path / "fixes.csv").read_text())))
    assert ("left_out", "b/broken.jpg") in {(row["finding"], row["path"]) for row in rows}
    page = audit.write_report(tmp_path / "audit.html").read_text()
    assert "a/wrong.jpg" in page
    assert "data:image/jpeg;base64," in page


def test_only_what_changed_is_read_again(photos, monkeypatch):
    first = linnaea.audit(photos, weights="none")
    seen, examine = [], digest_module._examine
    monkeypatch.setattr(digest_module, "_examine", lambda *given: (seen.append(1), examine(*given))[1])
    assert [finding.to_json() for finding in linnaea.audit(photos, weights="none")] == [
        finding.to_json() for finding in first
    ]
    assert len(seen) == 1  # the broken one
    scene("a", 99).save(photos / "a" / "07.jpg")
    linnaea.audit(photos, weights="none")
    assert len(seen) == 3


def test_features_of_two_number_formats_are_never_mixed(photos, monkeypatch):
    paths, examined, examine = linnaea.read(photos).paths[:4], [], digest_module._examine
    plan = Plan("cpu", "bfloat16")
    monkeypatch.setattr(inspection, "WORTH_MEASURING", 4)
    monkeypatch.setattr(inspection, "measure_embedding", lambda model, images, count: plan)
    monkeypatch.setattr(digest_module, "_examine", lambda *given: (examined.append(1), examine(*given))[1])

    def look(paths):
        embedding, size, _ = inspection.embedding_for("none", None, "crop", paths)
        digest_module.digest(paths, Recipe(size), embedding)
        return embedding.name, len(examined)

    assert look(paths) == look(paths) == ("hog 96 bfloat16", 4)
    assert look(paths[:3]) == ("hog 96 float32", 7)


def test_few_images_and_one_class_are_audited_too(photos):
    dataset = linnaea.read(photos)
    few = linnaea.audit(dataset.take(range(4)), weights="none")
    assert {"one_class", "label_errors"} <= {finding.name for finding in few}
    with pytest.raises(DataError, match="no images"):
        linnaea.audit(dataset.take([]), weights="none")


def test_a_split_column_with_holes_is_refused(photos):
    dataset = linnaea.read(photos)
    with pytest.raises(DataError, match="have no split while others do"):
        linnaea.audit(dataset.with_column("split", ["train", *[None] * (len(dataset) - 1)]), weights="none")
