"""`highlight`: where in images a classifier looks."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from linnaea.errors import DataError
from linnaea.options import ImageFiles, Option
from linnaea.options.checks import member
from linnaea.options.things import Answering
from linnaea.runtime.saying import say
from linnaea.verbs.contract import VERBS, told_by


def tell(answer: Callable[[], list[Path]], given: Mapping[str, Any]) -> None:
    """Say where the maps are."""
    say(*(f"The map is in {file}." for file in answer()))


@VERBS.register("highlight", meaning="Show where in images a classifier looks.", order=56)
@told_by(tell)
def highlight(
    classifier: Answering,
    images: ImageFiles,
    *,
    method: Annotated[str, Option("Highlighter to ask.", member("highlighter", "herbarium"))] = "saliency",
    out: Annotated[str | Path, Option("Folder for the maps.", read=Path)] = Path("highlights"),
) -> list[Path]:
    """A grey map for each image, brighter where the classifier's answer depends on it; returns the files."""
    import torch
    from PIL import Image

    from herbarium.highlighters import HIGHLIGHTERS
    from linnaea.classifier import Classifier, load
    from linnaea.data.images.pixels import decode_files
    from linnaea.models.model import to_pixels

    known = classifier if isinstance(classifier, Classifier) else load(getattr(classifier, "folder", classifier))
    paths = [Path(path) for path in ([images] if isinstance(images, str | Path) else images)]
    decoded = decode_files(paths, known.recipe)
    for row, reason in decoded.failed.items():
        raise DataError(f"{paths[row]} cannot be read, so there is nothing to highlight: {reason}.")
    pixels = to_pixels(torch.from_numpy(decoded.images))
    maps = HIGHLIGHTERS[method](known.model, pixels, known.model(pixels).argmax(dim=1)).detach()
    greys = (255 * maps / maps.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)).to(torch.uint8)
    files = [Path(out) / f"{place:03}-{path.stem}.png" for place, path in enumerate(paths)]
    Path(out).mkdir(parents=True, exist_ok=True)
    for file, grey in zip(files, greys, strict=True):
        Image.fromarray(grey.numpy()).save(file)
    return files
