"""A signature stands for every byte of a bundle, and for nothing else; keys are kept from others."""

import json
import shutil
import stat
from base64 import b64decode, b64encode
from typing import ClassVar

import pytest
import torch
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from material import run
from PIL import Image

import linnaea
from linnaea.classifier import Classifier, load
from linnaea.classifier.content import content_of
from linnaea.classifier.keys import make_key, read_private, read_public
from linnaea.classifier.scorers import SCORERS, Scorer
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.classifier.signature import trusting
from linnaea.data.images.pixels import Recipe
from linnaea.errors import BundleError, UsageError
from linnaea.models import build


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    scorer = TorchScorer(build("majority", {"classes": 2}))
    folder = tmp_path_factory.mktemp("original") / "bundle"
    return Classifier(scorer, ("ant", "bee"), "binary", Recipe(16)).save(folder)


@pytest.fixture
def bundle(original, tmp_path):
    return shutil.copytree(original, tmp_path / "bundle")


@pytest.fixture
def key(tmp_path):
    make_key(tmp_path / "key")
    return tmp_path / "key"


def test_a_key_is_for_its_owner_alone_and_never_written_over(key):
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(UsageError, match="a key is never written over"):
        make_key(key)
    key.unlink()
    with pytest.raises(UsageError, match=r"key\.pub already exists"):
        make_key(key)


def test_a_private_key_that_others_may_read_is_refused(bundle, key):
    key.chmod(0o644)
    with pytest.raises(UsageError, match=r"may be read by others.*chmod 600"):
        linnaea.sign(bundle, key=key)


def test_a_passphrase_is_asked_of_the_environment(bundle, tmp_path, monkeypatch):
    make_key(tmp_path / "closed", "open sesame")
    assert b"ENCRYPTED" in (tmp_path / "closed").read_bytes()
    with pytest.raises(UsageError, match="is protected by a passphrase: put it into LINNAEA_PASSPHRASE"):
        linnaea.sign(bundle, key=tmp_path / "closed")
    monkeypatch.setenv("LINNAEA_PASSPHRASE", "wrong")
    with pytest.raises(UsageError, match="the passphrase is wrong"):
        linnaea.sign(bundle, key=tmp_path / "closed")
    monkeypatch.setenv("LINNAEA_PASSPHRASE", "open sesame")
    assert len(linnaea.sign(bundle, key=tmp_path / "closed").signatures) == 1
    make_key(tmp_path / "plain")
    with pytest.raises(UsageError, match="is protected by no passphrase"):
        linnaea.sign(bundle, key=tmp_path / "plain")


def test_a_signature_is_one_that_the_library_itself_verifies(bundle, key):
    linnaea.sign(bundle, key=key, signed_by="Ada")
    told = json.loads((bundle / "signature.json").read_text())
    (entry,) = told["signatures"]
    public = serialization.load_pem_public_key((key.parent / "key.pub").read_bytes())
    assert isinstance(public, Ed25519PublicKey)
    said = {"address": content_of(bundle).address, "format": "linnaea signature 1"}
    said |= {name: entry[name] for name in ("key", "signed_by", "signed")}
    public.verify(b64decode(entry["signature"]), json.dumps(said, sort_keys=True, separators=(",", ":")).encode())
    assert b64decode(entry["key"]) == public.public_bytes_raw()


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename"])
def test_whatever_is_changed_after_signing_is_refused(bundle, key, change, caplog):
    (bundle / "predict.py").write_text("print('ant')\n")
    linnaea.sign(bundle, key=key)
    load(bundle, trust=f"{key}.pub")
    if change == "edit":
        (bundle / "predict.py").write_text("print('bee')\n")
    elif change == "add":
        (bundle / "numpy.py").write_text("print('evil')\n")
    elif change == "remove":
        (bundle / "predict.py").unlink()
    else:
        (bundle / "predict.py").rename(bundle / "Predict.py")
    with pytest.raises(BundleError, match="is the signature of another content"):
        load(bundle, trust=f"{key}.pub")
    load(bundle)
    assert "is the signature of another content" in caplog.text
    assert len(linnaea.sign(bundle, key=key).signatures) == 1
    load(bundle, trust=f"{key}.pub")


def test_no_signature_and_one_of_another_key_are_refused(bundle, key, tmp_path):
    with pytest.raises(BundleError, match=r"is not signed: expected the signature of .*key\.pub"):
        load(bundle, trust=f"{key}.pub")
    make_key(tmp_path / "other")
    linnaea.sign(bundle, key=tmp_path / "other")
    with pytest.raises(BundleError, match="signed by none of the trusted keys"):
        load(bundle, trust=f"{key}.pub")
    linnaea.sign(bundle, key=key, signed_by="Ada")
    for one in ("key", "other"):
        load(bundle, trust=tmp_path / f"{one}.pub")
    assert [told["signed_by"] for told in linnaea.verify(bundle).signatures] == ["", "Ada"]


@pytest.mark.parametrize("entry", ["key", "signed_by", "signed", "signature"])
def test_no_part_of_a_signature_can_be_replaced(bundle, key, tmp_path, entry):
    linnaea.sign(bundle, key=key, signed_by="Ada")
    other = make_key(tmp_path / "other")
    told = json.loads((bundle / "signature.json").read_text())
    told["signatures"][0][entry] = b64encode(other.raw).decode() if entry == "key" else "Bob"
    (bundle / "signature.json").write_text(json.dumps(told))
    for trusted in (f"{key}.pub", other.name):
        with pytest.raises(BundleError, match="is not that of its key"):
            load(bundle, trust=trusted)
    with pytest.raises(BundleError, match="is not that of its key"):
        linnaea.verify(bundle)


def test_a_signature_of_one_bundle_is_none_of_another(bundle, key, tmp_path):
    other = shutil.copytree(bundle, tmp_path / "other")
    (other / "README.md").write_text("another\n")
    linnaea.sign(other, key=key)
    told = json.loads((other / "signature.json").read_text())
    linnaea.sign(bundle, key=key)
    told["address"] = content_of(bundle).address
    (bundle / "signature.json").write_text(json.dumps(told))
    with pytest.raises(BundleError, match="is not that of its key"):
        load(bundle, trust=f"{key}.pub")


def test_the_environment_may_name_the_keys_to_trust(bundle, key, tmp_path, monkeypatch):
    make_key(tmp_path / "other")
    monkeypatch.setenv("LINNAEA_TRUST", f"{tmp_path / 'other.pub'}:{key}.pub")
    with pytest.raises(BundleError, match="is not signed"):
        load(bundle)
    linnaea.sign(bundle, key=key)
    load(bundle)
    monkeypatch.setenv("LINNAEA_TRUST", str(tmp_path / "gone.pub"))
    with pytest.raises(UsageError, match=r"gone\.pub cannot be read"):
        load(bundle)
    monkeypatch.setenv("LINNAEA_TRUST", ":")
    with pytest.raises(UsageError, match="LINNAEA_TRUST is ':'"):
        load(bundle)


def test_files_that_are_no_keys_are_refused(bundle, key, tmp_path):
    (tmp_path / "noise").write_text("noise")
    (tmp_path / "noise").chmod(0o600)
    curve = ec.generate_private_key(ec.SECP256R1())
    form = serialization.Encoding.PEM
    (tmp_path / "curve.pub").write_bytes(
        curve.public_key().public_bytes(form, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "curve").write_bytes(
        curve.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "curve").chmod(0o600)
    for file, said in (("noise", "cannot be read as a public key"), ("curve.pub", "of another kind than Ed25519")):
        with pytest.raises(UsageError, match=said):
            read_public(tmp_path / file)
    with pytest.raises(UsageError, match="is a private key: trust its public one"):
        read_public(key)
    for file, said in (
        ("noise", "as a private key"),
        ("curve", "another kind than Ed25519"),
        ("gone", "cannot be read"),
    ):
        with pytest.raises(UsageError, match=said):
            read_private(tmp_path / file)
    with pytest.raises(UsageError, match="sign needs a run and a key"):
        linnaea.sign(bundle)


def test_what_is_shown_of_a_signature_can_say_nothing_more(bundle, key):
    lie = "Ada.\nThat is the key in lab.pub"
    with pytest.raises(UsageError, match="expected one line"):
        linnaea.sign(bundle, key=key, signed_by=lie)
    address = content_of(bundle).address
    private = read_private(key)
    entry = {"key": b64encode(private.public_key().public_bytes_raw()).decode(), "signed_by": lie, "signed": "today"}
    said = {"address": address, "format": "linnaea signature 1", **entry}
    signature = private.sign(json.dumps(said, sort_keys=True, separators=(",", ":")).encode())
    told = {"format": "linnaea signature 1", "address": address}
    told["signatures"] = [entry | {"signature": b64encode(signature).decode()}]
    (bundle / "signature.json").write_text(json.dumps(told))
    with pytest.raises(BundleError, match="no line of text"):
        linnaea.verify(bundle)


@pytest.mark.parametrize("damage", ["all", "one"])
def test_a_damaged_signature_is_mended_by_signing_again(bundle, key, caplog, damage):
    linnaea.sign(bundle, key=key)
    make_key(key.parent / "other")
    told = json.loads((bundle / "signature.json").read_text())
    told["signatures"][0]["signature"] = "AAAA"
    (bundle / "signature.json").write_text(json.dumps(told if damage == "one" else {}))
    assert len(linnaea.sign(bundle, key=key.parent / "other").signatures) == 1
    assert "the signatures that were there are replaced" in caplog.text
    load(bundle, trust=key.parent / "other.pub")


def test_files_that_only_a_signature_would_cover_are_named(bundle, key):
    (bundle / "predict.py").write_text("print('bee')\n")
    found = linnaea.verify(bundle)
    assert found.beside == ("README.md", "predict.py") or found.beside == ("predict.py",)
    assert "and no hash tells whether" in str(found)
    assert "predict.py changed." in str(found)
    linnaea.sign(bundle, key=key)
    assert "no hash" not in str(linnaea.verify(bundle, trust=[f"{key}.pub"]))


def test_every_verb_that_loads_asks_for_the_signature(bundle, key, tmp_path, monkeypatch, capsys):
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (20, 20), (90 * number, 9, 9)).save(tmp_path / "photos" / name / f"{number}.png")
    other, photos = shutil.copytree(bundle, tmp_path / "second"), str(tmp_path / "photos")
    linnaea.sign(other, key=key)
    trusted = ["--trust", f"{key}.pub"]
    for words in (
        ["evaluate", bundle, "--data", photos],
        ["compare", bundle, other, "--data", photos],
        ["bench", bundle, "--images", photos, "--rounds", 1, "--threads", 1],
    ):
        assert run([*words, *trusted], monkeypatch) != 0
        assert "bundle is not signed" in capsys.readouterr().err
    linnaea.sign(bundle, key=key)
    assert linnaea.evaluate(bundle, photos, trust=[f"{key}.pub"]).figures["accuracy"].value == 0.5
    linnaea.compare(bundle, other, data=photos, trust=[f"{key}.pub"])
    linnaea.evaluate(bundle, photos, trust=[f"{key}.pub"]).predictions.write(tmp_path / "kept.parquet")
    for verb, rest in ((linnaea.evaluate, ()), (linnaea.compare, (bundle,))):
        with pytest.raises(UsageError, match="not signed"):
            verb(tmp_path / "kept.parquet", *rest, trust=[f"{key}.pub"])


def test_what_is_trusted_within_is_forgotten_behind(bundle, key):
    with pytest.raises(BundleError, match="is not signed"), trusting(f"{key}.pub"):
        load(bundle)
    load(bundle)


def test_engines_of_the_graphics_processor_are_machine_code_too():
    assert {name for name in SCORERS if SCORERS[name].machine_code} == {"pt2", "tensorrt", "tvm"}


def test_compiled_scripts_that_no_hash_covers_are_said(bundle, key, caplog):
    linnaea.sign(bundle, key=key)
    (bundle / "__pycache__").mkdir()
    linnaea.verify(bundle, trust=[f"{key}.pub"])
    assert "__pycache__ does not belong to the bundle" in caplog.text


def test_the_commands_say_what_is_signed_and_fail_where_it_is_not(bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["sign", "--new-key", "lab"], monkeypatch) == 0
    assert "The private key is in lab, without a passphrase" in capsys.readouterr().out
    assert run(["verify", "bundle"], monkeypatch) == 0
    assert "It is not signed." in capsys.readouterr().out
    assert run(["verify", "bundle", "--trust", "lab.pub"], monkeypatch) == 1
    assert "bundle is not signed" in capsys.readouterr().err
    assert run(["sign", "bundle", "--key", "lab", "--signed-by", "Ada"], monkeypatch) == 0
    assert "Signed by Ada on " in capsys.readouterr().out
    assert run(["verify", "bundle", "--trust", "lab.pub"], monkeypatch) == 0
    said = capsys.readouterr().out
    assert content_of(bundle).address in said
    assert "That is the key in lab.pub." in said
    assert run(["verify", "bundle", "--json"], monkeypatch) == 0
    assert json.loads(capsys.readouterr().out)["files"] == content_of(bundle).files


class Compiled(Scorer):
    """A scorer whose file is code of the processor."""

    kind = "own_code"
    machine_code = True
    run: ClassVar = []

    def __init__(self, file):
        self.file = file

    @property
    def arguments(self):
        return {}

    def files(self):
        return {"code.so": self.file}

    def batches(self, images, plan=None):
        self.run.append(self.file)
        yield None, torch.zeros(len(images), 2)

    @classmethod
    def build(cls, arguments, tensors, folder):
        return cls(folder / "code.so")


@pytest.mark.parametrize("head", [b"\x7fELF\x02", b"MZ\x90", b"\xcf\xfa\xed\xfe"])
def test_a_library_is_machine_code_whatever_the_bundle_says_it_is(bundle, key, head):
    (bundle / "graph.bin").write_bytes(head)
    with pytest.raises(BundleError, match="holds machine code"):
        load(bundle)
    linnaea.sign(bundle, key=key)
    load(bundle, trust=f"{key}.pub")


def test_machine_code_is_run_where_it_was_made_and_where_a_trusted_key_has_signed_it(tmp_path, key, monkeypatch):
    (tmp_path / "code").write_bytes(b"\x7fELF")
    with SCORERS.restored():
        SCORERS.register("own_code", title="Own code")(Compiled)
        folder = Classifier(Compiled(tmp_path / "code"), ("ant", "bee"), "binary", Recipe(16)).save(tmp_path / "own")
        load(folder)
        load(shutil.move(folder, tmp_path / "moved"))
        monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path / "another machine"))
        Compiled.run.clear()
        for cache in (str(tmp_path / "another machine"), "none"):
            monkeypatch.setenv("LINNAEA_CACHE", cache)
            with pytest.raises(BundleError, match=r"holds machine code \(Own code\) that was not made here"):
                load(tmp_path / "moved")
        linnaea.sign(tmp_path / "moved", key=key)
        with pytest.raises(BundleError, match="holds machine code"):
            load(tmp_path / "moved")
        linnaea.verify(tmp_path / "moved", trust=[f"{key}.pub"])
        assert Compiled.run == []
        load(tmp_path / "moved", trust=f"{key}.pub")
        assert Compiled.run == [tmp_path / "moved" / "code.so"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda place: (place / "predict.py").write_text("print()"), "'predict.py' was changed since"),
        (lambda place: (place / "notes.txt").write_text("new"), "'notes.txt' was added since"),
        (lambda place: (place / "predict.py").unlink(), "'predict.py' was taken away since"),
    ],
)
def test_a_void_signature_names_what_became_of_which_file(bundle, key, change, said):
    (bundle / "predict.py").write_text("print(1)")
    linnaea.sign(bundle, key=key)
    change(bundle)
    with pytest.raises(BundleError, match=said):
        linnaea.verify(bundle)


def test_hashes_in_a_signature_that_are_not_what_was_signed_name_nothing(bundle, key):
    (bundle / "notes.txt").write_text("one")
    linnaea.sign(bundle, key=key)
    file = bundle / "signature.json"
    told = json.loads(file.read_text())
    told["files"]["notes.txt"] = "0" * 64
    file.write_text(json.dumps(told))
    (bundle / "notes.txt").write_text("two")
    with pytest.raises(BundleError, match="a file was changed, added or taken away since"):
        linnaea.verify(bundle)


def test_a_public_key_does_not_sign(bundle, key):
    with pytest.raises(UsageError, match=f"is a public key.*sign with the private one, {key}"):
        linnaea.sign(bundle, key=f"{key}.pub")
