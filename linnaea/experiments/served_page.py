"""The page of a server, with the heat maps that its models can have, and the folder that corrections go to."""

from pathlib import Path
from typing import TYPE_CHECKING

from linnaea.data.review import ReviewFolder
from linnaea.experiments.heat_maps import HeatMaps

if TYPE_CHECKING:
    from fastapi import APIRouter

    from linnaea.delivery.serving.contract import Observer, ServedModels
    from linnaea.delivery.serving.limits import Limits


def review_folder(place: str | Path | None) -> ReviewFolder | None:
    """The folder that corrections go to; raises UsageError where it is that of something else."""
    if place is None:
        return None
    folder = ReviewFolder(Path(place))
    folder.require_ours()
    return folder


def served_page(
    models: "ServedModels", limits: "Limits", review: ReviewFolder | None = None, kept: Path | None = None
) -> "tuple[APIRouter, list[Observer]]":
    """Its routes, and who is told of answers for it; `kept` is the folder of images that the audit log keeps."""
    from linnaea.delivery.serving.page import Corrections, Recent, page_router

    usual = HeatMaps.usual
    if review is None:
        return page_router(models, limits, explains=usual, keeps=kept is not None), []
    recent = Recent()
    corrections = Corrections(models, review, recent, kept, limits)
    return page_router(models, limits, explains=usual, corrections=corrections, keeps=kept is not None), [recent]
