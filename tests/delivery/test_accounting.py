"""A server that counts, logs and asks for keys: what it did is in its log, in its numbers, and nowhere else."""

import json
import logging
import resource
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from served import Catalogue, Model, colours, image_file

from linnaea.delivery.serving.application import make_application
from linnaea.delivery.serving.audit_log import read_log
from linnaea.delivery.serving.audit_log.checking import checked_log
from linnaea.delivery.serving.keys import make_key
from linnaea.delivery.serving.limits import Limits
from linnaea.errors import RunError, UsageError
from linnaea.experiments.accounting import Accounting, accounting
from linnaea.options import Access, AuditLogging


@contextmanager
def serving(access=None, **log):
    """A client of a server with these options."""
    with accounting(access or Access(), AuditLogging(**log)) as made:
        account = made(0)
        catalogue = Catalogue(Model(colours()))
        app = account.around(make_application(catalogue, account.observers, Limits(), account.routers))
        with TestClient(app) as client:
            yield client


@contextmanager
def full_disk():
    """No file of this process may grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def sample(client, name, **headers):
    lines = client.get("/metrics", headers=headers).text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_every_answer_is_logged_and_counted_as_the_client_was_told(tmp_path):
    keys = tmp_path / "keys.json"
    secret = make_key(keys, "lab").secret
    with serving(Access(keys=keys), log=tmp_path / "log", keep_images=True) as client:
        asked = {"x-api-key": secret}
        files = [("images", ("a.png", image_file(), "image/png")), ("images", ("b.png", b"no image", "image/png"))]
        answer = client.post("/predict", files=files, headers=asked)
        assert client.post("/predict", files=files).status_code == 401
        assert sample(client, 'linnaea_predictions_total{label="red"', **asked) == 1
        assert sample(client, 'linnaea_requests_total{outcome="refused",route="/predict",status="401"}', **asked) == 1
    told = answer.json()
    log = read_log(tmp_path / "log")
    rows = sorted(log.records, key=lambda row: row["place"])
    assert log.faults == []
    assert [(row["request"], row["place"], row["key"]) for row in rows] == [(told["request"], n, "lab") for n in (0, 1)]
    for row, said in zip(rows, told["answers"], strict=True):
        assert row["answer"] == {name: said[name] for name in row["answer"]}
    assert rows[0]["answer"]["label"] == "red"
    assert (rows[1]["answer"]["reason"], rows[1]["logits"]) == ("unreadable", [])
    assert len(rows[0]["logits"]) == 3
    assert (rows[0]["looks"]["width"], rows[0]["digest"]) == (24, told["answers"] and Model(None).digest)
    checked = checked_log(tmp_path / "log")
    assert (checked.answers, checked.images, checked.faults) == (2, 2, ())
    assert not any(secret in path.read_text() for path in (tmp_path / "log").glob("*.jsonl"))


def test_no_answer_leaves_unlogged_unless_that_was_chosen(tmp_path):
    with serving(log=tmp_path / "refuse") as client:
        with full_disk():
            refused = client.post("/predict", content=image_file())
        assert refused.status_code == 503
        assert "the audit log cannot be written (File too large)" in refused.json()["error"]
        assert int(refused.headers["retry-after"]) > 0
        assert client.post("/predict", content=image_file()).status_code == 200
        assert sample(client, 'linnaea_log_failures_total{outcome="refused"}') == 1
        assert sample(client, "linnaea_predictions_total") == 1
    with serving(log=tmp_path / "continue", on_log_failure="continue") as client:
        with full_disk():
            assert client.post("/predict", content=image_file()).status_code == 200
        assert sample(client, 'linnaea_log_failures_total{outcome="given"}') == 1
    assert "1 answer was given and not logged" in read_log(tmp_path / "continue").notes[0]


def test_what_cannot_be_is_refused_before_there_is_a_server(tmp_path):
    (tmp_path / "file").write_text("x")
    for access, log, said in (
        (Access(), AuditLogging(log=tmp_path / "file"), "cannot be written to"),
        (Access(keys=tmp_path / "none.json"), AuditLogging(), "make one with `linnaea key NAME"),
        (Access(keys=tmp_path / "file"), AuditLogging(), "make one with `linnaea key NAME"),
    ):
        for workers in (1, 2):
            with pytest.raises(UsageError, match=said), accounting(access, log, workers):
                pass
    for workers in (1, 2):
        with (
            accounting(Access(), AuditLogging(log=tmp_path / "log"), workers),
            pytest.raises(RunError, match="is in use by process"),
            accounting(Access(), AuditLogging(log=tmp_path / "log"), 3 - workers),
        ):
            pass


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Access(rate="5"),
        lambda: Access(cors=["*"]),
        lambda: AuditLogging(log_sync="often"),
        lambda: AuditLogging(log_size="big"),
        lambda: AuditLogging(on_log_failure="ignore"),
    ],
)
def test_options_are_checked(wrong):
    with pytest.raises(UsageError):
        wrong()


def test_each_worker_has_its_chain_and_all_one_total(tmp_path, monkeypatch):
    with accounting(Access(), AuditLogging(log=tmp_path / "log"), 2):
        accounts = [Accounting(Access(), AuditLogging(log=tmp_path / "log"), worker, 2) for worker in (1, 2)]
        for account in accounts:
            account.close()
    assert sorted(read_log(tmp_path / "log").ends) == ["worker-1", "worker-2"]


def test_what_a_server_logs_is_json_while_it_runs(capsys):
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("plain %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        with serving() as client:
            client.post("/predict", content=image_file())
            logging.getLogger("linnaea").warning("something")
        logging.getLogger("linnaea").warning("afterwards")
    finally:
        logging.getLogger().removeHandler(handler)
    *lines, last = capsys.readouterr().err.splitlines()
    lines = [json.loads(line) for line in lines]
    assert (lines[0]["path"], lines[0]["status"], len(lines[0]["request"])) == ("/predict", 200, 32)
    assert (lines[1]["message"], last) == ("something", "plain afterwards")
