"""MLflow: a run on the server of MLFLOW_TRACKING_URI or, without one, in `logs/mlflow`."""

import json
import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from linnaea.delivery.loggers.contract import FOLDER, LOGGERS, Logger, flat, numbers_in
from linnaea.runtime.files import read_json, write_json

EXPERIMENT = "linnaea"  # unless MLFLOW_EXPERIMENT_NAME says otherwise
LONGEST = 500  # characters of a parameter
STATUSES = {"finished": "FINISHED", "interrupted": "KILLED"}
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}  # a training waits meanwhile

Given = ParamSpec("Given")


def _quietly(method: Callable[Given, None]) -> Callable[Given, None]:
    """Without the warnings that MLflow has on what it is made of: nobody who trains can act on them."""

    @wraps(method)
    def quiet(*args: Given.args, **keywords: Given.kwargs) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            method(*args, **keywords)

    return quiet


@LOGGERS.register(
    "mlflow",
    title="MLflow",
    meaning="A run on the server of MLFLOW_TRACKING_URI, or in a database in `logs/mlflow` of the run.",
    needs=("mlflow", "sqlalchemy", "alembic"),
    extra="logging",
)
class MLflow(Logger):
    """Parameters, metrics by epoch, and pictures; nothing is reported to the makers of MLflow."""

    @_quietly
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.place = folder / FOLDER / "mlflow"
        self.place.mkdir(parents=True, exist_ok=True)
        self.uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(self.place / 'mlflow.db').resolve()}"
        self.client: Any = MlflowClient(self.uri)
        self.id = ""

    @_quietly
    def begin(self, recipe: Mapping[str, Any]) -> None:
        """Begin a run with the recipe as parameters, or go on with the one that was begun there."""
        from mlflow.entities import Param

        known = self.place / "run.json"
        if known.is_file() and (told := read_json(known))["uri"] == self.uri:
            self.id = str(told["run"])
            self.client.update_run(self.id, status="RUNNING")
            return
        self.id = self.client.create_run(self._experiment(), run_name=self.folder.resolve().name).info.run_id
        write_json(known, {"uri": self.uri, "run": self.id})
        given = {name: value for name, value in recipe.items() if value is not None}
        self.client.log_batch(self.id, params=[Param(name, _words(value)) for name, value in given.items()])

    @_quietly
    def epoch(self, network: str, row: Mapping[str, Any]) -> None:
        """Log the figures of an epoch."""
        self._log({f"{network}/{name}": value for name, value in numbers_in(row).items()}, int(row["epoch"]))

    @_quietly
    def picture(self, network: str, name: str, file: Path) -> None:
        """Log a picture as an artifact."""
        self.client.log_artifact(self.id, str(file), name)

    @_quietly
    def figures(self, figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Log the figures with their limits."""
        self._log(flat(figures), 0)

    @_quietly
    def end(self, status: str) -> None:
        """Say how the run ended."""
        self.client.set_terminated(self.id, STATUSES.get(status, "FAILED"))

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        own = None if os.environ.get("MLFLOW_TRACKING_URI") else (self.place / "artifacts").resolve().as_uri()
        return str(self.client.create_experiment(name, artifact_location=own))

    def _log(self, figures: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(re.sub(r"[^\w\-. /]", "_", name), value, now, step) for name, value in figures.items()]
        self.client.log_batch(self.id, metrics=metrics)


def _words(value: Any) -> str:
    return (value if isinstance(value, str) else json.dumps(value))[:LONGEST]
