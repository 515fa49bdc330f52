"""Simulated careers: the probabilities they are drawn from, what is held and moved, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import econllm as el
from econllm.career import paths, simulate
from econllm.career.paths import Paths, chunks, pick
from econllm.errors import DataError, EconLLMError, MissingColumnError, OptionError, UnseenLevelError
from tests.career.samples import MORE, ROLES, careers, fitted, loud, panel, panel_of

OPTIONS = {
    "default": {},
    "published head": {"returns": False},
    "one stage": {"two_stage": False},
    "sinusoidal, two blocks": {"position": "sinusoidal", "layers": 2},
    "no calendar": {"position": None, "calendar": None, "gap": False},
    "slope and spells": {"calendar": "number", "spell": True},
}


def older(new):
    """Education grows, regions differ by draw, and from the second record on the simulated jobs have hours."""
    region = np.where(new["draw"] == 1, "east", "west")
    hours = new["hours"].where(new["step"] == 1, 20.0 + new["step"])
    return new.assign(educ=new["educ"] + 1, region=region, hours=hours)


def continued(data, simulated, moved):
    """History and simulated records of every person and draw as one panel, and which rows are new."""
    history = data.to_frame(history=True)
    last = history.groupby("id").tail(1).set_index("id")
    parts = []
    for draw, drawn in simulated.groupby("draw"):
        new = last.loc[drawn["id"]].reset_index().assign(year=drawn["year"].to_numpy(), job=drawn["job"].to_numpy())
        if moved:
            step = drawn["step"].to_numpy()
            # A lagged column belongs to the record before the one whose frame the function changed.
            new = new.assign(educ=new["educ"] + step, region="east" if draw == 1 else "west", hours=21.0 + step)
        both = pd.concat([history.assign(new=False), new.assign(new=True)], ignore_index=True)
        parts.append(both.assign(id=both["id"] * 10 + draw))
    frame = pd.concat(parts, ignore_index=True)
    return panel_of(frame.drop(columns="new")), frame["new"]


def watch(monkeypatch):
    """Keep the probabilities that occupations are drawn from, step by step."""
    seen = []

    class Watched(Paths):
        def draw(self, uniform):
            seen.append(self.proba())
            return super().draw(uniform)

    monkeypatch.setattr(simulate, "Paths", Watched)
    return seen


@pytest.mark.parametrize("moved", [False, True], ids=["held", "moved"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_probabilities_are_those_of_the_whole_career_read_at_once(monkeypatch, options, moved):
    model, data = loud(fitted(**options)), panel(12, seed=3)
    seen = watch(monkeypatch)
    out = model.simulate(data, horizon=3, draws=2, seed=0, covariates=older if moved else None)
    whole, new = continued(data, out, moved)
    table = model.predict_proba(whole)[new.loc[whole.index]]
    by_path = dict(list(table.groupby(whole.to_frame().loc[table.index, "id"])))
    # Persons are followed in the order of the length of their histories.
    lengths = data.to_frame().groupby("id").size().sort_values(kind="stable")
    for step, proba in enumerate(seen):
        for i, person in enumerate(lengths.index):
            for draw in (1, 2):
                expected = by_path[person * 10 + draw].iloc[step]
                assert proba[i, draw - 1] == pytest.approx(expected.to_numpy(), abs=1e-5)


def test_draws_follow_the_probabilities():
    model, data = loud(fitted()), panel(3, seed=1)
    draws = 4000
    out = model.simulate(data, horizon=1, draws=draws, seed=0)
    whole, new = continued(data, out[out["draw"] == 1], False)
    expected = model.predict_proba(whole)[new.loc[whole.index]].to_numpy()
    found = pd.crosstab(out["id"], out["job"]).reindex(columns=model.choices.codes, fill_value=0) / draws
    error = np.sqrt(expected * (1 - expected) / draws)
    assert (np.abs(found.to_numpy() - expected) <= 4 * error + 1e-6).all()


def test_occupations_never_seen_have_their_reserved_probability(monkeypatch):
    model, data = fitted(MORE), panel(12, seed=3, titles=MORE)
    seen = watch(monkeypatch)
    model.simulate(data, horizon=2, draws=3, seed=0)
    move = seen[1][..., :5].sum(axis=2)
    assert seen[1].sum(axis=2) == pytest.approx(1, abs=1e-9)
    assert (move < 1).all()
    assert seen[1][..., 5:].sum(axis=2) == pytest.approx(1 - move, abs=1e-12)


@pytest.mark.parametrize("size", [1, 2**15])
def test_how_the_work_is_cut_does_not_matter(monkeypatch, size):
    model, data = loud(fitted()), panel(12, seed=3)
    whole = model.simulate(data, horizon=3, draws=5, seed=0)
    moved = model.simulate(data, horizon=3, draws=5, seed=0, covariates=older)
    monkeypatch.setattr(paths, "_BYTES", size)
    pd.testing.assert_frame_equal(model.simulate(data, horizon=3, draws=5, seed=0), whole)
    pd.testing.assert_frame_equal(model.simulate(data, horizon=3, draws=5, seed=0, covariates=older), moved)


def test_chunks_hold_every_path_once():
    lengths = np.array([5, 1, 30, 2, 2])
    shape = fitted().predictor.network.shape
    for draws in (1, 7, 100_000):
        count = np.zeros((5, draws), dtype=int)
        for persons, some in chunks(np.argsort(lengths), lengths, draws, 10, shape):
            count[persons, some] += 1
        assert (count == 1).all()


def test_the_seed_decides_and_more_draws_or_records_change_nothing():
    model, data = loud(fitted()), panel(12, seed=3)
    some = model.simulate(data, horizon=2, draws=3, seed=0)
    pd.testing.assert_frame_equal(some, model.simulate(data, 2, 3, np.random.SeedSequence(0)))
    more = model.simulate(data, horizon=4, draws=5, seed=0)
    kept = more[(more["draw"] <= 3) & (more["step"] <= 2)].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, kept)
    other = model.simulate(data, horizon=2, draws=3, seed=1)
    assert (other["job"] != some["job"]).any()
    assert len({tuple(path) for _, path in more[more["id"] == 3].groupby("draw")["job"]}) > 1


def test_the_frame_is_sorted_and_time_goes_on():
    data = panel(12, seed=3)
    out = fitted().simulate(data, horizon=3, draws=2, seed=0)
    frame = data.to_frame()
    assert out.columns.tolist() == ["id", "draw", "step", "year", "job"]
    assert out.index.equals(pd.RangeIndex(12 * 2 * 3))
    assert out[["id", "draw", "step"]].apply(tuple, axis=1).is_monotonic_increasing
    assert out[["id", "year", "job"]].dtypes.tolist() == frame[["id", "year", "job"]].dtypes.tolist()
    last = frame.groupby("id")["year"].last()
    median = frame.groupby("id")["year"].diff().median()
    assert (out["year"] - out["id"].map(last) == out["step"] * median).all()
    half = fitted().simulate(data, horizon=2, draws=1, seed=0, step=0.5)
    assert (half["year"] - half["id"].map(last)).tolist() == [0.5, 1.0] * 12


@pytest.mark.parametrize("kind", ["string", "category", "object"])
def test_occupations_and_times_keep_their_types(kind):
    df = careers(12, seed=3)
    df = df.assign(job=("job " + df["job"].astype(str)).astype(kind), year=df["year"].astype("Int64"))
    data = panel_of(df, titles=None)
    out = el.CAREER(layers=1, dim=16, heads=2, training=el.Training(epochs=1)).fit(data, seed=0).simulate(data, 2, 2, 0)
    assert out["job"].dtype == df["job"].dtype
    assert out["year"].dtype == "Int64"
    assert set(out["job"]) <= set(df["job"])


def test_a_function_that_changes_nothing_holds_covariates():
    model, data = loud(fitted()), panel(12, seed=3)
    held = model.simulate(data, horizon=3, draws=3, seed=0)
    pd.testing.assert_frame_equal(model.simulate(data, 3, 3, 0, covariates=lambda new: new), held)


def test_what_the_function_sees():
    model, data = fitted(), panel(12, seed=3)
    seen = []

    def keep(new):
        seen.append(new.copy())
        return older(new)

    out = model.simulate(data, horizon=3, draws=2, seed=0, covariates=keep)
    assert seen[0].columns.tolist() == [
        *("id", "draw", "step", "year", "last_occupation"),
        *("sex", "birth", "region", "educ", "hours", "sector"),
    ]
    last = data.to_frame().groupby("id").tail(1).set_index("id")
    for step, frame in enumerate(seen, start=1):
        keyed = frame.merge(out[out["step"] == step], on=["id", "draw", "year", "step"], validate="one_to_one")
        assert len(keyed) == 24
        educ = frame["id"].map(last["educ"]) + step - 1
        assert frame["educ"].to_numpy() == pytest.approx(educ.to_numpy(), nan_ok=True)
        before = last["job"].rename("job").reset_index() if step == 1 else out[out["step"] == step - 1]
        on = ["id"] if step == 1 else ["id", "draw"]
        assert (frame.merge(before, on=on)["job"] == frame.merge(before, on=on)["last_occupation"]).all()
    assert (seen[0]["hours"].isna() == seen[0]["id"].map(last["hours"]).isna()).all()


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda new: None, DataError, "at step 1 gave back a NoneType"),
        (lambda new: new.iloc[1:], DataError, "gave back 23 rows for 24"),
        (lambda new: new.iloc[::-1], DataError, "in another order"),
        (lambda new: new.drop(columns=["educ", "sex"]), MissingColumnError, "dropped the columns 'sex', 'educ'"),
        (lambda new: new.assign(educs=1), DataError, "added the column 'educs'. Did you mean 'educ'"),
        (lambda new: new.assign(year=2000), DataError, "changed 'year', which it may only read"),
        (lambda new: new.assign(last_occupation=10), DataError, "changed 'last_occupation'"),
        (lambda new: new.assign(region="eest"), UnseenLevelError, "24 rows hold 1 levels.*'eest'. Did you mean 'west'"),
        (lambda new: new.assign(educ="high"), DataError, "column 'educ': the model knows numbers, and 24 rows"),
    ],
)
def test_a_function_that_gives_back_something_else_is_refused(function, error, message):
    with pytest.raises(error, match=message):
        fitted().simulate(panel(12, seed=3), horizon=1, draws=2, seed=0, covariates=function)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"horizon": 0}, "horizon=0 is not allowed: give a whole number of at least 1"),
        ({"horizon": 1.5}, "horizon=1.5"),
        ({"draws": 0}, "draws=0"),
        ({"draws": True}, "draws=True"),
        ({"step": 0}, "step=0 is not allowed: give a finite number above 0"),
        ({"step": float("nan")}, "step=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"covariates": "held"}, "covariates='held' is no function"),
    ],
)
def test_options_are_checked_first(arguments, message):
    with pytest.raises(OptionError, match=message):
        fitted().simulate(panel(12, seed=3), **{"horizon": 2, "draws": 2, **arguments})


def test_data_that_cannot_go_on_are_refused():
    model, df = fitted(), careers(12, seed=3)
    with pytest.raises(EconLLMError, match="DataFrame"):
        model.simulate(df, 2, 2)
    with pytest.raises(DataError, match="no rows"):
        model.simulate(panel(12, seed=3).subset([]), 2, 2)
    single = panel_of(df.sort_values("year").groupby("id").head(1))
    with pytest.raises(OptionError, match="no person has two: give step="):
        model.simulate(single, 2, 2)
    assert len(model.simulate(single, 2, 2, step=1)) == 48
    taken = el.CareerPanel(df.rename(columns={"weight": "draw"}), **ROLES, weights="draw")
    with pytest.raises(DataError, match="column 'draw'"):
        model.simulate(taken, 2, 2)


def test_history_rows_count_and_so_do_copies_of_persons():
    model, data = loud(fitted()), panel(12, seed=3)
    last = data.to_frame().groupby("id")["year"].last()
    late = data.split_time(1993)[1]
    out = model.simulate(late, 1, 1, seed=0, step=1)
    assert (out["year"] == out["id"].map(last) + 1).all()
    again = model.simulate(data.resample(seed=0), 2, 2, seed=0)
    assert again["id"].nunique() == 12


proba = arrays.arrays(np.float64, (4, 5), elements=st.floats(0, 1)).map(
    lambda p: p / np.maximum(p.sum(1), 1e-9)[:, None]
)


@given(
    proba,
    st.lists(st.integers(1, 5), min_size=4, max_size=4),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4),
)
def test_nothing_impossible_is_drawn(table, last, uniform):
    table = np.where(table.sum(axis=1, keepdims=True) > 0.5, table, 0.2)
    table /= table.sum(axis=1, keepdims=True)
    last, uniform = np.array(last), np.array(uniform)
    drawn = pick(table, last, uniform)
    chance = table[np.arange(4), drawn]
    stay = table[np.arange(4), last - 1]
    assert (drawn[uniform < stay] == last[uniform < stay] - 1).all()
    assert (chance[uniform >= stay] > 0).all() or np.isclose(stay[chance == 0], 1).all()


def test_one_ladder_of_uniform_numbers_gives_every_share():
    table = np.array([[0.1, 0.2, 0.0, 0.3, 0.4]])
    uniform = (np.arange(1000) + 0.5) / 1000
    drawn = pick(np.repeat(table, 1000, axis=0), np.full(1000, 4), uniform)
    assert np.bincount(drawn, minlength=5).tolist() == [100, 200, 0, 300, 400]
    assert (drawn[:300] == 3).all()
