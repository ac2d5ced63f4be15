"""Every loss meets one contract, for every task it says it is for, and one that is asked for is called."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from linnaea.errors import UsageError
from linnaea.learning.losses import LOSSES, criterion_for, require_loss
from linnaea.learning.losses.contract import is_for
from linnaea.learning.rungs import RUNGS
from linnaea.models.network import create_body
from linnaea.models.weights import Weights
from linnaea.task import TASKS
from linnaea.taxonomy import Taxonomy

CLASSES = ("cat", "dog", "frog", "car", "bus")
TREE = Taxonomy.of(CLASSES, {"cat": "mammal", "dog": "mammal", "mammal": "animal", "frog": "animal", "car": "vehicle"})
PAIRS = [(name, task) for name in LOSSES for task in TASKS if is_for(name, task)]


def case(name, task, rows=24, scale=2.0, seed=0):
    """The loss at work, logits, and targets as the task has them."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(rows, len(CLASSES), generator=generator)
    targets = torch.randint(len(CLASSES), (rows,), generator=generator)
    if TASKS[task].multilabel:
        targets = (torch.rand(rows, len(CLASSES), generator=generator) < 0.4).float()
        targets[torch.rand(rows, len(CLASSES), generator=generator) < 0.2] = torch.nan
    return criterion_for(TASKS[task], name, TREE), logits.requires_grad_(), targets


@pytest.mark.parametrize(("name", "task"), PAIRS)
class TestEveryLoss:
    def test_it_says_what_it_is(self, name, task):
        told = LOSSES.about(name)
        assert told.meaning.endswith(".")
        assert set(told.capabilities.get("usual_for", ())) <= set(told.capabilities["tasks"]) <= set(TASKS)

    def test_it_gives_a_number_for_each_image_on_its_own(self, name, task):
        criterion, logits, targets = case(name, task)
        losses = criterion.losses(logits, targets)
        assert losses.shape == (len(logits),)
        assert torch.isfinite(losses).all()
        assert (losses > -1e-6).all()
        order = torch.randperm(len(logits))
        assert torch.allclose(criterion.losses(logits[order], targets[order]), losses[order], atol=1e-6)
        assert torch.allclose(criterion.losses(logits[:1], targets[:1]), losses[:1], atol=1e-6)

    @pytest.mark.parametrize("scale", [1.0, 1e4])
    def test_its_gradient_is_finite_and_leads_down(self, name, task, scale):
        criterion, logits, targets = case(name, task, scale=scale)
        value = criterion.mean(logits, targets, 0.1)
        (gradient,) = torch.autograd.grad(value, logits)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0 or (scale > 1 and name == "generalized_cross_entropy"), "it is bounded"
        if scale == 1:
            assert criterion.mean(logits - gradient, targets, 0.1) < value

    def test_right_answers_cost_less_than_wrong_ones(self, name, task):
        criterion, _, targets = case(name, task)
        several = TASKS[task].multilabel
        right = 2 * targets.nan_to_num(0.5) - 1 if several else 2.0 * functional.one_hot(targets, len(CLASSES)) - 1
        assert (criterion.losses(2 * right, targets) < criterion.losses(-2 * right, targets)).all()

    def test_smoothing_is_felt(self, name, task):
        criterion, logits, targets = case(name, task)
        assert not torch.isclose(criterion.mean(logits, targets, 0.2), criterion.mean(logits, targets))

    def test_what_is_unknown_costs_nothing(self, name, task):
        if not TASKS[task].multilabel:
            indices = case(name, task)[2]
            criterion, logits, weights = *case(name, task)[:2], functional.one_hot(indices, len(CLASSES)).float()
            assert torch.allclose(criterion.losses(logits, indices), criterion.losses(logits, weights), atol=1e-5)
            return
        criterion, logits, targets = case(name, task)
        (gradient,) = torch.autograd.grad(criterion.mean(logits, targets), logits)
        assert (gradient[targets.isnan()] == 0).all()
        assert (gradient[~targets.isnan()] != 0).float().mean() > 0.5
        unknown = torch.full_like(targets, torch.nan)
        assert criterion.mean(logits, unknown) == 0


def test_references():
    criterion, logits, targets = case("binary_cross_entropy", "multilabel")
    logits = logits.detach()
    known = ~targets.isnan()
    expected = functional.binary_cross_entropy_with_logits(logits[known], targets[known])
    assert float(criterion.mean(logits, targets)) == pytest.approx(float(expected), rel=1e-5)
    smooth = functional.binary_cross_entropy_with_logits(logits[known], targets[known] * 0.8 + 0.1)
    assert float(criterion.mean(logits, targets, 0.2)) == pytest.approx(float(smooth), rel=1e-5)
    criterion, logits, targets = case("cross_entropy", "multiclass")
    logits = logits.detach()
    for smoothing in (0.0, 0.2):
        expected = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
        assert float(criterion.mean(logits, targets, smoothing)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_focal_loss_is_torchvisions(gamma):
    criterion, logits, targets = case(f"focal:{gamma}", "multilabel")
    known = ~targets.isnan()
    each = sigmoid_focal_loss(logits, targets.nan_to_num(), alpha=-1, gamma=gamma) * known
    assert torch.allclose(criterion.losses(logits, targets), each.sum(dim=1), rtol=1e-4)
    criterion, logits, targets = case(f"focal:{gamma}", "multiclass")
    plain = functional.cross_entropy(logits, targets, reduction="none")
    assert torch.allclose(criterion.losses(logits, targets), (1 - torch.exp(-plain)) ** gamma * plain, rtol=1e-4)


@pytest.mark.parametrize("q", [0.05, 0.7, 1])
def test_generalised_cross_entropy_lies_between_cross_entropy_and_the_mean_absolute_error(q):
    criterion, logits, targets = case(f"generalized_cross_entropy:{q}", "multiclass", scale=1.0)
    powers = np.exp(logits.detach().numpy().astype(np.float64))
    true = (powers / powers.sum(axis=1, keepdims=True))[np.arange(len(targets)), targets.numpy()]
    losses = criterion.losses(logits, targets).detach().numpy()
    assert losses == pytest.approx((1 - true**q) / q, rel=1e-5)
    if q == 1:
        absolute = np.abs(powers / powers.sum(axis=1, keepdims=True) - np.eye(len(CLASSES))[targets.numpy()])
        assert losses == pytest.approx(absolute.sum(axis=1) / 2, rel=1e-5)
    if q == 0.05:
        assert losses == pytest.approx(-np.log(true), rel=0.15)


@pytest.mark.parametrize("gamma", [0, 1, 4])
def test_asymmetric_loss_is_that_of_a_plain_loop(gamma):
    criterion, logits, targets = case(f"asymmetric:{gamma}", "multilabel")
    expected = []
    for row, truth in zip(logits.detach().double().numpy(), targets.numpy(), strict=True):
        total = 0.0
        for score, there in zip(row, truth, strict=True):
            likely = 1 / (1 + np.exp(-score))
            shifted = max(likely - 0.05, 0)
            if there == 1:
                total -= np.log(likely)
            elif there == 0:
                total -= shifted**gamma * np.log(1 - shifted)
        expected.append(total)
    assert criterion.losses(logits, targets).detach().numpy() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_loss_that_goes_by_numbers_of_images_is_a_balance():
    from linnaea.options import Learning

    for name in ("logit_adjustment", "class_balanced:0.99"):
        with pytest.raises(UsageError, match=f"use --balance {name}"):
            Learning(loss=name)
    with pytest.raises(UsageError, match="Did you mean 'asymmetric'"):
        Learning(loss="asymetric")


@pytest.mark.parametrize("task", list(TASKS))
def test_every_task_has_a_usual_loss(task):
    assert criterion_for(TASKS[task], None, TREE).task == task


def test_networks_are_judged_by_what_is_proper():
    assert criterion_for(TASKS["multiclass"], "focal").judge.name == "cross_entropy"
    assert criterion_for(TASKS["multilabel"], "squared_hinge").judge.name == "binary_cross_entropy"
    assert criterion_for(TASKS["hierarchical"], "marginal", TREE).judge.name == "marginal"


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        (
            "marginal",
            "multiclass",
            "but these are multiclass: use cross_entropy, focal, generalized_cross_entropy, sq",
        ),
        ("cross_entropy", "multilabel", "use asymmetric, binary_cross_entropy, focal, squared_hinge"),
        ("vocal", "multiclass", "Did you mean 'focal'"),
        ("focal:11", "binary", "expected gamma, a number from 0 to 10"),
        ("cross_entropy:2", "binary", "takes no number"),
    ],
)
def test_a_loss_that_does_not_fit_is_refused_with_those_that_do(name, task, message):
    with pytest.raises(UsageError, match=message):
        require_loss(name, task)


@pytest.fixture
def counted():
    """A loss for all tasks that counts how often it is called, registered for the time of a test."""
    calls = []
    with LOSSES.restored():

        @LOSSES.register("counted", meaning="The squared scores.", tasks=("binary", "multilabel", "hierarchical"))
        def loss(logits, targets, context):
            calls.append(len(logits))
            return logits.square().sum(dim=1)

        yield calls


@pytest.mark.parametrize("rung", [name for name, rung in RUNGS.items() if not rung.baseline])
@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_a_loss_that_is_asked_for_is_called_by_every_rung(rung, task, job, counted):
    targets = [part.targets for part in (job.train, job.val)]
    if task == "multilabel":
        targets = [np.stack([part, 1 - part], axis=1).astype(np.float32) for part in targets]
    parts = [replace(part, targets=own) for part, own in zip((job.train, job.val), targets, strict=True)]
    body = create_body("test_resnet", 16, {})
    weights = Weights("test_resnet", 16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), body.state_dict(), source="drawn at random")
    options = replace(job.options, loss="counted", epochs=1, augmentations=())
    own = replace(job, train=parts[0], val=parts[1], task=TASKS[task], options=options, weights=weights)
    fitted = RUNGS[rung].fit(own)
    assert counted
    if rung == "hog":  # a linear head: the score of every image is driven to nothing
        assert float(fitted.model.classifier.weight.detach().abs().max()) < 1e-3
