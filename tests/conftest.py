"""What every test has: torch on one thread, and the photo sets where `LINNAEA_DATA` names them."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """The tests have a cache of their own."""
    os.environ["LINNAEA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk():
    """No test cuts the power: what is written need not have reached the disk before the test goes on."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def photo_sets() -> Path:
    """The folder of real photo sets; the test is skipped, with the reason, where there is none."""
    folder = os.environ.get("LINNAEA_DATA")
    if not folder:
        pytest.skip("LINNAEA_DATA names no folder of real photo sets")
    return Path(folder)


@pytest.fixture
def imagenet_weights() -> Path:
    """A file of real ImageNet weights; the test is skipped, with the reason, where there is none."""
    path = os.environ.get("LINNAEA_WEIGHTS")
    if not path:
        pytest.skip("LINNAEA_WEIGHTS names no file of ImageNet weights")
    return Path(path)
