"""Everything has its limit, and what is beyond is told what was given, what was expected, and how to mend it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fastapi import APIRouter, Response
from served import FAST, ColourScorer, Told, client_of, colours, heard, image_file, request, running

import linnaea
from linnaea.delivery.serving import connections
from linnaea.delivery.serving.limits import Limits
from linnaea.errors import UsageError
from linnaea.options import Serving

RED = image_file()
ONE = request(RED)


def test_every_limit_is_an_option_with_the_same_default():
    assert Limits(**Serving().named()) == Limits()
    assert all(value in (None, ()) or value > 0 for value in Serving().named().values())


def test_every_limit_stands_in_the_guide_with_its_default():
    guide = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    for name, value in Serving().named().items():
        row = re.search(rf"^\| `--{name.replace('_', '-')}` \| ([^|]+) \|", guide, re.MULTILINE)
        assert row, name
        assert row[1] == {None: "as many as cores", (): "all of `predict`"}.get(value, str(value)), name


def test_formats_are_those_that_are_allowed():
    with client_of(limits=Limits(batch=1, formats=["JPEG", "WEBP"])) as client:
        assert client.post("/predict", content=image_file(kind="JPEG")).status_code == 200
        response = client.post("/predict", content=RED, headers={"content-type": "image/jpeg"})
    assert response.status_code == 422
    assert "PNG is none of the formats that are read here (JPEG, WEBP)" in response.json()["error"]
    with pytest.raises(UsageError, match="formats is 'HEIC'; expected one of JPEG, PNG"):
        Serving(formats=["JPEG", "HEIC"])


@pytest.mark.parametrize(("name", "value"), [("max_body", 0), ("header_time", 0), ("batch", 0), ("json_depth", 9999)])
def test_a_limit_that_is_none_is_refused(name, value):
    with pytest.raises(UsageError, match=f"{name} is {value}"):
        Serving(**{name: value})


def test_a_body_that_is_too_long_is_refused_before_it_is_read():
    with running(limits=Limits(max_body=1000, batch=1)) as server:
        answer = server.say(b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: 100000000\r\n\r\n")
    assert answer.status == 413
    assert answer.error == "the body is longer than 1,000 bytes (--max-body): send smaller images, or fewer at a time."
    assert answer.headers["connection"] == "close"


def test_a_client_that_asks_first_is_told_to_send_or_not_to():
    with running(limits=Limits(max_body=5000, batch=1)) as server:
        with server.connect() as connection:
            connection.sendall(request(RED, "Expect: 100-continue")[: -len(RED)])
            assert connection.recv(4096).startswith(b"HTTP/1.1 100")
            connection.sendall(RED)
            assert heard(connection).status == 200
        assert server.say(request(bytes(9000), "Expect: 100-continue")[:-9000]).status == 413


def test_a_body_that_does_not_say_how_long_it_is_is_counted():
    chunk = b"3e8\r\n" + bytes(1000) + b"\r\n"
    head = b"POST /predict HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    with running(limits=Limits(max_body=1500, batch=1)) as server:
        assert server.say(head, chunk, chunk, b"0\r\n\r\n").status == 413
        assert server.say(head, chunk, b"0\r\n\r\n").status == 422


@pytest.mark.parametrize("length", ["-1", "ten", "1e3", "9" * 30, "²"])
def test_a_length_that_is_no_number_is_refused(length):
    with client_of() as client:
        response = client.post("/predict", content=RED, headers={"content-length": length.encode()})
    assert response.status_code in (400, 413)
    assert response.json()["error"]


def test_a_header_that_does_not_arrive_ends_the_connection():
    with running(limits=Limits(header_time=0.3, batch=1)) as server:
        begun = time.monotonic()
        silent, slow = server.connect(), server.connect()
        with silent, slow:
            slow.sendall(b"POST /predict HT")
            for byte in b"TP/1.1\r\n":
                time.sleep(0.02)
                slow.sendall(bytes([byte]))
            for connection in (silent, slow):
                answer = heard(connection)
                assert answer.status == 408
                assert "the header did not arrive within 0.3 seconds (--header-time)" in answer.error
                assert connection.recv(1) == b""
        assert time.monotonic() - begun > 0.25
        assert server.say(ONE).status == 200


def test_the_next_header_of_a_connection_has_its_time_too():
    with running(limits=Limits(header_time=0.3, idle_time=20, batch=1)) as server, server.connect() as connection:
        connection.sendall(ONE)
        assert heard(connection).status == 200
        time.sleep(0.4)  # idle, which is another limit
        connection.sendall(b"POST /pre")
        assert heard(connection).status == 408


def test_a_body_that_does_not_arrive_is_given_up():
    with running(limits=Limits(body_time=0.3, batch=1)) as server, server.connect() as connection:
        connection.sendall(ONE[:-20])
        answer = heard(connection)
        assert answer.status == 408
        assert "the body did not arrive within 0.3 seconds (--body-time)" in answer.error
        assert connection.recv(1) == b""


def test_an_idle_connection_is_closed():
    with running(limits=Limits(idle_time=0.2, batch=1)) as server, server.connect() as connection:
        connection.sendall(ONE)
        assert heard(connection).status == 200
        assert connection.recv(1) == b""


def test_a_client_that_takes_no_answer_does_not_keep_its_connection(monkeypatch):
    monkeypatch.setattr(connections, "TAKING", 0.3)
    router = APIRouter()
    router.add_api_route("/large", lambda: Response(bytes(16 * 2**20)))
    with running(more=[router]) as server, server.connect() as connection:
        connection.sendall(request(b"", path="/large", method="GET"))
        assert connection.recv(4) == b"HTTP"
        until = time.monotonic() + 10
        while server.server.server_state.connections and time.monotonic() < until:
            time.sleep(0.02)
        assert not server.server.server_state.connections
        assert server.say(request(image_file())).status == 200


def test_connections_beyond_the_limit_are_refused_and_others_go_on():
    with running(limits=Limits(max_connections=2, batch=1)) as server:
        with server.connect() as first, server.connect() as second:
            for connection in (first, second):
                connection.sendall(ONE)
                assert heard(connection).status == 200
            with server.connect() as third:
                answer = heard(third)
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
            assert "--max-connections" in answer.error
            first.sendall(ONE)
            assert heard(first).status == 200
        until(lambda: not server.server.server_state.connections)
        assert server.say(ONE).status == 200


def test_requests_beyond_the_limit_are_refused_but_the_server_says_that_it_is_well():
    scorer = ColourScorer()
    with running(colours(scorer), limits=Limits(max_requests=1, batch=1)) as server, server.connect() as first:
        scorer.go.clear()
        first.sendall(ONE)
        until(lambda: server.answering.waiting == 1)
        refused = server.say(ONE)
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert "--max-requests" in refused.error
        assert server.say(request(b"", path="/openapi.json", method="GET")).status == 200
        scorer.go.set()
        assert heard(first).status == 200


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ([request(RED, f"X-Long: {'x' * 3000}")], 431),
        ([b"POST /predict HTTP/1.1\r\nX-Long: ", *[b"x" * 900] * 4], 400),
        ([request(RED, path=f"/predict?model={'x' * 3000}")], 431),
        ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"], 400),
        ([b"GET\r\n\r\n"], 400),
        ([b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: x\r\n\r\n"], 400),
        ([b"POST /predict HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"], 400),
    ],
)
def test_a_header_that_is_too_long_and_what_is_no_http_are_answered_in_json(said, status):
    with running(limits=Limits(max_header=2000, batch=1)) as server:
        answer = server.say(*said)
        assert answer.status == status
        assert "--max-header" in answer.error
        assert server.say(ONE).status == 200


def test_more_images_than_a_request_may_have_are_refused():
    with client_of(limits=Limits(max_images=2, batch=2)) as client:
        form = client.post("/predict", files=[("a", (str(n), RED)) for n in range(3)])
        plain = client.post("/predict", json={"images": ["", "", ""]})
    assert form.status_code == plain.status_code == 413
    assert "--max-images" in form.json()["error"]
    assert "--max-images" in plain.json()["error"]


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        ("application/json", b"{", "not JSON"),
        ("application/json", b"\xff\xfe{", "not JSON"),
        ("application/json", b'{"images": NaN}', "NaN is no number"),
        ("application/json", b"[]", "no list of images"),
        ("application/json", b'{"images": [], "model": "x"}', "a key 'model'"),
        ("application/json", b'{"images": []}', "no image"),
        ("application/json", b'{"images": [7]}', "images[0] is no text"),
        ("application/json", b'{"images": ["!"]}', "images[0] is not base64"),
        ("application/json", b'{"images": [""]}', "is empty"),
        ("application/json", b'{"images": ["http://127.0.0.1/a.jpg"]}', "fetches nothing"),
        ("application/json", b'{"images": ["file:///etc/passwd"]}', "fetches nothing"),
        ("application/json", b'{"images": [' + b"[" * 40 + b"]" * 40 + b"]}", "--json-depth"),
        ("application/json", b"[" * 100_000 + b"]" * 100_000, "--json-depth"),
        ("application/json", b"[" + b"[]," * 500_000 + b"1]", "lists and objects"),
        ("multipart/form-data", b"", "no boundary"),
        ("multipart/form-data; boundary=b", b"--b\r\n", "the form is cut off"),
        ("multipart/form-data; boundary=b", b"nonsense", "the form cannot be read"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="url"\r\n\r\nhttp://x\r\n--b--\r\n',
            "a field 'url' that is no file",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nhalf an im',
            "the form is cut off",
        ),
        ("image/jpeg", b"", "is empty (0 bytes)"),
    ],
)
def test_a_body_that_is_none_is_told_what_was_expected(kind, body, told):
    with client_of(limits=FAST) as client:
        response = client.post("/predict", content=body, headers={"content-type": kind})
    assert response.status_code in (400, 413)
    assert told in response.json()["error"]


def test_a_body_that_is_compressed_is_refused():
    with client_of(limits=FAST) as client:
        response = client.post("/predict", content=RED, headers={"content-encoding": "gzip"})
    assert response.status_code == 415


def test_a_jpeg_made_to_keep_a_decoder_busy_is_refused():
    content = image_file(size=(64, 64), kind="JPEG", noise=40, progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]
    many = content[:-2] + scan * 200 + content[-2:]
    with client_of(limits=FAST) as client:
        assert client.post("/predict", content=content).status_code == 200
        response = client.post("/predict", content=many)
    assert response.status_code == 422
    assert "more than 100 scans" in response.json()["error"]


def test_a_client_that_leaves_has_its_work_dropped():
    scorer, told = ColourScorer(), Told()
    with running(colours(scorer), [told], limits=Limits(batch=1)) as server:
        scorer.go.clear()
        with server.connect() as stays:
            stays.sendall(ONE)
            until(lambda: server.answering.waiting == 1)
            leaving = [server.connect() for _ in range(5)]
            for connection in leaving:
                connection.sendall(ONE)
            until(lambda: server.answering.waiting == 6)
            for connection in leaving:
                connection.close()
            until(lambda: len(server.server.server_state.tasks) == 1)
            scorer.go.set()
            assert heard(stays).status == 200
            until(lambda: server.answering.waiting == 0)
    assert len(told.answers) == 1
    assert len(scorer.batches_seen) == 2, "one to get warm, one for the client that stayed"


def test_what_was_accepted_is_answered_when_the_server_is_told_to_end():
    scorer = ColourScorer()
    with running(colours(scorer), limits=FAST) as server:
        scorer.go.clear()
        busy = [server.connect() for _ in range(3)]
        idle = server.connect()
        idle.sendall(ONE[:-5])
        idle.sendall(ONE[-5:])
        for connection in busy:
            connection.sendall(ONE)
        until(lambda: server.answering.waiting == 4)
        server.server.should_exit = True
        until(lambda: refused(server.address))
        scorer.go.set()
        for connection in (*busy, idle):
            answer = heard(connection)
            assert answer.status == 200
            assert answer.headers["connection"] == "close"
            connection.close()
        server.thread.join(20)
        assert not server.thread.is_alive()


def test_a_request_on_its_way_is_answered_when_the_server_ends():
    with running(limits=FAST) as server, server.connect() as connection:
        connection.sendall(ONE)
        assert heard(connection).status == 200
        server.server.should_exit = True
        until(lambda: refused(server.address))
        connection.sendall(ONE)
        answer = heard(connection)
        assert answer.status == 200
        assert answer.headers["connection"] == "close"


def test_a_port_in_use_is_refused_before_anything_is_loaded(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port} cannot be listened on .*--port"):
            linnaea.serve(tmp_path / "nothing", port=port)
    with pytest.raises(UsageError, match="cannot be listened on"):
        linnaea.serve(tmp_path, host="no.such.host.invalid")
    with pytest.raises(UsageError, match="port is 70000; expected a number from 0 to 65535"):
        linnaea.serve(tmp_path, port=70_000)


def test_the_command_answers_until_sigterm_and_ends_with_success(tmp_path):
    folder = saved(tmp_path / "model")
    command = [sys.executable, "-m", "linnaea", "serve", f"stripes={folder}", "--port", "0", "--batch", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        late = threading.Timer(60, process.kill)  # its lines end then
        late.start()
        try:
            said = (json.loads(line)["message"] for line in process.stderr)
            address = next(message.split()[1] for message in said if message.startswith("Ready: "))
            host, port = address.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), 20) as connection:
                connection.sendall(ONE)
                answer = heard(connection)
                assert answer.status == 200
                assert json.loads(answer.body)["model"] == "stripes"
                os.kill(process.pid, signal.SIGTERM)
            assert process.wait(30) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            late.cancel()
            process.kill()


def saved(folder):
    from linnaea.classifier import Classifier
    from linnaea.classifier.scorers.torch_model import TorchScorer
    from linnaea.data.images.pixels import Recipe
    from linnaea.models import build

    scorer = TorchScorer(build("majority", {"classes": 2}))
    return Classifier(scorer, ("lying", "standing"), "binary", Recipe(16)).save(folder)


def refused(address):
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return True
    return False


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)
