"""Who may tell a server to reload, and what they are told."""

from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from test_inference_protocol import models

from linnaea.delivery.serving.admin import administration
from linnaea.delivery.serving.application import make_application
from linnaea.delivery.serving.checking import Demands, NotSwitchedError
from linnaea.delivery.serving.models import UnknownModelError
from linnaea.delivery.serving.reloading import Reloaded

HERE, ELSEWHERE = ("127.0.0.1", 5000), ("203.0.113.7", 5000)


class Control:
    """Says whether it was begun and ended."""

    def __init__(self):
        self.said = []

    def begin(self, application):
        self.said.append("begun")

    def end(self):
        self.said.append("ended")


class WithKey:
    """What asks has the key of this name."""

    def __init__(self, app, key):
        self.app, self.key = app, key

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            scope.setdefault("state", {})["key"] = self.key
        await self.app(scope, receive, send)


@contextmanager
def client_from(address, *, key=None, reload=None, control=None, admins=("ops",)):
    asked = []

    def reloaded(name=None, demands=None):
        asked.append((name, demands))
        return [Reloaded("colours", "a", "b", "All is well.")]

    router = administration(reload or reloaded, control or Control(), Demands(), admins)
    application = WithKey(make_application(models(), [], more=[router]), key)
    with TestClient(application, client=address) as client:
        client.asked = asked
        yield client


@pytest.mark.parametrize("address", [HERE, ("::1", 5000), ("127.8.8.8", 5000)])
def test_a_program_on_this_machine_may_reload(address):
    with client_from(address) as client:
        told = client.post("/admin/reload")
        assert told.status_code == 200
        (row,) = told.json()["reloaded"]
        assert (row["model"], row["before"], row["after"], row["switched"]) == ("colours", "a", "b", True)
        assert client.asked == [(None, Demands())]


@pytest.mark.parametrize("header", ["origin", "forwarded", "x-forwarded-for", "x-real-ip"])
def test_a_page_in_a_browser_and_a_proxy_may_not(header):
    with client_from(HERE) as client:
        assert client.post("/admin/reload", headers={header: "http://127.0.0.1"}).status_code == 403
        assert not client.asked


def test_from_elsewhere_only_a_key_that_is_named_may():
    for key, status in ((None, 403), ("anna", 403), ("ops", 200)):
        with client_from(ELSEWHERE, key=key) as client:
            assert client.post("/admin/reload").status_code == status
            assert bool(client.asked) == (status == 200)
    with client_from(ELSEWHERE, key="", admins=()) as client:
        assert client.post("/admin/reload").status_code == 403
    with client_from(("testclient", 1)) as client:
        assert client.post("/admin/reload").status_code == 403


def test_what_is_asked_for_is_passed_on_and_what_is_not_understood_refused():
    with client_from(HERE) as client:
        assert client.post("/admin/reload?model=colours&other_classes=true&agreement=0").status_code == 200
        assert client.asked == [("colours", Demands(other_classes=True, agreement=0.0))]
        for query in ("modle=colours", "agreement=2", "agreement=many", "agreement=nan", "other_classes=1"):
            assert client.post(f"/admin/reload?{query}").status_code == 400
        assert client.get("/admin/reload").status_code == 405
        assert len(client.asked) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotSwitchedError("colours: it is damaged."), 409), (UnknownModelError("no such one."), 404)],
)
def test_what_was_refused_is_told_with_the_reason(error, status):
    def reload(name=None, demands=None):
        raise error

    with client_from(HERE, reload=reload) as client:
        told = client.post("/admin/reload")
        assert told.status_code == status
        assert str(error) in told.json()["error"]


def test_what_reloads_is_begun_and_ended_with_the_application():
    control = Control()
    with client_from(HERE, control=control):
        assert control.said == ["begun"]
    assert control.said == ["begun", "ended"]
