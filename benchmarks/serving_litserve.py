"""A LitServe server for `benchmarks.serving_peers`, in a module of its own, which its workers import."""

from typing import Any

import torch
from fastapi import Request

from benchmarks.inference import classifier
from benchmarks.peers import add_peer
from benchmarks.serving_peers import LITSERVE, prepared, told

add_peer(*LITSERVE)

import litserve as ls  # type: ignore[import-not-found]  # noqa: E402  once it can be found

AT_ONCE = 16  # images, where it is tuned


class Photos(ls.LitAPI):  # type: ignore[misc]
    """One image at a time, as the guide has it."""

    layout, threads = torch.contiguous_format, 0

    def __init__(self, network: str, **options: Any) -> None:
        super().__init__(**options)
        self.network = network

    def setup(self, device: str) -> None:
        if self.threads:
            torch.set_num_threads(self.threads)
        self.model = classifier(self.network).model.eval().to(memory_format=self.layout)

    def decode_request(self, request: Request) -> torch.Tensor:
        given: Any = request  # what was sent as a form, whatever the annotation asks LitServe for
        return prepared(given["file"].file.read())

    def predict(self, images: torch.Tensor) -> Any:
        return self.answers(images[None])[0]

    def answers(self, images: torch.Tensor) -> list[dict[str, Any]]:
        with torch.inference_mode():
            return told(self.model(images.contiguous(memory_format=self.layout)))

    def encode_response(self, output: Any) -> dict[str, Any]:
        answer: dict[str, Any] = output
        return answer


class Batches(Photos):
    """Several at a time."""

    layout, threads = torch.channels_last, 1

    def batch(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack(inputs)

    def predict(self, images: torch.Tensor) -> Any:
        return self.answers(images)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output


def serve(port: int, network: str, *, tuned: bool) -> None:
    """Answer until the process ends."""
    api = Batches(network, max_batch_size=AT_ONCE, batch_timeout=0.005) if tuned else Photos(network)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=2 if tuned else 1)
    server.run(port=port, generate_client_file=False, log_level="warning")
