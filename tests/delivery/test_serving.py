"""A server answers what `predict` answers, whatever way images are sent."""

import base64
import hashlib
import io
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from served import Catalogue, Model, Told, client_of, colours, image_file

import linnaea
from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.decisions import Policy
from linnaea.delivery.exporters import export
from linnaea.experiments.heat_maps import HeatMaps
from linnaea.models import build
from linnaea.predictions import UNCERTAINTY

RED, BLUE = image_file(), image_file((20, 30, 210))
SIZE = 32
TASKS = {
    "binary": (("ant", "bee"), Policy(thresholds=(0.3,), set_threshold=0.2)),
    "multiclass": (("ant", "bee", "größte Wespe"), Policy(set_threshold=0.2, confidence_threshold=0.6)),
    "multilabel": (("ant", "bee", "wasp"), Policy(thresholds=(0.4, 0.5, 0.6), sets="risk")),
    "hierarchical": (
        ("ant", "bee", "spider"),
        Policy(parents=(("ant", "insects"), ("bee", "insects")), thresholds=(0.7,), risk=0.1, set_threshold=0.2),
    ),
}


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def client(told):
    with client_of(None, [told]) as client:
        yield client


def predicted(tmp_path, content, classifier=None, **options):
    path = tmp_path / "image"
    path.write_bytes(content)
    row = next(iter((classifier or colours()).predict(path, **options)))
    return {name: value for name, value in row.items() if name != "id"}


def rows_of(response):
    return [
        {name: value for name, value in row.items() if name not in ("id", "top")} for row in response.json()["answers"]
    ]


def answering(task):
    """A tiny network with random weights."""
    classes, policy = TASKS[task]
    torch.manual_seed(1)
    model = build("lenet5", {"classes": len(classes), "size": SIZE}).eval()
    with torch.no_grad():
        [part for part in model.modules() if isinstance(part, torch.nn.Linear)][-1].weight.normal_()
    return Classifier(TorchScorer(model), classes, task, Recipe(SIZE, "pad"), policy=policy)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(12):
        patches = random.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        Image.fromarray(patches).resize((140 + number, 170 - number)).save(folder / f"photo {number:02}.jpg")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def exported(photos, tmp_path_factory):
    """The folder of a task's classifier as an ONNX file, made once."""
    return cache(lambda task: export(answering(task), "onnx", tmp_path_factory.mktemp("onnx") / task, photos).folder)


def test_a_body_that_is_an_image_is_answered_as_by_predict(client, tmp_path):
    response = client.post("/predict", content=RED)
    assert response.status_code == 200
    assert rows_of(response) == [predicted(tmp_path, RED)]
    told = response.json()
    assert (told["model"], told["version"], told["request"]) == ("colours", "1", response.headers["x-request-id"])
    assert [one["label"] for one in told["answers"][0]["top"]] == ["red", "blue", "green"]
    assert told["answers"][0]["top"][0]["probability"] == told["answers"][0]["confidence"]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", ["run", "export"])
def test_every_task_is_answered_as_by_predict(task, kind, exported, photos, tmp_path):
    folder = exported(task) if kind == "export" else answering(task).save(tmp_path / "model")
    expected = linnaea.predict(folder, photos)
    with client_of(load(folder)) as client:
        files = [("images", (path.name, path.read_bytes())) for path in photos]
        response = client.post("/predict", files=files, params={"top": 1000})
    assert response.status_code == 200
    probabilities = expected.scores()
    for place, (row, answer) in enumerate(zip(expected, response.json()["answers"], strict=True)):
        numbers = {name: value for name, value in row.items() if isinstance(value, float)}
        assert {name: answer[name] for name in numbers} == pytest.approx(numbers, rel=1e-5, abs=1e-6)
        same = {name: value for name, value in row.items() if name not in ("id", *numbers)}
        assert {name: answer[name] for name in same} == same
        assert answer["id"] == photos[place].name
        top = {one["label"]: one["probability"] for one in answer["top"]}
        assert top == pytest.approx(dict(zip(expected.classes, probabilities[place], strict=True)), abs=1e-6)
    assert len({round(row["confidence"], 4) for row in expected}) > 6, "the images are answered differently"


def test_parts_of_uncertainty_are_told_where_members_answer(tmp_path):
    members = [{"kind": "lenet5", "arguments": {"classes": 2, "size": SIZE}}] * 2
    torch.manual_seed(0)
    model = build("ensemble", {"classes": 2, "size": SIZE, "members": members, "temperatures": [1.0, 2.0]}).eval()
    classifier = Classifier(TorchScorer(model), ("ant", "bee"), "binary", Recipe(SIZE))
    with client_of(classifier) as client:
        (row,) = rows_of(client.post("/predict", content=RED))
    expected = predicted(tmp_path, RED, classifier)
    assert row.keys() == expected.keys()
    assert [row[name] for name in UNCERTAINTY] == pytest.approx([expected[name] for name in UNCERTAINTY])


def test_several_images_come_in_a_form_or_as_base64_in_json(client, tmp_path):
    expected = [predicted(tmp_path, content) for content in (RED, BLUE)]
    form = client.post("/predict", files=[("a", ("red.png", RED)), ("b", ("blue <i>.png", BLUE))])
    assert rows_of(form) == expected
    assert [row["id"] for row in form.json()["answers"]] == ["red.png", "blue <i>.png"]
    texts = [base64.b64encode(RED).decode(), "data:image/png;base64," + base64.b64encode(BLUE).decode()]
    plain = client.post("/predict", json={"images": texts})
    assert rows_of(plain) == expected
    assert [row["id"] for row in plain.json()["answers"]] == ["0", "1"]


def test_the_content_says_what_an_image_is_not_its_name_nor_its_header(client):
    response = client.post("/predict", content=RED, headers={"content-type": "application/x-www-form-urlencoded"})
    assert response.status_code == 200
    assert client.post("/predict", files={"image": ("evil.svg", RED, "text/html")}).status_code == 200
    refused = client.post(
        "/predict", content=b"<svg xmlns='http://www.w3.org/2000/svg'/>", headers={"content-type": "image/png"}
    )
    assert refused.status_code == 422
    assert "not an image in a supported format (JPEG, PNG" in refused.json()["error"]


def test_an_image_that_cannot_be_read_does_not_stand_in_the_way_of_others(client, told, tmp_path):
    cut = image_file(size=(90, 80), kind="JPEG", noise=60)[:1500]
    response = client.post("/predict", files=[("a", ("a", cut)), ("b", ("b", RED)), ("c", ("c", b"nonsense"))])
    assert response.status_code == 200
    assert rows_of(response) == [predicted(tmp_path, content) for content in (cut, RED, b"nonsense")]
    assert [row["reason"] for row in response.json()["answers"]] == ["unreadable", "ok", "unreadable"]
    reasons = {one.place: one.answer["reason"] for one in told.answers}
    assert reasons == {0: "unreadable", 1: "ok", 2: "unreadable"}
    alone = client.post("/predict", content=cut)
    assert alone.status_code == 422
    assert alone.json()["answers"][0]["detail"] in alone.json()["error"]


def test_what_is_left_of_a_damaged_image_is_answered_where_that_is_asked_for(tmp_path):
    cut = image_file(size=(90, 80), kind="JPEG", noise=60)[:1500]
    with client_of(salvage=True) as client:
        response = client.post("/predict", content=cut)
    assert rows_of(response) == [predicted(tmp_path, cut, damaged="answer")]
    assert response.json()["answers"][0]["reason"] == "damaged"


def test_an_image_of_too_many_pixels_is_refused_as_by_predict(tmp_path):
    small = colours().allowing(100)
    with client_of(small) as client:
        response = client.post("/predict", content=RED)
    assert response.status_code == 422
    assert rows_of(response) == [predicted(tmp_path, RED, small)]
    assert "over the limit of 100" in response.json()["error"]


def test_observers_are_told_all_that_was_answered(client, told):
    content = image_file((120, 120, 120), size=(40, 30), kind="JPEG", noise=30)
    answer = client.post("/predict", content=content).json()
    (one,) = told.answers
    assert (one.request, one.place, one.model, one.version) == (answer["request"], 0, "colours", "1")
    assert one.sha256 == hashlib.sha256(content).hexdigest()
    assert one.image == content
    assert one.answer == {name: value for name, value in answer["answers"][0].items() if name not in ("id", "top")}
    assert len(one.logits) == 3
    assert (one.looks["width"], one.looks["height"], one.looks["bytes"]) == (40, 30, len(content))
    assert 0.3 < one.looks["brightness"] < 0.6
    assert one.looks["sharpness"] > 0
    assert one.seconds > 0


def test_an_observer_that_fails_makes_the_request_fail(told):
    class Full(Told):
        def answered(self, batch):
            raise OSError("the disk is full")

    with client_of(None, [Full()]) as client:
        response = client.post("/predict", content=RED)
        assert response.status_code == 500
        assert response.json()["error"] == "the server failed, and its log says why under this request's id."


def test_observers_are_told_that_there_is_no_more(told):
    with client_of(None, [told]):
        assert not told.closed
    assert told.closed


def test_models_are_asked_for_by_name_and_version():
    other = colours(classes=("x", "y", "z"))
    from fastapi.testclient import TestClient

    from linnaea.delivery.serving.application import make_application

    models = Catalogue(Model(colours()), Model(other, "letters", "7"))
    with TestClient(make_application(models)) as client:
        assert client.post("/predict", content=RED).json()["answers"][0]["label"] == "red"
        named = client.post("/predict?model=letters&version=7", content=RED).json()
        assert (named["model"], named["version"], named["answers"][0]["label"]) == ("letters", "7", "z")
        missing = client.post("/predict?model=numbers", content=RED)
        assert missing.status_code == 404
        assert "expected one of colours, letters" in missing.json()["error"]


def test_the_likeliest_classes_are_as_many_as_asked_for(client):
    assert len(client.post("/predict?top=1", content=RED).json()["answers"][0]["top"]) == 1
    assert len(client.post("/predict?top=9", content=RED).json()["answers"][0]["top"]) == 3
    for given in ("0", "-1", "x", "1e3", "²", "9" * 5000):
        assert client.post(f"/predict?top={given}", content=RED).status_code == 400


def test_what_cannot_be_asked_for_is_named(client):
    response = client.post("/predict?modell=colours", content=RED)
    assert response.status_code == 400
    assert "Did you mean 'model'?" in response.json()["error"]


def test_a_heat_map_comes_where_the_classifier_allows_it():
    with client_of(answering("multiclass"), explain=HeatMaps()) as client:
        response = client.post("/predict?explain=gradcam", content=RED)
        assert response.status_code == 200
        picture = Image.open(io.BytesIO(base64.b64decode(response.json()["answers"][0]["explanation"])))
        assert (picture.format, picture.size) == ("PNG", (288, 288))
        unknown = client.post("/predict?explain=gradcamm", content=RED)
        assert unknown.status_code == 400
        assert "Did you mean 'gradcam'?" in unknown.json()["error"]
        several = client.post("/predict?explain=gradcam", files=[("a", ("a", RED)), ("b", ("b", RED))])
        assert several.status_code == 400
        assert "one image at a time" in several.json()["error"]
        assert client.post("/predict?explain=gradcam", content=b"nonsense").status_code == 422


def test_a_heat_map_is_refused_with_those_that_can():
    with client_of(explain=HeatMaps()) as client:
        response = client.post("/predict?explain=gradcam", content=RED)
    assert response.status_code == 400
    assert "has no layer with a map" in response.json()["error"]
    assert "choose one of " in response.json()["error"]
    told = Told()
    with client_of(None, [told]) as client:
        assert client.post("/predict?explain=gradcam", content=RED).status_code == 400
    assert not told.answers  # what is refused at once is not answered, and not logged as if it were


def test_every_other_way_is_answered_in_json(client):
    for method, path, status in (("GET", "/predict", 405), ("GET", "/nowhere", 404), ("POST", "/nowhere", 404)):
        response = client.request(method, path)
        assert response.status_code == status
        assert set(response.json()) == {"error", "request"}
    assert client.get("/openapi.json").json()["info"]["title"] == "Linnaea"
    assert client.get("/docs").status_code == 404, "its page would fetch from elsewhere"


def test_an_exported_folder_is_served_without_torch(photos, exported):
    folder = exported("multiclass")
    script = f"""
import sys
class Never:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "timm", "torchvision"):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Never())
from fastapi.testclient import TestClient
from linnaea.delivery.serving.application import make_application
from linnaea.delivery.serving.models import Models, Source
from linnaea.experiments.heat_maps import HeatMaps
from linnaea.experiments.serving import Loading
with TestClient(make_application(Models([Loading()(Source.read({str(folder)!r}))]), explain=HeatMaps())) as client:
    content = open({str(photos[0])!r}, "rb").read()
    print(client.post("/predict", content=content).status_code)
    print(client.post("/predict?explain=gradcam", content=content).json()["error"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "200"
    assert "choose one of" in done.stdout or "torch" in done.stdout
