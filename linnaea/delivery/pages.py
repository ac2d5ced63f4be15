"""What our pages in a browser share: the files in `browser`, how files are told, and what a page may load."""

from collections.abc import Iterable
from pathlib import Path

PARTS = Path(__file__).parent / "browser"
KINDS = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript"}


def policy(images: str) -> str:
    """The Content-Security-Policy of a page that loads nothing from elsewhere; `images` are the sources of these."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src {images}",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def contents(files: Iterable[Path]) -> dict[str, tuple[bytes, str]]:
    """Content and kind of each file of a page by its name: the last of one name, and none of other kinds."""
    return {path.name: (path.read_bytes(), KINDS[path.suffix]) for path in files if path.suffix in KINDS}
