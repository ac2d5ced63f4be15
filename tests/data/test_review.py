"""A folder of reviewed images: each once, with its right label, whoever files, and taken back in order."""

import io
import json
import threading

import numpy as np
import pytest
from material import reasons, smooth
from PIL import Image

import linnaea
from linnaea.data.review import HISTORY, NONE_OF_THESE, TABLE, Facts, ReviewFolder
from linnaea.errors import DataError, RunError, UsageError
from linnaea.runtime.locks import held, held_soon


def photo(number, kind="PNG"):
    """The bytes of an image, different for every number."""
    out = io.BytesIO()
    smooth(number, 16).save(out, kind)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path):
    return ReviewFolder(tmp_path / "review")


def test_what_is_filed_is_read_as_a_dataset(folder):
    told = Facts("bee", 0.61234, "unsure", "r-1", 2, "2026-11-29T08:00:00.000+00:00")
    folder.file(photo(1), "ant", told)
    folder.file(photo(2, "JPEG"), "bee")
    dataset = linnaea.read(folder.folder)
    by_label = {row["label"]: row for row in dataset.table.to_pylist()}
    assert dataset.classes == ("ant", "bee")
    assert by_label["ant"]["path"].startswith("images/")
    assert by_label["ant"]["path"].endswith(".png")
    assert by_label["bee"]["path"].endswith(".jpg")
    expected = {"was": "bee", "confidence": "0.6123", "reason": "unsure", "request": "r-1", "place": "2"}
    assert {name: by_label["ant"][name] for name in expected} == expected
    assert all(path.is_file() for path in dataset.paths)
    (one,) = [image for image in folder.reviewed().values() if image.label == "ant"]
    assert one.facts == Facts("bee", 0.6123, "unsure", "r-1", 2, "2026-11-29T08:00:00.000+00:00")


def test_an_image_is_kept_once_and_the_last_label_counts(folder):
    folder.file(photo(1), "ant", Facts(was="wasp"))
    change = folder.file(photo(1), "bee")
    assert (change.before.label, change.after.label) == ("ant", "bee")
    assert [image.label for image in folder.reviewed().values()] == ["bee"]
    assert len(list((folder.folder / "images").iterdir())) == 1
    assert [event["row"]["label"] for event in folder.history()] == ["ant", "bee"]


def test_undo_goes_back_step_by_step(folder):
    first = folder.file(photo(1), "ant").sha256
    second = folder.file(photo(2), "ant").sha256
    folder.file(photo(1), "bee")
    assert folder.undo().after.label == "ant"
    assert folder.undo(first).after is None
    assert list(folder.reviewed()) == [second]
    assert [path.stem for path in (folder.folder / "images").iterdir()] == [second]
    assert folder.undo(first) is None
    assert folder.undo().sha256 == second
    assert folder.undo() is None
    assert [event["action"] for event in folder.history()] == ["file"] * 3 + ["undo"] * 3


def test_an_image_of_none_of_the_classes_is_kept_apart(folder):
    folder.file(photo(1), "ant")
    folder.file(photo(2), "bee")
    folder.file(photo(2), None)
    assert [path.suffix for path in (folder.folder / "none").iterdir()] == [".png"]
    assert len(list((folder.folder / "images").iterdir())) == 1
    dataset = linnaea.read(folder.folder)
    assert dataset.labels == ["ant"]
    assert list(reasons(dataset).values()) == [NONE_OF_THESE]
    assert folder.undo().after.label == "bee"
    assert sorted(linnaea.read(folder.folder).labels) == ["ant", "bee"]
    assert not list((folder.folder / "none").iterdir())


STRANGE = ["=1+1", "@SUM(A1)", "-x", "'=x", "a|b", "a\\|b", "nan", "NA", "../../etc", 'q"uote', "zwei\nZeilen", "日本"]


def test_strange_names_come_back_as_they_were(folder):
    for number, label in enumerate(STRANGE):
        folder.file(photo(number), label, Facts(was=label, request=label))
    assert sorted(linnaea.read(folder.folder).labels) == sorted(STRANGE)
    assert [image.label for image in folder.reviewed().values()] == STRANGE
    assert [image.facts.request for image in folder.reviewed().values()] == STRANGE
    cells = (folder.folder / TABLE).read_text()
    assert "'=1+1" in cells
    assert "'@SUM" in cells
    assert "''=x" in cells
    assert {path.parent.name for path in folder.folder.rglob("*.png")} == {"images"}


def test_several_labels_per_image(folder):
    folder.file(photo(1), ["ant", "be|e"])
    folder.file(photo(2), [])
    dataset = linnaea.read(folder.folder)
    assert dataset.multilabel
    assert sorted(dataset.labels) == [[], ["ant", "be|e"]]
    assert {image.label for image in folder.reviewed().values()} == {("ant", "be|e"), ()}
    with pytest.raises(UsageError, match="a folder of their own"):
        folder.file(photo(3), "ant")


@pytest.mark.parametrize("label", ["", "  ", "a\0b", "x" * 1001, "\ud800", ["ant", ""]])
def test_what_cannot_be_a_label_is_refused(folder, label):
    with pytest.raises(UsageError, match="expected the name of a class"):
        folder.file(photo(1), label)
    assert not folder.folder.exists()


def test_a_cell_that_would_make_the_table_unreadable_is_refused(folder):
    folder.file(photo(1), "red")
    with pytest.raises(UsageError, match="request has 200,000 letters"):
        folder.file(photo(2), "blue", Facts(request="x" * 200_000))
    with pytest.raises(UsageError, match="label has"):
        folder.file(photo(2), [f"{number}{'x' * 900}" for number in range(150)])
    assert len(folder.reviewed()) == 1


def test_what_is_no_image_is_refused(folder):
    with pytest.raises(DataError, match="begin like no image"):
        folder.file(b"<svg onload=alert(1)>", "ant")
    assert not folder.folder.exists()


def test_the_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "cat").mkdir()
    with pytest.raises(UsageError, match="folder of something else"):
        ReviewFolder(tmp_path).file(photo(1), "ant")
    assert [path.name for path in tmp_path.iterdir()] == ["cat"]
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        ReviewFolder(tmp_path / "file").file(photo(1), "ant")


def test_two_writers_lose_nothing(folder):
    def work(numbers):
        for number in numbers:
            folder.file(photo(number), ("ant", "bee")[number % 2])

    threads = [threading.Thread(target=work, args=(range(start, 24, 2),)) for start in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folder.reviewed()) == len(folder.history()) == 24
    assert not list(folder.folder.rglob("*.partial"))


def test_a_folder_that_another_is_about_to_begin_is_no_other(folder):
    folder.folder.mkdir()
    (folder.folder / f".{TABLE}.798.partial").write_text("path,label")
    folder.file(photo(1), "ant")
    assert len(folder.reviewed()) == 1


def test_whoever_waits_too_long_is_told_who_holds_it(tmp_path):
    with held(tmp_path), pytest.raises(RunError, match="in use by process"), held_soon(tmp_path, 0.02):
        pass


def test_rows_and_columns_added_by_hand_stay(folder):
    folder.file(photo(1), "ant")
    table, own = folder.folder / TABLE, folder.folder / "images" / "mine.png"
    own.write_bytes(photo(9))
    head, row = table.read_text().splitlines()
    table.write_text(f"{head},note\n{row},odd\nimages/mine.png,bee,,,,,,,,mine\n")
    folder.file(photo(2), "bee")
    folder.undo()
    folder.file(photo(1), "bee")
    folder.undo()
    rows = linnaea.read(folder.folder).table.to_pylist()
    assert {(row["label"], row["note"]) for row in rows} == {("ant", "odd"), ("bee", "mine")}


def test_a_label_changed_by_hand_is_not_undone(folder):
    folder.file(photo(1), "ant")
    table = folder.folder / TABLE
    table.write_text(table.read_text().replace(",ant,", ",bee,"))
    with pytest.raises(DataError, match="changed by hand"):
        folder.undo()
    assert [image.label for image in folder.reviewed().values()] == ["bee"]


def test_a_history_that_was_cut_off_goes_on(folder):
    folder.file(photo(1), "ant")
    with (folder.folder / HISTORY).open("ab") as file:
        file.write(b'{"action": "fi')
    assert len(folder.history()) == 1
    folder.file(photo(2), "bee")
    assert [event["row"]["label"] for event in folder.history()] == ["ant", "bee"]
    lines = (folder.folder / HISTORY).read_text().splitlines()
    (folder.folder / HISTORY).write_text("\n".join(["nonsense", *lines]))
    with pytest.raises(DataError, match="line 1 is not JSON"):
        folder.undo()


def test_a_full_disk_leaves_what_was_there(folder, monkeypatch):
    folder.file(photo(1), "ant")
    before = (folder.folder / TABLE).read_bytes()

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("linnaea.data.review.write_text", refuse)
    with pytest.raises(OSError, match="No space left"):
        folder.file(photo(1), "bee")
    assert (folder.folder / TABLE).read_bytes() == before
    assert len(folder.history()) == 1
    monkeypatch.undo()
    assert folder.file(photo(1), "bee").before.label == "ant"


def test_a_table_that_is_none_is_refused(folder):
    folder.file(photo(1), "ant")
    table = folder.folder / TABLE
    table.write_text(table.read_text().replace(",", ";"))
    with pytest.raises(DataError, match="expected path,label"):
        folder.file(photo(2), "ant")


def test_a_review_of_something_else_is_no_source(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(tmp_path / name / "1.png")
    (tmp_path / TABLE).write_text("film,stars\nAlien,5\n")
    assert linnaea.read(tmp_path).classes == ("cat", "dog")


def test_what_was_filed_is_in_the_history_as_json(folder):
    folder.file(photo(1), "ant", Facts(was="bee"))
    (line,) = (folder.folder / HISTORY).read_text().splitlines()
    event = json.loads(line)
    assert event["action"] == "file"
    assert event["before"] is None
    assert event["row"]["was"] == "bee"
