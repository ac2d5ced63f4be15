"""What `evaluate` prints: the main figures, and all of them where they are asked for."""

import numpy as np
import pytest

from linnaea import cli
from linnaea.predictions import Predictions

CLASSES = ("ant", "bee")


@pytest.fixture
def answers(tmp_path):
    random = np.random.default_rng(0)
    truths = random.integers(0, 2, 60)
    sure = random.uniform(0.6, 0.95, 60)
    probabilities = np.stack([1 - sure, 1 - sure], axis=1)
    probabilities[np.arange(60), truths] = sure
    labels = [CLASSES[place] for place in probabilities.argmax(axis=1)]
    columns = {
        "id": [str(row) for row in range(60)],
        "truth": [CLASSES[place] for place in truths],
        "probabilities": probabilities,
        "label": labels,
        "confidence": sure,
        "prediction_set": [[label] for label in labels],
        "reason": ["ok"] * 60,
    }
    return Predictions.from_columns(columns, CLASSES, "binary").write(tmp_path / "answers.parquet")


@pytest.fixture
def told(monkeypatch, capsys):
    def run(*words):
        monkeypatch.setattr("sys.argv", ["linnaea", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        return capsys.readouterr().out

    return run


def test_the_main_figures_are_told_and_how_many_more_there_are(answers, told):
    shown, every = told("evaluate", answers), told("evaluate", answers, "--all")
    names = [{line.split()[0] for line in text.splitlines() if "n = " in line} for text in (shown, every)]
    assert {"accuracy", "ece", "coverage"} <= names[0] < names[1]
    assert "brier_resolution" in names[1] - names[0]
    assert f"{len(names[1] - names[0])} more figures: --all prints them." in shown
    assert "--all" not in every
