"""What is served, by one process or by several: loaded from where it was staged, reloaded from where it comes from."""

import importlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter, FastAPI

from linnaea.classifier.bundle import bundle_folder
from linnaea.classifier.content import DESCRIPTION
from linnaea.classifier.scorers import SCORERS
from linnaea.classifier.scorers.whole import WholeScorer
from linnaea.delivery.serving.admin import administration
from linnaea.delivery.serving.canary import Canary
from linnaea.delivery.serving.checking import Demands, Probes
from linnaea.delivery.serving.limits import Limits
from linnaea.delivery.serving.models import Models, Source
from linnaea.delivery.serving.post import Post
from linnaea.delivery.serving.protocol import protocol
from linnaea.delivery.serving.reloading import Load, Reloaded, Reloading, Watch
from linnaea.delivery.serving.staging import Stage
from linnaea.runtime.files import read_json

OF_TORCH = ("linnaea.models", "linnaea.models.part", "linnaea.classifier.calibrators", "linnaea.classifier.graph")


@dataclass(frozen=True)
class Fleet:
    """What is served: its `sources`, where they are staged, what loads them, and the shares of clients that try others.

    `demands` are those of a reload, `admins` the names of API keys that may ask for one, `watch` the seconds between
    two looks at the sources (None: nobody looks).
    """

    sources: Sequence[Source]
    stage: Stage
    load: Load
    canaries: Mapping[str, Canary] = field(default_factory=dict)
    demands: Demands = field(default_factory=Demands)
    admins: Collection[str] = ()
    watch: float | None = None

    def staged(self) -> dict[str, str]:
        """Where each source lies, by what names it."""
        return {source.place: str(self.stage.fetch(source)) for source in self.sources}

    def crew(self, staged: Mapping[str, str], post: Post | None = None) -> "Crew":
        """Load all; what answers in this process, which is one of several where there is a `post`."""
        served = [self.load(source, Path(staged[source.place])) for source in self.sources]
        return Crew(self, Models(served, self.canaries), post)


class Crew:
    """What answers in one process: its `models`, and `probes`, an observer that keeps a few images to try others on."""

    def __init__(self, fleet: Fleet, models: Models, post: Post | None = None) -> None:
        self.models, self.probes = models, Probes()
        self._fleet, self._post = fleet, post
        self._reloading: Reloading | None = None
        self._watch: Watch | None = None

    def routers(self, limits: Limits) -> list[APIRouter]:
        """The Open Inference Protocol, and what reloads."""
        fleet = self._fleet
        return [protocol(self.models, limits), administration(self.reload, self, fleet.demands, fleet.admins)]

    def reload(self, name: str | None = None, demands: Demands | None = None) -> list[Reloaded]:
        """As `Reloading.reload`; where there are several processes, by all of them."""
        assert self._reloading is not None, "it is reloaded once it answers"
        asked, stage = self._fleet.demands if demands is None else demands, self._fleet.stage
        if self._post is not None:
            return self._post.reload(name, asked)
        told = self._reloading.reload(name, asked)
        stage.keep(served.folder for served in self.models)
        return told

    def begin(self, application: FastAPI) -> None:
        """It answers: heed what is said to this process, and look at the sources where that is wanted."""
        warm, stage = application.state.answering.warm, self._fleet.stage
        self._reloading = Reloading(self.models, self._fleet.load, warm, stage.fetch, self.probes.images)
        if self._post is not None:
            self._post.ready(self._reloading, stage.keep)
        if self._fleet.watch is not None and (self._post is None or self._post.number == 1):
            self._watch = Watch(self.models, self.reload, self._fleet.watch)
            self._watch.start()

    def end(self) -> None:
        """It answers no more."""
        if self._watch is not None:
            self._watch.stop()


def preload(folders: Iterable[str]) -> None:
    """Import what the classifiers in these folders are run by, once, for all processes that are forked afterwards.

    Nothing is loaded or computed: threads of a runtime would not come along.
    """
    for folder in folders:
        scorer = read_json(bundle_folder(Path(folder)) / DESCRIPTION).get("scorer") or {}
        kind = scorer.get("kind") if isinstance(scorer, dict) else None
        member = SCORERS[kind] if isinstance(kind, str) and kind in SCORERS else None
        if member is not None and issubclass(member, WholeScorer):
            member.require_runtime()
            for library in member.session.NEEDS:
                importlib.import_module(library)
        elif member is not None and not member.whole:
            for module in OF_TORCH:
                importlib.import_module(module)
