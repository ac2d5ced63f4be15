"""A contact sheet: rows of images with names beside and above them, as one PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from linnaea.arrays import Images, in_colours
from linnaea.runtime.files import write_atomically
from linnaea.runtime.neutral import neutral

SMALLEST, LARGEST = 96, 160
GAP = 8
TEXT = 13
LINE = 18
NAMES = 150
INK, PAPER = (32, 32, 32), (255, 255, 255)


@dataclass(frozen=True)
class Strip:
    """One row: what it is called, its images (N, S, S, C) of uint8, and what is written under each."""

    name: str
    pictures: Images
    captions: Sequence[str] = ()


def write_sheet(path: Path, title: str, headings: Sequence[str], strips: Sequence[Strip]) -> Path:
    """Write the strips below their column headings, atomically; images are shown 96 to 160 pixels wide."""
    sheet = draw_sheet(title, headings, strips)
    return write_atomically(path, lambda partial: sheet.save(partial, "PNG"))


def draw_sheet(title: str, headings: Sequence[str], strips: Sequence[Strip]) -> Image.Image:
    """The sheet as an image."""
    side = int(np.clip(strips[0].pictures.shape[1], SMALLEST, LARGEST))
    step = side + LINE * any(strip.captions for strip in strips) + GAP
    columns = max(len(strip.pictures) for strip in strips)
    top = GAP + 2 * LINE + GAP
    sheet = Image.new("RGB", (NAMES + columns * (side + GAP) + GAP, top + len(strips) * step), PAPER)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(TEXT)
    pen.text((GAP, GAP), neutral(title), INK, font)
    for column, heading in enumerate(headings):
        pen.text((NAMES + column * (side + GAP), GAP + LINE), _fitted(heading, side, font), INK, font)
    for row, strip in enumerate(strips):
        place = top + row * step
        pen.text((GAP, place), _fitted(strip.name, NAMES - 2 * GAP, font), INK, font)
        for column, picture in enumerate(strip.pictures):
            left = NAMES + column * (side + GAP)
            sheet.paste(_sized(picture, side), (left, place))
            if column < len(strip.captions):
                pen.text((left, place + side + 1), _fitted(strip.captions[column], side, font), INK, font)
    return sheet


def _sized(picture: Images, side: int) -> Image.Image:
    """Small images enlarged without smoothing, so that each pixel is seen; large ones made smaller."""
    image = Image.fromarray(in_colours(picture))
    enlarged = image.width < side
    return image.resize((side, side), Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS)


def _fitted(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """The text, cut off where it would not fit."""
    shorter = shown = neutral(text)
    if font.getlength(shown) <= width:
        return shown
    while shorter and font.getlength(f"{shorter}…") > width:
        shorter = shorter[:-1]
    return f"{shorter}…"
