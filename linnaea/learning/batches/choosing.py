"""Which source of batches a training has."""

import math
import time
from dataclasses import replace

import torch

from linnaea.arrays import Integers
from linnaea.data.images.pixels import decode_files, usual_side
from linnaea.data.images.streamed import streamed
from linnaea.learning.amounts import look_up
from linnaea.learning.augmentations import AUGMENTATIONS
from linnaea.learning.batches.contract import Batches
from linnaea.learning.batches.crops import Crops, decoded_for_crops
from linnaea.learning.batches.in_memory import InMemory
from linnaea.learning.job import Job
from linnaea.learning.processes import agreed, first_before_others

STREAMED = (
    "Parts of images were cut from the pixels that the network sees: photos that are streamed are not decoded larger."
)
WORTH = 1.1  # times the network's side: photos must be that much larger
MOST_BYTES = 16 * 2**30  # of larger images, which lie on disk
TIMED = 16  # photos
MOST_TIME = 0.1  # of the time left


def batches_for(job: Job, batch_size: int, augmentations: tuple[str, ...], layout: torch.memory_format) -> Batches:
    """The images in memory as the network sees them; where parts of them are shown, cut from larger ones.

    Larger ones are those of the photos, as far as these are larger, and there is room and time to decode them so.
    """

    def draw(seed: int) -> Integers:
        return job.balance.rows(job.train.targets, seed)

    cutting = [name for name in augmentations if look_up(AUGMENTATIONS, name)[0].stretch is not None]
    shown = job.balance.shown(job.train)
    usual = InMemory(shown, batch_size, draw, augmentations, layout, job.ids)
    if cutting and streamed(job.train.images) is not None:
        return replace(usual, notes=(STREAMED,))
    if not cutting or job.photos is None or len(job.photos.paths) != len(job.train):
        return usual
    member, area = look_up(AUGMENTATIONS, cutting[0])
    assert area is not None, "the least area of a part"
    assert member.stretch is not None, "it shows a part"
    side = agreed(lambda: _side(job, area))
    if side is None:
        return usual
    with first_before_others():  # who then find the pixels in the cache
        large = decoded_for_crops(job.photos.paths, shown.targets, job.photos.recipe, side)
    others = tuple(name for name in augmentations if name != cutting[0])
    return Crops(large, job.size, batch_size, draw, area, member.stretch, others, layout, job.ids)


def _side(job: Job, area: float) -> int | None:
    """The side to decode the photos at, such that no part is enlarged that need not be; None where it gains nothing."""
    assert job.photos is not None, "it was looked at"
    paths, size = job.photos.paths, job.size
    side = min(math.ceil(size / math.sqrt(area)), round(usual_side(paths) or 0))
    if side < WORTH * size or len(paths) * side**2 * job.channels > MOST_BYTES:
        return None
    if job.deadline < math.inf:
        started, some = time.monotonic(), paths[:: max(1, len(paths) // TIMED)]
        decode_files(some, job.photos.at(side), keep=False)
        if (time.monotonic() - started) / len(some) * len(paths) > MOST_TIME * job.seconds_left:
            return None
    return side
