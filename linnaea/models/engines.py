"""Runtimes that compute a network from a file of theirs, opened from memory: nothing in it can name another file."""

import threading
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from linnaea.arrays import Float32
from linnaea.errors import BundleError, MissingExtraError

Engine = Callable[[Float32], Float32]
ONNX, OPENVINO = "onnx", "openvino"
NEEDS = {ONNX: ("onnxruntime", "onnx"), OPENVINO: ("openvino",)}  # libraries
BACKENDS = tuple(NEEDS)


def require_engine(backend: str) -> None:
    """Raise MissingExtraError where the runtime is not installed."""
    for library in NEEDS[backend]:
        if find_spec(library) is None:
            raise MissingExtraError(library, "export")


def open_engine(backend: str, content: bytes, graph: int, *, half: bool = False) -> Engine:
    """What maps pixels (N, S, S, C) in [0, 1] to features (N, D); it may be called from several threads at once.

    `content` are the bytes of the file, of OpenVINO those of its description, of which there are `graph`, and then
    those of its weights. What is not in integers is computed in float32 or, with `half`, in the format of 16 bits that
    the processor has. Raises BundleError where it is none.
    """
    require_engine(backend)
    try:
        return _onnx(content) if backend == ONNX else _openvino(content[:graph], content[graph:], half=half)
    except RuntimeError as error:
        raise BundleError(f"the network cannot be opened by {backend} ({error}): take the original bundle.") from None


def _openvino(description: bytes, weights: bytes, *, half: bool) -> Engine:
    import openvino

    core = openvino.Core()
    model = core.read_model(description, weights)
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    settings |= {} if half else {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(model, "CPU", settings)
    own = threading.local()

    def run(pixels: Float32) -> Float32:
        request: Any = getattr(own, "request", None)
        if request is None:
            request = own.request = compiled.create_infer_request()
        request.infer([pixels], share_inputs=True)
        return np.array(request.get_output_tensor(0).data, dtype=np.float32)

    return run


def _onnx(content: bytes) -> Engine:
    import onnxruntime

    _require_whole(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(pixels: Float32) -> Float32:
        features: Float32 = session.run(None, {name: pixels})[0]
        return features

    return run


def _require_whole(content: bytes) -> None:
    """Raise BundleError where weights lie in other files."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has no types

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise BundleError(f"the network is no ONNX file ({error}): take the original bundle.") from None
    if any(weight.data_location == onnx.TensorProto.EXTERNAL for weight in model.graph.initializer):
        raise BundleError("the network names weights in other files: expected all of them within it.")
