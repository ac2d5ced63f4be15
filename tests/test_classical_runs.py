"""The whole way of classical pipelines: from `--model hog+svm` to a run that is loaded, evaluated and compared."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw
from safetensors import safe_open

import linnaea as ln
from linnaea.errors import UsageError
from linnaea.learning.model_names import kind_of
from linnaea.learning.pipeline_names import PipelineName, pipeline_of
from linnaea.learning.rungs import steps_balanced, steps_for
from linnaea.run import Run

PIPELINES = (
    "hog+svm",
    "sift+forest",
    "surf+svm",
    "orb+knn",
    "daisy+rbf",
    "colours+boosting",
    "bovw:sift+svm",
    "fisher:sift+svm",
    "bovw:hog+logistic",
)


def shape(kind, random):
    """A disc, a square or a cross somewhere, in a colour of its kind, on noise."""
    image = Image.fromarray(random.integers(0, 90, (32, 32, 3), dtype=np.uint8))
    pen, (x, y) = ImageDraw.Draw(image), random.integers(4, 10, 2)
    box = [x, y, x + 17, y + 17]
    if kind == "disc":
        pen.ellipse(box, fill=(220, 160, 160))
    elif kind == "square":
        pen.rectangle(box, fill=(160, 220, 160))
    else:
        pen.line(box, fill=(160, 160, 220), width=4)
        pen.line([x, y + 17, x + 17, y], fill=(160, 160, 220), width=4)
    return image


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0)
    for kind in ("disc", "square", "cross"):
        (folder / kind).mkdir()
        for number in range(50):
            shape(kind, random).save(folder / kind / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def run(shapes, tmp_path_factory):
    """Every pipeline is a rung of one ladder."""
    folder = tmp_path_factory.mktemp("runs") / "shapes"
    ln.train(shapes, out=folder, model=",".join(("majority", *PIPELINES)), weights="none", seed=1)
    return folder


def rows(run):
    return {row["rung"]: row for row in Run.open(run).read_rows("ladder.csv")}


@pytest.mark.parametrize("name", PIPELINES)
def test_each_pipeline_is_a_rung_that_learns(name, run):
    row = rows(run)[name]
    assert row["status"] == "finished", row["note"]
    assert float(row["value"]) > (0.5 if name == "surf+svm" else 0.8), "a third would be chance"
    assert float(row["megabytes"]) > 0


def test_the_notes_say_what_was_chosen(run):
    assert rows(run)["hog+svm"]["note"].startswith("C = ")
    assert rows(run)["orb+knn"]["note"].startswith("k = ")


@pytest.mark.parametrize("name", PIPELINES)
def test_each_pipeline_answers_the_same_when_loaded(name, run, shapes):
    """What an attempt kept is loaded: without pickle, and without the library that fitted it."""
    files = [shapes / "disc" / "0.png", shapes / "cross" / "1.png", shapes / "square" / "2.png"]
    kept = run / "checkpoints" / name / "finished"
    once, again = (ln.load(kept).predict(files) for _ in range(2))
    assert np.array_equal(once.scores(), again.scores())
    np.testing.assert_allclose(once.scores().sum(axis=1), 1, atol=1e-6)
    assert type(pickle.loads(pickle.dumps(ln.load(kept).scorer))) is type(ln.load(kept).scorer), (
        "as scikit-learn clones"
    )
    described = json.loads((kept / "classifier.json").read_text())["scorer"]
    assert (described["kind"], described["arguments"]["model"]["kind"]) == ("classical", "classical")
    assert set(described["arguments"]) == {"model"}
    assert list(kept.glob("*.pkl")) == list(kept.glob("*.joblib")) == []


def test_the_saved_answers_are_those_of_the_fitted_head(run, shapes):
    kept = run / "checkpoints" / "sift+forest" / "finished"
    val = Run.open(run).dataset().split("val")
    answers = ln.load(kept).predict(val)
    before = ln.Predictions.read(kept / "val.parquet")
    assert answers.column("id") == before.column("id")
    np.testing.assert_allclose(answers.scores(), before.scores(), atol=1e-6)


def test_the_chosen_one_is_calibrated_familiar_with_its_images_and_evaluated(run, shapes, tmp_path):
    classifier = ln.load(run)
    assert classifier.calibrator is not None
    assert classifier.ood_score == "blend"
    assert ln.evaluate(run).figures["accuracy"].value > 0.8
    noise = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(noise)
    strange, known = (classifier.predict(path).column("ood_score")[0] for path in (noise, shapes / "disc" / "0.png"))
    assert strange > known


def test_it_is_compared_with_a_network_of_another_run(run, shapes, tmp_path):
    ln.train(shapes, out=tmp_path / "hog", model="hog", weights="none", seed=1)
    assert ln.compare(run, tmp_path / "hog").n == len(Run.open(run).dataset().split("test"))


def test_a_broken_off_ladder_goes_on(run, shapes, monkeypatch, tmp_path):
    def train(**more):
        return ln.train(shapes, out=tmp_path / "run", model="colours+knn,orb+knn", weights="none", seed=1, **more)

    from linnaea.models.classical.features.orb import Orb

    def interrupted(self, image):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Orb, "describe", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train()
    before = (tmp_path / "run" / "checkpoints" / "colours+knn" / "finished" / "classifier.json").stat().st_mtime_ns
    train(resume=True)
    after = (tmp_path / "run" / "checkpoints" / "colours+knn" / "finished" / "classifier.json").stat().st_mtime_ns
    assert before == after, "what finished is not fitted again"
    assert set(rows(tmp_path / "run")) == {"colours+knn", "orb+knn"}


def test_what_it_cannot_do_is_said(run):
    with pytest.raises(UsageError, match="computes as its libraries do: leave it out"):
        ln.load(run).predict([], precision="bfloat16")
    with pytest.raises(UsageError, match="computes on cpu, not on cuda"):
        ln.load(run).to("cuda")
    with pytest.raises(UsageError, match="the kind classical cannot grow"):
        ln.grow(run, Run.open(run).dataset(), out=run.parent / "grown")


def test_scores_made_of_weights_need_a_linear_head(shapes, tmp_path):
    with pytest.raises(
        UsageError, match=r"the score 'vim' is made of the weights of a linear head.*take auto or one of"
    ):
        ln.train(shapes, out=tmp_path / "run", model="colours+forest", weights="none", ood="vim")
    ln.train(shapes, out=tmp_path / "linear", model="colours+svm", weights="none", ood="vim")
    assert ln.load(tmp_path / "linear").ood_score == "vim"


def test_unknown_images_are_told_by_a_head_that_is_not_linear(shapes, tmp_path):
    ln.train(shapes, out=tmp_path / "run", model="colours+forest", weights="none", hold_out=["cross"])
    found = json.loads((tmp_path / "run" / "findings" / "openset.json").read_text())
    scores = next(each for each in found if each["name"] == "openset_scores")["rows"]
    assert {"blend", "energy", "mahalanobis"} <= {row["score"] for row in scores}
    assert {"vim", "react"}.isdisjoint(row["score"] for row in scores)


def test_several_labels(tmp_path):
    random, lines = np.random.default_rng(0), ["path,label"]
    (tmp_path / "data").mkdir()
    for number in range(120):
        there = random.random(2) < 0.5
        pixels = random.integers(0, 90, (32, 32, 3), dtype=np.uint8)
        pixels[:16, :, 0] += np.uint8(120 * there[0])
        pixels[16:, :, 2] += np.uint8(120 * there[1])
        Image.fromarray(pixels).save(tmp_path / "data" / f"{number}.png")
        lines.append(f"{number}.png,{'|'.join(np.array(['red', 'blue'])[there])}|")
    (tmp_path / "data" / "labels.csv").write_text("\n".join(lines) + "\n")
    ln.train(tmp_path / "data", out=tmp_path / "run", model="colours+forest,colours+svm", weights="none", seed=1)
    assert ln.load(tmp_path / "run").task == "multilabel"
    assert all(float(row["value"]) > 0.9 for row in rows(tmp_path / "run").values())


def test_a_bundle_whose_head_was_exchanged_is_refused(run, tmp_path):
    kept = run / "checkpoints" / "sift+forest" / "finished"
    with safe_open(kept / "weights.safetensors", framework="np") as weights:
        names = set(weights.keys())
    assert {"scorer/answering.threshold", "scorer/answering.value"} <= names
    from linnaea.classifier.scorers.torch_model import TorchScorer
    from linnaea.errors import BundleError

    with pytest.raises(BundleError, match="its model belongs in one of classical"):
        TorchScorer.build(ln.load(kept).scorer.arguments, {}, kept)


@pytest.mark.parametrize(
    ("name", "parts"),
    [("hog+svm", ("hog", "svm", None)), ("bovw:sift+forest", ("sift", "forest", "bovw"))],
)
def test_a_name_is_its_parts(name, parts):
    assert kind_of(name) == "pipeline"
    assert pipeline_of(name) == PipelineName(*parts)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("hgo+svm", "unknown feature 'hgo' in the model 'hgo.svm': expected one of .*Did you mean 'hog'"),
        ("hog+svn", "unknown head 'svn' in the model 'hog.svn': expected one of .*Did you mean 'svm'"),
        ("bow:sift+svm", "unknown encoding 'bow' in the model .*Did you mean 'bovw'"),
        ("bovw:colours+svm", "'bovw:colours.svm' encodes colours, which describes an image as a whole"),
        ("hog+", "unknown head '' in the model"),
        ("sift", "unknown model 'sift'.* sift is a feature: join it to a head, such as sift.svm"),
        ("forest", "unknown model 'forest'.* forest is a head: join it to a feature, such as hog.forest"),
    ],
)
def test_a_wrong_name_is_refused(name, told):
    with pytest.raises(UsageError, match=told):
        kind_of(name)


def test_a_name_is_told_without_anything_heavy():
    code = (
        "import sys\nfrom linnaea.learning.model_names import require_models\n"
        "require_models('hog+svm,bovw:sift+forest')\n"
        "print([name for name in ('torch', 'sklearn', 'cv2', 'skimage', 'mahotas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_losses_and_balances_that_it_has_no_use_for_are_refused(shapes, tmp_path):
    with pytest.raises(UsageError, match=r"hog\+svm learns by a loss of its own, and 'focal' was given"):
        ln.train(shapes, out=tmp_path / "run", model="hog,hog+svm", weights="none", loss="focal")
    steps, _ = steps_for("orb+knn", "none")
    with pytest.raises(UsageError, match=r"orb\+knn can be balanced by smote, synthetic"):
        steps_balanced(steps, "class_weights", auto=False)


def test_it_is_balanced_by_weights(shapes, tmp_path):
    ln.train(shapes, out=tmp_path / "run", model="colours+svm", weights="none", balance="class_weights")
    assert "Balanced by class_weights" in rows(tmp_path / "run")["colours+svm"]["note"]


@pytest.mark.slow
def test_heads_of_one_ladder_share_the_features(shapes, tmp_path, monkeypatch):
    from linnaea.learning.rungs import pipelines

    made, usual = [], pipelines._features
    monkeypatch.setattr(pipelines, "_features", lambda name, *more: made.append(str(name)) or usual(name, *more))
    together = tmp_path / "together"
    ln.train(shapes, out=together, model="colours+svm,colours+knn,bovw:orb+svm,bovw:orb+forest", weights="none")
    assert len(made) == 2
    alone = tmp_path / "alone"
    ln.train(shapes, out=alone, model="bovw:orb+forest", weights="none")
    one, other = rows(together)["bovw:orb+forest"], rows(alone)["bovw:orb+forest"]
    assert one["value"] == other["value"]
    assert "features are those of the pipeline before it" in one["note"]
    assert "features are those" not in other["note"]


def test_a_linear_head_is_compared_on_some_images_and_fitted_on_all(shapes, tmp_path, monkeypatch):
    from linnaea.models.classical.heads.linear import LinearMachine

    fitted, usual = [], LinearMachine.solve.__func__
    solve = classmethod(
        lambda cls, samples, strength: fitted.append(len(samples.targets)) or usual(cls, samples, strength)
    )
    monkeypatch.setattr(LinearMachine, "solve", solve)
    monkeypatch.setattr(LinearMachine, "compared_on", 40)
    ln.train(shapes, out=tmp_path / "run", model="colours+svm", weights="none")
    assert fitted == [40, 40, 40, 40, 105]
    assert float(rows(tmp_path / "run")["colours+svm"]["value"]) > 0.9
