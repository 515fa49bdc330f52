"""The network against its formulas: embeddings, attention, head, and who sees what."""

import math

import numpy as np
import pytest
import torch

from econllm.career.batches import Store
from econllm.career.network import Batch, Block, CareerNetwork, Dropout, Shape, visible
from tests.career.samples import MORE, by_hand, encoder, fitted, loud, panel, weights_of

SHAPE = Shape(
    choices=5,
    levels=0,
    numbers=0,
    times=0,
    layers=2,
    dim=8,
    heads=2,
    ffn=16,
    dropout=0.0,
    position="learned",
    two_stage=True,
    returns=True,
    titles=0,
)


def shape(**changes):
    return Shape(**{**SHAPE.__dict__, **changes})


def network(seed=0, scale=0.5, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        out = CareerNetwork(shape(**changes))
        for parameter in out.parameters():
            torch.nn.init.normal_(parameter, std=scale)
    return out.eval()


def batch(last, keep=None):
    last = torch.as_tensor(last)
    empty = torch.zeros(*last.shape, 0)
    return Batch(last, empty.long(), empty, torch.zeros_like(last), keep)


def logits(net, b):
    person, record = torch.ones_like(b.last).bool().nonzero(as_tuple=True)
    with torch.inference_mode():
        scores = net.head(net(b), person, record, b.last, b.keep)
    return scores.move.view(b.last.shape), scores.destination.view(*b.last.shape, -1)


@pytest.mark.parametrize("two_stage", [True, False])
@pytest.mark.parametrize("returns", [True, False])
@pytest.mark.parametrize("position", ["learned", "sinusoidal", None])
def test_probabilities_are_those_computed_by_hand(two_stage, returns, position):
    fit = loud(fitted(two_stage=two_stage, returns=returns, position=position, layers=2))
    expected = by_hand(fit.predictor, panel())
    np.testing.assert_allclose(fit.log_proba(panel()), expected, atol=2e-4)
    # Not all the same: what is compared depends on the history.
    assert expected.std(axis=0).min() > 0.05


@pytest.mark.parametrize("two_stage", [True, False])
def test_titles_and_unseen_occupations_by_hand(two_stage):
    fit = loud(fitted(MORE, titles=encoder(), two_stage=two_stage))
    data = panel(titles=MORE)
    assert fit.predictor.network.shape.titles == 16
    assert fit.info.unseen == (60, 70)
    np.testing.assert_allclose(fit.log_proba(data), by_hand(fit.predictor, data), atol=2e-4)


def test_the_head_of_three_records_with_pencil_and_paper():
    net = network(returns=False, layers=1)
    last = torch.tensor([[0, 2, 2]])
    hidden = torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        scores = net.head(hidden, torch.tensor([0, 0]), torch.tensor([2, 0]), last)
    w, h = weights_of(net), hidden.double().numpy()[0]
    for row, record in enumerate((2, 0)):
        assert scores.move[row].item() == pytest.approx(h[record] @ w["move.weight"][0] + w["move.bias"][0], abs=1e-5)
        np.testing.assert_allclose(
            scores.destination[row].numpy(), w["output.weight"] @ h[record] + w["output.bias"], atol=1e-5
        )


def test_returns_give_earlier_occupations_a_score_of_their_own():
    net, plain = network(), network(returns=False)
    last = torch.tensor([[0, 2, 4, 2]])
    with torch.no_grad():
        for name, values in plain.named_parameters():
            values.copy_(dict(net.named_parameters())[name])
    _, scored = logits(net, batch(last))
    _, free = logits(plain, batch(last))
    extra = (scored - free)[0].abs() > 1e-6
    assert extra.nonzero().tolist() == [[1, 1], [2, 1], [2, 3], [3, 1], [3, 3]]


@pytest.mark.parametrize("returns", [True, False])
@pytest.mark.parametrize("position", ["learned", "sinusoidal", None])
def test_later_records_change_no_earlier_score(returns, position):
    net = network(returns=returns, position=position)
    first, second = torch.tensor([[0, 1, 2, 3, 4]]), torch.tensor([[0, 1, 2, 5, 1]])
    for one, two in zip(logits(net, batch(first)), logits(net, batch(second)), strict=True):
        torch.testing.assert_close(one[:, :3], two[:, :3], rtol=0, atol=1e-6)
        assert (one[:, 3:] - two[:, 3:]).abs().min() > 0 or returns


def test_hidden_records_are_not_seen_by_later_ones():
    net = network()
    keep = torch.tensor([[True, False, True, False]])
    one, two = (logits(net, batch([[0, other, 2, 3]], keep)) for other in (1, 5))
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a[:, [0, 2, 3]], b[:, [0, 2, 3]], rtol=0, atol=1e-6)
        assert (a[:, 1] - b[:, 1]).abs().max() > 0.01
    everything = logits(net, batch([[0, 1, 2, 3]]))
    kept = logits(net, batch([[0, 1, 2, 3]], torch.ones(1, 4, dtype=torch.bool)))
    for a, b in zip(everything, kept, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_each_record_sees_itself_and_kept_ones_before():
    seen = visible(torch.tensor([[True, False, True]]))
    assert seen[0].int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 1]]


def test_keys_and_values_of_the_past_stand_for_its_records():
    net = network()
    last = torch.tensor([[0, 1, 2, 3], [0, 4, 4, 1]])
    with torch.inference_mode():
        x = net.embed(batch(last))
        whole, (keys, values) = net.blocks[0](x, None)
        own = net.embed(batch(last[:, 3:]), torch.full((2, 1), 3))
        torch.testing.assert_close(own, x[:, 3:])
        query, key, value = net.blocks[0].project(own)
        key, value = torch.cat([keys[:, :, :3], key], dim=2), torch.cat([values[:, :, :3], value], dim=2)
        share = (query @ key.transpose(2, 3) / math.sqrt(4)).softmax(dim=-1)
        step = net.blocks[0].finish(own, share @ value)
    torch.testing.assert_close(step, whole[:, 3:], rtol=1e-5, atol=1e-5)


def test_attention_weights_are_those_of_the_forward_pass():
    block = network().blocks[0]
    x = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        weights = block.weights(x, visible(torch.ones(2, 4, dtype=torch.bool))[:, None])
        _, _, value = block.project(x)
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        x = x + block.out(mixed)
        expected = x + block.down(torch.nn.functional.gelu(block.up(block.before_ffn(x))))
        found, _ = block(torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0)), None)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 4))
    assert (weights.triu(1) == 0).all()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dim", [8, 7, 2, 1])
def test_sinusoidal_positions_are_those_of_the_formula(dim):
    net = CareerNetwork(shape(dim=dim, heads=1, position="sinusoidal"))
    values = net.positions(torch.tensor([3, 4])).double().numpy()
    assert values.shape == (2, dim)
    half = (dim + 1) // 2
    for place in (0, 1):
        for j in range(dim):
            k = j % half
            angle = (3 + place) * math.exp(-math.log(10_000) * k / max(half - 1, 1))
            assert values[place, j] == pytest.approx(math.sin(angle) if j < half else math.cos(angle), abs=1e-5)


def test_learned_positions_stay_the_same_beyond_the_sixty_fourth():
    net = network()
    places = net.positions(torch.arange(60, 70))
    assert not torch.equal(places[2], places[3])
    assert torch.equal(places[3], places[4])
    assert torch.equal(places[4], places[9])
    move, _ = logits(net, batch(torch.ones(1, 80, dtype=torch.int64)))
    assert torch.isfinite(move).all()


def test_filling_up_changes_nothing():
    fit = loud(fitted())
    data = panel()
    c = fit.predictor.coding.read(data, data.choices)
    store = Store.of(c, torch.device("cpu"))
    net = fit.predictor.network.eval()
    rows, real = store.rows(torch.arange(len(c)))
    with torch.inference_mode():
        together = net(store.batch(rows))
        for person in range(len(c)):
            own, _ = store.rows(torch.tensor([person]))
            alone = net(store.batch(own))[0]
            torch.testing.assert_close(together[person, : len(alone)], alone, rtol=1e-5, atol=1e-5)
    assert real.sum() == len(c.last)
    assert (real.sum(dim=1).numpy() == c.lengths).all()


def test_a_network_needs_neither_covariates_nor_times_nor_positions():
    fit = fitted(covariates=(), calendar=None, gap=False, spell=False, position=None)
    assert (fit.predictor.network.shape.levels, fit.predictor.network.shape.numbers) == (0, 0)
    assert np.isfinite(fit.log_proba(panel())).all()


def test_blocks_start_near_the_identity():
    block = Block(16, 2, 64, 0.0)
    net = CareerNetwork(shape(dim=16, ffn=64))
    assert block.heads == 2
    x = torch.randn(1, 3, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        out, _ = net.blocks[0](x, None)
    assert (out - x).abs().max() < 0.05


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.999])
def test_dropout_drops_its_share_and_keeps_the_mean(share):
    torch.manual_seed(0)
    layer, x = Dropout(share), torch.ones(301, 401)
    dropped = layer(x)
    assert (dropped == 0).float().mean() == pytest.approx(share, abs=0.005)
    assert dropped.mean() == pytest.approx(1.0, abs=0.02 if share < 0.9 else 0.2)
    assert layer.eval()(x) is x


def test_dropout_is_independent_between_neighbours():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(100_000)) > 0).double().numpy()
    for lag in (1, 2, 7, 8, 9):
        assert abs(np.corrcoef(kept[:-lag], kept[lag:])[0, 1]) < 0.015
