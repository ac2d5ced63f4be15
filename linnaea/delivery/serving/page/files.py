"""The files of the page: its own, and those that it shares with the page of an export."""

from functools import cache
from pathlib import Path

OWN = Path(__file__).parent
SHARED = OWN.parents[1] / "browser"
INDEX = "index.html"
KINDS = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript"}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
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
    found = (path for folder in (SHARED, OWN) for path in sorted(folder.iterdir()) if path.suffix in KINDS)
    return {path.name: (path.read_bytes(), KINDS[path.suffix]) for path in found}
