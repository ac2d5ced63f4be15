"""Who may ask a server and how often: keys, rates, and the headers that go with every answer."""

import json
import re
import time

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from linnaea.delivery.serving.headers import HEADERS
from linnaea.delivery.serving.keys import Keys, make_key, read_keys, revoke_key, secret_in
from linnaea.delivery.serving.layers import surround
from linnaea.delivery.serving.metrics import Metrics
from linnaea.delivery.serving.origins import require_origins
from linnaea.delivery.serving.rates import Rates, client_of, parse_rate
from linnaea.errors import UsageError


def application(**layers):
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request):
        return {"key": getattr(request.state, "key", None), "bytes": len(await request.body())}

    @app.get("/v2/health/live")
    async def live():
        return {}

    return surround(app, metrics=Metrics(), **layers)


def ask(app, **headers):
    return TestClient(app).post("/predict", content=b"picture", headers=headers)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def keys(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture(scope="module")
def one_key(tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    secret = make_key(file, "a").secret
    return Keys(file), secret


def test_a_key_is_shown_once_and_kept_as_a_hash(keys):
    made = make_key(keys, "camera-1")
    assert re.fullmatch(r"linnaea_[\w-]{43}", made.secret)  # 256 bits
    text = keys.read_text()
    assert made.secret not in text
    assert made.secret[8:] not in text
    assert keys.stat().st_mode & 0o077 == 0
    assert Keys(keys).holder_of(made.secret).name == "camera-1"
    assert made.secret not in repr(read_keys(keys))
    other = make_key(keys.with_name("other.json"), "camera-1")
    assert other.secret != made.secret


@settings(max_examples=50, deadline=None)
@given(wrong=st.text(max_size=60))
def test_nothing_but_the_secret_opens(one_key, wrong):
    held, secret = one_key
    for given_ in (wrong, secret + wrong if wrong else "", secret[:-1], secret.swapcase()):
        assert given_ == secret or held.holder_of(given_) is None


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "192.0.2.7", "a.localhost", "here"]
)
def test_a_server_on_this_machine_is_asked_by_its_own_name(host):
    client = TestClient(application(local=True), base_url="http://127.0.0.1:8000")
    assert client.post("/predict", headers={"host": host}).status_code == 200


def test_a_name_that_was_made_to_point_here_is_refused(one_key):
    client = TestClient(application(local=True), base_url="http://127.0.0.1:8000")
    refused = client.post("/predict", headers={"host": "evil.example:8000"})
    assert refused.status_code == 421
    assert "Host is 'evil.example'" in refused.json()["error"]
    assert client.post("/predict", headers={"host": "127.0.0.1.evil.example"}).status_code == 421
    assert client.get("/v2/health/live", headers={"host": "evil.example"}).status_code == 200
    bound_to_all = TestClient(application(), base_url="http://127.0.0.1:8000")
    assert bound_to_all.post("/predict", headers={"host": "photos.example"}).status_code == 200
    held, secret = one_key
    keyed = TestClient(application(keys=held, local=True), base_url="http://127.0.0.1:8000")
    assert keyed.post("/predict", headers={"host": "a.example", "x-api-key": secret}).status_code == 200


def test_every_key_is_compared_whichever_fits(keys, monkeypatch):
    secrets = [make_key(keys, f"k{number}").secret for number in range(5)]
    held, compared = Keys(keys), []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append(a == b) or a == b)
    for secret in (secrets[0], secrets[4], "wrong"):
        compared.clear()
        held.holder_of(secret)
        assert len(compared) == 5


def test_whoever_has_no_key_is_refused_and_whoever_has_one_is_named(keys):
    secret = make_key(keys, "lab").secret
    app = application(keys=Keys(keys))
    refused = ask(app)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert "expected a key of this server" in refused.json()["error"]
    assert ask(app, authorization=f"Bearer {secret}x").status_code == 401
    assert ask(app, authorization=f"Basic {secret}").status_code == 401
    assert ask(app, authorization=f"bearer {secret}").json()["key"] == "lab"
    assert ask(app, **{"x-api-key": secret}).json() == {"key": "lab", "bytes": 7}
    assert ask(app, **{"x-api-key": secret, "authorization": "Bearer other"}).status_code == 401
    assert TestClient(app).get("/v2/health/live").status_code == 200
    for path in ("/page/page.js", "/", "/page/style.css"):  # open, and not there
        assert TestClient(app).get(path).status_code == 404
    for path in ("/metrics", "/page/facts", "/page/../metrics", "/v2", "/page/a/b.js", "/predict"):
        assert TestClient(app).get(path).status_code == 401
    assert TestClient(app).post("/").status_code == 401
    assert ask(application()).json()["key"] is None


def test_a_browser_is_asked_for_the_key_as_a_password_where_it_only_reads(keys):
    secret = make_key(keys, "lab").secret
    client = TestClient(application(keys=Keys(keys)))
    refused = client.get("/v2", headers={"accept": "text/html,*/*"})
    assert (refused.status_code, refused.headers["www-authenticate"][:5]) == (401, "Basic")
    assert client.get("/v2", auth=("anybody", secret)).status_code == 404  # let in, and not there
    assert client.get("/v2", auth=("anybody", "wrong")).status_code == 401
    assert client.get("/v2", headers={"authorization": "Basic no base64"}).status_code == 401
    assert client.post("/predict", auth=("anybody", secret)).status_code == 401


def test_a_key_ends_when_it_expires_or_is_taken_out(keys, monkeypatch):
    monkeypatch.setattr("linnaea.delivery.serving.keys.LOOKED_EVERY", 0.0)
    secret, short = make_key(keys, "lab").secret, make_key(keys, "guest", lasting=60).secret
    app = application(keys=Keys(keys))
    assert ask(app, **{"x-api-key": short}).json()["key"] == "guest"
    later = time.time() + 61
    monkeypatch.setattr("linnaea.delivery.serving.guard.time.time", lambda: later)
    refused = ask(app, **{"x-api-key": short})
    assert refused.status_code == 401
    assert "the key guest expired on 20" in refused.json()["error"]
    assert ask(app, **{"x-api-key": secret}).status_code == 200
    revoke_key(keys, "lab")
    assert ask(app, **{"x-api-key": secret}).status_code == 401


def test_a_file_of_keys_that_breaks_while_serving_changes_nothing_and_is_said(keys, monkeypatch, caplog):
    monkeypatch.setattr("linnaea.delivery.serving.keys.LOOKED_EVERY", 0.0)
    secret = make_key(keys, "lab").secret
    held = Keys(keys)
    keys.write_text("{")
    assert held.holder_of(secret).name == "lab"
    assert "The keys stay what they were" in caplog.text


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"keys": [{"name": "a"}]}', '{"keys": [1]}', '{"keys": []}', '{"keys": 3}']
)
def test_a_file_that_holds_no_keys_is_refused_before_there_is_a_server(content, keys):
    keys.write_text(content)
    with pytest.raises(UsageError, match="make one with `linnaea key NAME --file"):
        Keys(keys)


def test_names_of_keys_are_names_and_differ(keys):
    make_key(keys, "lab")
    with pytest.raises(UsageError, match="has a key lab: take it out first"):
        make_key(keys, "lab")
    with pytest.raises(UsageError, match="has no key 'labs': it has lab"):
        revoke_key(keys, "labs")
    for name in ("", "a b", "a\n", "../a", "x" * 65):
        with pytest.raises(UsageError, match="can be no name of a key"):
            make_key(keys, name)
    content = json.loads(keys.read_text())
    keys.write_text(json.dumps({"keys": content["keys"] * 2}))
    with pytest.raises(UsageError, match="two keys of one name"):
        read_keys(keys)


def test_a_secret_is_taken_from_either_header_and_from_one_alone():
    assert secret_in([(b"Authorization", b"Bearer  abc ")]) == "abc"
    assert secret_in([(b"x-api-key", b"abc"), (b"authorization", b"Bearer abc")]) == "abc"
    assert secret_in([(b"x-api-key", b"abc"), (b"x-api-key", b"abd")]) == ""
    assert secret_in([(b"authorization", b"Bearer"), (b"cookie", b"abc")]) == ""


def test_a_client_has_its_rate_and_its_burst():
    clock = Clock()
    rates = Rates(2.0, 3, clock=clock)
    assert [rates.wait("a") for _ in range(3)] == [0, 0, 0]
    assert rates.wait("a") == pytest.approx(0.5)
    assert rates.wait("b") == 0
    clock.now += 0.49
    assert rates.wait("a") > 0
    clock.now += 0.02
    assert rates.wait("a") == 0
    clock.now += 100
    assert [rates.wait("a") > 0 for _ in range(4)] == [False, False, False, True]


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(st.floats(0, 3), min_size=1, max_size=60), burst=st.integers(1, 5))
def test_no_interval_has_more_requests_than_the_rate_and_the_burst(steps, burst):
    clock, rates, when = Clock(), None, []
    rates = Rates(1.5, burst, clock=clock)
    for step in steps:
        clock.now += step
        while not rates.wait("a"):
            when.append(clock.now)
    for first in range(len(when)):
        for last in range(first, len(when)):
            assert last - first + 1 <= burst + 1.5 * (when[last] - when[first]) + 1e-6
    assert when  # and something is let through


def test_rates_remember_a_bounded_number_of_clients_and_none_whose_bucket_is_full():
    clock = Clock()
    rates = Rates(1.0, 2, most=50, clock=clock)
    for number in range(1000):
        rates.wait(f"c{number}")
    assert len(rates) == 50
    clock.now += 10
    rates.wait("c0")
    assert len(rates) == 1


def test_whoever_comes_too_often_is_told_when_to_come_back(keys):
    secrets = {name: make_key(keys, name).secret for name in ("a", "b")}
    app = application(keys=Keys(keys), rates=Rates(0.1, 2, clock=Clock()))
    statuses = [ask(app, **{"x-api-key": secrets["a"]}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = ask(app, **{"x-api-key": secrets["a"]})
    assert refused.headers["retry-after"] == "10"
    assert "too many requests: try again in" in refused.json()["error"]
    assert ask(app, **{"x-api-key": secrets["b"]}).status_code == 200
    by_address = application(rates=Rates(0.1, 1, clock=Clock()))
    assert [ask(by_address).status_code for _ in range(2)] == [200, 429]


def test_an_address_is_that_of_a_subscriber():
    assert client_of("192.0.2.7") == "192.0.2.7"
    assert client_of("2001:db8:1:2:3:4:5:6") == client_of("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert client_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert client_of("testclient") == "testclient"


def test_rates_are_read_as_people_write_them():
    assert parse_rate("10/s") == (10.0, 10)
    assert parse_rate("600/m") == (10.0, 100)
    assert parse_rate("600/m,20") == (10.0, 20)
    for wrong in ("10", "0/s", "-1/s", "10/day", "1.5/s", "5/s,0", "nan/s"):
        with pytest.raises(UsageError, match=r"the rate is .*; expected something like 10/s"):
            parse_rate(wrong)


def test_every_answer_has_the_headers_that_browsers_keep_to():
    for answer in (ask(application()), TestClient(application()).get("/none")):
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert "access-control-allow-origin" not in answer.headers
    assert not re.search(r"unsafe|\*|https?:", HEADERS["content-security-policy"])


def test_a_route_may_say_a_header_itself():
    app = FastAPI()

    @app.get("/own")
    async def own():
        from fastapi import Response

        return Response(headers={"content-security-policy": "default-src 'self'"})

    answer = TestClient(surround(app, metrics=Metrics())).get("/own")
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert answer.headers["x-frame-options"] == "DENY"


def test_pages_of_named_origins_may_ask_and_no_others(keys):
    secret = make_key(keys, "lab").secret
    client = TestClient(application(keys=Keys(keys), origins=["https://photos.example"]))
    asking = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    allowed = client.options("/predict", headers={"origin": "https://photos.example", **asking})
    assert allowed.headers["access-control-allow-origin"] == "https://photos.example"
    assert client.options("/predict", headers={"origin": "https://photos.example.evil", **asking}).status_code == 400
    answer = client.post("/predict", headers={"origin": "https://other.example", "x-api-key": secret})
    assert "access-control-allow-origin" not in answer.headers
    answer = client.post("/predict", headers={"origin": "https://photos.example"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, "https://photos.example")


def test_origins_are_exact():
    require_origins("cors", ["https://photos.example", "http://localhost:3000", "http://[::1]:8080"])
    for wrong in ("*", "photos.example", "https://photos.example/", "https://*.example", "null", 3, "https://a.b/c"):
        with pytest.raises(UsageError, match="expected exact origins"):
            require_origins("cors", [wrong])
