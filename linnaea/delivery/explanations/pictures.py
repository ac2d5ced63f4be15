"""A map over its photo: the photo in grey, the map in colours that are the less clear the less it says."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from linnaea.arrays import Flags, Float32, Floats, Images, in_colours
from linnaea.runtime.neutral import neutral

LEAST_SIDE = 288  # pixels of a picture that is looked at
ONE_WAY, BOTH_WAYS = "inferno", "RdBu_r"  # scales of matplotlib: one perceptually uniform, one diverging about white
HIGHEST = 0.995  # share of a map's values that are below the end of the scale
STRONG = 0.62  # how much of the photo the strongest colour covers
BLUR = 0.008  # of the side: standard deviation by which maps of single pixels are blurred to be seen
LEVELS = (0.25, 0.5, 0.75)
SMOOTH = 0.03  # mean step between neighbours, of the range, up to which lines of equal value can be seen
GREY_LIFT = 0.12  # by which the grey photo is made lighter
FLAW = (176, 42, 48)
SIZE, GAP = 13, 4


@dataclass(frozen=True)
class Drawing:
    """How a map is drawn: with both signs or one, and the flaw that is written on it ("": none is known)."""

    signed: bool = False
    flaw: str = ""


def overlay(photo: Images, values: Float32, drawing: Drawing = Drawing()) -> Images:
    """A map (S, S) over its photo (S, S, C): a picture (H, H, 3), at least 288 pixels wide.

    A flat map, which says nothing, leaves the photo in grey.
    """
    grey, scaled = _grey(photo), _scaled(values)
    smooth = _is_smooth(np.abs(scaled))
    if not smooth:
        scaled = _scaled(_blurred(values))
    strength = np.abs(scaled)
    cover = (STRONG * strength**0.7)[..., None]
    mixed = grey * (1 - cover) + _coloured(scaled, signed=drawing.signed) * cover
    for level in LEVELS if smooth else ():
        mixed[_line(strength, level)] = mixed[_line(strength, level)] * 0.35 + 0.65
    picture = np.rint(np.clip(mixed, 0, 1) * 255).astype(np.uint8)
    return _told(picture, drawing.flaw) if drawing.flaw else picture


def enlarged(photo: Images) -> Images:
    """A photo (S, S, C) in colours, at least 288 pixels wide."""
    side = max(LEAST_SIDE, photo.shape[0])
    return np.asarray(Image.fromarray(in_colours(photo)).resize((side, side), Image.Resampling.BICUBIC))


def _grey(photo: Images) -> Floats:
    """Its brightness (H, H, 1) from 0 to 1, lighter than it was, so that colours are seen over it."""
    brightness = np.asarray(Image.fromarray(enlarged(photo)).convert("L"), dtype=np.float64)[..., None] / 255
    return GREY_LIFT + (1 - GREY_LIFT) * brightness


def _scaled(values: Float32) -> Floats:
    """The map from -1 to 1, 0 staying 0, at least 288 pixels wide; the few highest values share the end."""
    end = float(np.quantile(np.abs(values), HIGHEST))
    end = end or float(np.abs(values).max())
    if np.ptp(values) <= 1e-12 or end == 0:
        return np.zeros((max(LEAST_SIDE, len(values)),) * 2)
    side = max(LEAST_SIDE, len(values))
    image = Image.fromarray((values / end).astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(image, dtype=np.float64), -1, 1)


def _blurred(values: Float32) -> Float32:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(values, max(0.5, BLUR * len(values))), dtype=np.float32)


@cache
def _scale(name: str) -> Floats:
    from matplotlib import colormaps

    colours: Floats = colormaps[name](np.linspace(0, 1, 256))[:, :3]
    return colours


def _coloured(scaled: Floats, *, signed: bool) -> Floats:
    """Colours (H, H, 3) of a map from -1 to 1."""
    place = (scaled + 1) / 2 if signed else 0.2 + 0.8 * np.abs(scaled)
    return _scale(BOTH_WAYS if signed else ONE_WAY)[np.rint(place * 255).astype(np.int64)]


def _is_smooth(strength: Floats) -> bool:
    return bool(np.abs(np.diff(strength, axis=0)).mean() + np.abs(np.diff(strength, axis=1)).mean() < SMOOTH)


def _line(strength: Floats, level: float) -> Flags:
    """Where the map crosses a level, a pixel wide (H, H)."""
    above = strength >= level
    line = np.zeros_like(above)
    line[:-1] |= above[:-1] != above[1:]
    line[:, :-1] |= above[:, :-1] != above[:, 1:]
    return line


def _told(picture: Images, flaw: str) -> Images:
    """The picture with a sentence on a red ground below it."""
    font = ImageFont.load_default(SIZE)
    lines = _wrapped(neutral(flaw), picture.shape[1] - 2 * GAP, font)
    height = len(lines) * (SIZE + GAP) + 2 * GAP
    canvas = Image.new("RGB", (picture.shape[1], picture.shape[0] + height), FLAW)
    canvas.paste(Image.fromarray(picture), (0, 0))
    pen = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        pen.text((GAP, picture.shape[0] + GAP + number * (SIZE + GAP)), line, "white", font)
    return np.asarray(canvas)


def _wrapped(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
