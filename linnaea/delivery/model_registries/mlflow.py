"""MLflow as a model registry: a registered model, whose versions have the bundle as artifacts of a run."""

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from linnaea.classifier.content import SIGNATURE, Content, is_address
from linnaea.classifier.signature import signature_text
from linnaea.delivery.model_registries.contract import (
    MODEL_REGISTRIES,
    PUSH,
    ModelRegistry,
    Move,
    Version,
    asking,
    now,
    require_expected,
)
from linnaea.errors import MissingExtraError, UsageError

EXPERIMENT = "linnaea"  # unless MLFLOW_EXPERIMENT_NAME says otherwise
VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
ADDRESS, SIGNED = "linnaea.address", "linnaea.signature"  # tags of a version
LONGEST_REASON = 2_000  # letters that a tag surely holds
BUNDLE, DOWNLOAD = "bundle", ".download"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,99}")
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}


@MODEL_REGISTRIES.register(
    "mlflow",
    title="MLflow",
    meaning="A registered model on the server, or in the database, of MLFLOW_TRACKING_URI: `mlflow:birds`; tags are "
    "its aliases.",
    order=2,
    history=True,
)
class MLflowRegistry(ModelRegistry):
    """Each push logs a run with the bundle as its artifacts, and registers that as the next version."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        if not NAME.fullmatch(place):
            raise UsageError(f"{place!r} is no name of a registered model: expected letters, digits, dots and dashes.")
        self.uri = os.environ.get(VARIABLES[0], "")
        if not self.uri:
            raise UsageError(
                f"{VARIABLES[0]} is not set: expected the address of an MLflow server, or a database such as "
                "sqlite:///mlflow.db."
            )
        self.client: Any = None

    def push(self, content: Content, tags: Sequence[str]) -> Version:
        """Log and register the bundle, unless the latest version is the same; tags become aliases."""
        signature = signature_text(content)
        facts = {ADDRESS: content.address, SIGNED: _digest(signature)}
        with self._asking():
            known = self.client.search_model_versions(f"name='{self.place}'") if self._is_there() else []
            last = max(known, key=lambda version: int(version.version), default=None)
            if last is None or {name: last.tags.get(name) for name in facts} != facts:
                last = self._registered(content, signature, facts)
        for tag in tags:
            before = self.pointed(tag)
            if before != int(last.version):
                self._point(tag, Move(int(last.version), before, PUSH, "", now()))
        return next(version for version in self.versions() if version.number == int(last.version))

    def versions(self) -> list[Version]:
        """The registered versions, with their aliases."""
        with self._asking():
            if not self._is_there():
                return []
            aliases = self.client.get_registered_model(self.place).aliases
            found = self.client.search_model_versions(f"name='{self.place}'")
        return sorted(
            (
                Version(
                    int(version.version),
                    _address(version.tags.get(ADDRESS)),
                    tuple(sorted(tag for tag, meant in aliases.items() if int(meant) == int(version.version))),
                )
                for version in found
            ),
            key=lambda version: version.number,
        )

    def move(self, tag: str, version: int, *, expected: int | None, by: str, reason: str) -> Move:
        """MLflow has no lock: what the alias points to is looked at just before it is moved."""
        before = self.pointed(tag)
        require_expected(self.place, tag, before, expected)
        made = Move(version, before, by, reason[:LONGEST_REASON], now())
        self._point(tag, made)
        return made

    def moves(self, tag: str) -> list[Move]:
        """Kept as tags of the versions, `linnaea.production.000001`."""
        with self._asking():
            found = self.client.search_model_versions(f"name='{self.place}'") if self._is_there() else []
        begin = f"linnaea.{tag}."
        told = {key: text for one in found for key, text in one.tags.items() if key.startswith(begin)}
        return [Move(**json.loads(told[key])) for key in sorted(told)]

    def _point(self, tag: str, made: Move) -> None:
        """Write the move down, then make it."""
        key = f"linnaea.{tag}.{len(self.moves(tag)) + 1:06}"
        with self._asking():
            self.client.set_model_version_tag(self.place, str(made.version), key, json.dumps(made.to_json()))
            self.client.set_registered_model_alias(self.place, tag, str(made.version))

    def fetch(self, version: Version, folder: Path) -> None:
        """Download the artifacts of a version."""
        with self._asking():
            from mlflow.artifacts import download_artifacts

            place = self.client.get_model_version_download_uri(self.place, str(version.number))
            (folder / DOWNLOAD).mkdir()
            came = Path(download_artifacts(place, dst_path=str(folder / DOWNLOAD), tracking_uri=self.uri))
            for path in came.iterdir() if came.is_dir() else [came]:
                path.rename(folder / path.name)
            shutil.rmtree(folder / DOWNLOAD)

    def _registered(self, content: Content, signature: str | None, facts: dict[str, str]) -> Any:
        from mlflow.exceptions import MlflowException

        if not self._is_there():
            try:
                self.client.create_registered_model(self.place)
            except MlflowException:  # by another one who pushes at the same time
                self.client.get_registered_model(self.place)
        run = self.client.create_run(self._experiment(), run_name=f"push {self.place}")
        with tempfile.TemporaryDirectory() as staged:
            for name in content.files:
                (Path(staged) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(content.folder / name, Path(staged) / name)
            if signature is not None:
                (Path(staged) / SIGNATURE).write_text(signature, encoding="utf-8")
            self.client.log_artifacts(run.info.run_id, staged, BUNDLE)
        self.client.set_terminated(run.info.run_id)
        source = f"{run.info.artifact_uri}/{BUNDLE}"
        return self.client.create_model_version(self.place, source, run.info.run_id, tags=facts)

    def _is_there(self) -> bool:
        return bool(self.client.search_registered_models(f"name='{self.place}'"))

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id if found is not None else self.client.create_experiment(name))

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """With a client, without its warnings on what it is made of, and with errors that name the server."""
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        with warnings.catch_warnings(), asking(f"MLflow at {self.uri}"):
            warnings.simplefilter("ignore")
            if self.client is None:
                self.client = _client(self.uri)
            yield


def _client(uri: str) -> Any:
    try:
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError:
        raise MissingExtraError("mlflow", "logging") from None
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(uri, os.environ.get(VARIABLES[1]) or uri)


def _address(told: Any) -> str:
    return told if isinstance(told, str) and is_address(told) else ""


def _digest(signature: str | None) -> str:
    return "" if signature is None else hashlib.sha256(signature.encode()).hexdigest()
