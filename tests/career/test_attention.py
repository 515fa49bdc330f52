"""What `attention` shows: the weights that the forward pass uses, under names that say what a record carries."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import special

import econllm as el
from econllm.career.attention import Attention
from econllm.career.network import Block
from econllm.errors import DataError, OptionError
from tests.career import samples
from tests.career.samples import fitted, loud, panel, weights_of


def person_with(records, data):
    """The first person with so many records."""
    counts = pd.Series(data.person_ids).value_counts()
    return min(counts[counts == records].index)


def by_hand(results, data, person):
    """Weights of every layer and head from the network's weights alone, in float64."""
    predictor = results.predictor
    c, s = predictor.coding.read(data.subset([person]), predictor.choices), predictor.network.shape
    w = weights_of(predictor.network)
    x = samples._embedded(c, np.arange(len(c.last)), w["occupation.weight"], s, w)
    out = np.zeros((s.layers, s.heads, len(x), len(x)))
    size = s.dim // s.heads
    for layer in range(s.layers):
        own = {name.removeprefix(f"blocks.{layer}."): values for name, values in w.items()}
        normed = samples._norm(x, own["before_attention.weight"], own["before_attention.bias"])
        query, key, _ = np.split(normed @ own["qkv.weight"].T + own["qkv.bias"], 3, axis=1)
        for head in range(s.heads):
            at = slice(head * size, (head + 1) * size)
            for t in range(len(x)):
                out[layer, head, t, : t + 1] = special.softmax(key[: t + 1, at] @ query[t, at] / math.sqrt(size))
        x = samples._block(x, own, s.heads)
    return out


@pytest.fixture(scope="module")
def result():
    return loud(fitted(layers=2), scale=0.6)


@pytest.fixture(scope="module")
def found(result):
    return result.attention(panel(), person_with(5, panel()))


def test_weights_are_those_computed_by_hand(result, found):
    expected = by_hand(result, panel(), found.person)
    assert found.weights.shape == (2, 2, 5, 5)
    assert np.ptp(expected[:, :, -1]) > 0.2  # otherwise equal weights would do
    assert found.weights == pytest.approx(expected, abs=1e-5)


def test_weights_are_shares_of_the_records_so_far(found):
    assert found.weights.dtype == np.float64
    assert found.weights.sum(axis=-1) == pytest.approx(1, abs=1e-12)
    assert (found.weights[..., ~np.tri(5, dtype=bool)] == 0).all()
    assert (found.weights[..., 0, 0] == 1).all()


def test_records_are_named_by_the_occupation_before():
    df = pd.DataFrame({"id": 1, "year": [2000, 2001, 2003], "job": [10, 20, 10]})
    data = el.CareerPanel(df, "id", "year", "job", titles={10: "Cook", 20: "Clerk"})
    fit = el.CAREER(layers=1, dim=8, heads=2, training=el.Training(epochs=1)).fit(data, seed=0)
    assert fit.attention(data, 1).records == ("2000 first record", "2001 after Cook", "2003 after Clerk")


def test_histories_that_are_not_predicted_are_looked_at_too(result):
    _, late = panel().split_time(1993)
    person = next(p for p in late.persons if (panel().person_ids == p).sum() > (late.person_ids == p).sum())
    assert np.array_equal(result.attention(late, person).weights, result.attention(panel(), person).weights)


def test_neither_company_nor_mode_nor_generator_matters(result, found):
    torch.manual_seed(1)
    result.predictor.network.train()
    alone = result.attention(panel().subset([found.person]), found.person)
    assert np.array_equal(alone.weights, found.weights)


def test_the_frame_lists_what_the_array_holds(found):
    frame = found.frame()
    assert len(frame) == 2 * 2 * 15
    assert list(frame) == ["layer", "head", "record", "looks_at", "label", "looks_at_label", "weight"]
    for row in frame.itertuples():
        assert row.weight == found.weights[row.layer - 1, row.head - 1, row.record - 1, row.looks_at - 1]
        assert row.label == found.records[row.record - 1]
        assert row.looks_at_label == found.records[row.looks_at - 1]
    part = found.frame(layer=2, head=np.int64(1))
    both = (frame["layer"] == 2) & (frame["head"] == 1)
    pd.testing.assert_frame_equal(part, frame[both].reset_index(drop=True))


@pytest.mark.parametrize(
    ("chosen", "titles"),
    [
        ({}, ["layer 1, mean of heads", "layer 2, mean of heads"]),
        ({"layer": 2}, ["layer 2, head 1", "layer 2, head 2"]),
        ({"head": 1}, ["layer 1, head 1", "layer 2, head 1"]),
        ({"layer": 1, "head": 2}, ["layer 1, head 2"]),
    ],
)
def test_the_figure_has_a_panel_per_layer_or_head(found, chosen, titles):
    figure = found.plot(**chosen)
    panels = figure.axes[:-1]
    assert [axes.get_title() for axes in panels] == titles
    shown = panels[0].collections[0].get_array()
    assert np.array_equal(np.ma.getmaskarray(shown).reshape(5, 5), ~np.tri(5, dtype=bool))
    if not chosen:
        assert shown.reshape(5, 5)[4].data == pytest.approx(found.weights[0, :, 4].mean(axis=0))


def test_the_figure_is_saved(found, tmp_path):
    found.plot(tmp_path / "attention.png")
    assert (tmp_path / "attention.png").stat().st_size > 1000


@pytest.mark.parametrize("chosen", [{"layer": 0}, {"layer": 3}, {"head": -1}, {"head": 1.5}, {"layer": True}])
def test_layers_and_heads_that_do_not_exist_are_refused(found, chosen):
    name = next(iter(chosen))
    for call in (found.frame, found.plot):
        with pytest.raises(OptionError, match=f"{name}=.* choose one of 1, 2"):
            call(**chosen)


def test_wrong_persons_are_refused(result):
    with pytest.raises(DataError, match="not in the panel: 999"):
        result.attention(panel(), 999)
    with pytest.raises(OptionError, match=r"give one identifier as in panel\.persons"):
        result.attention(panel(), [1, 2])
    with pytest.raises(DataError, match="give a CareerPanel, not a DataFrame"):
        result.attention(panel().to_frame(), 1)


def test_it_prints_its_size():
    assert repr(Attention("p", ("a", "b"), np.zeros((3, 4, 2, 2)))) == (
        "<Attention of person p: 3 layers, 4 heads, 2 records>"
    )


def test_the_toy_update_of_one_layer():
    """(0.5, 0.5) + 0.2 (1, 0) + 0.7 (0, 1) = (0.7, 1.2), in the first two dimensions of four."""
    records = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 1.0, 0.0, 2.0], [0.5, 0.5, -1.0, -1.0]])
    share, values = [0.2, 0.7, 0.1], np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 0]])
    block = Block(4, 1, 4, 0.5).eval()
    x = torch.as_tensor(records, dtype=torch.float32)[None]
    # An affine map of the three normalised records gives them any keys and values that are wanted.
    normed = np.hstack([block.before_attention(x)[0].detach().double().numpy(), np.ones((3, 1))])
    keys = np.zeros((3, 4))
    keys[:, 0] = np.log(share)
    asked = np.tile([math.sqrt(4), 0, 0, 0], (3, 1))
    maps = torch.as_tensor(np.linalg.lstsq(normed, np.hstack([asked, keys, values]), rcond=None)[0].T)
    with torch.no_grad():
        block.qkv.weight.copy_(maps[:, :4])
        block.qkv.bias.copy_(maps[:, 4])
        block.out.weight.copy_(torch.eye(4))
        block.out.bias.zero_()
        block.down.weight.zero_()
        block.down.bias.zero_()
        weights = block.weights(x, torch.ones(3, 3, dtype=torch.bool).tril())
        updated, _ = block(x, None)
    assert weights[0, 0, 2].tolist() == pytest.approx(share, abs=1e-5)
    assert updated[0, 2, :2].tolist() == pytest.approx([0.7, 1.2], abs=1e-5)
    assert updated[0, 0].tolist() == pytest.approx([2.0, 0.0, 2.0, 0.0], abs=1e-5)  # the first sees itself only
