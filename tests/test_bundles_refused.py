"""What could harm is refused before it is opened, whatever its name; a flipped byte is refused or changes nothing."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import pickle
import shutil
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linnaea.classifier import Classifier, load
from linnaea.classifier.bundle import read_bundle
from linnaea.classifier.content import MOST_FILES, content_of, is_inner_name, require_names
from linnaea.classifier.forbidden import LONGEST_HEADER, require_harmless
from linnaea.classifier.keys import make_key
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.classifier.signature import sign
from linnaea.data.images.pixels import Recipe
from linnaea.errors import BundleError
from linnaea.models import build

GREY = np.full((2, 16, 16, 3), 99, dtype=np.uint8)


class Evil:
    """What a pickle can do."""

    def __reduce__(self):
        return os.system, ("touch /tmp/linnaea-was-here",)


def saved(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def taped(content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("data")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def behind(prefix):
    """A pickle of protocol 4 that first does what leaves nothing."""
    return b"\x80\x04" + prefix + pickle.dumps(Evil(), 4)[2:]


def spoiled(archive, text):
    """The same with a wrong checksum of the member that holds `text`."""
    return archive.replace(text, text[::-1])


NOISE = np.random.default_rng(0).bytes(100_000)
OBJECTS = np.array([Evil()], dtype=object)
STRUCTURED = np.zeros(1, dtype=[("a", "f4"), ("b", "O")])
PICKLES = {
    **{f"protocol {number}": pickle.dumps(Evil(), number) for number in range(6)},
    "of torch": saved(lambda buffer: torch.save({"weight": torch.zeros(3)}, buffer)),
    "of torch, earlier": saved(
        lambda buffer: torch.save({"weight": torch.zeros(3)}, buffer, _use_new_zipfile_serialization=False)
    ),
    "an array of objects": saved(lambda buffer: np.save(buffer, OBJECTS, allow_pickle=True)),
    "a table with objects": saved(lambda buffer: np.save(buffer, STRUCTURED, allow_pickle=True)),
    "arrays with one of objects": saved(lambda buffer: np.savez(buffer, a=np.zeros(2), b=OBJECTS, allow_pickle=True)),
    "an archive of a package": zipped(data__more__weights=pickle.dumps(Evil())),
    "an archive in an archive": zipped(inner=zipped(data=pickle.dumps(Evil()))),
    "a name in an archive": zipped(**{"data.pkl": b""}),
    "gzip": gzip.compress(pickle.dumps(Evil())),
    "zlib": zlib.compress(pickle.dumps(Evil())),
    "bz2": bz2.compress(pickle.dumps(Evil())),
    "xz": lzma.compress(pickle.dumps(Evil())),
    "long": pickle.dumps([*range(100_000), Evil()]),
    "letters before garbage": pickle.dumps(Evil(), 0) + b"garbage",
    "letters that never end": pickle.dumps(Evil(), 0)[:-1] + b"\xff\xff",
    "an operation that is none after the call": pickle.dumps(Evil(), 2)[:-1] + b"\xff",
    "a number that only some readers take": b"I0x10\n0" + pickle.dumps(Evil(), 0) + b"\xff",
    "letters behind many numbers": b"(" + b"I1\n" * 50_000 + b"1" + pickle.dumps(Evil(), 0) + b"\xff",
    "behind a long text": behind(b"B" + len(NOISE).to_bytes(4, "little") + NOISE + b"0"),
    "in a large archive in an archive": zipped(inner=zipped(noise=NOISE, data=pickle.dumps(Evil()))),
    "behind a member that cannot be read": spoiled(zipped(first=b"hello", data=pickle.dumps(Evil())), b"hello"),
    "in a tape": taped(pickle.dumps(Evil())),
    "in a packed tape": gzip.compress(taped(pickle.dumps(Evil()))),
    "in a packed archive": gzip.compress(zipped(noise=NOISE, data=pickle.dumps(Evil()))),
    "an archive that nothing can open": b"PK\x03\x04" + NOISE,
}
HARMLESS = {
    "text": b"cats are nice.\n",
    "short text": b"No.\n",
    "a card": b"# birds\n\nAnswers with one of 2 classes: ant, bee.",
    "an array": saved(lambda buffer: np.save(buffer, np.zeros(9))),
    "arrays": saved(lambda buffer: np.savez(buffer, a=np.zeros(2), names=np.array(["O", "|O"]))),
    "an archive": zipped(**{"read me.txt": b"No."}),
    "zeros": bytes(100),
    "one byte": b"\x80",
    "looks like a pickle": b"\x80\x02\x00\x00\x00\x00\x00\x00{",
    "looks like gzip": b"\x1f\x8bxyz",
    "nothing": b"",
    "names of classes": b"cat\ndog\ncow\nhen\nRat\n",
    "a remark": b"N.B. cats are nice.",
    "noise": NOISE,
    "a tape": taped(b"No."),
    "a packed text": gzip.compress(b"cats are nice.\n"),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    scorer = TorchScorer(build("majority", {"classes": 2}))
    folder = tmp_path_factory.mktemp("original") / "bundle"
    Classifier(scorer, ("ant", "bee"), "binary", Recipe(16)).save(folder)
    (folder / "README.md").write_text("# a card\n")
    (folder / "more").mkdir()
    (folder / "more" / "words.txt").write_text("inner\n")
    return folder


@pytest.fixture
def bundle(original, tmp_path):
    return shutil.copytree(original, tmp_path / "bundle")


def redescribed(folder, **files):
    """Let the description name further files, with the hashes that fit, as whoever wants to deceive would."""
    content = json.loads((folder / "classifier.json").read_text())
    content.pop("sha256")
    content["files"] |= files
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (folder / "classifier.json").write_text(json.dumps(content | {"sha256": digest}))


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("name", ["weights.pt", "more/notes.txt"])
def test_pickles_are_refused_by_what_they_are(bundle, kind, name):
    (bundle / name).write_bytes(PICKLES[kind])
    with pytest.raises(BundleError, match=rf"{name} holds a(?: pickle, which is a program|n archive that cannot)"):
        load(bundle)
    redescribed(bundle, **{name: hashlib.sha256(PICKLES[kind]).hexdigest()})
    with pytest.raises(BundleError, match=r"holds a(?: pickle|n archive that cannot)"):
        load(bundle)


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_is_no_pickle_is_left_alone(bundle, kind):
    (bundle / "notes").write_bytes(HARMLESS[kind])
    load(bundle)


def test_weights_of_any_sizes_are_no_pickles(tmp_path):
    from safetensors.torch import save_file

    for count in range(1, 24):
        save_file({f"part {number}": torch.zeros(number) for number in range(count)}, tmp_path / "weights.bin")
        require_harmless(tmp_path, ["weights.bin"])


def onnx_file(path, *, outside=False, place="initializer"):
    import onnx
    from onnx import TensorProto, helper

    tensor = helper.make_tensor("weights", TensorProto.FLOAT, [2], [1.0, 2.0])
    if outside:
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../secret.bin")
    kept = [tensor] if place == "initializer" else []
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    if place == "constant":
        nodes.append(helper.make_node("Constant", [], ["c"], value=tensor))
    if place == "branch":
        inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "inner", [], [])
        nodes.append(helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner))
    about = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    graph = helper.make_graph(
        nodes, "graph", [about], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])], kept
    )
    model = helper.make_model(graph)
    if place == "function":
        inner = [helper.make_node("Constant", [], ["c"], value=tensor)]
        model.functions.append(helper.make_function("own", "f", [], ["c"], inner, []))
    path.write_bytes(model.SerializeToString())
    onnx.load(path, load_external_data=False)


@pytest.mark.parametrize("place", ["initializer", "constant", "branch", "function"])
def test_onnx_data_in_other_files_is_refused_wherever_it_is_named(bundle, place):
    onnx_file(bundle / "graph.onnx", place=place)
    load(bundle)
    onnx_file(bundle / "graph.onnx", outside=True, place=place)
    with pytest.raises(BundleError, match=r"graph\.onnx keeps data of 'weights' in another file"):
        load(bundle)


@pytest.mark.parametrize(
    "content", [b"", b"no onnx", bytes([58]) * 3000, b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
)
def test_what_is_no_onnx_file_is_refused(bundle, content):
    (bundle / "graph.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"graph\.onnx is no ONNX file"):
        load(bundle)


def test_graphs_nested_without_end_are_refused(bundle):
    content = b""
    for _ in range(200):  # a graph in an attribute of a node of a graph
        for field in (6, 5, 1):
            size, length = len(content), b""
            while size > 127:
                length, size = length + bytes([size & 127 | 128]), size >> 7
            content = bytes([field << 3 | 2]) + length + bytes([size]) + content
    (bundle / "graph.onnx").write_bytes(bytes([7 << 3 | 2, len(content) & 127 | 128, len(content) >> 7]) + content)
    with pytest.raises(BundleError, match="nested too deeply"):
        load(bundle)


def test_a_header_beyond_measure_is_refused_before_it_is_read(bundle):
    weights = bundle / "weights.safetensors"
    for claimed, said in (
        (2**62, "is no whole safetensors file"),
        (LONGEST_HEADER + 1, "where 16,777,216 are the most"),
    ):
        with weights.open("wb") as stream:
            stream.write(claimed.to_bytes(8, "little"))
            stream.truncate(LONGEST_HEADER + 100)
        redescribed(bundle, **{"weights.safetensors": hashlib.sha256(weights.read_bytes()).hexdigest()})
        with pytest.raises(BundleError, match=said):
            load(bundle)


def test_a_description_beyond_measure_is_refused_before_it_is_read(bundle):
    with (bundle / "classifier.json").open("r+b") as stream:
        stream.truncate(1 << 40)  # of which the disk holds nothing
    with pytest.raises(BundleError, match="where 33,554,432 are the most"):
        load(bundle)


def test_links_out_of_the_folder_are_refused(bundle, tmp_path):
    (tmp_path / "secret").write_text("secret")
    for target in (tmp_path / "secret", "/etc/passwd", "../../secret", tmp_path):
        (bundle / "more" / "link").symlink_to(target)
        with pytest.raises(BundleError, match=r"link is a link to .*expected the file itself"):
            load(bundle)
        (bundle / "more" / "link").unlink()
    (bundle / "more" / "loop").symlink_to(bundle)
    with pytest.raises(BundleError, match="loop is a link to"):
        load(bundle)


def test_weights_that_are_a_link_are_refused_though_their_bytes_are_right(bundle, tmp_path):
    (bundle / "weights.safetensors").rename(tmp_path / "elsewhere")
    (bundle / "weights.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="is a link to"):
        load(bundle)


def test_the_folder_itself_may_be_a_link(bundle, tmp_path):
    (tmp_path / "today").symlink_to(bundle)
    load(tmp_path / "today")


def test_pipes_are_refused_without_waiting_for_somebody_to_write(bundle):
    os.mkfifo(bundle / "pipe")
    with pytest.raises(BundleError, match="pipe is a pipe"):
        load(bundle)
    (bundle / "pipe").unlink()
    (bundle / "classifier.json").unlink()
    os.mkfifo(bundle / "classifier.json")
    with pytest.raises(BundleError, match="a pipe, a socket or a device"):
        load(bundle)


def test_names_that_differ_only_in_case_are_refused(bundle):
    (bundle / "ReadMe.md").write_text("another card")
    with pytest.raises(BundleError, match=r"'README\.md' and 'ReadMe\.md', which are one file|'ReadMe\.md' and"):
        load(bundle)
    with pytest.raises(BundleError, match="are one file"):
        require_names(["\u00e9.txt", "e\u0301.txt"], "a listing")


def test_far_too_many_files_are_refused(bundle):
    for number in range(MOST_FILES):
        (bundle / "more" / f"{number}").touch()
    with pytest.raises(BundleError, match="holds more than 4,096 files"):
        load(bundle)


def test_folders_in_folders_without_end_are_refused(bundle):
    (bundle / "/".join(["in"] * 40)).mkdir(parents=True)
    with pytest.raises(BundleError, match="folders deep"):
        load(bundle)


@given(st.text(alphabet="ab./\\:~ \x00\n\u00e9", max_size=40))
def test_an_inner_name_never_leads_out(name):
    if is_inner_name(name):
        assert os.path.normpath(f"/bundle/{name}") == f"/bundle/{name}"
    assert not is_inner_name(f"../{name}")
    assert not is_inner_name(f"/{name}")


def test_the_address_is_the_same_on_every_machine_and_of_every_byte(bundle):
    (bundle / "classifier.json").write_text("{}")
    (bundle / "weights.safetensors").write_bytes(b"\x00\x01")
    content = content_of(bundle)
    assert content.address == "linnaea:sha256-" + ADDRESS
    os.utime(bundle / "README.md", (0, 0))
    (bundle / "README.md").chmod(0o600)
    (bundle / ".DS_Store").touch()
    (bundle / "__pycache__").mkdir()
    assert content_of(bundle).address == content.address
    (bundle / "more" / "words.txt").rename(bundle / "words.txt")
    assert content_of(bundle).address != content.address


ADDRESS = "46cacb881ed208cea060b0bbb350ce893c6bbd62ef7eea3d53309a7862d3df01"
SMALL = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SMALL
@given(data=st.data())
def test_a_flipped_byte_is_refused_or_changes_no_answer(original, tmp_path_factory, data):
    folder = shutil.copytree(original, tmp_path_factory.mktemp("flipped") / "bundle")
    expected = load(folder).score(GREY).probabilities.tolist()
    file = data.draw(st.sampled_from(sorted(path for path in folder.rglob("*") if path.is_file())))
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    try:
        assert load(folder).score(GREY).probabilities.tolist() == expected
    except BundleError:
        assert file.name in ("classifier.json", "weights.safetensors")


@pytest.fixture(scope="module")
def signed(original, tmp_path_factory):
    folder = shutil.copytree(original, tmp_path_factory.mktemp("signed") / "bundle")
    key = make_key(folder.parent / "key")
    sign(content_of(folder), folder.parent / "key", signed_by="Ada", when="2026-01-01")
    return folder, key


@SMALL
@given(data=st.data())
def test_a_flipped_byte_of_what_is_signed_is_always_refused(signed, tmp_path_factory, data):
    original, key = signed
    folder = shutil.copytree(original, tmp_path_factory.mktemp("flipped") / "bundle")
    file = data.draw(st.sampled_from(sorted(path for path in folder.rglob("*") if path.is_file())))
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    if file.name == "signature.json":  # it may be written otherwise and say the same
        try:
            read_bundle(folder, [key])
        except BundleError:
            return
        assert {path.name for path in folder.rglob("*")} == {path.name for path in original.rglob("*")}
        return
    with pytest.raises(BundleError):
        read_bundle(folder, [key])


@SMALL
@given(
    content=st.binary(max_size=200), name=st.sampled_from(["classifier.json", "weights.safetensors", "signature.json"])
)
def test_whatever_lies_in_a_file_nothing_but_a_bundle_error_comes(signed, tmp_path_factory, content, name):
    original, key = signed
    folder = shutil.copytree(original, tmp_path_factory.mktemp("any") / "bundle")
    (folder / name).write_bytes(content)
    if name == "weights.safetensors":
        redescribed(folder, **{name: hashlib.sha256(content).hexdigest()})
    with pytest.raises(BundleError):
        read_bundle(folder, [] if name == "weights.safetensors" else [key])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@SMALL
@given(value=JSON, entry=st.sampled_from(["files", "scorer", "recipe", "policy", "provenance", "classes", "version"]))
def test_whatever_a_description_says_nothing_but_a_bundle_error_comes(original, tmp_path_factory, value, entry):
    folder = shutil.copytree(original, tmp_path_factory.mktemp("any") / "bundle")
    content = json.loads((folder / "classifier.json").read_text()) | {entry: value}
    content.pop("sha256")
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (folder / "classifier.json").write_text(json.dumps(content | {"sha256": digest}))
    try:
        load(folder)
    except BundleError:
        return
    assert entry == "provenance"
    assert isinstance(value, dict)


@SMALL
@given(
    content=st.binary(max_size=300),
    head=st.sampled_from([b"", b"\x80\x04", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x1f\x8b"]),
)
def test_no_file_makes_the_look_for_pickles_fail(tmp_path_factory, content, head):
    folder = tmp_path_factory.mktemp("any")
    (folder / "file").write_bytes(head + content)
    (folder / "file.onnx").write_bytes(content)
    for name in ("file", "file.onnx"):
        try:
            require_harmless(folder, [name])
        except BundleError:
            continue
