"""Servers of other people's making with the very weights of `benchmarks.serving`, each run in a process of its own.

`python -m benchmarks.serving_peers KIND PORT NETWORK`; what a KIND is, `SERVERS` says.
"""

import io
import sys
from collections.abc import Callable
from typing import Any

import torch
from fastapi import FastAPI, UploadFile
from PIL import Image

from benchmarks.inference import CLASSES, SIZE, classifier
from benchmarks.peers import add_peer

LITSERVE = ("litserve==0.2.19", "pyzmq==27.3.0", "uvloop==0.23.0", "httptools==0.9.0")
NAMES = [f"class {k}" for k in range(CLASSES)]


def prepared(content: bytes) -> torch.Tensor:
    """As the documentation of both has it: Pillow, then torchvision's transforms."""
    return transforms()(Image.open(io.BytesIO(content)).convert("RGB"))


def transforms() -> Callable[[Any], torch.Tensor]:
    from torchvision.transforms import v2

    return v2.Compose(
        [
            v2.Resize(SIZE, interpolation=v2.InterpolationMode.BICUBIC),
            v2.CenterCrop(SIZE),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )


def told(logits: torch.Tensor) -> list[dict[str, Any]]:
    """An answer for each image."""
    values, places = logits.softmax(dim=1).max(dim=1)
    return [{"label": NAMES[k], "confidence": v} for k, v in zip(places.tolist(), values.tolist(), strict=True)]


def fastapi(port: int, network: str, *, tuned: bool) -> None:
    """A route around torch; tuned: off the event loop, channels_last, uvicorn's faster parts."""
    import uvicorn

    layout = torch.channels_last if tuned else torch.contiguous_format
    model = classifier(network).model.eval().to(memory_format=layout)
    app = FastAPI()

    def answer(content: bytes) -> dict[str, Any]:
        with torch.inference_mode():
            return told(model(prepared(content)[None].contiguous(memory_format=layout)))[0]

    if tuned:
        add_peer(*LITSERVE)  # for uvloop and httptools
        torch.set_num_threads(1)  # the pool of threads keeps the cores busy

        @app.post("/predict")
        def predict_in_thread(file: UploadFile) -> dict[str, Any]:
            return answer(file.file.read())
    else:

        @app.post("/predict")
        async def predict(file: UploadFile) -> dict[str, Any]:
            return answer(await file.read())

    uvicorn.run(app, port=port, log_level="warning")


def litserve(port: int, network: str, *, tuned: bool) -> None:
    """Its own example of an image model; tuned: batches, two workers with a thread each, channels_last."""
    from benchmarks.serving_litserve import serve

    serve(port, network, tuned=tuned)


SERVERS: dict[str, Callable[[int, str], None]] = {
    "fastapi": lambda port, network: fastapi(port, network, tuned=False),
    "fastapi tuned": lambda port, network: fastapi(port, network, tuned=True),
    "litserve": lambda port, network: litserve(port, network, tuned=False),
    "litserve tuned": lambda port, network: litserve(port, network, tuned=True),
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
