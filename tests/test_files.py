"""Files are whole or absent, whatever happens while they are written."""

import errno
import hashlib
import resource

import pytest
import torch

from linnaea.errors import RunError
from linnaea.learning.checkpoints import load_checkpoint, save_checkpoint
from linnaea.runtime.files import read_json, sha256_of, write_atomically, write_json, write_text


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path, error):
    path = write_text(tmp_path / "file.txt", "old")

    def write(partial):
        partial.write_text("half")
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_makes_its_folder_and_replaces(tmp_path):
    path = write_text(tmp_path / "a" / "b" / "file.txt", "älter")
    assert write_text(path, "neuer ✓").read_text(encoding="utf-8") == "neuer ✓"
    assert list(path.parent.iterdir()) == [path]


def test_json_there_and_back(tmp_path):
    content = {"name": "Ünï", "values": [1, 2.5, None, True]}
    assert read_json(write_json(tmp_path / "x.json", content)) == content


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_what_is_no_json(tmp_path, value):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", [value])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe{}"])
def test_json_that_is_cut_off_is_named(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(RunError, match=r"x\.json is not valid JSON"):
        read_json(tmp_path / "x.json")
    with pytest.raises(RunError, match=r"y\.json does not exist"):
        read_json(tmp_path / "y.json")


def test_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 100_000)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_a_checkpoint_survives_a_disk_that_fills_up_while_the_next_is_written(tmp_path):
    """A real refusal by the system: files may not grow beyond 20 kB here."""
    model = torch.nn.Linear(100, 100)
    before = model.weight.detach().clone()
    path = save_checkpoint(tmp_path / "last.safetensors", model, None, {"epoch": 1})
    with torch.no_grad():
        model.weight.zero_()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(Exception, match="File too large"):
            save_checkpoint(path, model, None, {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [path]
    assert load_checkpoint(path, model, None) == ({"epoch": 1}, {})
    assert (model.weight == before).all()
