"""Channels, heads and ranks that go without a trace where they did nothing."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from linnaea.delivery.compression.depth import at_size, spared, without
from linnaea.delivery.compression.factors import factored, responses_of
from linnaea.delivery.compression.pruning import cut, pruned, require_prunable, traced
from linnaea.delivery.compression.saliency import saliency_of, term
from linnaea.delivery.compression.zeros import compressed_megabytes, set_smallest_to_zero, share_of_zeros
from linnaea.errors import UsageError
from linnaea.models.compact import Compact
from linnaea.models.network import Network

SIZE = 32
NETWORKS = ("test_resnet", "test_efficientnet", "test_convnext", "test_vit", "mobilenetv3_small_050", "squeezenet1_1")


def network_of(name, size=SIZE):
    torch.manual_seed(0)
    network = Network.fitting(name, 3, size)
    for parameter in network.body.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.1, 1.0)
    return network.eval()


def batches(size=SIZE, count=2):
    drawn = torch.Generator().manual_seed(1)
    return [(torch.rand(4, 3, size, size, generator=drawn), torch.tensor([0, 1, 2, 0])) for _ in range(count)]


def saliency(network):
    return saliency_of(network, batches(network.arguments["size"]), functional.cross_entropy)


def kill(whole, rows_by_piece):
    """Set to nothing all that makes these channels, where that is possible; gives the pieces that are dead."""
    dead, pieces = {}, {piece.layer: piece for piece in whole.pieces}
    for name, rows in rows_by_piece.items():
        part = whole.network.get_submodule(name)
        if pieces[name].head:
            wide = torch.arange(part.attn_dim).reshape(part.num_heads, -1)[rows].flatten()
            part.proj.weight.data[:, wide] = 0
            dead[name] = rows
            continue
        each = len(pieces[name].worth)
        every = [row + number * each for number in range(pieces[name].several) for row in rows]
        take = whole.graph.get_pruner_of_module(part).prune_out_channels
        group = whole.graph.get_pruning_group(part, take, every)
        targets = [(item.dep.target.module, item.idxs, item.dep.handler) for item in group]
        if any(isinstance(layer, nn.LayerNorm) for layer, _, _ in targets):
            continue  # what it makes of a dead channel is alive
        for layer, places, handler in targets:
            if isinstance(layer, nn.Module) and whole.graph.is_out_channel_pruning_fn(handler):
                for parameter in layer.parameters(recurse=False):
                    parameter.data[places] = 0
        dead[name] = rows
    return dead


@pytest.mark.parametrize("name", NETWORKS)
def test_channels_that_did_nothing_can_go(name, monkeypatch):
    network = network_of(name)
    whole = traced(network, saliency(network))
    dead = kill(whole, whole.plan(0.5))
    monkeypatch.setattr(type(whole), "plan", lambda self, share: dead)
    smaller = cut(whole, 0.5)
    assert dead
    pixels = batches()[0][0]
    with torch.no_grad():
        torch.testing.assert_close(smaller(pixels), whole.network(pixels), rtol=1e-3, atol=1e-4)
    assert sum(map(torch.numel, smaller.parameters())) < sum(map(torch.numel, network.parameters()))


def test_more_goes_the_more_is_asked_for_and_an_eighth_always_stays():
    network = network_of("test_resnet")
    known = saliency(network)
    sizes = [pruned(network, share, known).megabytes for share in (0.2, 0.5, 0.95)]
    assert network.megabytes > sizes[0] > sizes[1] > sizes[2]
    whole = traced(network, known)
    for name, rows in whole.plan(0.95).items():
        count = network.get_submodule(name).weight.shape[0]
        assert count - len(rows) >= max(min(8, count), count / 8)


def test_what_matters_least_goes_first():
    network = network_of("test_resnet")
    known = saliency(network)
    whole = traced(network, known)
    for piece in whole.pieces:
        rows = set(whole.plan(0.3).get(piece.layer, []))
        if rows:
            kept = [float(worth) for row, worth in enumerate(piece.worth) if row not in rows]
            assert max(float(piece.worth[row]) for row in rows) <= min(kept)


def test_the_worth_of_a_channel_is_the_squared_slope_of_the_loss_by_a_gate_on_it():
    network = network_of("test_resnet")
    known = saliency_of(network, batches(count=1), functional.cross_entropy)
    pixels, targets = batches(count=1)[0]
    name, layer = next((name, part) for name, part in network.named_modules() if isinstance(part, nn.BatchNorm2d))
    gate = torch.ones(layer.num_features, requires_grad=True)
    hook = layer.register_forward_hook(lambda _, __, result: None)
    hook.remove()
    plain = nn.BatchNorm2d.forward

    def gated(self, given):
        return plain(self, given) * gate[:, None, None] if self is layer else plain(self, given)

    acts = [getattr(layer, part) for part in ("drop", "act") if hasattr(layer, part)]

    def whole(given):
        result = gated(layer, given)
        for act in acts:
            result = act(result)
        return result

    layer.forward = whole
    functional.cross_entropy(network(pixels), targets).backward()
    torch.testing.assert_close(term(known, name).float(), gate.grad**2, rtol=1e-3, atol=1e-9)


def test_networks_whose_graph_cannot_be_followed_are_named_with_other_ways(monkeypatch):
    import torch_pruning

    def fail(*given, **more):
        raise ValueError("odd graph")

    network = network_of("test_resnet")
    known = saliency(network)
    monkeypatch.setattr(torch_pruning.DependencyGraph, "build_dependency", fail)
    with pytest.raises(UsageError, match=r"out of test_resnet: .*odd graph.*quantize, factorize or distill"):
        traced(network, known)


def test_a_model_that_is_no_network_is_refused_with_other_ways():
    with pytest.raises(UsageError, match=r"the model is compact.*distill or quantize"):
        require_prunable(Compact(2, SIZE))


def test_layers_of_low_rank_are_factored_without_loss():
    network = network_of("test_resnet")
    drawn = torch.Generator().manual_seed(2)
    places = [name for name, part in network.body.named_modules() if type(part) is nn.Conv2d and part.in_channels >= 32]
    for name in places:
        part = network.body.get_submodule(name)
        after, before, *size = part.weight.shape
        core = torch.randn(4, 4, *size, generator=drawn)
        out, into = torch.randn(after, 4, generator=drawn), torch.randn(before, 4, generator=drawn)
        part.weight.data = torch.einsum("mb,ba...,ca->mc...", out, core, into) / before
    smaller = factored(network, 0.9999999)
    ranks = smaller.arguments["operations"][-1]["ranks"]
    assert set(places) <= set(ranks)
    pixels = batches()[0][0]
    with torch.no_grad():
        torch.testing.assert_close(smaller(pixels), network(pixels), rtol=1e-3, atol=1e-4)
    assert smaller.megabytes < network.megabytes


def test_the_rank_keeps_as_much_of_the_squares_as_asked_for_as_singular_values_say():
    network = network_of("test_vit")
    smaller = factored(network, 0.6)
    for name, rank in smaller.arguments["operations"][-1]["ranks"].items():
        if isinstance(rank, int):
            weight = network.body.get_submodule(name).weight.detach().double().flatten(1).numpy()
            values = np.linalg.svd(weight, compute_uv=False) ** 2
            assert values[:rank].sum() >= 0.6 * values.sum()
            assert values[: max(0, rank - 8)].sum() < 0.6 * values.sum()
            pair = smaller.body.get_submodule(name)
            product = (pair[1].weight.double().flatten(1) @ pair[0].weight.double().flatten(1)).detach().numpy()
            np.testing.assert_allclose(((weight - product) ** 2).sum(), values[rank:].sum(), rtol=1e-3)


def test_responses_say_which_directions_matter():
    network = network_of("test_resnet")
    responses = responses_of(network, (pixels for pixels, _ in batches()))
    pixels = batches()[0][0]
    with torch.no_grad():
        far = {}
        for kind, known in (("responses", responses), ("weights", None)):
            smaller = factored(network, 0.97 if known else 0.6, known)
            far[kind] = float((smaller(pixels) - network(pixels)).norm() / network(pixels).norm()), smaller.megabytes
    assert far["responses"][0] < far["weights"][0]


def test_zeros_are_the_smallest_of_their_layer_and_as_many_as_asked_for():
    network = network_of("test_resnet")
    before = compressed_megabytes(network)
    assert set_smallest_to_zero(network, 0.7) == pytest.approx(0.7, abs=0.001)
    assert share_of_zeros(network) == pytest.approx(0.7, abs=0.001)
    assert compressed_megabytes(network) < 0.6 * before
    with pytest.raises(UsageError, match="between 0 and 1"):
        set_smallest_to_zero(network, 1.0)


def test_blocks_that_add_nothing_are_spared_first_and_go_without_a_trace():
    network = network_of("test_convnext")
    pixels = batches()[0][0]
    names = spared(network, pixels)
    name = names[-1]
    block = network.body.get_submodule(name)
    block.gamma.data.zero_()
    assert spared(network, pixels)[0] == name
    with torch.no_grad():
        torch.testing.assert_close(without(network, [name])(pixels), network(pixels))


def test_a_network_for_other_sizes_of_images_has_the_same_weights_or_is_none():
    network = network_of("test_resnet", 64)
    larger = at_size(network, 96)
    assert larger.arguments["size"] == 96
    torch.testing.assert_close(larger.classifier.weight, network.classifier.weight)
    assert at_size(network_of("test_vit", 160), 128) is None
