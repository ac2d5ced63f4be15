"""A tag says which version is in use; it moves for a reason, once, and back."""

import json
import subprocess
import sys
import textwrap
import time

import pytest
from material import run

import linnaea
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.delivery.model_registries import MODEL_REGISTRIES
from linnaea.delivery.model_registries.contract import Move, in_force
from linnaea.delivery.model_registries.folder import FORMAT, _write_hashed
from linnaea.delivery.model_registries.promotion import Place, in_use, promote, roll_back
from linnaea.errors import BundleError, RegistryError, UsageError
from linnaea.models import build

KINDS = tuple(name for name in MODEL_REGISTRIES if MODEL_REGISTRIES.about(name).capabilities.get("history"))


@pytest.fixture(params=KINDS)
def place(request, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    return Place({"folder": str(tmp_path / "models" / "birds"), "mlflow": "mlflow:birds"}[request.param])


@pytest.fixture
def folder_place(tmp_path):
    return Place(str(tmp_path / "models" / "birds"))


@pytest.fixture
def bundles(tmp_path):
    return [made(tmp_path / f"bundle {number}", number) for number in range(3)]


def made(folder, number):
    """The bundle of a classifier that is none of the others."""
    scorer = TorchScorer(build("majority", {"classes": 2}))
    return Classifier(scorer, ("ant", "bee"), "binary", Recipe(16), provenance={"number": number}).save(folder)


def promoted(bundles, place):
    """All of them, one after the other; the versions."""
    moved = []
    for number, bundle in enumerate(bundles):
        expected = moved[-1].move.version if moved else None
        moved.append(promote(bundle, place, expected=expected, reason=f"because of {number}"))
    return [one.move.version for one in moved]


def test_what_is_promoted_is_in_use_and_can_be_taken_back_step_by_step(place, bundles):
    assert in_use(place) is None
    assert promoted(bundles, place) == [1, 2, 3]
    assert in_use(place).number == 3
    first, second = (roll_back(place, reason=reason) for reason in ("too many bees", "and still"))
    assert (first.move.version, first.move.before) == (2, 3)
    assert (second.move.version, second.move.before) == (1, 2)
    assert in_use(place).number == 1
    with pytest.raises(RegistryError, match="no version before version 1"):
        roll_back(place, reason="further")
    told = [(move.by, move.version, move.before, move.reason) for move in place.open().moves(place.tag)]
    assert told == [
        ("promotion", 1, None, "because of 0"),
        ("promotion", 2, 1, "because of 1"),
        ("promotion", 3, 2, "because of 2"),
        ("rollback", 2, 3, "too many bees"),
        ("rollback", 1, 2, "and still"),
    ]
    assert all(move.time.endswith("+00:00") for move in place.open().moves(place.tag))
    assert [version.number for version in place.open().versions()] == [1, 2, 3], "nothing is deleted"
    assert roll_back(place, reason="it was good after all", to="3").move.version == 3


def test_a_tag_that_somebody_else_has_moved_is_left_alone(place, bundles):
    promoted(bundles[:2], place)
    with pytest.raises(RegistryError, match="points to version 2, and to version 1 when this began"):
        promote(bundles[2], place, expected=1, reason="mine")
    assert in_use(place).number == 2
    assert len(place.open().moves(place.tag)) == 2


def test_a_push_with_a_tag_is_part_of_the_history(place, bundles):
    linnaea.push(bundles[0], place.target, tag="production")
    linnaea.push(bundles[0], place.target, tag="production")
    promote(bundles[1], place, expected=1, reason="better")
    assert [move.by for move in place.open().moves("production")] == ["push", "promotion"]
    assert linnaea.rollback(place.target, reason="worse").move.version == 1
    assert linnaea.pull(f"{place.source}", "pulled").version.number == 1


def test_a_tag_of_an_earlier_version_of_linnaea_can_be_taken_back(folder_place, bundles, tmp_path):
    promoted(bundles[:1], folder_place)
    file = tmp_path / "models" / "birds" / "tags" / "production.json"
    _write_hashed(file, {"format": FORMAT, "version": 1})
    promote(bundles[1], folder_place, expected=1, reason="better")
    assert roll_back(folder_place, reason="worse").move.version == 1


RACING = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from linnaea.delivery.model_registries.promotion import Place, promote
    from linnaea.errors import RegistryError
    bundle, target, ready, go = sys.argv[1:]
    Path(ready).touch()
    while not Path(go).exists():
        time.sleep(0.001)
    try:
        promote(Path(bundle), Place(target), expected=1, reason=bundle)
    except RegistryError as error:
        sys.exit(str(error))
""")


def test_of_two_processes_that_promote_at_once_one_wins_and_the_other_says_so(folder_place, bundles, tmp_path):
    promoted(bundles[:1], folder_place)
    children = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                RACING,
                bundle,
                folder_place.target,
                tmp_path / f"ready {bundle.name}",
                tmp_path / "go",
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        for bundle in bundles[1:]
    ]
    until = time.monotonic() + 120
    while len(list(tmp_path.glob("ready *"))) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    told = [child.communicate()[1] for child in children]
    codes = [child.returncode for child in children]
    assert sorted(codes) == [0, 1], told
    assert "somebody else moved it meanwhile" in told[codes.index(1)]
    moves = folder_place.open().moves("production")
    assert len(moves) == 2
    assert moves[1].reason == str(bundles[1:][codes.index(0)])


def test_a_version_that_is_damaged_is_not_rolled_back_to(folder_place, bundles, tmp_path):
    promoted(bundles[:2], folder_place)
    for blob in (tmp_path / "models" / "blobs").rglob("*"):
        if blob.is_file() and b'"number": 0' in blob.read_bytes():
            blob.write_bytes(blob.read_bytes() + b" ")
    with pytest.raises(BundleError, match="is damaged"):
        roll_back(folder_place, reason="worse")
    assert in_use(folder_place).number == 2


@pytest.mark.parametrize(
    ("target", "tag", "told"),
    [
        ("models/birds@3", "production", "names a version"),
        ("hf:user/birds", "production", "keeps no history of its tags.*folder, mlflow"),
        ("models/birds", "latest", "is no tag"),
    ],
)
def test_a_place_that_cannot_be_is_refused(target, tag, told):
    with pytest.raises(UsageError, match=told):
        Place(target, tag)


def test_rolling_back_from_the_command_line(folder_place, bundles, monkeypatch, capfd):
    promoted(bundles[:2], folder_place)
    words = ["rollback", folder_place.target]
    assert run(words, monkeypatch) == 2
    assert "say why" in capfd.readouterr().err
    assert run([*words, "--reason", "  "], monkeypatch) == 2
    assert run([*words, "--reason", "worse", "--json"], monkeypatch) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["version"], told["before"], told["reason"], told["by"]) == (1, 2, "worse", "rollback")
    assert run(["rollback", f"{folder_place.target}s", "--reason", "worse"], monkeypatch) == 2
    assert "points to nothing" in capfd.readouterr().err


def test_the_versions_in_force():
    def moves(*told):
        return [Move(version, before, by, "", "") for by, version, before in told]

    assert in_force([]) == []
    assert in_force(moves(("promotion", 4, 3), ("promotion", 5, 4))) == [3, 4, 5]
    assert in_force(moves(("push", 1, None), ("push", 2, 1), ("rollback", 1, 2), ("push", 3, 1))) == [1, 3]
    assert in_force(moves(("push", 1, None), ("push", 2, 1), ("push", 1, 2))) == [2, 1]
