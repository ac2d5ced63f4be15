"""A new version takes the place of an old one when it has shown what it must, and not before."""

import io
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from material import smooth

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.delivery.model_registries import push
from linnaea.delivery.serving.checking import Demands, NotSwitchedError, Probes, require_fit
from linnaea.delivery.serving.contract import Answered
from linnaea.delivery.serving.models import Models, Source, load_served
from linnaea.delivery.serving.reloading import Reloading, Watch, stamp_of
from linnaea.delivery.serving.staging import Stage
from linnaea.errors import RunError
from linnaea.models import build


def save(folder, *, run="pets", classes=("ant", "bee"), prior=None):
    """The bundle of a classifier that says the same of every image."""
    model = build("majority", {"classes": len(classes)})
    if prior is not None:
        model.prior[:] = model.prior.new_tensor(prior)
    task = "binary" if len(classes) == 2 else "multiclass"
    return Classifier(TorchScorer(model), classes, task, Recipe(16), provenance={"run": run}).save(folder)


def put(folder, **what):
    """Another bundle in the place of one, as a whole."""
    new = save(folder.with_name("new"), **what)
    shutil.rmtree(folder)
    new.rename(folder)


def png(number):
    buffer = io.BytesIO()
    smooth(number, 16).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    return save(tmp_path / "pets", prior=(0.0, 3.0))


def reloading(*folders, probes=list, fetch=None, warm=lambda served: None):
    sources = [Source(f"pets-{number}" if number else "pets", str(each)) for number, each in enumerate(folders)]
    models = Models([load_served(source) for source in sources])
    fetch = fetch or Stage(Path("nowhere"), copies=False).fetch
    return Reloading(models, load_served, warm, fetch, probes)


def test_a_reload_switches_once_everything_is_checked_and_warm(folder):
    warmed = []
    subject = reloading(folder, warm=lambda served: warmed.append((served.version, subject.models.find().version)))
    before = subject.models.find()
    put(folder, run="second", prior=(0.0, 3.0))
    (told,) = subject.reload()
    after = subject.models.find()
    assert told.switched
    assert (told.before, told.after) == (before.version, after.version)
    assert before.version != after.version
    assert warmed == [(after.version, before.version)]  # while the old one still answered
    assert before.classifier.score(np.zeros((1, 16, 16, 3), np.uint8)).defined.all()  # whoever holds it is answered


def test_nothing_is_loaded_or_switched_where_nothing_has_changed(folder):
    subject = reloading(folder, warm=lambda served: pytest.fail("it was loaded"))
    before = subject.models.find()
    (told,) = subject.reload("pets")
    assert not told.switched
    assert "unchanged" in str(told)
    assert subject.models.find() is before


def damage(folder):
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")


def take_away(folder):
    shutil.rmtree(folder)


def fail_parity(folder):
    put(folder, run="second", prior=(0.0, 3.0))
    (folder / "parity.json").write_text(json.dumps({"outcome": "failed"}))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (damage, r"weights.safetensors has changed .*SHA-256"),
        (take_away, "does not exist"),
        (fail_parity, "parity.json says that the export failed"),
        (lambda folder: put(folder, classes=("ant", "wasp")), r"without bee; with wasp"),
        (lambda folder: put(folder, classes=("bee", "ant")), "in another order"),
        (lambda folder: put(folder, classes=("ant", "bee", "wasp")), "the task is multiclass, and was binary"),
    ],
)
def test_what_does_not_pass_leaves_the_old_version_answering(folder, change, told):
    subject = reloading(folder)
    before = subject.models.find()
    change(folder)
    with pytest.raises(NotSwitchedError, match=told):
        subject.reload()
    assert subject.models.find() is before


def test_other_classes_are_taken_where_they_are_allowed(folder):
    subject = reloading(folder)
    put(folder, classes=("ant", "wasp"))
    (told,) = subject.reload(demands=Demands(other_classes=True))
    assert "with wasp" in told.found
    assert subject.models.find().classifier.classes == ("ant", "wasp")


def test_one_that_cannot_be_warmed_is_not_switched_to(folder):
    def warm(served):
        raise RunError("no memory for a batch of 32")

    subject = reloading(folder, warm=warm)
    before = subject.models.find()
    put(folder, run="second", prior=(0.0, 3.0))
    with pytest.raises(NotSwitchedError, match="no memory for a batch"):
        subject.reload()
    assert subject.models.find() is before


def test_all_models_are_switched_or_none(folder, tmp_path):
    other = save(tmp_path / "other", run="other")
    subject = reloading(folder, other)
    before = list(subject.models)
    put(folder, run="second", prior=(0.0, 3.0))
    damage(other)
    with pytest.raises(NotSwitchedError, match=r"pets-1 .*SHA-256"):
        subject.reload()
    assert list(subject.models) == before
    (told,) = subject.reload("pets")
    assert told.switched


def test_one_reload_goes_on_at_a_time(folder):
    begun, go_on = threading.Event(), threading.Event()

    def fetch(source):
        begun.set()
        go_on.wait(10)
        return Path(source.place)

    subject = reloading(folder, fetch=fetch)
    first = threading.Thread(target=subject.reload)
    first.start()
    begun.wait(10)
    with pytest.raises(NotSwitchedError, match="another reload is going on"):
        subject.reload()
    go_on.set()
    first.join()
    subject.reload()


def answered(image, *, logits=(0.0, 1.0)):
    return Answered("r", 0, 0.0, "pets", "1", "1", {"label": "bee"}, image=image, logits=logits)


def test_the_last_images_are_tried_on_a_new_version(folder):
    probes = Probes()
    probes.answered([answered(png(number)) for number in range(12)])
    probes.answered([answered(b"no image", logits=()), answered(bytes(2**20 + 1)), answered(None)])
    assert probes.images() == [png(number) for number in range(4, 12)]
    subject = reloading(folder, probes=probes.images)
    put(folder, run="second", prior=(3.0, 0.0))
    with pytest.raises(NotSwitchedError, match="0 of the last 8 images get the same label, and 50 % were to"):
        subject.reload()
    (told,) = subject.reload(demands=Demands(agreement=0.0))
    assert "0 of the last 8 images" in told.found
    probes.close()
    assert probes.images() == []


def test_a_few_images_are_not_enough_to_refuse_by(folder):
    subject = reloading(folder, probes=lambda: [png(1), png(2), png(3)])
    put(folder, run="second", prior=(3.0, 0.0))
    (told,) = subject.reload()
    assert "0 of the last 3 images" in told.found


class Broken(TorchScorer):
    """Says nothing of bright images that is a number."""

    def batches(self, images, plan=None):
        for features, raw in super().batches(images, plan):
            raw[images.mean(axis=(1, 2, 3)) > 200] = float("nan")
            yield features, raw


def test_a_version_whose_answers_are_no_numbers_is_refused(folder):
    from dataclasses import replace

    old = load_served(Source("pets", str(folder)))
    broken = old.classifier.with_(scorer=Broken(build("majority", {"classes": 2})))
    with pytest.raises(NotSwitchedError, match="not a number"):
        require_fit(old, replace(old, classifier=broken), Demands())
    assert require_fit(old, old, Demands()) == ""


def test_the_watch_reloads_what_has_settled_and_tries_what_was_refused_only_once(folder):
    subject = reloading(folder)
    asked = []

    def reload(name):
        asked.append(name)
        return subject.reload(name)

    watch = Watch(subject.models, reload, 60)
    for _ in range(3):
        watch.look()
    assert asked == ["pets"]  # what was put there while the server began is not missed
    put(folder, run="second", prior=(0.0, 3.0))
    watch.look()
    assert asked == ["pets"]  # somebody may still be writing
    watch.look()
    assert asked == ["pets"] * 2
    assert subject.models.find().classifier.provenance["run"] == "second"
    damage(folder)
    for _ in range(4):
        watch.look()
    assert asked == ["pets"] * 3
    shutil.rmtree(folder)
    watch.look()
    assert subject.models.find().classifier.provenance["run"] == "second"


def test_a_tag_that_is_moved_brings_another_version(folder, tmp_path):
    registry = f"folder:{tmp_path / 'models' / 'pets'}"
    push(folder, registry, tags=["production"])
    source = Source.read(f"{registry}@production")
    stage = Stage(tmp_path / "stage", copies=False)
    stage.folder.mkdir()
    first = stage.fetch(source)
    models = Models([load_served(source, first)])
    subject = Reloading(models, load_served, lambda served: None, stage.fetch)
    before, stamp = models.find(), stamp_of(source)
    put(folder, run="second", prior=(0.0, 3.0))
    push(folder, registry)
    assert stamp_of(source) == stamp
    assert not subject.reload()[0].switched
    push(folder, registry, tags=["production"])
    assert stamp_of(source) != stamp
    (told,) = subject.reload()
    assert told.switched
    assert models.find().digest != before.digest
    stage.keep(served.folder for served in models)
    assert [path.name for path in stage.folder.iterdir()] == [models.find().digest.removeprefix("linnaea:sha256-")]


def test_a_staged_copy_is_what_was_there_whatever_is_written_later(folder, tmp_path):
    stage = Stage(tmp_path / "stage", copies=True)
    stage.folder.mkdir()
    source = Source("pets", str(folder))
    copy = stage.fetch(source)
    assert stage.fetch(source) == copy
    before = load_served(source, copy)
    damage(folder)
    assert load_served(source, copy).digest == before.digest
    with pytest.raises(RunError, match="does not exist"):
        stage.fetch(Source("pets", str(tmp_path / "nowhere")))
