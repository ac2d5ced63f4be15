"""Whatever is sent, the server says no in plain words: it never fails and never hangs."""

import contextlib
import io
import json
import socket

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from served import FAST, client_of, image_file, request, running

from linnaea.delivery.serving.limits import Limits, Refused
from linnaea.delivery.serving.multipart import files_in
from linnaea.delivery.serving.reading import format_of, images_in, json_in, name_of

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
BOUNDARY = "multipart/form-data; boundary=b"
LIMITS = Limits(max_images=4, json_depth=5)
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
FILES = {kind: image_file(size=(40, 30), kind=kind, noise=20) for kind in KINDS}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=30,
)


def outcome(read, *given):
    """What comes of it, or how it is refused; anything else that is raised fails the test."""
    try:
        return read(*given)
    except Refused as refused:
        return refused


def depth(value):
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@QUICK
@given(st.binary(max_size=200), st.sampled_from(["application/json", BOUNDARY, "multipart/form-data", "", "a;b=c;;"]))
def test_any_bytes_are_images_or_refused(body, kind):
    found = outcome(images_in, body, {"content-type": kind}, LIMITS)
    if isinstance(found, Refused):
        assert found.status in (400, 413)
        assert found.message.endswith(".")
    else:
        assert all(image.content for image in found)
        assert len(found) <= 4


@QUICK
@given(values)
def test_json_is_read_as_it_is_meant_up_to_its_depth(value):
    text = json.dumps(value).encode()
    if depth(value) <= 5:
        assert json_in(text, LIMITS) == value
    else:
        with pytest.raises(Refused, match="--json-depth"):
            json_in(text, LIMITS)


@QUICK
@given(st.binary(max_size=60), st.binary(max_size=60))
@example(b'{"a":', b"1}")
def test_json_that_is_cut_or_spoiled_is_refused_or_read(before, after):
    found = outcome(json_in, b'{"images": ["' + before + b'", {"a": [' + after + b"]}]}", LIMITS)
    assert not isinstance(found, Refused) or found.status == 400


@QUICK
@given(st.lists(st.tuples(st.text(max_size=20), st.binary(min_size=1, max_size=80)), min_size=1, max_size=4))
def test_the_files_of_a_form_come_out_as_they_went_in(files):
    body = b"".join(
        b"--b\r\nContent-Disposition: form-data; name=a; filename=" + quoted(name) + b"\r\n\r\n" + content + b"\r\n"
        for name, content in files
    )
    if any(b"\r\n--b" in b"\r\n" + content + b"\r\n" for _, content in files):
        return
    found = files_in(body + b"--b--\r\n", BOUNDARY, LIMITS)
    assert [content for _, content in found] == [content for _, content in files]
    assert all(name_of(name, 0).isprintable() for name, _ in found)


def quoted(name):
    return b'"' + "".join(letter for letter in name if letter.isalnum() or letter in " ._-<>&").encode() + b'"'


@QUICK
@given(st.data())
def test_a_form_cut_anywhere_is_refused(data):
    whole = b'--b\r\nContent-Disposition: form-data; name="a"; filename="a.png"\r\n\r\n' + FILES["PNG"] + b"\r\n--b--"
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(Refused):
        images_in(whole[:cut], {"content-type": BOUNDARY}, LIMITS)


@pytest.fixture(scope="module")
def client():
    with client_of(limits=FAST) as client:
        yield client


@pytest.mark.parametrize("kind", KINDS)
@settings(QUICK, max_examples=40)
@given(data=st.data())
def test_fuzzed_images_are_answered_or_refused(client, kind, data):
    content = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(1, len(content)))]
    response = client.post("/predict", content=bytes(content))
    assert response.status_code in (200, 422), response.text
    assert client.app.state.answering.waiting == 0


def test_every_format_that_is_read_is_known_by_its_content():
    assert {kind: format_of(content) for kind, content in FILES.items()} == {kind: kind for kind in KINDS}
    assert format_of(b"%PDF-1.7") is None
    assert format_of(b"") is None


def test_a_small_file_of_many_pixels_is_refused_by_its_header(client):
    written = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(written, "PNG")
    response = client.post("/predict", content=written.getvalue())
    assert response.status_code == 422
    assert "over the limit of 50,000,000" in response.json()["error"]


@settings(QUICK, max_examples=60)
@given(st.lists(st.binary(max_size=40), max_size=4))
@example([b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"])
@example([b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\nhello"])
@example([b"GET /%00%ff/../predict?\xff HTTP/1.1\r\nHost: a\r\n\r\n"])
@example([b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"])
@example([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_any_bytes_on_a_connection_are_answered_or_closed(server, parts):
    with server.connect() as connection, contextlib.suppress(OSError):  # it may have been closed already
        for part in parts:
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    assert server.say(request(FILES["PNG"])).status == 200


@pytest.fixture(scope="module")
def server():
    with running(limits=Limits(batch=1, header_time=1.0, body_time=1.0)) as server:
        yield server
