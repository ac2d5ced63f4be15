"""The command line: flags are the verbs' arguments, output is for people or machines, and it starts fast."""

import inspect
import json
import logging
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import linnaea
from linnaea import cli
from linnaea.errors import UsageError

VERBS = (
    *("train", "tune", "audit", "preview", "split", "convert", "diff", "datasheet"),
    *(
        "evaluate",
        "calibrate",
        "predict",
        "explain",
        "compare",
        "discover",
        "grow",
        "ensemble",
        "compress",
        "export",
        "bench",
        "report",
        "check",
        "dossier",
        "sign",
        "verify",
        "push",
        "pull",
        "serve",
        "monitor",
        "ask",
        "review",
        "retrain",
        "rollback",
        "key",
    ),
)
COMMANDS = (*VERBS, "methods", "models", "cache", "doctor", "demo")
FLAG_NAMES = {"model_args": "model_arg", "learning_rate": "lr", "source": "from"}
ONLY_ON_THE_COMMAND_LINE = {
    "audit": {"as_json", "strict", "fix_list", "report_file", "guard_formulas"},
    "split": {"out", "check", "as_json", "guard_formulas"},
    "diff": {"as_json", "strict"},
    "evaluate": {"every", "as_json"},
    "discover": {"as_json"},
    "predict": {"output_format", "out", "guard_formulas", "on", "as_json"},
    "compare": {"as_json"},
    "explain": {"as_json"},
    "calibrate": {"as_json"},
    "compress": {"as_json"},
    "export": {"as_json"},
    "bench": {"as_json"},
    "check": {"write_rules", "as_json"},
    "dossier": {"write_statements"},
    "sign": {"new_key"},
    "verify": {"as_json"},
    "push": {"as_json"},
    "pull": {"as_json"},
    "monitor": {"as_json"},
    "ask": {"as_json", "out", "guard_formulas"},
    "review": {"as_json", "port"},
    "serve": {"as_json"},
    "retrain": {"as_json"},
    "rollback": {"as_json"},
    "key": {"as_json"},
}
DEFAULTS_THAT_DIFFER = {"split": {"out"}, "predict": {"output_format", "out"}}


@pytest.fixture(scope="session")
def colour_photos(tmp_path_factory):
    """Thirty dark and thirty bright images, with a file that is no image and one that is broken."""
    folder, random = tmp_path_factory.mktemp("cli") / "photos", np.random.default_rng(0)
    for label, lowest in {"dark": 0, "bright": 150}.items():
        (folder / label).mkdir(parents=True)
        for number in range(30):
            pixels = random.integers(lowest, lowest + 100, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number:02}.png")
    (folder / "dark" / "notes.txt").write_text("no picture")
    (folder / "bright" / "broken.png").write_bytes(b"\x89PNG broken")
    return folder


@pytest.fixture(scope="session")
def cli_run(colour_photos, tmp_path_factory):
    """A tiny finished run."""
    folder = tmp_path_factory.mktemp("cli-runs") / "tones"
    linnaea.train(colour_photos, out=folder, model="majority,hog", weights="none")
    return folder


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run the command line in this process, in an empty folder: returns the exit code and what went where."""
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("linnaea")
    level = logger.level

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["linnaea", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    yield run
    logger.setLevel(level)


def parameters_of(command):
    parameters = cli.app.get_command(None, command).params
    return {parameter.name: parameter for parameter in parameters if parameter.name != "recipe"}


def strict_json(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_every_verb_is_a_command():
    assert set(cli.app.list_commands(None)) == set(COMMANDS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_signature_is_the_schema(verb):
    flags = set(parameters_of(verb)) - ONLY_ON_THE_COMMAND_LINE.get(verb, set())
    arguments = set(inspect.signature(getattr(linnaea, verb)).parameters)
    assert flags == arguments


@pytest.mark.parametrize("verb", VERBS)
def test_defaults_are_the_same(verb):
    arguments = inspect.signature(getattr(linnaea, verb)).parameters
    for name, parameter in parameters_of(verb).items():
        if name not in arguments or name in DEFAULTS_THAT_DIFFER.get(verb, set()):
            continue
        expected = arguments[name].default
        if expected is not inspect.Parameter.empty:
            assert parameter.default == expected, name


@pytest.mark.parametrize("verb", VERBS)
def test_flags_are_spelled_as_arguments(verb):
    for name, parameter in parameters_of(verb).items():
        if name in ONLY_ON_THE_COMMAND_LINE.get(verb, set()) or parameter.param_type_name == "argument":
            continue
        assert f"--{FLAG_NAMES.get(name, name).replace('_', '-')}" in parameter.opts


@pytest.mark.parametrize("words", [(), *((command,) for command in COMMANDS)], ids=lambda words: words[:1] or "linnaea")
def test_help_is_there(words, call):
    code, out, _ = call(*words, "--help")
    assert code == 0
    assert "Usage: linnaea" in out


@pytest.mark.parametrize("words", [("--help",), ("train", "--help"), ("trian",)], ids=" ".join)
def test_help_imports_nothing_heavy(words):
    assert imported_by(f"import linnaea.cli\nsys.argv[1:] = {list(words)!r}\nlinnaea.cli.main()") == []


def test_the_package_imports_nothing_heavy():
    assert imported_by("import linnaea\ndir(linnaea)") == []


def imported_by(source):
    heavy = ("torch", "numpy", "pyarrow", "sklearn", "scipy", "timm", "PIL", "matplotlib")
    watched = f"import sys\ntry:\n  exec({source!r})\nexcept SystemExit:\n  pass\n"
    watched += f"print('heavy:', *[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", watched], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()[1:]


def test_train_says_where_it_wrote_and_what_comes_next(colour_photos, call):
    code, out, _ = call("train", colour_photos, "--model", "majority", "--out", "runs/new")
    assert code == 0
    assert out.splitlines()[-2:] == [
        "The run is in runs/new, its report in runs/new/report.html.",
        "Next: linnaea predict runs/new PHOTO.jpg",
    ]
    assert Path("runs/new/report.html").is_file()


def test_train_makes_a_new_folder_each_time(colour_photos, call):
    for folder in ("runs/photos", "runs/photos-2"):
        _, out, _ = call("train", colour_photos, "--model", "majority")
        assert f"The run is in {folder}," in out


def test_audit_prints_findings_and_what_comes_next(colour_photos, call):
    code, out, _ = call("audit", colour_photos)
    assert code == 0
    assert "left_out" in out
    assert out.splitlines()[-1] == f"Next: linnaea train {colour_photos}"
    assert call("audit", colour_photos, "--strict")[0] == 1


def test_split_says_where_it_wrote(colour_photos, call):
    code, out, _ = call("split", colour_photos, "--out", "who.csv")
    assert code == 0
    assert "images, in who.csv." in out
    assert f"Next: move it to {colour_photos}" in out
    assert Path("who.csv").read_text().startswith("path,label,split,group,sha256,excluded\n")


def test_evaluate_says_where_it_wrote(cli_run, call):
    code, out, _ = call("evaluate", cli_run)
    assert code == 0
    assert out.splitlines()[-2:] == [
        f"The figures are in {cli_run / 'metrics.json'}.",
        f"Next: linnaea report {cli_run}",
    ]


def test_predict_says_where_it_wrote(cli_run, colour_photos, call):
    for name in ("csv", "json", "parquet"):
        code, out, err = call("predict", cli_run, colour_photos / "dark", "--format", name, "--out", f"answers.{name}")
        assert code == 0
        images, counts = err.splitlines()[-1].removesuffix(".").split(" images: ")
        assert int(images) == len(list((colour_photos / "dark").glob("*.png")))
        assert sum(int(part.split()[0]) for part in counts.split(", ")) == int(images)
        assert out == f"The answers are in answers.{name}.\n"
        assert Path(f"answers.{name}").stat().st_size > 0


def test_the_name_of_the_file_says_the_format(cli_run, colour_photos, call):
    assert call("predict", cli_run, colour_photos / "dark", "--out", "answers.json")[0] == 0
    assert len(json.loads(Path("answers.json").read_text())) == 30
    assert call("predict", cli_run, colour_photos / "dark", "--out", "answers.txt")[0] == 0
    assert Path("answers.txt").read_text().startswith("image ")
    code, _, err = call("predict", cli_run, colour_photos / "dark", "--format", "csv", "--out", "other.json")
    assert (code, Path("other.json").exists()) == (2, False)
    assert "other.json ends in .json, and --format is csv: leave one out" in err


def test_a_file_in_place_of_a_run_is_called_one(cli_run, call):
    code, _, err = call("compare", cli_run / "metrics.json", cli_run)
    assert code == 2
    assert "metrics.json is a file: expected the folder of a run" in err


def test_parquet_needs_a_file(cli_run, colour_photos, call):
    code, out, err = call("predict", cli_run, colour_photos / "dark", "--format", "parquet")
    assert (code, out) == (2, "")
    assert "--out" in err


def test_export_says_where_it_wrote(cli_run, call, caplog):
    code, out, _ = call("export", cli_run, "--out", "shipped")
    assert code == 0
    assert out.startswith("shipped/model.onnx")
    assert out.splitlines()[-1] == "Next: python shipped/predict.py PHOTO.jpg"
    assert "Writing the onnx file." in caplog.messages
    assert any(re.fullmatch(r"Comparing its answers on \d+ of \d+ images\.", said) for said in caplog.messages)


def test_report_says_where_it_wrote(cli_run, call):
    code, out, _ = call("report", cli_run)
    assert code == 0
    assert f"The report is in {cli_run / 'report.html'}." in out


@pytest.fixture(scope="session")
def copied_run(cli_run, tmp_path_factory):
    """The same run in another place, under the same name."""
    return shutil.copytree(cli_run, tmp_path_factory.mktemp("copies") / cli_run.name)


def test_compare_says_what_was_shown(cli_run, copied_run, call):
    looks = [len(linnaea.Run.open(run).record()["test_opened"]) for run in (cli_run, copied_run)]
    code, out, _ = call("compare", cli_run, copied_run)
    assert code == 0
    assert out.startswith(f"No difference was shown between {cli_run} and {copied_run}")
    assert "paired test: McNemar p = 1.000" in out
    for run, other, before in zip((cli_run, copied_run), (copied_run, cli_run), looks, strict=True):
        opened = linnaea.Run.open(run).record()["test_opened"]
        assert (len(opened), opened[-1]["by"]) == (before + 1, f"compare with {other}")


def test_audit_json(colour_photos, call):
    _, out, _ = call("audit", colour_photos, "--json")
    names = [finding["name"] for finding in strict_json(out)]
    assert "left_out" in names


def test_evaluate_json(cli_run, call):
    _, out, _ = call("evaluate", cli_run, "--json")
    assert set(strict_json(out)["accuracy"]) == {"value", "lo", "hi", "n", "method"}


def test_compare_json(cli_run, copied_run, call):
    _, out, _ = call("compare", cli_run, copied_run, "--json")
    content = strict_json(out)
    assert content["better"] is None
    assert content["metric"] == "accuracy"


def test_doctor_json(call):
    _, out, _ = call("doctor", "--json")
    assert strict_json(out)["linnaea"]


def test_predict_json_names_what_cannot_be_read(cli_run, colour_photos, call):
    broken = colour_photos / "bright" / "broken.png"
    code, out, _ = call("predict", cli_run, colour_photos / "dark" / "00.png", broken, "--format", "json")
    fine, unread = strict_json(out)
    assert code == 0
    assert sum(fine["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert unread["reason"] == "unreadable"
    assert unread["label"] is None
    assert unread["probabilities"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("audit", "nowhere"), "nowhere does not exist"),
        (("evaluate", "nowhere"), "nowhere does not exist"),
        (("train", "nowhere"), "nowhere does not exist"),
        (("train", "{photos}", "--model", "hgo"), "Did you mean 'hog'?"),
        (("train", "{photos}", "--modl", "hog"), "--modl"),
        (("train", "{photos}", "--fit", "squash"), "expected one of crop, pad, stretch"),
        (("train", "{photos}", "--augment", "flp"), "Did you mean 'flip'?"),
        (("train", "{photos}", "--coverage", "90"), "expected a share between 0 and 1"),
        (("train", "{photos}", "--time-limit", "soon"), "90s, 10m or 1h30m"),
        (("train", "{photos}", "--out", "{run}"), "already exists"),
        (("export", "{run}", "--to", "onx"), "Did you mean 'onnx'?"),
        (("predict", "{run}", "nothing.jpg"), "nothing.jpg"),
        (("predict", "{run}", "{photos}", "--format", "cvs"), "Did you mean 'csv'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_gives_one_line_and_exit_code_two(words, said, call, colour_photos, cli_run):
    code, out, err = call(*(word.format(photos=colour_photos, run=cli_run) for word in words))
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert not Path("runs").exists()


def test_public_names_resolve():
    assert [name for name in linnaea.__all__ if not hasattr(linnaea, name)] == []
    assert sorted(linnaea.__all__) == linnaea.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = linnaea.trian


def test_everything_public_has_a_docstring():
    without = []
    for name in linnaea.__all__:
        member = getattr(linnaea, name)
        parts = {name: member}
        if inspect.isclass(member):
            parts |= {f"{name}.{part}": value for part, value in vars(member).items() if is_documented(part, value)}
        without += [part for part, value in parts.items() if not inspect.getdoc(value)]
    assert without == []


def is_documented(name, value):
    described = inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod)
    return described and not name.startswith("_")


def test_the_cache_is_shown_and_cleared(call, monkeypatch, tmp_path):
    monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path))
    code, out, _ = call("cache")
    assert code == 0
    assert f"{tmp_path}: 0 of at most 10,000,000,000 bytes." in out
    _, out, _ = call("cache", "--clear", "--json")
    assert json.loads(out)["freed_bytes"] == 0
    monkeypatch.setenv("LINNAEA_CACHE", "none")
    assert "The cache is off." in call("cache")[1]


def test_methods_are_listed_without_torch(call, without_torch):
    code, out, err = call("methods", "--family", "loss")
    assert code == 0, err
    assert out.startswith("Losses (loss). Chosen with `linnaea train --loss`.")
    assert "  focal " in out
    listed = strict_json(call("methods", "--json")[1])
    assert [one["name"] for one in listed["splitter"]] == ["time", "iterative", "stratified"]
    assert without_torch("methods")[0] == 0
    code, _, err = call("methods", "--family", "los")
    assert code == 2
    assert "there is no family 'los': expected one of" in err


def test_version(call):
    assert call("--version")[:2] == (0, f"linnaea {version('linnaea')}\n")


WITHOUT_TORCH = """
import sys
from linnaea.cli import main
sys.argv = ["linnaea", *WORDS]
try:
    main()
except SystemExit as stopped:
    print(stopped.code, file=sys.stderr)
print("torch" in sys.modules, file=sys.stderr)
"""


@pytest.fixture
def without_torch(tmp_path):
    """Run words on the command line in a process of its own, which must not load torch; the exit code and the words."""

    def run(*words):
        code = WITHOUT_TORCH.replace("WORDS", repr([str(word) for word in words]))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
        *said, code, torch = done.stderr.splitlines()
        assert torch == "False", words
        return int(code), done.stdout + "\n".join(said)

    return run


@pytest.mark.parametrize("words", ["train nowhere", "audit nowhere", "predict nowhere a.jpg", "evaluate nowhere"])
def test_what_is_not_there_is_refused_before_torch_is_loaded(words, without_torch):
    code, said = without_torch(*words.split())
    assert code == 2
    assert "nowhere does not exist: expected" in said


@pytest.mark.parametrize("words", [("evaluate",), ("explain",), ("report",), ("train",), ("compare", "{run}")])
def test_an_argument_that_is_left_out_is_asked_for(words, cli_run, call):
    code, _, said = call(*[word.format(run=cli_run) for word in words])
    assert code == 2
    assert "Missing argument" in said


def test_one_run_is_no_ensemble_and_is_named_as_it_was_given(cli_run, call):
    code, _, said = call("ensemble", cli_run)
    assert code == 2
    assert f"runs is {cli_run}; expected the folders of two finished runs or more" in said


def test_the_file_of_an_export_is_answered_with_the_folder(cli_run, colour_photos, call):
    code, _, said = call("explain", cli_run / "model" / "classifier.json", colour_photos)
    assert code == 2
    assert "is a file: expected the folder" in said


def test_files_that_are_not_there_are_refused_before_torch_is_loaded(cli_run, without_torch):
    code, said = without_torch("predict", cli_run, "nowhere.jpg")
    assert code == 2
    assert "1 path does not exist: nowhere.jpg" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("export RUN --to pt2 --precision int8", "the format pt2 cannot be in int8: expected one of fp32, bf16, or"),
        ("export RUN --out RUN", "holds other files (first "),
        ("export RUN --out RUN/run.json", "run.json is a file: give an empty or a new folder with --out"),
        ("compress RUN --backend openvino --bits 4", "openvino computes networks with 8 or 16 bits: choose these"),
    ],
)
def test_what_no_file_can_be_is_refused_before_torch_is_loaded(words, told, cli_run, without_torch):
    code, said = without_torch(*words.replace("RUN", str(cli_run)).split())
    assert code == 2
    assert told in said


def test_what_runs_left_is_looked_at_without_torch(cli_run, colour_photos, tmp_path, without_torch):
    shutil.copytree(cli_run, other := tmp_path / "other")
    for words in (
        ("compare", cli_run, other),
        ("evaluate", cli_run / "predictions" / "test.parquet"),
        ("report", other),
        ("diff", cli_run, other),
        ("convert", colour_photos, tmp_path / "converted"),
        ("datasheet", colour_photos, "--out", tmp_path / "datasheet.toml"),
    ):
        code, said = without_torch(*words)
        assert code == 0, said


@pytest.mark.parametrize(
    ("command", "option", "value", "expected"),
    [
        ("train", "--coverage", "2", "--coverage is 2.0; expected a share between 0 and 1, such as 0.9."),
        ("train", "--risk", "nan", "--risk is nan; expected a share between 0 and 1, such as 0.1."),
        ("train", "--epochs", "0", "--epochs is 0; expected a whole number above 0"),
        ("train", "--lr", "inf", "--lr is inf; expected a number above 0"),
        ("train", "--time-limit", "soon", "--time-limit: the duration is 'soon'; expected something like 90s"),
        ("train", "--imgsz", "4", "--img-size is 4; expected 8 to 2048 pixels"),
        ("train", "--fit", "crap", "--fit is 'crap'; expected one of crop, pad, stretch. Did you mean 'crop'?"),
        ("train", "--duplicates", "all", "--duplicates is 'all'; expected one of near, exact"),
        ("train", "--by", "date", "--split-by: unknown splitter 'date': expected one of time, iterative, stratified"),
        ("train", "--aim", "recal=0.9", "Did you mean 'recall'?"),
        ("train", "--device", "tpu", "--device is 'tpu'; expected one of auto, cpu, cuda, mps"),
        ("train", "--precision", "float", "--precision is 'float'; expected one of auto, float32"),
        ("train", "--memory-format", "rows", "--memory-format is 'rows'; expected one of auto, channels_last"),
        ("train", "--seed", "-1", "--seed is -1; expected a whole number from 0 to 4294967295"),
        ("audit", "--fit", "bend", "--fit is 'bend'; expected one of crop"),
        ("preview", "--img-size", "0", "--img-size is 0; expected 8 to 2048 pixels"),
        ("split", "--by", "date", "--split-by: unknown splitter 'date'"),
        ("doctor", "--batch-size", "0", "--batch-size is 0; expected auto or a whole number above 0"),
        ("doctor", "--img-size", "4096", "--img-size is 4096; expected 8 to 2048 pixels"),
        ("evaluate", "--prevalence", "1", "--prevalence is 1.0; expected a share between 0 and 1, such as 0.01."),
        ("evaluate", "--unknown", "nowhere", "1 path does not exist: nowhere"),
        ("evaluate", "--data", "nowhere", "nowhere does not exist"),
        ("predict", "--precision", "half", "--precision is 'half'; expected one of auto, float32"),
    ],
)
def test_what_an_option_cannot_be_is_refused_before_torch_is_loaded(
    command, option, value, expected, without_torch, colour_photos, cli_run
):
    given = {"doctor": [], "evaluate": [cli_run], "predict": [cli_run, colour_photos]}.get(command, [colour_photos])
    code, said = without_torch(command, *given, option, value)
    assert code == 2
    assert expected in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("coverage", None),
        ("unsure_rate", 1.0),
        ("epochs", 0),
        ("batch_size", 0.5),
        ("learning_rate", -1.0),
        ("img_size", 0),
        ("fit", None),
        ("duplicates", "all"),
        ("split_by", "date"),
        ("seed", -1),
        ("device", 0),
        ("precision", np.float16),
    ],
)
def test_in_python_the_same_is_refused_before_a_run_begins(name, value, colour_photos, tmp_path):
    with pytest.raises(UsageError, match=str(getattr(value, "__name__", value)).removeprefix("-")):
        linnaea.train(colour_photos, out=tmp_path / "run", model="majority", **{name: value})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("verb", ["audit", "preview", "split", "folds"])
def test_seeds_are_whole_numbers_from_zero(verb, colour_photos):
    with pytest.raises(UsageError, match="seed is -1; expected a whole number"):
        list(getattr(linnaea, verb)(colour_photos, seed=-1))


def test_images_that_are_to_be_unknown_are_looked_for_before_the_test_split_is_opened(cli_run):
    before = linnaea.Run.open(cli_run).record()["test_opened"]
    with pytest.raises(linnaea.LinnaeaError, match="nowhere"):
        linnaea.evaluate(cli_run, unknown="nowhere")
    assert linnaea.Run.open(cli_run).record()["test_opened"] == before
