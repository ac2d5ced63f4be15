"""Scores of unfamiliarity that are made of what members say."""

import numpy as np
import pytest
import torch

from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.data.images.pixels import Recipe
from linnaea.errors import BundleError, UsageError
from linnaea.evidence.calibration import calibrate
from linnaea.evidence.openset import fit_familiarity, require_score
from linnaea.learning.examples import Examples
from linnaea.learning.job import Fitted, Job, Options
from linnaea.learning.uncertainty import UNCERTAINTIES
from linnaea.models import build
from linnaea.models.familiarity import FAMILIARITIES
from linnaea.task import TASKS


def test_what_members_disagree_about_is_a_score_that_is_saved_and_grows_far_away(tmp_path):
    """Heads of a Laplace posterior agree about planted features like those of training, and not about far ones."""
    random = np.random.default_rng(0)
    targets = np.arange(120) % 2
    near, fresh = (random.normal(size=(120, 84)) + 0.5 * np.sign(targets - 0.5)[:, None] for _ in range(2))
    near, fresh, far = (part.astype(np.float32) for part in (near, fresh, 10 * random.normal(size=(120, 84))))
    body = build("lenet5", {"classes": 2, "size": 32})
    with torch.no_grad():
        body = body.with_head(*(torch.from_numpy(part) for part in _fitted_head(near, targets)))
    black = Examples(np.zeros((120, 32, 32, 3), np.uint8), targets)
    job = Job(black, black, 2, TASKS["binary"], Options())
    model = UNCERTAINTIES["laplace"].fit(lambda own: Fitted(body, features=near), job, 30).model
    plain = Classifier(scorer_of(model), ("ant", "bee"), "binary", Recipe(32, "pad"))
    for name in ("epistemic", "total_uncertainty"):
        classifier = plain.with_(familiarity=fit_familiarity(model, near, targets, fresh=fresh, name=name))
        classifier = calibrate(classifier, classifier.score_features(fresh), targets)
        known, strange = (classifier.score_features(part) for part in (fresh, far))
        place = ("total_uncertainty", None, "epistemic").index(name)
        np.testing.assert_array_equal(known.ood_scores, known.uncertainty[:, place])
        assert np.mean(known.ood_scores > classifier.policy.ood_threshold) <= 0.1
        classifier.save(tmp_path / name)
        again = load(tmp_path / name)
        assert again.ood_score == name
        np.testing.assert_array_equal(again.score_features(far).ood_scores, strange.ood_scores)
        if name == "epistemic":
            higher = strange.ood_scores[:, None] > known.ood_scores
            assert higher.mean() > 0.9


def _fitted_head(features, targets):
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit(features, targets)
    weight = np.vstack([-fitted.coef_ / 2, fitted.coef_ / 2]).astype(np.float32)
    return weight, np.array([-1, 1], np.float32) * fitted.intercept_.astype(np.float32) / 2


def test_a_score_of_members_is_refused_of_one_model_alone(tmp_path):
    with pytest.raises(UsageError, match="one model alone has none: add --uncertainty"):
        require_score("epistemic", members=False)
    model = build("lenet5", {"classes": 2, "size": 32}).eval()
    features = np.random.default_rng(0).normal(size=(20, 84)).astype(np.float32)
    with pytest.raises(UsageError, match="one model alone has none"):
        fit_familiarity(model, features, np.arange(20) % 2, name="total_uncertainty")
    plain = Classifier(scorer_of(model), ("ant", "bee"), "binary", Recipe(32, "pad"))
    plain.with_(familiarity=FAMILIARITIES["epistemic"]()).save(tmp_path)
    with pytest.raises(BundleError, match="that of several members, and the model has none"):
        load(tmp_path)
