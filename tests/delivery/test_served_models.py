"""What is served by name and version, what is refused, and which version answers whom."""

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from linnaea.classifier import Classifier
from linnaea.classifier.content import content_of
from linnaea.classifier.keys import make_key, public_file
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.delivery.serving.canary import Canary, read_canaries
from linnaea.delivery.serving.models import Models, Source, UnknownModelError, load_served, sources_of
from linnaea.errors import BundleError, RunError, UsageError
from linnaea.models import build


def save(folder, *, run="pets", classes=("ant", "bee")):
    scorer = TorchScorer(build("majority", {"classes": len(classes)}))
    task = "binary" if len(classes) == 2 else "multiclass"
    return Classifier(scorer, classes, task, Recipe(16), provenance={"run": run}).save(folder)


def served(tmp_path, *names):
    """A version for each name, each of another content."""
    folders = [save(tmp_path / f"{name}-{number}", run=str(number)) for number, name in enumerate(names)]
    return [load_served(Source(name, str(folder), True)) for name, folder in zip(names, folders, strict=True)]


def test_a_name_is_that_of_the_run_around_or_of_the_folder_or_as_given(tmp_path):
    save(tmp_path / "runs" / "birds" / "model")
    (tmp_path / "runs" / "birds" / "run.json").write_text("{}")
    onnx = save(tmp_path / "runs" / "birds" / "export" / "onnx")
    alone = save(tmp_path / "insects.v2")
    assert [source.name for source in sources_of([tmp_path / "runs" / "birds"])] == ["birds"]
    assert Source.read(onnx).name == "birds"
    assert Source.read(str(alone)).name == "insects.v2"
    assert Source.read(f"pets={alone}") == Source("pets", str(alone), True)
    assert Source.read("folder:models/moths@production").name == "moths"
    assert Source.read("hf:user/moths").name == "moths"
    assert Source.read("folder:models/moths@production").registry
    assert not Source.read(str(alone)).registry


def test_a_folder_may_have_an_equals_sign_in_its_name(tmp_path):
    folder = save(tmp_path / "a=b")
    assert Source.read(f"pets={folder}") == Source("pets", str(folder), True)
    with pytest.raises(UsageError, match="cannot be the name of a model"):
        Source.read(folder)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "nothing to serve"),
        (["pets="], "names no folder"),
        (["=runs/pets"], "cannot be the name"),
        (["house pets=runs/pets"], "cannot be the name"),
        (["a/pets", "b/pets"], "would both be called 'pets'"),
        (["a/pets", "pets=b"], "would both be called 'pets'"),
        (["pets=a", "pets=a"], "given twice"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(given, told):
    with pytest.raises(UsageError, match=told):
        sources_of(given)


def test_a_version_is_the_address_of_the_content(tmp_path):
    first = load_served(Source("pets", str(save(tmp_path / "pets"))))
    shutil.copytree(tmp_path / "pets", tmp_path / "copy")
    again = load_served(Source("pets", str(tmp_path / "copy")))
    other = load_served(Source("pets", str(save(tmp_path / "other", run="other"))))
    assert first.digest == content_of(tmp_path / "pets").address
    assert first.digest.removeprefix("linnaea:sha256-").startswith(first.version)
    assert len(first.version) == 12
    assert (again.version, again.digest) == (first.version, first.digest)
    assert other.version != first.version


def test_damaged_later_and_missing_bundles_are_refused_with_what_is_wrong(tmp_path):
    folder = save(tmp_path / "pets")
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BundleError, match=r"weights.safetensors has changed .*SHA-256"):
        load_served(Source.read(folder))
    later = save(tmp_path / "later") / "classifier.json"
    content = json.loads(later.read_text()) | {"version": "3.0"}
    del content["sha256"]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    later.write_text(json.dumps(content | {"sha256": digest}))
    with pytest.raises(BundleError, match=r"version 3.0 .* install the version of Linnaea that wrote it"):
        load_served(Source.read(tmp_path / "later"))
    with pytest.raises(RunError, match="does not exist"):
        load_served(Source.read(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="holds no classifier"):
        load_served(Source.read(tmp_path / "empty"))


def test_what_nobody_trusted_has_signed_is_refused(tmp_path):
    make_key(tmp_path / "ours")
    with pytest.raises(BundleError, match="is not signed"):
        load_served(Source.read(save(tmp_path / "pets")), trust=public_file(tmp_path / "ours"))


def test_names_and_versions_are_found_and_others_told(tmp_path):
    old, new, only = served(tmp_path, "birds", "birds", "moths")
    models = Models([old, new, only])
    assert models.names == ("birds", "moths")
    assert models.versions("birds") == (old.version, new.version)
    assert models.find() is models.find("birds") is old
    assert models.find("birds", new.version) is models.find("birds", new.digest) is new
    assert models.find("moths") is only
    with pytest.raises(UnknownModelError, match=r"no model 'brids'.*Did you mean 'birds'"):
        models.find("brids")
    with pytest.raises(UnknownModelError, match=f"no version '000'.*{old.version} or {new.version}"):
        models.find("birds", "000")


def test_what_was_found_stays_what_it_was_when_another_takes_its_place(tmp_path):
    old, new, only = served(tmp_path, "birds", "birds", "moths")
    models = Models([old, only])
    held = models.find("birds")
    models.swap(old, new)
    assert held is old
    assert models.find("birds").digest == new.digest
    assert models.find("moths") is only
    with pytest.raises(UnknownModelError, match="no longer served"):
        models.swap(old, new)


def test_a_canary_takes_its_share_of_clients_and_each_stays(tmp_path):
    old, new = served(tmp_path, "birds", "birds")
    models = Models([old, new], {"birds": Canary(0.2)})
    clients = [f"client {number}" for number in range(5000)]
    took = np.array([models.chosen(client) is new for client in clients])
    assert abs(took.mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 5000)
    assert [models.chosen(client) is new for client in clients] == took.tolist()
    more = Models([old, new], {"birds": Canary(0.5)})
    assert all(more.chosen(client) is new for client, tried in zip(clients, took, strict=True) if tried)
    assert models.chosen(clients[int(took.argmax())], "birds", old.version) is old  # asked for by its version
    assert not any(Models([old, new]).chosen(client) is new for client in clients)


def test_a_client_has_the_same_place_in_every_process():
    told = "from linnaea.delivery.serving.canary import place_of; print(place_of('birds', 'anna'))"
    again = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    from linnaea.delivery.serving.canary import place_of

    assert float(again.stdout) == place_of("birds", "anna")
    assert place_of("birds", "anna") != place_of("moths", "anna")


def test_canaries_are_read_and_wrong_ones_refused(tmp_path):
    assert read_canaries(["0.1"], ["birds", "birds"]) == {"birds": Canary(0.1)}
    assert read_canaries(["moths=0.5"], ["birds", "moths"]) == {"moths": Canary(0.5)}
    for words, told in [("0.1", "names no model"), ("bats=0.1", "names no model"), ("birds=2", "no share")]:
        with pytest.raises(UsageError, match=told):
            read_canaries([words], ["birds", "moths"])
    with pytest.raises(UsageError, match="no share"):
        read_canaries(["birds=many"], ["birds"])
    with pytest.raises(UsageError, match="given twice"):
        read_canaries(["0.1", "0.2"], ["birds"])
    (only,) = served(tmp_path, "birds")
    with pytest.raises(UsageError, match="it has 1 version: expected two"):
        Models([only], {"birds": Canary(0.1)})


def test_an_exported_folder_is_served_without_torch(tmp_path):
    script = (
        "import sys\n"
        "import linnaea.delivery.serving.models, linnaea.delivery.serving.canary\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
