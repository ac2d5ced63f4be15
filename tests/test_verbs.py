"""Verbs are typed functions: the command line, Python and recipes have the same options, checked the same way."""

import inspect
import subprocess
import sys
import textwrap
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import linnaea
from linnaea.cli import app
from linnaea.errors import UsageError
from linnaea.options import Decision, Learning, Machine, Preparation
from linnaea.options.option import keywords_in
from linnaea.registry import family
from linnaea.verbs.calling import keywords_of
from linnaea.verbs.contract import VERBS
from linnaea.verbs.stub import FILE, stub

GROUPS = (Preparation, Learning, Decision, Machine)
OWN_MEANING = {"export": {"precision"}}  # of the file that is written, int8 too, not of what this machine computes with


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """Thirty dark and thirty bright images."""
    folder, random = tmp_path_factory.mktemp("verbs") / "tones", np.random.default_rng(0)
    for label, lowest in {"dark": 0, "bright": 150}.items():
        (folder / label).mkdir(parents=True)
        for number in range(30):
            pixels = random.integers(lowest, lowest + 100, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number:02}.png")
    return folder


@pytest.fixture(scope="session")
def finished(tones, tmp_path_factory):
    """A finished run on them."""
    folder = tmp_path_factory.mktemp("verbs-runs") / "tones"
    linnaea.train(tones, out=folder, model="hog", weights="none")
    return folder


# Python


def test_an_unknown_option_is_refused_with_a_suggestion(tones):
    with pytest.raises(UsageError, match=r"train has no option 'epoch'.*Did you mean 'epochs'\?"):
        linnaea.train(tones, epoch=3)


def test_a_verb_in_python_has_its_options_one_by_one():
    parameters = inspect.signature(linnaea.train).parameters
    assert parameters["epochs"].default is None
    assert parameters["coverage"].default == 0.9
    assert {parameters[name].kind for name in ("out", "aim", "seed")} == {inspect.Parameter.KEYWORD_ONLY}
    assert {"preparation", "learning", "decision", "machine"}.isdisjoint(parameters)
    assert "learning_rate: Highest learning rate." in (linnaea.train.__doc__ or "")


def test_a_part_of_a_group_has_the_defaults_of_the_verb():
    assert inspect.signature(linnaea.predict).parameters["precision"].default == "float32"
    assert "memory_format" not in inspect.signature(linnaea.predict).parameters


@pytest.mark.parametrize(
    ("verb", "flag", "noun"),
    [
        ("train", "--aim", "aim"),
        ("train", "--split-by", "splitter"),
        ("train", "--log", "logger"),
        ("export", "--to", "export format"),
        ("convert", "--to", "form to convert to"),
        ("predict", "--format", "output format"),
    ],
)
def test_help_names_the_members_of_a_family_by_itself(verb, flag, noun):
    command = app.get_command(None, verb)
    shown = next(one.help for one in command.params if flag in one.opts)
    assert "{names}" not in shown
    assert all(name in shown for name in family(noun).members)


@pytest.mark.parametrize(
    ("name", "value"), [("model", "frozn"), ("ood", "enrgy"), ("loss", "focl"), ("aim", "recal=1"), ("balance", "smot")]
)
def test_names_of_members_are_checked_before_anything_is_read(name, value):
    with pytest.raises(UsageError, match="Did you mean"):
        linnaea.train("nowhere", **{name: value})


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_is_frozen_and_says_what_it_holds(group):
    first, name = group(), next(keywords_in(group)).name
    assert first == group()
    assert first.named().keys() == {keyword.name for keyword in keywords_in(group)}
    assert repr(first).startswith(f"{group.__name__}(")
    with pytest.raises(AttributeError):
        setattr(first, name, None)


def test_each_option_is_written_once():
    names = [keyword.name for group in GROUPS for keyword in keywords_in(group)]
    assert len(names) == len(set(names))
    for verb in map(VERBS.__getitem__, VERBS):
        own = {one.name for one in keywords_of(verb) if one.group is None}
        assert own & set(names) == OWN_MEANING.get(verb.__name__, set()), verb


def test_a_group_that_was_made_with_a_wrong_value_is_refused():
    assert Learning(epochs=3) != Learning(epochs=4)
    with pytest.raises(UsageError, match="epochs is 0; expected a whole number above 0"):
        Learning(epochs=0)


def test_type_checkers_see_the_verbs_as_they_are():
    assert FILE.read_text("utf-8") == stub(), "run: python -m linnaea.verbs.stub"


# Recipes


def trained(recipe, *words):
    """What `train` would be called with, as the command line reads it."""
    seen = {}
    command = app.get_command(None, "train")
    command.callback = lambda **values: seen.update(values)
    done = CliRunner().invoke(command, [str(recipe), *map(str, words)])
    return done, seen


@pytest.fixture
def recipe(tmp_path, tones):
    def write(text):
        file = tmp_path / "recipe.toml"
        file.write_text(textwrap.dedent(text.replace("TONES", str(tones))))
        return file

    return write


WHOLE = """
    data = "TONES"
    out = "runs/here"
    [learning]
    model = "hog"
    epochs = 3
    augment = ["flip"]
    [machine]
    time_limit = "90s"
    seed = 4
"""


def test_a_recipe_gives_the_options(recipe, tones):
    done, seen = trained(recipe(WHOLE))
    assert done.exit_code == 0, done.output
    expected = {"model": "hog", "epochs": 3, "augment": ["flip"], "time_limit": "90s", "seed": 4, "coverage": 0.9}
    assert {name: seen[name] for name in expected} == expected
    assert (seen["data"], seen["out"]) == (tones, Path("runs/here"))


def test_what_is_given_beside_a_recipe_precedes_it(recipe):
    _, seen = trained(recipe(WHOLE), "--epochs", "5", "--augment", "none")
    assert (seen["epochs"], seen["augment"], seen["seed"]) == (5, [], 4)


def test_a_recipe_may_be_an_option(recipe, tones):
    done, seen = trained(tones, "--recipe", recipe("[decision]\ncoverage = 0.8"))
    assert done.exit_code == 0, done.output
    assert (seen["data"], seen["coverage"]) == (tones, 0.8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[learning]\nepoch = 3", "train has no option 'epoch' in [learning]. Did you mean 'epochs'?"),
        ("epoch = 3", "train has no option 'epoch'. Did you mean 'epochs'?"),
        ("epochs = 3", "epochs belongs in the table [learning]."),
        ("[machine]\nepochs = 3", "epochs belongs in the table [learning]."),
        ("[learning]\nout = 'x'", "out belongs above all tables."),
        ("learning = 3", "learning is a table of options"),
        ("[learning]\nepochs = 0", "--epochs is 0; expected a whole number above 0"),
        ("[learning]\nepochs = 2.5", "2.5 is not a whole number"),
        ("[learning]\nepochs = true", "True is not a whole number"),
        ("[learning]\nmodel = 3", "3 is not a valid text"),
        ("[learning]\nmodel = 'frozn'", "Did you mean 'frozen'?"),
        ("resume = 'yes, please'", "'yes, please' is not a valid boolean"),
        ("[learning\n", "is not TOML"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said(text, said, recipe, tones):
    done, seen = trained(tones, "--recipe", recipe(text))
    assert done.exit_code != 0
    assert seen == {}
    assert said in f"{done.output}{done.exception}"


def test_a_recipe_that_is_not_there_is_said(tones):
    done, _ = trained(tones, "--recipe", "nowhere.toml")
    assert "the recipe nowhere.toml cannot be read: No such file" in str(done.exception)


def test_a_run_keeps_the_arguments_of_its_recipe(recipe, tmp_path):
    file = recipe("data = 'TONES'\n[learning]\nmodel = 'majority'\nweights = 'none'\n[decision]\ncoverage = 0.8\n")
    done = CliRunner().invoke(app, ["train", str(file), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    kept = linnaea.Run.open(tmp_path / "run").record()["arguments"]
    assert (kept["model"], kept["coverage"], kept["out"]) == ("majority", 0.8, str(tmp_path / "run"))


def test_a_table_of_arguments_is_as_good_as_words(recipe):
    done, seen = trained(
        recipe("data = 'TONES'\n[learning]\nmodel = 'resnet18'\n[learning.model_args]\ndrop_rate = 0.1")
    )
    assert done.exit_code == 0, done.output
    assert seen["model_args"] == ("drop_rate=0.1",)
    for wrong in ("[learning]\nmodel_args = 3", "[learning.model_arg]\ndrop_rate = 0.1"):
        assert trained(recipe(f"data = 'TONES'\n{wrong}"))[0].exit_code != 0


@pytest.mark.parametrize("text", ["64", "'64'", "'auto'"])
def test_a_number_or_a_word_is_read_as_it_is_meant(text, recipe):
    _, seen = trained(recipe(f"data = 'TONES'\n[learning]\nbatch_size = {text}\n[machine]\ntime_limit = 90"))
    assert seen["batch_size"] == ("auto" if "auto" in text else 64)
    assert seen["time_limit"] == 90


@pytest.mark.parametrize("given", ["0", "-3", "many", "2.5"])
def test_a_batch_that_is_none_is_refused(given, tones):
    done = CliRunner().invoke(app.get_command(None, "train"), [str(tones), "-b", given])
    assert "-batch-size is " in f"{done.output}{done.exception}"
    assert "expected auto or a whole number above 0" in f"{done.output}{done.exception}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"learning": {"epoch": 3}}, r"train has no option 'epoch' in \[learning\]. Did you mean 'epochs'"),
        ({"machine": {"epochs": 3}}, r"train has no option 'epochs' in \[machine\]"),
        ({"learning": 3}, "learning is a table of options"),
        ({"learning": {"epochs": 3}, "epochs": 4}, r"epochs is given twice, by itself and in \[learning\]"),
        ({"learning": {"epochs": 0}}, "epochs is 0"),
        ({"lerning": {"epochs": 3}}, "train has no option 'lerning'"),
    ],
)
def test_what_is_wrong_in_the_tables_of_a_call_is_said(options, said, tones):
    with pytest.raises(linnaea.LinnaeaError, match=said):
        linnaea.train(tones, **options)


# The command line


def test_options_are_shown_in_their_groups():
    shown = CliRunner().invoke(app, ["train", "--help"]).output
    titles = ["Options:", *(f"{group.title}:" for group in GROUPS)]
    assert [line for line in shown.splitlines() if line in titles] == titles
    machine = shown[shown.index(f"{Machine.title}:") :]
    assert "--seed" in machine
    assert "--epochs" not in machine


def test_every_verb_has_a_title():
    assert all(VERBS.about(name).title[0].isupper() for name in VERBS)


def test_every_verb_has_a_meaning_and_every_option_a_help():
    for name in app.list_commands(None):
        command = app.get_command(None, name)
        assert command.help.endswith(".")
        assert all(one.help for one in command.params if isinstance(one, click.Option)), name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trian", "No such command 'trian'. Did you mean 'train'?"),
        ("contract", "No such command 'contract'. Did you mean 'convert'?"),
        ("folds", "No such command 'folds'."),
    ],
)
def test_what_is_no_command_is_answered_with_the_nearest(words, said):
    done = CliRunner().invoke(app, [words])
    assert done.exit_code == 2
    assert said in done.output


PLUGIN = """
    from typing import Annotated

    from linnaea.options import Machine, Only, Option
    from linnaea.verbs.contract import VERBS

    @VERBS.register("greet", meaning="Greet somebody.")
    def greet(
        whom: Annotated[str, Option("Who is greeted.")],
        *,
        loud: Annotated[bool, Option("Greet loudly.")] = False,
        machine: Annotated[Machine, Only("seed")] = Machine(),
    ) -> str:
        said = f"Hello, {whom}, {machine.seed}."
        return said.upper() if loud else said
"""
PYTHON = "import linnaea; print(linnaea.greet('you', seed=3), 'greet' in linnaea.__all__)"


def test_a_plugin_brings_a_verb(tmp_path):
    metadata = tmp_path / "greeting-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[linnaea.plugins]\ngreeting = greeting\n")
    (tmp_path / "greeting.py").write_text(textwrap.dedent(PLUGIN))

    def run(*words):
        home = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        program = "from linnaea.cli import main; main()" if words else PYTHON
        code = [sys.executable, "-c", home + program, *words]
        return subprocess.run(code, capture_output=True, text=True, check=True).stdout

    assert run("greet", "you", "--loud", "--seed", "2") == "HELLO, YOU, 2.\n"
    assert "greet      Greet somebody." in run("--help")
    assert run() == "Hello, you, 3. True\n"


# Where it computes


def test_answers_and_figures_are_made_on_the_device_that_is_asked_for(finished, tones, monkeypatch):
    from linnaea.runtime import plan

    asked, went, moved = [], [], linnaea.Classifier.to
    monkeypatch.setattr(plan, "pick_device", lambda name: asked.append(name) or "cpu")
    monkeypatch.setattr(linnaea.Classifier, "to", lambda self, device: went.append(device) or moved(self, device))
    linnaea.predict(finished, tones / "dark", device="mps")
    linnaea.evaluate(finished, device="cuda")
    linnaea.evaluate(finished / "model", tones)
    assert (asked, went) == (["mps", "cuda", "auto"], ["cpu"] * 3)
    with pytest.raises(UsageError, match="device is 'tpu'; expected one of auto, cpu"):
        linnaea.predict(finished, tones / "dark", device="tpu")


def test_a_bundle_without_a_run_is_evaluated_on_data(finished, tones):
    with pytest.raises(linnaea.LinnaeaError, match="no images of its own: give labelled ones with --data"):
        linnaea.evaluate(finished / "model")
    figures = linnaea.evaluate(finished / "model", tones).figures
    assert figures["accuracy"].n == len(linnaea.Run.open(finished).dataset().split("test"))
    done = CliRunner().invoke(app, ["evaluate", str(finished / "model"), "--data", str(tones)])
    assert done.exit_code == 0, done.output
    assert "The figures are in" not in done.output
