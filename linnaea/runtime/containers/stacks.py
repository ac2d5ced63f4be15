"""Images that lie in one array, numbered from 0; each is read as the bytes of a bitmap file."""

from collections.abc import Callable, Sequence

from linnaea.arrays import Images
from linnaea.runtime.containers.bitmap import bitmap_bytes, to_bitmap


class Stack:
    """`count` images of one `shape`, (H, W) or (H, W, 3), that `pixels(number)` returns."""

    refused: Sequence[tuple[str, str]] = ()

    def __init__(self, count: int, shape: tuple[int, ...], pixels: Callable[[int], Images]) -> None:
        self.count, self.shape, self.pixels = count, shape, pixels

    def names(self) -> Sequence[str]:
        """The numbers as text."""
        return [str(number) for number in range(self.count)]

    def size(self, name: str) -> int:
        """The bytes of one bitmap."""
        self._number(name)
        return bitmap_bytes(self.shape)

    def read(self, name: str) -> bytes:
        """One image as a bitmap."""
        return to_bitmap(self.pixels(self._number(name)))

    def _number(self, name: str) -> int:
        if not (name.isascii() and name.isdigit() and name == str(int(name)) and int(name) < self.count):
            raise KeyError(name)
        return int(name)
