"""`linnaea export` to several formats: what becomes of one says nothing of the others; integers see every class."""

import json
import shutil
from dataclasses import replace

import pytest
from material import run as command
from material import striped

import linnaea
from linnaea.delivery.exporters import EXPORTERS, UnfitError
from linnaea.errors import DataError, MissingExtraError, UsageError
from linnaea.run import Run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network that tells stripes, barely trained."""
    folder = tmp_path_factory.mktemp("several")
    stripes = striped(folder / "data", 12, splits=("train", "val", "test"))
    linnaea.train(stripes, model="lenet5", img_size=16, epochs=1, batch_size=8, out=folder / "run")
    return folder / "run"


def refuse(classifier, folder, order):
    raise UnfitError("the operator aten.fold is unknown.")


def off(folder, description):
    """What answers otherwise by a tenth."""
    plain = EXPORTERS["onnx"].open(folder, description)

    def answer(image):
        said = plain(image)
        return replace(said, probabilities=said.probabilities + 0.1)

    return answer


@pytest.mark.slow
def test_one_that_fails_hides_no_other(trained, tmp_path, monkeypatch, capsys):
    with EXPORTERS.restored():
        EXPORTERS.register("unknown", precisions=("fp32",))(replace(EXPORTERS["onnx"], write=refuse))
        EXPORTERS.register("wrong", precisions=("fp32",))(replace(EXPORTERS["onnx"], open=off))
        out = tmp_path / "out"
        words = ["export", trained, "--to", "unknown,wrong,onnx", "--out", out]
        assert command(words, monkeypatch) == 1
        said = capsys.readouterr().err
        for told in ("unknown: the operator aten.fold is unknown.", "the wrong file", f"Written: {out / 'onnx'}."):
            assert told in said
        assert linnaea.load(out / "onnx").classes == ("lying", "standing")
        assert not (out / "unknown").exists()
        assert [path.name for path in (out / "wrong").iterdir()] == ["parity.json"]
        assert {finding.name for finding in Run.open(trained).findings("export")} >= {
            "export_parity_wrong",
            "export_parity_onnx",
        }
        with pytest.raises(UsageError, match=r"aten\.fold.*Written: .*onnx"):
            linnaea.export(trained, "unknown,onnx", out=tmp_path / "two")


def test_integers_are_not_told_by_one_class(trained, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(trained, copy)
    dataset = Run.open(copy).dataset()
    photos = tmp_path / "photos"
    shutil.copytree(dataset.root, photos)
    record = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(record).replace(str(dataset.root), str(photos)))
    train = Run.open(copy).dataset().split("train")
    for path, label in zip(train.paths, train.column("label"), strict=True):
        if label == "lying":
            path.write_bytes(b"broken")
    with pytest.raises(DataError, match="to calibrate by show 1 class"):
        linnaea.export(copy, "openvino", precision="int8", out=tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_what_quantises_is_asked_for_before_any_work(trained, tmp_path, monkeypatch):
    from linnaea.delivery.exporters import exporting

    found = exporting.importlib.util.find_spec
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None if name == "nncf" else found(name))
    with pytest.raises(MissingExtraError, match=r"nncf is not installed.*linnaea\[compress\]"):
        linnaea.export(trained, "openvino", precision="int8", out=tmp_path / "export")
    assert not list(tmp_path.iterdir())


def test_what_is_stopped_leaves_no_folder_and_says_what_was_exported(trained, tmp_path, monkeypatch, capsys, caplog):
    def stop(classifier, folder, order):
        (folder / "model.onnx").touch()
        raise KeyboardInterrupt

    with EXPORTERS.restored():
        EXPORTERS.register("stopped", precisions=("fp32",))(replace(EXPORTERS["onnx"], write=stop))
        assert command(["export", trained, "--to", "stopped", "--out", tmp_path / "a" / "b"], monkeypatch) == 130
        assert caplog.messages[-1] == "Nothing was exported; run the same command again."
        assert capsys.readouterr().err.endswith("Stopped.\n")
        assert not list(tmp_path.iterdir())
        out = tmp_path / "two"
        assert command(["export", trained, "--to", "onnx,stopped", "--out", out], monkeypatch) == 130
        assert f"Written: {out / 'onnx'}; run the same command again." == caplog.messages[-1]
        assert [path.name for path in out.iterdir()] == ["onnx"]
