"""The Open Inference Protocol, version 2, over REST: what KServe, Triton and MLServer speak, and their clients.

https://github.com/kserve/open-inference-protocol, with Triton's extension for binary tensors and compressed bodies.
"""

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version as version_of
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from linnaea.delivery.serving.answering import Answering, Asked
from linnaea.delivery.serving.application import JSON, chosen, left
from linnaea.delivery.serving.canary import client_of
from linnaea.delivery.serving.contract import ServedModel
from linnaea.delivery.serving.doorway import in_json, request_id
from linnaea.delivery.serving.limits import Limits, Refused
from linnaea.delivery.serving.models import Models, UnknownModelError
from linnaea.delivery.serving.outputs import Output, compressed, written
from linnaea.delivery.serving.reading import Given, body_of, require_count
from linnaea.delivery.serving.tensors import BOOL, BYTES, FP32, UINT8, Inference, Tensor, read_inference

FILE, PIXELS = "image", "pixels"
SEVERAL = "|"  # between the labels of an image that has several, as in tables
OUTPUTS = {"label": BYTES, "probabilities": FP32, "confidence": FP32, "set": BOOL, "ood_score": FP32, "reason": BYTES}
OF_EACH_CLASS = ("probabilities", "set")
EXTENSIONS = ("binary_tensor_data",)
MODEL = "/v2/models/{name}"
VERSION = MODEL + "/versions/{version}"


def protocol(models: Models, limits: Limits) -> APIRouter:
    """The routes of the protocol; images are answered by what the application they are in answers by."""
    router = APIRouter()

    @router.get("/v2", summary="What this server is (Open Inference Protocol).")
    async def server() -> Response:
        return said({"name": "linnaea", "version": version_of("linnaea"), "extensions": list(EXTENSIONS)})

    @router.get("/v2/health/live", summary="Whether the server lives.")
    async def live() -> Response:
        return said({"live": True})

    @router.get("/v2/health/ready", summary="Whether it can answer: its models are loaded and warm.")
    async def ready() -> Response:
        return said({"ready": True})

    @router.get(f"{VERSION}/ready", summary="Whether a version of a model can answer.")
    @router.get(f"{MODEL}/ready", summary="Whether a model can answer.")
    async def model_ready(name: str, version: str | None = None) -> Response:
        served = found(models, name, version)
        return said({"name": served.name, "version": served.version, "ready": True})

    @router.get(VERSION, summary="What a version of a model takes and gives.")
    @router.get(MODEL, summary="What a model takes and gives, and its versions.")
    async def metadata(name: str, version: str | None = None) -> Response:
        served = found(models, name, version)
        return said(described(served, models.versions(served.name)))

    @router.post(f"{VERSION}/infer", summary="Answer for images by a version of a model.")
    @router.post(f"{MODEL}/infer", summary="Answer for images.")
    async def infer(request: Request, name: str, version: str | None = None) -> Response:
        answering: Answering = request.app.state.answering
        asked = _asked(request, models, name, version)
        body = await body_of(request.receive, limits)
        wanted, images = await answering.decoded(lambda: _read(body, request.headers, asked.served, limits))
        rows = await answering.answers(images, asked, lambda: left(request.receive))
        return await answering.decoded(lambda: _told(rows, asked, wanted, request.headers.get("accept-encoding", "")))

    return router


def _asked(request: Request, models: Models, name: str, version: str | None) -> Asked:
    """What answers the request, which is told of every class; raises Refused where nothing is served so."""
    key, identity = request.scope["state"].get("key"), request_id(request.scope)
    served = chosen(models, client_of(key, request.headers, identity), name, version)
    return Asked(served, identity, key, top=len(served.classifier.classes))


def said(content: Mapping[str, Any]) -> Response:
    """As JSON."""
    return Response(in_json(content), media_type=JSON)


def found(models: Models, name: str, version: str | None) -> ServedModel:
    """What is served under a name and a version; raises Refused where nothing is."""
    try:
        return models.find(name, version)
    except UnknownModelError as error:
        raise Refused(404, str(error)) from None


def described(served: ServedModel, versions: Sequence[str]) -> dict[str, Any]:
    """The metadata of a model: one of its two inputs is to be given."""
    classifier = served.classifier
    count = len(classifier.classes)
    return {
        "name": served.name,
        "versions": list(versions),
        "platform": f"linnaea_{classifier.scorer.kind}",
        "inputs": [
            {"name": FILE, "datatype": BYTES, "shape": [-1]},
            {"name": PIXELS, "datatype": UINT8, "shape": [-1, *classifier.recipe.shape]},
        ],
        "outputs": [
            {"name": name, "datatype": kind, "shape": [-1, count] if name in OF_EACH_CLASS else [-1]}
            for name, kind in OUTPUTS.items()
        ],
        "parameters": {
            "inputs": f"{FILE}: image files, in JSON as base64; or {PIXELS}: decoded and resized as in training",
            "task": classifier.task,
            "classes": list(classifier.classes),
            "version": served.version,
            "digest": served.digest,
        },
    }


def _read(
    body: bytes, headers: Mapping[str, str], served: ServedModel, limits: Limits
) -> tuple[Inference, list[Given]]:
    """What is asked, and the images in it; raises Refused."""
    wanted = read_inference(body, headers, limits)
    for name in wanted.outputs or ():
        if name not in OUTPUTS:
            raise Refused(400, f"there is no output {name!r}; expected {', '.join(OUTPUTS)}.")
    if len(wanted.inputs) != 1 or wanted.inputs[0].name not in (FILE, PIXELS):
        given = ", ".join(repr(one.name) for one in wanted.inputs)
        raise Refused(400, f"the inputs are {given}; expected one, {FILE!r} or {PIXELS!r}.")
    (tensor,) = wanted.inputs
    return wanted, _files(tensor, limits) if tensor.name == FILE else _pixels(tensor, served, limits)


def _files(tensor: Tensor, limits: Limits) -> list[Given]:
    if tensor.datatype != BYTES or math.prod(tensor.shape[1:]) != 1:
        raise Refused(
            400, f"{FILE!r} has the type {tensor.datatype} and the shape {list(tensor.shape)}; expected {BYTES}, [N]."
        )
    require_count(tensor.shape[0], limits)
    files = tensor.files()
    if empty := next((place for place, content in enumerate(files) if not content), -1) + 1:
        raise Refused(400, f"element {empty - 1} of {FILE!r} is empty (0 bytes): send the bytes of an image file.")
    return [Given(str(place), content) for place, content in enumerate(files)]


def _pixels(tensor: Tensor, served: ServedModel, limits: Limits) -> list[Given]:
    expected = served.classifier.recipe.shape
    if tensor.datatype != UINT8 or tensor.shape[1:] != expected:
        raise Refused(
            400,
            f"{PIXELS!r} has the type {tensor.datatype[:40]} and the shape {list(tensor.shape)}; expected {UINT8}, "
            f"[N, {', '.join(map(str, expected))}].",
        )
    require_count(tensor.shape[0], limits)
    return [Given(str(place), pixels=pixels) for place, pixels in enumerate(tensor.pixels())]


def _told(rows: Sequence[Mapping[str, Any]], asked: Asked, wanted: Inference, accepted: str) -> Response:
    """The response."""
    facts = {
        "model_name": asked.served.name,
        "model_version": asked.served.version,
        "parameters": {"request": asked.request},
    }
    body, headers = compressed(*written(facts, _outputs(rows, asked.served.classifier.classes), wanted), accepted)
    return Response(body, headers=headers)


def _outputs(rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> list[Output]:
    """The answers as tensors: no label, no probabilities and an empty set where an image could not be answered."""
    place = {name: number for number, name in enumerate(classes)}
    probabilities = np.full((len(rows), len(classes)), np.nan, dtype=np.float32)
    sets = np.zeros((len(rows), len(classes)), dtype=bool)
    for number, row in enumerate(rows):
        for likely in row["top"]:
            probabilities[number, place[likely["label"]]] = likely["probability"]
        sets[number, [place[name] for name in row["prediction_set"] or () if name in place]] = True
    values: dict[str, Any] = {
        "label": [_label(row["label"]) for row in rows],
        "probabilities": probabilities,
        "confidence": _numbers(rows, "confidence"),
        "set": sets,
        "ood_score": _numbers(rows, "ood_score"),
        "reason": [row["reason"] for row in rows],
    }
    return [Output(name, kind, values[name]) for name, kind in OUTPUTS.items()]


def _label(label: Any) -> str:
    return SEVERAL.join(label) if isinstance(label, list | tuple) else label or ""


def _numbers(rows: Sequence[Mapping[str, Any]], name: str) -> Any:
    return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=np.float32)
