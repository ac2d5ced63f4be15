"""What a training tells of itself: its curves, what they show, what the network was fed, and what loggers keep."""

import csv
import importlib.util
import json
import logging

import numpy as np
import pytest
import torch
from mlflow.tracking import MlflowClient
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import linnaea as ln
from linnaea.delivery.loggers import LOGGERS, Logger
from linnaea.errors import MissingExtraError, UsageError
from linnaea.experiments.fed_sheet import draw_fed, label_of
from linnaea.experiments.logs import logging_to
from linnaea.learning.examples import Examples
from linnaea.learning.objectives.supervised import Supervised
from linnaea.learning.rungs import Job, Options
from linnaea.learning.schedule import Schedule
from linnaea.learning.supervised import train_network
from linnaea.models.compact import Compact
from linnaea.runtime.plan import Plan
from linnaea.task import TASKS


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    """Bright bars on noise, upright or lying."""
    folder, random = tmp_path_factory.mktemp("data") / "bars", np.random.default_rng(0)
    for name in ("lying", "upright"):
        for number in range(40):
            picture = random.integers(0, 90, (16, 16, 3), dtype=np.uint8)
            place = random.integers(2, 12)
            (picture if name == "lying" else picture.transpose(1, 0, 2))[place : place + 2] = 220
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / name / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def run(bars, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "bars"
    ln.train(bars, out=folder, model="scratch,lenet5", weights="none", epochs=5, batch_size=16, augment=["flip"])
    return folder


def rows_of(file):
    with file.open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_each_network_has_curves_and_a_sentence_on_what_they_show(run):
    history = rows_of(run / "history.csv")
    assert {row["rung"] for row in history} == {"scratch", "lenet5"}
    assert all(0 <= float(row["seen_accuracy"]) <= 1 and float(row["seen_loss"]) > 0 for row in history)
    found = json.loads((run / "findings" / "learning_curves.json").read_text())
    assert [finding["rows"][0]["network"] for finding in found] == ["scratch", "lenet5"]
    report = (run / "report.html").read_text()
    for finding in found:
        assert finding["summary"].split("'")[0][:60] in report
    assert report.count("Learning rate by epoch") == 2


def test_each_network_leaves_a_sheet_of_what_it_was_fed(run):
    for name in ("scratch", "lenet5"):
        with Image.open(run / "fed" / f"{name}.png") as sheet:
            assert sheet.width > 6 * 96
    assert (run / "report.html").read_text().count("What it was fed") == 2


@pytest.mark.parametrize("augmentations", [("flip", "shift"), ("flip", "mixup")])
def test_what_is_shown_is_what_the_network_sees_first(augmentations, monkeypatch):
    shown, seen, pixels, random = [], [], [], np.random.default_rng(0)
    train, val = (Examples(random.integers(0, 256, (n, 16, 16, 3), dtype=np.uint8), np.arange(n) % 2) for n in (48, 16))
    options = Options(epochs=1, batch_size=16, precision="float32", seed=5)
    job = Job(train, val, 2, TASKS["binary"], options, on_fed=lambda *batch: shown.append(batch))
    model, mix = Compact(classes=2, size=16), Supervised.seen
    model.register_forward_pre_hook(lambda module, inputs: pixels.append(inputs[0]) if module.training else None)
    monkeypatch.setattr(Supervised, "seen", lambda self, *batch: seen.append(mix(self, *batch)) or seen[-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    train_network(job, model, optimizer, Schedule(1, 16, 0.01), Plan("cpu"), augmentations=augmentations)
    ((images, targets),) = shown
    assert images.shape == (16, 3, 16, 16)
    assert torch.equal(pixels[0], images.float() / 255)
    assert torch.equal(seen[1 if "mixup" in augmentations else 0][1], targets)
    assert (targets.ndim == 2) == ("mixup" in augmentations)


def test_a_sheet_says_the_shares_of_mixed_labels(tmp_path):
    mixed = torch.tensor([[1.0, 0.0], [0.3, 0.7]])
    sheet = draw_fed(tmp_path, "net", torch.zeros(2, 3, 16, 16, dtype=torch.uint8), mixed, ("ant", "bee"))
    assert sheet == tmp_path / "fed" / "net.png"
    assert label_of(mixed[0], ("ant", "bee")) == "ant"
    assert label_of(mixed[1], ("ant", "bee")) == "70% bee, 30% ant"
    assert label_of(torch.tensor(1), ("ant", "bee")) == "bee"


@pytest.fixture(scope="module")
def logged(bars, tmp_path_factory):
    """A run whose loggers keep all of it, beside one that breaks in its second epoch."""

    class Breaking(Logger):
        def epoch(self, network, row):
            if row["epoch"] == 2:
                raise OSError("the disk is full\nand more")

    folder, lines = tmp_path_factory.mktemp("runs") / "bars", Lines()
    logging.getLogger("linnaea").addHandler(lines)
    with LOGGERS.restored(), pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        LOGGERS.register("breaking")(Breaking)
        logs = ["tensorboard", "mlflow", "breaking"]
        options = {"model": "lenet5", "weights": "none", "epochs": 3, "augment": ["flip"], "seed": 7}
        try:
            ln.train(bars, out=folder, log=logs, **options)
        finally:
            logging.getLogger("linnaea").removeHandler(lines)
    return folder, lines.said


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


def final(run):
    return json.loads((run / "metrics.json").read_text())["test"]["accuracy"]


def test_tensorboard_says_how_it_is_opened(tmp_path, caplog):
    caplog.set_level(logging.INFO, "linnaea")
    LOGGERS["tensorboard"](tmp_path).end("finished")
    assert caplog.messages == [f"To see the curves: tensorboard --logdir {tmp_path / 'logs' / 'tensorboard'}"]


def test_tensorboard_reads_what_was_logged(logged):
    run, _ = logged
    history = rows_of(run / "history.csv")
    network = EventAccumulator(str(run / "logs" / "tensorboard" / "lenet5")).Reload()
    for column in ("train_loss", "val_loss", "val_accuracy", "learning_rate"):
        values = [(event.step, event.value) for event in network.Scalars(column)]
        assert values == [(int(row["epoch"]), pytest.approx(float(row[column]), rel=1e-4)) for row in history]
    assert network.Images("fed")[0].width > 6 * 96
    whole = EventAccumulator(str(run / "logs" / "tensorboard" / "run")).Reload()
    accuracy = final(run)
    assert whole.Scalars("test/accuracy")[-1].value == pytest.approx(accuracy["value"])
    assert whole.Scalars("test/accuracy/lo")[-1].value == pytest.approx(accuracy["lo"])
    assert b"| seed | 7 |" in whole.Tensors("recipe/text_summary")[0].tensor_proto.string_val[0]


def test_mlflow_reads_what_was_logged(logged):
    run, _ = logged
    client = MlflowClient(f"sqlite:///{run / 'logs' / 'mlflow' / 'mlflow.db'}")
    (kept,) = client.search_runs([client.get_experiment_by_name("linnaea").experiment_id])
    assert (kept.info.status, kept.info.run_name) == ("FINISHED", "bars")
    assert kept.data.params["seed"] == "7"
    assert kept.data.params["augment"] == '["flip"]'
    losses = [(metric.step, metric.value) for metric in client.get_metric_history(kept.info.run_id, "lenet5/val_loss")]
    history = rows_of(run / "history.csv")
    assert losses == [(int(row["epoch"]), pytest.approx(float(row["val_loss"]), rel=1e-4)) for row in history]
    assert kept.data.metrics["test/accuracy/hi"] == pytest.approx(final(run)["hi"])
    assert [file.path for file in client.list_artifacts(kept.info.run_id, "fed")] == ["fed/lenet5.png"]


def test_a_logger_that_fails_is_left_out_and_the_run_goes_on(logged):
    run, said = logged
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    assert [line for line in said if "breaking" in line] == [
        "The logger breaking failed and is told no more; the run goes on. the disk is full."
    ]


def test_a_logger_that_cannot_begin_is_refused(bars, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    with pytest.raises(UsageError, match="the logger mlflow cannot begin"):
        ln.train(bars, out=tmp_path / "run", model="majority", weights="none", log=["mlflow"])


def test_a_missing_library_is_answered_with_the_command_before_any_work(bars, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else found(name))
    with pytest.raises(MissingExtraError, match=r"tensorboard is not installed: .*'linnaea\[logging\]'"):
        ln.train(bars, out=tmp_path / "run", model="majority", weights="none", log=["tensorboard"])
    with pytest.raises(UsageError, match="Did you mean 'mlflow'"):
        ln.train(bars, out=tmp_path / "run", model="majority", weights="none", log=["mlfow"])
    assert not (tmp_path / "run").exists()


def stopped(names, folder, recipe):
    with logging_to(names, folder, recipe) as logs:
        for epoch in (1, 2, 3):
            logs.epoch("net", {"epoch": epoch, "val_loss": 1.0})
        raise KeyboardInterrupt


def test_a_run_that_goes_on_is_one_run_everywhere(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    names, recipe = ["tensorboard", "mlflow"], {"seed": 7}
    with pytest.raises(KeyboardInterrupt):
        stopped(names, tmp_path, recipe)
    client = MlflowClient(f"sqlite:///{tmp_path / 'logs' / 'mlflow' / 'mlflow.db'}")
    runs = [client.get_experiment_by_name("linnaea").experiment_id]
    assert client.search_runs(runs)[0].info.status == "KILLED"
    (tmp_path / "metrics.json").write_text('{"val": {"accuracy": {"value": 0.5, "lo": null, "hi": null}}}')
    with logging_to(names, tmp_path, recipe) as logs:
        for epoch in (3, 4):
            logs.epoch("net", {"epoch": epoch, "val_loss": 2.0})
    (kept,) = client.search_runs(runs)
    assert (kept.info.status, kept.data.metrics["net/val_loss"]) == ("FINISHED", 2.0)
    events = EventAccumulator(str(tmp_path / "logs" / "tensorboard" / "net")).Reload().Scalars("val_loss")
    assert [(event.step, event.value) for event in events] == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]
