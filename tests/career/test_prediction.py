"""Predictions: probabilities that sum to one, look at nothing later, and do not depend on who else is there."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import econllm as el
from econllm.career.prediction import Unseen, combine
from econllm.errors import DataError
from tests.career.samples import CHOICES, MORE, TINY, careers, encoder, fitted, loud, panel, panel_of

NONE = Unseen(np.array([], dtype=int), 0.0)
GRID = [
    {"position": position, "calendar": calendar, "gap": gap, "returns": returns, "titles": titles}
    for position, calendar, gap, returns, titles in itertools.product(
        ["learned", "sinusoidal", None], ["learned", "number", None], [True, False], [True, False], [True, False]
    )
]


def sums_to_one(log_proba):
    np.testing.assert_allclose(np.exp(log_proba).sum(axis=1), 1, rtol=0, atol=1e-9)


@st.composite
def scores(draw):
    """Logits, log odds, last occupations, and occupations that were never seen."""
    rows, choices = draw(st.integers(1, 5)), draw(st.integers(2, 6))
    g = np.random.default_rng(draw(st.integers(0, 10_000)))
    logits = g.normal(scale=draw(st.sampled_from([0.1, 3.0, 300.0])), size=(rows, choices))
    move = g.normal(scale=10, size=rows) if draw(st.booleans()) else None
    unseen = draw(st.sets(st.integers(0, choices - 1), max_size=choices - 1))
    reserve = draw(st.sampled_from([1e-6, 0.3, 1.0 - 1e-9])) if unseen else 0.0
    return logits, move, g.integers(0, choices + 1, rows), Unseen(np.array(sorted(unseen), dtype=int), reserve)


@given(scores())
def test_rows_sum_to_one_whatever_the_scores(given_scores):
    _, move, last, _ = given_scores
    out = combine(*given_scores)
    sums_to_one(out)
    if move is None:
        return
    for row, own in enumerate(last):
        if own:
            assert out[row, own - 1] == pytest.approx(-np.logaddexp(0, move[row]), abs=1e-9)


def test_two_stages_with_pencil_and_paper():
    logits = np.log([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    # Odds of moving of 3 to 1; at the first record there is no first stage.
    p = np.exp(combine(logits, np.log([3.0, 3.0]), np.array([2, 0]), NONE))
    np.testing.assert_allclose(p, [[0.75 / 4, 0.25, 0.75 * 3 / 4], [1 / 6, 2 / 6, 3 / 6]])
    np.testing.assert_allclose(np.exp(combine(logits, None, np.array([2, 0]), NONE)), [[1 / 6, 2 / 6, 3 / 6]] * 2)


def test_what_is_set_aside_with_pencil_and_paper():
    logits, unseen = np.log([[1.0, 2.0, 3.0, 4.0]] * 4), Unseen(np.array([2, 3]), 0.1)
    last = np.array([0, 1, 3, 4])
    p = np.exp(combine(logits, np.zeros(4), last, unseen))
    np.testing.assert_allclose(
        p,
        [
            [0.9 / 3, 0.9 * 2 / 3, 0.1 * 3 / 7, 0.1 * 4 / 7],
            [0.5, 0.5 * 0.9, 0.5 * 0.1 * 3 / 7, 0.5 * 0.1 * 4 / 7],
            [0.5 * 0.9 / 3, 0.5 * 0.9 * 2 / 3, 0.5, 0.5 * 0.1],
            [0.5 * 0.9 / 3, 0.5 * 0.9 * 2 / 3, 0.5 * 0.1, 0.5],
        ],
    )


@pytest.mark.parametrize(("seen", "expected"), [([True, False], [[0.9, 0.1], [0.5, 0.5], [0.5, 0.5]])])
def test_two_choices_of_which_one_was_never_seen(seen, expected):
    unseen = Unseen.of(np.array(seen), 9, 1.0)
    p = np.exp(combine(np.zeros((3, 2)), np.zeros(3), np.array([0, 1, 2]), unseen))
    np.testing.assert_allclose(p, expected)


@pytest.mark.parametrize("options", GRID, ids=str)
def test_later_records_change_no_earlier_probability(options):
    options = {**options, "titles": encoder() if options["titles"] else None}
    fit = loud(fitted(**options))
    later_records_change_nothing(fit)


@pytest.mark.parametrize(
    "options", [{"history_dropout": 0.5}, {"two_stage": False}, {"layers": 2, "spell": True}], ids=str
)
def test_later_records_change_no_earlier_probability_either(options):
    later_records_change_nothing(loud(fitted(**options)))


def later_records_change_nothing(fit):
    df = careers().sort_values(["id", "year"])
    record = df.groupby("id").cumcount()
    later = (record >= 3).to_numpy()
    other = df.copy()
    other.loc[later, "job"] = other.loc[later, "job"].map({10: 20, 20: 30, 30: 40, 40: 50, 50: 10})
    other.loc[later, "region"] = "north"
    other.loc[later, "educ"] = 20.0
    other.loc[later, "hours"] = 99.0
    other.loc[later, "sector"] = "public"
    other.loc[later, "year"] += 3
    # What describes the job of the record before is known only later, too.
    before = (record == 2).to_numpy()
    other.loc[before, "hours"] = 1.0
    other.loc[before, "sector"] = "public"
    other.loc[before, "job"] = 10
    one, two = fit.log_proba(panel_of(df)), fit.log_proba(panel_of(other))
    np.testing.assert_allclose(one[~later], two[~later], rtol=0, atol=1e-6)
    assert np.abs(one[later] - two[later]).max(axis=1).min() > 1e-3


def test_covariates_of_the_record_are_used_and_its_job_is_not():
    fit, df = loud(fitted()), careers().sort_values(["id", "year"])
    last = ~df.duplicated("id", keep="last").to_numpy()
    reference = fit.log_proba(panel_of(df))
    for name, value in [("job", 10), ("hours", 80.0), ("hours", np.nan), ("sector", "public")]:
        other = df.copy()
        other.loc[last, name] = value
        assert np.array_equal(fit.log_proba(panel_of(other)), reference), name
    for name, value in [("region", None), ("region", "west"), ("educ", 3.0), ("educ", np.nan), ("year", 2020)]:
        other = df.copy()
        other.loc[last, name] = value
        changed = np.abs(fit.log_proba(panel_of(other)) - reference).max(axis=1) > 1e-3
        assert changed[last].mean() > 0.5, name
        assert not changed[~last].any(), name


def test_the_job_before_and_what_describes_it_are_used():
    fit, df = loud(fitted()), careers().sort_values(["id", "year"])
    first = (~df.duplicated("id")).to_numpy() & df.duplicated("id", keep=False).to_numpy()
    reference = fit.log_proba(panel_of(df))
    for name, value in [("hours", 10.0), ("sector", "public"), ("job", 50)]:
        other = df.copy()
        other.loc[first, name] = value
        changed = np.abs(fit.log_proba(panel_of(other)) - reference).max(axis=1) > 1e-3
        assert not changed[first].any(), name
        assert changed[np.flatnonzero(first) + 1].mean() > 0.3, name


@pytest.mark.parametrize("options", [{}, {"two_stage": False}, {"returns": False}], ids=str)
def test_rows_sum_to_one_at_first_records_and_for_persons_with_one_record(options):
    fit = loud(fitted(**options), scale=1.0)
    p = fit.log_proba(panel())
    assert p.dtype == np.float64
    assert panel().is_first.any()
    sums_to_one(p)
    alone = panel().subset([0])
    assert len(alone) == 1
    sums_to_one(fit.log_proba(alone))


def test_the_log_likelihood_is_the_probability_of_what_happened():
    for choices, options in [(CHOICES, {}), (CHOICES, {"two_stage": False}), (MORE, {}), (MORE, {"two_stage": False})]:
        fit, data = loud(fitted(choices, **options)), panel(titles=choices)
        gathered = fit.log_proba(data)[np.arange(len(data)), data.outcome]
        scores = fit.log_likelihood(data)
        np.testing.assert_allclose(scores, gathered, rtol=0, atol=1e-5)
        assert scores.index.equals(data.index)


def test_a_person_has_the_same_probabilities_alone_and_among_others():
    fit, data = loud(fitted()), panel()
    together = pd.DataFrame(fit.log_proba(data), index=data.index)
    for person in data.persons:
        alone = data.subset([person])
        np.testing.assert_allclose(fit.log_proba(alone), together.loc[alone.index], rtol=0, atol=1e-5)


def test_small_batches_predict_the_same(monkeypatch):
    import econllm.career.prediction as prediction
    from econllm.career.batches import in_order_of_length

    fit, data = loud(fitted()), panel()
    whole = fit.log_proba(data)
    monkeypatch.setattr(prediction, "in_order_of_length", lambda lengths: in_order_of_length(lengths, 7))
    np.testing.assert_allclose(fit.log_proba(data), whole, rtol=0, atol=1e-5)
    np.testing.assert_allclose(fit.log_likelihood(data), whole[np.arange(len(data)), data.outcome], atol=1e-5)


def test_batches_hold_every_person_once_and_few_records():
    from econllm.career.batches import in_order_of_length

    c = fitted().predictor.coding.read(panel(), CHOICES)
    parts = list(in_order_of_length(c.lengths, 12))
    assert sorted(np.concatenate(parts)) == list(range(len(c)))
    assert all(len(part) * c.lengths[part].max() <= 12 for part in parts)


def test_later_records_after_a_split_have_the_probabilities_of_the_whole():
    fit, data = loud(fitted()), panel()
    early, late = data.split_time(1994)
    whole = pd.DataFrame(fit.log_proba(data), index=data.index)
    moves = fit.move_proba(data)
    for part in (early, late):
        assert len(fit.log_proba(part)) == len(part)
        np.testing.assert_allclose(fit.log_proba(part), whole.loc[part.index], rtol=0, atol=1e-5)
        np.testing.assert_allclose(fit.move_proba(part), moves[part.index], atol=1e-5)
    assert late.index.difference(data.index).empty


def test_copies_of_a_person_are_predicted_alike():
    fit, data = loud(fitted()), panel()
    drawn = data.resample(seed=3)
    assert len(np.unique(drawn.origin_ids)) < len(drawn.persons)
    log_proba = fit.log_proba(drawn)
    for person in drawn.persons[:10]:
        at = drawn.person_ids == person
        original = data.subset([drawn.origin_ids[at][0]])
        np.testing.assert_allclose(log_proba[at], fit.log_proba(original), rtol=0, atol=1e-5)


def test_codes_in_another_order_are_matched():
    fit = loud(fitted())
    codes = [40, 10, 50, 30, 20]
    other = panel_of(careers(), el.ChoiceSet(codes, [f"title {code}" for code in codes]))
    assert np.array_equal(fit.log_proba(other), fit.log_proba(panel()))
    assert list(fit.predict_proba(other).columns) == list(CHOICES.codes)
    assert np.array_equal(fit.log_likelihood(other), fit.log_likelihood(panel()))


def test_other_codes_are_refused():
    df = careers().replace({"job": {50: 51}})
    titles = el.ChoiceSet([10, 20, 30, 40, 51])
    with pytest.raises(DataError, match="not in the choice set"):
        fitted().log_proba(panel_of(df, titles))
    # Also where they occur only in the past.
    old = careers().sort_values(["id", "year"])
    old.loc[(~old.duplicated("id")).to_numpy(), "job"] = 51
    late = panel_of(old, el.ChoiceSet([*CHOICES.codes, 51])).split_time(1994)[1]
    late = late.subset(np.unique(late.person_ids[~late.is_first]))
    with pytest.raises(DataError, match="not in the choice set"):
        fitted().log_proba(late)


def test_calendar_times_that_were_never_seen_are_predicted():
    fit = loud(fitted())
    for shift in (-30, 0.5, 30):
        sums_to_one(fit.log_proba(panel_of(careers().assign(year=lambda d, s=shift: d["year"] + s))))
    # A time between two known ones is the nearest one but for the slope, which this model does not have.
    flat = loud(fitted())
    with torch.no_grad():
        flat.predictor.network.numbers.weight.zero_()
    near = panel_of(careers().assign(year=lambda d: d["year"] + 0.25))
    np.testing.assert_allclose(flat.log_proba(near), flat.log_proba(panel()), atol=1e-6)


@pytest.mark.parametrize("two_stage", [True, False])
@pytest.mark.parametrize("pseudo_count", [0.5, 3.0])
@pytest.mark.parametrize("titles", [True, False])
def test_what_is_set_aside_is_the_pseudo_count_of_unseen_occupations(two_stage, pseudo_count, titles):
    fit = fitted(MORE, two_stage=two_stage, pseudo_count=pseudo_count, titles=encoder() if titles else None)
    data = panel(titles=MORE)
    p = np.exp(fit.log_proba(data))
    last = fit.predictor.coding.read(data, MORE).last
    n = int((last != data.outcome + 1).sum()) if two_stage else len(data)
    expected = 2 * pseudo_count / (n + 2 * pseudo_count)
    among = np.where(last > 0, fit.move_proba(data), 1.0) if two_stage else np.ones(len(data))
    np.testing.assert_allclose(p[:, 5:].sum(axis=1), expected * among, rtol=1e-6)
    sums_to_one(fit.log_proba(data))
    more = fitted(
        MORE,
        two_stage=two_stage,
        pseudo_count=pseudo_count,
        titles=encoder() if titles else None,
        training=el.Training(epochs=6, batch=16, learning_rate=0.03),
    )
    assert more.predictor.unseen.reserve == pytest.approx(expected)
    shares = p[:, 5] / p[:, 5:].sum(axis=1)
    assert (np.abs(shares - 0.5).max() > 1e-4) == titles


def test_an_unseen_occupation_may_be_the_last_one():
    fit = loud(fitted(MORE, titles=encoder()))
    df = careers().sort_values(["id", "year"])
    df.loc[(~df.duplicated("id")).to_numpy(), "job"] = 60
    data = panel_of(df, MORE)
    p = fit.log_proba(data)
    sums_to_one(p)
    last = fit.predictor.coding.read(data, MORE).last
    assert (last == 6).any()
    moves = fit.move_proba(data)
    np.testing.assert_allclose(np.exp(p[last == 6, 5]), 1 - moves[last == 6], atol=1e-9)
    assert np.isfinite(fit.log_likelihood(data)).all()


@pytest.mark.parametrize("two_stage", [True, False])
@pytest.mark.parametrize("seen", [{10}, {10, 20}])
def test_two_choices(two_stage, seen):
    df = careers(only=2)
    df = df[df["job"].isin(seen)]
    data = panel_of(df, el.ChoiceSet([10, 20]))
    fit = el.CAREER(**TINY, two_stage=two_stage).fit(data, seed=0)
    assert fit.info.unseen == tuple({10, 20} - seen)
    every = panel_of(careers(only=2), el.ChoiceSet([10, 20]))
    sums_to_one(fit.log_proba(every))
    assert np.isfinite(fit.log_likelihood(every)).all()


@pytest.mark.parametrize("two_stage", [True, False])
def test_a_sample_without_a_single_move_leaves_every_destination_possible(two_stage):
    jobs = [10, 10, 10, 20, 20, 20]
    df = pd.DataFrame({"id": [1, 1, 1, 2, 2, 2], "t": [0, 1, 2] * 2, "job": jobs})
    whole = el.CareerPanel(df, "id", "t", "job", titles=MORE)
    late = whole.split_time(0)[1]
    fit = el.CAREER(**TINY, two_stage=two_stage).fit(late, seed=0)
    p = fit.log_proba(whole)
    sums_to_one(p)
    assert np.isfinite(p).all()


def test_moves_and_stays():
    fit, data = loud(fitted()), panel()
    p = np.exp(fit.log_proba(data))
    last = fit.predictor.coding.read(data, CHOICES).last
    moves = fit.move_proba(data)
    assert moves.index.equals(data.index)
    assert (moves.isna() == data.is_first).all()
    has = last > 0
    np.testing.assert_allclose(p[has, last[has] - 1], 1 - moves[has], atol=1e-9)
    single = loud(fitted(two_stage=False))
    q = np.exp(single.log_proba(data))
    np.testing.assert_allclose(single.move_proba(data)[has], 1 - q[has, last[has] - 1], atol=1e-9)
    assert (single.move_proba(data).isna() == data.is_first).all()


def test_representations_are_labelled_and_decide_the_odds_of_moving():
    fit, data = loud(fitted()), panel()
    h = fit.transform(data)
    assert h.shape == (len(data), 15)
    assert h.index.equals(data.index)
    assert h.columns[-1] == "career_14"
    # Normalised, then scaled and moved by weights: what is left out follows from the rest.
    norm, move = fit.predictor.network.norm, fit.predictor.network.move
    scale, shift = norm.weight.detach().double().numpy(), norm.bias.detach().double().numpy()
    last = -((h.to_numpy() - shift[:-1]) / scale[:-1]).sum(axis=1) * scale[-1] + shift[-1]
    odds = np.column_stack([h, last]) @ move.weight.detach().double().numpy()[0] + move.bias.item()
    expected = fit.move_proba(data)
    np.testing.assert_allclose(1 / (1 + np.exp(-odds[~data.is_first])), expected.dropna(), atol=1e-5)


def test_predictions_are_labelled_by_code():
    fit, data = fitted(), panel()
    frame = fit.predict_proba(data)
    assert frame.index.equals(data.index)
    assert frame.columns.tolist() == list(CHOICES.codes)
    assert (fit.predict(data) == frame.idxmax(axis=1)).all()
    assert fit.perplexity(data).value == pytest.approx(np.exp(-fit.log_likelihood(data).mean()))


def test_predicting_leaves_the_network_as_it_was():
    fit = fitted()
    fit.predictor.network.train()
    one, two = fit.log_proba(panel()), fit.log_proba(panel())
    assert np.array_equal(one, two)
    assert not fit.predictor.network.training


def test_threads_do_not_matter():
    fit, data = loud(fitted()), panel()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = fit.log_proba(data)
        torch.set_num_threads(2)
        np.testing.assert_allclose(fit.log_proba(data), one, rtol=0, atol=1e-5)
    finally:
        torch.set_num_threads(threads)


def test_data_that_cannot_be_predicted():
    fit, data = fitted(), panel()
    with pytest.raises(DataError, match="give a CareerPanel, not a DataFrame"):
        fit.log_proba(data.to_frame())
    with pytest.raises(DataError, match="give a CareerPanel, not a NoneType"):
        fit.move_proba(None)
    for method in (fit.log_proba, fit.log_likelihood, fit.move_proba, fit.transform):
        with pytest.raises(DataError, match="no rows"):
            method(data.subset([]))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(CHOICES.codes), min_size=1, max_size=9), min_size=1, max_size=12),
    st.sampled_from([{}, {"two_stage": False}, {"returns": False, "position": "sinusoidal"}]),
)
def test_rows_sum_to_one_in_any_panel(jobs, options):
    rows = [
        (person, 1990 + t, job, "f", 1970, "east" if t % 2 else None, 10.0 + t, 40.0, "public")
        for person, career in enumerate(jobs)
        for t, job in enumerate(career)
    ]
    names = ["id", "year", "job", "sex", "birth", "region", "educ", "hours", "sector"]
    data = panel_of(pd.DataFrame(rows, columns=names))
    fit = loud(fitted(**options))
    p = fit.log_proba(data)
    sums_to_one(p)
    np.testing.assert_allclose(fit.log_likelihood(data), p[np.arange(len(data)), data.outcome], atol=1e-5)
