"""Very many images scored into a file: part after part, each image once, and on from where it was killed."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from material import pack, run, striped
from PIL import Image

import linnaea as ln
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.decisions import Policy
from linnaea.errors import LinnaeaError, RunError, UsageError
from linnaea.experiments.scoring import job as jobs
from linnaea.experiments.scoring import parts as of_parts
from linnaea.experiments.scoring.listing import listed
from linnaea.models import build
from linnaea.predictions import Predictions
from linnaea.runtime.locks import held

SMALL = 8  # images of a part


def untrained(folder, task="binary"):
    """The bundle of a small network with the weights that it began with."""
    scorer = TorchScorer(build("lenet5", {"classes": 2, "size": 32}).eval())
    policy = Policy(sets="risk") if task == "multilabel" else Policy()
    return Classifier(scorer, ("lying", "standing"), task, Recipe(32), policy=policy).save(folder)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A classifier whose answers depend on what it sees."""
    return untrained(tmp_path_factory.mktemp("classifier") / "bundle")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Forty images in two folders, two that cannot be read, and what is no image."""
    folder = tmp_path_factory.mktemp("shown") / "photos"
    striped(folder / "a", 24, seed=1)
    striped(folder / "b", 16, seed=2)
    (folder / "a" / "broken.png").write_bytes(b"no picture")
    (folder / "b" / "empty.jpg").touch()
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def small_parts(monkeypatch):
    """Several parts of a few images."""
    monkeypatch.setattr(jobs, "BATCH", SMALL)
    monkeypatch.setattr(jobs, "MOST_ROWS", SMALL)


def parts_of(out) -> list[Path]:
    return sorted(out.with_name(f"{out.name}.parts").glob("[0-9]*.parquet"))


def stop_after(count, monkeypatch):
    """Let a scoring be stopped when so many parts are there."""
    real, made = of_parts.answered, []

    def answered(*given):
        if len(made) == count:
            raise KeyboardInterrupt
        made.append(real(*given))
        return made[-1]

    monkeypatch.setattr("linnaea.experiments.scoring.carrying_out.answered", answered)
    return made


def test_the_file_is_what_predict_answers(classifier, shown, tmp_path, small_parts):
    scored = ln.score(classifier, shown, tmp_path / "scores.parquet")
    expected = ln.predict(classifier, shown)
    found = Predictions.read(scored.file)
    assert found.table.column_names == expected.table.column_names
    assert found.column("id") == expected.column("id")
    assert found.classes == expected.classes
    assert found.column("label") == expected.column("label")
    np.testing.assert_allclose(found.scores(), expected.scores(), rtol=1e-5)
    assert scored.images == 42
    assert scored.reasons == {name: expected.column("reason").count(name) for name in scored.reasons}
    assert scored.reasons["unreadable"] == 2
    assert not parts_of(scored.file)


def test_a_file_of_few_images_holds_what_it_always_held(classifier, shown, tmp_path):
    scored = ln.score(classifier, [shown / "a", shown / "b" / "None-001.png"], tmp_path / "scores.parquet")
    ln.predict(classifier, [shown / "a", shown / "b" / "None-001.png"]).write(tmp_path / "plain.parquet")
    found, expected = pq.read_table(scored.file), pq.read_table(tmp_path / "plain.parquet")
    assert found.schema.equals(expected.schema, check_metadata=True)
    assert found.equals(expected)


def test_a_scoring_goes_on_where_it_was_stopped(classifier, shown, tmp_path, small_parts, monkeypatch, caplog):
    whole = ln.score(classifier, shown, tmp_path / "whole.parquet")
    with monkeypatch.context() as patched:
        stop_after(3, patched)
        with pytest.raises(KeyboardInterrupt):
            ln.score(classifier, shown, tmp_path / "scores.parquet")
    assert "24 of 42 images are scored and kept in" in caplog.text
    kept = {file: file.stat().st_mtime_ns for file in parts_of(tmp_path / "scores.parquet")}
    assert len(kept) == 3
    with monkeypatch.context() as patched:
        made = stop_after(99, patched)
        again = ln.score(classifier, shown, tmp_path / "scores.parquet")
    assert again.kept == 24
    assert len(made) == 3, "the parts that were there are not made again"
    assert again.file.read_bytes() == whole.file.read_bytes()


def test_a_damaged_part_is_made_again(classifier, shown, tmp_path, small_parts, monkeypatch, caplog):
    whole = ln.score(classifier, shown, tmp_path / "whole.parquet")
    with monkeypatch.context() as patched:
        stop_after(3, patched)
        with pytest.raises(KeyboardInterrupt):
            ln.score(classifier, shown, tmp_path / "scores.parquet")
    first, second, _ = parts_of(tmp_path / "scores.parquet")
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(content)
    second.write_bytes(second.read_bytes()[:-9])
    again = ln.score(classifier, shown, tmp_path / "scores.parquet")
    assert again.kept == 8
    assert caplog.text.count("is damaged") == 2
    assert again.file.read_bytes() == whole.file.read_bytes()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("options", r"damaged was refuse and is answer; max-pixels was the usual one and is 900"),
        ("model", r"classifier was that of classifier.json \w{12} and is that of classifier.json \w{12}"),
        ("new", r"1 image is new \(first .*c.png\)"),
        ("gone", r"1 image is gone \(first .*None-000.png\)"),
        ("changed", r"1 image is changed \(first .*None-001.png\)"),
        ("library", r"numpy was 1.0 and is 2"),
    ],
)
def test_another_scoring_does_not_go_on_from_the_parts(
    classifier, shown, tmp_path, small_parts, monkeypatch, change, told
):
    photos, model, options = tmp_path / "photos", tmp_path / "model", {}
    shutil.copytree(shown, photos)
    shutil.copytree(classifier, model)
    out = tmp_path / "scores.parquet"
    with monkeypatch.context() as patched:
        stop_after(2, patched)
        with pytest.raises(KeyboardInterrupt):
            ln.score(model, photos, out)
    before = parts_of(out)
    if change == "options":
        options = {"damaged": "answer", "max_pixels": 900}
    elif change == "model":
        ln.load(model).with_(policy=Policy(confidence_threshold=0.6)).save(model)
    elif change == "new":
        shutil.copy(photos / "a" / "None-000.png", photos / "b" / "c.png")
    elif change == "gone":
        (photos / "a" / "None-000.png").unlink()
    elif change == "changed":
        Image.new("RGB", (9, 9)).save(photos / "a" / "None-001.png")
    else:
        record = out.with_name("scores.parquet.parts") / "job.json"
        content = json.loads(record.read_text())
        content["asked"]["versions"]["numpy"] = "1.0"
        record.write_text(json.dumps(content))
    with pytest.raises(LinnaeaError, match=told):
        ln.score(model, photos, out, **options)
    assert parts_of(out) == before, "nothing was lost"
    assert not out.exists()


def shards(folder, images, each):
    """Tar files of so many images each, with labels beside them; one image is broken."""
    folder.mkdir()
    for start in range(0, images, each):
        members = {}
        for number in range(start, min(images, start + each)):
            stream = io.BytesIO()
            Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(
                stream, "PNG"
            )
            members[f"{number:04}.png"] = b"broken" if number == 5 else stream.getvalue()
            members[f"{number:04}.json"] = b'{"label": "lying"}'
        pack(folder / f"train-{start // each:03}.tar", members)
    return folder


def test_shards_are_read_where_they_lie(classifier, tmp_path, small_parts, monkeypatch):
    folder = shards(tmp_path / "shards", 30, 7)
    monkeypatch.setattr(tarfile.TarFile, "extractall", None)
    scored = ln.score(classifier, folder, tmp_path / "scores.parquet")
    found = Predictions.read(scored.file)
    assert found.column("id") == [f"{folder}/train-{number // 7:03}.tar#{number:04}.png" for number in range(30)]
    assert [place for place, reason in enumerate(found.column("reason")) if reason == "unreadable"] == [5]
    assert "not an image in a supported format" in found.column("detail")[5]
    single = ln.predict(classifier, folder / "train-001.tar")
    np.testing.assert_allclose(found.scores()[7:14], single.scores(), rtol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores.parquet", "shards"]


def test_what_lies_beside_the_images_is_counted(classifier, shown, tmp_path, caplog):
    folder = shards(tmp_path / "mixed", 4, 2)
    shutil.copy(shown / "a" / "None-000.png", folder / "loose.png")
    ids = listed(folder).table.column("id").to_pylist()
    assert [name.removeprefix(f"{folder}/") for name in ids] == [
        "loose.png",
        *(f"train-00{number // 2}.tar#000{number}.png" for number in range(4)),
    ]
    assert f"{folder}: 4 files are left out: 4 not an image file (.json)." in caplog.text


@pytest.mark.parametrize(("given", "told"), [(["a", ""], "lies in"), (["a", "a"], "is given twice")])
def test_no_image_is_scored_twice(classifier, shown, tmp_path, given, told):
    with pytest.raises(UsageError, match=f"{told}.*scored twice"):
        ln.score(classifier, [shown / name for name in given], tmp_path / "scores.parquet")


def test_an_image_that_is_gone_by_then_has_a_row(classifier, shown, tmp_path, small_parts, monkeypatch):
    photos = shutil.copytree(shown, tmp_path / "photos")
    real = of_parts.answered

    def answered(*given):
        (photos / "b" / "None-015.png").unlink(missing_ok=True)
        return real(*given)

    monkeypatch.setattr("linnaea.experiments.scoring.carrying_out.answered", answered)
    found = ln.score(classifier, photos, tmp_path / "scores.parquet").predictions
    assert found.column("detail")[found.column("id").index(str(photos / "b" / "None-015.png"))] == "file not found"


def test_parts_of_several_labels_and_of_unread_images_fit_together(tmp_path, small_parts):
    photos = tmp_path / "photos"
    striped(photos, 8)
    for number in range(8):
        (photos / f"z{number}.png").write_bytes(b"broken")
    several = untrained(tmp_path / "several", "multilabel")
    found = ln.score(several, photos, tmp_path / "scores.parquet").predictions
    assert [label is None for label in found.column("label")] == [False] * 8 + [True] * 8
    assert all(isinstance(label, list) for label in found.column("label")[:8])


def test_the_summary_for_machines(classifier, shown, tmp_path, monkeypatch, capfd):
    out = tmp_path / "scores.parquet"
    assert run(["predict", classifier, shown, "--out", out, "--json"], monkeypatch) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["images"] == 42
    assert told["file"] == str(out)
    assert sum(told["reasons"].values()) == 42
    assert told["kept"] == 0
    assert told["images_per_second"] > 0
    assert run(["predict", classifier, shown, "--on", "ray"], monkeypatch) == 2
    assert "add --out scores.parquet" in capfd.readouterr().err


def test_relative_names_stay_as_they_were_given(classifier, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(shown.parent)
    found = ln.score(classifier, "photos/b", tmp_path / "scores.parquet").predictions
    assert found.column("id")[0] == "photos/b/None-000.png"
    assert set(found.column("reason")[:16]) <= {"ok", "unsure", "unfamiliar"}


def test_no_two_processes_write_one_file(classifier, shown, tmp_path):
    with held(tmp_path / "scores.parquet.parts"), pytest.raises(RunError, match="is in use by process"):
        ln.score(classifier, shown, tmp_path / "scores.parquet")


KILLED = textwrap.dedent("""
    import sys, time
    import linnaea
    from linnaea.experiments.scoring import carrying_out, job
    job.BATCH = job.MOST_ROWS = 8
    real = carrying_out.answered
    def answered(*given):
        time.sleep(0.2)
        return real(*given)
    if sys.argv[4] == "slowly":
        carrying_out.answered = answered
    linnaea.score(*sys.argv[1:4])
""")


@pytest.mark.slow
def test_a_killed_scoring_ends_as_if_it_had_not_been_killed(classifier, shown, tmp_path, small_parts):
    out = tmp_path / "scores.parquet"
    command = [sys.executable, "-c", KILLED, classifier, shown, out]
    child = subprocess.Popen([*command, "slowly"], env={**os.environ, "OMP_NUM_THREADS": "1"})
    until = time.monotonic() + 60
    while len(parts_of(out)) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not out.exists()
    assert 2 <= len(parts_of(out)) < 6
    subprocess.run([*command, "at once"], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    with suppress(FileNotFoundError):
        (tmp_path / "whole.parquet").unlink()
    assert out.read_bytes() == ln.score(classifier, shown, tmp_path / "whole.parquet").file.read_bytes()
