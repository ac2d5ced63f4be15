"""Bad input through the command line: never a traceback, never silence, always the thing's name and how to mend it."""

import csv
import errno
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import linnaea as ln
from linnaea import cli
from linnaea.learning.rungs import RUNGS

CHEAP = ("--model", "majority,hog", "--weights", "none")
USAGE, STOPPED = 2, 130


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code, what it printed, and what it said on the side."""

    code: int
    out: str
    err: str


def picture(shape, number, size=32):
    """A red disc or a blue square somewhere on noise."""
    random = np.random.default_rng(2 * number + (shape == "disc"))
    rows, columns = np.mgrid[:size, :size]
    top, left = random.uniform(10, 22, 2)
    distances = abs(rows - top), abs(columns - left)
    inside = np.hypot(*distances) < 8 if shape == "disc" else np.maximum(*distances) < 7
    pixels = random.integers(0, 128, (size, size, 3))
    pixels[inside] = (220, 40, 40) if shape == "disc" else (40, 40, 220)
    return Image.fromarray(pixels.astype(np.uint8))


def draw(folder, *, each=16, classes=("disc", "square"), first=0):
    for shape in classes:
        (folder / shape).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + each):
            picture(shape, number).save(folder / shape / f"{number}.png")
    return folder


def huge_png():
    """A file of a few bytes that claims 50,000 x 50,000 pixels."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("data") / "shapes")


@pytest.fixture(scope="module")
def finished(shapes, tmp_path_factory):
    """A finished run; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    ln.train(shapes, out=folder, model="majority,hog", weights="none")
    return folder


@pytest.fixture
def linnaea(monkeypatch, capsys, caplog, tmp_path):
    """Run the command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        caplog.clear()
        monkeypatch.setattr(sys, "argv", ["linnaea", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Outcome(code, printed.out, printed.err + caplog.text)

    return run


@pytest.fixture
def refused(linnaea):
    """Run a command that must end with an exit code and one error that says all of `words`."""

    def run(*arguments, words, code=USAGE):
        outcome = linnaea(*arguments)
        assert outcome.code == code, outcome
        assert outcome.err.count("Error: ") == 1
        for word in words:
            assert word in outcome.err
        return outcome

    return run


def status(folder):
    return json.loads((folder / "run.json").read_text())["status"]


def manifest(folder):
    with (folder / "manifest.csv").open(newline="") as handle:
        return {row["path"]: row for row in csv.DictReader(handle)}


# Data that cannot be used


def test_an_empty_folder(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    for verb in ("train", "audit", "split"):
        refused(verb, "empty", words=["empty contains no labelled images", "expected a folder per class"])
    assert not (tmp_path / "runs").exists()


def test_a_data_folder_that_is_a_file_or_absent(refused, tmp_path):
    (tmp_path / "data").write_text("text")
    refused("train", "data", words=["data contains no labelled images", "CSV"])
    refused("train", "nothing", words=["nothing does not exist", "expected a folder"])


def test_one_class_only(refused, tmp_path):
    draw(tmp_path / "one", classes=["disc"])
    refused("train", "one", "--out", "run", *CHEAP, words=["1 class (disc)", "at least two classes"])
    assert status(tmp_path / "run") == "failed"


def test_too_few_images_for_a_val_split(refused, tmp_path):
    draw(tmp_path / "few", each=2)
    refused(
        "train",
        "few",
        "--out",
        "run",
        *CHEAP,
        words=["no image for the val split", "expected at least 3 of each class"],
    )


def test_a_class_of_two_images_is_used_and_warned_about(linnaea, tmp_path):
    draw(draw(tmp_path / "data"), each=2, classes=["ring"])
    outcome = linnaea("train", "data", "--out", "run", *CHEAP)
    assert outcome.code == 0
    assert "fewer than 10 images in a split" in outcome.err
    assert sum(row["label"] == "ring" and not row["excluded"] for row in manifest(tmp_path / "run").values()) == 2


def test_a_class_only_in_val_is_listed(linnaea, tmp_path):
    draw(tmp_path / "data" / "train")
    draw(tmp_path / "data" / "val", each=6, classes=["disc", "square", "ring"], first=100)
    outcome = linnaea("train", "data", "--out", "run", *CHEAP)
    assert outcome.code == 0
    assert "6 class 'ring' has no image in train" in outcome.err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["dataset"]["classes"] == ["disc", "square"]
    assert manifest(tmp_path / "run")["val/ring/100.png"]["excluded"] == "class 'ring' has no image in train"


def test_a_table_that_names_a_missing_file(linnaea, tmp_path, shapes):
    shutil.copytree(shapes, tmp_path / "data")
    files = sorted((tmp_path / "data").rglob("*.png"))
    rows = [f"{file.relative_to(tmp_path / 'data')},{file.parent.name}" for file in files]
    (tmp_path / "data" / "photos.csv").write_text("\n".join(["path,label", *rows, "disc/gone.png,disc"]))
    outcome = linnaea("train", "data/photos.csv", "--out", "run", *CHEAP)
    assert outcome.code == 0
    assert "1 file not found" in outcome.err
    assert manifest(tmp_path / "run")["disc/gone.png"]["excluded"] == "file not found"


# Images of every kind among good ones


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A run on good images with odd, damaged and hidden files among them, and what was said while it trained."""
    root = draw(tmp_path_factory.mktemp("mixed") / "mélange of files")
    folder = root / "disc"
    picture("disc", 50).convert("CMYK").save(folder / "cmyk.jpg")
    picture("disc", 51).quantize(16).save(folder / "palette.png")
    picture("disc", 52).convert("RGBA").save(folder / "alpha.webp")
    ramp = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 64
    Image.fromarray(ramp).save(folder / "sixteen bits.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture("disc", 53).save(folder / "rotated.jpg", exif=exif)
    picture("disc", 54).save(folder / "animated.gif", save_all=True, append_images=[picture("square", 55)])
    picture("disc", 56).save(folder / "ünïcode 猫.png")
    content = (folder / "0.png").read_bytes()
    (folder / "truncated.png").write_bytes(content[: len(content) // 2])
    (folder / "zero.png").touch()
    (folder / "text.jpg").write_text("no picture")
    (folder / "huge.png").write_bytes(huge_png())
    (folder / "broken link.png").symlink_to("nowhere.png")
    (folder / ".DS_Store").touch()
    (root / ".ipynb_checkpoints").mkdir()
    (root / "square" / ".ipynb_checkpoints").mkdir()
    shutil.copy(folder / "0.png", root / "square" / ".ipynb_checkpoints" / "0-checkpoint.png")
    run = root.parent / "the run"
    ln.train(root, out=run, model="majority,hog", weights="none")
    return run


@pytest.mark.parametrize(
    "name",
    ["cmyk.jpg", "palette.png", "alpha.webp", "sixteen bits.png", "rotated.jpg", "animated.gif", "ünïcode 猫.png"],
)
def test_odd_images_are_used(mixed, name):
    row = manifest(mixed)[f"disc/{name}"]
    assert row["excluded"] == ""
    assert len(row["sha256"]) == 64
    assert row["split"] in ("train", "val", "test")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("disc/truncated.png", "damaged image: "),
        ("disc/zero.png", "empty file (0 bytes)"),
        ("disc/text.jpg", "not an image in a supported format"),
        ("disc/huge.png", "50,000 x 50,000 pixels"),
        ("disc/broken link.png", "file not found"),
        ("disc/.DS_Store", "hidden"),
        (".ipynb_checkpoints", "hidden"),
        ("square/.ipynb_checkpoints/0-checkpoint.png", "hidden"),
    ],
)
def test_damaged_and_hidden_files_are_listed_with_the_reason(mixed, path, reason):
    assert manifest(mixed)[path]["excluded"].startswith(reason)


def test_training_went_on_and_the_audit_tells(mixed):
    assert status(mixed) == "finished"
    findings = json.loads((mixed / "findings" / "audit.json").read_text())
    assert [finding["count"] for finding in findings if finding["name"] == "left_out"] == [8]


def test_the_strict_audit_of_such_data_fails_its_check(linnaea, mixed):
    outcome = linnaea("audit", mixed.parent / "mélange of files", "--strict")
    assert outcome.code == 1
    assert "8 files were left out" in outcome.out


# Archives, tables and annotation files


def test_an_archive_that_would_write_outside(linnaea, tmp_path, shapes):
    path = tmp_path / "in" / "photos.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(shapes.rglob("*.png")):
            archive.write(file, file.relative_to(shapes))
        archive.writestr("../evil.png", "evil")
        archive.writestr("/tmp/evil.png", "evil")
    outcome = linnaea("train", path, "--out", "run", *CHEAP)
    assert outcome.code == 0
    assert "2 name leads outside the archive" in outcome.err
    assert manifest(tmp_path / "run")["photos.zip#../evil.png"]["excluded"] == "name leads outside the archive"
    assert not list(tmp_path.rglob("evil.png"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("photos.zip", b"PK no archive", ["photos.zip cannot be read as a zip archive", "fetch it again"]),
        ("photos.tar.gz", b"\x1f\x8b no archive", ["photos.tar.gz cannot be read as a tar archive", "fetch it again"]),
        ("train-images-idx3-ubyte.gz", b"\x1f\x8b no array", ["has no labels beside it", "train-labels-idx1-ubyte"]),
        ("train_32x32.mat", b"no array", ["train_32x32.mat cannot be read as a Matlab file"]),
        ("instances.json", b'{"images": []}', ["instances.json cannot be read as COCO", "categories"]),
        ("labels.csv", b"path,label\n=1.png,=1+1\n", ["contains no usable images", "file not found"]),
        ("labels.jsonl", b"no json", ["labels.jsonl, line 1 cannot be read as a table"]),
    ],
)
def test_files_that_are_not_what_their_name_says(refused, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    for verb, more in {"audit": [], "convert": ["out"]}.items():
        refused(verb, name, *more, words=words)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_coco_file_that_names_what_it_does_not_have(refused, tmp_path):
    objects = [{"image_id": 5, "category_id": 1}, {"image_id": 6, "category_id": 1}]
    content = {"images": [{"id": 5, "file_name": "5.png"}], "categories": [{"id": 1, "name": "disc"}]}
    (tmp_path / "x.json").write_text(json.dumps({**content, "annotations": objects}))
    refused("audit", "x.json", words=["1 annotations in x.json refer to images", "ids 6", "remove the annotations"])


def test_a_pickle_that_would_run_something(refused, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "data_batch_1").write_bytes(b"cos\nsystem\n(S'touch evil'\ntR.")
    refused("train", "data", words=["it names os.system", "nothing in it was run"])
    assert not (tmp_path / "evil").exists()


def test_too_few_images_with_several_labels(refused, tmp_path):
    draw(tmp_path / "data", each=2)
    (tmp_path / "data" / "labels.csv").write_text("path,label\ndisc/0.png,a|b\nsquare/0.png,b\n")
    outcome = refused(
        "train", "data", words=["leaves no image for the val split", "of which 2 can be split independently"]
    )
    assert "1 of 2 labels in data/labels.csv have no bar and the others do" in outcome.err


def test_converting_into_a_folder_that_holds_something(refused, linnaea, shapes, tmp_path):
    assert linnaea("convert", shapes, "out").code == 0
    refused("convert", shapes, "out", words=["out already exists", "choose another folder"])
    refused("convert", shapes, "new", "--to", "shard", words=["unknown form to convert to 'shard'", "'shards'"])
    refused("convert", shapes, "new", "--split", "train", words=["has no splits", "leave --split out"])
    assert not (tmp_path / "new").exists()


# Flags and names


def test_an_unknown_flag_and_command(linnaea, tmp_path):
    outcome = linnaea("train", "data", "--modle", "hog")
    assert outcome.code == USAGE
    assert "--modle" in outcome.err
    assert "--model" in outcome.err.replace("--modle", "")
    outcome = linnaea("trian", "data")
    assert outcome.code == USAGE
    assert "'train'" in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--model", "resnet81"], ["unknown model 'resnet81'", "Did you mean 'resnet"]),
        (["--model", "hogg"], ["unknown model 'hogg'", "Did you mean 'hog'"]),
        (["--model", "frozen", "--weights", "none"], ["'frozen' needs pretrained weights", "--weights"]),
        (["--model", "resnet18", "--weights", "gone.safetensors"], ["gone.safetensors does not exist"]),
        (["--augment", "flop"], ["unknown augmentation 'flop'", "Did you mean 'flip'"]),
        (["--img-size", "4"], ["--img-size is 4", "8 to 2048"]),
        (["--fit", "bend"], ["'bend'", "crop, pad, stretch"]),
        (["--coverage", "1.5"], ["coverage is 1.5", "between 0 and 1"]),
        (["--epochs", "0"], ["epochs is 0", "above 0"]),
        (["--time-limit", "soon"], ["'soon'", "10m"]),
        (["--device", "tpu"], ["'tpu'", "auto, cpu"]),
    ],
)
def test_values_that_cannot_be_used(refused, shapes, tmp_path, flags, words):
    defaults = [] if "--model" in flags else CHEAP
    refused("train", shapes, "--out", "run", *defaults, *flags, words=words)
    assert not (tmp_path / "run").exists()


def test_numbers_that_are_none(linnaea, shapes):
    outcome = linnaea("train", shapes, "--epochs", "many")
    assert outcome.code == USAGE
    assert "Invalid value for '--epochs'" in outcome.err


def test_an_unknown_export_format(refused, finished):
    refused("export", finished, "--to", "onyx", words=["unknown export format 'onyx'", "Did you mean 'onnx'"])


def test_an_unknown_output_format(refused, finished, shapes):
    image = shapes / "disc" / "0.png"
    refused("predict", finished, image, "--format", "yaml", words=["unknown output format 'yaml'", "table"])
    refused("predict", finished, image, "--format", "parquet", words=["needs a file", "--out"])


# Run folders


@pytest.mark.parametrize("verb", ["evaluate", "predict", "compare", "report", "export"])
def test_a_run_folder_that_is_absent_or_something_else(refused, linnaea, tmp_path, shapes, finished, verb):
    more = {"predict": [shapes], "compare": [finished]}.get(verb, [])
    outcome = refused(verb, "nothing", *more, words=["nothing"])
    assert "does not exist" in outcome.err
    (tmp_path / "other").mkdir()
    refused(verb, "other", *more, words=["other", "not a Linnaea folder"])


def half_written(finished, folder, *, only_json=False):
    """A run that stopped before its classifier was made."""
    shutil.copytree(finished, folder)
    for name in ("model", "predictions", "findings", "checkpoints"):
        shutil.rmtree(folder / name)
    for name in ("metrics.json", "report.html", *(["manifest.csv", "ladder.csv"] if only_json else [])):
        (folder / name).unlink()
    record = json.loads((folder / "run.json").read_text())
    record |= {"status": "running", "command": "linnaea train shapes --out half"}
    for name in ("chosen", "chosen_because", "plan", "finished", "seconds", *(["dataset"] if only_json else [])):
        del record[name]
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize("only_json", [False, True])
def test_a_half_written_run(refused, linnaea, finished, shapes, tmp_path, only_json):
    half = half_written(finished, tmp_path / "half", only_json=only_json)
    words = ["was killed before it was finished", "linnaea train shapes --out half --resume"]
    refused("evaluate", half, words=words)
    refused("predict", half, shapes, words=words)
    refused("compare", half, finished, words=words)
    refused("compare", finished, half, words=words)
    refused("export", half, words=words)
    outcome = linnaea("report", half)
    assert outcome.code == 0
    assert "running" in (half / "report.html").read_text()


@pytest.mark.parametrize("verb", ["evaluate", "predict", "report"])
@pytest.mark.parametrize("content", [b"", b'{"status": "fini', b"[]"])
def test_a_run_json_that_was_cut_off(refused, finished, shapes, tmp_path, verb, content):
    shutil.copytree(finished, tmp_path / "cut")
    (tmp_path / "cut" / "run.json").write_bytes(content)
    refused(verb, "cut", *([shapes] if verb == "predict" else []), words=["run.json"])


def test_a_run_folder_that_is_there_already(refused, finished, shapes):
    before = (finished / "run.json").read_bytes()
    refused("train", shapes, "--out", finished, *CHEAP, words=[str(finished), "--out", "--resume"])
    assert (finished / "run.json").read_bytes() == before


def test_predictions_that_were_cut_off(refused, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "cut")
    (tmp_path / "cut" / "predictions" / "test.parquet").write_bytes(b"PAR1 half")
    refused("compare", "cut", finished, words=["test.parquet", "evaluate the run again"])


@pytest.mark.parametrize("name", ["weights.safetensors", "classifier.json"])
@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_a_bundle_with_a_flipped_byte(refused, finished, shapes, tmp_path, name, share):
    shutil.copytree(finished, tmp_path / "flipped")
    file = tmp_path / "flipped" / "model" / name
    content = bytearray(file.read_bytes())
    spaces = b" \n"
    position = max(i for i in range(int(len(content) * share)) if content[i] not in spaces)
    content[position] ^= 1
    file.write_bytes(content)
    for verb, more in {"predict": [shapes], "evaluate": []}.items():
        refused(verb, "flipped", *more, words=[name])


def test_a_bundle_without_its_weights(refused, finished, shapes, tmp_path):
    shutil.copytree(finished, tmp_path / "bare")
    (tmp_path / "bare" / "model" / "weights.safetensors").unlink()
    refused("predict", "bare", shapes, words=["weights.safetensors is missing", "train again"])


# Predicting and evaluating


def test_a_folder_stands_for_its_images(linnaea, finished, tmp_path):
    draw(tmp_path / "new", each=2)
    (tmp_path / "new" / ".DS_Store").touch()
    (tmp_path / "new" / "notes.txt").write_text("notes")
    shutil.copytree(tmp_path / "new" / "disc", tmp_path / "new" / ".thumbnails")
    outcome = linnaea("predict", finished, "new", "--format", "csv")
    assert outcome.code == 0
    rows = list(csv.DictReader(outcome.out.splitlines()))
    assert [row["id"] for row in rows] == [f"new/{shape}/{n}.png" for shape in ("disc", "square") for n in (0, 1)]
    assert "new: 4 files are left out: 3 hidden, 1 not an image file (.txt)." in outcome.err


def test_each_file_of_a_folder_has_a_row_or_is_counted(linnaea, finished, tmp_path):
    (tmp_path / "mixed").mkdir()
    for name, form in {"1.png": "PNG", "3.jfif": "JPEG", "noext": "PNG"}.items():
        picture("disc", 0).save(tmp_path / "mixed" / name, form)
    (tmp_path / "mixed" / "2.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "mixed" / "words").write_text("no picture")
    outcome = linnaea("predict", finished, "mixed", "--format", "json")
    rows = {row["id"]: row for row in json.loads(outcome.out)}
    assert set(rows) == {f"mixed/{name}" for name in ("1.png", "2.HEIC", "3.jfif", "noext")}
    assert [name for name, row in rows.items() if row["reason"] == "unreadable"] == ["mixed/2.HEIC"]
    assert "mixed: 1 file is left out: 1 not an image file (no ending)." in outcome.err


def test_damaged_images_are_answered_only_if_asked(linnaea, finished, tmp_path):
    picture("disc", 0).save(tmp_path / "cut.bmp")
    whole = (tmp_path / "cut.bmp").read_bytes()
    (tmp_path / "cut.bmp").write_bytes(whole[: -len(whole) // 4])
    answers = {}
    for choice in ("refuse", "answer"):
        outcome = linnaea("predict", finished, "cut.bmp", "--format", "json", "--damaged", choice)
        (answers[choice],) = json.loads(outcome.out)
        assert "truncated" in answers[choice]["detail"]
    assert (answers["refuse"]["reason"], answers["refuse"]["label"]) == ("unreadable", None)
    assert answers["answer"]["reason"] == "damaged"
    assert answers["answer"]["label"] in ("disc", "square")
    assert linnaea("predict", finished, "cut.bmp", "--damaged", "guess").code == USAGE


def test_the_limit_of_pixels_is_an_option(linnaea, finished, tmp_path):
    picture("disc", 0).save(tmp_path / "a.png")
    outcome = linnaea("predict", finished, "a.png", "--format", "json", "--max-pixels", 100)
    (answer,) = json.loads(outcome.out)
    assert "over the limit of 100: raise --max-pixels to decode it" in answer["detail"]
    assert linnaea("predict", finished, "a.png", "--max-pixels", 0).code == USAGE


def test_there_must_be_images(refused, linnaea, finished, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden.png").touch()
    refused("predict", finished, "empty", words=["empty has no images", ".png"])
    refused("predict", finished, "gone.png", words=["1 path does not exist: gone.png", "expected image files"])
    outcome = linnaea("predict", finished)
    assert outcome.code == USAGE
    assert "IMAGES" in outcome.err


def test_an_unreadable_image_is_answered_with_its_reason(linnaea, finished, tmp_path):
    picture("disc", 0).save(tmp_path / "good.png")
    (tmp_path / "huge.png").write_bytes(huge_png())
    outcome = linnaea("predict", finished, "good.png", "huge.png", "--format", "json")
    assert outcome.code == 0
    good, huge = json.loads(outcome.out)
    assert good["label"] is not None
    assert (huge["label"], huge["reason"], huge["confidence"]) == (None, "unreadable", None)
    assert "50,000 x 50,000" in huge["detail"]


def test_evaluating_on_other_classes(refused, linnaea, finished, tmp_path):
    draw(tmp_path / "rings", each=3, classes=["ring", "line"])
    words = ["no image", "has line, ring", "knows disc, square"]
    refused("evaluate", finished, "--data", "rings", words=[words[0], words[2]])
    draw(tmp_path / "rings", each=3, classes=["disc"], first=100)
    shutil.copytree(finished, tmp_path / "run")
    outcome = linnaea("evaluate", "run", "--data", "rings")
    assert outcome.code == 0
    assert "6 of 9 images are not judged" in outcome.err


def test_evaluating_on_a_folder_called_test_keeps_the_runs_own_evidence(linnaea, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    before = (tmp_path / "run" / "predictions" / "test.parquet").read_bytes()
    draw(tmp_path / "photos" / "test", each=3, first=100)
    assert linnaea("evaluate", "run", "--data", "photos/test").code == 0
    assert (tmp_path / "run" / "predictions" / "test.parquet").read_bytes() == before
    assert len(list((tmp_path / "run" / "predictions").glob("test-*.parquet"))) == 1


# Stopped, and a full disk


def replace_rung(monkeypatch, name, fit):
    monkeypatch.setitem(RUNGS._members, name, replace(RUNGS[name], fit=fit))


def test_ctrl_c_and_resume(linnaea, shapes, tmp_path, monkeypatch):
    def stop(job):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        replace_rung(patched, "hog", stop)
        outcome = linnaea("train", shapes, "--out", "run", *CHEAP)
    assert outcome.code == STOPPED
    assert "Stopped." in outcome.err
    assert "--resume" in outcome.err
    assert status(tmp_path / "run") == "interrupted"
    outcome = linnaea("train", shapes, "--out", "run", "--model", "majority", "--weights", "none", "--resume")
    assert outcome.code == USAGE
    assert "model was 'majority,hog' and is now 'majority'" in outcome.err
    assert linnaea("train", shapes, "--out", "run", *CHEAP, "--resume").code == 0
    assert status(tmp_path / "run") == "finished"
    outcome = linnaea("train", shapes, "--out", "run", *CHEAP, "--resume")
    assert outcome.code == USAGE
    assert "is already finished" in outcome.err


def test_resuming_on_images_that_changed(linnaea, refused, shapes, tmp_path, monkeypatch):
    def stop(job):
        raise KeyboardInterrupt

    shutil.copytree(shapes, tmp_path / "data")
    with monkeypatch.context() as patched:
        replace_rung(patched, "hog", stop)
        linnaea("train", "data", "--out", "run", *CHEAP)
    picture("disc", 999).save(tmp_path / "data" / "disc" / "0.png")
    words = ["1 images have changed or disappeared", "disc/0.png", "start a new run"]
    refused("train", "data", "--out", "run", *CHEAP, "--resume", words=words)


def _added(data):
    shutil.copy(data / "disc" / "0.png", data / "disc" / "new.png")
    return ["1 image is new (first disc/new.png)"]


def _removed(data):
    (data / "disc" / "0.png").unlink()
    return ["1 image is gone (first disc/0.png)"]


def _new_class(data):
    picture("disc", 7).save((data / "ring").mkdir() or data / "ring" / "0.png")
    return ["1 image is new (first ring/0.png)", "new classes: ring"]


@pytest.mark.parametrize("change", [_added, _removed, _new_class])
def test_resuming_on_data_that_changed_shows_the_difference(change, linnaea, refused, shapes, tmp_path, monkeypatch):
    def stop(job):
        raise KeyboardInterrupt

    shutil.copytree(shapes, tmp_path / "data")
    with monkeypatch.context() as patched:
        replace_rung(patched, "hog", stop)
        linnaea("train", "data", "--out", "run", *CHEAP)
    words = change(tmp_path / "data")
    refused("train", "data", "--out", "run", *CHEAP, "--resume", words=["cannot be resumed", *words, "start a new run"])


def test_resuming_on_other_labels_shows_the_difference(linnaea, refused, shapes, tmp_path, monkeypatch):
    def stop(job):
        raise KeyboardInterrupt

    shutil.copytree(shapes, tmp_path / "data")
    rows = [f"{path.relative_to(tmp_path / 'data')},{path.parent.name}" for path in sorted(tmp_path.rglob("*.png"))]
    table = tmp_path / "data" / "labels.csv"
    table.write_text("\n".join(["path,label", *rows]))
    with monkeypatch.context() as patched:
        replace_rung(patched, "hog", stop)
        linnaea("train", table, "--out", "run", *CHEAP)
    name, label = rows[0].split(",")
    other = rows[-1].split(",")[1]
    table.write_text("\n".join(["path,label", f"{name},{other}", *rows[1:]]))
    words = [f"1 image has another label (first {name} was {label} and is now {other})"]
    refused("train", table, "--out", "run", *CHEAP, "--resume", words=words)


def test_a_disk_that_is_full(refused, linnaea, shapes, tmp_path, monkeypatch):
    def full(tensors, path, metadata=None):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("safetensors.torch.save_file", full)
        refused("train", shapes, "--out", "run", *CHEAP, words=["No space left on device", "Make room", "--resume"])
    assert status(tmp_path / "run") == "failed"
    assert not list((tmp_path / "run").rglob("*.partial"))
    assert linnaea("train", shapes, "--out", "run", *CHEAP, "--resume").code == 0


def test_a_checkpoint_the_system_refuses_to_write(refused, linnaea, shapes, tmp_path):
    """The library that writes checkpoints reports a full disk with an error of its own kind."""
    flags = ("--out", "run", "--model", "scratch", "--weights", "none", "--epochs", "1", "--augment", "none")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        refused("train", shapes, *flags, words=["File too large", "Make room", "--resume"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status(tmp_path / "run") == "failed"
    assert not list((tmp_path / "run").rglob("*.partial"))
    assert linnaea("train", shapes, *flags, "--resume").code == 0


def test_a_folder_that_cannot_be_written(refused, shapes, tmp_path):
    (tmp_path / "file").touch()
    refused("train", shapes, "--out", "file/run", *CHEAP, words=["Not a directory", "file/run", "Check the path"])


# The same in a process of its own


def start(*arguments, folder):
    command = [sys.executable, "-m", "linnaea", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, text=True, preexec_fn=listen, **pipes)


def listen():
    """Be stopped by Ctrl-C, also where the tests run in the background, whose children are told not to be."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_the_exit_code_of_a_process(tmp_path):
    process = start("train", "nothing", folder=tmp_path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == USAGE
    assert out == ""
    assert err == "Error: nothing does not exist: expected a folder of images, or a CSV or Parquet file.\n"


@pytest.mark.slow
def test_a_real_signal_stops_a_training_that_then_goes_on(linnaea, shapes, tmp_path):
    flags = ("--out", "run", "--model", "scratch", "--weights", "none", "--epochs", "100000", "--augment", "none")
    process = start("train", shapes, *flags, folder=tmp_path)
    deadline = time.monotonic() + 120
    while (
        not (tmp_path / "run" / "checkpoints" / "scratch" / "last.safetensors").exists() and time.monotonic() < deadline
    ):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == STOPPED
    assert "Traceback" not in err
    assert "--resume" in err
    assert status(tmp_path / "run") == "interrupted"
    assert linnaea("train", shapes, *flags, "--resume", "--time-limit", "3s").code == 0
    assert status(tmp_path / "run") == "finished"
