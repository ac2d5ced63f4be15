"""Packed files made to do harm: each ends at once in an error, or a listed file, that names it."""

import io
import pickle
import struct
import tarfile
import time
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
from material import pack

from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.errors import DataError
from linnaea.runtime.boundary import parsing, reason_of
from linnaea.runtime.containers import Member, open_container
from linnaea.runtime.containers.pickles import read_pickle
from linnaea.runtime.containers.tars import first_names
from linnaea.runtime.reading import open_regular, read_regular


@contextmanager
def at_once():
    started = time.perf_counter()
    yield
    assert time.perf_counter() - started < 5


TUPLES = pickle.PROTO + b"\x02" + pickle.EMPTY_TUPLE
TWICE = pickle.BINPUT + b"\1" + pickle.POP + pickle.BINGET + b"\1" + pickle.BINGET + b"\1"  # what is on top, two times
BOMBS = {
    "tuples doubled": b"\x80\x02)" + b"2\x86" * 60 + b".",
    "tuples named again": TUPLES + (TWICE + pickle.TUPLE2) * 60 + b".",
    "lists named again": b"\x80\x02]" + (pickle.BINPUT + b"\1]" + b"(h\1h\1e") * 60 + b".",
    "a key of tuples": b"\x80\x02}" + b")" + (TWICE + pickle.TUPLE2) * 60 + b"K\1s.",
    "a list in itself": b"\x80\x02]q\1h\1a.",
    "far memory": b"\x80\x02]r\xff\xff\xff\x7f.",
    "a long frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"K\1.",
    "a large number of letters": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_pickles_that_would_never_end(tmp_path, content):
    (tmp_path / "data_batch_1").write_bytes(content)
    with at_once(), pytest.raises(DataError, match=r"data_batch_1 .*pickle.*nothing in it was run|data_batch_1 is no"):
        open_container(tmp_path / "data_batch_1")


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_arrays_are_read_by_any_protocol(tmp_path, protocol):
    given = {"data": np.arange(12, dtype=np.uint8).reshape(3, 4), b"labels": [1, 2, 3], "names": ["a", "b"] * 2}
    (tmp_path / "meta").write_bytes(pickle.dumps(given, protocol))
    found = read_pickle(tmp_path / "meta")
    assert np.array_equal(found["data"], given["data"])
    assert {key: value for key, value in found.items() if key != "data"} == {
        key: value for key, value in given.items() if key != "data"
    }


def test_a_tar_of_long_names_upon_long_names(tmp_path):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 512
    (tmp_path / "a.tar").write_bytes((header.tobuf(tarfile.GNU_FORMAT) + b"x" * 512) * 3_000)
    with (
        at_once(),
        pytest.raises(DataError, match=r"a\.tar cannot be read as a tar archive \(it is nested too deeply\)"),
    ):
        open_container(tmp_path / "a.tar")
    assert first_names(tmp_path / "a.tar", 10) == []


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_of_a_zip_is_listed(tmp_path, packing):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("1.jpg", np.random.default_rng(0).bytes(4_000))
    content = bytearray(path.read_bytes())
    content[60:400] = b"\xff" * 340
    path.write_bytes(content)
    failed = decode_files([Member(path, "1.jpg")], Recipe(32)).failed
    assert failed[0].startswith("cannot be read: damaged in its archive (")


def test_an_archive_that_went_bad_is_a_reason_for_each_of_its_images(tmp_path):
    path = pack(tmp_path / "a.zip", {"1.jpg": b"x"})
    path.write_bytes(b"PK nothing")
    assert "a.zip cannot be read as a zip archive" in decode_files([Member(path, "1.jpg")], Recipe(32)).failed[0]


@pytest.mark.parametrize(
    "error", [RecursionError(), MemoryError(), struct.error("x"), OverflowError("y"), OSError("no number"), KeyError(5)]
)
def test_whatever_a_parser_raises_names_the_file(error):
    message = r"photos\.x cannot be read as a list \(.+\): ask for it again\."
    with pytest.raises(DataError, match=message), parsing("photos.x", "a list", "ask for it again"):
        raise error


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied", "a"), DataError("ours"), KeyboardInterrupt()]
)
def test_what_is_true_already_passes(error):
    with pytest.raises(type(error)) as caught, parsing("photos.x", "a list"):
        raise error
    assert caught.value is error


def test_reasons_are_one_short_line():
    assert reason_of(ValueError("a\n  b")) == "a b"
    assert reason_of(ValueError()) == "ValueError"
    assert len(reason_of(ValueError("x" * 999))) < 210


def test_only_so_many_bytes_of_a_regular_file(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_regular(tmp_path / "a", 5) == b"12345"
    with open_regular(tmp_path / "a") as stream:
        assert isinstance(stream, io.BufferedReader)
    with pytest.raises(OSError, match="file of more than 4 bytes"):
        read_regular(tmp_path / "a", 4)
    with pytest.raises(IsADirectoryError, match="a folder, not a file"):
        read_regular(tmp_path, 4)
