"""Several processes answer as one: none fails a request when all reload, one is killed, or all are told to end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from colour_server import save_shades
from served import image_file

from linnaea.delivery.serving.audit_log import read_log
from linnaea.delivery.serving.workers import shared

RED = image_file()
SCRIPT = Path(__file__).with_name("colour_server.py")
PATIENCE = 40.0


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


class Running:
    """A server in processes of its own."""

    def __init__(self, process, port):
        self.process, self.address = process, f"http://127.0.0.1:{port}"

    def workers(self):
        """The numbers of the processes that answer."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(number) for number in children.split()]

    def client(self):
        return httpx2.Client(base_url=self.address, timeout=PATIENCE, verify=False)

    def version(self):
        with self.client() as client:
            return client.get("/v2/models/colours").json()["parameters"]["version"]

    def versions(self, count=12):
        """The versions that answer, asked on connections of their own."""
        return Counter(self.version() for _ in range(count))

    def reload(self, **query):
        with self.client() as client:
            return client.post("/admin/reload", params=query)


@contextmanager
def serving(models, **options):
    port = free_port()
    asked = {"models": [str(each) for each in models], "port": port, "options": options}
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps(asked)], stderr=subprocess.PIPE, text=True, bufsize=1
    )
    running = Running(process, port)
    running.said = []
    reader = threading.Thread(target=lambda: running.said.extend(process.stderr), daemon=True)
    reader.start()
    try:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert process.poll() is None, running.said
            try:
                if httpx2.get(f"{running.address}/v2/health/ready").status_code == 200:
                    break
            except httpx2.HTTPError:
                time.sleep(0.05)
        yield running
        process.terminate()
        assert process.wait(PATIENCE) == 0, running.said
    finally:
        process.kill()
        process.wait()
        reader.join(5)
        process.stderr.close()


class Load:
    """Clients that ask one after the other, each in its thread, until they are told to stop."""

    def __init__(self, running, clients=4):
        self._running, self._stop = running, threading.Event()
        self.told, self.failed = Counter(), []
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _ask(self):
        with self._running.client() as client:
            while not self._stop.is_set():
                try:
                    response = client.post("/predict", content=RED)
                    assert response.status_code == 200, response.text
                    self.told[response.json()["version"]] += 1
                except Exception as error:  # noqa: BLE001  it is counted
                    self.failed.append(f"{type(error).__name__}: {error}")
                    return


def wait_until(condition, what):
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"it took too long until {what}"
        time.sleep(0.02)


@pytest.fixture
def folder(tmp_path):
    return save_shades(tmp_path / "colours")


@pytest.mark.parametrize("workers", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_reload_under_load_fails_no_request_and_all_processes_switch(folder, workers):
    with serving([folder], workers=workers) as running:
        first = running.version()
        with Load(running) as load:
            wait_until(lambda: first in load.told, "the first was asked")
            for blue in (0.1, 0.2, 0.3):
                save_shades(folder, blue=blue)
                told = running.reload()
                assert told.status_code == 200, told.text
                (row,) = told.json()["reloaded"]
                assert row["switched"]
                assert set(running.versions()) == {row["after"]}
                wait_until(lambda version=row["after"]: version in load.told or load.failed, "the new one was asked")
        assert not load.failed
        before = running.version()
        (folder / "shade.json").write_text("{}")
        told = running.reload()
        assert told.status_code == 409
        assert "shade.json has changed since it was saved" in told.json()["error"]
        assert set(running.versions()) == {before}
        save_shades(folder, classes=("blue", "green", "black"))
        assert "without red; with black" in running.reload().json()["error"]
        assert running.reload(other_classes="true").json()["reloaded"][0]["switched"]
        assert set(running.versions()) != {before}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_reloads_and_what_is_refused_is_logged(folder, workers):
    with serving([folder], workers=workers) as running:
        first = running.version()
        save_shades(folder, blue=0.1)
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: first not in running.versions(), "all had the new version")
        (folder / "shade.json").write_text("{}")
        second = running.version()
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any("Not reloaded" in line for line in running.said), "it was said")
        assert set(running.versions()) == {second}


@pytest.mark.slow
def test_what_is_put_into_the_folder_is_found(folder):
    with serving([folder], workers=2, reload_every=0.1) as running:
        first = running.version()
        save_shades(folder, blue=0.1)
        wait_until(lambda: first not in running.versions(), "all had the new version")


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_loads_what_the_others_have(folder):
    with serving([folder], workers=2) as running:
        version = running.version()
        save_shades(folder, blue=0.1)  # which nobody asked to be loaded
        before = running.workers()
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: before[0] not in (now := running.workers()) and len(now) == 2, "there were two again")
        wait_until(lambda: any("SIGKILL" in line for line in running.said), "it was said")
        after = running.workers()
        os.kill(before[1], signal.SIGKILL)
        assert set(running.versions()) == {version}  # by the one that took the place of the first
        wait_until(lambda: len(running.workers()) == 2 and before[1] not in running.workers(), "there were two again")
        assert after[-1] in running.workers()


def accepted(running):
    """A connection whose request the server has begun to read."""
    connection = socket.create_connection(("127.0.0.1", int(running.address.rpartition(":")[2])), PATIENCE)
    head = f"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: {len(RED)}\r\nExpect: 100-continue\r\n\r\n"
    connection.sendall(head.encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
    return connection


def refused(running):
    """Whether a new connection is."""
    try:
        socket.create_connection(("127.0.0.1", int(running.address.rpartition(":")[2])), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_what_was_accepted_is_answered_before_the_end(tmp_path, workers):
    folder = save_shades(tmp_path / "colours", seconds=0.2)
    with serving([folder], workers=workers) as running:
        connections = [accepted(running) for _ in range(6)]
        for connection in connections[:3]:
            connection.sendall(RED)
        running.process.terminate()
        wait_until(lambda: refused(running), "nobody new was listened to")
        for connection in connections[3:]:
            connection.sendall(RED)
        for connection in connections:
            with connection:
                assert connection.recv(2000).startswith(b"HTTP/1.1 200 OK")
        assert running.process.wait(PATIENCE) == 0


@pytest.mark.slow
def test_workers_end_when_the_process_that_keeps_them_is_killed(folder):
    with serving([folder], workers=2) as running:
        workers = running.workers()
        running.process.kill()
        wait_until(lambda: not any(_lives(number) for number in workers), "they were gone")
        running.process.wait()
        running.process.returncode = 0
        running.process.poll = running.process.wait = lambda *_: 0


def _lives(number):
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.slow
def test_a_share_of_clients_tries_the_second_version_in_every_process(tmp_path):
    old, new = save_shades(tmp_path / "old"), save_shades(tmp_path / "new", blue=0.1)
    models = [f"colours={old}", f"colours={new}"]
    with serving(models, workers=2, canary=["0.3"]) as running, running.client() as client:
        first, second = client.get("/v2/models/colours").json()["versions"]
        told = {
            name: {
                client.post("/predict", content=RED, headers={"x-client-id": name}).json()["version"] for _ in range(3)
            }
            for name in map(str, range(40))
        }
        assert all(len(versions) == 1 for versions in told.values())
        count = Counter(next(iter(versions)) for versions in told.values())
        assert set(count) == {first, second}
        assert count[first] > count[second]
        assert client.post("/predict?version=" + second, content=RED).json()["version"] == second


def images_counted(client):
    """The images that all processes have answered, as `/metrics` says."""
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("linnaea_images_total{"))


def times_opened(log):
    """How often a worker has begun to write into the log: what was not, a replacement that is stopped cannot close."""
    return sum(text.count('"event":"opened"') for text in map(Path.read_text, log.rglob("audit-*.jsonl")))


def test_metrics_are_exact_and_the_log_is_whole_when_a_worker_was_killed(folder, tmp_path):
    log = tmp_path / "log"
    with serving([folder], workers=2, log=str(log)) as running:
        for _ in range(12):
            with running.client() as client:  # on a connection of its own, so that both answer
                client.post("/predict", content=RED).raise_for_status()
        with running.client() as client:
            assert images_counted(client) == 12
        before = running.workers()
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: any("SIGKILL" in line for line in running.said), "it was said")
        wait_until(lambda: len(running.workers()) == 2 and before[0] not in running.workers(), "there were two again")
        wait_until(lambda: times_opened(log) == 3, "the new one had its log")
        for asked in range(12, 20):
            with running.client() as client:
                client.post("/predict", content=RED).raise_for_status()
            with running.client() as client:
                assert images_counted(client) == asked + 1
    read = read_log(log)
    assert len(list(read.records)) == 20
    assert not read.faults


def test_a_process_takes_one_connection_at_a_time():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        clients = [socket.create_connection(bound.getsockname()) for _ in range(3)]
        with shared(bound) as ours, shared(bound) as theirs:
            ours.setblocking(False)
            for taker in (ours, theirs, ours):
                taker.accept()[0].close()
                if taker is not theirs:
                    with pytest.raises(BlockingIOError):
                        taker.accept()
            for _ in range(2):
                with pytest.raises(BlockingIOError):
                    ours.accept()
        for client in clients:
            client.close()


def test_a_server_whose_workers_cannot_begin_says_why_and_ends():
    script = (
        "from linnaea.delivery.serving.workers import Workers\n"
        "from linnaea.errors import LinnaeaError\n"
        "def work(post):\n    raise LinnaeaError('the disk is gone')\n"
        "Workers(work, 2, {}, drain=1.0).run()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 1
    assert "LinnaeaError: the disk is gone" in ended.stderr


@pytest.mark.slow
def test_a_damaged_model_is_said_before_anything_is_served(folder):
    (folder / "shade.json").write_text('{"blue": 9}')
    asked = {"models": [str(folder)], "port": free_port(), "options": {"workers": 2}}
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), json.dumps(asked)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == 1
    assert f"{folder / 'shade.json'} has changed since it was saved" in ended.stderr
