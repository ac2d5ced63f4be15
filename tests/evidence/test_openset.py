"""One contract for every familiarity score, and each beside its formula or another implementation."""

import json
import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.special import expit, logsumexp, softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from linnaea.errors import UsageError
from linnaea.evidence.openset import DEFAULT, fit_familiarity, require_score
from linnaea.models import MODELS, build
from linnaea.models.familiarity import FAMILIARITIES, Known, suits
from linnaea.models.familiarity.by_features import NEIGHBOURS, SHRINKAGE_OF_DISCRIMINANT
from linnaea.models.familiarity.known import RANK, linear_head, principal
from linnaea.models.model import Model
from linnaea.models.part import build_part

CLASSES = 4
OF_SEVERAL = [name for name in FAMILIARITIES if suits(name, several=True)]


class Head(Model):
    """A model that is nothing but its head."""

    kind = "head"

    def __init__(self, weight, bias):
        super().__init__()
        self.layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        self.layer.weight.data = torch.from_numpy(weight).float()
        self.layer.bias.data = torch.from_numpy(bias).float()

    def features(self, pixels):
        return pixels.flatten(1)

    def head(self, features):
        return self.layer(features)


def pictures(count, length, seed):
    """Features around a mean per class, in a space with few directions of variation, all above 0 as a network's are."""
    generator, shared = np.random.default_rng(seed), np.random.default_rng(42)
    means, mixing = shared.normal(size=(CLASSES, length)), shared.normal(size=(3, length))
    targets = generator.integers(0, CLASSES, count)
    noise = generator.normal(size=(count, 3)) @ mixing + 0.2 * generator.normal(size=(count, length))
    return (3 + means[targets] + 0.3 * noise).astype(np.float32), targets


def strangers(count, length):
    """Features of nothing: the mean of all classes, and what no class varies in."""
    generator = np.random.default_rng(7)
    means = np.random.default_rng(42).normal(size=(CLASSES, length)).mean(axis=0)
    return (3 + means + generator.normal(size=(count, length))).astype(np.float32)


def several_of(targets):
    """Two labels per image: the class, and whether its number is even; a few nobody knows."""
    matrix = np.eye(CLASSES, dtype=np.float32)[targets]
    matrix[:, 0] = targets % 2
    matrix[::7, 1] = np.nan
    return matrix


def a_model(length):
    """A head that tells the classes apart: least squares on what the classes are made of."""
    features, targets = pictures(400, length, 3)
    inputs = np.c_[features, np.ones(len(features))]
    solved = np.linalg.solve(inputs.T @ inputs + np.eye(length + 1), inputs.T @ (10 * np.eye(CLASSES)[targets] - 2.5))
    return Head(np.ascontiguousarray(solved[:-1].T), solved[-1])


def fitted(name, length=40, *, several=False, count=200):
    features, targets = pictures(count, length, 0)
    fresh, _ = pictures(100, length, 1)
    targets = several_of(targets) if several else targets
    return fit_familiarity(a_model(length), features, targets, fresh=fresh, name=name)


@torch.no_grad()
def scores_of(score, features, length=40):
    tensor = torch.from_numpy(features)
    return score(tensor, a_model(length).head(tensor)).numpy()


ALONE = [name for name in FAMILIARITIES if suits(name, several=False)]
CASES = [(name, False) for name in ALONE] + [(name, True) for name in OF_SEVERAL]


def test_every_score_knows_its_name():
    assert DEFAULT in FAMILIARITIES
    assert all(FAMILIARITIES[name].kind == name for name in FAMILIARITIES)


@pytest.mark.parametrize(("name", "several"), CASES)
def test_strangers_score_higher(name, several):
    score = fitted(name, several=several)
    known, strange = scores_of(score, pictures(300, 40, 2)[0]), scores_of(score, strangers(300, 40))
    assert known.shape == (300,)
    assert known.dtype == np.float32
    assert np.isfinite(known).all()
    assert np.isfinite(strange).all()
    assert roc_auc_score(np.repeat([0, 1], 300), np.r_[known, strange]) > (0.75 if several else 0.9)


@pytest.mark.parametrize(("name", "several"), CASES)
def test_a_score_is_built_anew_from_json_and_tensors(name, several):
    score = fitted(name, several=several)
    other = build_part(FAMILIARITIES, json.loads(json.dumps(score.describe())))
    other.load_state_dict(score.state_dict())
    features = np.r_[pictures(20, 40, 2)[0], strangers(20, 40)]
    np.testing.assert_array_equal(scores_of(other, features), scores_of(score, features))


class Together(torch.nn.Module):
    """Several scores of the same features, so that one export does for all."""

    def __init__(self, scores):
        super().__init__()
        self.scores = torch.nn.ModuleList(scores)

    def forward(self, features, logits):
        return [score(features, logits) for score in self.scores]


@pytest.mark.parametrize("several", [False, True])
def test_scores_export(several, tmp_path):
    names, model = [name for name, alike in CASES if alike == several], a_model(40)
    together = Together([fitted(name, several=several) for name in names]).eval()
    features = torch.from_numpy(np.r_[pictures(20, 40, 2)[0], strangers(20, 40)])
    with torch.no_grad():
        logits = model.head(features)
        expected = together(features, logits)
    pictures_there = {0: torch.export.Dim("pictures", min=1)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own
        program = torch.onnx.export(
            together,
            (features[:3], logits[:3]),
            dynamo=True,
            input_names=["features", "logits"],
            output_names=names,
            dynamic_shapes=(pictures_there, pictures_there),
            verbose=False,
        )
    program.save(tmp_path / "scores.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "scores.onnx"), providers=["CPUExecutionProvider"])
    found = session.run(names, {"features": features.numpy(), "logits": logits.numpy()})
    for name, ours, theirs in zip(names, expected, found, strict=True):
        np.testing.assert_allclose(theirs, ours.numpy(), rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(("name", "several"), CASES)
@pytest.mark.parametrize(("count", "length"), [(3, 5), (8, 300), (500, 2)])
def test_few_pictures_and_odd_lengths_do_no_harm(name, several, count, length):
    score = fitted(name, length, several=several, count=count)
    assert np.isfinite(scores_of(score, strangers(10, length), length)).all()


@pytest.mark.parametrize(("name", "several"), CASES)
def test_constant_features_do_no_harm(name, several):
    targets = np.arange(10) % 2
    score = fit_familiarity(
        a_model(6), np.ones((10, 6), dtype=np.float32), several_of(targets) if several else targets, name=name
    )
    assert np.isfinite(scores_of(score, np.ones((3, 6), dtype=np.float32), 6)).all()
    assert np.isfinite(scores_of(score, np.zeros((3, 6), dtype=np.float32), 6)).all()


@pytest.mark.parametrize("name", ALONE)
def test_a_class_without_pictures_does_no_harm(name):
    features, targets = pictures(100, 20, 0)
    kept = targets != 1
    score = fit_familiarity(a_model(20), features[kept], targets[kept], name=name)
    assert np.isfinite(scores_of(score, features, 20)).all()


@pytest.mark.parametrize("kind", ["hog", "compact", "network"])
def test_the_head_of_every_kind_of_model_is_linear(kind):
    arguments = {"classes": 3, "size": 32} | ({"name": "mobilenetv3_small_050"} if kind == "network" else {})
    model = build(kind, arguments).eval()
    with torch.no_grad():
        features = model.features(torch.rand(4, 3, 32, 32))
        weight, bias = linear_head(model, features.shape[1])
        expected = model.head(features).numpy()
    np.testing.assert_allclose(features.numpy() @ weight.T + bias, expected, rtol=1e-3, atol=1e-4)
    assert kind in MODELS


def test_what_makes_no_sense_is_refused_in_words():
    with pytest.raises(UsageError, match="Did you mean 'energy'"):
        require_score("energi")
    with pytest.raises(UsageError, match="several labels: take auto or one of blend, energy"):
        require_score("max_softmax", several=True)
    features, targets = pictures(20, 8, 0)
    with pytest.raises(UsageError, match="several labels"):
        fit_familiarity(a_model(8), features, several_of(targets), name="vim")
    require_score("auto", several=True)


def test_none_and_a_single_dimension_have_no_score():
    features, targets = pictures(20, 8, 0)
    assert fit_familiarity(a_model(8), features, targets, name="none") is None
    assert fit_familiarity(build("majority", {"classes": 2}), features[:, :1], targets % 2) is None


def test_auto_is_the_default():
    features, targets = pictures(20, 8, 0)
    assert fit_familiarity(a_model(8), features, targets).kind == DEFAULT


@pytest.mark.parametrize("shape", [(30, 7), (7, 30), (20, 20)])
def test_principal_directions_are_those_of_the_singular_values(shape):
    rows = np.random.default_rng(0).normal(size=shape) * np.linspace(1, 3, shape[1])
    squares, directions = principal(rows)
    _, singular, expected = np.linalg.svd(rows, full_matrices=False)
    np.testing.assert_allclose(squares, singular**2, rtol=1e-8)
    np.testing.assert_allclose(np.abs(np.sum(directions * expected, axis=1)), 1, rtol=1e-8)


def the_known(length=40):
    features, targets = pictures(200, length, 0)
    return Known.of(a_model(length), features, targets), targets


def test_logit_scores_are_their_formulas():
    features = np.r_[pictures(20, 40, 2)[0], strangers(20, 40)]
    with torch.no_grad():
        logits = a_model(40).head(torch.from_numpy(features)).numpy().astype(np.float64)
    expected = {
        "max_softmax": 1 - softmax(logits, axis=1).max(axis=1),
        "tempered_softmax": 1 - softmax(logits / 1000, axis=1).max(axis=1),
        "max_logit": -logits.max(axis=1),
        "energy": -logsumexp(logits, axis=1),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(scores_of(fitted(name), features), values, rtol=1e-4, atol=1e-6)
    joint = np.log1p(np.exp(logits)).sum(axis=1)
    np.testing.assert_allclose(scores_of(fitted("energy", several=True), features), -joint, rtol=1e-4)


def test_a_little_doubt_is_not_rounded_to_none():
    score = fitted("max_softmax")
    logits = torch.tensor([[40.0, 0, 0, 0], [41.0, 0, 0, 0]])
    first, second = score(torch.zeros(2, 40), logits).tolist()
    assert first > second > 0
    assert first == pytest.approx(float(3 * expit(-40)), rel=1e-3)


def test_react_is_the_energy_of_features_that_are_cut_off():
    known, _ = the_known()
    limit = np.quantile(known.features, 0.9)
    features = strangers(20, 40) * 1.5
    logits = np.minimum(features, limit) @ known.weight.T + known.bias
    np.testing.assert_allclose(scores_of(fitted("react"), features), -logsumexp(logits, axis=1), rtol=1e-3, atol=1e-3)


def test_the_discriminant_is_that_of_scikit_learn_against_the_mean_of_classes():
    known, targets = the_known()
    features = np.r_[pictures(20, 40, 2)[0], strangers(20, 40)]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    lda = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=SHRINKAGE_OF_DISCRIMINANT, priors=np.bincount(targets) / len(targets)
    ).fit(known.unit, targets)
    mean, freedom = known.means.mean(axis=0), (len(targets) - CLASSES) / len(targets)
    from_all = np.linalg.solve(lda.covariance_, mean)
    classes = lda.decision_function(unit) - np.log(lda.priors_) - (unit @ from_all - mean @ from_all / 2)[:, None]
    np.testing.assert_allclose(
        scores_of(fitted("discriminant"), features), -classes.max(axis=1) * freedom, rtol=2e-3, atol=2e-2
    )


def test_knn_is_the_distance_to_the_fifth_neighbour():
    known, _ = the_known()
    features = np.r_[pictures(20, 40, 2)[0], strangers(20, 40)]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    distances = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(known.unit).kneighbors(unit)[0][:, -1]
    np.testing.assert_allclose(scores_of(fitted("knn"), features), distances**2 / 2, atol=1e-6)


def test_knn_keeps_a_bounded_number_of_pictures(monkeypatch):
    monkeypatch.setattr("linnaea.models.familiarity.by_features.MOST_EXAMPLES", 50)
    assert fitted("knn").examples.shape == (50, 40)


def test_vim_is_its_formula():
    known, _ = the_known()
    features = strangers(20, 40)
    origin = -np.linalg.pinv(known.weight.astype(np.float64)) @ known.bias
    values, vectors = np.linalg.eigh((known.features - origin).T @ (known.features - origin))
    rank = min(RANK, (200 - 1) // 2, 40 // 2)
    rest = vectors[:, np.argsort(-values)[rank:]]
    outside = np.linalg.norm((known.features - origin) @ rest, axis=1)
    scale = known.logits.max(axis=1).mean() / outside.mean()
    logits = features @ known.weight.T + known.bias
    expected = scale * np.linalg.norm((features - origin) @ rest, axis=1) - logsumexp(logits, axis=1)
    np.testing.assert_allclose(scores_of(fitted("vim"), features), expected, rtol=1e-3, atol=1e-3)


# What MaxSoftmax, MaxLogit, EnergyBased, KNN(k=5) and ViM(d=3) of pytorch-ood 0.4.0 give for the arrays below.
PYTORCH_OOD = {
    "max_softmax": [-0.8704326749, -0.8484881520, -0.8488331437, -0.5089983344],
    "tempered_softmax": [-0.3339206874, -0.3338883519, -0.3338958323, -0.3338647187],
    "max_logit": [-2.0147104263, -3.6303510666, 0.2372846603, -2.1012334824],
    "energy": [-2.1534752846, -3.7946500778, 0.0733920187, -2.7765440941],
    "knn": [0.7302177057, 0.6769081258, 0.4918763231, 0.4831336099],
    "vim": [-0.8834664822, -0.7914469242, 2.8468105793, -0.5356903076],
}


def wave(shape, start):
    """Numbers in -1 to 1 that are the same everywhere."""
    return np.sin(0.37 * np.arange(start, start + np.prod(shape)) ** 2).reshape(shape)


@pytest.mark.parametrize("name", PYTORCH_OOD)
def test_scores_are_those_of_pytorch_ood(name):
    features, asked = 1.5 + wave((12, 6), 1), 1.5 + 1.2 * wave((4, 6), 101)
    model = Head(wave((3, 6), 201), np.array([3.2, 2.9, 3.4]))
    score = fit_familiarity(model, features, np.arange(12) % 3, name=name)
    tensor = torch.from_numpy(asked).float()
    with torch.no_grad():
        found = score(tensor, model.head(tensor)).numpy().astype(np.float64)
    found = np.sqrt(2 * found) if name == "knn" else found - (1 if "softmax" in name else 0)
    np.testing.assert_allclose(found, PYTORCH_OOD[name], rtol=1e-4, atol=1e-6)


def test_relative_energy_gives_nothing_for_being_near_the_mean():
    known, _ = the_known()
    score, mean = fitted("relative_energy"), known.features.mean(axis=0)
    near = mean + 1e-3 * (known.features[:5] - mean)
    assert (scores_of(score, near.astype(np.float32)) > np.median(scores_of(score, known.features))).all()


def test_the_blend_is_near_zero_for_known_pictures():
    assert abs(scores_of(fitted("blend"), pictures(300, 40, 2)[0]).mean()) < 1


def test_mahalanobis_grows_with_distance():
    random = np.random.default_rng(0)
    targets = np.arange(300) % 3
    features = (np.eye(3, 30)[targets] * 4 + random.normal(size=(300, 30)) * 0.3).astype(np.float32)
    score = fit_familiarity(a_model(30), features, targets, name="mahalanobis")
    known, strange, none = torch.from_numpy(features), torch.zeros(1, 30), torch.zeros(300, 3)
    strange[0, 20] = 4.0
    along = [score((1 - share) * known[:50] + share * strange, none).mean().item() for share in (0, 0.25, 0.5, 0.75, 1)]
    assert along == sorted(along)
    assert along[0] == pytest.approx(1, abs=0.2), "about 1 for pictures like those of training"
    assert score(strange, none).item() > score(known, none).max().item()
    torch.testing.assert_close(score(known * 7, none), score(known, none), rtol=1e-4, atol=1e-4)  # only the direction


def test_several_labels_make_no_classes():
    assert fitted("mahalanobis", several=True).means.shape == (1, 40)
    assert [part.kind for part in fitted("blend", several=True).parts] == ["relative_energy", "mahalanobis"]


@pytest.mark.parametrize("noise", [1.0, 0.1, 0.01, 1e-4])
@pytest.mark.parametrize("name", ["blend", "discriminant", "relative_energy"])
def test_rounding_of_features_does_not_show_however_close_a_class_lies_together(name, noise):
    """Networks that tell classes apart with ease give all images of a class nearly the same features."""
    random = np.random.default_rng(0)
    means, targets = np.abs(random.normal(size=(2, 84))) * 3, np.arange(120) % 2
    features, fresh = ((means[targets] + noise * random.normal(size=(120, 84))).astype(np.float32) for _ in range(2))
    weight = random.normal(size=(2, 84)).astype(np.float32)
    known = Known(features, features @ weight.T, targets, weight, np.zeros(2), (fresh, fresh @ weight.T))
    score = FAMILIARITIES[name].fit(known)
    rounded = (fresh * (1 + 3e-7 * random.normal(size=fresh.shape))).astype(np.float32)
    ours, theirs = (score(*(torch.from_numpy(part) for part in (some, some @ weight.T))) for some in (fresh, rounded))
    assert float((ours - theirs).abs().max()) < 1e-3 * max(1.0, float(ours.abs().max()))
