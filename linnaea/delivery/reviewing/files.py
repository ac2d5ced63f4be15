"""The files of the page of review, and the style that it shares with other pages."""

from functools import cache
from pathlib import Path

OWN = Path(__file__).parent / "page"
SHARED = Path(__file__).parents[1] / "browser" / "style.css"
KINDS = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript"}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)


@cache
def files() -> dict[str, tuple[bytes, str]]:
    """Content and kind of each file by its name."""
    found = (SHARED, *sorted(OWN.iterdir()))
    return {path.name: (path.read_bytes(), KINDS[path.suffix]) for path in found if path.suffix in KINDS}
