"""What a file lacks is named, what it merely carries besides is not; large and hostile headers are refused at once."""

import io
import os
import resource
import struct
import subprocess
import time
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from linnaea.data.images.damage import damage_in
from linnaea.data.images.decoding import Bounds, decode, read_rgb
from linnaea.data.images.headers import read_facts
from linnaea.data.images.opening import MOST_PIXELS, DamagedError, UnreadableError
from linnaea.data.images.pixels import Recipe, decode_files, usual_side
from linnaea.errors import UsageError

SIZE = 64


def photo(height=120, width=160):
    """Smooth shapes with some noise, no row of one colour."""
    down, across = np.mgrid[:height, :width] / 20
    waves = np.stack([np.sin(down + across), np.cos(down), np.sin(across * 2)], axis=2) * 90 + 128
    noise = np.random.default_rng(0).normal(0, 6, waves.shape)
    return Image.fromarray((waves + noise).clip(0, 255).astype(np.uint8))


def encode(form, image=None, **options):
    out = io.BytesIO()
    (image or photo()).save(out, form, **options)
    return out.getvalue()


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, rows, *, bits=8, colour=0):
    """A PNG that declares a size and holds so many rows of grey 200."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    pixels = (b"\0" + b"\xc8" * (width * bits // 8)) * rows
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def webp(width, height, kind):
    """The header of a WebP of one of the three kinds, and little more."""
    if kind == b"VP8L":
        body = b"/" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + b"\x07\x10\x11\xfd\x0f\x44\x44\xff\x03"
    elif kind == b"VP8 ":
        body = b"\x10\x13\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(40)
    else:
        body = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


LARGE = {
    "lossless webp": webp(16_383, 10_000, b"VP8L"),
    "lossy webp": webp(16_383, 10_000, b"VP8 "),
    "extended webp": webp(16_383, 10_000, b"VP8X"),
    "high png": png(64, 2_621_504, 64),
    "16-bit png": png(13_377, 13_377, 2, bits=16),
    "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 2**20, 0, 0, 54, 40, 20_000, 20_000, 1, 24, 0, 0, 0, 0, 0, 0),
    "gif": b"GIF89a" + struct.pack("<HHBBB", 9_000, 9_000, 0, 0, 0) + b"\x2c" + bytes(4)
    + struct.pack("<HHB", 9_000, 9_000, 0) + b"\x02\x02\x4c\x01\0;",
}  # fmt: skip


@pytest.mark.parametrize("content", LARGE.values(), ids=LARGE)
def test_a_large_picture_is_refused_by_its_header(content):
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with pytest.raises(UnreadableError, match=r"pixels is over the limit of 50,000,000: raise --max-pixels"):
        decode(content, SIZE)
    assert time.perf_counter() - started < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def test_the_limit_is_moved_by_the_recipe_alone(tmp_path):
    (tmp_path / "a.png").write_bytes(encode("PNG"))
    assert decode_files([tmp_path / "a.png"], Recipe(SIZE)).failed == {}
    small = Recipe(SIZE, max_pixels=120 * 160 - 1)
    assert "over the limit of 19,199" in decode_files([tmp_path / "a.png"], small).failed[0]
    assert decode_files([tmp_path / "a.png"], Recipe(SIZE, max_pixels=120 * 160)).failed == {}
    assert decode(png(8_000, 8_000, 8_000), SIZE, bounds=Bounds(10**8)).max() == 200
    assert Recipe(SIZE).max_pixels == MOST_PIXELS
    with pytest.raises(UsageError, match="max_pixels"):
        Recipe(SIZE, max_pixels=0)


def test_one_tile_of_a_tiff_is_held_to_the_limit_too():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    content = bytearray(encode("TIFF", tiffinfo=tags))
    at = content.index(struct.pack("<HHI", 0x0116, 4, 1))  # rows per strip, made the width of a tile
    content[at : at + 12] = struct.pack("<HHII", 322, 4, 1, 60_000_000)
    with pytest.raises(UnreadableError):
        decode(bytes(content), SIZE)


def cut(content, by):
    return content[:-by]


def zeroed(content, by):
    return content[:-by] + bytes(by)


def closed(content, by):
    """A JPEG that somebody cut and gave an end again."""
    return content[:-by] + b"\xff\xd9"


NOISE = {"image": Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 90, 3), dtype=np.uint8))}
DAMAGED = {
    "jpeg without its end": cut(encode("JPEG"), 2),
    "jpeg cut": cut(encode("JPEG"), 900),
    "jpeg zeroed": zeroed(encode("JPEG"), 900),
    "jpeg cut and closed": closed(encode("JPEG"), 900),
    "grey jpeg cut and closed": closed(encode("JPEG", photo().convert("L")), 700),
    "progressive jpeg without its last scan": (PROGRESSIVE := encode("JPEG", progressive=True))[
        : PROGRESSIVE.rindex(b"\xff\xda")
    ]
    + b"\xff\xd9",
    "png without its end": cut(encode("PNG"), 12),
    "png cut": cut(encode("PNG"), 2_000),
    "png zeroed": zeroed(encode("PNG"), 2_000),
    "png with fewer rows than it says": png(64, 600, 64),
    "webp cut": cut(encode("WEBP"), 300),
    "webp zeroed": zeroed(encode("WEBP"), 500),
    "lossless webp zeroed": zeroed(encode("WEBP", lossless=True), 2_000),
    "gif cut": cut(encode("GIF"), 2_000),
    "bmp cut": cut(encode("BMP"), 2_000),
    "tiff cut": cut(encode("TIFF"), 2_000),
    "tiff of jpegs zeroed": zeroed(encode("TIFF", **NOISE, compression="jpeg"), 300),
    "tiff packed and zeroed": zeroed(encode("TIFF", **NOISE, compression="packbits"), 300),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_tail_is_refused(content):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on tags that were cut away
        with pytest.raises(UnreadableError, match=r"damaged image: \w"):
            decode(content, SIZE)


def test_a_changed_byte_within_a_png_is_found_by_its_checksum():
    content = bytearray(png(64, 64, 64))
    content[-30] ^= 1
    assert "wrong checksum in its IDAT chunk" in damage_in(bytes(content), "PNG")


def embedded(content):
    """A JPEG within the EXIF of another, whose end is not the end of the photo."""
    inner = encode("JPEG", photo(40, 40))
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(inner) + 2) + inner + content[2:]


FLAT = Image.new("RGB", (400, 300), (128, 128, 128))
WHOLE = {
    "jpeg with a preview before it": embedded(encode("JPEG")),
    "jpeg with a trailer": encode("JPEG") + b"\0" * 700 + b"camera",
    "jpeg with another after it": encode("JPEG") + encode("JPEG", photo(40, 40))[:-9],
    "progressive jpeg": encode("JPEG", progressive=True, quality=95),
    "jpeg with restarts": encode("JPEG", restart_marker_blocks=3),
    "grey jpeg": encode("JPEG", photo().convert("L")),
    "cmyk jpeg": encode("JPEG", photo().convert("CMYK")),
    "middle grey jpeg": encode("JPEG", FLAT),
    "png with a trailer": encode("PNG") + b"\0" * 300,
    "black png": encode("PNG", Image.new("RGB", (50, 40))),
    "png of the colour that shows gaps": encode("PNG", Image.new("RGB", (50, 40), (91, 164, 37))),
    "black and white png": encode("PNG", Image.new("1", (50, 40), 1)),
    "webp with a trailer": encode("WEBP") + b"\0" * 300,
    "flat webp": encode("WEBP", Image.new("RGB", (2_000, 1_500), (10, 20, 30)), quality=100, method=0),
    "half flat webp": encode("WEBP", FLAT.copy(), quality=100, method=0),
    "gif": encode("GIF"),
    "transparent gif": encode("GIF", Image.new("P", (50, 40), 3), transparency=3),
    "bmp": encode("BMP"),
    "tiff": encode("TIFF"),
    "tiff of jpegs": encode("TIFF", **NOISE, compression="jpeg"),
    "packed tiff": encode("TIFF", Image.new("RGB", (300, 300)), compression="packbits"),
    "lzw tiff": encode("TIFF", Image.new("RGB", (300, 300)), compression="tiff_lzw"),
    "zip tiff": encode("TIFF", Image.new("RGB", (300, 300)), compression="tiff_adobe_deflate"),
}


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
def test_what_is_whole_is_read_and_is_what_pillow_sees(content):
    with Image.open(io.BytesIO(content)) as image:
        expected = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if expected.mode == "RGBA":
        expected = Image.alpha_composite(Image.new("RGBA", expected.size, "white"), expected).convert("RGB")
    assert read_rgb(content, 10_000).tobytes() == expected.tobytes()


def test_two_pictures_in_one_file_of_a_camera_are_the_first():
    content = encode("MPO", save_all=True, append_images=[photo(60, 80)])
    assert read_rgb(content, 10_000).size == (160, 120)


def test_a_flat_half_of_a_webp_may_end_in_zeros():
    pixels = np.full((600, 600, 3), 255, dtype=np.uint8)
    pixels[:150] = np.random.default_rng(0).integers(0, 256, (150, 600, 3))
    content = encode("WEBP", Image.fromarray(pixels), quality=10, method=0)
    assert content.endswith(bytes(128))
    assert read_rgb(content, SIZE).size == (600, 600)


@pytest.mark.parametrize("name", ["jpeg cut and closed", "png cut", "webp zeroed", "bmp cut"])
def test_what_is_left_of_a_damaged_picture_can_be_had(tmp_path, name):
    (tmp_path / "a").write_bytes(DAMAGED[name])
    whole = tmp_path / "whole.png"
    whole.write_bytes(encode("PNG"))
    with pytest.raises(DamagedError) as error:
        decode(DAMAGED[name], SIZE)
    assert error.value.image.size == (160, 120)
    decoded = decode_files([tmp_path / "a", whole], Recipe(SIZE), salvage=True)
    assert decoded.failed == {}
    assert list(decoded.damaged) == [0]
    assert "damaged" not in decoded.damaged[0]
    rows = slice(40, None) if name == "bmp cut" else slice(None, 16)  # whose rows are from the bottom
    assert np.abs(decoded.images[0, rows].astype(int) - decoded.images[1, rows]).mean() < 12
    assert decode_files([tmp_path / "a"], Recipe(SIZE)).failed[0].startswith("damaged image")


def test_a_progressive_jpeg_of_very_many_scans_is_refused():
    content = encode("JPEG", progressive=True)
    at = content.index(b"\xff\xda")
    length = int.from_bytes(content[at + 2 : at + 4], "big")
    scan = content[at : at + 2 + length] + b"\0"
    with pytest.raises(UnreadableError, match="more than 100 scans"):
        decode(content[:at] + scan * 101 + content[at:], SIZE)


def test_broken_exif_hides_no_picture():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    content = encode("JPEG", exif=exif)
    torn = content.replace(b"\x01\x12\0\x03\0\0\0\x01", b"\x01\x12\0\x0c\x7f\xff\xff\xff")
    assert torn != content
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read_rgb(torn, SIZE).size == (160, 120)
        assert read_facts(torn, MOST_PIXELS).width == 160
    assert read_rgb(content, SIZE).size == (120, 160)


def test_no_picture_starts_a_process(tmp_path, monkeypatch):
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 48\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a.png").write_bytes(content)

    def start(*given, **options):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", start)
    assert "not an image in a supported format" in decode_files([tmp_path / "a.png"], Recipe(SIZE)).failed[0]
    assert usual_side([tmp_path / "a.png"]) is None


@pytest.mark.parametrize("version", [4, 5])
def test_a_bitmap_whose_alpha_is_not_used_is_shown(version):
    pixels = np.dstack([np.asarray(photo(20, 20))[..., ::-1], np.zeros((20, 20), np.uint8)])
    size = {4: 108, 5: 124}[version]
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", size, 20, -20, 1, 32, 3, pixels.size, 0, 0, 0, 0) + masks
    header = header.ljust(size, b"\0")
    content = b"BM" + struct.pack("<IHHI", 14 + size + pixels.size, 0, 0, 14 + size) + header + pixels.tobytes()
    assert np.array_equal(np.asarray(read_rgb(content, SIZE)), np.asarray(photo(20, 20)))
    pixels[..., 3] = 128
    content = content[: 14 + size] + pixels.tobytes()
    assert np.asarray(read_rgb(content, SIZE)).min() >= 126  # half of it is the white below


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_named_as_a_picture_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    failed = decode_files([tmp_path / "a.png", tmp_path / "b.png"], Recipe(SIZE)).failed
    assert set(failed.values()) == {"cannot be read: a pipe, a socket or a device, not a file"}
    with pytest.raises(UnreadableError, match="a pipe"):
        decode(tmp_path / "a.png", SIZE)
