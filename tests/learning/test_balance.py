"""Every balancer meets one contract, its formula is the published one, and it goes only where it can act."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from torchvision.ops import sigmoid_focal_loss

from linnaea.errors import MissingExtraError, UsageError
from linnaea.learning.balance import ACTS, BALANCERS, Balance
from linnaea.learning.examples import Examples
from linnaea.learning.heads import fit_path
from linnaea.learning.job import Job
from linnaea.learning.losses import criterion_for
from linnaea.learning.rungs import RUNGS, Options, Step, steps_balanced, with_pictures
from linnaea.learning.schedule import Schedule
from linnaea.learning.supervised import train_network
from linnaea.models.compact import Compact
from linnaea.runtime.plan import Plan
from linnaea.task import TASKS

COUNTS = (40, 12, 3, 1)
CRITERION = criterion_for(TASKS["multiclass"])


def imbalanced(seed=0, size=8):
    """Images of four classes, 40, 12, 3 and 1 of them, and features that tell them apart."""
    random = np.random.default_rng(seed)
    targets = np.repeat(np.arange(4), COUNTS)[random.permutation(sum(COUNTS))].astype(np.int64)
    images = (40 * targets[:, None, None, None] + random.integers(0, 60, (len(targets), size, size, 3))).astype(
        np.uint8
    )
    features = (random.normal(size=(len(targets), 6)) + targets[:, None]).astype(np.float32)
    return images, features, targets


def balance(name):
    return Balance.of(name, imbalanced()[2], 4)


def names_that(*acts_on):
    return [name for name, member in BALANCERS.items() if member.acts_on in acts_on]


def outcome(chosen, images, features, targets):
    """All that a balancer may be asked for, in one training."""
    loss = chosen.loss(CRITERION, torch.ones(56, 4) * torch.arange(4), torch.from_numpy(targets), 0.1)
    drawn, made = chosen.rows(targets, 3), chosen.pictures(images, targets, 3)
    return drawn, *made, *chosen.for_head(features, targets, 3), loss


@pytest.mark.parametrize("name", list(BALANCERS))
def test_contract(name):
    assert BALANCERS[name].acts_on in ACTS
    given = imbalanced()
    before = tuple(array.copy() for array in given)
    first, second = (outcome(balance(name), *given) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True)), (
        "the same by the same seed"
    )
    assert all(np.array_equal(one, other) for one, other in zip(given, before, strict=True)), "the input is not changed"
    rows, images, labels, features, targets, weights, loss = first
    assert 0 <= rows.min() <= rows.max() < 56
    assert set(given[2][rows]) == {0, 1, 2, 3}
    assert images.dtype == np.uint8
    assert images.shape == (len(labels), 8, 8, 3)
    assert features.dtype == np.float32
    assert features.shape == (len(targets), 6)
    assert np.array_equal(features[:56], given[1]), "the given ones come first"
    assert weights is None or (weights.shape == (56,) and weights.dtype == np.float32)
    assert torch.isfinite(loss)
    assert all(note.endswith(".") for note in balance(name).notes)


def test_nothing_is_done_unless_asked():
    _, features, targets = imbalanced()
    none = balance(None)
    assert none.notes == []
    assert none.on_val(targets) is None
    assert np.array_equal(none.rows(targets, 0), np.arange(56))
    assert none.for_head(features, targets, 0)[2] is None
    logits = torch.randn(56, 4)
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets), label_smoothing=0.1)
    assert none.loss(CRITERION, logits, torch.from_numpy(targets), 0.1).item() == pytest.approx(float(expected))


def test_oversampling_repeats_every_class_to_the_largest():
    targets = imbalanced()[2]
    rows = balance("oversample").rows(targets, 0)
    assert np.bincount(targets[rows]).tolist() == [40] * 4
    often = np.bincount(rows, minlength=56)
    assert often[targets == 0].tolist() == [1] * 40
    assert set(often[targets == 1]) == {3, 4}, "each image as often as the others, or once more"


def test_undersampling_takes_other_images_in_every_epoch():
    targets = imbalanced()[2]
    epochs = [balance("undersample").rows(targets, seed) for seed in range(30)]
    assert all(np.bincount(targets[rows]).tolist() == [1] * 4 for rows in epochs)
    assert len(np.unique(np.concatenate(epochs))) > 20


def test_class_weights_are_scikit_learns():
    targets = imbalanced()[2]
    expected = compute_class_weight("balanced", classes=np.arange(4), y=targets)
    _, _, weights = balance("class_weights").for_head(imbalanced()[1], targets, 0)
    np.testing.assert_allclose(weights, expected[targets], rtol=1e-6)
    logits = torch.randn(56, 4)
    reference = torch.nn.functional.cross_entropy(
        logits, torch.from_numpy(targets), weight=torch.from_numpy(expected).float()
    )  # divided by the sum of the weights, which is the number of images
    assert balance("class_weights").loss(CRITERION, logits, torch.from_numpy(targets)) == pytest.approx(
        float(reference)
    )
    assert balance("class_weights:0").for_head(imbalanced()[1], targets, 0)[2] == pytest.approx(np.ones(56))


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_focal_loss_of_two_classes_is_torchvisions(gamma):
    logit, target = torch.randn(50), torch.arange(50) % 2
    expected = sigmoid_focal_loss(logit, target.float(), alpha=-1, gamma=gamma, reduction="mean")
    chosen = Balance.of(f"focal:{gamma}", target.numpy(), 2)
    found = chosen.loss(CRITERION, torch.stack([torch.zeros(50), logit], dim=1), target)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_logit_adjustment_is_the_published_formula():
    _, _, targets = imbalanced()
    logits = np.random.default_rng(0).normal(size=(56, 4))
    adjusted = logits + 1.5 * np.log(np.array(COUNTS) / sum(COUNTS))
    expected = np.mean(np.log(np.exp(adjusted).sum(axis=1)) - adjusted[np.arange(56), targets])
    found = balance("logit_adjustment:1.5").loss(CRITERION, torch.from_numpy(logits), torch.from_numpy(targets))
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", names_that("weights", "loss"))
def test_mixed_labels_cost_what_their_classes_cost(name):
    """The loss is linear in the class weights where it is that of one image."""
    logits = torch.randn(1, 4)
    each = [balance(name).loss(CRITERION, logits, torch.tensor([number])) for number in range(4)]
    mixed = balance(name).loss(CRITERION, logits, torch.tensor([[0.25, 0, 0.75, 0]]))
    if name in (
        "class_weights",
        "class_balanced",
    ):  # weights are those of the labels, losses those of the mixture: a product
        assert min(each) <= mixed <= max(each)
    else:
        assert float(mixed) == pytest.approx(float(0.25 * each[0] + 0.75 * each[2]), rel=1e-5)


def test_smote_fills_up_between_neighbours_of_the_same_class():
    _, features, targets = imbalanced()
    more, labels, _ = balance("smote").for_head(features, targets, 0)
    assert np.bincount(labels).tolist() == [40] * 4
    for number in (1, 2):
        real, made = features[targets == number], more[56:][labels[56:] == number]
        for point in made:
            ends = [(a, b) for a in real for b in real if np.all((point - a) * (point - b) <= 1e-6)]
            assert ends, "each point lies between two real ones"
    assert (more[56:][labels[56:] == 3] == features[targets == 3]).all(), "one image is repeated"


def test_smote_without_its_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imblearn.over_sampling", None)
    _, features, targets = imbalanced()
    with pytest.raises(MissingExtraError, match=r"linnaea\[balance\]"):
        balance("smote").for_head(features, targets, 0)


def test_synthetic_pictures_look_like_their_class_and_are_no_copies():
    images, _, targets = imbalanced()
    made, labels = balance("synthetic").pictures(images, targets, 0)
    assert np.bincount(labels, minlength=4).tolist() == [0, 28, 37, 39]
    for number in (1, 2):
        mine, theirs = made[labels == number].astype(float), images[targets == number].astype(float)
        assert np.abs(mine.mean(axis=0) - theirs.mean(axis=0)).mean() < 10
        assert not any((picture == real).all() for picture in mine for real in theirs)
    assert (made[labels == 3] == images[targets == 3]).all(), "one image is repeated"
    copies, labels = balance("synthetic:0").pictures(images, targets, 0)
    assert all(
        (images[targets == label] == copy).all(axis=(1, 2, 3)).any() for copy, label in zip(copies, labels, strict=True)
    )


def test_val_counts_every_class_the_same():
    targets = np.array([0] * 9 + [1])
    weights = balance("focal").on_val(targets)
    assert weights.sum() == pytest.approx(10)
    assert weights[:9].sum() == pytest.approx(weights[9])


def test_weighted_heads_are_scikit_learns():
    _, features, targets = imbalanced()
    weights = np.random.default_rng(0).uniform(0, 3, len(targets)).astype(np.float32)
    (head,) = fit_path(features, targets, 4, strengths=[0.1], iterations=1000, weights=weights)
    scaled = StandardScaler().fit_transform(features)
    expected = LogisticRegression(C=0.1, max_iter=5000, tol=1e-8).fit(scaled, targets, sample_weight=weights)
    logits = head.logits(features).astype(float)
    found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected.predict_proba(scaled), atol=0.01)


def test_several_labels_per_image_are_refused():
    with pytest.raises(UsageError, match="needs one label per image"):
        Balance.of("focal", np.ones((5, 3)), 3)


def test_what_cannot_be_balanced_so_is_an_error_that_lists_what_can():
    steps = [Step(name, RUNGS[name]) for name in ("majority", "hog", "scratch")]
    with pytest.raises(UsageError, match="with the rungs frozen, finetune, scratch; hog can be balanced by"):
        steps_balanced(steps, "focal", auto=False)
    with pytest.raises(UsageError, match="a baseline"):
        steps_balanced(steps[:1], "smote", auto=True)
    with pytest.raises(UsageError, match="Did you mean 'focal'"):
        steps_balanced(steps, "vocal", auto=True)
    kept, (note,) = steps_balanced(steps, "smote", auto=True)
    assert [step.name for step in kept] == ["majority", "hog"]
    assert "scratch is left out" in note
    assert steps_balanced(steps, None, auto=False) == (steps, [])


@pytest.mark.parametrize("rung", [name for name, rung in RUNGS.items() if not rung.baseline])
def test_rungs_name_only_what_balancers_act_on(rung):
    assert RUNGS[rung].balances
    assert set(RUNGS[rung].balances) <= set(ACTS)


def rare_bars(make_bars, count, rare, seed):
    """Bars of which the upright ones, class 1, are rare."""
    bars = make_bars(count, seed=seed)
    rows = np.concatenate([np.flatnonzero(bars.targets == 0), np.flatnonzero(bars.targets == 1)[:rare]])
    return Examples(bars.images[np.sort(rows)], bars.targets[np.sort(rows)])


@pytest.mark.parametrize("name", names_that(*RUNGS["hog"].balances))
def test_hog_takes_every_balancer_that_it_says(name, job, make_bars):
    options = Options(balance=name)
    own = with_pictures(replace(job, train=rare_bars(make_bars, 120, 4, 0), options=options))
    fitted = RUNGS["hog"].fit(own)
    assert fitted.notes[1].startswith(f"Balanced by {name}, which {ACTS[BALANCERS[name].acts_on]}.")
    assert np.isfinite(fitted.model.classifier.weight.detach().numpy()).all()


def test_made_pictures_follow_the_real_ones(job, make_bars):
    own = replace(job, train=rare_bars(make_bars, 120, 4, 0), options=Options(balance="synthetic"))
    more = with_pictures(own)
    assert np.array_equal(more.train.images[: len(own.train)], own.train.images)
    assert len(set(np.bincount(more.train.targets))) == 1
    plain = replace(own, options=Options())
    assert with_pictures(plain) is plain


def learn(train, val, balance=None, augmentations=(), **options):
    torch.manual_seed(0)
    model = Compact(2, 16, (8, 8, 8))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    job = Job(train, val, 2, TASKS["binary"], Options(balance=balance), **options)
    trained = train_network(job, model, optimizer, Schedule(3, 16, 0.1), Plan("cpu"), augmentations=augmentations)
    return model, trained.history


@pytest.mark.parametrize("name", names_that("draws", "weights", "loss"))
def test_a_balanced_training_resumes_where_an_unbroken_one_ends(name, make_bars, tmp_path):
    train, val = rare_bars(make_bars, 100, 10, 0), make_bars(40, seed=1)
    options = {"balance": name, "augmentations": ("cutmix", "rotation:10")}
    whole, history = learn(train, val, **options)

    class StoppedError(Exception):
        pass

    def stop(row):
        if row["epoch"] == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        learn(train, val, on_epoch=stop, checkpoints=tmp_path, **options)
    resumed, again = learn(train, val, checkpoints=tmp_path, **options)
    for (tensor, expected), found in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(expected, found), tensor
    assert [row["val_loss"] for row in again] == [row["val_loss"] for row in history]


def test_oversampling_finds_more_of_the_rare_class(make_bars):
    train, val = rare_bars(make_bars, 300, 6, 0), make_bars(100, seed=1)
    recall = {}
    for name in (None, "oversample"):
        model, _ = learn(train, val, balance=name)
        pixels = torch.from_numpy(val.images).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            answers = model.eval()(pixels).argmax(dim=1).numpy()
        recall[name] = float((answers[val.targets == 1] == 1).mean())
    assert recall["oversample"] > recall[None]


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999])
def test_class_balanced_weights_are_those_of_the_paper(beta):
    counts = np.array([500, 40, 1])
    targets = np.repeat(np.arange(3), counts)
    balance = Balance.of(f"class_balanced:{beta}", targets, 3)
    weights = balance.for_head(np.zeros((len(targets), 1), dtype=np.float32), targets, 0)[2]
    each = weights[np.cumsum(counts) - 1].astype(np.float64)
    effective = [sum(beta**k for k in range(n)) for n in counts.tolist()]
    assert each * effective == pytest.approx([each[0] * effective[0]] * 3, rel=1e-5), "in proportion to the inverses"
    assert weights.mean() == pytest.approx(1, rel=1e-5)
