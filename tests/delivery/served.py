"""A server in a test: classifiers made of numpy, and the application around them."""

import contextlib
import http.client
import io
import json
import socket
import time
from dataclasses import dataclass
from threading import Event, Thread

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.contract import Scorer
from linnaea.data.images.pixels import Recipe
from linnaea.decisions import Outputs, Policy
from linnaea.delivery.serving.application import make_application
from linnaea.delivery.serving.connections import listener, server_of
from linnaea.delivery.serving.limits import Limits
from linnaea.errors import LinnaeaError

FAST = Limits(batch=4)
COLOURS = ("blue", "green", "red")


class ColourScorer(Scorer):
    """Which colour an image has most of, in numpy; `seconds` for each batch, which wait for `go`."""

    kind = "colours"
    whole = True

    def __init__(self, seconds=0.0):
        self.seconds, self.batches_seen, self.go = seconds, [], Event()
        self.go.set()

    @property
    def arguments(self):
        return {"ood_score": "contrast"}

    def outputs(self, images):
        self.go.wait(20)
        self.batches_seen.append(len(images))
        if self.seconds:
            time.sleep(self.seconds)
        means = images.astype(np.float64).mean(axis=(1, 2))[:, ::-1] / 255
        logits = (6 * means[:, : len(COLOURS)]).astype(np.float32)
        powers = np.exp(logits)
        return Outputs(
            logits, logits, powers / powers.sum(axis=1, keepdims=True), images.std(axis=(1, 2, 3)).astype(np.float32)
        )

    @classmethod
    def build(cls, arguments, tensors, folder):
        return cls()


def colours(scorer=None, **changes):
    """A classifier of colours."""
    made = Classifier(
        scorer=scorer or ColourScorer(),
        classes=COLOURS,
        task="multiclass",
        recipe=Recipe(16),
        policy=Policy(set_threshold=0.2, confidence_threshold=0.4, ood_threshold=80.0),
    )
    return made.with_(**changes)


class NoModelError(LinnaeaError, LookupError):
    pass


@dataclass(frozen=True, eq=False)
class Model:
    classifier: Classifier
    name: str = "colours"
    version: str = "1"
    digest: str = "linnaea:sha256-" + "0" * 64


class Catalogue:
    """Models by name."""

    def __init__(self, *models):
        self.models = models

    @property
    def names(self):
        return [model.name for model in self.models]

    def __iter__(self):
        return iter(self.models)

    def chosen(self, client, name=None, version=None):
        for model in self.models:
            if name in (None, model.name) and version in (None, model.version):
                return model
        raise NoModelError(f"there is no model {name!r}: expected one of {', '.join(self.names)}.")


class Told:
    """An observer that remembers."""

    def __init__(self):
        self.batches, self.closed = [], False

    @property
    def answers(self):
        return [one for batch in self.batches for one in batch]

    def answered(self, batch):
        self.batches.append(list(batch))

    def close(self):
        self.closed = True


def client_of(classifier=None, *given, **options):
    """A client of an application of this classifier, to be entered."""
    return TestClient(make_application(Catalogue(Model(classifier or colours())), *given, **options))


def image_file(colour=(200, 30, 40), size=(24, 20), kind="PNG", noise=0, **options):
    """The bytes of an image file."""
    pixels = np.full((size[1], size[0], 3), colour, dtype=np.int64)
    pixels = pixels + np.random.default_rng(0).integers(-noise, noise + 1, pixels.shape)
    written = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(written, kind, **options)
    return written.getvalue()


@contextlib.contextmanager
def running(classifier=None, *given, limits=FAST, **options):
    """The address of a server that runs in a thread, on a port of its own; ended as SIGTERM ends it."""
    application = make_application(Catalogue(Model(classifier or colours())), *given, limits=limits, **options)
    bound = listener("127.0.0.1", 0)
    server = server_of(application, limits)
    thread = Thread(target=server.run, args=([bound],), daemon=True)
    thread.start()
    server.application = application
    while not server.started:
        assert thread.is_alive(), "it did not start"
        time.sleep(0.005)
    try:
        yield Running(bound.getsockname()[:2], server, thread)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "it did not end"


@dataclass
class Running:
    address: tuple
    server: object
    thread: Thread

    @property
    def answering(self):
        return self.server.application.state.answering

    def connect(self):
        return socket.create_connection(self.address, timeout=20)

    def say(self, *parts):
        """What is answered to bytes, until the server closes or has answered."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            return heard(connection)


def heard(connection):
    """The status and the body of the next answer; None where the connection ended without one."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
    except (http.client.RemoteDisconnected, http.client.BadStatusLine, ConnectionResetError):
        return None
    body = response.read()
    return Heard(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


@dataclass
class Heard:
    status: int
    headers: dict
    body: bytes

    @property
    def error(self):
        return json.loads(self.body)["error"]


def request(body, *headers, path="/predict", method="POST"):
    """A request as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Draws:
    """Draws the same picture always, after it has done `work`."""

    def __init__(self, work=lambda between: None, picture=b"a picture"):
        self.work, self.picture = work, picture

    def require(self, classifier, method):
        pass

    def draw(self, classifier, pixels, method, between):
        self.work(between)
        return self.picture
