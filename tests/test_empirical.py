"""Transition frequencies against counts by hand, and against figures known for real careers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econllm.choices import ChoiceSet
from econllm.empirical import _GRID, Empirical
from econllm.errors import DataError, OptionError
from econllm.panel import CareerPanel

JOBS = ["a", "b", "c", "d"]
VARIANTS = [
    Empirical(),
    Empirical(two_stage=True),
    Empirical(order=2),
    Empirical(order=2, two_stage=True),
    Empirical(smoothing=0.01, order=2),
]


def make_panel(paths: list[str], jobs: list[str] = JOBS, **columns) -> CareerPanel:
    """Careers written as strings of one-letter jobs."""
    rows = [(i, t, job) for i, path in enumerate(paths) for t, job in enumerate(path)]
    df = pd.DataFrame(rows, columns=["id", "t", "job"]).assign(**columns)
    return CareerPanel(df, "id", "t", "job", titles=ChoiceSet(jobs), weights="w" if "w" in columns else None)


# a->a 1, a->b 2, b->a 1, b->b 1, c->d 1; firsts: a 2, b 1, c 1.
TRAIN = ["aab", "abb", "ba", "cd"]


# Formulas


def test_add_one_by_hand() -> None:
    fitted = Empirical().fit(make_panel(TRAIN))
    table = fitted.transition_matrix
    assert table.index.tolist() == ["(none)", *JOBS]
    assert table.loc["a"].tolist() == pytest.approx([2 / 7, 3 / 7, 1 / 7, 1 / 7])
    assert table.loc["d"].tolist() == pytest.approx([0.25] * 4)
    assert table.loc["(none)"].tolist() == pytest.approx([3 / 8, 2 / 8, 2 / 8, 1 / 8])
    assert fitted.counts.loc["b"].tolist() == [1, 1, 0, 0]
    test = make_panel(["ab", "dd"])
    assert np.exp(fitted.log_likelihood(test)).tolist() == pytest.approx([3 / 8, 3 / 7, 1 / 8, 1 / 4])
    assert np.exp(fitted.log_proba(test))[1].tolist() == pytest.approx([2 / 7, 3 / 7, 1 / 7, 1 / 7])
    assert fitted.info.log_likelihood == pytest.approx(fitted.log_likelihood(make_panel(TRAIN)).sum())
    assert fitted.info.parameters == 4 * 3  # four histories occur: none, a, b, c
    assert (fitted.info.rows, fitted.info.persons, fitted.info.first_records) == (10, 4, 4)


def test_printed_formula_has_a_mass_above_one() -> None:
    fitted = Empirical(normalization="printed").fit(make_panel(TRAIN))
    assert fitted.transition_matrix.loc["a"].tolist() == pytest.approx([2 / 4, 3 / 4, 1 / 4, 1 / 4])
    total = fitted.counts.sum(axis=1)
    assert fitted.probability_mass.tolist() == pytest.approx(((total + 4) / (total + 1)).tolist())
    assert fitted.flags == ("improper",)
    assert "IMPROPER: rows sum to 1.600 to 4.000" in str(fitted)
    assert Empirical().fit(make_panel(TRAIN)).flags == ()
    for wrong in ({"order": 2}, {"smoothing": 0.5}, {"two_stage": True}):
        with pytest.raises(OptionError, match=r"goes with smoothing=1.0, order=1 and two_stage=False only"):
            Empirical(normalization="printed", **wrong)


def test_two_stages_by_hand() -> None:
    s = 0.5
    table = Empirical(smoothing=s, two_stage=True).fit(make_panel(TRAIN)).transition_matrix
    # Moves of all origins together, one pseudo-count per cell: to a 1, b 2, c 0, d 1.
    pooled = np.array([2, 3, 1, 2]) / 8
    for origin, stays, row in (("a", 1, [0, 2, 0, 0]), ("b", 1, [1, 0, 0, 0]), ("d", 0, [0, 0, 0, 0])):
        at, moves = JOBS.index(origin), np.array(row, dtype=float)
        stay = (stays + s) / (stays + moves.sum() + 2 * s)
        given_move = np.where(np.arange(4) == at, 0, pooled)
        given_move = (moves + 3 * s * given_move / given_move.sum()) / (moves.sum() + 3 * s)
        expected = (1 - stay) * given_move
        expected[at] = stay
        assert table.loc[origin].tolist() == pytest.approx(expected.tolist())
    assert table.loc["(none)"].tolist() == pytest.approx(((np.array([2, 1, 1, 0]) + s) / (4 + 4 * s)).tolist())


def test_second_order_shrinks_to_the_first() -> None:
    fitted = Empirical(smoothing=0.5, order=2).fit(make_panel(TRAIN))
    first = Empirical(smoothing=0.5).fit(make_panel(TRAIN)).transition_matrix
    # After a, a: b once.
    expected = (np.array([0, 1, 0, 0]) + 2 * first.loc["a"]) / 3
    assert fitted.transition_matrix.loc[("a", "a")].tolist() == pytest.approx(expected.tolist())
    # A pair that never occurred has the first order's probabilities.
    test = make_panel(["dab"])
    assert np.exp(fitted.log_proba(test))[2].tolist() == pytest.approx(first.loc["a"].tolist())
    assert np.exp(fitted.log_likelihood(test)).iloc[2] == pytest.approx(first.loc["a", "b"])
    assert fitted.info.parameters == len(fitted.counts) * 3


def test_second_order_in_two_stages_by_hand() -> None:
    s = 0.5
    fitted = Empirical(smoothing=s, order=2, two_stage=True).fit(make_panel(TRAIN))
    first = Empirical(smoothing=s, two_stage=True).fit(make_panel(TRAIN)).transition_matrix.loc["b"].to_numpy()
    # After a, b: b once, so one stay and no move.
    stay = (1 + 2 * s * first[1]) / (1 + 2 * s)
    moves = np.where(np.arange(4) == 1, 0, first)
    expected = (1 - stay) * moves / moves.sum()
    expected[1] = stay
    assert fitted.transition_matrix.loc[("a", "b")].tolist() == pytest.approx(expected.tolist())


def test_validation_chooses_the_best_of_the_grid() -> None:
    train, valid = make_panel(TRAIN * 3), make_panel(["aabb", "dc", "ca"])
    chosen = Empirical(smoothing="validation").fit(train, validation=valid)
    scores = [Empirical(smoothing=float(s)).fit(train).log_likelihood(valid).sum() for s in _GRID]
    assert chosen.smoothing == _GRID[int(np.argmax(scores))]
    assert _GRID[0] < chosen.smoothing < _GRID[-1]
    assert chosen.log_likelihood(valid).sum() == pytest.approx(max(scores))
    with pytest.raises(OptionError, match="needs a validation sample"):
        Empirical(smoothing="validation").fit(train)
    with pytest.raises(DataError, match="validation sample has no rows"):
        Empirical(smoothing="validation").fit(train, validation=valid.subset([]))


def test_weights_count_as_repetitions_do() -> None:
    panel = make_panel(TRAIN)
    weights = pd.Series([3.0, 1, 2, 1])
    fitted = Empirical().fit(panel, weights=weights)
    repeated = [path for path, w in zip(TRAIN, weights, strict=True) for _ in range(int(w))]
    plain = Empirical().fit(make_panel(repeated))
    # Weights have mean one over rows, so the pseudo-counts weigh as they would with ten rows.
    share = len(panel) / len(make_panel(repeated))
    assert fitted.counts.to_numpy() == pytest.approx(plain.counts.to_numpy() * share)
    survey = make_panel(TRAIN, w=np.repeat(weights.to_numpy(), [len(path) for path in TRAIN]))
    assert Empirical(weighted=True).fit(survey).counts.equals(fitted.counts)
    assert fitted.info.weighted
    assert "log-likelihood unweighted" in str(fitted)


# Probabilities

paths = st.lists(st.text(alphabet="abcd", min_size=1, max_size=6), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(train=paths, test=paths, model=st.sampled_from(VARIANTS))
def test_probabilities_sum_to_one(train, test, model) -> None:
    fitted = model.fit(make_panel(train))
    panel = make_panel(test)
    log_proba = fitted.log_proba(panel)
    assert np.isfinite(log_proba).all()
    assert np.abs(np.exp(log_proba).sum(axis=1) - 1).max() < 1e-12
    assert np.abs(fitted.probability_mass - 1).max() < 1e-12
    picked = log_proba[np.arange(len(panel)), panel.outcome]
    assert fitted.log_likelihood(panel).to_numpy() == pytest.approx(picked, abs=1e-12)


def test_panels_with_another_choice_set() -> None:
    fitted = Empirical(order=2).fit(make_panel(TRAIN))
    same = make_panel(["aba", "cb"])
    turned = make_panel(["aba", "cb"], jobs=["d", "b", "a", "c"])
    assert fitted.log_proba(turned).tolist() == fitted.log_proba(same).tolist()
    with pytest.raises(DataError, match="'e'"):
        fitted.log_proba(make_panel(["ae"], jobs=[*JOBS, "e"]))


def test_history_survives_a_split_in_time() -> None:
    fitted = Empirical(order=2).fit(make_panel(TRAIN))
    whole = make_panel(["abab"])
    late = whole.split_time(1)[1]
    assert fitted.log_likelihood(late).tolist() == fitted.log_likelihood(whole).tolist()[2:]


def test_refused() -> None:
    panel = make_panel(TRAIN)
    with pytest.raises(DataError, match="give a CareerPanel, not a DataFrame"):
        Empirical().fit(panel.to_frame())
    with pytest.raises(DataError, match="estimate on have no rows"):
        Empirical().fit(panel.subset([]))
    with pytest.raises(DataError, match="predict have no rows"):
        Empirical().fit(panel).log_proba(panel.subset([]))
    with pytest.raises(OptionError, match="checkpoint has no effect"):
        Empirical().fit(panel, checkpoint="x")
    with pytest.raises(DataError, match="at least two occupations"):
        Empirical(two_stage=True).fit(make_panel(["aa"], jobs=["a"]))
    with pytest.raises(OptionError, match="smoothing=0 is not allowed"):
        Empirical(smoothing=0)
    with pytest.raises(OptionError, match=r"normalization='Printed' is not an option.* Did you mean 'printed'"):
        Empirical(normalization="Printed")


def test_summary_says_what_was_used() -> None:
    fitted = Empirical().fit(make_panel(TRAIN, jobs=[*JOBS, "e"]))
    text = str(fitted)
    assert "Empirical transition frequencies" in text
    assert fitted.info.unseen == ("e",)
    assert "4 of 5" in text
    assert "First records" in text


# Real careers


def test_wage_panel_figures(wage_panel) -> None:
    train, valid, test = wage_panel.split([0.7, 0.1, 0.2], seed=0)
    assert [len(part.persons) for part in (train, valid, test)] == [381, 55, 109]
    fitted = Empirical().fit(train)
    found = fitted.perplexity(test)
    assert (found.n, found.persons) == (872, 109)
    assert found.value == pytest.approx(4.705, abs=5e-4)
    groups = fitted.perplexity(test, by="history")
    assert groups.loc["with a history", ["perplexity", "n"]].tolist() == pytest.approx([4.357, 763], abs=5e-4)
    assert groups.loc["first record", "n"] == 109


@pytest.mark.shared
@pytest.mark.slow
def test_nlsy97_figures(nlsy97) -> None:
    train, valid, test = nlsy97.split([0.7, 0.1, 0.2], seed=0)
    assert [len(p.persons) for p in (train, valid, test)] == [4991, 713, 1426]
    assert [len(p) for p in (train, valid, test)] == [110_654, 16_127, 31_440]
    add_one = Empirical().fit(train)
    assert len(add_one.info.unseen) == 3
    assert add_one.perplexity(test).value == pytest.approx(11.392, abs=1e-3)
    chosen = Empirical(smoothing="validation").fit(train, validation=valid)
    assert chosen.perplexity(test).value == pytest.approx(9.51, abs=5e-3)
    assert Empirical(two_stage=True).fit(train).perplexity(test).value == pytest.approx(8.91, abs=5e-3)


def test_first_records_are_the_same_at_both_orders(wage_panel) -> None:
    train, _, test = wage_panel.split([0.7, 0.1, 0.2], seed=0)
    for two_stage in (False, True):
        one, two = (Empirical(order=order, two_stage=two_stage).fit(train).log_proba(test) for order in (1, 2))
        assert np.array_equal(one[test.is_first], two[test.is_first])
        assert not np.array_equal(one, two)
