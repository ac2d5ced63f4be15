"""POST /corrections: what is filed for review, what is refused with which mend, and what is taken back."""

import hashlib

import pytest
from fastapi.testclient import TestClient
from served import Catalogue, Model
from served_page import CERTAIN, CLASSES, UNSURE, one_label, picture, several_labels

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.data.review import HISTORY, ReviewFolder
from linnaea.delivery.serving.application import make_application
from linnaea.delivery.serving.limits import Limits
from linnaea.delivery.serving.page import Corrections, Recent, page_router
from linnaea.errors import UsageError
from linnaea.experiments.served_page import review_folder, served_page
from linnaea.models import build

RED = picture(CERTAIN)


@pytest.fixture
def folder(tmp_path):
    return ReviewFolder(tmp_path / "review")


@pytest.fixture
def kept(tmp_path):
    """The images that an audit log has kept: one."""
    place = tmp_path / "images"
    place.mkdir()
    (place / f"{hashlib.sha256(RED).hexdigest()}.png").write_bytes(RED)
    return place


@pytest.fixture
def client(folder, kept):
    models = Catalogue(Model(one_label()), Model(several_labels(), "tags"))
    limits, recent = Limits(max_body=50_000, max_review=3, formats=("PNG", "JPEG")), Recent()
    router = page_router(models, limits, corrections=Corrections(models, folder, recent, kept, limits))
    with TestClient(make_application(models, [recent], limits, [router])) as client:
        yield client


def answered(client, image=RED, **query):
    """The request id of an answer."""
    return client.post("/predict", content=image, params=query).json()["request"]


def correct(client, *labels, image=RED, headers=None, **fields):
    """What is answered to a form."""
    texts = [*(("label", label) for label in labels), *((name, str(value)) for name, value in fields.items())]
    parts = [(name, (None, text)) for name, text in texts]
    sent = [] if image is None else [("image", ("rose.png", image))]
    return client.post("/corrections", files=[*parts, *sent], headers=headers)


def test_an_image_is_filed_with_what_was_answered(client, folder):
    request = answered(client)
    told = correct(client, "blue", request=request, place=0)
    assert told.status_code == 200
    assert told.json() == {
        "sha256": hashlib.sha256(RED).hexdigest(),
        "label": ["blue"],
        "before": None,
        "known": True,
    }
    [one] = folder.reviewed().values()
    assert (one.label, one.facts.was, one.facts.reason, one.facts.request) == ("blue", "red", "ok", request)
    assert one.facts.confidence > 0.9
    assert correct(client, "red", request=request).json()["before"] == "blue"
    assert [one.label for one in folder.reviewed().values()] == ["red"]


def test_a_kept_image_is_filed_by_its_hash_or_by_its_request(client, folder, kept):
    told = correct(client, "blue", image=None, sha256=hashlib.sha256(RED).hexdigest())
    assert told.json()["known"] is False
    assert correct(client, "red", image=None, request=answered(client)).status_code == 200
    [one] = folder.reviewed().values()
    assert (one.label, one.facts.was) == ("red", "red")
    mauve = answered(client, picture(UNSURE))
    refused = correct(client, "red", image=None, request=mauve)
    assert (refused.status_code, "send the image itself" in refused.json()["error"]) == (404, True)


def test_new_names_and_none_need_their_mark(client, folder):
    refused = correct(client, "blau")
    assert refused.status_code == 422
    assert "'blau' is none of the model's classes" in refused.json()["error"]
    assert "new=true" in refused.json()["error"]
    assert correct(client, "plum", new="true").status_code == 200
    assert [one.label for one in folder.reviewed().values()] == ["plum"]
    assert correct(client, none="true").json()["label"] is None
    assert [one.label for one in folder.reviewed().values()] == [None]


def test_several_labels_or_none_of_them_may_be_filed(client, folder):
    image = picture(UNSURE)
    request = answered(client, image, model="tags")
    assert correct(client, "red", CLASSES[1], image=image, model="tags", request=request).status_code == 200
    [one] = folder.reviewed().values()
    assert (set(one.label), one.facts.was) == ({"red", CLASSES[1]}, "red|blue")
    assert correct(client, image=image, model="tags").json()["label"] == []
    assert [one.label for one in folder.reviewed().values()] == [()]


REFUSED = [
    ({"labels": ()}, 422, "0 labels; expected one"),
    ({"labels": ("red", "blue")}, 422, "2 labels; expected one"),
    ({"labels": ("red",), "none": "true"}, 422, "says none of the classes and gives a label"),
    ({"labels": ("red",), "new": "true"}, 422, "knows every label"),
    ({"labels": ("red",), "new": "perhaps"}, 422, "new is 'perhaps'; expected true or false"),
    ({"labels": ("red",), "image": b"words"}, 415, "send JPEG, PNG"),
    ({"labels": ("red",), "image": b"GIF89a"}, 415, "GIF is none of the formats that are read here (PNG, JPEG)"),
    ({"labels": ("red",), "image": None}, 422, "neither an image nor its sha256"),
    ({"labels": ("red",), "image": None, "sha256": "../../etc/passwd"}, 422, "64 hexadecimal digits"),
    ({"labels": ("red",), "sha256": "0" * 64}, 409, "not the image that was answered"),
    ({"labels": ("red",), "model": "birds"}, 404, "no model 'birds'"),
    ({"labels": ("red",), "place": "-1"}, 422, "place is '-1'"),
    ({"labels": ("red",), "request": "x" * 40_000}, 422, "expected the id that the answer came with"),
    ({"labels": ("red",), "request": "a\0b"}, 422, "expected the id that the answer came with"),
    ({"labels": ("red",), "comment": "hello"}, 422, "a field 'comment'"),
    ({"labels": (" ",), "new": "true"}, 422, "expected the name of a class"),
    ({"labels": ("red",), "image": bytes(60_000)}, 413, "longer than 50,000 bytes"),
    ({"labels": ("red",), "headers": {"sec-fetch-site": "cross-site"}}, 403, "not from other sites"),
    ({"labels": ("red",), "headers": {"origin": "https://evil.example"}}, 403, "not from other sites"),
]


@pytest.mark.parametrize(("given", "status", "told"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_refused_and_nothing_is_filed(client, folder, given, status, told):
    refused = correct(client, *given["labels"], **{name: value for name, value in given.items() if name != "labels"})
    assert refused.status_code == status
    assert told in refused.json()["error"]
    assert not folder.folder.exists()


def test_another_image_than_the_one_answered_is_refused(client, folder):
    refused = correct(client, "red", image=picture(UNSURE), request=answered(client))
    assert refused.status_code == 409
    assert not folder.folder.exists()


def test_a_form_that_is_cut_off_is_refused(client):
    kind = {"content-type": "multipart/form-data; boundary=xx"}
    body = b'--xx\r\nContent-Disposition: form-data; name="label"\r\n\r\nred'
    assert client.post("/corrections", content=body, headers=kind).status_code == 400
    assert client.post("/corrections", content=body).status_code == 400


def test_undoing_needs_the_request_and_brings_back_what_was_there(client, folder):
    request, digest = answered(client), hashlib.sha256(RED).hexdigest()
    correct(client, "blue", request=request)
    assert client.delete(f"/corrections/{digest}", params={"request": "guessed"}).status_code == 404
    assert client.delete(f"/corrections/{digest}").status_code == 404
    assert client.delete("/corrections/..%2f..", params={"request": request}).status_code == 404
    assert len(folder.reviewed()) == 1
    evil = {"sec-fetch-site": "cross-site"}
    assert client.delete(f"/corrections/{digest}", params={"request": request}, headers=evil).status_code == 403
    assert client.delete(f"/corrections/{digest}", params={"request": request}).json()["undone"] is True
    assert folder.reviewed() == {}
    assert client.delete(f"/corrections/{digest}", params={"request": request}).status_code == 404


def test_a_full_folder_takes_corrections_of_what_it_holds_alone(client, folder):
    for number in range(3):
        assert correct(client, "red", image=picture((number, 0, 0))).status_code == 200
    refused = correct(client, "red", image=picture((9, 0, 0)))
    assert refused.status_code == 507
    assert client.get("/page/facts").json()["formats"] == ["image/png", "image/jpeg"]
    assert "holds 3 images" in refused.json()["error"]
    assert correct(client, "blue", image=picture((2, 0, 0))).json()["before"] == "red"


def test_one_image_that_is_filed_for_ever_does_not_fill_the_disk(client, folder):
    statuses = [correct(client, ("red", "blue")[number % 2]).status_code for number in range(60)]
    assert statuses[0] == 200
    assert statuses[-1] == 507
    assert (folder.folder / HISTORY).stat().st_size < 32_000


def test_the_oldest_answers_are_forgotten():
    recent = Recent(kept=2)
    with TestClient(make_application(Catalogue(Model(one_label())), [recent], Limits())) as client:
        requests = [answered(client) for _ in range(3)]
    assert [recent.find(request, 0) is None for request in requests] == [True, False, False]


def test_a_folder_of_something_else_is_refused_before_anything_is_served(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(RED)
    with pytest.raises(UsageError, match="the folder of something else"):
        review_folder(tmp_path)
    assert review_folder(None) is None
    assert review_folder(tmp_path / "new") == ReviewFolder(tmp_path / "new")


def test_the_page_is_told_what_its_models_can(tmp_path):
    layers = {"classes": 3, "size": 32, "widths": [4]}
    network = Classifier(TorchScorer(build("compact", layers)), CLASSES, "multiclass", Recipe(32))
    models, limits = Catalogue(Model(network, "network"), Model(one_label())), Limits(max_body=1_000)
    page, observers = served_page(models, limits, review_folder(tmp_path / "review"), tmp_path)
    with TestClient(make_application(models, observers, limits, [page])) as client:
        told = client.get("/page/facts").json()
    assert [(model["name"], model["explains"]) for model in told["models"]] == [
        ("network", "gradcam"),
        ("colours", None),
    ]
    assert told["models"][1]["classes"] == list(CLASSES)
    assert told["models"][1]["policy"] == {"confidence_threshold": 0.8, "ood_threshold": 0.95}
    assert (told["limits"], told["review"], told["keeps"]) == ({"bytes": 1_000}, True, True)


def test_without_a_folder_corrections_are_refused_with_the_option():
    models, limits = Catalogue(Model(one_label())), Limits()
    page, observers = served_page(models, limits)
    assert observers == []
    with TestClient(make_application(models, observers, limits, [page])) as client:
        assert "start it with --review FOLDER" in correct(client, "red").json()["error"]
        assert client.get("/page/facts").json()["review"] is False
