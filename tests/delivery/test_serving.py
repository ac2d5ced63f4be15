"""A server answers what `predict` answers, whatever way images are sent."""

import pytest
from served import Told, client_of, colours, image_file

RED, BLUE = image_file(), image_file((20, 30, 210))


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


def test_a_body_that_is_an_image_is_answered_as_by_predict(client, tmp_path):
    response = client.post("/predict", content=RED)
    assert response.status_code == 200
    assert rows_of(response) == [predicted(tmp_path, RED)]
    told = response.json()
    assert (told["model"], told["version"], told["request"]) == ("colours", "1", response.headers["x-request-id"])
    assert [one["label"] for one in told["answers"][0]["top"]] == ["red", "blue", "green"]
    assert told["answers"][0]["top"][0]["probability"] == told["answers"][0]["confidence"]
