"""What is trained is what is reported: the loss in torch, the likelihood in float64."""

import numpy as np
import pytest
import torch

import econllm as el
from econllm.career.batches import Store
from econllm.career.fitting import thin
from econllm.career.likelihood import forbid, negative_log_likelihood
from tests.career.samples import CHOICES, MORE, TINY, careers, encoder, fitted, loud, panel, panel_of


def loss_of(fit, data, weights=None, masked=True):
    """The training loss of a panel in evaluation mode."""
    c = fit.predictor.coding.read(data, fit.choices)
    w = np.zeros(len(c.last))
    w[c.target] = 1.0 if weights is None else weights
    store = Store.of(c, torch.device("cpu"))
    rows, real = store.rows(torch.arange(len(c)))
    seen = torch.ones(len(fit.choices), dtype=torch.bool)
    seen[fit.predictor.unseen.positions] = False
    with torch.no_grad():
        value = negative_log_likelihood(
            fit.predictor.network.eval(),
            store.batch(rows),
            store.outcome[rows],
            torch.as_tensor(w, dtype=torch.float32)[rows] * real,
            seen if masked else None,
        )
    return float(value)


@pytest.mark.parametrize("two_stage", [True, False])
@pytest.mark.parametrize("returns", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_loss_is_minus_the_sum_of_the_log_likelihood(two_stage, returns, weighted):
    fit, data = loud(fitted(two_stage=two_stage, returns=returns)), panel()
    weights = np.random.default_rng(0).exponential(size=len(data)) if weighted else np.ones(len(data))
    weights[::5] = 0.0 if weighted else 1.0
    expected = -float(weights @ fit.log_likelihood(data).to_numpy())
    assert loss_of(fit, data, weights, masked=False) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("two_stage", [True, False])
def test_what_is_set_aside_for_unseen_occupations_is_not_trained(two_stage):
    fit, data = loud(fitted(MORE, titles=encoder(), two_stage=two_stage)), panel(titles=MORE)
    c = fit.predictor.coding.read(data, MORE)
    goes = int((c.last != c.outcome + 1).sum()) if two_stage else len(data)
    aside = goes * np.log1p(-fit.predictor.unseen.reserve)
    assert aside < 0
    assert -loss_of(fit, data) + aside == pytest.approx(float(fit.log_likelihood(data).sum()), rel=1e-5)


def test_the_history_of_a_later_sample_has_no_loss():
    fit, late = loud(fitted()), panel().split_time(1994)[1]
    assert (~late.is_target).any()
    assert loss_of(fit, late) == pytest.approx(-float(fit.log_likelihood(late).sum()), rel=1e-5)


def test_the_loss_of_the_whole_is_the_sum_of_the_persons():
    fit, data = loud(fitted()), panel()
    parts = sum(loss_of(fit, data.subset([person])) for person in data.persons)
    assert loss_of(fit, data) == pytest.approx(parts, rel=1e-5)


@pytest.mark.parametrize("jobs", [["a"], ["a", "a", "a"]])
def test_careers_of_stays_alone_have_a_loss_and_a_gradient(jobs):
    import pandas as pd

    df = pd.DataFrame({"id": 1, "t": range(len(jobs)), "job": jobs})
    data = el.CareerPanel(df, "id", "t", "job", titles=el.ChoiceSet(["a", "b"]))
    fit = el.CAREER(**TINY).fit(data, seed=0)
    assert np.isfinite(fit.log_likelihood(data)).all()
    assert all(torch.isfinite(p).all() for p in fit.predictor.network.parameters())


def test_stays_need_no_destination():
    data = panel()
    fit = loud(fitted())
    with torch.no_grad():
        fit.predictor.network.output.bias.add_(torch.arange(5.0))
    stays = (fit.predictor.coding.read(data, CHOICES).last == data.outcome + 1)[data.is_target]
    before = loud(fitted()).log_likelihood(data)
    after = fit.log_likelihood(data)
    assert np.array_equal(before[stays], after[stays])
    assert not np.isclose(before[~stays], after[~stays]).any()


def test_the_gradient_of_unseen_occupations_is_zero():
    fit = fitted(MORE)
    w = fit.predictor.network.output.weight
    assert (w[5:] == 0).all()
    assert (fit.predictor.network.output.bias[5:] == 0).all()
    assert (fit.predictor.network.occupation.weight[6:] == 0).all()
    assert (w[:5] != 0).all()


def test_the_last_occupation_is_no_destination():
    logits = forbid(torch.zeros(3, 4), torch.tensor([0, 1, 4]))
    assert torch.isinf(logits).nonzero().tolist() == [[1, 0], [2, 3]]


def test_hidden_records_are_a_uniform_share_of_those_of_a_share_of_persons():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = thin(torch.zeros(20_000, 30, dtype=torch.int64), 0.4).float().mean(dim=1)
    whole = (kept == 1).float().mean().item()
    # Of the thinned ones, one in 31 keeps all of 30 records.
    assert whole == pytest.approx(0.6 + 0.4 / 31, abs=0.015)
    assert kept[kept < 1].mean().item() == pytest.approx(0.5 * (1 - 1 / 31), abs=0.02)
    assert kept[kept < 1].std().item() == pytest.approx(np.sqrt(1 / 12), abs=0.02)


def test_history_dropout_needs_no_more_than_the_option():
    plain, thinned = fitted(), fitted(history_dropout=0.5)
    assert not np.allclose(plain.log_proba(panel()), thinned.log_proba(panel()))


def test_half_precision_trains_and_predicts_in_float32():
    fit = fitted(dtype="bfloat16")
    assert fit.predictor.network.output.weight.dtype == torch.float32
    np.testing.assert_allclose(np.exp(fit.log_proba(panel())).sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(fit.log_proba(panel()), fitted().log_proba(panel()), atol=0.2)


def test_one_hundred_records_train():
    df = careers(persons=3, longest=6)
    long = df.iloc[[0]].loc[lambda d: d.index.repeat(100)].assign(id=99, year=range(1900, 2000)).reset_index(drop=True)
    import pandas as pd

    data = panel_of(pd.concat([df, long], ignore_index=True))
    fit = el.CAREER(**TINY).fit(data, seed=0)
    assert np.isfinite(fit.log_likelihood(data)).all()
