"""A running server of the page in a test, and pictures that are answered in every way."""

import contextlib
import threading
import time

import numpy as np
from served import ColourScorer, colours, image_file

from linnaea.decisions import Outputs, Policy

CLASSES = ("blue", "=green|<b>grün</b>", "red")
CERTAIN, UNSURE, STRANGE = (230, 20, 20), (170, 40, 150), (128, 128, 128)  # red; between red and blue; grey


class PageScorer(ColourScorer):
    """The same, by steeper scores; what has no colour is strange. For `several` labels each is scored by itself."""

    def __init__(self, several=False):
        super().__init__()
        self.several = several

    def outputs(self, images):
        means = images.astype(np.float32).mean(axis=(1, 2))[:, ::-1] / 255
        logits = 8 * (means - 0.4) if self.several else 6 * means
        odds = np.exp(logits)
        shares = odds / (1 + odds) if self.several else odds / odds.sum(axis=1, keepdims=True)
        return Outputs(logits, logits, shares, 1 - (means.max(axis=1) - means.min(axis=1)))


def one_label():
    """Of the three colours one is answered; grey is unfamiliar, and mauve unsure."""
    rules = Policy(set_threshold=0.2, confidence_threshold=0.8, ood_threshold=0.95)
    return colours(PageScorer(), classes=CLASSES, policy=rules)


def several_labels():
    """Of mauve both red and blue are answered."""
    rules = Policy(set_threshold=0.4, thresholds=(0.5, 0.5, 0.5))
    return colours(PageScorer(several=True), classes=CLASSES, task="multilabel", policy=rules)


def picture(colour, size=(48, 40)):
    """The bytes of a picture of one colour."""
    return image_file(colour, size)


@contextlib.contextmanager
def live(application):
    """The address of a running server of the application."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()
