"""Forecasts against predictions, enumerated paths and scikit-learn."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import econllm as el
from econllm.career import paths
from econllm.career.forecast import state_positions
from econllm.errors import DataError, EconLLMError, OptionError
from tests.career.samples import CHOICES, ROLES, careers, fitted, loud, panel, panel_of

CUTOFF = 1994
TWO = el.ChoiceSet([10, 20], ["Cook", "Head cook"])
HELD = ["sex", "birth", "region", "educ"]


def after(data, cutoff=CUTOFF):
    """Records after the cutoff of persons with records before it, numbered from 1 within persons."""
    frame = data.to_frame()
    known = frame.groupby("id")["year"].transform("min") <= cutoff
    later = frame[known & (frame["year"] > cutoff)]
    return later.assign(ahead=later.groupby("id").cumcount() + 1)


def as_known(data, covariates, cutoff=CUTOFF):
    """The panel's records with what a forecast knows of them: columns after the cutoff are those of the last record."""
    frame = data.to_frame()
    known = frame[frame["year"] <= cutoff].groupby("id").tail(1).set_index("id")
    columns = ["hours", "sector", *(HELD if covariates == "held" else [])]
    late = (frame["year"] > cutoff) & frame["id"].isin(known.index)
    for column in columns:
        frame.loc[late, column] = frame.loc[late, "id"].map(known[column]).astype(frame[column].dtype)
    return frame


@pytest.mark.parametrize("covariates", ["held", "realised"])
def test_one_record_ahead_is_the_prediction(covariates):
    model, data = loud(fitted()), panel(40, seed=3)
    found = model.forecast(data, CUTOFF, draws=3, seed=0, states=CHOICES.codes, covariates=covariates)
    later = after(data)
    first = later.index[later["ahead"] == 1]
    known = model.predict_proba(panel_of(as_known(data, covariates)))
    np.testing.assert_allclose(found.proba.loc[first], known.loc[first], rtol=1e-5)
    if covariates == "realised":
        np.testing.assert_allclose(found.proba.loc[first], model.predict_proba(data).loc[first], rtol=1e-5)
    else:
        assert np.abs(found.proba.loc[first] - model.predict_proba(data).loc[first]).to_numpy().max() > 0.01


def enumerated(model, data, covariates, ahead, cutoff):
    """Exact probabilities of the first of two states so many records ahead, and their variance over paths."""
    base = as_known(data, covariates, cutoff)
    later = after(data, cutoff)
    rows = later.index[later["ahead"] == ahead]
    wanted = later.index[(later["ahead"] < ahead) & later["id"].isin(later.loc[rows, "id"])]
    mean, square = np.zeros(len(rows)), np.zeros(len(rows))
    for path in itertools.product([10, 20], repeat=ahead - 1):
        frame = base.copy()
        frame.loc[wanted, "job"] = np.array(path)[later.loc[wanted, "ahead"] - 1]
        moved = panel_of(frame, titles=TWO)
        scores = model.log_likelihood(moved)
        weight = np.exp(scores[wanted].groupby(later.loc[wanted, "id"]).sum())
        weight = weight.reindex(later.loc[rows, "id"]).fillna(1.0).to_numpy()
        p = model.predict_proba(moved).loc[rows, 10].to_numpy()
        mean += weight * p
        square += weight * p**2
    return pd.Series(mean, index=rows), square - mean**2


@pytest.mark.parametrize(("covariates", "spell"), [("held", False), ("realised", True)])
def test_path_averages_agree_with_all_paths(covariates, spell):
    data = panel_of(careers(14, seed=5, longest=8, only=2), titles=TWO)
    model = loud(
        el.CAREER(layers=1, dim=16, heads=2, spell=spell, training=el.Training(epochs=1)).fit(data, seed=0), 0, 0.4
    )
    draws = 4000
    found = model.forecast(data, 1993, draws, seed=0, states=[10, 20], covariates=covariates)
    later = after(data, 1993)
    spread = 0.0
    for ahead in (1, 2, 3, 4):
        exact, variance = enumerated(model, data, covariates, ahead, 1993)
        error = np.sqrt(np.maximum(variance, 0) / draws)
        assert (np.abs(found.proba.loc[exact.index, 10] - exact) <= 4.5 * error + 2e-6).all()
        spread = max(spread, np.sqrt(np.maximum(variance, 0)).max())
    assert spread > 0.05
    assert later["ahead"].max() >= 4
    assert found.proba.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-9)


def test_numbers_of_a_forecast_belong_together():
    model, data = loud(fitted(), scale=0.1), panel(60, seed=3)
    found = model.forecast(data, CUTOFF, draws=20, seed=0, states=CHOICES.codes)
    later = after(data)
    assert found.log_likelihood.index.equals(later.index)
    assert found.proba.index.equals(later.index)
    realised = found.proba.to_numpy()[np.arange(len(later)), CHOICES.positions(later["job"])]
    np.testing.assert_allclose(found.log_likelihood, np.log(realised), rtol=1e-12)
    assert found.perplexity.value == pytest.approx(np.exp(-found.log_likelihood.mean()))
    assert (found.perplexity.n, found.perplexity.persons) == (len(later), later["id"].nunique())
    for frame, groups in ((found.by_horizon, later["ahead"]), (found.by_time, later["year"])):
        expected = np.exp(-found.log_likelihood.groupby(groups).mean())
        np.testing.assert_allclose(frame["perplexity"], expected)
        assert frame["n"].tolist() == groups.value_counts().sort_index().tolist()
        assert frame.index.tolist() == expected.index.tolist()
    for code in CHOICES.codes:
        assert found.auc[code] == pytest.approx(roc_auc_score(later["job"] == code, found.proba[code]))
        assert found.events[code] == (later["job"] == code).sum()


@pytest.mark.parametrize(
    ("states", "message"),
    [(10, "states=10 is not allowed: give a list"), ([["Nurse"]], r"states names \['Nurse'\], which is neither code")],
)
def test_states_that_are_no_list_of_names_are_refused(states, message):
    with pytest.raises(OptionError, match=message):
        fitted().forecast(panel(), CUTOFF, draws=2, seed=0, states=states)


def test_states_have_ten_records_or_are_named():
    model, data = fitted(), panel(40, seed=3)
    counts = after(data)["job"].value_counts().reindex(CHOICES.codes)
    found = model.forecast(data, CUTOFF, draws=2, seed=0)
    assert found.auc.index.tolist() == [c for c in CHOICES.codes if 10 <= counts[c] <= counts.sum() - 10]
    assert 0 < len(found.auc) < len(CHOICES)
    named = model.forecast(data, CUTOFF, draws=2, seed=0, states=["Nurse", 10])
    assert named.auc.index.tolist() == named.proba.columns.tolist() == [40, 10]
    pd.testing.assert_series_equal(named.log_likelihood, found.log_likelihood)
    none = model.forecast(data, CUTOFF, draws=2, seed=0, states=[])
    assert none.proba.shape[1] == len(none.auc) == 0
    assert "ROC" not in str(none)


def test_nothing_after_the_cutoff_is_used_but_times():
    model, data = loud(fitted()), panel(40, seed=3)
    found = model.forecast(data, CUTOFF, draws=5, seed=0, states=CHOICES.codes)
    frame, other = data.to_frame(), np.random.default_rng(0)
    late = frame["year"] > CUTOFF
    for column in ("job", "region", "educ", "hours", "sector"):
        frame.loc[late, column] = other.permutation(frame.loc[late, column])
    again = model.forecast(panel_of(frame), CUTOFF, draws=5, seed=0, states=CHOICES.codes)
    pd.testing.assert_frame_equal(found.proba, again.proba)
    assert not found.log_likelihood.equals(again.log_likelihood)


def test_records_that_are_not_predicted_are_steps_all_the_same():
    model, data = loud(fitted()), panel(40, seed=3)
    whole = model.forecast(data, CUTOFF, draws=5, seed=0)
    late = model.forecast(data.split_time(CUTOFF)[1], CUTOFF, draws=5, seed=0)
    pd.testing.assert_series_equal(whole.log_likelihood, late.log_likelihood, rtol=1e-5)
    later = after(data)
    # Only the records after 1996 are predicted, and those of 1995 and 1996 are simulated before them.
    last = model.forecast(data.split_time(1996)[1], CUTOFF, draws=4000, seed=0)
    assert last.log_likelihood.index.equals(later.index[later["year"] > 1996])
    many = model.forecast(data, CUTOFF, draws=4000, seed=0)
    both = last.log_likelihood.index
    assert last.log_likelihood.to_numpy() == pytest.approx(many.log_likelihood[both].to_numpy(), abs=0.15)
    assert last.by_horizon.index.min() > 1


def test_how_the_work_is_cut_does_not_matter(monkeypatch):
    model, data = loud(fitted()), panel(40, seed=3)
    whole = model.forecast(data, CUTOFF, draws=5, seed=0, states=CHOICES.codes)
    assert not whole.proba.equals(model.forecast(data, CUTOFF, draws=5, seed=1, states=CHOICES.codes).proba)
    for size in (1, 2**15):
        monkeypatch.setattr(paths, "_BYTES", size)
        again = model.forecast(data, CUTOFF, draws=5, seed=0, states=CHOICES.codes)
        pd.testing.assert_frame_equal(again.proba, whole.proba, rtol=1e-5)


def test_copies_of_a_person_are_one_cluster():
    model, data = fitted(), panel(40, seed=3).resample(seed=0)
    found = model.forecast(data, CUTOFF, draws=2, seed=0)
    later = after(data)
    origin = pd.Series(data.origin_ids, index=data.index)[later.index]
    assert found.perplexity.n == len(later)
    assert found.perplexity.persons == origin.nunique() < later["id"].nunique()


def test_the_summary_says_what_was_forecast():
    found = fitted().forecast(panel(40, seed=3), CUTOFF, draws=20, seed=0)
    text = str(found)
    assert text == str(found.summary())
    for part in ("Forecast", "1994", "held", "20", f"{found.perplexity.n}", "Perplexity by records ahead", "ROC"):
        assert part in text
    assert repr(found).startswith("<Forecast after 1994: perplexity ")
    assert "<table" in found._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"draws": 0}, "draws=0 is not allowed"),
        ({"cutoff": "1994"}, "cutoff='1994' is not allowed: give a finite number"),
        ({"cutoff": 1980}, "cutoff=1980: no person has records up to it.*year runs from 1990 to"),
        ({"cutoff": 2050}, "cutoff=2050: no person"),
        ({"covariates": "realized"}, "covariates='realized' is not an option.*Did you mean 'realised'"),
        ({"states": "Nurse"}, r"is one text; give a list, \['Nurse'\]"),
        ({"states": ["Nurze"]}, "'Nurze', which is neither code nor title.*Did you mean 'Nurse'"),
        ({"states": [40, "Nurse"]}, "'Nurse' twice"),
        ({"seed": "x"}, "seed='x' is not a seed"),
    ],
)
def test_options_are_checked(arguments, message):
    with pytest.raises(OptionError, match=message):
        fitted().forecast(panel(40, seed=3), **{"cutoff": CUTOFF, "draws": 2, **arguments})


def test_data_that_cannot_be_forecast_are_refused():
    with pytest.raises(DataError, match="no rows"):
        fitted().forecast(panel(40, seed=3).subset([]), CUTOFF, 2)
    with pytest.raises(EconLLMError, match="DataFrame"):
        fitted().forecast(careers(), CUTOFF, 2)
    single = el.CareerPanel(careers().drop_duplicates("id"), **ROLES, titles=CHOICES)
    with pytest.raises(OptionError, match="no person has records up to it and records to predict after it"):
        fitted().forecast(single, CUTOFF, 2)


def test_codes_come_before_titles():
    choices = el.ChoiceSet(["a", "b"], ["b", "c"])
    assert state_positions(["b", "c"][:1], choices).tolist() == [1]
    assert state_positions(np.array(["a"]), choices).tolist() == [0]
