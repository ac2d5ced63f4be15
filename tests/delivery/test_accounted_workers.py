"""What several workers count and log is the sum of what clients were told, also when one of them is killed."""

import os
import signal
import time
from collections import Counter

import httpx2
from colour_server import save_shades
from served import image_file
from test_workers import serving, times_opened, wait_until

from linnaea.delivery.serving.audit_log import read_log
from linnaea.delivery.serving.keys import make_key


def numbers_of(running, secret):
    """Each number that /metrics tells, by name and labels."""
    answer = httpx2.get(f"{running.address}/metrics", headers={"x-api-key": secret})
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def asked(running, secret, count):
    """The ids of so many requests, each on a connection of its own."""
    told = []
    for _ in range(count):
        answer = httpx2.post(f"{running.address}/predict", content=image_file(), headers={"x-api-key": secret})
        assert answer.status_code == 200, answer.text
        told.append(answer.json()["request"])
    return told


def test_numbers_and_logs_of_workers_are_exact_also_when_one_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("test_workers.PATIENCE", 150.0)  # on a machine that has more to do
    keys, log = tmp_path / "keys.json", tmp_path / "log"
    secret = make_key(keys, "lab").secret
    with serving([save_shades(tmp_path / "colours")], workers=2, log=str(log), keys=str(keys)) as running:
        told = asked(running, secret, 20)
        before = running.workers()
        os.kill(before[0], signal.SIGKILL)
        until = time.monotonic() + 150
        while set(running.workers()) & {before[0]} or len(running.workers()) < 2:
            assert time.monotonic() < until
            time.sleep(0.05)
        wait_until(lambda: times_opened(log) == 3, "the new one had its log")
        told += asked(running, secret, 20)
        until = time.monotonic() + 150
        answered = 'linnaea_requests_total{outcome="answered",route="/predict",status="200"}'
        while numbers_of(running, secret)[answered] < 40:  # counted once the last byte is sent
            assert time.monotonic() < until
        for _ in range(6):  # whichever worker is asked
            found = numbers_of(running, secret)
            assert found['linnaea_predictions_total{label="red",model="colours"}'] == 40
            assert found[answered] == 40
            assert found['linnaea_request_seconds_count{route="/predict"}'] == 40
            assert found["linnaea_queue_images"] == 0
        assert httpx2.get(f"{running.address}/metrics").status_code == 401
    found = read_log(log)
    rows = list(found.records)
    assert Counter(row["request"] for row in rows) == Counter(told)
    assert {row["key"] for row in rows} == {"lab"}
    assert found.faults == []
    assert len([note for note in found.notes if "was ended without closing the log" in note]) == 1
    assert sorted(found.ends) == ["worker-1", "worker-2"]
