"""The audit log: every answer is in it, and whatever is done to it afterwards is found, the rest readable."""

import json
import os
import resource
import signal
import subprocess
import sys
import tracemalloc
from contextlib import closing, contextmanager
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import linnaea
from linnaea.delivery.serving.audit_log import AuditLog, LogPolicy, read_log
from linnaea.delivery.serving.audit_log.lines import file_name, line_of
from linnaea.delivery.serving.contract import Answered
from linnaea.errors import DataError, RunError, UnavailableError, UsageError
from linnaea.runtime.locks import held

JPEG = b"\xff\xd8\xff" + b"picture"
SMALL = LogPolicy(rotate_bytes=1500, sync="system")


def logging_to(folder, *policy, **options):
    """A log that is open, by a clock that stands at the time of the answers."""
    return AuditLog(folder, *policy, clock=lambda: 1.7e9, **options)


def answered(number, **changes):
    """The answer for the first image of a request."""
    answer = {"label": "bee", "confidence": 0.9, "prediction_set": ["bee"], "ood_score": 0.1, "reason": "ok"}
    one = Answered(
        f"r{number}",
        0,
        1.7e9 + number / 100,
        "bees",
        "3",
        "sha256-ab",
        answer,
        logits=(0.123456, -1.0),
        looks={"width": 4.0},
    )
    return replace(one, **changes)


def written(folder, count=12, policy=SMALL, **options):
    """A log of so many answers, which is closed."""
    with closing(logging_to(folder, policy, **options)) as log:
        for number in range(count):
            log.answered([answered(number)])
    return folder


def requests_in(log):
    return [record["request"] for record in log.records]


def faults_in(folder, **heads):
    return [str(fault) for fault in read_log(folder, **heads).faults]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of a log of twelve answers in several files, by name, and its requests."""
    folder = written(tmp_path_factory.mktemp("whole") / "log")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def laid_out(folder, files):
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_log_holds_every_answer_in_order_over_several_files(tmp_path):
    log = read_log(written(tmp_path / "log"))
    assert requests_in(log) == [f"r{number}" for number in range(12)]
    assert (log.faults, log.notes) == ([], [])
    assert len(list((tmp_path / "log").glob("audit-*.jsonl"))) > 2
    record = next(iter(log.records))
    assert (record["sequence"], record["time"]) == (2, "2023-11-14T22:13:20.000Z")
    assert record["answer"] == answered(0).answer
    assert (record["logits"], record["looks"], record["key"]) == ([0.1235, -1.0], {"width": 4.0}, None)


def test_each_line_can_be_proved_without_us(tmp_path):
    before = "0" * 64
    for name in sorted(path.name for path in written(tmp_path / "log").glob("*.jsonl")):
        for line in (tmp_path / "log" / name).read_text().splitlines():
            content = json.loads(line)
            stated = content.pop("hash")
            unhashed = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
            assert (content["previous"], sha256(unhashed.encode()).hexdigest()) == (before, stated)
            before = stated
    assert read_log(tmp_path / "log").ends[""] == (14, before)


def test_no_number_or_name_makes_a_line_unreadable(tmp_path):
    with closing(logging_to(tmp_path, SMALL)) as log:
        strange = {"label": "a\nb\u2028\udc80é", "confidence": float("nan"), "ood_score": float("inf")}
        log.answered([answered(1, answer=strange)])
    found = read_log(tmp_path)
    assert [record["answer"] for record in found.records] == [
        {"label": strange["label"], "confidence": None, "ood_score": None}
    ]
    assert found.faults == []


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_found_and_the_rest_readable(whole, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flipped")
    name = data.draw(st.sampled_from([name for name in sorted(whole) if name.endswith(".jsonl")]))
    place = data.draw(st.integers(0, len(whole[name]) - 1))
    mask = data.draw(st.integers(1, 255))
    content = bytearray(whole[name])
    content[place] ^= mask
    log = read_log(laid_out(folder, whole | {name: bytes(content)}))
    assert len(requests_in(log)) >= 10  # two lines at most, where the flipped byte stood between them
    assert any(name in str(fault) for fault in log.faults) or len(log.faults) > 0


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_removed_swapped_or_doubled_line_is_found(whole, tmp_path_factory, data):
    names = [name for name in sorted(whole) if name.endswith(".jsonl")]
    lines = [line for name in names for line in whole[name].splitlines(keepends=True)]
    change = data.draw(st.sampled_from(["removed", "swapped", "doubled"]))
    place = data.draw(st.integers(0, len(lines) - 1 - (change == "swapped")))
    if change == "removed":
        del lines[place]
    elif change == "swapped":
        lines[place], lines[place + 1] = lines[place + 1], lines[place]
    else:
        lines.insert(place, lines[place])
    folder = laid_out(tmp_path_factory.mktemp("changed"), {names[0]: b"".join(lines)})
    log = read_log(folder)
    assert len(requests_in(log)) >= 11
    assert log.faults


def test_what_was_done_to_a_log_is_named(whole, tmp_path):
    edited = {name: content.replace(b'"r3"', b'"rX"') for name, content in whole.items()}
    assert faults_in(laid_out(tmp_path / "log", edited)) == [
        "audit-000002.jsonl, line 2: was edited: its content has another hash than it states."
    ]
    log = read_log(tmp_path / "log")
    assert "r3" not in requests_in(log)
    assert len(requests_in(log)) == 11
    names = sorted(whole)
    missing = {name: content for name, content in whole.items() if name != names[1]}
    found = faults_in(laid_out(tmp_path / "log", missing))
    assert found[0] == f"{names[1]}: is missing."
    assert "are missing before record" in found[1]
    cut = whole | {names[-1]: whole[names[-1]][:-9]}
    assert faults_in(laid_out(tmp_path / "log", cut)) == [
        f"{names[-1]}, line {whole[names[-1]].count(10)}: is cut off.",
        f"{names[-1]}: ends without the line that closes it: the server was killed, or lines are cut off.",
    ]


def test_a_line_that_was_edited_with_its_hash_is_found(whole, tmp_path):
    name, lines = file_name(1), whole[file_name(1)].splitlines(keepends=True)
    content = json.loads(lines[1])
    previous, sequence = content.pop("previous"), content.pop("sequence")
    del content["hash"]
    lines[1] = line_of(sequence, previous, content | {"request": "rX"})[0]
    found = faults_in(laid_out(tmp_path / "log", whole | {name: b"".join(lines)}))
    assert found == [f"{name}, line 3: record 3 does not follow the one before it: one of them was replaced."]


def test_a_chain_that_was_forged_from_an_answer_on_is_found_by_a_hash_that_was_noted(tmp_path):
    head = read_log(written(tmp_path / "log", 3)).ends[""][1]
    assert faults_in(tmp_path / "log", heads=[head]) == []
    written(tmp_path / "log", 3)  # the chain goes on
    assert faults_in(tmp_path / "log", heads=[head]) == []
    written(tmp_path / "forged", 6)
    assert faults_in(tmp_path / "forged", heads=[head]) == [f"no line has the hash {head}."]


def test_a_log_that_is_cut_back_to_an_earlier_end_is_found_by_a_hash_that_was_noted(tmp_path):
    folder = written(tmp_path / "log", 2, LogPolicy())
    early = (folder / file_name(1)).read_bytes()
    written(folder, 3, LogPolicy())
    ((_, head),) = read_log(folder).ends.values()
    (folder / file_name(1)).write_bytes(early)
    assert faults_in(folder) == []
    assert faults_in(folder, heads=[head]) == [f"no line has the hash {head}."]


def test_a_log_goes_on_where_the_last_one_was_closed(tmp_path):
    written(written(tmp_path / "log", 2), 2)
    log = read_log(tmp_path / "log")
    assert [line.get("event", line.get("request")) for line in log.lines()] == [
        *("opened", "r0", "r1", "closed"),
        *("opened", "r0", "r1", "closed"),
    ]
    assert (log.faults, log.notes) == ([], [])


def test_what_was_half_written_is_kept_aside_and_said(tmp_path, caplog):
    path = written(tmp_path / "log", 3, LogPolicy()) / file_name(1)
    text = path.read_bytes()
    path.write_bytes(text[:-20])
    written(tmp_path / "log", 2, LogPolicy())
    log = read_log(tmp_path / "log")
    assert requests_in(log) == ["r0", "r1", "r2", "r0", "r1"]
    assert log.faults == []
    assert log.notes == ["the server before record 5 was ended without closing the log"]
    aside = next(tmp_path.rglob("*.cut"))
    assert text[:-20].endswith(aside.read_bytes())
    assert f"bytes are in {aside.name}, and the log goes on" in caplog.text
    opened = [line for line in log.lines() if line.get("event") == "opened"][1]
    assert opened["cut"]["sha256"] == sha256(aside.read_bytes()).hexdigest()


def test_no_chain_goes_on_from_a_line_that_was_edited(tmp_path):
    path = written(tmp_path / "log", 3, LogPolicy()) / file_name(1)
    path.write_bytes(path.read_bytes().replace(b'"closed"', b'"Closed"'))
    with pytest.raises(DataError, match=r"last line of .* was edited or damaged, .* `linnaea verify"):
        logging_to(tmp_path / "log")


KILLED = """
import sys
from pathlib import Path
from linnaea.delivery.serving.audit_log import AuditLog, LogPolicy
from linnaea.delivery.serving.contract import Answered
log, number = AuditLog(Path(sys.argv[1]), LogPolicy(rotate_bytes=20_000, sync="system")), 0
while True:
    log.answered([Answered(f"r{each}", 0, 1.7e9, "bees", "3", "ab", {"label": "bee"}) for each in (number, number + 1)])
    number += 2
    print(number, flush=True)
"""


def test_a_server_that_is_killed_has_logged_all_that_it_told(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = [next(process.stdout) for _ in range(200)][-1]
        process.send_signal(signal.SIGKILL)
        told = ([told, *process.stdout])[-1]
    assert len(requests_in(read_log(tmp_path))) >= int(told)
    log = read_log(tmp_path)
    assert any("ends without the line that closes it" in str(fault) for fault in log.faults)
    written(tmp_path, 1)
    log = read_log(tmp_path)
    assert requests_in(log)[: int(told)] == [f"r{number}" for number in range(int(told))]
    assert log.faults == []
    assert len([note for note in log.notes if "was ended without closing the log" in note]) == 1


@contextmanager
def full_disk(at):
    """No file of this process may grow beyond so many bytes: a real refusal, in the middle of a line."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_answers_are_refused_while_the_disk_is_full_and_that_is_logged_afterwards(tmp_path, caplog):
    told = []
    with closing(logging_to(tmp_path, LogPolicy(), told=lambda *what: told.append(what))) as log:
        log.answered([answered(0)])
        with full_disk((tmp_path / file_name(1)).stat().st_size + 100):
            for number in (1, 2):
                with pytest.raises(UnavailableError, match=r"cannot be written \(File too large\), and no answer is"):
                    log.answered([answered(number)])
        log.answered([answered(3)])
    assert told == [(1, "refused"), (1, "refused")]
    assert caplog.text.count("answers are refused unlogged") == 1
    found = read_log(tmp_path)
    assert requests_in(found) == ["r0", "r3"]
    assert found.faults == []
    assert "2 answers were refused and not logged from " in found.notes[-1]


def test_answers_go_on_while_the_disk_is_full_where_that_was_chosen(tmp_path, caplog):
    told = []
    policy = LogPolicy(on_failure="continue", sync="answer")
    with closing(logging_to(tmp_path, policy, told=lambda *what: told.append(what))) as log:
        with full_disk((tmp_path / file_name(1)).stat().st_size + 100):
            log.answered([answered(0), answered(1)])
        assert told == [(2, "given")]
    assert "answers are given unlogged" in caplog.text
    log = read_log(tmp_path)
    assert requests_in(log) == []
    assert log.faults == []
    assert "2 answers were given and not logged" in log.notes[0]


def test_a_disk_that_refuses_later_is_heard_of(tmp_path, monkeypatch):
    log = logging_to(tmp_path, LogPolicy())
    log.answered([answered(0)])
    monkeypatch.setattr(log._syncing, "_failure", OSError(5, "Input/output error"))
    with pytest.raises(UnavailableError, match="Input/output error"):
        log.answered([answered(1)])
    log.answered([answered(2)])
    log.close()
    assert requests_in(read_log(tmp_path)) == ["r0", "r2"]


def test_two_servers_do_not_share_a_log(tmp_path):
    with closing(logging_to(tmp_path)) as log:
        log.answered([answered(0)])
        with pytest.raises(RunError, match=f"{tmp_path} is in use by process {os.getpid()}"):
            logging_to(tmp_path)
        live = read_log(tmp_path)
        assert (requests_in(live), live.faults) == (["r0"], [])  # open, and no fault
        with (tmp_path / file_name(1)).open("ab") as half:
            half.write(b'{"sequence":3,')
        assert read_log(tmp_path).faults == []  # being written


def test_a_folder_that_cannot_be_written_is_refused_before_there_is_a_server(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written to .*file/log \(Not a directory\): give another folder"):
        logging_to(tmp_path / "file" / "log")
    with full_disk(20), pytest.raises(UsageError, match=r"File too large"):
        logging_to(tmp_path / "log")


def test_workers_have_a_chain_each_which_are_read_as_one(tmp_path):
    logs = [logging_to(tmp_path, worker=worker, workers=2) for worker in (1, 2)]
    for number in range(6):
        logs[number % 2].answered([answered(number)])
    for log in logs:
        log.close()
    log = read_log(tmp_path)
    assert requests_in(log) == [f"r{number}" for number in range(6)]
    assert log.faults == []
    assert {name: sequence for name, (sequence, _) in log.ends.items()} == {"worker-1": 5, "worker-2": 5}
    (tmp_path / "worker-2" / file_name(1)).unlink()
    assert [str(fault) for fault in read_log(tmp_path).faults] == [
        "worker-2: is missing, the folder of a worker's chain."
    ]


def test_a_clock_that_goes_back_is_noted_and_changes_no_order(tmp_path, caplog):
    with closing(logging_to(tmp_path)) as log:
        log.answered([answered(50_000), answered(0), answered(1)])
    found = read_log(tmp_path)
    assert requests_in(found) == ["r50000", "r0", "r1"]
    assert (found.faults, found.notes) == ([], ["the clock went back by 500 s before record 3"])
    assert "the clock went back by 500 s" in caplog.text


def test_images_are_kept_once_if_asked(tmp_path):
    digest = sha256(JPEG).hexdigest()
    with closing(logging_to(tmp_path / "kept", LogPolicy(keep_images=True))) as log:
        log.answered([answered(number, image=JPEG, sha256=digest) for number in (0, 1)])
    assert [path.name for path in (tmp_path / "kept" / "images").iterdir()] == [f"{digest}.jpg"]
    assert (tmp_path / "kept" / "images" / f"{digest}.jpg").read_bytes() == JPEG
    with closing(logging_to(tmp_path / "not")) as log:
        log.answered([answered(0, image=JPEG, sha256=digest)])
    assert not (tmp_path / "not" / "images").exists()
    assert b"picture" not in b"".join(path.read_bytes() for path in (tmp_path / "not").glob("*.jsonl"))


def test_what_is_no_log_is_refused(tmp_path):
    with pytest.raises(RunError, match="does not exist: expected the folder of a log"):
        read_log(tmp_path / "none")
    with pytest.raises(DataError, match=r"holds no audit log: expected audit-000001\.jsonl"):
        read_log(tmp_path)
    with held(tmp_path):
        (tmp_path / file_name(1)).write_bytes(b"\0" * 100 + b"\n" + b"[" * 100_000 + b"\n{}\n")
    assert len(faults_in(tmp_path)) == 4


def test_a_line_that_is_too_long_is_named_and_not_kept(tmp_path, monkeypatch):
    path = written(tmp_path, 3, LogPolicy()) / file_name(1)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"x" * 5000 + b"\n", *lines[3:]]))
    monkeypatch.setattr("linnaea.delivery.serving.audit_log.chain.LONGEST", 1000)
    found = read_log(tmp_path)
    assert requests_in(found) == ["r0", "r2"]
    assert str(found.faults[0]) == f"{file_name(1)}, line 3: is longer than any that is written."


def test_memory_stays_flat(tmp_path):
    with closing(logging_to(tmp_path, LogPolicy(rotate_bytes=10**6, sync="system"))) as log:
        for number in range(0, 2000, 500):
            log.answered([answered(each) for each in range(number, number + 500)])
    log = read_log(tmp_path)
    tracemalloc.start()
    assert sum(1 for _ in log.records) == 2000
    assert tracemalloc.get_traced_memory()[1] < 300_000 < sum(path.stat().st_size for path in tmp_path.iterdir())
    tracemalloc.stop()


def test_verify_says_what_a_log_holds_and_whether_it_is_whole(tmp_path):
    digest = sha256(JPEG).hexdigest()
    with closing(logging_to(tmp_path, LogPolicy(keep_images=True))) as log:
        log.answered([answered(0, image=JPEG, sha256=digest)])
    head = read_log(tmp_path).ends[""][1]
    found = linnaea.verify(tmp_path, head=[head])
    assert (found.answers, found.images, found.faults) == (1, 1, ())
    assert str(found).splitlines()[::2] == [f"{tmp_path} holds 1 answer and 1 kept image.", f"Head: {head}"]
    assert found.to_json()["heads"] == {"": {"sequence": 3, "hash": head}}
    (tmp_path / "images" / f"{digest}.jpg").write_bytes(b"other")
    found = linnaea.verify(tmp_path, head="0" * 64)
    assert [str(fault) for fault in found.faults] == [
        f"no line has the hash {'0' * 64}.",
        f"images/{digest}.jpg: was changed: its name is the hash of other bytes.",
    ]
