"""Diagnostics against computations by hand from labelled probabilities, and against the truth of simulated careers."""

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from handmade import CAREERS, ROLES
from sklearn.metrics import roc_auc_score, top_k_accuracy_score

import econllm as el
from econllm.errors import DataError, MissingColumnError, OptionError
from econllm.evaluation.diagnose import diagnose
from econllm.evaluation.reliability import reliability_curve
from econllm.metrics import mean_score, recalibration

FORMULA = "occupation ~ lag(occupation) + educ + exper + sex"


@pytest.fixture(scope="module")
def simulated():
    return el.datasets.simulate_careers(300, 6, seed=2)


@pytest.fixture(scope="module")
def parts(simulated):
    return simulated.split([0.6, 0.4], seed=0)


@pytest.fixture(scope="module")
def fitted(parts):
    train = parts[0]
    return {
        "Empirical": el.Empirical().fit(train),
        "MNL": el.MNLogit(FORMULA, penalty="l2", alpha=1e-3).fit(train),
        "Oracle": el.Oracle().fit(train),
    }


@pytest.fixture(scope="module")
def states(simulated):
    """One state by code and one by title."""
    return {"first": [simulated.choices.codes[0]], "last two": list(simulated.choices.titles[-2:])}


@pytest.fixture(scope="module")
def found(fitted, parts, states):
    return diagnose(fitted, parts[1], states=states)


@pytest.fixture(scope="module")
def wide(fitted, parts):
    """Labelled probabilities, the realised occupation, and the one before (missing in first records)."""
    test = parts[1]
    frame = test.to_frame()
    before = frame.groupby("person")["occupation"].shift()
    proba = {name: result.predict_proba(test) for name, result in fitted.items()}
    return proba, frame["occupation"], before, test.person_ids


def move(wide, name):
    """Probability of a move, whether it happened, and persons, by hand."""
    proba, now, before, person = wide
    later = before.notna().to_numpy()
    stay = [proba[name].loc[row, code] for row, code in before[later].items()]
    return 1 - np.array(stay), (now != before)[later].to_numpy(), person[later]


def test_numbers_over_all_outcomes(found, wide):
    proba, now, _, person = wide
    codes = proba["MNL"].columns
    for name, p in proba.items():
        row = found.frame.loc[name]
        # The frequencies give many outcomes the same probability, which scikit-learn orders in another way.
        for k in () if name == "Empirical" else (1, 3, 5):
            assert row[f"top_{k}"] == pytest.approx(top_k_accuracy_score(now, p, k=k, labels=codes), abs=1e-12)
        brier = ((p.to_numpy() - (now.to_numpy()[:, None] == codes.to_numpy())) ** 2).sum(axis=1)
        expected = mean_score(brier, person)
        assert (row["brier"], row["brier_std_error"]) == pytest.approx((expected.mean, expected.std_error))


def test_numbers_of_a_move(found, wide):
    for name in wide[0]:
        proba, happened, person = move(wide, name)
        row = found.events.loc[(name, "move")]
        assert (row["rows"], row["observed"]) == (len(proba), pytest.approx(happened.mean()))
        assert row["predicted"] == pytest.approx(proba.mean())
        assert row["auc"] == pytest.approx(roc_auc_score(happened, proba), rel=1e-9)
        assert row["brier"] == pytest.approx(np.mean((proba - happened) ** 2))
        expected = recalibration(proba, happened, person)
        assert row["slope"] == pytest.approx(expected.slope, rel=1e-7)
        assert row["intercept_std_error"] == pytest.approx(expected.intercept_std_error, rel=1e-7)


def test_numbers_of_states_are_over_all_rows(found, wide, simulated):
    proba, now, _, _ = wide
    codes = list(simulated.choices.codes[-2:])
    row = found.events.loc[("MNL", "last two")]
    assert row["rows"] == len(now)
    assert row["observed"] == pytest.approx(now.isin(codes).mean())
    assert row["predicted"] == pytest.approx(proba["MNL"][codes].sum(axis=1).mean())
    assert found.events.loc[("MNL", "first"), "observed"] == pytest.approx((now == simulated.choices.codes[0]).mean())


def test_the_truth_is_calibrated(found):
    truth = found.events.loc["Oracle"]
    assert ((truth["slope"] - 1).abs() < 3 * truth["slope_std_error"]).all()
    assert (truth["intercept"].abs() < 3 * truth["intercept_std_error"]).all()
    shares = found.shares().loc["Oracle"]
    assert (shares["difference"].abs() < 3.5 * shares["std_error"]).all()


def test_a_model_that_knows_too_little_is_found_out_by_group():
    # The frequencies do not know sex, on which the careers depend.
    panel = el.datasets.simulate_careers(800, 6, seed=2)
    fitted = {"Empirical": el.Empirical().fit(panel), "Oracle": el.Oracle().fit(panel)}
    gaps = diagnose(fitted, panel, states={"first": [panel.choices.codes[0]]}).calibration(by="sex")
    z = gaps["difference"] / gaps["std_error"]
    assert z.loc[("Empirical", "first", "female")] < -4
    assert z.loc[("Empirical", "first", "male")] > 4
    assert z.loc["Oracle"].abs().max() < 3


def test_calibration_by_group(found, wide, parts):
    proba, happened, person = move(wide, "MNL")
    sex = parts[1].to_frame().loc[wide[2].notna(), "sex"].to_numpy()
    gaps = found.calibration(by="sex")
    assert gaps.index.names == ["model", "event", "sex"]
    for group in ("female", "male"):
        at = sex == group
        row, expected = gaps.loc[("MNL", "move", group)], mean_score((happened - proba)[at], person[at])
        assert (row["observed"], row["predicted"]) == pytest.approx((happened[at].mean(), proba[at].mean()))
        assert (row["difference"], row["std_error"]) == pytest.approx((expected.mean, expected.std_error))
        assert (row["lower"], row["upper"]) == pytest.approx(expected.interval(0.95))
        assert (row["n"], row["clusters"]) == (at.sum(), len(np.unique(person[at])))
    whole = found.calibration()
    assert whole.loc[("MNL", "move", "all"), "difference"] == pytest.approx(np.mean(happened - proba))


def test_first_records_cannot_be_moves(found):
    gaps = found.calibration(by="history")
    assert list(gaps.loc[("MNL", "move")].index) == ["with a history"]
    assert list(gaps.loc[("MNL", "first")].index) == ["first record", "with a history"]


def test_perplexity_by_year_is_that_of_the_result(found, fitted, parts):
    expected = fitted["MNL"].perplexity(parts[1], by="year")
    frame = found.by_year()
    assert frame.index.names == ["model", "year"]
    columns = ["perplexity", "std_error", "lower", "upper", "n"]
    np.testing.assert_allclose(frame.loc["MNL"][columns], expected[columns], rtol=1e-12)


def test_perplexity_by_occupation(found, fitted, parts):
    scores, now = fitted["MNL"].log_likelihood(parts[1]), parts[1].to_frame()["occupation"]
    counts = now.value_counts()
    frame = found.by_occupation(min_rows=40).loc["MNL"]
    assert set(frame.index) == set(counts.index[counts >= 40])
    assert len(frame) < len(counts)
    for code, row in frame.iterrows():
        assert row["perplexity"] == pytest.approx(np.exp(-scores[now == code].mean()))
        assert (row["n"], row["title"]) == (counts[code], parts[1].choices.title(code))


def test_transitions(found, wide, parts):
    proba, now, before, _ = wide
    moves = found.transitions("MNL")
    later = before.notna()
    expected = pd.crosstab(before[later].astype(int), now[later], normalize="index")
    np.testing.assert_allclose(moves.observed.loc[expected.index, expected.columns], expected)
    predicted = proba["MNL"][later].groupby(before[later]).mean()
    np.testing.assert_allclose(moves.predicted.loc[predicted.index], predicted, rtol=1e-9)
    assert moves.rows.sum() == later.sum()
    assert moves.predicted.sum(axis=1).to_numpy() == pytest.approx(np.ones(6))


def test_shares(found, wide, parts):
    proba, now, _, person = wide
    frame = found.shares().loc["MNL"]
    assert list(frame["title"]) == list(parts[1].choices.titles)
    for code in frame.index:
        expected = mean_score((now == code).to_numpy() - proba["MNL"][code].to_numpy(), person)
        assert frame.loc[code, "predicted"] == pytest.approx(proba["MNL"][code].mean())
        gap = tuple(frame.loc[code, ["difference", "std_error"]])
        assert gap == pytest.approx((expected.mean, expected.std_error), abs=1e-12)


def test_reliability_curves_rise_within_their_bands(found):
    curves = found.reliability("move", replications=20)
    assert list(curves) == ["Empirical", "MNL", "Oracle"]
    for curve in curves.values():
        assert curve["density"].sum() == pytest.approx(1)
        assert curve["predicted"].is_monotonic_increasing
        known = curve.dropna()
        assert known["observed"].is_monotonic_increasing
        assert ((known["lower"] <= known["observed"]) & (known["observed"] <= known["upper"])).all()
        assert len(curve) <= 200
    again = found.reliability("move", replications=20)
    pd.testing.assert_frame_equal(curves["MNL"], again["MNL"])


def test_the_reliability_curve_is_the_isotonic_regression():
    # Few levels: shares 0.2, 0.6 and 0.4, of which the last two are pooled.
    proba = np.repeat([0.1, 0.5, 0.8], 30)
    happened = np.concatenate([np.arange(30) < n for n in (6, 18, 12)])
    curve = reliability_curve(proba, happened, np.arange(90), replications=2)
    assert curve["observed"].tolist() == pytest.approx([0.2, 0.5, 0.5])
    assert curve["density"].tolist() == pytest.approx([1 / 3] * 3)
    weights = np.repeat([1.0, 2.0, 1.0], 30)
    weighted = reliability_curve(proba, happened, np.arange(90), weights, replications=2)
    assert weighted["observed"].tolist() == pytest.approx([0.2, 1.6 / 3, 1.6 / 3])


def test_the_reliability_curve_stops_short_of_its_ends():
    proba = np.arange(1, 101) / 101
    happened = np.arange(100) >= 50
    known = reliability_curve(proba, happened, np.arange(100), replications=2).dropna()
    assert known.empty  # five events are needed below a point, and five others above
    happened[10:15], happened[85:90] = True, False
    known = reliability_curve(proba, happened, np.arange(100), replications=2).dropna()
    assert (known["predicted"].min(), known["predicted"].max()) == pytest.approx((15 / 101, 86 / 101))


def test_bands_cover_probabilities_that_are_right():
    rng = np.random.default_rng(1)
    inside = []
    for seed in range(40):
        person = np.repeat(np.arange(150), 8)
        proba = 1 / (1 + np.exp(1 - rng.standard_normal(150)[person] - 0.7 * rng.standard_normal(1200)))
        curve = reliability_curve(proba, rng.random(1200) < proba, person, replications=100, seed=seed).dropna()
        inside.append(curve["predicted"].between(curve["lower"], curve["upper"]).mean())
    assert 0.91 < np.mean(inside) < 0.985


def test_the_table_has_a_panel_per_event(found, tmp_path):
    table = found.table()
    assert [panel.title.split(":")[0] for panel in table.body] == ["move", "first", "last two"]
    top, state = table.body[0].rows[2], table.body[1].rows[2]
    assert top.label == "MNL"
    assert top.cells[0] == found.frame.loc["MNL", "top_1"]
    assert top.cells[-4] == found.events.loc[("MNL", "move"), "auc"]
    assert state.cells[:4] == (None,) * 4
    text = " ".join(str(found).split())
    assert f"with a history; {len(found.shares().loc['MNL'])} outcomes" in text
    assert "clustered by person" in text
    for method in ("latex", "html", "markdown"):
        path = tmp_path / f"table.{method}"
        written = getattr(found, f"to_{method}")(path)
        assert "Empirical" in written
        assert path.read_text(encoding="utf-8").strip() == written.strip()
    changed = found.to_frame()
    changed["top_1"] = 0.0
    assert (found.frame["top_1"] > 0).all()


def test_figures(found, tmp_path):
    found.plot_reliability("move", tmp_path / "reliability.png", replications=2)
    found.plot_roc("first", tmp_path / "roc.png")
    figure = found.plot_transitions("MNL", tmp_path / "transitions.png", top=3)
    for name in ("reliability", "roc", "transitions"):
        assert matplotlib.image.imread(tmp_path / f"{name}.png").std() > 0.01
    cells = [axes.collections[0].get_array().reshape(3, 4) for axes in figure.axes[:2]]
    assert np.allclose([c.sum(axis=1) for c in cells], 1)
    moves = found.transitions("MNL")
    most = moves.rows.sort_values(ascending=False).index[:3]
    np.testing.assert_allclose(cells[0][:, :3], moves.observed.loc[most, most])
    np.testing.assert_allclose(cells[1][:, :3], moves.predicted.loc[most, most])


def test_a_single_result_goes_by_the_name_of_its_model(fitted, parts):
    assert list(diagnose(fitted["MNL"], parts[1]).frame.index) == ["MNLogit"]


def test_the_matrix_of_probabilities_is_not_kept(found):
    n, choices = len(found._rows.outcome), len(found._rows.choices)
    for scored in found._scored.values():
        arrays = [v for v in vars(scored).values() if isinstance(v, np.ndarray)] + list(scored.events.values())
        assert max(array.size for array in arrays) < n * choices


def test_models_may_order_occupations_differently(simulated, parts):
    train, test = parts
    frame = train.to_frame()
    # Turned by two places: not its own inverse, as the reverse order would be.
    codes, titles = simulated.choices.codes, simulated.choices.titles
    turned = el.ChoiceSet(codes[2:] + codes[:2], titles[2:] + titles[:2])
    other = el.CareerPanel(frame, "person", "year", "occupation", titles=turned)
    models = {"as they are": el.Empirical().fit(train), "turned": el.Empirical().fit(other)}
    found = diagnose(models, test, states={"first": [simulated.choices.codes[0]]})
    names = ["observed", "predicted", "auc", "slope", "brier"]
    same, again = (found.events.loc[name, names].to_numpy() for name in models)
    np.testing.assert_allclose(again, same, rtol=1e-9)
    one, two = (found.transitions(name).predicted for name in models)
    np.testing.assert_allclose(two, one, rtol=1e-9)
    np.testing.assert_allclose(
        found.shares().loc["turned", "std_error"], found.shares().loc["as they are", "std_error"]
    )


def test_improper_results_are_flagged(wage_panel):
    train, test = wage_panel.split([0.7, 0.3], seed=0)
    found = diagnose({"Printed": el.Empirical(normalization="printed").fit(train)}, test)
    assert found.frame.loc["Printed", "mass"] > 1.01
    text = " ".join(str(found).split())
    assert "Printed (improper)" in text
    assert f"probabilities sum to {found.frame.loc['Printed', 'mass']:.2f}" in text


def test_survey_weights_count_persons_several_times(panel):
    fitted = el.Empirical().fit(panel)
    found = diagnose(fitted, panel, states={"clerk": ["clerk"]}, weights=True)
    weights, clerk = CAREERS["weight"].to_numpy(), (CAREERS["job"] == "clerk").to_numpy()
    proba = fitted.predict_proba(panel)["clerk"].to_numpy()
    row = found.events.loc[("Empirical", "clerk")]
    assert row["observed"] == pytest.approx(np.average(clerk, weights=weights))
    assert row["predicted"] == pytest.approx(np.average(proba, weights=weights))
    assert row["auc"] == pytest.approx(roc_auc_score(clerk, proba, sample_weight=weights))
    shares = found.shares().loc["Empirical"]
    assert shares.loc["clerk", "observed"] == pytest.approx(row["observed"])
    assert shares.loc["clerk", "predicted"] == pytest.approx(row["predicted"])
    gap = mean_score(clerk - proba, panel.origin_ids, weights)
    assert shares.loc["clerk", "std_error"] == pytest.approx(gap.std_error)
    assert "weighted by survey weights" in str(found)
    # From cook: person 1 goes on to clerk (weight 1), person 2 stays (weight 2).
    moves = found.transitions("Empirical")
    assert moves.observed.loc["cook"].to_dict() == pytest.approx({"clerk": 1 / 3, "cook": 2 / 3, "nurse": 0})
    both = fitted.predict_proba(panel).loc[["b", "g"]]
    assert moves.predicted.loc["cook"].to_numpy() == pytest.approx(np.average(both, axis=0, weights=[1, 2]))
    assert moves.rows["cook"] == 2
    women = found.calibration(by="sex").loc[("Empirical", "clerk", "f")]
    at = (CAREERS["sex"] == "f").to_numpy()
    assert women["difference"] == pytest.approx(np.average((clerk - proba)[at], weights=weights[at]))


def test_persons_of_weight_zero_do_not_count():
    frame = CAREERS.assign(weight=[1.0] * 7 + [0.0])
    panel = el.CareerPanel(frame, **ROLES)
    fitted = el.Empirical().fit(panel)
    found = diagnose(fitted, panel, weights=True)
    assert found.shares().loc[("Empirical", "clerk"), "observed"] == pytest.approx(3 / 7)
    assert np.isfinite(found.by_year()["perplexity"]).all()
    assert np.isfinite(found.transitions("Empirical").observed.loc["clerk"]).all()


def test_clusters_can_be_a_column(fitted, parts):
    test = parts[1]
    found = diagnose(fitted["MNL"], test, cluster="birth_year")
    assert (
        found.events.loc[("MNLogit", "move"), "clusters"] == test.to_frame().loc[~test.is_first, "birth_year"].nunique()
    )
    assert "clustered by birth_year" in " ".join(found.notes)


def test_data_frames_have_states_but_no_moves(wage_panel):
    frame = wage_panel.to_frame().drop(columns="nr")
    fitted = el.MNLogit("occupation ~ educ + exper", penalty="l2", alpha=1e-2).fit(frame)
    found = diagnose(fitted, frame, states={"managers": [2]})
    assert found.events.index.tolist() == [("MNLogit", "managers")]
    assert "SE: for independent rows" in found.notes[0]
    assert list(diagnose(fitted, frame).events.index) == []
    assert "Event" not in str(diagnose(fitted, frame))
    with pytest.raises(OptionError, match="'move' is none of 'managers'"):
        found.reliability("move")
    with pytest.raises(OptionError, match=r"no events: .* name states"):
        diagnose(fitted, frame).calibration()
    with pytest.raises(DataError, match=r"by_year\(\) needs careers"):
        found.by_year()
    with pytest.raises(DataError, match=r"transitions\(\) needs careers"):
        found.transitions("MNLogit")


def test_first_records_alone_have_no_moves(simulated):
    firsts = simulated.to_frame().groupby("person").head(1)
    panel = el.CareerPanel(firsts, "person", "year", "occupation", titles=simulated.choices)
    found = diagnose(el.Empirical().fit(simulated), panel)
    assert found.events.empty
    with pytest.raises(DataError, match="no test row has a history"):
        found.transitions("Empirical")


def test_histories_before_the_test_rows_count(simulated):
    before, after = simulated.split_time(simulated.times.max() - 8)
    found = diagnose(el.Oracle().fit(before), after)
    assert found.events.loc[("Oracle", "move"), "rows"] == (~after.is_first).sum()
    assert found.transitions("Oracle").rows.sum() == (~after.is_first).sum()


def test_states_that_never_happen_are_noted(simulated, parts, fitted):
    frame = parts[1].to_frame()
    absent = simulated.choices.codes[3]
    test = el.CareerPanel(
        frame[frame["occupation"] != absent],
        "person",
        "year",
        "occupation",
        titles=simulated.choices,
    )
    found = diagnose(fitted["Empirical"], test, states={"absent": [absent]})
    row = found.events.loc[("Empirical", "absent")]
    assert row["observed"] == 0
    assert np.isnan(row[["auc", "intercept", "slope"]].to_numpy(float)).all()
    assert any("happens in every row or in none" in note for note in found.notes)
    assert len(diagnose(fitted["Empirical"], test, states={"absent": [absent]}).reliability("absent")) == 1


@pytest.mark.parametrize("plot", ["plot_roc", "plot_reliability"])
def test_events_that_always_or_never_happen_are_not_drawn(plot, panel, tmp_path):
    codes = list(panel.choices.codes)
    fitted = el.Empirical().fit(panel)
    found = diagnose(fitted, panel, states={"all": codes, "clerk": ["clerk"]})
    with pytest.raises(OptionError, match="event 'all' happens in every row, so there is no curve to draw"):
        getattr(found, plot)("all", tmp_path / "f.png")
    assert not list(tmp_path.iterdir())
    getattr(found, plot)("clerk", tmp_path / "f.png")
    with pytest.raises(OptionError, match=r"event='al' is none of .* Did you mean 'all'"):
        getattr(found, plot)("al")
    # Rows of weight zero do not count: among the others, no clerk, or nobody else.
    for kept, where in (("cook", "no row"), ("clerk", "every row")):
        weighted = CAREERS.assign(weight=(CAREERS["job"] == kept).astype(float))
        part = el.CareerPanel(weighted, **ROLES)
        found = diagnose(fitted, part, states={"clerk": ["clerk"]}, weights=True)
        with pytest.raises(OptionError, match=f"event 'clerk' happens in {where},"):
            getattr(found, plot)("clerk")


def test_refused(fitted, parts, simulated, found):
    test = parts[1]
    with pytest.raises(OptionError, match="states is a list"):
        diagnose(fitted, test, states=[1])
    with pytest.raises(OptionError, match=r"state 'top': states names 'Chief'"):
        diagnose(fitted, test, states={"top": ["Chief"]})
    with pytest.raises(OptionError, match="state 'top' has no occupations"):
        diagnose(fitted, test, states={"top": []})
    with pytest.raises(OptionError, match="'move', which stands for a change of occupation"):
        diagnose(fitted, test, states={"move": [simulated.choices.codes[0]]})
    with pytest.raises(OptionError, match="model 'a' is a Empirical, not a result"):
        diagnose({"a": el.Empirical()}, test)
    with pytest.raises(OptionError, match="models is empty"):
        diagnose({}, test)
    with pytest.raises(OptionError, match="level=95"):
        diagnose(fitted, test, level=95)
    with pytest.raises(OptionError, match="needs survey weights"):
        diagnose(fitted, test, weights=True)
    with pytest.raises(DataError, match="the test sample has no rows"):
        diagnose(fitted, test.subset([]))
    with pytest.raises(OptionError, match=r"event='mov' is none of .* Did you mean 'move'"):
        found.roc("mov")
    with pytest.raises(OptionError, match=r"model='MNLL' is none of the models. Did you mean 'MNL'"):
        found.transitions("MNLL")
    with pytest.raises(MissingColumnError, match=r"by='sexx' is no column. Did you mean 'sex'"):
        found.calibration(by="sexx")
    with pytest.raises(OptionError, match="by='move' groups rows by what happened"):
        found.calibration(by="move")
    with pytest.raises(OptionError, match="min_rows=0"):
        found.by_occupation(min_rows=0)
    with pytest.raises(OptionError, match="top=0"):
        found.plot_transitions("MNL", top=0)


def test_models_that_predict_other_rows_or_occupations_are_refused(parts, wage_panel):
    train, test = wage_panel.split([0.7, 0.3], seed=0)
    frame = train.to_frame()
    frame.loc[frame.index[:50], "exper"] = np.nan
    gaps = test.to_frame()
    gaps.loc[gaps.index[:5], "exper"] = np.nan
    plain = el.MNLogit("occupation ~ educ", penalty="l2", alpha=1e-2).fit(frame)
    drops = el.MNLogit("occupation ~ educ + exper", penalty="l2", alpha=1e-2, missing="drop").fit(frame)
    with pytest.raises(DataError, match=rf"'plain' predicts {len(gaps)} and 'drops' {len(gaps) - 5} of the"):
        diagnose({"plain": plain, "drops": drops}, gaps)
    assert len(diagnose(drops, gaps, states={"managers": [2]})._rows.outcome) == len(gaps) - 5
    few = el.MNLogit("occupation ~ educ", penalty="l2", alpha=1e-2).fit(frame[frame["occupation"] < 6])
    with pytest.raises(DataError, match="'plain' chooses among 9 and 'few' among 5 occupations"):
        diagnose({"plain": plain, "few": few}, gaps)


@pytest.mark.slow
def test_standard_errors_are_the_spread_over_test_samples():
    oracle = el.Oracle()
    lines = []
    for seed in range(150):
        panel = el.datasets.simulate_careers(150, 5, seed=seed)
        lines.append(diagnose(oracle.fit(panel), panel).events.loc[("Oracle", "move")])
    frame = pd.DataFrame(lines)
    for name in ("auc", "intercept", "slope", "brier"):
        assert frame[f"{name}_std_error"].mean() / frame[name].std() == pytest.approx(1, abs=0.15)
    assert frame["slope"].mean() == pytest.approx(1, abs=3 * frame["slope"].std() / np.sqrt(150))
    assert frame["intercept"].mean() == pytest.approx(0, abs=3 * frame["intercept"].std() / np.sqrt(150))
