"""A page that answers in the browser: the ONNX file, onnxruntime-web, and the decoding and decisions in JavaScript."""

import logging
import shutil
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.onnx import OnnxScorer
from linnaea.data.images.decoding import COLOUR, GREY, WITH_ALPHA
from linnaea.decisions import by_common_threshold
from linnaea.delivery.exporters import onnx
from linnaea.delivery.exporters.contract import EXPORTERS, Exporter, Order, needs_a_network
from linnaea.delivery.exporters.onnxruntime_web import FetchError, runtime_files
from linnaea.delivery.pages import PARTS
from linnaea.errors import UsageError
from linnaea.runtime.cache import cache_folder
from linnaea.runtime.files import write_json

logger = logging.getLogger("linnaea")
PAGE = Path(__file__).with_name("page")
INDEX, RUNTIME, EXPECTED, PICTURE = "index.html", "onnxruntime", "expected.json", "expected.webp"
PICTURE_SIZE = (160, 120)
TALL_FIRST = 13  # the version of Pillow that began to shrink the height of tall images first


def write(classifier: Classifier, folder: Path, order: Order) -> Path:
    """Write `index.html`, its scripts, `model.onnx`, onnxruntime-web and a test picture with its answer into `folder`.

    The page answers the test picture before any other and refuses to go on where the browser gives another answer.
    """
    try:
        runtime = runtime_files(cache_folder())
    except FetchError as error:
        raise UsageError(str(error)) from None
    onnx.write(classifier, folder, order)
    page = Path(shutil.copytree(PARTS, folder / PAGE.name))
    shutil.copytree(PAGE, page, dirs_exist_ok=True)
    shutil.copytree(runtime, page / RUNTIME)
    picture().save(page / PICTURE, lossless=True)
    write_json(page / EXPECTED, expected(classifier, folder, order.precision))
    return (page / INDEX).replace(folder / INDEX)


def picture() -> Image.Image:
    """A picture of waves in three colours, without noise, that any decoder reads alike."""
    columns, rows = np.meshgrid(np.arange(PICTURE_SIZE[0]), np.arange(PICTURE_SIZE[1]))
    waves = [np.sin(columns / 9 + shift) * np.cos(rows / (7 + shift)) for shift in range(3)]
    return Image.fromarray((127.5 + 120 * np.stack(waves, axis=2)).astype(np.uint8))


def expected(classifier: Classifier, folder: Path, precision: str) -> dict[str, object]:
    """What the file itself answers for the test picture, what is said with every answer, and how Pillow resizes."""
    scorer = OnnxScorer(folder, classifier.ood_score, precision)
    pixels, _ = classifier.recipe.decode((folder / PAGE.name / PICTURE).read_bytes())
    probabilities = scorer.outputs(pixels[None]).probabilities[0]
    return {
        "image": PICTURE,
        "probabilities": [float(value) for value in probabilities],
        "said": by_common_threshold(classifier.policy),
        "tall_first": int(PIL.__version__.partition(".")[0]) >= TALL_FIRST,
    }


def unfit(classifier: Classifier) -> str:
    """Why a page cannot have a classifier."""
    channels = classifier.recipe.channels
    if channels not in (GREY, COLOUR, WITH_ALPHA):
        return f"a page cannot have images of {channels} channels: they come as TIFF, which browsers do not read."
    return needs_a_network(classifier)


EXPORTERS.register(
    "web",
    title="Page",
    meaning="A page that answers in the browser with onnxruntime-web: a folder for any web server.",
    order=80,
    runtime="onnxruntime-web",
    precisions=("fp32", "bf16", "fp16"),
    needs=("onnx", "onnxscript", "onnxruntime"),
    extra="export",
)(Exporter(write, OnnxScorer, unfit))
