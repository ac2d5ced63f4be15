"""MNIST, CIFAR and SVHN in their own formats, each written here byte by byte as its specification says."""

import gzip
import pickle
import struct
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from linnaea.data.images.pixels import Recipe
from linnaea.data.sources import read
from linnaea.errors import DataError
from linnaea.runtime.containers.pickles import read_pickle

RANDOM = np.random.default_rng(0)


def pixels_of(dataset):
    """The images in the order of the rows, the first of which can also be decoded as any file."""
    assert Recipe(8).decode(dataset.paths[0])[0].shape == (8, 8, 3)
    return [np.asarray(Image.open(path.open("rb"))) for path in dataset.paths]


def idx_bytes(values, kind=8):
    values = np.asarray(values, dtype=np.uint8)
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, kind, values.ndim, *values.shape) + values.tobytes()


def write_idx(folder, name, images, labels, *, packed=True, dash="-"):
    folder.mkdir(parents=True, exist_ok=True)
    parts = {f"{name}-images{dash}idx3-ubyte": idx_bytes(images), f"{name}-labels{dash}idx1-ubyte": idx_bytes(labels)}
    for file, content in parts.items():
        (folder / f"{file}{'.gz' * packed}").write_bytes(gzip.compress(content, 1) if packed else content)
    return folder


def grey(count, side=12):
    return RANDOM.integers(0, 256, (count, side, side - 2), dtype=np.uint8)


@pytest.mark.parametrize("packed", [True, False])
def test_mnist(tmp_path, packed):
    train, test = grey(5), grey(3)
    write_idx(tmp_path, "train", train, [3, 1, 4, 1, 9], packed=packed)
    write_idx(tmp_path, "t10k", test, [2, 0, 2], packed=packed)
    dataset = read(tmp_path)
    assert dataset.labels == list("31419202")
    assert dataset.column("split") == ["train"] * 5 + ["test"] * 3
    assert dataset.classes == ("1", "3", "4", "9", "0", "2")
    assert dataset.ids[0] == "train-images-idx3-ubyte" + ".gz" * packed + "#0"
    assert all(np.array_equal(*pair) for pair in zip(pixels_of(dataset), [*train, *test], strict=True))
    assert dataset.take([5]).fingerprint == read(tmp_path).take([5]).fingerprint


def test_one_file_of_a_pair_and_dots_in_names(tmp_path):
    write_idx(tmp_path, "train", grey(2), [0, 1], packed=False, dash=".")
    write_idx(tmp_path, "t10k", grey(2), [0, 1], packed=False, dash=".")
    assert read(tmp_path / "t10k-images.idx3-ubyte").column("split") == ["test", "test"]


def test_fashion_mnist_has_names_for_its_classes(tmp_path):
    dataset = read(write_idx(tmp_path / "FashionMNIST" / "raw", "train", grey(10), range(10)))
    assert (dataset.labels[0], dataset.labels[9]) == ("T-shirt/top", "Ankle boot")
    assert dataset.taxonomy == {}
    with pytest.raises(DataError, match="label 12; Fashion-MNIST has labels from 0 to 9"):
        read(write_idx(tmp_path / "fashion", "train", grey(2), [1, 12]))


def test_of_a_packed_and_a_plain_file_the_plain_one_counts(tmp_path):
    images = grey(2)
    write_idx(write_idx(tmp_path, "train", images, [0, 1]), "train", images, [0, 1], packed=False)
    assert read(tmp_path).ids == ["train-images-idx3-ubyte#0", "train-images-idx3-ubyte#1"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("images", lambda good: good[:-7], "is cut off or damaged"),
        ("images", lambda good: good + b"more", "holds more than 240 bytes after its header"),
        ("images", lambda good: b"\0\0\x0d" + good[3:], "begins with 00 00 0d 03; expected 00 00 08 03"),
        ("labels", lambda good: b"", "begins with nothing; expected 00 00 08 01"),
        ("labels", lambda good: idx_bytes([1]), "has 1 labels, but train-images-idx3-ubyte.* 2 images"),
        ("images", lambda good: good[:4] + b"\xff" * 12 + good[16:], "more than 8,589,934,592"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_damaged_idx_files_say_what_is_wrong(tmp_path, name, content, message, packed):
    write_idx(tmp_path, "train", grey(2), [0, 1], packed=packed)
    file = next(tmp_path.glob(f"*{name}*"))
    good = gzip.decompress(file.read_bytes()) if packed else file.read_bytes()
    file.write_bytes(gzip.compress(content(good)) if packed else content(good))
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_idx_that_is_cut_off_while_packed_or_lacks_its_labels(tmp_path):
    write_idx(tmp_path, "train", grey(40), [0] * 40)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(DataError, match="cut off or damaged"):
        read(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"no labels beside it: expected train-labels-idx1-ubyte or .*\.gz"):
        read(tmp_path)


def test_several_sets_in_one_folder_must_be_chosen_from(tmp_path):
    write_idx(write_idx(tmp_path, "emnist-letters-train", grey(2), [1, 2]), "emnist-digits-train", grey(2), [1, 2])
    with pytest.raises(DataError, match=r"several sets.*name one of the files"):
        read(tmp_path)
    assert len(read(tmp_path / "emnist-letters-train-images-idx3-ubyte.gz")) == 2


@settings(max_examples=40, deadline=None)
@given(header=st.binary(min_size=0, max_size=24), body=st.binary(max_size=60))
def test_no_bytes_make_idx_fail_otherwise(tmp_path_factory, header, body):
    folder = write_idx(tmp_path_factory.mktemp("idx"), "train", grey(1), [0], packed=False)
    (folder / "train-images-idx3-ubyte").write_bytes(header + body)
    try:
        dataset = read(folder)
    except DataError:
        return
    assert len(dataset) == 1


def test_torchvision_reads_the_same_from_idx_files(tmp_path):
    from torchvision.datasets.mnist import read_image_file, read_label_file

    folder = write_idx(tmp_path, "train", grey(7), range(7), packed=False)
    theirs = read_image_file(str(folder / "train-images-idx3-ubyte")).numpy()
    dataset = read(folder)
    assert all(np.array_equal(*pair) for pair in zip(pixels_of(dataset), theirs, strict=True))
    labels = read_label_file(str(folder / "train-labels-idx1-ubyte")).tolist()
    assert dataset.labels == [str(label) for label in labels]


def test_the_real_sets(photo_sets):
    for name, label in (("mnist", "5"), ("fashion-mnist", "Ankle boot")):
        dataset = read(photo_sets / name)
        assert len(dataset) == 70_000
        assert len(dataset.classes) == 10
        assert dataset.column("split").count("test") == 10_000
        if name == "mnist":
            assert dataset.labels[0] == label
        assert dataset.paths[0].stat().st_size == len(dataset.paths[0].read_bytes())


# CIFAR


def records(count, classes=10, coarse=None):
    labels = RANDOM.integers(0, classes, count, dtype=np.uint8)
    pixels = RANDOM.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    columns = [labels[:, None] // 5, labels[:, None]] if coarse else [labels[:, None]]
    return labels, pixels, np.concatenate([*columns, pixels.reshape(count, -1)], axis=1).tobytes()


def test_cifar_10_binary(tmp_path):
    parts = {name: records(4) for name in ("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin")}
    for name, (_, _, content) in parts.items():
        (tmp_path / name).write_bytes(content)
    names = [f"kind {letter}".replace(" ", "_") for letter in "abcdefghij"]
    (tmp_path / "batches.meta.txt").write_text("\n".join([*names, ""]))
    dataset = read(tmp_path)
    expected = [names[label] for labels, _, _ in parts.values() for label in labels]
    assert dataset.labels == expected
    assert dataset.column("split") == ["train"] * 8 + ["test"] * 4
    pixels = [image.transpose(1, 2, 0) for _, images, _ in parts.values() for image in images]
    assert all(np.array_equal(*pair) for pair in zip(pixels_of(dataset), pixels, strict=True))


def test_cifar_100_binary_has_its_groups_as_taxonomy(tmp_path):
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(records(60, 10, coarse=True)[2])
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"fine_{n}" for n in range(10)))
    (tmp_path / "coarse_label_names.txt").write_text("\n".join(f"coarse_{n}" for n in range(2)))
    dataset = read(tmp_path)
    assert set(dataset.classes) == {f"fine_{n}" for n in range(10)}
    assert dataset.taxonomy["fine_7"] == "coarse_1"
    (tmp_path / "fine_label_names.txt").unlink()
    assert read(tmp_path).taxonomy == {}


@pytest.mark.parametrize("size", [0, 3072, 3074])
def test_cifar_records_must_be_whole(tmp_path, size):
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(size))
    with pytest.raises(DataError, match="expected a multiple of 3,073"):
        read(tmp_path)


def python_2_pickle(**values):
    """As Python 2 wrote the files: keys and data as byte strings, protocol 2."""
    parts = [b"\x80\x02}("]
    for key, value in values.items():
        parts += [b"U" + bytes([len(key)]) + key.encode(), value]
    return b"".join([*parts, b"u."])


def array_2(values):
    content, rows = values.tobytes(), struct.pack("<II", *values.shape)
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + b"".join(b"J" + rows[4 * n : 4 * n + 4] for n in range(2))
        + b"\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<I", len(content))
        + content
        + b"tb"
    )


def list_2(values):
    return b"](" + b"".join(b"K" + bytes([value]) for value in values) + b"e"


def names_2(names):
    return b"](" + b"".join(b"U" + bytes([len(name)]) + name.encode() for name in names) + b"e"


def test_cifar_10_as_python_2_pickled_it(tmp_path):
    labels, pixels, _ = records(4)
    batch = python_2_pickle(
        batch_label=b"U\x05batch", labels=list_2(labels.tolist()), data=array_2(pixels.reshape(4, -1))
    )
    assert sorted(pickle.loads(batch, encoding="bytes")) == [b"batch_label", b"data", b"labels"]
    (tmp_path / "data_batch_1").write_bytes(batch)
    (tmp_path / "test_batch").write_bytes(batch)
    (tmp_path / "batches.meta").write_bytes(python_2_pickle(label_names=names_2("abcdefghij")))
    dataset = read(tmp_path)
    assert dataset.labels == [*("abcdefghij"[label] for label in labels)] * 2
    expected = [image.transpose(1, 2, 0) for image in pixels] * 2
    assert all(np.array_equal(*pair) for pair in zip(pixels_of(dataset), expected, strict=True))


@pytest.mark.parametrize("protocol", range(6))
def test_cifar_100_pickled_by_any_protocol(tmp_path, protocol):
    labels, pixels, _ = records(6)
    groups = (labels // 5).tolist()
    batch = {"data": pixels.reshape(6, -1), "fine_labels": labels.tolist(), "coarse_labels": groups, "filenames": ["x"]}
    for name in ("train", "test"):
        (tmp_path / name).write_bytes(pickle.dumps(batch, protocol=protocol))
    names = {"fine_label_names": [f"f{n}" for n in range(10)], "coarse_label_names": ["c0", "c1"]}
    (tmp_path / "meta").write_bytes(pickle.dumps(names, protocol=protocol))
    dataset = read(tmp_path)
    assert dataset.labels == [f"f{label}" for label in labels] * 2
    assert dataset.taxonomy == {f"f{label}": f"c{label // 5}" for label in labels}
    assert np.array_equal(pixels_of(dataset)[0], pixels[0].transpose(1, 2, 0))


class Evil:
    """Runs a function when it is unpickled."""

    def __init__(self, function, *given):
        self.function, self.given = function, given

    def __reduce__(self):
        return self.function, self.given


def touch(path):
    Path(path).touch()


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path, protocol):
    mark = tmp_path / "was run"
    evils = [Evil(touch, str(mark)), Evil(exec, f"open({str(mark)!r}, 'w')"), Evil(eval, f"open({str(mark)!r}, 'w')")]
    evils += [Evil(getattr, "x", "upper"), Evil(np.fromfile, __file__), Evil(bytearray, 3), {1, 2}, 1j, range(3)]
    evils += [np.array([Evil(touch, str(mark))], dtype=object), np.zeros(3, dtype="M8[s]"), np.random.default_rng(0)]
    for evil in evils:
        (tmp_path / "batches.meta").write_bytes(b"")
        (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": evil, "labels": [evil]}, protocol=protocol))
        with pytest.raises(DataError, match="nothing in it was run"):
            read(tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
        b"\x80\x04\x8c\x05numpy\x8c\x0ddtype.__class__\x93.",  # a dotted name
        b"cnumpy\ndtype\n(S'O8'\ntR.",  # a stand-in left unfinished
        b"cnumpy\nndarray\n.",
        b"(cnumpy\nndarray\nibuiltins\nobject\n.",
        b"\x82\x01.",  # the registry of extensions
        b"Pid\n.",  # a persistent id
        b"\x80\x02]q\x00h\x00a.",  # a list that holds itself
        b"N.more",
        b"",
        b"garbage",
    ],
)
def test_pickles_that_are_programs(tmp_path, program):
    (tmp_path / "x").write_bytes(program)
    if program == b"N.more":
        assert read_pickle(tmp_path / "x") is None
        return
    with pytest.raises(DataError, match="nothing in it was run"):
        read_pickle(tmp_path / "x")


@pytest.mark.parametrize("named", [b"cnumpy\nndarray\n", b"c_codecs\nencode\n"])
def test_a_pickle_cannot_change_the_reader(tmp_path, named):
    """Setting attributes of what a pickle may name leaves the reader as it was for the next file."""
    for name in (b"__setstate__", b"__kwdefaults__"):
        (tmp_path / "bad").write_bytes(named + b"N}S'" + name + b"'\n}s\x86b.")
        with pytest.raises(DataError, match="nothing in it was run"):
            read_pickle(tmp_path / "bad")
    (tmp_path / "good").write_bytes(pickle.dumps(np.arange(3, dtype=np.uint8)))
    assert read_pickle(tmp_path / "good").tolist() == [0, 1, 2]


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=60))
def test_no_bytes_make_the_pickle_reader_fail_otherwise(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("pickle") / "x"
    file.write_bytes(content)
    before = set(sys.modules)
    with suppress(DataError):
        read_pickle(file)
    assert not {name for name in set(sys.modules) - before if not name.startswith(("encodings", "linnaea"))}


def test_a_pickle_of_something_else_is_no_batch(tmp_path):
    for content in ([1], {"data": np.zeros((2, 5), np.uint8)}, {"data": np.zeros((2, 3072))}):
        (tmp_path / "data_batch_1").write_bytes(pickle.dumps(content))
        with pytest.raises(DataError, match="not a pickled CIFAR batch"):
            read(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}))
    with pytest.raises(DataError, match="2 images and a different number of labels"):
        read(tmp_path)


# SVHN


def write_svhn(file, labels, compress=False):
    images = RANDOM.integers(0, 256, (32, 32, 3, len(labels)), dtype=np.uint8)
    savemat(file, {"X": images, "y": np.array(labels, dtype=np.uint8)[:, None]}, do_compression=compress)
    return images


@pytest.mark.parametrize("compress", [False, True])
def test_svhn(tmp_path, compress):
    train = write_svhn(tmp_path / "train_32x32.mat", [10, 1, 9], compress)
    test = write_svhn(tmp_path / "test_32x32.mat", [2, 10], compress)
    write_svhn(tmp_path / "extra_32x32.mat", [7], compress)
    dataset = read(tmp_path)
    assert dataset.labels == ["0", "1", "9", "7", "2", "0"]
    assert dataset.column("split") == ["train"] * 4 + ["test"] * 2
    assert np.array_equal(pixels_of(dataset)[1], train[..., 1])
    assert np.array_equal(pixels_of(dataset)[5], test[..., 1])
    assert read(tmp_path / "test_32x32.mat").ids == ["test_32x32.mat#0", "test_32x32.mat#1"]


def test_svhn_files_that_are_none(tmp_path):
    file = tmp_path / "train_32x32.mat"
    for content in (b"", b"MATLAB 7.3 MAT-file" + bytes(600), bytes(200)):
        file.write_bytes(content)
        with pytest.raises(DataError, match="cannot be read as a Matlab file"):
            read(tmp_path)
    savemat(file, {"X": np.zeros((32, 32, 3, 2), np.uint8)})
    with pytest.raises(DataError, match="not an SVHN file"):
        read(tmp_path)
    savemat(file, {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.ones((5, 1))})
    with pytest.raises(DataError, match="2 images and 5 labels"):
        read(tmp_path)
    write_svhn(file, [1, 77])
    with pytest.raises(DataError, match="label 77"):
        read(tmp_path)
