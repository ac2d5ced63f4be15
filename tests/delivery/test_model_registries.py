"""What is pulled from a registry is what was pushed there, whole, or it does not appear at all."""

import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from hub_stand_in import running_hub
from material import run
from PIL import Image

import linnaea
from linnaea.classifier import Classifier, load
from linnaea.classifier.content import content_of
from linnaea.classifier.keys import make_key
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.delivery.exporters import export, onnxruntime_web
from linnaea.delivery.model_registries import MODEL_REGISTRIES, pull, push
from linnaea.delivery.model_registries.target import Target
from linnaea.errors import BundleError, LinnaeaError, RegistryError, UsageError
from linnaea.models import build

KINDS = ("folder", "mlflow", "hf")


@pytest.fixture(scope="module")
def hub():
    with running_hub() as (hub, address):
        yield hub, address


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def places(hub, store, tmp_path, monkeypatch):
    """For each kind a target that nobody has used, and how to reach the stored bytes of a file."""
    _, address = hub
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("HF_TOKEN", "hf_of_no_use")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'mlflow.db'}")
    monkeypatch.chdir(store)
    name = f"birds-{tmp_path.name}".replace("[", "-").replace("]", "")[:60]
    return {"folder": f"folder:{tmp_path / 'models' / 'birds'}", "mlflow": f"mlflow:{name}", "hf": f"hf:user/{name}"}


@pytest.fixture
def bundle(tmp_path):
    scorer = TorchScorer(build("majority", {"classes": 2}))
    classifier = Classifier(
        scorer, ("ant", "bee"), "binary", Recipe(16), provenance={"linnaea": "0.1.0", "run": "pets"}
    )
    folder = classifier.save(tmp_path / "bundle")
    (folder / "README.md").write_text("# pets: a card\n")
    (folder / "more").mkdir()
    (folder / "more" / "words.txt").write_text("inner\n")
    return folder


def bytes_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def spoil(target, hub, store, change):
    """Change what the registry holds of README.md."""
    kind, place = target.split(":", 1)
    if kind == "folder":
        blobs = [path for path in (Path(place).parent / "blobs").rglob("*") if path.is_file()]
        (blob,) = (path for path in blobs if path.read_bytes().startswith(b"# pets"))
        blob.write_bytes(change(blob.read_bytes()))
    elif kind == "mlflow":
        newest = max(store.rglob("README.md"), key=lambda path: path.stat().st_mtime_ns)
        newest.write_bytes(change(newest.read_bytes()))
    else:
        files = hub[0].commits[place][hub[0].find(place, "main")]
        files["README.md"] = change(files["README.md"])


def test_every_member_is_tried():
    assert set(KINDS) == set(MODEL_REGISTRIES)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_pulled_is_what_was_pushed(places, bundle, tmp_path, kind):
    key = make_key(tmp_path / "key")
    linnaea.sign(bundle, key=tmp_path / "key", signed_by="Ada")
    pushed = linnaea.push(bundle, places[kind], tag="production")
    assert (pushed.version.number, pushed.version.tags, pushed.signed) == (1, ("production",), True)
    assert pushed.version.address == content_of(bundle).address
    pulled = linnaea.pull(pushed.source, tmp_path / "pulled", trust=[key.name])
    assert bytes_in(tmp_path / "pulled") == bytes_in(bundle)
    assert (pulled.signed_by, pulled.version.address) == (key.name, pushed.version.address)
    assert load(tmp_path / "pulled", trust=key.name).classes == ("ant", "bee")


@pytest.mark.parametrize("kind", KINDS)
def test_versions_are_numbered_and_asked_for_by_number_address_and_tag(places, bundle, tmp_path, kind):
    target = places[kind]
    first = push(bundle, target, tags=["production"]).version
    assert push(bundle, target).version == first
    (bundle / "README.md").write_text("# pets: a better card\n")
    shutil.rmtree(bundle / "more")
    second = push(bundle, target).version
    assert (first.number, second.number, second.tags) == (1, 2, ())
    assert first.address != second.address
    asked = {"@1": 1, "@2": 2, "": 2, "@latest": 2, "@production": 1, f"@{first.address.partition(':')[2]}": 1}
    for number, (words, expected) in enumerate(asked.items()):
        pulled = pull(target + words, tmp_path / f"pulled {number}")
        assert pulled.version.number == expected
        assert (tmp_path / f"pulled {number}" / "more").exists() == (expected == 1)
    assert push(bundle, target, tags=["production"]).version.tags == ("production",)
    assert pull(f"{target}@production", tmp_path / "moved").version.number == 2


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_changed_in_the_registry_does_not_appear(places, bundle, tmp_path, kind, hub, store):
    push(bundle, places[kind])
    spoil(places[kind], hub, store, lambda content: bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(BundleError, match="damaged"):
        pull(places[kind], tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()
    assert not list(tmp_path.glob(".pulled*"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_is_said(places, bundle, tmp_path, kind):
    with pytest.raises(RegistryError, match=r"holds no versions|no repository"):
        pull(places[kind], tmp_path / "pulled")
    push(bundle, places[kind])
    for wanted in ("7", "staging", "sha256-00000000", "sha256-"):
        with pytest.raises(
            RegistryError, match=r"holds no version .*expected a number from 1 to 1, sha256-..., latest"
        ):
            pull(f"{places[kind]}@{wanted}", tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_written_over_and_nothing_unsigned_is_pulled_where_a_key_is_trusted(places, bundle, tmp_path, kind):
    push(bundle, places[kind])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(UsageError, match="already exists"):
        pull(places[kind], tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]
    key = make_key(tmp_path / "key")
    with pytest.raises(BundleError, match="is not signed: expected the signature of"):
        pull(places[kind], tmp_path / "pulled", trust=key.name)
    linnaea.sign(bundle, key=tmp_path / "key")
    push(bundle, places[kind])
    make_key(tmp_path / "other")
    with pytest.raises(BundleError, match="signed by none of the trusted keys"):
        pull(places[kind], tmp_path / "pulled", trust=tmp_path / "other.pub")
    assert not (tmp_path / "pulled").exists()
    assert pull(places[kind], tmp_path / "pulled", trust=[tmp_path / "other.pub", key.name]).signed_by == key.name


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_that_cannot_be_loaded_is_not_pushed(places, bundle, kind):
    weights = bundle / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(BundleError, match="has changed since it was saved"):
        push(bundle, places[kind])


def test_a_void_signature_is_not_pushed(places, bundle, tmp_path):
    make_key(tmp_path / "key")
    linnaea.sign(bundle, key=tmp_path / "key")
    (bundle / "README.md").write_text("edited after signing\n")
    with pytest.raises(BundleError, match="is the signature of another content"):
        push(bundle, places["folder"])


def test_many_who_push_at_once_spoil_nothing(places, bundle, tmp_path):
    copies = [shutil.copytree(bundle, tmp_path / f"copy {number}") for number in range(6)]
    for number, copy in enumerate(copies):
        (copy / "README.md").write_text(f"# card {number}\n")
    ready, versions = threading.Barrier(6), {}

    def go(number):
        ready.wait()
        versions[number] = push(copies[number], places["folder"]).version

    threads = [threading.Thread(target=go, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(version.number for version in versions.values()) == [1, 2, 3, 4, 5, 6]
    for number, version in versions.items():
        pull(f"{places['folder']}@{version.number}", tmp_path / f"back {number}")
        assert (tmp_path / f"back {number}" / "README.md").read_text() == f"# card {number}\n"
    assert not list((tmp_path / "models").rglob("*.partial"))


def test_a_folder_keeps_each_file_once_and_a_push_mends_what_is_damaged(places, bundle, tmp_path, hub, store):
    push(bundle, places["folder"])
    held = len(bytes_in(tmp_path / "models" / "blobs"))
    (bundle / "README.md").write_text("# pets: another card\n")
    push(bundle, places["folder"])
    assert len(bytes_in(tmp_path / "models" / "blobs")) == held + 2  # the card, and the listing
    weights = (bundle / "weights.safetensors").read_bytes()
    (blob,) = (path for path in (tmp_path / "models").rglob("*") if path.is_file() and path.read_bytes() == weights)
    blob.write_bytes(b"torn")
    with pytest.raises(BundleError, match="is damaged"):
        pull(places["folder"], tmp_path / "pulled")
    push(bundle, places["folder"])
    pull(places["folder"], tmp_path / "pulled")


def test_any_damage_to_what_a_folder_writes_beside_the_files_is_noticed(places, bundle, tmp_path):
    push(bundle, places["folder"], tags=["production"])
    for file in (tmp_path / "models" / "birds").rglob("*.json"):
        content = file.read_bytes()
        for place in range(0, len(content), 3):
            file.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
            try:
                pull(f"{places['folder']}@production", tmp_path / "pulled")
            except LinnaeaError:
                assert not (tmp_path / "pulled").exists()
            else:  # a space that became another sign of the same meaning
                assert bytes_in(tmp_path / "pulled") == bytes_in(bundle)
                shutil.rmtree(tmp_path / "pulled")
        file.write_bytes(content)


def test_a_folder_of_other_things_is_not_written_into(bundle, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(UsageError, match="holds other files"):
        push(bundle, str(tmp_path / "photos"))
    with pytest.raises(UsageError, match="is no place for a model"):
        push(bundle, str(tmp_path / "blobs"))


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "readme.MD", "more/../../evil.txt", "a\\b", "c:evil"])
def test_names_that_lead_out_of_the_folder_are_refused_before_anything_is_fetched(places, bundle, tmp_path, hub, name):
    push(bundle, places["hf"])
    place = places["hf"].partition(":")[2]
    hub[0].commits[place][hub[0].find(place, "main")][name] = b"evil"
    before = len(hub[0].requests)
    with pytest.raises(BundleError, match=r"one file where upper and lower case|expected one inside of its folder"):
        pull(places["hf"], tmp_path / "deep" / "pulled")
    assert not any("/resolve/" in path for _, path in hub[0].requests[before:])
    assert not list(tmp_path.rglob("evil*"))


def test_a_new_repository_is_private_and_has_the_card_as_its_page(places, bundle, hub):
    push(bundle, places["hf"])
    place = places["hf"].partition(":")[2]
    assert hub[0].private[place] is True
    assert hub[0].commits[place][hub[0].find(place, "v1")]["README.md"] == b"# pets: a card\n"


def test_a_model_that_something_else_registered_is_pulled_with_a_warning(places, bundle, tmp_path, caplog):
    from mlflow.tracking import MlflowClient

    push(bundle, places["mlflow"])
    name = places["mlflow"].partition(":")[2]
    MlflowClient(os.environ["MLFLOW_TRACKING_URI"]).delete_model_version_tag(name, "1", "linnaea.address")
    pull(places["mlflow"], tmp_path / "pulled")
    assert "was pushed by something else than Linnaea" in caplog.text


def test_a_server_that_is_not_there_is_named(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(RegistryError, match=r"the Hub at http://127\.0\.0\.1:9 does not do what is asked"):
        push(bundle, "hf:user/birds")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI is not set"):
        pull("mlflow:birds", tmp_path / "pulled")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("models/birds", ("folder", "models/birds", "")),
        ("/models/birds@3", ("folder", "/models/birds", "3")),
        ("folder:/a@b/birds", ("folder", "/a@b/birds", "")),
        ("C:\\models\\birds", ("folder", "C:\\models\\birds", "")),
        ("mlflow:birds@production", ("mlflow", "birds", "production")),
        ("hf:user/birds@sha256-0123", ("hf", "user/birds", "sha256-0123")),
    ],
)
def test_targets_are_words(words, expected):
    target = Target.read(words)
    assert (target.kind, target.place, target.version) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("mlfow:birds", "unknown model registry 'mlfow'.*Did you mean 'mlflow'"),
        ("mlflow:", "is no target"),
        ("mlflow:birds@", "is no target"),
        ("s3://bucket/birds", "is the address of a server"),
        ("mlflow://server/birds", "is the address of a server"),
        ("mlflow:birds@2", "names a version: a push makes the next one"),
        ("hf:birds", "expected a user and a name"),
        ("mlflow:a'b", "is no name of a registered model"),
    ],
)
def test_other_words_are_refused(places, bundle, words, said):
    with pytest.raises(UsageError, match=said):
        push(bundle, words)


@pytest.mark.parametrize("to", ["openvino", "web", pytest.param("pt2", marks=pytest.mark.slow)])
def test_an_exported_folder_is_pushed_and_pulled_as_it_was_checked(bundle, tmp_path, monkeypatch, to):
    pytest.importorskip("openvino" if to == "openvino" else "onnxruntime")
    if to == "web" and onnxruntime_web.found(Path("~/.cache/linnaea").expanduser()) is None:
        pytest.skip("needs onnxruntime-web: python -m linnaea.delivery.exporters.onnxruntime_web")
    photos = [tmp_path / f"{number}.png" for number in range(3)]
    for number, photo in enumerate(photos):
        Image.new("RGB", (20, 30), (80 * number, 9, 9)).save(photo)
    classifier = Classifier(
        TorchScorer(build("lenet5", {"classes": 2, "size": 32}).eval()), ("ant", "bee"), "binary", Recipe(32)
    )
    exported = export(classifier, to, tmp_path / "exported", photos).folder
    key = make_key(tmp_path / "key")
    linnaea.sign(exported, key=tmp_path / "key")
    pushed = linnaea.push(exported, str(tmp_path / "models" / "birds"))
    monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path / "another machine"))
    pulled = linnaea.pull(pushed.source, tmp_path / "pulled", trust=[key.name]).folder
    assert bytes_in(pulled) == bytes_in(exported)
    if to == "pt2":
        with pytest.raises(BundleError, match="holds machine code"):
            load(pulled)
    if to != "web":
        again = linnaea.predict(pulled, photos, trust=[key.name])
        expected = np.array(classifier.predict(photos).column("probabilities"))
        assert np.abs(np.array(again.column("probabilities")) - expected).max() < 1e-4
        beside = set(linnaea.verify(pulled).beside)
        assert {"predict.py", "sbom.cdx.json"} <= beside
    (pulled / "extra.py").write_text("print('evil')")
    with pytest.raises(BundleError, match="is the signature of another content"):
        linnaea.verify(pulled, trust=[key.name])


@pytest.mark.parametrize("tag", ["latest", "3", "v3", "sha256-0123", "", "two words", "a/b", "-x"])
def test_tags_that_could_mean_something_else_are_refused(bundle, tmp_path, tag):
    with pytest.raises(UsageError, match="is no tag"):
        push(bundle, str(tmp_path / "birds"), tags=[tag])
    assert not (tmp_path / "birds").exists()


def test_the_commands_say_what_they_did_and_what_comes_next(bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["push", "bundle", "models/birds", "--tag", "production", "--tag", "spring"], monkeypatch) == 0
    said = capsys.readouterr().out
    assert "folder:models/birds holds it as version 1 (production, spring), not signed" in said
    assert "Next: linnaea pull folder:models/birds@production FOLDER" in said
    assert run(["pull", "models/birds@spring", "out", "--json"], monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["folder"], told["address"]) == (1, "out", content_of(bundle).address)
    assert run(["pull", "models/birds", "out"], monkeypatch) == 2
    assert "out already exists" in capsys.readouterr().err


def test_a_registry_that_is_read_while_it_is_written_shows_whole_versions_only(places, bundle, tmp_path, monkeypatch):
    push(bundle, places["folder"])
    (bundle / "README.md").write_text("# pets: cut short\n")
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        push(bundle, places["folder"])
    monkeypatch.undo()
    assert pull(places["folder"], tmp_path / "pulled").version.number == 1
    assert not list((tmp_path / "models").rglob("*.partial"))


def test_a_place_inside_the_bundle_and_below_a_file_are_refused(bundle, tmp_path):
    with pytest.raises(UsageError, match=r"lies in .* choose a place outside of it"):
        push(bundle, str(bundle / "models"))
    push(bundle, str(tmp_path / "models" / "birds"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be made: .*file is a file, or lies below one"):
        pull(str(tmp_path / "models" / "birds"), tmp_path / "file" / "out")


def test_a_mistyped_tag_is_answered_with_the_one_that_was_meant(bundle, tmp_path):
    push(bundle, str(tmp_path / "birds"), tags=["production"])
    with pytest.raises(RegistryError, match="Did you mean 'production'"):
        pull(f"{tmp_path / 'birds'}@prodution", tmp_path / "out")
