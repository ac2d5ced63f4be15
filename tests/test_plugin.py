"""The plugin in examples/plugin, installed by its entry point: listed, chosen, shown and loaded by plain Linnaea."""

import csv
import json
import os
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PLUGIN = Path(__file__).parents[1] / "examples" / "plugin"
MEMBERS = {
    "attack": ("fgsm",),
    "highlighter": ("saliency",),
    "export format": ("optimised_onnx",),
    "loss": ("poly",),
    "metric": ("matthews",),
    "model": ("cifar10_quick", "neighbours"),
    "rung": ("neighbours",),
    "verb": ("attack", "highlight"),
}


SERVER = """
import contextlib, io, json, sys
for line in sys.stdin:
    asked, said, code = json.loads(line), io.StringIO(), 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            if "code" in asked:
                exec(asked["code"], {"__name__": "notebook"})
            else:
                from linnaea.cli import main
                sys.argv = ["linnaea", *asked["words"]]
                main()
        except SystemExit as stopped:
            code = stopped.code or 0
        except BaseException as error:
            said.write(repr(error))
            code = 70
    print(json.dumps([code, said.getvalue()]), flush=True)
"""


class Place:
    """A folder with images to work in, and an interpreter for which the plugin is installed, and which is kept."""

    def __init__(self, folder):
        self.folder, self.site = folder, folder / "site"
        project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
        name, version = project["name"], project["version"]
        metadata = self.site / f"{name}-{version}.dist-info"
        shutil.copytree(PLUGIN / name, self.site / name)
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        entries = project["entry-points"]["linnaea.plugins"].items()
        lines = "".join(f"{entry} = {module}\n" for entry, module in entries)
        (metadata / "entry_points.txt").write_text(f"[linnaea.plugins]\n{lines}")
        path = os.pathsep.join([str(Path(__file__).parents[1]), str(self.site)])
        self.settings = {"cwd": folder, "env": {**os.environ, "PYTHONPATH": path}, "text": True}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.server = subprocess.Popen([sys.executable, "-c", SERVER], **pipes, **self.settings)

    def ask(self, asked, code=0):
        self.server.stdin.write(json.dumps(asked) + "\n")
        self.server.stdin.flush()
        found, said = json.loads(self.server.stdout.readline())
        assert found == code, said
        return said

    def linnaea(self, *words, code=0):
        return self.ask({"words": words}, code)

    def python(self, code):
        return self.ask({"code": textwrap.dedent(code)})

    def fresh(self, *words, code=0):
        """The same in an interpreter that has imported nothing."""
        done = subprocess.run([sys.executable, *words], capture_output=True, check=False, **self.settings)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def close(self):
        with self.server:
            self.server.stdin.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("place"), np.random.default_rng(0)
    for name, level in (("dark", 70), ("bright", 180)):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(40):
            pixels = level + random.normal(0, 40, (32, 32, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "photos" / name / f"{number}.png")
    made = Place(folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def trained(place):
    options = ("--out", "run", "--model", "cifar10_quick", "--loss", "poly:2", "--epochs", "2")
    place.linnaea("train", "photos", "--img-size", "32", *options)
    return place.folder / "run"


def test_all_of_it_is_listed_with_what_it_does_and_nothing_of_it_is_imported(place):
    listed = json.loads(place.linnaea("methods", "--json"))
    for family, names in MEMBERS.items():
        added = [one for one in listed[family] if one["origin"] == "herbarium"]
        assert tuple(sorted(one["name"] for one in added)) == names
        assert all(one["meaning"].endswith(".") for one in added)
    loaded = """
        import sys
        from linnaea.registry import listing
        listing().to_json()
        print(sorted({"herbarium", "torch", "numpy"} & set(sys.modules)))
    """
    assert place.fresh("-c", textwrap.dedent(loaded)).strip() == "[]"


def test_the_loss_is_what_its_paper_says(place):
    place.python("""
        import torch
        from linnaea.learning.losses.contract import LOSSES, Context
        logits, targets = torch.randn(50, 4), torch.randint(4, (50,))
        expected = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        expected += 2 * (1 - logits.softmax(dim=1)[torch.arange(50), targets])
        torch.testing.assert_close(LOSSES["poly"](logits, targets, Context(amount=2.0)), expected)
    """)


def test_the_metric_is_what_scikit_learn_computes(place):
    place.python("""
        import numpy as np
        from sklearn.metrics import matthews_corrcoef
        from linnaea.evidence import figures
        from linnaea.predictions import Predictions
        random = np.random.default_rng(0)
        probabilities = random.dirichlet(np.ones(3), 60)
        truths, answers = random.integers(0, 3, 60), probabilities.argmax(axis=1)
        columns = {
            "id": [str(row) for row in range(60)],
            "truth": ["abc"[truth] for truth in truths],
            "label": ["abc"[answer] for answer in answers],
            "probabilities": probabilities,
            "confidence": probabilities.max(axis=1).tolist(),
            "reason": ["ok"] * 60,
        }
        found = figures(Predictions.from_columns(columns, classes=("a", "b", "c"), task="multiclass"))["matthews"]
        assert abs(found.value - matthews_corrcoef(truths, answers)) < 1e-9, found
        assert found.lo < found.value < found.hi
    """)


def test_the_network_is_chosen_by_its_name_and_loaded_with_the_run(place, trained):
    rows = list(csv.DictReader((trained / "ladder.csv").read_text().splitlines()))
    assert [(row["rung"], row["status"], row["chosen"]) for row in rows] == [("cifar10_quick", "finished", "yes")]
    assert json.loads((trained / "run.json").read_text())["arguments"]["loss"] == "poly:2"
    said = place.linnaea("predict", "run", "photos/dark/1.png", "--format", "csv")
    assert "photos/dark/1.png,dark," in said
    assert "Did you mean 'cifar10_quick'?" in place.linnaea("train", "photos", "--model", "cifar10_quik", code=2)


def test_the_metric_is_measured_and_shown_in_the_report(trained):
    measured = json.loads((trained / "metrics.json").read_text())["test"]["matthews"]
    assert 0 < measured["value"] <= 1
    page = (trained / "report.html").read_text()
    assert "Matthews correlation" in page
    assert "How closely answers go with truths, 0 by chance; 1 is perfect." in page


def test_the_rung_stands_in_the_ladder_by_its_cost_and_is_a_classifier_afterwards(place):
    place.linnaea("train", "photos", "--out", "alike", "--weights", "none", "--model", "neighbours", "--img-size", "32")
    assert "photos/bright/2.png,bright," in place.linnaea("predict", "alike", "photos/bright/2.png", "--format", "csv")
    order = """
        from linnaea.registry import family
        print(*family("rung").members)
    """
    assert place.python(order).split()[:3] == ["majority", "hog", "neighbours"]


def test_the_highlighter_family_comes_with_its_verb(place, trained):
    (place.folder / "blind.png").write_bytes(b"no image")
    said = place.linnaea("highlight", "run", "photos/dark/1.png", "photos/bright/1.png", "--out", "maps")
    files = sorted((place.folder / "maps").iterdir())
    assert [file.name for file in files] == ["000-1.png", "001-1.png"]
    assert all(str(Path("maps") / file.name) in said for file in files)
    for file in files:
        grey = np.asarray(Image.open(file))
        assert grey.shape == (32, 32)
        assert grey.max() == 255
    assert "Did you mean 'saliency'?" in place.linnaea("highlight", "run", "blind.png", "--method", "salience", code=2)
    assert "blind.png cannot be read" in place.linnaea("highlight", "run", "blind.png", code=2)


def test_the_exported_file_answers_the_same_and_is_a_classifier_again(place, trained):
    place.linnaea("export", "run", "--to", "optimised_onnx")
    (finding,) = json.loads((trained / "findings" / "export.json").read_text())
    assert finding["name"] == "export_parity_optimised_onnx"
    assert finding["severity"] == "info"
    said = place.linnaea("predict", "run/export/optimised_onnx", "photos/dark/1.png", "--format", "csv")
    assert "photos/dark/1.png,dark," in said


def test_the_attack_family_comes_with_its_verb_and_is_shown_in_the_report(place, trained):
    said = place.linnaea("attack", "run", "--epsilon", "0.5")
    (finding,) = json.loads((trained / "findings" / "attack.json").read_text())
    assert finding["summary"] in said
    assert finding["figure"]["value"] < 1
    place.linnaea("report", "run")
    assert finding["summary"] in (trained / "report.html").read_text()
    found = place.python("import linnaea; print(linnaea.attack('run', epsilon=0.0).figure.value)")
    assert float(found) == 1


def test_without_the_plugin_a_run_made_with_it_says_what_is_missing(place, trained):
    shutil.move(place.site, place.folder / "elsewhere")
    try:
        said = place.fresh("-m", "linnaea", "predict", "run", "photos/dark/1.png", code=2)
    finally:
        shutil.move(place.folder / "elsewhere", place.site)
    assert "unknown model 'cifar10_quick'" in said
