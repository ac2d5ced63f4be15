"""A tiny trained run for the verbs of the release."""

import shutil

import pytest
from material import striped

import linnaea


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run on stripes that lie or stand; its images are beside it."""
    place = tmp_path_factory.mktemp("release")
    data = striped(place / "stripes", 24, splits=("train", "val", "test"))
    (place / "stripes" / "manifest.csv").write_text(data.manifest())
    linnaea.train(place / "stripes" / "manifest.csv", out=place / "run", model="majority,hog", weights="none")
    return place / "run"


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it, to be changed."""
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"
