"""Corrections: an image with its right label, filed for review, and taken back."""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from linnaea.data.review import HISTORY, Change, Facts, ReviewFolder
from linnaea.delivery.serving.contract import ServedModels
from linnaea.delivery.serving.limits import Limits, Refused
from linnaea.delivery.serving.multipart import Part
from linnaea.delivery.serving.page.recent import Recent, Was
from linnaea.delivery.serving.reading import require_allowed
from linnaea.errors import DataError, UnreadableImageError, UsageError, suggest
from linnaea.runtime.cells import join_cell
from linnaea.runtime.images import suffix_of
from linnaea.task import TASKS

DIGEST = re.compile(r"[0-9a-f]{64}")
FIELDS = ("image", "sha256", "label", "none", "new", "model", "request", "place")
EACH = 10_000  # bytes of history for each image that may be filed; a filing has some hundreds
LONGEST_REQUEST = 100  # letters of an id
TRUTH = {"true": True, "1": True, "false": False, "0": False, "": False}


@dataclass(frozen=True)
class Correction:
    """What a form says: `image` or its `sha256`, the right `labels`, and whose answer they correct.

    `none` says that the image shows none of the classes, `new` that the model need not know the labels.
    """

    image: bytes | None = None
    sha256: str = ""
    labels: tuple[str, ...] = ()
    none: bool = False
    new: bool = False
    model: str | None = None
    request: str = ""
    place: int | None = None

    @classmethod
    def read(cls, parts: Sequence[Part]) -> "Correction":
        """From the parts of a form; raises Refused for fields that are unknown, given twice, or make no sense."""
        given: dict[str, list[bytes]] = {}
        for part in parts:
            given.setdefault(part.name, []).append(part.content)
        for name, contents in given.items():
            if name not in FIELDS:
                raise Refused(422, f"the form has a field {name[:60]!r}; expected {', '.join(FIELDS)}.")
            if len(contents) > 1 and name != "label":
                raise Refused(422, f"the form has the field {name!r} {len(contents)} times: give it once.")
        texts = {name: _text(name, contents[0]) for name, contents in given.items() if name not in ("image", "label")}
        sha256, place = texts.get("sha256", ""), texts.get("place", "")
        if sha256 and not DIGEST.fullmatch(sha256):
            raise Refused(422, f"sha256 is {sha256[:80]!r}; expected 64 hexadecimal digits in small letters.")
        request = texts.get("request", "")
        if len(request) > LONGEST_REQUEST or not request.isprintable():
            raise Refused(422, f"request is {request[:40]!r}; expected the id that the answer came with.")
        if place and not (place.isascii() and place.isdecimal() and len(place) < 7):
            raise Refused(422, f"place is {place[:40]!r}; expected which image of its request it was, from 0.")
        return cls(
            image=given["image"][0] if "image" in given else None,
            sha256=sha256,
            labels=tuple(_text("label", content) for content in given.get("label", ())),
            none=_truth("none", texts),
            new=_truth("new", texts),
            model=texts.get("model") or None,
            request=request,
            place=int(place) if place else None,
        )


@dataclass(frozen=True)
class Corrections:
    """Files corrections in a review folder, of images that the server would read, at most `limits.max_review` of them.

    `recent` knows the last answers, `kept` is the folder of images that the audit log keeps, if it keeps any.
    """

    models: ServedModels
    folder: ReviewFolder
    recent: Recent = field(default_factory=Recent)
    kept: Path | None = None
    limits: Limits = Limits()

    def file(self, correction: Correction, client: str = "") -> dict[str, Any]:
        """File an image with its right label; raises Refused with what is wrong."""
        was = self.recent.find(correction.request, correction.place or 0) if correction.request else None
        label = self._label(correction, client)
        image = self._image(correction, was)
        digest = hashlib.sha256(image).hexdigest()
        reviewed = self.folder.reviewed()
        if len(reviewed) >= self.limits.max_review and digest not in reviewed:
            raise Refused(
                507,
                f"the review folder holds {len(reviewed):,} images, and at most {self.limits.max_review:,} are taken "
                "(--max-review): train with them, and start the server with another --review.",
            )
        self._require_room_for_history()
        facts = _facts(correction, was)
        try:
            change = self.folder.file(image, label, facts)
        except (DataError, UsageError) as error:
            raise Refused(422, str(error)) from None
        return _told(change, correction, known=was is not None)

    def undo(self, sha256: str, request: str) -> dict[str, Any]:
        """Take back the last correction of an image, for whoever knows the request that it corrects."""
        standing = self.folder.reviewed().get(sha256) if DIGEST.fullmatch(sha256) else None
        known = standing.facts.request if standing is not None else ""
        if not known or not hmac.compare_digest(known.encode(), request.encode()):
            raise Refused(404, "there is no correction of this image for this request: it may be undone already.")
        try:
            self.folder.undo(sha256)
        except (DataError, UsageError) as error:
            raise Refused(409, str(error)) from None
        return {"sha256": sha256, "undone": True}

    def _require_room_for_history(self) -> None:
        """Raise Refused where the same images were filed again and again: nothing is ever taken out of the history."""
        history = self.folder.folder / HISTORY
        most = self.limits.max_review * EACH
        if history.is_file() and history.stat().st_size > most:
            raise Refused(
                507,
                f"the history of the review folder has more than {most:,} bytes, which --max-review lets it have: "
                "start the server with another --review.",
            )

    def _label(self, correction: Correction, client: str) -> str | tuple[str, ...] | None:
        """The right label as the review folder has it."""
        try:
            classifier = self.models.chosen(client, correction.model).classifier
        except LookupError as error:
            raise Refused(404, str(error)) from None
        labels, classes = correction.labels, classifier.classes
        if correction.none:
            if labels:
                raise Refused(422, "the form says none of the classes and gives a label: leave one of them out.")
            return None
        strange = [label for label in labels if label not in classes]
        if strange and not correction.new:
            raise Refused(
                422,
                f"the label {strange[0][:80]!r} is none of the model's classes.{suggest(strange[0][:80], classes)} "
                "Choose one of them, or send new=true for a new name, or none=true for none of them.",
            )
        if correction.new and not strange:
            raise Refused(422, "the form says new=true, and the model knows every label in it: leave that out.")
        if TASKS[classifier.task].multilabel:
            return labels
        if len(labels) != 1:
            raise Refused(
                422, f"the form has {len(labels)} labels; expected one, or none=true for none of the classes."
            )
        return labels[0]

    def _image(self, correction: Correction, was: Was | None) -> bytes:
        """The image that is sent, or the one that was kept."""
        image, wanted = correction.image, correction.sha256 or (was.sha256 if was is not None else None)
        if image is None:
            image = self._found(wanted)
        if not suffix_of(image):
            raise Refused(415, "the image begins like none that can be read: send JPEG, PNG, WebP, GIF, BMP or TIFF.")
        try:
            require_allowed(image, self.limits.formats)
        except UnreadableImageError as error:
            raise Refused(415, f"the image is refused: {error}.") from None
        if wanted and hashlib.sha256(image).hexdigest() != wanted:
            raise Refused(
                409, "this is not the image that was answered: send the very file, with its request and place."
            )
        return image

    def _found(self, sha256: str | None) -> bytes:
        if sha256 is None:
            raise Refused(422, "the form has neither an image nor its sha256: send one of them.")
        found = sorted(self.kept.glob(f"{sha256}.*")) if self.kept is not None else []
        if not found:
            raise Refused(404, "this server has not kept that image: send the image itself.")
        return found[0].read_bytes()


def require_same_site(headers: Mapping[str, str]) -> None:
    """Raise Refused for what another site makes a browser send: it would file what nobody here has seen."""
    origin, host = headers.get("origin"), headers.get("host", "")
    strange = headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    if strange or (origin is not None and urlsplit(origin).netloc != host):
        raise Refused(403, "corrections are taken from this server's own page and from programs, not from other sites.")


def _facts(correction: Correction, was: Was | None) -> Facts:
    """What the table of the review folder says beside the label."""
    request, place = correction.request, correction.place
    place = 0 if place is None and request else place
    if was is None:
        return Facts(request=request, place=place)
    several = isinstance(was.label, list | tuple)
    answered = join_cell(was.label) if several else "" if was.label is None else str(was.label)
    return Facts(answered, was.confidence, was.reason, request, place)


def _told(change: Change, correction: Correction, *, known: bool) -> dict[str, Any]:
    """What the client is told: what is filed, what it replaces, and whether the answer that it corrects is known."""
    before = None if change.before is None else change.before.label
    labels = None if correction.none else list(correction.labels)
    return {"sha256": change.sha256, "label": labels, "before": before, "known": known}


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Refused(422, f"the field {name!r} is no UTF-8 text.") from None


def _truth(name: str, texts: Mapping[str, str]) -> bool:
    given = texts.get(name, "").strip().lower()
    if given not in TRUTH:
        raise Refused(422, f"{name} is {given[:40]!r}; expected true or false.")
    return TRUTH[given]
