"""Every method of uncertainty: trained on little, loaded as it was saved, resumed, refused where it has no use."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.func import functional_call

import linnaea
from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.data.images.pixels import Recipe
from linnaea.errors import LinnaeaError, UsageError
from linnaea.learning import keeping
from linnaea.learning.checkpoints import save_checkpoint
from linnaea.learning.hooks import State
from linnaea.learning.rungs import RUNGS, TrainingRecipe, steps_for
from linnaea.learning.uncertainty import UNCERTAINTIES, steps_with_members
from linnaea.learning.uncertainty.collecting import Collected
from linnaea.learning.uncertainty.deep_ensemble import fit_deep_ensemble
from linnaea.learning.uncertainty.posterior import Kronecker, Whole, curvature_of, draws
from linnaea.learning.uncertainty.swag import Swag
from linnaea.models.ensembles import Mixture

MEMBERS = 3


class StoppedError(Exception):
    pass


@pytest.fixture
def job(job, make_bars):
    """Two epochs of few images."""
    options = replace(job.options, epochs=2, batch_size=16, memory_format="contiguous")
    return replace(job, train=make_bars(64), val=make_bars(24, seed=1), options=options)


@pytest.fixture(params=list(UNCERTAINTIES))
def method(request):
    return request.param


def fit(method, job, folder=None):
    network = "textbook_cnn"  # which has dropout, and a linear head
    own = replace(job, network=network, checkpoints=folder)
    return UNCERTAINTIES[method].fit(RUNGS["scratch"].fit, own, MEMBERS)


def weights_of(fitted):
    return {name: value.clone() for name, value in fitted.model.state_dict().items()}


@pytest.fixture(scope="module")
def fits():
    """What each method made, once."""
    return {}


@pytest.fixture
def fitted(method, fits, job):
    if method not in fits:
        fits[method] = fit(method, job)
    return fits[method]


def test_it_answers_by_members_whose_parts_add_up(fitted, job):
    assert isinstance(fitted.model, Mixture)
    assert isinstance(UNCERTAINTIES.about("swag").capabilities["amount"], tuple)
    classifier = Classifier(scorer_of(fitted.model), ("lying", "upright"), "binary", Recipe(16, "pad"))
    answers = classifier.score(job.val.images)
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1, atol=1e-5)
    total, aleatoric, epistemic = answers.uncertainty.T
    np.testing.assert_allclose(total, aleatoric + epistemic, atol=1e-6)
    entropy = -(answers.probabilities * np.log(answers.probabilities)).sum(axis=1)
    np.testing.assert_allclose(total, entropy, atol=1e-5)
    assert (epistemic >= 0).all()
    assert (epistemic > 1e-7).any(), "its members differ"
    assert fitted.model.members(torch.from_numpy(classifier_features(classifier, job))).shape[1] == MEMBERS


def classifier_features(classifier, job):
    from linnaea.models.embedding import embed

    return embed(classifier.model, job.val.images)


def test_it_is_loaded_as_it_was_saved(fitted, job, tmp_path):
    classifier = Classifier(scorer_of(fitted.model), ("lying", "upright"), "binary", Recipe(16, "pad"))
    classifier.save(tmp_path)
    before, after = classifier.score(job.val.images), load(tmp_path).score(job.val.images)
    for name in ("raw", "probabilities", "uncertainty"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


@pytest.mark.slow
def test_a_training_that_was_broken_off_ends_the_same(method, job, tmp_path, monkeypatch):
    job = replace(job, options=replace(job.options, checkpoint_every=0.0))
    whole = fit(method, job)
    monkeypatch.setattr(keeping, "SHARE", np.inf)  # a checkpoint after every step
    left = [7]

    def save(*arguments, **options):
        made = save_checkpoint(*arguments, **options)
        left[0] -= 1
        if not left[0]:
            raise StoppedError
        return made

    monkeypatch.setattr(keeping, "save_checkpoint", save)
    with pytest.raises(StoppedError):
        fit(method, job, tmp_path)
    again = weights_of(fit(method, job, tmp_path))
    assert [name for name, value in weights_of(whole).items() if not torch.equal(value, again[name])] == []


def test_copies_are_taken_once_at_each_point_and_where_a_training_ended():
    model = torch.nn.Linear(1, 1)
    state, collected = State(model, model, torch.optim.SGD(model.parameters(), lr=0.1)), Collected((0.5, 1.0))
    for progress in (0.3, 0.5, 0.6, 0.9):
        state.progress = progress
        with torch.no_grad():
            model.weight.fill_(progress)
        collected.after_step(state)
    collected.end(state)
    assert [own["weight"].item() for own in collected.weights] == pytest.approx([0.5, 0.9])
    other = Collected((0.5, 1.0))
    other.restore(collected.tensors())
    assert other.passed == 2
    assert [own["weight"].item() for own in other.weights] == pytest.approx([0.5, 0.9])


def test_swag_draws_what_its_copies_vary_by():
    """Half of the variance of each weight alone, half of the covariance that copies tell of (Maddox et al. 2019)."""
    generator = torch.Generator().manual_seed(0)
    way = torch.randn(6, 5, generator=generator, dtype=torch.float64) @ torch.randn(5, 5, generator=generator).double()
    swag = Swag.of([{"weight": row, "count": torch.tensor(3)} for row in way])
    drawn = [swag.draw(generator) for _ in range(4_000)]
    found = torch.cov(torch.stack([own["weight"] for own in drawn]).T)
    away = way - way.mean(dim=0)
    expected = torch.diag(away.square().mean(dim=0)) / 2 + away.T @ away / (2 * 5)
    torch.testing.assert_close(found, expected, atol=0.1 * float(expected.max()), rtol=0)
    assert drawn[0]["count"] == 3
    with pytest.raises(LinnaeaError, match="before two copies"):
        Swag.of([{"weight": way[0]}])


def head_of(features, classes, seed=0):
    torch.manual_seed(seed)
    return torch.nn.Linear(features.shape[1], classes).double()


def test_the_curvature_is_the_hessian_of_the_loss():
    generator = torch.Generator().manual_seed(0)
    features, targets = torch.randn(12, 3, generator=generator).double(), torch.randint(0, 4, (12,))
    head = head_of(features, 4)
    start = torch.cat([head.weight, head.bias[:, None]], dim=1).detach()

    def loss(flat):
        weights = flat.view(4, 4)
        return torch.nn.functional.cross_entropy(
            features @ weights[:, :-1].T + weights[:, -1], targets, reduction="sum"
        )

    hessian = torch.autograd.functional.hessian(loss, start.flatten())
    found = curvature_of(features.float(), head(features).detach().float(), several=False)
    assert isinstance(found, Whole)
    torch.testing.assert_close(
        found.vectors @ torch.diag(found.values) @ found.vectors.T, hessian, atol=1e-5, rtol=1e-4
    )
    noise = torch.eye(16, dtype=torch.float64).view(16, 4, 4)
    root = found.drawn(noise, 0.7).flatten(1)
    expected = torch.linalg.inv(hessian + 0.7 * torch.eye(16))
    torch.testing.assert_close(root.T @ root, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("count", [5, 40])
@pytest.mark.parametrize("several", [False, True])
def test_a_kronecker_product_is_exact_where_all_hessians_are_equal(count, several):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(count, 7, generator=generator).double()
    scores = torch.randn(1, 3, generator=generator).expand(count, 3).double()
    shares = scores.sigmoid() if several else scores.softmax(dim=1)
    own = shares[0].diag() * (1 - shares[0]) if several else shares[0].diag() - shares[0].outer(shares[0])
    inputs = torch.cat([features, torch.ones(count, 1)], dim=1)
    hessian = torch.kron(own, inputs.T @ inputs)
    found = Kronecker.of(inputs, own)
    root = found.drawn(torch.eye(24, dtype=torch.float64).view(24, 3, 8), 0.3).flatten(1)
    expected = torch.linalg.inv(hessian + 0.3 * torch.eye(24))
    torch.testing.assert_close(root.T @ root, expected, atol=1e-8, rtol=1e-6)
    large = curvature_of(features.repeat(1, 60).float(), scores.float(), several=several)
    assert isinstance(large, Kronecker)
    torch.testing.assert_close(large.of_scores, torch.linalg.eigvalsh(own).clamp(min=0), atol=1e-6, rtol=1e-5)


def test_the_precision_is_where_the_evidence_is_highest():
    """Of a linear-Gaussian model with unit noise, whose evidence is known in closed form (Bishop 2006, 3.86)."""
    generator = np.random.default_rng(0)
    inputs, truth = generator.normal(size=(200, 6)), generator.normal(size=6) / np.sqrt(5.0)
    answers = inputs @ truth + generator.normal(size=200)
    curvature = Whole(*torch.linalg.eigh(torch.from_numpy(inputs.T @ inputs)))

    def mode(precision):
        return np.linalg.solve(inputs.T @ inputs + precision * np.eye(6), inputs.T @ answers)

    precision = 1.0
    for _ in range(50):  # MacKay's own fixed point, at which precision and mode agree
        precision = curvature.best_precision(torch.from_numpy(mode(precision)))
    covariance = inputs @ inputs.T
    grid = np.exp(np.linspace(-3, 6, 400))
    evidence = []
    for one in grid:
        whole = covariance / one + np.eye(200)
        evidence.append(-np.linalg.slogdet(whole)[1] - answers @ np.linalg.solve(whole, answers))
    assert np.log(precision) == pytest.approx(np.log(grid[np.argmax(evidence)]), abs=0.1)


def laplace(features, targets, at, seed=0, classes=2):
    """Total, aleatoric and epistemic means at some places, of a logistic regression with its posterior."""
    from sklearn.linear_model import LogisticRegression

    from linnaea.models.ensembles.mixture import mixed, parts

    fitted = LogisticRegression(C=1.0).fit(features, targets)
    signed = (
        np.vstack([-fitted.coef_ / 2, fitted.coef_ / 2]),
        np.concatenate([-fitted.intercept_, fitted.intercept_]) / 2,
    )
    weights = torch.from_numpy(np.column_stack(signed))
    scores = torch.from_numpy(features @ signed[0].T + signed[1])
    curvature = curvature_of(torch.from_numpy(features).float(), scores.float(), several=False)
    heads = draws(curvature, weights, 1.0, 4000, torch.Generator().manual_seed(seed)).double()
    places = torch.from_numpy(np.column_stack([at, np.ones(len(at))]))
    said = torch.einsum("nl,skl->nsk", places, heads)
    return parts(said, several=False).numpy(), mixed(said, several=False).softmax(dim=1).numpy(), fitted


def planted(count, seed=0):
    random = np.random.default_rng(seed)
    targets = random.integers(0, 2, count)
    return random.normal(size=(count, 2)) + 1.5 * targets[:, None], targets


def test_two_classes_agree_with_the_closed_form_of_mackay():
    features, targets = planted(60)
    at = np.array([[0.0, 0.0], [1.5, 1.5], [5.0, -4.0], [-6.0, 6.0], [3.0, 3.0]])
    _, shares, fitted = laplace(features, targets, at)
    inputs = np.column_stack([features, np.ones(60)])
    chance = fitted.predict_proba(features)[:, 1]
    # of two opposite scores, the difference has twice the prior's variance: weights w and -w, each with precision 1
    hessian = inputs.T @ ((chance * (1 - chance))[:, None] * inputs) + np.eye(3) / 2
    places = np.column_stack([at, np.ones(len(at))])
    variance = np.einsum("nl,lm,nm->n", places, np.linalg.inv(hessian), places)
    middle = places @ np.append(fitted.coef_, fitted.intercept_)
    expected = 1 / (1 + np.exp(-middle / np.sqrt(1 + np.pi * variance / 8)))
    np.testing.assert_allclose(shares[:, 1], expected, atol=0.03)


def test_far_from_the_images_there_is_more_to_learn_and_with_more_images_less():
    away = np.array([[1.0, -1.0], [5.0, -5.0], [15.0, -15.0]])  # along the border between the classes
    near, _, _ = laplace(*planted(200), away + 0.75)
    more, _, _ = laplace(*planted(10_000), away + 0.75)
    assert near[0, 2] < near[1, 2] < near[2, 2]
    assert (more[:, 2] < near[:, 2]).all()
    assert more[0, 2] < near[0, 2] / 10
    assert more[0, 1] == pytest.approx(near[0, 1], abs=0.06), "what overlaps goes on to overlap"


@pytest.mark.parametrize(
    ("model", "given", "recipe", "told"),
    [
        ("scratch", 1, {}, "expected the number of members, a number from 2 to 50, such as deep_ensemble:5"),
        ("scratch", "deep_ensemble:2.5", {}, "whole number"),
        ("scratch", "sawg", {}, "Did you mean 'swag'"),
        ("hog", "swag", {}, "for networks that are trained, and hog is none"),
        ("lenet5", "mc_dropout", {}, r"lenet5 drops nothing while it trains.*--dropout 0\.2"),
        ("resnet18", "mc_dropout", {}, r"resnet18 drops nothing while it trains"),
        ("lenet5", "snapshot", {"schedule": "cosine"}, "decides itself about --schedule"),
        ("lenet5", "swag", {"optimizer": "schedule_free"}, "has a schedule of its own"),
        ("majority", 3, {}, "majority is a baseline"),
    ],
)
def test_what_has_no_members_is_refused_before_any_work(model, given, recipe, told):
    with pytest.raises(UsageError, match=told):
        steps_with_members(steps_for(model, "none")[0], given, TrainingRecipe(**recipe), auto=False)


def test_of_the_whole_ladder_only_what_has_members_is_left():
    steps, notes = steps_with_members(steps_for("auto", "none")[0], 3, TrainingRecipe(), auto=True)
    assert [step.name for step in steps] == ["majority", "scratch"]
    assert "hog is left out of the ladder" in notes[0]
    steps, notes = steps_with_members(steps_for("auto", "none")[0], "laplace", TrainingRecipe(), auto=True)
    assert "hog" in [step.name for step in steps]


def test_networks_with_dropout_pass(job):
    for model, recipe in (("resnet18", {"dropout": 0.2}), ("textbook_cnn", {}), ("alexnet", {})):
        steps_with_members(steps_for(model, "none")[0], "mc_dropout", TrainingRecipe(**recipe), auto=False)


def test_members_that_another_seed_does_not_change_are_refused(job):
    with pytest.raises(UsageError, match="another seed changes nothing here"):
        fit_deep_ensemble(RUNGS["hog"].fit, job, 3)


@pytest.mark.slow
def test_a_laplace_of_a_head_that_is_not_linear_is_refused(job):
    twice = replace(job, network="textbook_cnn")
    with pytest.raises(UsageError, match="the head of ensemble is not a linear layer"):
        UNCERTAINTIES["laplace"].fit(lambda own: fit("deep_ensemble", own), twice, 4)


@pytest.mark.parametrize("given", [1, "deep_ensemble:1", "bagging", 2.5])
def test_python_refuses_it_at_once(given, tmp_path):
    with pytest.raises(UsageError, match=r"uncertainty|expected the number of members"):
        linnaea.train(tmp_path, uncertainty=given)


def test_the_model_is_still_one_that_functions_can_call(fitted):
    pixels = torch.rand(2, 3, 16, 16)
    values = functional_call(fitted.model, dict(fitted.model.state_dict()), (pixels,))
    torch.testing.assert_close(values, fitted.model(pixels))
