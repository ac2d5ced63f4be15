"""Packed files: their members are read as files are, and nothing in them can do harm."""

import hashlib
import io
import os
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from material import pack
from PIL import Image

from linnaea.data.images.decoding import MOST_BYTES
from linnaea.errors import DataError
from linnaea.runtime.cells import escape, holds_several, join_cell, split_cell, unescape
from linnaea.runtime.containers import Member, contract, locate, open_container
from linnaea.runtime.containers.bitmap import bitmap_bytes, to_bitmap
from linnaea.runtime.containers.names import leads_outside, plain
from linnaea.runtime.files import sha256_of


@settings(deadline=None)
@given(
    pixels=arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 9), st.integers(1, 9)) | st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)),
    )
)
def test_pillow_sees_the_same_pixels_in_a_bitmap(pixels):
    content = to_bitmap(pixels)
    assert len(content) == bitmap_bytes(pixels.shape)
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode == ("L" if pixels.ndim == 2 else "RGB")
        assert np.array_equal(np.asarray(image), pixels)


def test_a_member_answers_as_a_file_does(tmp_path):
    path = pack(tmp_path / "photos.zip", {"cat/1.jpg": b"pixels"})
    (tmp_path / "1.jpg").write_bytes(b"pixels")
    member, file = locate(tmp_path, ["photos.zip#cat/1.jpg", "1.jpg"])
    assert isinstance(member, Member)
    assert isinstance(file, Path)
    assert str(member) == f"{path}#cat/1.jpg"
    for image in (member, file):
        with image.open("rb") as stream:
            assert stream.read() == image.read_bytes() == b"pixels"
        assert (image.name, image.suffix, image.is_file(), image.exists()) == ("1.jpg", ".jpg", True, True)
        assert image.stat().st_size == 6
    assert sha256_of(member) == hashlib.sha256(b"pixels").hexdigest()
    assert member.stat().st_mtime_ns == path.stat().st_mtime_ns


def test_an_absent_member_is_a_missing_file(tmp_path):
    pack(tmp_path / "photos.zip", {"1.jpg": b"pixels"})
    for name in ("photos.zip#2.jpg", "gone.zip#1.jpg"):
        (image,) = locate(tmp_path, [name])
        assert not image.is_file()
        with pytest.raises(FileNotFoundError):
            image.read_bytes()
    with pytest.raises(ValueError, match="'rb'"):
        locate(tmp_path, ["photos.zip#1.jpg"])[0].open("w")


def test_a_number_sign_alone_makes_no_member(tmp_path):
    (tmp_path / "a#1.jpg").write_bytes(b"pixels")
    (tmp_path / "a").write_bytes(b"no archive")
    (tmp_path / "b.zip#c").mkdir()
    (tmp_path / "b.zip#c" / "1.jpg").write_bytes(b"pixels")
    assert all(isinstance(image, Path) and image.is_file() for image in locate(tmp_path, ["a#1.jpg", "b.zip#c/1.jpg"]))


def test_a_member_whose_name_has_the_mark(tmp_path):
    pack(tmp_path / "a#b.zip", {"c#1.jpg": b"pixels"})
    (image,) = locate(tmp_path, ["a#b.zip#c#1.jpg"])
    assert image.read_bytes() == b"pixels"


def test_a_packed_file_that_changed_is_opened_anew(tmp_path):
    path = tmp_path / "photos.zip"
    member = Member(pack(path, {"1.jpg": b"old"}), "1.jpg")
    assert member.read_bytes() == b"old"
    pack(path, {"1.jpg": b"newer"})
    assert member.read_bytes() == b"newer"
    assert open_container(path) is open_container(path)


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tar.xz", ".tgz", ".tar.bz2"])
def test_threads_read_from_one_archive(tmp_path, ending):
    contents = {f"{number}.jpg": os.urandom(5_000) for number in range(40)}
    path = tmp_path / f"photos{ending}"
    pack(path, contents)
    wrong = []

    def read_all():
        wrong.extend(name for name in contents if Member(path, name).read_bytes() != contents[name])

    threads = [threading.Thread(target=read_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar", "photos.tar.gz", "photos.tar.xz"])
@pytest.mark.parametrize(
    "content", [b"", b"no archive", b"PK\x03\x04 half", b"\x1f\x8b\x08\x00 half", b"\xfd7zXZ\x00 half"]
)
def test_what_is_no_archive_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} cannot be read as a (zip|tar) archive"):
        open_container(tmp_path / name)


def test_archives_that_were_cut_off(tmp_path):
    members = {f"{number}.jpg": os.urandom(3_000) for number in range(9)}
    tar, zipped = pack(tmp_path / "a.tar", members), pack(tmp_path / "b.zip", members)
    for path in (tar, zipped):
        path.write_bytes(path.read_bytes()[:15_000])
        with pytest.raises(DataError, match=r"cut off|damaged"):
            open_container(path)


def test_a_member_damaged_in_a_zip_is_an_unreadable_file(tmp_path):
    path = pack(tmp_path / "a.zip", {"1.jpg": bytes(range(256)) * 40})
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(OSError, match="damaged in its archive"):
        Member(path, "1.jpg").read_bytes()


@pytest.mark.parametrize(
    "name", ["../a.jpg", "a/../../b.jpg", "/etc/a.jpg", "..\\a.jpg", "C:\\a.jpg", "c:a.jpg", "\\\\host\\a.jpg"]
)
def test_names_that_lead_outside(name, tmp_path):
    assert leads_outside(name)
    tar = pack(tmp_path / "a.tar", {name: b"x", "good.jpg": b"y"})
    zipped = pack(tmp_path / "a.zip", {name: b"x", "good.jpg": b"y"})
    for container in (open_container(tar), open_container(zipped)):
        assert container.names() == ["good.jpg"]
        assert [reason for _, reason in container.refused] == ["name leads outside the archive"]


def test_names_that_stay_inside():
    assert not any(map(leads_outside, ("a/b.jpg", "./a.jpg", "a..b/c.jpg", "...jpg", "ab:c.jpg")))
    assert [plain(name) for name in ("./a//b.jpg", "a/./b.jpg")] == ["a/b.jpg", "a/b.jpg"]


def special(kind, name="bad.jpg", target=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def test_links_and_devices_are_refused(tmp_path):
    kinds = {"s": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "d": tarfile.CHRTYPE, "f": tarfile.FIFOTYPE}
    entries = {name: special(kind, f"{name}.jpg", "/etc/passwd") for name, kind in kinds.items()}
    container = open_container(pack(tmp_path / "a.tar", {**entries, "good.jpg": b"x", "./good.jpg": b"y"}))
    assert container.names() == ["good.jpg"]
    assert container.read("good.jpg") == b"x"
    assert dict(container.refused) == {
        "s.jpg": "a link in an archive",
        "h.jpg": "a link in an archive",
        "d.jpg": "not a regular file in its archive",
        "f.jpg": "not a regular file in its archive",
        "good.jpg": "named twice in the archive",
    }


def test_a_link_in_a_zip_is_refused(tmp_path):
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = 0o120777 << 16
    assert list(open_container(pack(tmp_path / "a.zip", {"link.jpg": link})).refused) == [
        ("link.jpg", "a link in an archive")
    ]


def test_bombs(tmp_path, monkeypatch):
    for name, value in {"LARGE_MEMBER": 50_000, "LARGE_TOTAL": 400_000, "MOST_MEMBER_BYTES": 300_000}.items():
        monkeypatch.setattr(contract, name, value)
        monkeypatch.setattr(f"linnaea.runtime.containers.zips.{name}", value, raising=False)
        monkeypatch.setattr(f"linnaea.runtime.containers.tars.{name}", value, raising=False)
    path = pack(tmp_path / "a.zip", {"bomb.jpg": bytes(250_000), "large.jpg": bytes(300_001), "good.jpg": b"x"})
    with pytest.raises(DataError, match=r"a\.zip would unpack to 550,002 bytes or more, over 200 times"):
        open_container(path)
    path = pack(tmp_path / "b.zip", {"bomb.jpg": bytes(250_000), "noise.jpg": os.urandom(300_001), "good.jpg": b"x"})
    container = open_container(path)
    assert container.names() == ["good.jpg"]
    assert dict(container.refused) == {
        "bomb.jpg": "unpacks to more than 200 times its size",
        "noise.jpg": "file of more than 300,000 bytes",
    }
    with pytest.raises(DataError, match=r"c\.tar\.gz would unpack"):
        open_container(pack(tmp_path / "c.tar.gz", {"bomb.jpg": bytes(9_000_000)}))


def test_a_member_may_be_as_large_as_a_file():
    assert contract.MOST_MEMBER_BYTES == MOST_BYTES


NAMES = st.lists(st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("|\\"), min_size=1, max_size=6))


@given(NAMES)
def test_any_names_survive_a_cell(names):
    cell = join_cell(names)
    assert split_cell(cell) == names
    assert holds_several(cell)
    for name in names:
        assert split_cell(escape(name)) == [name]
        assert unescape(escape(name)) == name
        assert not holds_several(escape(name))


def test_cells_as_people_write_them():
    assert split_cell("cat|dog") == ["cat", "dog"]
    assert split_cell("a\\b") == ["a\\b"]
    assert split_cell("a\\|b|c") == ["a|b", "c"]
    assert (join_cell([]), join_cell(["cat"]), escape("cat")) == ("|", "cat|", "cat")
