"""Picture files of every kind that a page is given, by name, and a server for the page."""

import contextlib
import io
import struct
import threading
import zlib
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


def photo(width=90, height=70, seed=0):
    """Smooth colours with some noise."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    colours = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray(np.clip(colours + random.integers(-12, 13, colours.shape), 0, 255).astype(np.uint8))


def encode(image, form, **options):
    """The bytes of a file."""
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def held(orientation):
    """EXIF of a camera held so."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def png(width, height, depth, colour, rows, *, interlaced=0):
    """A PNG as Pillow cannot write it: 16 bits per colour, or interlaced."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def interlaced(image):
    """The rows of Adam7."""
    pixels = np.asarray(image)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [pixels[top::down, left::across] for left, top, across, down in passes]
    return png(*image.size, 8, 2, [row.tobytes() for part in parts for row in part if row.size], interlaced=1)


def in_a_corner(gif):
    """A GIF whose first frame covers only a part."""
    content, frame = bytearray(gif), gif.index(b"\x2c", 13 + 768)
    content[6:10] = struct.pack("<HH", 100, 90)
    content[frame + 1 : frame + 5] = struct.pack("<HH", 5, 7)
    return bytes(content)


def exact_files():
    """Files of formats that lose nothing, which every decoder reads alike."""
    image, grey, few = photo(), photo().convert("L"), photo().quantize(40)
    layered = image.copy()
    layered.putalpha(Image.fromarray(np.random.default_rng(1).integers(0, 256, (70, 90), dtype=np.uint8)))
    deep, colours = np.asarray(grey).astype(np.uint16), np.asarray(image).astype(">u2") * 200
    return {
        "plain.png": encode(image, "PNG"),
        "layered.png": encode(layered, "PNG"),
        "grey and alpha.png": encode(layered.convert("LA"), "PNG"),
        "palette.png": encode(few, "PNG"),
        "palette, one clear.png": encode(few, "PNG", transparency=3),
        "palette, half clear.png": encode(photo().quantize(16), "PNG", transparency=bytes(range(0, 256, 16))),
        "two bits.png": encode(photo().quantize(4), "PNG", bits=2),
        "16 bits.png": encode(Image.fromarray(deep * 257), "PNG"),
        "12 of 16 bits.png": encode(Image.fromarray(deep * 16), "PNG"),
        "16 bits a colour.png": png(90, 70, 16, 2, [row.tobytes() for row in colours]),
        "one bit.png": encode(image.convert("1"), "PNG"),
        "grey.png": encode(grey, "PNG"),
        "grey, one clear.png": encode(grey, "PNG", transparency=100),
        "interlaced.png": interlaced(image),
        "interlaced and tiny.png": interlaced(photo(3, 5)),
        "tiny.png": encode(photo(3, 2), "PNG"),
        "tall.png": encode(photo(31, 211), "PNG"),
        "wide.png": encode(photo(300, 40), "PNG"),
        "already square.png": encode(photo(48, 48), "PNG"),
        "turned.png": encode(image, "PNG", exif=held(6)),
        "lossless.webp": encode(image, "WEBP", lossless=True),
        "turned.webp": encode(image, "WEBP", lossless=True, exif=held(5)),
        "plain.bmp": encode(image, "BMP"),
        "palette.bmp": encode(few, "BMP"),
        "plain.gif": encode(image, "GIF"),
        "one clear.gif": encode(few, "GIF", transparency=3),
        "animated.gif": encode(image, "GIF", save_all=True, append_images=[photo(seed=5)], duration=100),
        "in a corner.gif": in_a_corner(encode(image, "GIF")),
    }


def coded_files():
    """JPEG of every kind, of the size that it is decoded at."""
    image = photo()
    return {
        "usual.jpg": encode(image, "JPEG", quality=85),
        "full colour.jpg": encode(image, "JPEG", subsampling=0),
        "grey.jpg": encode(image.convert("L"), "JPEG"),
        "progressive.jpg": encode(image, "JPEG", progressive=True),
        "of a printer.jpg": encode(image.convert("CMYK"), "JPEG"),
        "lossy.webp": encode(image, "WEBP", quality=80),
        **{f"held {number}.jpg": encode(image, "JPEG", exif=held(number)) for number in range(2, 9)},
    }


def large_files():
    """JPEG that are shrunk while they are decoded."""
    return {
        "large.jpg": encode(photo(801, 603), "JPEG", quality=85),
        "large, full colour.jpg": encode(photo(801, 603), "JPEG", subsampling=0),
        "larger.jpg": encode(photo(1600, 1200), "JPEG"),
    }


def bad_files():
    """Files that nobody should answer for."""
    plain, usual = exact_files()["plain.png"], coded_files()["usual.jpg"]
    flipped = bytearray(plain)
    flipped[200] ^= 4
    return {
        "cut.png": plain[:-900],
        "flipped.png": bytes(flipped),
        "cut.jpg": usual[:-400],
        "ended early.jpg": usual[:-700] + b"\xff\xd9",
        "cut.webp": encode(photo(), "WEBP")[:-300],
        "cut.gif": encode(photo(), "GIF")[:-900],
        "cut.bmp": encode(photo(), "BMP")[:-900],
        "short.png": png(90, 70, 8, 2, [bytes(270)] * 20),
        "huge.png": png(20_000, 20_000, 8, 2, [b"x"]),
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "phone.heic": HEIC,
        "words.jpg": b"hello",
        "empty.png": b"",
    }


@contextlib.contextmanager
def served(folder):
    """The address under which a static server gives a folder."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()
