"""DeiT with two tokens: class head and distillation head are one linear layer on both, whose answer is the mean."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch.nn import functional

import linnaea
from linnaea.errors import UsageError
from linnaea.learning.balance import Balance
from linnaea.learning.losses import criterion_for
from linnaea.learning.objectives import Setting
from linnaea.learning.objectives.distillation import HardDistillation
from linnaea.learning.objectives.supervised import Supervised
from linnaea.models.bodies import distilled
from linnaea.models.network import Network
from linnaea.models.weights import Weights
from linnaea.task import TASKS

NAME = "deit_tiny_distilled_patch16_224"
SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 2, "patch_size": 8}


@pytest.fixture
def pixels():
    return torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_it_answers_as_timms_does(pixels):
    torch.manual_seed(0)
    theirs = timm.create_model(NAME, num_classes=3, img_size=32, **SMALL)
    for head in (theirs.head, theirs.head_dist):
        torch.nn.init.normal_(head.weight)
        torch.nn.init.normal_(head.bias)
    theirs.head_dist.bias.data.copy_(theirs.head.bias)
    state = {name: value for name, value in theirs.state_dict().items() if not name.startswith("head")}
    plain = (0.0,) * 3, (1.0,) * 3
    ours = Weights(NAME, 32, *plain, state, SMALL).build(3, 32).eval()
    with torch.no_grad():
        ours.classifier.weight.copy_(torch.cat([theirs.head.weight, theirs.head_dist.weight], dim=1) / 2)
        ours.classifier.bias.copy_(theirs.head.bias)
    assert torch.allclose(ours(pixels), theirs.eval()(pixels), atol=1e-5)
    theirs.train().set_distilled_training(True)
    expected, (features, heads) = theirs(pixels), ours.train()(pixels, apart=True)
    for head, timms in zip(heads, expected, strict=True):
        assert torch.allclose(head, timms, atol=1e-5)
    assert torch.allclose(ours.head(features), sum(heads) / 2, atol=1e-5)


def test_heads_apart_may_leave_the_features_alone(pixels):
    model = Network.fitting(NAME, 3, 32, arguments_of_body=SMALL)
    for detached in (True, False):
        model.zero_grad()
        _, heads = model(pixels, apart=True, detached=detached)
        sum(head.square().sum() for head in heads).backward()
        assert (model.body.dist_token.grad is None) == detached
        assert model.classifier.weight.grad.abs().sum() > 0


def test_a_network_of_one_token_has_one_head(pixels):
    model = Network.fitting("deit_tiny_patch16_224", 3, 32, arguments_of_body=SMALL).eval()
    features, heads = model(pixels, apart=True)
    assert features.shape == (5, 24)
    assert len(heads) == 1
    assert torch.equal(heads[0], model(pixels))
    assert not distilled("deit_tiny_patch16_224")
    assert not distilled("levit_128"), "it has two heads on one token"
    with pytest.raises(UsageError, match="tokens is 2"):
        Network("deit_tiny_patch16_224", 3, 32, tokens=2, arguments_of_body=SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("objective", [None, "hard_distillation"])
def test_it_is_trained_kept_and_exported_as_any_other(objective, tmp_path):
    pytest.importorskip("onnxruntime")
    generator = np.random.default_rng(0)
    files = []
    for number in range(20):
        for name, low in (("bright", 130), ("dark", 0)):
            files.append(tmp_path / "shades" / name / f"{number:02}.png")
            files[-1].parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(low, low + 120, (32, 32, 3), dtype=np.uint8)).save(files[-1])
    data, short = tmp_path / "shades", {"epochs": 5, "batch_size": 8, "weights": "none", "augment": []}
    taught = {}
    if objective is not None:
        linnaea.train(data, model="scratch", **short, out=tmp_path / "teacher")
        taught = {"objective": objective, "teacher": tmp_path / "teacher"}
    learnt = {**short, "learning_rate": 1e-3, "optimizer": "adamw"}
    classifier = linnaea.train(data, model=NAME, model_args=SMALL, **learnt, **taught, out=tmp_path / "run")
    model = classifier.model
    assert (model.tokens, model.classifier.in_features) == (2, 48)
    halves = model.classifier.weight.chunk(2, dim=1)
    assert all(half.std() > 0 for half in halves)
    expected = classifier.predict_proba(files)
    assert (expected.argmax(axis=1) == np.tile([0, 1], 20)).mean() > 0.8
    assert np.array_equal(linnaea.load(tmp_path / "run").predict_proba(files), expected)
    exported = linnaea.export(tmp_path / "run", to="onnx", out=tmp_path / "exported")
    assert exported is not None
    assert np.abs(linnaea.load(tmp_path / "exported").predict_proba(files) - expected).max() < 1e-4


def test_without_a_teacher_both_heads_learn_from_labels(pixels):
    """And with one the distillation head learns from it alone, the class head from labels alone."""
    torch.manual_seed(0)
    model = Network.fitting(NAME, 2, 32, arguments_of_body=SMALL).train()
    balance, criterion = Balance(np.ones(2, dtype=np.int64)), criterion_for(TASKS["binary"])
    images, targets = (255 * pixels).to(torch.uint8), torch.tensor([0, 1, 1, 0, 1])
    heads = model(images.float() / 255, apart=True).heads
    expected = torch.stack([functional.cross_entropy(head, targets) for head in heads]).mean()
    loss, _ = Supervised.made(Setting(model, criterion, balance))(model, (images, targets))
    assert torch.allclose(loss, expected, atol=1e-6)

    class Wise:
        def logits(self, images):
            return 5.0 * torch.eye(2)[1 - targets]

    loss, told = HardDistillation.made(Setting(model, criterion, balance, teacher=Wise()))(model, (images, targets))
    own, taught = functional.cross_entropy(heads[0], targets), functional.cross_entropy(heads[1], 1 - targets)
    assert torch.allclose(loss, (own + taught) / 2, atol=1e-6)
    assert float(told["agreement"]) == float((heads[1].argmax(dim=1) == 1 - targets).float().mean())
