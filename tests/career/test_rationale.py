"""Rationales: what they find where the truth is known, and that hidden records say nothing."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

import econllm as el
from econllm.career import rationale as module
from econllm.career.batches import Store
from econllm.career.rationale import rationale_of
from econllm.errors import DataError, OptionError
from tests.career.samples import MORE, fitted, loud, panel

LENGTH = 5
TITLES = {1: "Art", 2: "Baking", 3: "Idle", 4: "Painter", 5: "Baker"}


@pytest.fixture(scope="module")
def remembering():
    """Training in art or baking, idle years, then the trade that was learned; and a model of that."""
    g = np.random.default_rng(0)
    rows = []
    for person in range(300):
        first = int(g.integers(1, 3))
        rows += [(person, t, job) for t, job in enumerate([first, *[3] * (LENGTH - 2), first + 3])]
    data = el.CareerPanel(
        pd.DataFrame(rows, columns=["id", "t", "job"]), "id", "t", "job", titles=el.ChoiceSet.from_titles(TITLES)
    )
    training = el.Training(epochs=25, batch=16, learning_rate=0.005)
    model = el.CAREER(layers=1, dim=32, heads=2, dropout=0.0, returns=False, history_dropout=0.5, training=training)
    return model.fit(data, seed=0), data


def test_it_finds_the_record_that_matters(remembering):
    fit, data = remembering
    final = data.index[data.record_numbers == LENGTH][:40]
    found = [fit.rationale(data, row) for row in final]
    assert all(r.reached and r.full_probability > 0.8 for r in found)
    needed = [r for r in found if len(r.frame) > 1]
    # Without the first record the two trades are as likely, so that half of the careers need it.
    assert 10 <= len(needed) <= 30
    for r in needed:
        assert r.frame["time"].tolist() == [LENGTH - 1, 1]
        assert r.frame["title"].iloc[1] in ("Art", "Baking")
        assert r.frame["probability"].iloc[1] > 0.8
        assert 0.1 < r.frame["probability"].iloc[0] < 0.6
        assert r.frame["rank"].tolist() == [2, 1]
        assert r.share == 2 / LENGTH


def test_another_occupation_can_be_explained(remembering):
    fit, data = remembering
    at = np.flatnonzero((data.record_numbers == LENGTH) & (data.outcome == 3))[0]
    by_code, by_title = (fit.rationale(data, data.index[at], target=name) for name in (5, "Baker"))
    pd.testing.assert_frame_equal(by_code.frame, by_title.frame)
    assert (by_code.occupation, by_code.title) == (5, "Baker")
    never = fit.rationale(data, data.index[at], target="Art")
    assert not never.reached
    assert never.frame["time"].tolist()[0] == LENGTH - 1
    assert sorted(never.frame["time"]) == list(range(LENGTH))
    assert never.frame["probability"].iloc[-1] == pytest.approx(never.full_probability, rel=1e-6)
    assert "NOT REACHED" in str(never)
    assert any("another occupation is still more probable" in note for note in never.summary().notes)


@pytest.fixture(scope="module")
def hidden():
    return loud(fitted(layers=2, history_dropout=0.5), scale=0.5)


def long_rows(data, records=5):
    return np.flatnonzero(data.record_numbers == records)[:6]


def test_it_is_the_greedy_search(hidden):
    """Step by step: no other earlier record would have made the occupation more probable."""
    data, choices = panel(), hidden.choices
    compared = 0
    for at, target in itertools.product(long_rows(data)[:3], choices.codes):
        found = hidden.rationale(data, data.index[at], target)
        career, goal = data.subset([found.person]), choices.codes.index(target)
        careers = hidden.predictor.coding.read(career, choices)
        places = [int(np.flatnonzero(career.times == time)[0]) for time in found.frame["time"]]
        assert places[0] == found.records - 1
        for step in range(1, len(places)):
            proba = {}
            for extra in set(range(found.records)) - set(places[:step]):
                keep = np.isin(np.arange(found.records), [*places[:step], extra])[None]
                proba[extra] = module._tables(hidden.predictor, careers, found.records - 1, False, keep)[0]
            best = max(proba, key=lambda place: proba[place][goal])
            assert places[step] == best
            assert found.frame["probability"].iloc[step] == pytest.approx(proba[best][goal], rel=1e-5)
            assert found.frame["rank"].iloc[step] == 1 + (proba[best] > proba[best][goal]).sum()
            compared += len(proba) > 1
        assert (found.frame["rank"].iloc[:-1] > 1).all()
        assert found.reached == (found.frame["rank"].iloc[-1] == 1)
    assert compared >= 10


def test_given_all_records_the_probability_is_that_of_the_model(hidden):
    data = panel()
    proba = hidden.predict_proba(data)
    for at in long_rows(data):
        found = hidden.rationale(data, data.index[at])
        assert found.full_probability == pytest.approx(proba.loc[data.index[at], found.occupation], rel=1e-5)


def test_hidden_records_are_left_out_as_they_are_masked_in_training(hidden):
    data = panel()
    career = data.subset([data.person_ids[long_rows(data)[0]]])
    careers, device = hidden.predictor.coding.read(career, hidden.choices), hidden.predictor.device
    keep = np.array([[True, False, True, False, True], [False, False, True, True, True]])
    rows, own = torch.arange(5).expand(2, -1), torch.tensor([4, 4])
    with torch.inference_mode():
        batch = Store.of(careers, device).batch(rows, torch.as_tensor(keep))
        states = hidden.predictor.network(batch)
    masked = np.exp(hidden.predictor.of_rows(states, torch.arange(2), own, batch))
    found = module._tables(hidden.predictor, careers, 4, False, keep)
    np.testing.assert_allclose(found, masked, rtol=1e-4, atol=1e-7)


def test_hidden_records_say_nothing(hidden):
    """What a hidden record holds changes no probability; what a kept one holds does."""
    data = panel()
    at = long_rows(data)[0]
    career = data.subset([data.person_ids[at]])
    careers = hidden.predictor.coding.read(career, hidden.choices)
    keep = np.array([[True, False, True, False, True]])
    before = module._tables(hidden.predictor, careers, 4, False, keep)
    for place, matters in ((1, False), (3, False), (0, True), (2, True)):
        numbers = careers.numbers.copy()
        numbers[place] += 1
        changed = type(careers)(**{**careers.__dict__, "numbers": numbers})
        after = module._tables(hidden.predictor, changed, 4, False, keep)
        assert (np.abs(after - before).max() > 1e-6) == matters


def test_candidates_in_several_batches_give_the_same(hidden, monkeypatch):
    data = panel()
    row = data.index[long_rows(data)[1]]
    whole = hidden.rationale(data, row)
    monkeypatch.setattr(module, "_RECORDS", 5)
    pd.testing.assert_frame_equal(hidden.rationale(data, row).frame, whole.frame, rtol=1e-5)


def test_neither_mode_nor_generator_nor_company_matters(hidden):
    data = panel()
    row = data.index[long_rows(data)[1]]
    first = hidden.rationale(data, row)
    torch.manual_seed(5)
    hidden.predictor.network.train()
    alone = hidden.rationale(data.subset([first.person]), row)
    pd.testing.assert_frame_equal(first.frame, alone.frame)


def test_first_records_have_themselves_only(hidden):
    data = panel()
    found = hidden.rationale(data, data.index[0])
    assert found.records == len(found.frame) == 1
    assert found.share == 1
    assert found.frame["occupation"].isna().all()
    assert found.frame["title"].tolist() == ["(none)"]
    assert found.frame["record"].iloc[0].endswith(" first record")


def test_records_before_a_split_in_time_take_part(hidden):
    _, late = panel().split_time(1993)
    earlier = pd.Series(panel().record_numbers, index=panel().index)
    row = late.index[earlier[late.index].argmax()]
    found = hidden.rationale(late, row)
    assert found.records == earlier[row]
    pd.testing.assert_frame_equal(found.frame, hidden.rationale(panel(), row).frame)
    history = next(i for i in panel().index if i not in late.index)
    with pytest.raises(DataError, match="is history and not predicted"):
        hidden.rationale(late, history)


def test_occupations_that_are_texts_and_unseen_ones(hidden):
    df = panel().to_frame()
    df["job"] = df["job"].map(lambda code: f"j{code}")
    titles = el.ChoiceSet([f"j{code}" for code in MORE.codes], MORE.titles)
    data = el.CareerPanel(df, "id", "year", "job", titles=titles, static=["sex"])
    model = hidden.model.replace(layers=1)
    fit = model.fit(data, seed=0)
    found = fit.rationale(data, data.index[long_rows(data)[0]], target="Pilot")
    assert found.occupation == "j70"
    assert not found.reached
    assert found.frame["occupation"].dropna().isin(titles.codes).all()


def test_it_prints_as_a_table(hidden):
    data = panel()
    found = hidden.rationale(data, data.index[long_rows(data)[0]])
    text = str(found)
    assert found.title in text
    assert f"{len(found.frame)} of {found.records}" in text
    for record in found.frame["record"]:
        assert record in text
    assert repr(found).startswith("<Rationale of row ")
    assert "<table" in found._repr_html_()


def test_a_network_that_never_saw_hidden_records_is_refused():
    with pytest.raises(OptionError, match=r"history_dropout=0, .* fit CAREER\(history_dropout=0\.5\)"):
        fitted(history_dropout=0).rationale(panel(), panel().index[0])


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        (10_000, DataError, "row 10000 is not in the panel's index"),
        ([1, 2], OptionError, r"give one label of panel\.index"),
        ("a", DataError, "row 'a' is not in the panel's index"),
    ],
)
def test_wrong_rows_are_refused(hidden, row, error, message):
    with pytest.raises(error, match=message):
        hidden.rationale(panel(), row)


def test_rows_may_have_labels_of_several_levels(hidden):
    df = panel().to_frame()
    row = df.index[long_rows(panel())[0]]
    label = (int(df.loc[row, "id"]), int(df.loc[row, "year"]))
    roles = {"static": ["sex", "birth"], "dynamic": ["region", "educ"], "lagged": ["hours", "sector"]}
    both = df.set_index(pd.MultiIndex.from_frame(df[["id", "year"]], names=["who", "when"]))
    data = el.CareerPanel(both, "id", "year", "job", titles=panel().choices, **roles)
    pd.testing.assert_frame_equal(hidden.rationale(data, label).frame, hidden.rationale(panel(), row).frame)
    with pytest.raises(DataError, match="row 4 is not in the panel's index"):
        hidden.rationale(data, 4)


@pytest.mark.parametrize("two_stage", [True, False])
def test_destinations_given_a_move(two_stage):
    fit = loud(fitted(layers=2, history_dropout=0.5, two_stage=two_stage), scale=0.5)
    data = panel()
    at = next(at for at in long_rows(data) if data.outcome[at] != data.outcome[at - 1])
    proba = fit.predict_proba(data).iloc[at].to_numpy()
    last = data.outcome[at - 1]
    found = fit.rationale(data, data.index[at], given_move=True)
    assert found.full_probability == pytest.approx(proba[data.outcome[at]] / (1 - proba[last]), rel=1e-5)
    # The most probable destination is explained, even where staying is more probable.
    with torch.no_grad():
        fit.predictor.network.output.bias[last] = 20
        if two_stage:
            fit.predictor.network.move.bias[0] = -20
    destination = np.where(np.arange(5) == last, 0, proba).argmax()
    code = data.choices.codes[destination]
    plain, given = (fit.rationale(data, data.index[at], code, given_move=g) for g in (False, True))
    assert not plain.reached
    assert given.reached
    assert given.given_move
    assert any("given_move=True" in note for note in plain.summary().notes)
    assert any("among destinations of a move" in note for note in given.summary().notes)


def test_only_moves_are_explained_as_moves(hidden):
    data = panel()
    with pytest.raises(OptionError, match="is a first record, which leaves no occupation"):
        hidden.rationale(data, data.index[0], given_move=True)
    at = long_rows(data)[0]
    with pytest.raises(OptionError, match="a stay is no move"):
        hidden.rationale(data, data.index[at], data.choices.codes[data.outcome[at - 1]], given_move=True)
    with pytest.raises(OptionError, match="given_move='yes' is not an option"):
        hidden.rationale(data, data.index[at], given_move="yes")


def test_unknown_targets_are_refused_with_the_nearest(hidden):
    with pytest.raises(DataError, match=r"'Nurs' is neither a code nor a title .* Did you mean 'Nurse'"):
        hidden.rationale(panel(), panel().index[0], target="Nurs")


def test_ties_go_to_the_latest_record():
    """Where no record says anything, they come in one after the other, backwards."""
    fit = loud(fitted(history_dropout=0.5), scale=0.0)
    data = panel()
    at = long_rows(data)[0]
    with torch.no_grad():
        fit.predictor.network.output.bias[0] = 9.0
    # Wanted: neither the favourite nor the last occupation.
    last = data.outcome[at - 1]
    target = next(data.choices.codes[i] for i in itertools.count(1) if i != last)
    found = rationale_of(fit.predictor, fit.model, data, data.index[at], target, False)
    assert found.frame["time"].is_monotonic_decreasing
    assert not found.reached
