"""Stay or move, then where to: both stages against fits made by hand."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from logit_samples import careers, plain_text
from scipy import optimize

import econllm as el
from econllm.choices import ChoiceSet
from econllm.errors import CollinearityWarning, DataError, OptionError
from econllm.multinomial import MNLogit
from econllm.multinomial.results import MNLogitResults
from econllm.panel import CareerPanel

FORMULA = "occupation ~ lag(occupation) + educ"
RIDGE = MNLogit(FORMULA, penalty="l2", alpha=0.01, two_stage=True)
PLAIN = MNLogit("occupation ~ educ + exper", two_stage=True, tol=1e-12)
ROLES = {"static": ["sex", "birth_year"], "dynamic": ["educ", "exper"], "lagged": ["wage"]}


@pytest.fixture(scope="module")
def panel() -> CareerPanel:
    return careers(150, 5)


@pytest.fixture(scope="module")
def plain(panel):
    return PLAIN.fit(panel)


@pytest.fixture(scope="module")
def ridge(panel):
    return RIDGE.fit(panel)


def rebuild(df: pd.DataFrame, choices: ChoiceSet, **options) -> CareerPanel:
    return CareerPanel(df.astype({"occupation": int}), "person", "year", "occupation", choices, **ROLES | options)


def last_of(panel: CareerPanel) -> pd.Series:
    df = panel.to_frame()
    return df["occupation"].astype(object).groupby(df["person"]).shift()


def chosen(fitted, panel: CareerPanel) -> np.ndarray:
    return fitted.log_proba(panel)[np.arange(len(panel)), panel.outcome]


# Probabilities


def test_probabilities_combine_the_two_stages(panel, ridge) -> None:
    proba, last = ridge.predict_proba(panel), last_of(panel)
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-9
    assert chosen(ridge, panel) == pytest.approx(ridge.log_likelihood(panel).to_numpy(), abs=1e-14)
    moving = ridge.move_proba(panel)
    assert moving.isna().equals(last.isna())
    given_move = ridge.destination.predict_proba(panel)
    for code in panel.choices.codes:
        stays = (last == code).to_numpy()
        assert proba.loc[stays, code].to_numpy() == pytest.approx(1 - moving[stays].to_numpy(), abs=1e-12)
        assert (given_move.loc[stays, code] == 0).all()
        other = ~stays & last.notna().to_numpy()
        expected = moving[other] * given_move.loc[other, code]
        assert proba.loc[other, code].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-12)
    first = last.isna().to_numpy()
    assert proba[first].to_numpy() == pytest.approx(given_move[first].to_numpy(), abs=1e-12)
    assert ridge.info.log_likelihood == pytest.approx(ridge.log_likelihood(panel).sum(), rel=1e-12)
    assert ridge.predict(panel).equals(proba.idxmax(axis=1).rename("occupation"))


def test_outcomes_that_never_occur_and_last_occupations_that_nobody_moves_to() -> None:
    panel = careers(150, 5)
    codes = panel.choices.codes
    df = panel.to_frame()
    last, now = last_of(panel), df["occupation"].astype(int)
    # Nobody moves to the second occupation nor begins in it: those who hold it are left in the panel by their history.
    wide = ChoiceSet([*codes, 9001, 9002], [*panel.choices.titles, "Never", "Nowhere"])
    movers = (now == codes[1]) & (last.isna() | (last != codes[1]))
    df["occupation"] = now.mask(movers, codes[0])
    made = rebuild(df, wide)
    fitted = MNLogit("occupation ~ educ", penalty="l2", alpha=0.01, two_stage=True).fit(made)
    unseen = fitted.info.unseen
    assert set(unseen) >= {9001, 9002}
    proba, before = fitted.predict_proba(made), last_of(made)
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-9
    rows = len(made) - int((before == made.to_frame()["occupation"]).sum())
    assert fitted.destination.info.rows == rows
    reserved = 0.5 / (rows + 0.5 * len(unseen))
    first = before.isna().to_numpy()
    assert proba.loc[first, 9001].to_numpy() == pytest.approx(reserved, rel=1e-12)
    assert proba.loc[~first, 9001].to_numpy() == pytest.approx(
        reserved * fitted.move_proba(made)[~first].to_numpy(), rel=1e-9
    )
    # A history that ends in an occupation which is unseen among destinations.
    other = made.to_frame()
    other.loc[other.groupby("person").head(1).index, "occupation"] = 9002
    odd = rebuild(other, wide)
    found = fitted.predict_proba(odd)
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-9
    assert (last_of(odd) == 9002).any()
    assert np.isfinite(fitted.log_likelihood(odd)).all()


def test_two_occupations_leave_one_destination() -> None:
    panel = careers(80, 2)
    fitted = MNLogit("occupation ~ educ", two_stage=True).fit(panel)
    proba, last = fitted.predict_proba(panel), last_of(panel)
    moving = fitted.move_proba(panel)
    for code, other in (panel.choices.codes, panel.choices.codes[::-1]):
        at = (last == code).to_numpy()
        assert proba.loc[at, other].to_numpy() == pytest.approx(moving[at].to_numpy(), abs=1e-12)
    assert np.abs(proba.sum(axis=1) - 1).max() < 1e-9
    # Those who move have no choice among two: only first records tell of the destination.
    df = panel.to_frame()
    y = (df["occupation"].astype(int) == panel.choices.codes[1]).astype(float)[last.isna()]
    theirs = sm.Logit(y, sm.add_constant(df.loc[last.isna(), ["educ"]].astype(float))).fit(disp=0, tol=1e-12)
    assert fitted.destination.params.to_numpy() == pytest.approx(theirs.params.to_numpy(), abs=1e-6)


# Estimates by hand


def design(panel: CareerPanel) -> pd.DataFrame:
    return sm.add_constant(panel.to_frame()[["educ", "exper"]].astype(float))


def test_first_stage_equals_the_logit_of_statsmodels(panel, plain) -> None:
    last = last_of(panel)
    keep = last.notna()
    moves = (panel.to_frame()["occupation"].astype(object) != last)[keep].astype(float)
    options = {"groups": panel.to_frame().loc[keep, "person"].to_numpy(), "use_correction": False}
    theirs = sm.Logit(moves, design(panel)[keep]).fit(disp=0, tol=1e-13, cov_type="cluster", cov_kwds=options)
    mine = plain.move
    assert mine.params.to_numpy() == pytest.approx(theirs.params.to_numpy(), abs=1e-7)
    groups = len(set(options["groups"]))
    factor = np.sqrt(groups / (groups - 1))
    assert mine.std_errors.to_numpy() == pytest.approx(theirs.bse.to_numpy() * factor, rel=1e-6)
    assert mine.info.log_likelihood == pytest.approx(theirs.llf, abs=1e-8)
    assert mine.info.rows == int(keep.sum())


def masked(panel: CareerPanel) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Columns, availability and outcome of those who move or begin, and their persons."""
    df, last = panel.to_frame(), last_of(panel)
    codes = list(panel.choices.codes)
    keep = (last.isna() | (df["occupation"].astype(object) != last)).to_numpy()
    able = np.array([[code != before for code in codes] for before in last[keep]])
    return design(panel)[keep].to_numpy(), able, panel.outcome[keep], df.loc[keep, "person"].to_numpy()


def row_parts(theta: np.ndarray, x: np.ndarray, able: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood by row, and probabilities, of a multinomial logit whose first outcome is the base."""
    z = np.hstack([np.zeros((len(x), 1)), x @ theta.reshape(-1, x.shape[1]).T])
    z = np.where(able, z, -np.inf)
    log_proba = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return log_proba[np.arange(len(y)), y], np.exp(log_proba)


def test_second_stage_equals_a_masked_logit_by_hand(panel, plain) -> None:
    x, able, y, person = masked(panel)
    outcomes, k = able.shape[1], x.shape[1]
    scale = np.array([1, 10, 10])

    def negative(theta: np.ndarray) -> tuple[float, np.ndarray]:
        found, proba = row_parts(theta, x / scale, able, y)
        residual = proba - np.eye(outcomes)[y]
        return -found.sum(), (residual[:, 1:].T @ (x / scale)).ravel()

    found = optimize.minimize(negative, np.zeros((outcomes - 1) * k), jac=True, method="BFGS", options={"gtol": 1e-7})
    theta = (found.x.reshape(-1, k) / scale).ravel()
    mine = plain.destination
    assert mine.params.to_numpy() == pytest.approx(theta, abs=1e-6)
    assert mine.info.log_likelihood == pytest.approx(-found.fun, abs=1e-8)
    # The sandwich, from residuals and the information written out.
    _, proba = row_parts(mine.params.to_numpy(), x, able, y)
    information = np.zeros((len(theta), len(theta)))
    for row, p in zip(x, proba[:, 1:], strict=True):
        information += np.kron(np.diag(p) - np.outer(p, p), np.outer(row, row))
    residual = (proba - np.eye(outcomes)[y])[:, 1:]
    scores = (residual[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    sums = pd.DataFrame(scores).groupby(person).sum().to_numpy()
    bread = np.linalg.inv(information)
    cov = bread @ sums.T @ sums @ bread * len(sums) / (len(sums) - 1)
    assert mine.std_errors.to_numpy() == pytest.approx(np.sqrt(np.diag(cov)), rel=1e-5)
    assert mine.cov_type == "clustered"


def test_what_the_last_occupation_cannot_tell_has_no_standard_error() -> None:
    panel = careers(200, 4)
    with pytest.warns(CollinearityWarning, match=r"lag\(occupation\)"):
        fitted = MNLogit(FORMULA, two_stage=True, cov_type="clustered").fit(panel).destination
    codes = panel.choices.codes
    errors = fitted.std_errors
    lost = {
        (code, f"lag(occupation)[{before}]") for code in codes[1:] for before in codes if before in (code, codes[0])
    }
    assert set(errors[errors.isna()].index) == lost
    assert f"none for {len(lost)} coefficients that the choice sets do not identify" in fitted.cov_description
    # Constants and education for three outcomes; for every last occupation two contrasts among three destinations.
    assert fitted.info.parameters == fitted.glance().loc[0, "effective_df"] == 2 * 3 + 4 * 2
    # A contrast between destinations of the same last occupation is identified: by hand with the Moore-Penrose inverse.
    _, able, y, person = masked(panel)
    last = last_of(panel)
    keep = (last.isna() | (panel.to_frame()["occupation"].astype(object) != last)).to_numpy()
    dummies = np.array([[float(before == code) for code in codes] for before in last[keep]])
    x = np.column_stack([np.ones(keep.sum()), dummies, panel.to_frame().loc[keep, "educ"]])
    _, proba = row_parts(fitted.params.to_numpy(), x, able, y)
    residual = (proba - np.eye(4)[y])[:, 1:]
    scores = (residual[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    assert np.abs(scores.sum(axis=0)).max() < 1e-4
    information = sum(
        np.kron(np.diag(p) - np.outer(p, p), np.outer(row, row)) for row, p in zip(x, proba[:, 1:], strict=True)
    )
    bread = np.linalg.pinv(information, rcond=1e-10, hermitian=True)
    sums = pd.DataFrame(scores).groupby(person).sum().to_numpy()
    cov = bread @ sums.T @ sums @ bread * len(sums) / (len(sums) - 1)
    weight = np.zeros(len(cov))
    weight[[1 * 6 + 1, 2 * 6 + 1]] = 1, -1
    name = f"lag(occupation)[{codes[0]}]"
    found = fitted.lincom(f"[{codes[2]}]{name} - [{codes[3]}]{name}")
    assert found.estimates["std_error"].iloc[0] == pytest.approx(np.sqrt(weight @ cov @ weight), rel=1e-5)
    assert found.estimates["estimate"].iloc[0] == pytest.approx(weight @ fitted.params.to_numpy())
    known = errors.notna().to_numpy()
    assert errors.to_numpy()[known] == pytest.approx(np.sqrt(np.diag(cov))[known], rel=1e-5)


def test_with_a_penalty_what_the_last_occupation_cannot_tell_is_zero() -> None:
    panel = careers(120, 4)
    fitted = RIDGE.replace(cov_type="clustered").fit(panel).destination
    lost = [(code, f"lag(occupation)[{code}]") for code in panel.choices.codes]
    errors = fitted.std_errors
    assert set(errors[errors.isna()].index) >= set(lost)
    assert fitted.params[lost].abs().max() < 1e-6
    assert (errors.dropna() > 1e-4).all()
    assert f"none for {int(errors.isna().sum())} coefficients" in fitted.cov_description


# Options


def test_pairs_of_alpha_and_what_was_chosen(panel) -> None:
    pair = RIDGE.replace(alpha=(0.5, 0.01)).fit(panel)
    same = [RIDGE.replace(alpha=a).fit(panel) for a in (0.5, 0.01)]
    assert pair.alpha == (0.5, 0.01)
    assert pair.chosen == {}
    assert np.array_equal(pair.move.params, same[0].move.params)
    assert np.array_equal(pair.destination.params, same[1].destination.params)
    train, valid = panel.split([0.6, 0.4], seed=0)
    automatic = RIDGE.replace(alpha="auto").fit(train, validation=valid)
    assert automatic.chosen == {"alpha": automatic.alpha}
    assert automatic.move.path is not None
    again = RIDGE.replace(**automatic.chosen).fit(train)
    assert again.log_proba(valid) == pytest.approx(automatic.log_proba(valid), abs=1e-4)
    # Every stage is judged by its own rows of the validation sample.
    last = last_of(valid)
    stays = (valid.to_frame()["occupation"].astype(object) == last).to_numpy()
    moving = again.move_proba(valid)
    score = np.log(np.where(stays, 1 - moving, moving))[last.notna().to_numpy()].mean()
    frame = automatic.move.path.frame
    assert frame.loc[frame["chosen"], "score"].iloc[0] == pytest.approx(score, abs=1e-4)


def test_cross_validation_goes_by_person_in_both_stages() -> None:
    panel = careers(60, 4)
    fitted = RIDGE.replace(alpha="cv", folds=3).fit(panel, seed=3)
    for stage in (fitted.move, fitted.destination):
        assert "3-fold cross-validation over persons" in stage.table_facts().penalty
        assert set(stage.folds.index) <= set(panel.persons)
    assert fitted.alpha == RIDGE.replace(alpha="cv", folds=3).fit(panel, seed=3).alpha


def test_weights_are_repetitions(panel) -> None:
    df = panel.to_frame()
    counts = pd.Series(1 + (panel.persons % 3 == 0), index=panel.persons)
    twice = df[df["person"].map(counts) == 2].assign(person=lambda d: d["person"] + 10_000)
    repeated = rebuild(pd.concat([df, twice], ignore_index=True), panel.choices)
    model = PLAIN.replace(cov_type=None)
    weighted = model.replace(weight_type="frequency").fit(panel, weights=counts)
    longer = model.fit(repeated)
    assert weighted.params.to_numpy() == pytest.approx(longer.params.to_numpy(), abs=1e-6)
    for stage in ("move", "destination"):
        mine, theirs = getattr(weighted, stage).glance().loc[0], getattr(longer, stage).glance().loc[0]
        for name in ("n", "log_likelihood", "null_log_likelihood", "aic", "bic"):
            assert mine[name] == pytest.approx(theirs[name], rel=1e-9)
    proportional = model.fit(panel, weights=counts * 7.0)
    assert proportional.params.to_numpy() == pytest.approx(weighted.params.to_numpy(), abs=1e-6)
    assert proportional.info.weighted


def test_rows_with_missing_values_are_dropped_from_both_stages(panel) -> None:
    df = panel.to_frame()
    gaps = df.index[::7]
    df["educ"] = df["educ"].astype(float)
    df.loc[gaps, "educ"] = np.nan
    holes = rebuild(df, panel.choices)
    with pytest.raises(DataError, match=r"missing values: educ in \d+ of"):
        PLAIN.fit(holes)
    fitted = PLAIN.replace(missing="drop").fit(holes)
    assert fitted.info.dropped == len(gaps)
    assert fitted.info.rows == len(panel) - len(gaps)
    assert fitted.kept(holes).sum() == len(fitted.predict_proba(holes)) == len(fitted.log_likelihood(holes))
    last = last_of(holes)
    assert fitted.move.info.rows == int((last.notna() & df["educ"].notna()).sum())
    assert np.abs(fitted.predict_proba(holes).sum(axis=1) - 1).max() < 1e-9
    assert fitted.move_proba(holes).index.equals(fitted.log_likelihood(holes).index)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": 1}, "base is not available with two_stage=True"),
        ({"offset": "o"}, "offset is not available with two_stage=True"),
        ({"choice_sets": "c"}, "choice_sets is not available with two_stage=True"),
        ({"formula": "occupation ~ educ | stay()"}, "leave stay"),
        ({"penalty": "l2", "alpha": (1, 2, 3)}, "a pair is for two_stage=True"),
        ({"penalty": "l2", "alpha": (1.0, -2.0)}, "alpha=-2.0 is not allowed"),
    ],
)
def test_options_that_do_not_go_together(options, message) -> None:
    with pytest.raises(OptionError, match=message):
        PLAIN.replace(**options)
    with pytest.raises(OptionError, match="a pair is for two_stage=True"):
        MNLogit("y ~ x", penalty="l2", alpha=(0.1, 0.2))


def test_data_that_have_no_stages(panel) -> None:
    df = panel.to_frame()
    single = rebuild(df.groupby("person").head(1), panel.choices)
    with pytest.raises(DataError, match="no record belongs to the move stage"):
        PLAIN.fit(single)
    with pytest.raises(DataError, match="give a CareerPanel, not a data frame"):
        PLAIN.fit(df)
    steady = df.assign(occupation=df["occupation"].astype(int).groupby(df["person"]).transform("first"))
    with pytest.raises(DataError, match="only one outcome occurs"):
        PLAIN.fit(rebuild(steady, panel.choices))


def test_first_records_alone_can_be_predicted(panel, plain) -> None:
    firsts = rebuild(panel.to_frame().groupby("person").head(1), panel.choices)
    expected = plain.predict_proba(panel)[panel.is_first]
    assert plain.predict_proba(firsts).to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-14)
    assert plain.move_proba(firsts).isna().all()
    with pytest.raises(DataError, match="give a CareerPanel"):
        plain.log_proba(panel.to_frame())


# Clusters and strata


def test_clusters_and_strata_reach_both_stages(panel) -> None:
    df = panel.to_frame()
    df["region"] = "r" + (df["person"] % 40).astype(str)
    df["half"] = df["person"] % 40 % 2
    wider = rebuild(df, panel.choices, static=["sex", "birth_year", "region", "half"])
    fitted = PLAIN.replace(cov_type="clustered", cluster="region", strata="half").fit(wider)
    for stage in (fitted.move, fitted.destination):
        assert stage.glance().loc[0, "clusters"] == 40
        assert "clustered by region (40 clusters" in stage.cov_description
        assert "within strata of half" in stage.cov_description
    # By hand for the first stage: sums of scores by region about the means of the strata.
    last = last_of(wider)
    keep = last.notna()
    x = design(wider)[keep]
    moves = (df["occupation"].astype(object) != last)[keep].astype(float)
    theirs = sm.Logit(moves, x).fit(disp=0, tol=1e-13)
    scores = x.to_numpy() * theirs.resid_response.to_numpy()[:, None]
    sums = pd.DataFrame(scores).groupby([df.loc[keep, "half"].to_numpy(), df.loc[keep, "region"].to_numpy()]).sum()
    meat = np.zeros((3, 3))
    for _, part in sums.groupby(level=0):
        centred = part.to_numpy() - part.to_numpy().mean(axis=0)
        meat += centred.T @ centred * len(part) / (len(part) - 1)
    bread = np.linalg.inv(-theirs.model.hessian(theirs.params))
    expected = np.sqrt(np.diag(bread @ meat @ bread))
    assert fitted.move.std_errors.to_numpy() == pytest.approx(expected, rel=1e-6)


def test_bootstrap_of_both_stages(panel, tmp_path) -> None:
    model = PLAIN.replace(cov_type="bootstrap", replications=6)
    fitted = model.fit(panel, seed=1, checkpoint=tmp_path / "runs")
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["destination", "move"]
    again = model.fit(panel, seed=1, checkpoint=tmp_path / "runs")
    assert fitted.std_errors.equals(again.std_errors)
    assert (fitted.std_errors > 0).all()
    # The stages are drawn apart.
    assert fitted.move.replicates.shape == (6, 3)
    assert fitted.destination.replicates.shape == (6, 12)


# Other parts of the package


def test_saved_and_loaded(panel, ridge, tmp_path) -> None:
    ridge.save(tmp_path / "fit")
    back = el.load(tmp_path / "fit")
    assert isinstance(back, el.TwoStageMNLogitResults)
    assert np.array_equal(back.log_proba(panel), ridge.log_proba(panel))
    assert back.params.equals(ridge.params)
    assert (back.model, back.alpha, back.choices) == (ridge.model, ridge.alpha, ridge.choices)
    assert str(back) == str(ridge)


def test_comparison_and_bootstrap_take_it(panel) -> None:
    train, test = panel.split([0.7, 0.3], seed=0)
    models = {"one": RIDGE.replace(two_stage=False), "two": RIDGE}
    fitted = {name: model.fit(train) for name, model in models.items()}
    compared = el.compare(fitted, test)
    for name, fit in fitted.items():
        assert compared.frame.loc[name, "perplexity"] == pytest.approx(
            np.exp(-fit.log_likelihood(test).mean()), rel=1e-12
        )
    drawn = el.bootstrap(fitted, train, test, replications=3, seed=0)
    assert drawn.perplexity.shape == (3, 2)
    assert drawn.perplexity.notna().all().all()


def test_perplexity_by_history(panel, ridge) -> None:
    found = ridge.perplexity(panel, by="history")
    scores, first = ridge.log_likelihood(panel), panel.is_first
    assert found.loc["first record", "perplexity"] == pytest.approx(np.exp(-scores[first].mean()), rel=1e-12)
    assert found.loc["with a history", "perplexity"] == pytest.approx(np.exp(-scores[~first].mean()), rel=1e-12)
    assert found["n"].sum() == len(panel)


def test_summary_and_tables(panel, plain, ridge) -> None:
    text = plain_text(plain)
    for part in ("Two-stage multinomial logit of occupation", "Moves: move", "To: ", "std. err.", "converged"):
        assert part in text
    assert "First stage: Base outcome: stay." in text
    tidy = plain.tidy()
    assert tidy["stage"].value_counts().to_dict() == {"move": 3, "destination": 12}
    assert tidy["estimate"].tolist() == plain.params.tolist()
    glance = plain.glance()
    assert glance.index.tolist() == ["both", "move", "destination"]
    assert glance.loc["both", "n"] == len(panel)
    for name in ("log_likelihood", "null_log_likelihood", "parameters"):
        assert glance.loc["both", name] == pytest.approx(glance.loc[["move", "destination"], name].sum())
    assert glance.loc["both", "log_likelihood"] == pytest.approx(plain.info.log_likelihood, rel=1e-9)
    size = glance.loc["both", "parameters"]
    bic = size * np.log(len(panel)) - 2 * plain.info.log_likelihood
    assert glance.loc["both", "bic"] == pytest.approx(bic, rel=1e-9)
    assert isinstance(plain.move, MNLogitResults)


def test_side_by_side(panel, plain, ridge) -> None:
    table = el.table({"two stages": plain, "penalised": ridge}, stats=["n", "persons", "log_likelihood"])
    text = str(table)
    assert "Moves" in text
    for code in panel.choices.codes[1:]:
        assert panel.choices.title(code)[:5] in text
    assert f"{plain.params['move', 'move', 'educ']:.3f}" in text
    # The statistics are those of the whole model.
    assert f"{plain.info.rows:,}" in text
    assert f"{plain.info.log_likelihood:,.2f}" in text
    facts = plain.table_facts()
    assert facts.outcome == "occupation"
    assert "clustered by person" in facts.cov
    assert "clustered by person" in plain_text(table)
    assert plain.__maketables_stat__("N") == plain.info.rows
    assert len(plain.__maketables_coef_table__) == len(plain.params)
