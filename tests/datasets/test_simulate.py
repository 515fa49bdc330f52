"""Simulated careers: the truth that comes with them is the truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from econllm.datasets import load_occ1990dd, simulate_careers
from econllm.errors import OptionError

CASES = [("mnl", 1), ("mnl", 2), ("two_stage", 1), ("two_stage", 2)]


def parts(panel) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The rows, positions of the outcome and of the last two occupations (K for none), and the truth."""
    frame, y = panel.to_frame(), panel.outcome
    count = len(panel.choices)
    by_person = pd.Series(y).groupby(panel.person_ids)
    last = by_person.shift(1).fillna(count).astype(int).to_numpy()
    second = by_person.shift(2).fillna(count).astype(int).to_numpy()
    return frame, y, last, second, panel.truth.to_numpy()


@pytest.mark.parametrize(("process", "order"), CASES)
def test_frequencies_and_entropy_agree_with_the_truth(process, order) -> None:
    panel = simulate_careers(4000, 6, process, order, seed=3)
    _, y, last, _, truth = parts(panel)
    assert np.abs(truth.sum(axis=1) - 1).max() < 1e-12
    assert truth.min() > 0
    # Given the past, outcome minus probability has mean zero and a known variance: cell by cell a standard normal.
    hit = np.eye(6)[y]
    scores = []
    for state in range(7):
        here = last == state
        variance = (truth[here] * (1 - truth[here])).sum(axis=0)
        scores += list((hit[here] - truth[here]).sum(axis=0)[variance > 10] / np.sqrt(variance[variance > 10]))
    assert len(scores) > 25
    assert max(map(abs, scores)) < 4
    # Cells of a row sum to zero, so the squares fall a little short of a chi-square with one degree per cell.
    assert 0.001 < stats.chi2.sf(np.square(scores).sum(), len(scores) * 5 / 6) < 0.9999
    log_truth = np.log(truth)
    gain = log_truth[np.arange(len(y)), y] - (truth * log_truth).sum(axis=1)
    assert abs(gain.mean()) < 4 * gain.std() / np.sqrt(len(y))


@pytest.mark.parametrize("order", [1, 2])
def test_mnl_log_odds_are_linear_in_the_formula(order) -> None:
    frame, _, last, second, truth = parts(simulate_careers(800, 5, "mnl", order))
    design = [np.eye(6)[last], frame[["educ", "exper"]].to_numpy(float), (frame["sex"] == "female").to_numpy()[:, None]]
    design += [np.eye(6)[second]] if order == 2 else []
    x = np.hstack([part.astype(float) for part in design])
    odds = np.log(truth[:, 1:] / truth[:, :1])
    fitted = x @ np.linalg.lstsq(x, odds, rcond=None)[0]
    assert np.abs(fitted - odds).max() < 1e-9


@pytest.mark.parametrize("order", [1, 2])
def test_two_stages(order) -> None:
    frame, y, last, second, truth = parts(simulate_careers(800, 5, "two_stage", order))
    later = last < 5
    rows = np.flatnonzero(later)
    change = pd.Series(y).groupby(frame["person"].to_numpy()).transform(lambda s: (s != s.shift()).cumsum())
    spell = pd.Series(y).groupby([frame["person"].to_numpy(), change.to_numpy()]).cumcount().to_numpy() + 1
    spell_before = np.append(0, spell[:-1])[rows]
    stay = truth[rows, last[rows]]
    reasons = [np.eye(5)[last[rows]], frame[["educ", "exper"]].to_numpy(float)[rows]]
    reasons += [((frame["sex"] == "female").to_numpy()[rows, None]), np.log(spell_before)[:, None]]
    reasons += [(last == second)[rows, None]] if order == 2 else []
    x = np.hstack([part.astype(float) for part in reasons])
    odds = np.log(stay / (1 - stay))
    assert np.abs(x @ np.linalg.lstsq(x, odds, rcond=None)[0] - odds).max() < 1e-9
    # Where to go: the odds of two destinations do not depend on how long the spell was.
    here = (last[rows] == 0) & (second[rows] == 0 if order == 2 else True)
    rows = rows[here]
    known = np.column_stack(
        [np.ones(len(rows)), frame[["educ", "exper"]].to_numpy(float)[rows], frame["sex"].iloc[rows] == "female"]
    )
    known = known.astype(float)
    where = np.log(truth[rows][:, [2, 3, 4]] / truth[rows][:, [1]])
    assert np.abs(known @ np.linalg.lstsq(known, where, rcond=None)[0] - where).max() < 1e-9


@pytest.mark.parametrize("process", ["mnl", "two_stage"])
def test_a_first_order_model_loses_at_order_two(process) -> None:
    panel = simulate_careers(4000, 8, process, 2, seed=1)
    _, y, last, _, truth = parts(panel)
    oracle = np.log(truth[np.arange(len(y)), y])
    counts = np.zeros((9, 8))
    np.add.at(counts, (last, y), 1)
    # In-sample shares flatter the first-order model.
    first_order = np.log((counts / counts.sum(axis=1, keepdims=True))[last, y])
    assert oracle.mean() - first_order.mean() > 0.1


def test_the_seed_draws_the_sample_and_not_the_population() -> None:
    one, again, other = (simulate_careers(300, 5, seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one.to_frame(), again.to_frame())
    pd.testing.assert_frame_equal(one.truth, again.truth)
    assert not one.to_frame().equals(other.to_frame())

    def cells(panel) -> dict:
        frame, _, last, _, truth = parts(panel)
        keys = zip(last, frame["educ"], frame["exper"], frame["sex"], strict=True)
        return dict(zip(keys, truth, strict=True))

    ours, theirs = cells(one), cells(other)
    shared = set(ours) & set(theirs)
    assert len(shared) > 50
    assert all(np.allclose(ours[key], theirs[key], rtol=1e-12) for key in shared)


@pytest.mark.parametrize("change", [{"shift": 0.5}, {"parameters_seed": 1}])
def test_other_populations(change) -> None:
    one, other = simulate_careers(300, 5), simulate_careers(300, 5, **change)
    first = one.is_first & other.is_first
    assert np.abs(one.truth.to_numpy()[first] - other.truth.to_numpy()[first]).max() > 0.01
    assert one.choices == other.choices
    pd.testing.assert_frame_equal(simulate_careers(300, 5, shift=0).truth, one.truth)


def test_a_seed_sequence_is_not_used_up() -> None:
    root = np.random.SeedSequence(5)
    pd.testing.assert_frame_equal(simulate_careers(20, 3, seed=root).truth, simulate_careers(20, 3, seed=root).truth)
    assert root.n_children_spawned == 0


def test_what_the_panel_holds() -> None:
    panel = simulate_careers(200, 12, records=(2, 6))
    jobs = load_occ1990dd().set_index("occupation")["title"]
    assert all(jobs[code] == title for code, title in zip(panel.choices.codes, panel.choices.titles, strict=True))
    assert len(panel.persons) == 200
    lengths = pd.Series(panel.person_ids).value_counts()
    assert set(lengths) == {2, 3, 4, 5, 6}
    assert list(panel.truth.columns) == list(panel.choices.codes)
    assert panel.roles.lagged == ("wage",)
    frame = panel.to_frame()
    assert (frame["wage"] > 0).all()
    assert (frame["year"].groupby(panel.person_ids).diff().dropna() == 1).all()
    assert "wage: " in panel.resumes()[1].text
    train, test = panel.split([0.5, 0.5], seed=0)
    assert train.truth.shape == (len(train), 12)
    row = test.index[3]
    pd.testing.assert_series_equal(test.truth.loc[row], panel.truth.loc[row])


def test_more_occupations_than_titles() -> None:
    panel = simulate_careers(5, 400)
    assert panel.choices.codes == tuple(range(1, 401))
    assert panel.choices.title(400) == "Occupation 400"


def test_two_occupations_and_one_record() -> None:
    assert len(simulate_careers(3, 2, "two_stage", 2, records=(1, 1))) == 3
    assert len(simulate_careers(3, 2, "two_stage", 2, records=(4, 4))) == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"persons": 0}, "persons=0"),
        ({"occupations": 1}, "occupations=1"),
        ({"process": "mln"}, "Did you mean 'mnl'"),
        ({"order": 3}, "order=3"),
        ({"shift": float("nan")}, "shift=nan"),
        ({"records": (5, 2)}, "fewest records come first"),
        ({"records": 5}, "fewest and the most"),
        ({"records": (0, 2)}, "records=0"),
        ({"seed": -1}, "seed=-1"),
        ({"parameters_seed": -1}, "parameters_seed=-1"),
    ],
)
def test_simulation_refuses(options, message) -> None:
    with pytest.raises(OptionError, match=message):
        simulate_careers(**({"persons": 3, "occupations": 3} | options))
