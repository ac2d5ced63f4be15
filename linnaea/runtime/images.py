"""What kind of image file some bytes are, by how they begin."""

BEGINNINGS = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG\r\n\x1a\n": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}


def suffix_of(content: bytes) -> str:
    """The usual ending of a file with this content; empty for bytes that begin like no image that can be read."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for start, suffix in BEGINNINGS.items() if content.startswith(start)), "")
