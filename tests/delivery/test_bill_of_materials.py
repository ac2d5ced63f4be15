"""The bill of materials is valid CycloneDX, says what made the model, and is the same for the same bundle."""

import json
import shutil
from importlib.metadata import version

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.delivery.bill_of_materials import NOT_RECORDED, with_bill
from linnaea.models import build
from linnaea.run import RECORDED_LIBRARIES

VERSIONS = {name: version(name) for name in RECORDED_LIBRARIES} | {"python": "3.11.7", "numpy": "1.0", "gone": "9"}
PROVENANCE = {"run": "pets", "dataset": "9f2c", "trained": "2026-03-02T09:14:05+00:00", "versions": VERSIONS}


@pytest.fixture
def bundle(tmp_path):
    scorer = TorchScorer(build("majority", {"classes": 2}))
    return Classifier(scorer, ("ant", "bee"), "binary", Recipe(16), provenance=PROVENANCE).save(tmp_path / "bundle")


def bill(folder):
    return json.loads((folder / "sbom.cdx.json").read_text())


def test_the_bill_is_valid_by_the_schema(bundle):
    with_bill(bundle)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str((bundle / "sbom.cdx.json").read_text()) is None


def test_the_schema_would_notice(bundle):
    with_bill(bundle)
    broken = json.dumps(bill(bundle) | {"components": [{"type": "model", "name": "x"}]})
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken) is not None


def test_it_says_what_made_the_model_in_which_version_under_which_licence(bundle):
    content = with_bill(bundle)
    told = bill(bundle)
    model = told["metadata"]["component"]
    assert (model["type"], model["name"]) == ("machine-learning-model", "pets")
    assert model["hashes"] == [{"alg": "SHA-256", "content": content.files["classifier.json"]}]
    named = {one["name"]: one for one in told["components"] if one["type"] == "library"}
    assert {name: one["version"] for name, one in named.items()} == {
        name: given for name, given in VERSIONS.items() if name != "python"
    }
    assert named["torch"]["purl"] == f"pkg:pypi/torch@{version('torch')}"
    assert named["linnaea"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert "licenses" not in named["numpy"], "another version is installed, which may have another licence"
    assert "licenses" not in named["gone"]
    (weights,) = (one for one in told["components"] if one["type"] == "file")
    assert weights["hashes"][0]["content"] == content.files["weights.safetensors"]
    (needs,) = (one["dependsOn"] for one in told["dependencies"] if one["ref"] == "model")
    assert named["timm"]["bom-ref"] in needs
    assert told["metadata"]["timestamp"] == "2026-03-02T09:14:05+00:00"


def test_the_same_bundle_has_the_same_bill_and_is_not_written_twice(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    assert with_bill(bundle).address == with_bill(copy).address
    before = (bundle / "sbom.cdx.json").stat().st_mtime_ns
    with_bill(bundle)
    assert (bundle / "sbom.cdx.json").stat().st_mtime_ns == before


def test_another_classifier_in_the_same_folder_gets_another_bill(bundle):
    with_bill(bundle)
    before = bill(bundle)
    scorer = TorchScorer(build("majority", {"classes": 2}))
    Classifier(scorer, ("cat", "dog"), "binary", Recipe(16)).save(bundle)
    with_bill(bundle)
    after = bill(bundle)
    assert before["serialNumber"] != after["serialNumber"]
    assert [
        one["value"] for one in after["metadata"]["component"]["properties"] if one["name"] == "linnaea:versions"
    ] == [NOT_RECORDED]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(after)) is None


def test_a_damaged_bill_is_written_anew(bundle):
    with_bill(bundle)
    for damaged in ("[1]", "{}", '{"serialNumber": 3}', "no json"):
        (bundle / "sbom.cdx.json").write_text(damaged)
        with_bill(bundle)
        assert bill(bundle)["bomFormat"] == "CycloneDX"
