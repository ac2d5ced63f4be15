"""The whole way on images that lie in packed files: the same answers as on plain files, by every verb."""

import gzip
import json
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

import linnaea as ln
from linnaea.classifier.scorers.onnx import OnnxScorer
from linnaea.data.images.decoding import decode
from linnaea.delivery.exporters import EXPORTERS, Exporter
from linnaea.runtime.containers import Member
from linnaea.runtime.files import write_text


def pictures(count, seed=0):
    """Dark images with a bright bar, upright or lying, (N, 16, 16), and which it is."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 90, (count, 16, 16), dtype=np.uint8)
    kinds = np.arange(count) % 2
    for image, kind, place in zip(images, kinds, random.integers(3, 12, count), strict=True):
        bar = image.T if kind else image
        bar[place : place + 2] = 230
    return images, kinds


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("plain") / "bars"
    images, kinds = pictures(72)
    images[70:] = images[0], images[1]  # so that the audit shows images
    for number, (image, kind) in enumerate(zip(images, kinds, strict=True)):
        place = root / ("upright" if kind else "lying") / f"{number:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place)
    (root / "lying" / "broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def archive(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "bars.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for file in sorted(folder.rglob("*.png")):
            packed.write(file, file.relative_to(folder.parent))
    return path


@pytest.fixture(scope="module")
def run(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "packed"
    ln.train(archive, out=folder, model="majority,hog", weights="none")
    return folder


def test_training_says_the_same_as_on_plain_files(run, folder, tmp_path):
    ln.train(folder, out=tmp_path / "plain", model="majority,hog", weights="none")
    packed, plain = (ln.Run.open(place).dataset() for place in (run, tmp_path / "plain"))
    assert [path.removeprefix("bars.zip#bars/") for path in packed.ids] == plain.ids
    assert packed.column("sha256") == plain.column("sha256")
    assert packed.column("split") == plain.column("split")
    assert [entry.reason for entry in packed.excluded] == [entry.reason for entry in plain.excluded]
    figures = [json.loads((place / "metrics.json").read_text())["test"] for place in (run, tmp_path / "plain")]
    for name in ("accuracy", "nll", "unsure_rate"):
        assert figures[0][name]["value"] == pytest.approx(figures[1][name]["value"], rel=1e-3)


def test_a_run_finds_its_images_again(run, archive):
    dataset = ln.Run.open(run).dataset()
    assert all(isinstance(path, Member) and path.is_file() for path in dataset.paths)
    assert len(ln.evaluate(run).predictions) == len(dataset.split("test"))
    with pytest.raises(ln.LinnaeaError, match="trained or tuned on every image"):
        ln.evaluate(run, ln.read(archive).take([0]))


def test_predicting_on_an_archive_and_on_its_folder(run, archive, folder):
    packed, plain = ln.predict(run, archive), ln.predict(run, folder)
    assert [name.rpartition("#bars/")[2] for name in packed.column("id")] == [
        name.rpartition("/bars/")[2] for name in plain.column("id")
    ]
    assert np.array_equal(packed.scores(), plain.scores(), equal_nan=True)
    assert packed.column("detail") == plain.column("detail")


def test_the_exported_file_is_compared_on_them(run):
    """By an exporter that writes nothing and decodes on its own."""
    classifier, seen = ln.load(run), []

    def answer(image):
        seen.append(image)
        return classifier.score(decode(image, classifier.recipe.size, classifier.recipe.fit)[None])

    def write(classifier, folder, order):
        write_text(folder / "model.onnx", "")
        return folder / "model.onnx"

    with EXPORTERS.restored():
        EXPORTERS.register("nothing")(Exporter(write, OnnxScorer, open=lambda folder, description: answer))
        exported = ln.export(run, to="nothing")
    assert exported.parity.severity == "info"
    assert exported.parity.count == len(seen)
    assert all(isinstance(image, bytes) for image in seen)


def test_the_report_shows_them(run):
    page = ln.report(run).read_text(encoding="utf-8")
    assert "data:image/jpeg" in page
    assert "image not found" not in page


def test_the_whole_way_on_arrays(tmp_path):
    images, kinds = pictures(60, seed=3)
    (tmp_path / "digits").mkdir()
    for name, part in (("train", slice(0, 44)), ("t10k", slice(44, 60))):
        header = struct.pack(">HBB3I", 0, 8, 3, *images[part].shape)
        labels = struct.pack(">HBBI", 0, 8, 1, len(kinds[part])) + kinds[part].astype(np.uint8).tobytes()
        (tmp_path / "digits" / f"{name}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(header + images[part].tobytes())
        )
        (tmp_path / "digits" / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    ln.train(tmp_path / "digits", out=tmp_path / "run", model="majority,hog", weights="none")
    dataset = ln.Run.open(tmp_path / "run").dataset()
    assert dataset.column("split").count("test") == 16
    assert ln.evaluate(tmp_path / "run").figures["accuracy"].value > 0.9
    (tmp_path / "digits" / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(ln.LinnaeaError, match="16 of the run's 16 test images have changed or are missing"):
        ln.evaluate(tmp_path / "run")


def test_several_labels_are_audited_split_and_converted_but_not_trained_on(tmp_path):
    images, _ = pictures(40)
    (tmp_path / "photos").mkdir()
    rows = ["path,a,b,c"]
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "photos" / f"{number}.png")
        rows.append(f"{number}.png,{number % 2},{number % 3 // 2},{'' if number % 5 else 1}")
    (tmp_path / "photos" / "labels.csv").write_text("\n".join(rows))
    ln.audit(tmp_path / "photos")
    dataset = ln.split(tmp_path / "photos")
    assert set(dataset.column("split")) == {"train", "val", "test"}
    converted = ln.convert(dataset, tmp_path / "out", to="shards")
    by_hash = dict(zip(converted.column("sha256"), converted.labels, strict=True))
    assert by_hash == dict(zip(dataset.column("sha256"), dataset.labels, strict=True))
    classifier = ln.train(tmp_path / "out", out=tmp_path / "run", model="majority", weights="none")
    assert (classifier.task, classifier.classes) == ("multilabel", ("a", "b", "c"))


def test_several_labels_cannot_be_judged_but_answered(run, folder, tmp_path):
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("0*.png"))[:4]]
    lines = [f"{name},upright|lying" for name in names]
    file = tmp_path / "labels.csv"
    (tmp_path / "lying").symlink_to(folder / "lying")
    file.write_text("\n".join(["path,label", *lines]))
    with pytest.raises(ln.LinnaeaError, match="several labels per image"):
        ln.evaluate(run, file)
    assert ln.predict(run, ln.read(file)).column("truth") == [None] * 4
