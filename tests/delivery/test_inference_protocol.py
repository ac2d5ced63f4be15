"""The Open Inference Protocol, asked by a client that others wrote, and with what no client should send."""

import base64
import gzip
import json
import struct
import threading
import time
import tracemalloc
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient
from served import colours, image_file

from linnaea.delivery.serving.application import make_application
from linnaea.delivery.serving.connections import listener
from linnaea.delivery.serving.limits import Limits, Refused
from linnaea.delivery.serving.models import Models, Served, Source
from linnaea.delivery.serving.outputs import compressed
from linnaea.delivery.serving.protocol import protocol
from linnaea.delivery.serving.tensors import Tensor

RED, BLUE = image_file(), image_file((20, 30, 210))
GREY = image_file((120, 120, 120), kind="JPEG")
CLASSES = ("blue", "green", "red")


def served(name, version, **changes):
    digest = f"linnaea:sha256-{version * 64}"[:79]
    return Served(name, version, digest, colours(**changes), Path(name), Source(name, name))


def models():
    return Models([served("colours", "a"), served("colours", "b"), served("other", "c", classes=("x", "y", "z"))])


def application(limits=Limits()):
    all_models = models()
    return make_application(all_models, [], limits, [protocol(all_models, limits)])


@pytest.fixture
def client():
    with TestClient(application()) as client:
        yield client


@contextmanager
def running(made):
    """The address of a server with an application, in a thread."""
    with listener("127.0.0.1", 0) as bound:
        server = uvicorn.Server(uvicorn.Config(made, log_config=None, log_level="error", lifespan="on"))
        thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield f"127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def triton():
    import tritonclient.http as http

    with running(application()) as address:
        client = http.InferenceServerClient(address)
        yield http, client
        client.close()


def files_input(http, *files, binary=True):
    given = http.InferInput("image", [len(files)], "BYTES")
    coded = files if binary else [base64.b64encode(each) for each in files]
    return given.set_data_from_numpy(np.array(coded, dtype=np.object_), binary_data=binary)


def expected(*files):
    """What `predict` says, and the probabilities."""
    classifier = colours()
    pixels = np.stack([classifier.recipe.decode(each)[0] for each in files])
    outputs = classifier.score(pixels)
    answers = classifier.answer(outputs, {"id": list(files), "truth": [None] * len(files)}, [None] * len(files))
    return answers, outputs


def require_right(result, *files):
    answers, outputs = expected(*files)
    for name in ("label", "reason"):
        told = [text if isinstance(text, str) else text.decode() for text in result.as_numpy(name)]
        assert told == answers.column(name)
    np.testing.assert_allclose(result.as_numpy("probabilities"), outputs.probabilities, rtol=1e-6)
    np.testing.assert_allclose(result.as_numpy("confidence"), answers.column("confidence"), rtol=1e-6)
    np.testing.assert_allclose(result.as_numpy("ood_score"), outputs.ood_scores, rtol=1e-6)
    sets = [[name for name, held in zip(CLASSES, row, strict=True) if held] for row in result.as_numpy("set")]
    assert [sorted(names) for names in sets] == [sorted(names) for names in answers.column("prediction_set")]


def test_a_real_client_finds_the_server_well_and_its_models(triton):
    _, client = triton
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("colours")
    assert client.is_model_ready("colours", "b")
    assert not client.is_model_ready("colours", "z")
    assert not client.is_model_ready("shapes")
    assert client.get_server_metadata()["name"] == "linnaea"
    told = client.get_model_metadata("colours")
    assert told["versions"] == ["a", "b"]
    assert {one["name"]: (one["datatype"], one["shape"]) for one in told["inputs"]} == {
        "image": ("BYTES", [-1]),
        "pixels": ("UINT8", [-1, 16, 16, 3]),
    }
    assert {one["name"] for one in told["outputs"]} == {
        "label",
        "probabilities",
        "confidence",
        "set",
        "ood_score",
        "reason",
    }
    assert told["parameters"]["classes"] == list(CLASSES)
    assert client.get_model_metadata("colours", "b")["parameters"]["version"] == "b"


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_a_real_client_gets_what_predict_says_of_files(triton, binary, packed):
    http, client = triton
    result = client.infer(
        "colours",
        [files_input(http, RED, BLUE, GREY, binary=binary)],
        request_id="mine",
        request_compression_algorithm=packed,
        response_compression_algorithm=packed,
        outputs=None if binary else [http.InferRequestedOutput(name, binary_data=False) for name in OUTPUTS],
    )
    require_right(result, RED, BLUE, GREY)
    told = result.get_response()
    assert (told["id"], told["model_name"], told["model_version"]) == ("mine", "colours", "a")


OUTPUTS = ("label", "probabilities", "confidence", "set", "ood_score", "reason")


@pytest.mark.parametrize("binary", [True, False])
def test_a_real_client_gets_what_predict_says_of_pixels(triton, binary):
    http, client = triton
    pixels = np.stack([colours().recipe.decode(each)[0] for each in (RED, BLUE)])
    given = http.InferInput("pixels", list(pixels.shape), "UINT8").set_data_from_numpy(pixels, binary_data=binary)
    require_right(client.infer("colours", [given], model_version="b"), RED, BLUE)
    assert client.infer("colours", [given], model_version="b").get_response()["model_version"] == "b"


def test_a_real_client_gets_the_outputs_it_asks_for_and_a_long_answer_packed(triton):
    http, client = triton
    wanted = [http.InferRequestedOutput("label", binary_data=False), http.InferRequestedOutput("set")]
    result = client.infer("colours", [files_input(http, *[RED] * 32)], outputs=wanted)
    assert [one["name"] for one in result.get_response()["outputs"]] == ["label", "set"]
    assert result.as_numpy("label").tolist() == ["red"] * 32
    assert result.as_numpy("confidence") is None
    result = client.infer("colours", [files_input(http, *[RED] * 32)], response_compression_algorithm="gzip")
    require_right(result, *[RED] * 32)


def test_a_real_client_is_told_what_is_wrong(triton):
    http, client = triton
    from tritonclient.utils import InferenceServerException

    with pytest.raises(InferenceServerException, match="there is no model 'shapes': expected one of colours, other"):
        client.infer("shapes", [files_input(http, RED)])
    with pytest.raises(InferenceServerException, match=r"no version 'z': expected a or b"):
        client.infer("colours", [files_input(http, RED)], model_version="z")
    with pytest.raises(InferenceServerException, match="at most 32"):
        client.infer("colours", [files_input(http, *[RED] * 33)])
    with pytest.raises(InferenceServerException, match="a key 'priority'"):
        client.infer("colours", [files_input(http, RED)], priority=1)


def test_an_image_that_cannot_be_read_has_no_label_and_a_reason(triton):
    http, client = triton
    result = client.infer("colours", [files_input(http, RED, b"no image at all")])
    assert result.as_numpy("label").tolist() == [b"red", b""]
    assert result.as_numpy("reason").tolist() == [b"ok", b"unreadable"]
    assert np.isnan(result.as_numpy("probabilities")[1]).all()
    assert np.isnan(result.as_numpy("confidence")[1])
    assert not result.as_numpy("set")[1].any()


def infer(client, content, **options):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client.post("/v2/models/colours/infer", content=body, **options)


def tensor(**changes):
    whole = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(RED).decode()]} | changes
    return {"inputs": [{name: value for name, value in whole.items() if value is not None}]}


def test_what_is_no_number_is_null_in_json(client):
    response = infer(client, tensor(data=[base64.b64encode(b"no image").decode()]))
    assert response.status_code == 200
    outputs = {one["name"]: one for one in response.json()["outputs"]}
    assert outputs["probabilities"] == {
        "name": "probabilities",
        "datatype": "FP32",
        "shape": [1, 3],
        "data": [None, None, None],
    }
    assert outputs["set"]["data"] == [False, False, False]


PIXELS = {"name": "pixels", "datatype": "UINT8", "shape": [1, 16, 16, 3]}
NESTED = np.zeros((1, 16, 16, 3), int).tolist()


def test_pixels_may_be_nested_or_flat(client):
    for data in (NESTED, [0] * 768):
        assert infer(client, tensor(**PIXELS, data=data)).status_code == 200


DEEP = "[" * 100 + "]" * 100


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, "no object"),
        (b"\xff\xfe", 400, "not JSON"),
        (f'{{"inputs": {DEEP}}}'.encode(), 400, "more than 32 levels"),
        (b"[" * 300_000, 400, "levels|not JSON"),
        ({}, 400, "inputs is no list"),
        ({"inputs": []}, 400, "inputs is no list"),
        ({"inputs": [3]}, 400, "inputs is no list"),
        ({"inputs": [{}]}, 400, "has no name"),
        ({**tensor(), "more": 1}, 400, "a key 'more'"),
        ({**tensor(), "id": 3}, 400, "id is '3'"),
        ({**tensor(), "parameters": {"sequence_id": 1}}, 400, "a key 'sequence_id'"),
        ({**tensor(), "parameters": {"binary_data_output": 1}}, 400, "binary_data_output is '1'"),
        ({**tensor(), "outputs": [{"name": "heat"}]}, 400, "no output 'heat'; expected label"),
        ({**tensor(), "outputs": [{"name": "label", "parameters": {"classification": 2}}]}, 400, "'classification'"),
        ({"inputs": tensor()["inputs"] * 2}, 400, "expected one, 'image' or 'pixels'"),
        (tensor(name="photo"), 400, "expected one, 'image' or 'pixels'"),
        (tensor(datatype="FP32"), 400, r"has the type FP32 and the shape \[1\]; expected BYTES"),
        (tensor(shape=[1, 2]), 400, "expected BYTES"),
        (tensor(shape=[2]), 400, "has 1 elements"),
        (tensor(shape=[-1]), 400, "whole numbers above 0"),
        (tensor(shape=[True]), 400, "whole numbers above 0"),
        (tensor(shape="many"), 400, "whole numbers above 0"),
        (tensor(shape=[2**40]), 400, "whole numbers above 0"),
        (tensor(shape=[33], data=["QQ=="] * 33), 413, "at most 32"),
        (tensor(shape=[2**31 - 1]), 413, "at most 32"),
        (tensor(data=None), 400, "needs data, or binary_data_size"),
        (tensor(data=["§"]), 400, "not base64"),
        (tensor(data=[3]), 400, "no text"),
        (tensor(data=[""]), 400, r"is empty \(0 bytes\)"),
        (tensor(data=["http://example.org/cat.png"]), 400, "fetches nothing"),
        (tensor(data=None, parameters={"binary_data_size": 4}), 400, "0 follow the JSON"),
        (tensor(data=None, parameters={"binary_data_size": -4}), 400, "'image' is to have -4 bytes"),
        (tensor(**PIXELS, data=[0] * 767), 400, "holds 767 numbers"),
        (tensor(**PIXELS, data=[*NESTED[0][1:], [[1, 2]]]), 400, "holds 0 numbers"),
        (tensor(**PIXELS, data=[0.5] * 768), 400, "no whole number from 0 to 255"),
        (tensor(**PIXELS, data=[256] * 768), 400, "no whole number from 0 to 255"),
        (tensor(**PIXELS, data=[-1] * 768), 400, "no whole number from 0 to 255"),
        (tensor(**PIXELS, data=[True] * 768), 400, "no whole number from 0 to 255"),
        (tensor(**PIXELS, data=["0"] * 768), 400, "no whole number from 0 to 255"),
        (tensor(**PIXELS, data=["x" * 2**13, *[""] * 767]), 400, "no whole number from 0 to 255"),
        (tensor(**PIXELS, data=[[1, 2], 3]), 400, "holds 0 numbers"),
        (tensor(**PIXELS, data=[10**30] * 768), 400, "no whole number from 0 to 255"),
        (tensor(**PIXELS | {"shape": [1, 8, 8, 3]}, data=[0] * 192), 400, r"expected UINT8, \[N, 16, 16, 3\]"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_the_form_of_the_protocol(client, content, status, told):
    response = infer(client, content)
    assert response.status_code == status, response.text
    import re

    assert re.search(told, response.json()["error"]), response.json()


def binary(blob, size=None, head=None, shape=(1,)):
    """A body of JSON and binary, and its header."""
    facts = tensor(data=None, shape=list(shape), parameters={"binary_data_size": len(blob) if size is None else size})
    text = json.dumps(facts).encode()
    return text + blob, {"inference-header-content-length": str(len(text) if head is None else head)}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (binary(b"\x01\x00"), "ends within the length"),
        (binary(struct.pack("<I", 99) + b"abc"), "an element of 99 bytes, and 3 are left"),
        (binary(struct.pack("<I", 2**32 - 1)), "are left"),
        (binary(b"", size=0), "has 0 elements"),
        (binary(struct.pack("<I", 3) + b"abc", size=3), "4 bytes follow the JSON that belong to no input"),
        (binary(b"abc", head=10**9), "expected how many of the"),
        (binary(b"abc", head="-1"), "expected how many of the"),
        (binary(b"abc", head="٣"), "expected how many of the"),
    ],
)
def test_binary_that_is_not_what_it_says_is_refused(client, given, told):
    body, headers = given
    headers = {name: value.encode() for name, value in headers.items()}
    response = infer(client, body, headers=headers)
    assert response.status_code == 400, response.text
    assert told in response.json()["error"]


def test_a_compressed_body_is_bounded_and_must_be_whole(client):
    whole = json.dumps(tensor()).encode()
    for encoding, body, status, told in [
        ("gzip", gzip.compress(whole)[:-4], 400, "is cut off"),
        ("gzip", gzip.compress(whole) + b"more", 400, "followed by something else"),
        ("gzip", whole, 400, "not what Content-Encoding says"),
        ("br", whole, 415, "expected gzip, deflate or none"),
        ("gzip", gzip.compress(bytes(64 * 2**20)), 413, "when decompressed"),
        ("deflate", zlib.compress(bytes(64 * 2**20)), 413, "when decompressed"),
    ]:
        response = infer(client, body, headers={"content-encoding": encoding})
        assert response.status_code == status, response.text
        assert told in response.json()["error"]


def test_no_header_makes_the_server_fail_or_pack_what_is_not_taken(client):
    content = json.dumps({"inputs": [tensor(data=["QQ=="])]})
    refused = infer(client, content, headers={"Inference-Header-Content-Length": "0" * 5000})
    assert refused.status_code == 400
    assert [compressed(b"a" * 5000, {}, said)[1] for said in ("gzip; q=0", "gzip;q=0.0, br", "identity")] == [{}] * 3
    assert compressed(b"a" * 5000, {}, "deflate;q=0, gzip;q=0.5")[1]["content-encoding"] == "gzip"


def test_one_long_text_among_pixels_costs_no_more_memory_than_it_has_bytes():
    text = Tensor("pixels", "UINT8", (1, 4, 4, 3), ["x" * 10_000, *[""] * 2_000])
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match="2,001 numbers"):
            text.pixels()
        assert tracemalloc.get_traced_memory()[1] < 2**20  # NumPy would make it 80 MB
    finally:
        tracemalloc.stop()


def test_unknown_places_and_methods_are_errors_of_the_same_form(client):
    for response, status in [
        (client.get("/v2/models/shapes"), 404),
        (client.get("/v2/models/colours/versions/z"), 404),
        (client.get("/v2/models/colours/infer"), 405),
        (client.get("/v2/nothing"), 404),
        (client.post("/v2/models/shapes/infer", content=b"{}"), 404),
    ]:
        assert response.status_code == status
        assert isinstance(response.json()["error"], str)


def test_several_labels_are_joined_and_none_is_empty():
    from linnaea.delivery.serving.protocol import _label

    assert _label(["ant", "bee"]) == "ant|bee"
    assert _label([]) == _label(None) == ""
