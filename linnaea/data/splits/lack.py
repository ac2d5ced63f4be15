"""What each part still lacks while units are dealt out."""

from collections.abc import Sequence

from linnaea.data.splits.units import Units

Content = Sequence[tuple[int, int]]
WHOLE = 1_000_000  # an image, in the integers that lacks are counted in: equal lacks are then exactly equal


class Lack:
    """How many images of each class, and how many images at all, each part still lacks, in millionths of an image."""

    def __init__(self, units: Units, shares: Sequence[float]) -> None:
        totals, images = units.totals, int(units.sizes.sum())
        self.classes = [[round(share * total * WHOLE) for total in totals] for share in shares]
        self.images = [round(share * images * WHOLE) for share in shares]

    def fill(self, content: Content, size: int, label: int | None = None) -> int:
        """Give a unit to the part that lacks most of its `label`, then of all its classes, then of images."""
        needs = [self._need(part, content, label) for part in range(len(self.images))]
        best = needs.index(max(needs))
        self.images[best] -= size * WHOLE
        lacking = self.classes[best]
        for name, images in content:
            lacking[name] -= images * WHOLE
        return best

    def _need(self, part: int, content: Content, label: int | None) -> tuple[int, int, int]:
        lacking = self.classes[part]
        first = 0 if label is None else lacking[label]
        return first, sum([lacking[name] * images for name, images in content]), self.images[part]
