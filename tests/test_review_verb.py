"""`review` lists what somebody should look at, from a log, a folder, a list or the run, and files it for `train`."""

import contextlib
import io
import json
import shutil
import threading
import urllib.request

import pytest
from material import run as command
from material import smooth, striped

import linnaea
from linnaea.data.review import ReviewFolder
from linnaea.delivery.serving.audit_log import AuditLog, LogPolicy
from linnaea.delivery.serving.contract import Answered
from linnaea.errors import BundleError, DataError, UsageError


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run with wrong labels among its images, and other images."""
    folder = tmp_path_factory.mktemp("reviewing")
    linnaea.train(striped(folder / "labelled", 100, noise=0.15), model="hog", img_size=32, out=folder / "run")
    striped(folder / "photos", 12, seed=9)
    return folder


def test_images_of_a_folder_come_by_doubt_and_copies_once(place, tmp_path):
    photos = shutil.copytree(place / "photos", tmp_path / "photos")
    shutil.copy(sorted(photos.iterdir())[0], photos / "copy.png")
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    review = linnaea.review(place / "run", source=photos, out=tmp_path / "review")
    assert len(review.items) == 13
    doubts = [item.doubt for item in review.items]
    assert doubts == sorted(doubts, reverse=True)
    assert review.items[0].path.name == "broken.png"
    assert review.rules.classes == ("lying", "standing")
    fewer = linnaea.review(place / "run", source=photos, out=tmp_path / "review", most=3)
    assert len(fewer.items) == 3
    assert fewer.left_out == {"in less doubt": 10}
    assert not (tmp_path / "review").exists()


def test_of_the_run_itself_what_is_wrong_or_in_doubt(place, tmp_path):
    review = linnaea.review(place / "run", out=tmp_path / "review")
    answers = linnaea.load(place / "run")
    assert answers.classes == ("lying", "standing")
    wrong = [item for item in review.items if "differs from the label" in item.why]
    assert wrong
    assert all(item.given in answers.classes and item.sha256 for item in review.items)
    assert all(item.facts.was != item.given for item in wrong)


def test_what_is_filed_already_is_not_asked_again(place, tmp_path):
    out = tmp_path / "review"
    first = linnaea.review(place / "run", source=place / "photos", out=out)
    folder = ReviewFolder(out)
    for item in first.items[:5]:
        folder.file(item.path.read_bytes(), "lying")
    rest = linnaea.review(place / "run", source=place / "photos", out=out)
    assert [item.path for item in rest.items] == [item.path for item in first.items[5:]]
    assert rest.left_out == {f"in {out} already": 5}
    for item in first.items[5:]:
        folder.file(item.path.read_bytes(), "standing")
    with pytest.raises(DataError, match="nothing to review"):
        linnaea.review(place / "run", source=place / "photos", out=out)


def test_a_list_of_ask_keeps_its_order(place, tmp_path):
    asked = linnaea.ask(place / "run", place / "photos", n=6, method="random", estimate=False)
    table = asked.write(tmp_path / "asked.csv")
    review = linnaea.review(place / "run", source=table, out=tmp_path / "review")
    assert [str(item.path) for item in review.items] == [row["path"] for row in asked.rows]
    inside = asked.write(place / "photos" / "asked.csv")
    again = linnaea.review(place / "run", source=inside, out=tmp_path / "review")
    inside.unlink()
    assert [item.path.name for item in again.items] == [item.path.name for item in review.items]


def logged(folder, *, keep):
    """A log of two images, one of which was answered twice, and of one that could not be read."""

    def answered(number, place, image, confidence, reason):
        from hashlib import sha256

        answer = {
            "label": "lying",
            "confidence": confidence,
            "prediction_set": ["lying"],
            "ood_score": 0.1,
            "reason": reason,
        }
        digest = sha256(image).hexdigest()
        return Answered(f"r-{number}", place, 1_700_000_000 + number, "m", "1", "d", answer, sha256=digest, image=image)

    photos = []
    for number in range(2):
        out = io.BytesIO()
        smooth(number, 32).save(out, "PNG")
        photos.append(out.getvalue())
    log = AuditLog(folder, LogPolicy(keep_images=keep))
    log.answered([answered(1, 0, photos[0], 0.9, "ok"), answered(1, 1, photos[1], 0.6, "unsure")])
    log.answered([answered(2, 0, photos[0], 0.3, "unfamiliar")])
    log.close()
    return folder


def test_the_log_of_a_server(place, tmp_path):
    log = logged(tmp_path / "log", keep=True)
    review = linnaea.review(place / "run", source=log, out=tmp_path / "review")
    facts = [item.facts for item in review.items]
    assert [(one.request, one.place, one.reason) for one in facts] == [("r-2", 0, "unfamiliar"), ("r-1", 1, "unsure")]
    assert facts[0].time.startswith("2023-11-14T22:13:2")
    for path in (log / "images").iterdir():
        path.unlink()
        break
    assert linnaea.review(place / "run", source=log, out=tmp_path / "review").left_out == {"not kept by the server": 1}


def test_a_log_without_images_says_how_they_are_kept(place, tmp_path):
    with pytest.raises(DataError, match="--keep-images"):
        linnaea.review(place / "run", source=logged(tmp_path / "log", keep=False), out=tmp_path / "review")


def test_an_edited_log_is_said_and_the_rest_is_shown(place, tmp_path, caplog):
    log = logged(tmp_path / "log", keep=True)
    (file,) = log.glob("audit-*.jsonl")
    file.write_text(file.read_text().replace('"confidence":0.6', '"confidence":0.1'))
    review = linnaea.review(place / "run", source=log, out=tmp_path / "review")
    assert [item.facts.request for item in review.items] == ["r-2"]
    assert "audit-000001.jsonl" in caplog.text


def test_what_cannot_be_reviewed_is_refused(place, tmp_path):
    with pytest.raises(UsageError, match="folder of something else"):
        linnaea.review(place / "run", source=place / "photos", out=place / "labelled")
    with pytest.raises(DataError, match="does not exist"):
        linnaea.review(place / "run", source=tmp_path / "nowhere")
    with pytest.raises(BundleError, match="does not exist"):
        linnaea.review(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="expected one of after, before"):
        linnaea.review(place / "run", answers="never")
    (tmp_path / "empty.csv").write_text("path,label\n")
    with pytest.raises(DataError, match="names no images"):
        linnaea.review(place / "run", source=tmp_path / "empty.csv", out=tmp_path / "review")


def test_a_list_for_machines_serves_no_page(place, tmp_path, monkeypatch, capsys):
    words = ["review", place / "run", "--from", place / "photos", "--out", tmp_path / "review", "--json", "--most", 2]
    assert command(words, monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["images"]) == 2
    assert set(told["images"][0]) >= {"path", "doubt", "why", "answer", "confidence", "sha256"}


@pytest.mark.slow
def test_from_the_page_to_a_training(place, tmp_path, monkeypatch, capsys):
    """Images are labelled through the page's server by their names, and the folder is trained on as it is."""
    out, said = tmp_path / "review", []
    monkeypatch.setattr("linnaea.verbs.review.say", lambda *lines, **_: said.extend(lines))
    reviewer = threading.Thread(target=label_all, args=(said,))
    reviewer.start()
    source = striped(tmp_path / "more", 40, seed=5).root
    assert command(["review", place / "run", "--from", source, "--out", out], monkeypatch) == 0
    reviewer.join()
    assert f"40 labelled of 40, in {out}." in said
    assert f"Next: linnaea train {out}" in said
    dataset = linnaea.read(out)
    assert sorted(set(dataset.labels)) == ["lying", "standing"]
    assert len(dataset) == 40
    assert len(list(linnaea.audit(out))) > 0
    classifier = linnaea.train(out, model="hog", img_size=32, out=tmp_path / "again")
    assert classifier.classes == ("lying", "standing")


def label_all(said):
    """What a person would do: look at each image, and say what it shows."""
    while not any("Open http" in line for line in said):
        threading.Event().wait(0.05)
    address = next(word for line in said for word in line.split() if word.startswith("http"))

    def post(path, content):
        body = json.dumps(content).encode()
        request = urllib.request.Request(address + path, body, {"Content-Type": "application/json"})
        with contextlib.closing(urllib.request.urlopen(request, timeout=30)) as answer:
            return json.load(answer)

    with contextlib.closing(urllib.request.urlopen(f"{address}state", timeout=30)) as answer:
        state = json.load(answer)
    while state["now"]:
        number = int(state["now"]["name"].removeprefix("None-").removesuffix(".png"))
        state = post("label", {"number": state["now"]["number"], "label": ("lying", "standing")[number % 2]})
    post("finish", {})
