"""Bundles of earlier formats, frozen as they were written, load and answer as they did; later ones are told apart."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from linnaea.classifier import Classifier, load
from linnaea.classifier.calibrators import CALIBRATORS, Calibrator
from linnaea.classifier.migrations import MIGRATIONS
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.errors import BundleError
from linnaea.models import build
from linnaea.models.familiarity import FAMILIARITIES

SAMPLES = sorted((Path(__file__).with_name("bundles")).glob("format-*/*"))


def rewritten(folder, **changes):
    """The description with changes, and the hash that fits."""
    content = json.loads((folder / "classifier.json").read_text()) | changes
    content.pop("sha256")
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (folder / "classifier.json").write_text(json.dumps(content | {"sha256": digest}))
    return folder


def test_there_are_samples():
    assert {sample.name for sample in SAMPLES} >= {"early", "hog", "labels", "majority", "shifted", "compact", "tree"}
    assert {sample.parent.name for sample in SAMPLES} == {"format-1", "format-2.0"}
    assert len(MIGRATIONS) == 2, "a further step needs samples of the format before it"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.parent.name} {sample.name}")
def test_a_bundle_of_an_earlier_format_answers_as_it_did(sample, tmp_path):
    expected = np.load(sample / "expected.npz")
    classifier = load(sample)
    for loaded in (classifier, load(classifier.save(tmp_path / "today"))):
        said = loaded.score(expected["images"])
        np.testing.assert_allclose(said.logits, expected["logits"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(said.probabilities, expected["probabilities"], rtol=1e-4, atol=1e-5)
        if said.ood_scores is not None:
            np.testing.assert_allclose(said.ood_scores, expected["ood"], rtol=1e-4, atol=1e-5)
    assert json.loads((tmp_path / "today" / "classifier.json").read_text())["version"] == "2.1"


def test_bundles_of_the_first_days_get_the_bounds_and_no_shares():
    (early,) = (sample for sample in SAMPLES if sample.name == "early")
    classifier = load(early)
    assert (classifier.prior, classifier.prior_shift, classifier.recipe.max_pixels) == ((), (), 50_000_000)


@pytest.fixture
def bundle(tmp_path):
    scorer = TorchScorer(build("majority", {"classes": 2}))
    return Classifier(scorer, ("ant", "bee"), "binary", Recipe(16)).save(tmp_path / "bundle")


def test_a_later_major_version_is_refused_and_a_minor_one_is_read_with_a_warning(bundle, caplog):
    load(rewritten(bundle, version="2.7", invented_later=1))
    assert "version 2.7 of its format, later than 2.1" in caplog.text
    with pytest.raises(BundleError, match=r"version 3\.0 of its format.*install the version"):
        load(rewritten(bundle, version="3.0"))
    with pytest.raises(BundleError, match="is not of the format 'linnaea classifier'"):
        load(rewritten(bundle, version="two"))


@pytest.mark.parametrize(
    "name", ["../weights.safetensors", "", "/etc/passwd", "..", "a/../../b", "a\\b", "c:b", ".hidden"]
)
def test_files_outside_of_the_bundle_are_refused(bundle, name):
    with pytest.raises(BundleError, match="expected the SHA-256"):
        load(rewritten(bundle, files={name: "0"}))


def test_a_missing_file_is_named(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    (copy / "weights.safetensors").unlink()
    with pytest.raises(BundleError, match=r"weights\.safetensors is missing"):
        load(copy)


class Cubed(Calibrator):
    """What a further member of the family may be: no division by a number."""

    kind = "cubed"

    def forward(self, raw):
        return raw**3

    @classmethod
    def fit(cls, raw, targets):
        return cls()


def test_ood_scores_and_what_is_kept_are_of_raw_scores_whatever_the_calibrator(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (6, 16, 16, 3), dtype=np.uint8)
    scorer = TorchScorer(build("hog", {"classes": 2, "size": 16}))
    plain = Classifier(scorer, ("ant", "bee"), "binary", Recipe(16), familiarity=FAMILIARITIES["energy"]())
    with CALIBRATORS.restored():
        CALIBRATORS.register("cubed")(Cubed)
        cubed = load(plain.with_(calibrator=Cubed()).save(tmp_path / "bundle"))
    before, after = plain.score(images), cubed.score(images)
    np.testing.assert_array_equal(after.raw, before.raw)
    np.testing.assert_array_equal(after.ood_scores, before.ood_scores)
    np.testing.assert_allclose(after.logits, before.raw**3, rtol=1e-6)
    answers = cubed.answer(after, {"id": list("abcdef"), "truth": [None] * 6}, [None] * 6)
    np.testing.assert_array_equal(answers.scores("raw_scores"), before.raw)
    np.testing.assert_array_equal(answers.scores(), after.probabilities)
