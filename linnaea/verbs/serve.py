"""`serve`: answers over HTTP."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from linnaea.options import (
    Access,
    AuditLogging,
    Hosting,
    Machine,
    Monitoring,
    Only,
    Option,
    Preparation,
    Serving,
    checks,
)
from linnaea.options.checks import one_of
from linnaea.options.things import Trusted
from linnaea.runtime.arguments import DAMAGED
from linnaea.verbs.contract import VERBS


@VERBS.register(
    "serve",
    title="Serve",
    meaning="Answer images over HTTP as predict answers them, with limits on everything.",
    order=73,
)
def serve(
    models: Annotated[
        "str | Path | Sequence[str | Path]",
        Option(
            "Runs, bundles, exports or registry targets, each as FOLDER or NAME=FOLDER.",
            read=str,
            many=True,
            metavar="MODEL",
        ),
    ],
    *,
    host: Annotated[str, Option("Address to listen on; 0.0.0.0 is every one of this machine.")] = "127.0.0.1",
    port: Annotated[int, Option("Port to listen on; 0 is any that is free.", checks.between(0, 65_535, 8000))] = 8000,
    damaged: Annotated[
        str,
        Option("What to do with damaged images: refuse them, or answer from what is left.", one_of(*DAMAGED)),
    ] = "refuse",
    review: Annotated[
        str | Path | None,
        Option("Folder to file images in whose answers are said to be wrong. Default: nobody can say so.", read=Path),
    ] = None,
    trust: Trusted = (),
    monitoring: Monitoring = Monitoring(),
    access: Access = Access(),
    audit_log: AuditLogging = AuditLogging(),
    hosting: Hosting = Hosting(),
    serving: Serving = Serving(),
    preparation: Annotated[Preparation, Only("max_pixels")] = Preparation(),
    machine: Annotated[Machine, Only("device")] = Machine(),
) -> None:
    """Answer images over HTTP until the process is told to end, then what was accepted; see `docs/serving.md`.

    What is answered is what `predict` answers. Of `models`, each a folder with or without a name, the first is asked
    where a request names none. A person finds a page at `/`; what is said to be wrong there is filed in `review`.
    What is answered is watched where there is a folder `monitor` (see `docs/watching.md`).
    `damaged`, `trust` and `max_pixels` are as for `predict`; the other limits are those of
    `linnaea.delivery.serving.limits.Limits`. Raises UsageError where the port is in use, the file of `keys`
    holds none or the folder `log` cannot be written, RunError where another server writes there, all before anything is
    loaded.
    """
    from linnaea.experiments.serving import Loading, Manner, serve_until_stopped

    given = list(models) if isinstance(models, list | tuple) else [str(models)]
    loading = Loading(trust or None, preparation.max_pixels, machine.device)
    manner = Manner(serving, hosting, access, audit_log, monitoring, damaged == "answer", review)
    serve_until_stopped(given, (host, port), loading, manner)
