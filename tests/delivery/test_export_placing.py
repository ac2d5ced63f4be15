"""An export is whole or absent: whatever stops it, nothing is left that looks finished."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers.onnx import OnnxScorer
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.decisions import Outputs
from linnaea.delivery.exporters import EXPORTERS, Exporter, ParityError, compare_again, export, exported_in
from linnaea.delivery.exporters.placing import staged
from linnaea.errors import BundleError, DataError, RunError, UsageError
from linnaea.models import build

SIZE = 16


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (30, 20), (60 * number, 90, 10)).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.fixture
def classifier():
    model = build("majority", {"classes": 3}).eval()
    model.prior.copy_(model.prior.new_tensor([0.4, 0.2, -0.1]))
    return Classifier(TorchScorer(model), ("ant", "bee", "wasp"), "multiclass", Recipe(SIZE))


def planted(classifier, *, off=0.0, write=None, elsewhere=lambda: "", scorer=OnnxScorer):
    """A format that writes a text and answers as the classifier does, but for a constant."""

    def files(own, folder, order):
        (folder / "model.onnx").write_text("planted")
        return folder / "model.onnx"

    def opened(folder, description):
        def answer(image):
            said = classifier.score(np.zeros((1, SIZE, SIZE, 3), dtype=np.uint8))
            return Outputs(said.raw, said.logits, said.probabilities + off, said.ood_scores)

        return answer

    return Exporter(write or files, scorer, elsewhere=elsewhere, open=opened)


@pytest.fixture
def to_planted(classifier, photos, tmp_path):
    """Export to the planted format; as a folder of a bundle it need not be loaded."""

    def export_to(folder=None, images=None, **how):
        with EXPORTERS.restored():
            EXPORTERS.register("planted", runtime="nothing")(planted(classifier, **how))
            return export(classifier, "planted", folder or tmp_path / "out", images or photos)

    return export_to


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(to_planted, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match=r"holds other files \(first letter.txt\): give an empty or a new folder"):
        to_planted()
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        to_planted(tmp_path / "file")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["letter.txt"]


def test_an_earlier_export_is_replaced_and_a_failed_one_leaves_its_record_alone(to_planted, tmp_path):
    out = to_planted().folder
    before = {path.name for path in out.iterdir()}
    assert {"model.onnx", "classifier.json", "parity.json", "predict.py", "session.py"} <= before
    assert {path.name for path in to_planted().folder.iterdir()} == before
    with pytest.raises(ParityError, match=r"at most 1\.00e-03.*Nothing was left in .*out but parity\.json") as failed:
        to_planted(off=0.001)
    assert failed.value.finding.severity == "error"
    assert [path.name for path in out.iterdir()] == ["parity.json"]
    told = json.loads((out / "parity.json").read_text())
    assert (told["outcome"], told["figure"]["value"]) == ("failed", pytest.approx(1e-3, rel=1e-3))
    with pytest.raises(BundleError):
        load(out)
    with pytest.raises(RunError, match="its export failed"):
        exported_in(out)
    to_planted()
    assert {path.name for path in out.iterdir()} == before, "and the next one takes its place"
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "out"}


def test_what_was_put_beside_an_earlier_export_is_not_swept_away(to_planted, tmp_path):
    out = to_planted().folder
    (out / "notes").mkdir()
    (out / "notes" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match=r"holds other files \(first notes\)"):
        to_planted()
    with pytest.raises(UsageError, match=r"holds other files \(first notes\)"):
        to_planted(off=0.001)
    assert (out / "notes" / "letter.txt").read_text() == "dear"
    shutil.rmtree(out / "notes")
    (out / "__pycache__").mkdir()
    (out / "signature.json").write_text("{}")
    to_planted()
    assert not (out / "signature.json").exists(), "which was of the earlier one"


def test_the_folder_one_is_in_is_refused_and_one_behind_a_link_is_filled(to_planted, tmp_path, monkeypatch):
    here, target, link = (tmp_path / name for name in ("here", "target", "link"))
    (here / "deep").mkdir(parents=True)
    target.mkdir()
    link.symlink_to(target)
    monkeypatch.chdir(here / "deep")
    for folder in (Path(), Path(".."), here):
        with pytest.raises(UsageError, match="the folder you are in: give an empty or a new one with --out"):
            to_planted(folder)
    to_planted(link)
    assert link.is_symlink()
    assert (target / "parity.json").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "here", "target", "link"}


def test_what_a_killed_process_of_the_same_number_left_is_swept_up(to_planted, tmp_path):
    left = tmp_path / f".out.{os.getpid()}.unfinished"  # as in a container, where the first process always is 1
    left.mkdir()
    (left / "model.onnx").write_text("half")
    to_planted()
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "out"}


def test_two_exports_into_one_folder_at_once_are_refused(to_planted, tmp_path):
    def write(own, folder, order):
        with pytest.raises(UsageError, match=r"another export into .*out is going on"), staged(tmp_path / "out"):
            pass
        (folder / "model.onnx").write_text("planted")
        return folder / "model.onnx"

    assert to_planted(write=write).file.exists()


@pytest.mark.parametrize("when", ["opened", "asked"])
def test_a_runtime_that_gives_no_answer_fails_the_check_and_leaves_its_record(classifier, photos, tmp_path, when):
    def opened(folder, description):
        def answer(image):
            raise RuntimeError("operator fold is\nunknown")

        return answer(b"") if when == "opened" else answer

    with EXPORTERS.restored():
        EXPORTERS.register("planted")(replace(planted(classifier), open=opened))
        with pytest.raises(ParityError, match=r"4 answers differ.*it says: no answer: operator fold is unknown"):
            export(classifier, "planted", tmp_path / "out", photos)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["parity.json"]
    told = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert (told["outcome"], told["rows"][0]["other"]) == ("failed", "no answer: operator fold is unknown")


def test_an_error_in_the_middle_leaves_the_earlier_export(to_planted, tmp_path):
    to_planted()

    def write(own, folder, order):
        (folder / "model.onnx").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        to_planted(write=write)
    assert (tmp_path / "out" / "model.onnx").read_text() == "planted"
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "out"}


def test_images_that_differ_are_named(to_planted, photos):
    with pytest.raises(ParityError, match=r"4 answers differ.*Different: .*0\.png, .*1\.png, .*2\.png and 1 more"):
        to_planted(off=np.array([-0.2, 0.1, 0.1]))


def test_no_readable_images_are_refused_before_any_work(to_planted, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")

    def write(own, folder, order):
        raise AssertionError("it must not come to this")

    with pytest.raises(DataError, match="none of the images for the parity check can be read"):
        to_planted(images=[broken], write=write)
    assert not (tmp_path / "out").exists()


def test_what_cannot_run_here_says_so_and_has_not_passed(to_planted, classifier, photos, caplog):
    made = to_planted(elsewhere=lambda: "it runs on macOS alone; its program was checked.")
    assert not made.ran
    assert made.parity.severity == "warning"
    for told in (str(made), caplog.text, (made.folder / "parity.json").read_text()):
        assert "was not run here: it runs on macOS alone" in told
    assert json.loads((made.folder / "parity.json").read_text())["outcome"] == "not run here"
    with EXPORTERS.restored():
        EXPORTERS.register("planted")(planted(classifier, elsewhere=lambda: "it runs on macOS alone."))
        again = compare_again(classifier, made.folder, photos)
    assert (again.severity, again.figure) == ("warning", None)


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from linnaea.classifier import load
from linnaea.decisions import Outputs
from linnaea.delivery.exporters import EXPORTERS, Exporter, export
from linnaea.classifier.scorers.onnx import OnnxScorer

own = load(sys.argv[1])

def write(own, folder, order):
    (folder / "model.onnx").write_text("planted")
    return folder / "model.onnx"

def opened(folder, description):
    def answer(image):
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

EXPORTERS.register("planted")(Exporter(write, OnnxScorer, open=opened))
export(own, "planted", Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
"""


def test_a_kill_in_the_middle_leaves_nothing_that_loads_and_is_swept_up(classifier, to_planted, photos, tmp_path):
    bundle, out = classifier.save(tmp_path / "bundle"), tmp_path / "exports" / "out"
    done = subprocess.run([sys.executable, "-c", KILLED, bundle, out, *photos], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not out.exists()
    (left,) = out.parent.iterdir()
    assert left.name.startswith(".out.")
    assert (left / "model.onnx").exists()
    with pytest.raises(BundleError):
        load(left)
    told = subprocess.run([sys.executable, left / "predict.py", photos[0]], capture_output=True, text=True)
    assert told.returncode == 1
    assert "classifier.json is missing" in told.stderr
    to_planted(out)
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_what_another_process_is_writing_is_left_alone(to_planted, tmp_path):
    other = tmp_path / f".out.{os.getppid()}.unfinished"
    other.mkdir()
    to_planted()
    assert other.exists()


def test_outputs_of_other_shapes_are_refused():
    scorer = OnnxScorer(Path("folder"), None)
    fine = [np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(2)]
    assert len(scorer._checked(fine, 2)) == 4
    for wrong in (fine[:3], [*fine[:3], np.zeros(3)], [*fine, np.zeros((2, 2))], [fine[0][:1], *fine[1:]]):
        with pytest.raises(BundleError, match=r"folder.model\.onnx gives 2 images outputs of the shapes"):
            scorer._checked(wrong, 2)


def test_a_script_does_not_answer_with_files_that_are_not_those_exported(to_planted, photos):
    folder = to_planted().folder
    (folder / "model.onnx").write_text("plantet")
    done = subprocess.run([sys.executable, folder / "predict.py", photos[0]], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "model.onnx has changed since it was exported (its SHA-256 differs): copy the exported" in done.stderr
    (folder / "model.onnx").unlink()
    done = subprocess.run([sys.executable, folder / "predict.py", photos[0]], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "model.onnx is missing: copy the exported folder whole" in done.stderr
