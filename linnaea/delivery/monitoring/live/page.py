"""The page of a live watch, and the same as JSON, as routes of a server."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response

from linnaea.delivery.monitoring.live.watching import Watching
from linnaea.delivery.report.monitoring import render_monitoring
from linnaea.runtime.words import counted

JSON, HTML = "application/json", "text/html; charset=utf-8"
PAGE_HEADERS = {  # it holds its own style and pictures, and nothing that runs
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
}


def monitor_routes(watching: Watching) -> APIRouter:
    """`/monitor`, a page as `linnaea monitor` writes it, and `/monitor.json`; `?digest=` asks for another version."""
    router = APIRouter()

    @router.get("/monitor", include_in_schema=False)
    async def page(digest: str | None = None) -> Response:
        content = content_of(watching, digest)
        return Response(await asyncio.to_thread(render_monitoring, content), media_type=HTML, headers=PAGE_HEADERS)

    @router.get("/monitor.json", summary="What is watched of the answers, and what was found.")
    async def told(digest: str | None = None) -> Response:
        from linnaea.delivery.serving.doorway import in_json

        return Response(in_json(content_of(watching, digest)), media_type=JSON)

    return router


def content_of(watching: Watching, digest: str | None = None) -> dict[str, Any]:
    """What `monitoring.json` holds, of the version with this digest, or of the one that answered last."""
    known = digest if digest in watching.watches else watching.latest
    watch = None if known is None else watching.watches.get(known)
    if known is None or watch is None:
        return _facts("models", 0, 0) | {"monitors": {}, "alarm": False, "notes": [*_notes(watching), NOTHING]}
    model, version = watching.names[known]
    found = watching.findings.get(known, {})
    monitors = {name: [finding.to_json() for finding in each] for name, each in found.items()}
    alarms = any(finding.severity == "error" for each in found.values() for finding in each)
    told = _facts(f"{model} {version}", watch.told_images, len(watch.windows))
    return told | {
        "window": str(watching.settings.window),
        "reference": watch.reference.named,
        "reference_images": len(watch.reference.seen),
        "rate": watching.settings.rate,
        "seed": watching.settings.seed,
        "classes": list(watch.reference.classes),
        "notes": [*watch.reference.notes, *_notes(watching), *_versions(watching, known), *_begun(watching, known)],
        "monitors": monitors,
        "alarm": alarms,
    }


NOTHING = "Nothing was answered yet by a model whose reference is known."


def _facts(name: str, images: int, windows: int) -> dict[str, Any]:
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return {"name": name, "made": made, "since": "what is served", "images": images, "windows": windows}


def _begun(watching: Watching, digest: str) -> list[str]:
    size = watching.settings.window
    return [] if watching.findings.get(digest) else [f"Windows are compared from the first {size:,} answers on."]


def _versions(watching: Watching, shown: str) -> list[str]:
    others = [f"{model} {version} (?digest={one})" for one, (model, version) in watching.names.items() if one != shown]
    return [f"Also watched: {', '.join(others)}."] if others else []


def _notes(watching: Watching) -> list[str]:
    """What the watch could not do; nothing of it is silent."""
    telling = watching.telling
    counts = (
        (watching.unwatched, "answer was", "answers were", "not watched: nobody knows what the model was judged on"),
        (watching.left_out, "answer was", "answers were", "left out: too many waited to be looked at"),
        (watching.overtaken, "window was", "windows were", "judged only together with the next"),
        (watching.failures, "failure is", "failures are", "in the log"),
        (telling.waiting, "alert waits", "alerts wait", "for a channel that does not take them"),
        (telling.lost, "alert was", "alerts were", "never sent: see the log"),
    )
    return [*watching.notes, *(f"{counted(count, one, many)} {what}." for count, one, many, what in counts if count)]
