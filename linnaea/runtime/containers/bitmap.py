"""Pixels as the bytes of an uncompressed image file: the same pixels always give the same bytes."""

import struct

import numpy as np

from linnaea.arrays import Images

GREY_RAMP = np.repeat(np.arange(256, dtype=np.uint8), 4).reshape(256, 4) * np.array([1, 1, 1, 0], dtype=np.uint8)
HEADERS = 14 + 40


def to_bitmap(pixels: Images) -> bytes:
    """A Windows bitmap (BITMAPINFOHEADER, uncompressed) of grey (H, W) or RGB (H, W, 3) pixels."""
    height, width = pixels.shape[:2]
    grey = pixels.ndim == 2
    palette = GREY_RAMP.tobytes() if grey else b""
    stored = pixels[::-1] if grey else pixels[::-1, :, ::-1]  # rows from the bottom, blue first
    rows = np.zeros((height, _row_bytes(pixels.shape)), dtype=np.uint8)
    rows[:, : width * (1 if grey else 3)] = stored.reshape(height, -1)
    start = HEADERS + len(palette)
    file_header = struct.pack("<2sIHHI", b"BM", start + rows.size, 0, 0, start)
    colours = 256 if grey else 0
    header = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, 8 if grey else 24, 0, rows.size, 2835, 2835, colours, colours
    )
    return file_header + header + palette + rows.tobytes()


def bitmap_bytes(shape: tuple[int, ...]) -> int:
    """How many bytes `to_bitmap` makes of pixels of this shape."""
    return HEADERS + (1024 if len(shape) == 2 else 0) + shape[0] * _row_bytes(shape)


def _row_bytes(shape: tuple[int, ...]) -> int:
    return -(-shape[1] * (1 if len(shape) == 2 else 3) // 4) * 4
