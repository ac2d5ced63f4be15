"""The rules of a task, against somebody else's."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from linnaea.decisions import Policy, decide
from linnaea.learning.losses import criterion_for
from linnaea.task import TASKS, infer_task

LOGITS = np.random.default_rng(0).normal(size=(20, 3)) * 3


def test_several_labels_are_judged_one_by_one():
    task = TASKS["multilabel"]
    assert task.multilabel
    probabilities = task.probabilities(LOGITS)
    assert np.allclose(probabilities, task.activation(torch.tensor(LOGITS)).numpy())
    targets = (np.random.default_rng(1).random((20, 3)) < 0.4).astype(float)
    expected = np.mean([log_loss(targets[:, k], probabilities[:, k], labels=[0, 1]) for k in range(3)])
    assert float(criterion_for(task).mean(torch.tensor(LOGITS), torch.tensor(targets))) == pytest.approx(
        expected, rel=1e-5
    )


def test_what_is_unknown_costs_nothing():
    task, targets = TASKS["multilabel"], np.ones((20, 3))
    targets[:, 1:] = np.nan
    logits = torch.tensor(LOGITS, requires_grad=True)
    loss = criterion_for(task).mean(logits, torch.tensor(targets))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(-np.log(task.probabilities(LOGITS)[:, 0]).mean()), rel=1e-5)
    assert torch.all(logits.grad[:, 1:] == 0)
    assert float(criterion_for(task).mean(logits.detach(), torch.full((20, 3), torch.nan))) == 0


def test_of_several_labels_each_is_answered_by_its_own_threshold():
    probabilities = np.array([[0.9, 0.2, 0.6], [0.1, 0.1, 0.3]])
    decided = decide("multilabel", "abc", probabilities, Policy(thresholds=(0.5, 0.15, 0.7), set_threshold=0.3))
    assert decided.labels == [["a", "b"], []]
    assert decided.sets == [["a", "c"], ["c"]]
    assert decided.confidence.tolist() == [0.2, 0.7]


def test_of_two_classes_the_second_is_answered_from_its_threshold_on():
    decided = decide("binary", ["no", "yes"], np.array([[0.8, 0.2], [0.9, 0.1]]), Policy(thresholds=(0.2,)))
    assert (decided.labels, decided.confidence.tolist()) == (["yes", "no"], [0.2, 0.9])


def test_one_label_infers_its_task():
    assert [infer_task(tuple("abc"[:n])) for n in (2, 3)] == ["binary", "multiclass"]
