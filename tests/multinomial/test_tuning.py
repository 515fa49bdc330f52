"""Choosing alpha: by a validation sample, or by folds of persons; and weights."""

import numpy as np
import pandas as pd
import pytest
from logit_samples import careers, choices_frame, make_setup, plain_text

from econllm.errors import DataError, OptionError
from econllm.multinomial import MNLogit
from econllm.multinomial.tuning import folds
from econllm.panel import CareerPanel

FORMULA = "occupation ~ lag(occupation) + educ + C(birth_year)"


@pytest.fixture(scope="module")
def parts() -> tuple[CareerPanel, ...]:
    return careers(240, 5).split([0.6, 0.2, 0.2])


# By a validation sample


def test_validation_chooses_an_interior_best(parts) -> None:
    train, valid, _ = parts
    fitted = MNLogit(FORMULA, penalty="l2").fit(train, validation=valid)
    path = fitted.path.frame
    assert path.columns.tolist() == ["alpha", "score", "std_error", "nonzero", "chosen"]
    assert path["alpha"].is_monotonic_increasing
    best = path["score"].idxmax()
    assert fitted.alpha == path.loc[best, "alpha"]
    assert 0 < best < len(path) - 1
    assert "by the validation sample" in plain_text(fitted)
    path.loc[0, "alpha"] = -1.0
    assert fitted.path.frame.loc[0, "alpha"] > 0
    # The scores are what fits at these values give.
    for _, row in fitted.path.frame.iterrows():
        there = MNLogit(FORMULA, penalty="l2", alpha=row["alpha"]).fit(train)
        assert there.log_likelihood(valid).mean() == pytest.approx(row["score"], abs=1e-3)
    again = MNLogit(FORMULA, penalty="l2", alpha=fitted.alpha).fit(train)
    assert again.params.to_numpy() == pytest.approx(fitted.params.to_numpy(), abs=1e-9)
    for factor in (10**-0.5, 10**0.5):
        other = MNLogit(FORMULA, penalty="l2", alpha=fitted.alpha * factor).fit(train)
        assert other.log_likelihood(valid).sum() < fitted.log_likelihood(valid).sum()


def test_validation_rows_of_unseen_outcomes_say_nothing_about_alpha(parts) -> None:
    train, valid, _ = parts
    rare = train.outcome == 0
    kept = train.subset(np.setdiff1d(train.persons, train.person_ids[rare]))
    fitted = MNLogit("occupation ~ educ", penalty="l2").fit(kept, validation=valid)
    assert len(fitted.info.unseen) == 1
    assert np.isfinite(fitted.path.frame["score"]).all()
    only = valid.to_frame()
    only["occupation"] = fitted.info.unseen[0]
    roles = {"static": ["sex", "birth_year"], "dynamic": ["educ", "exper"], "lagged": ["wage"]}
    impossible = CareerPanel(only, "person", "year", "occupation", titles=valid.choices, **roles)
    with pytest.raises(DataError, match="no rows with an outcome that occurs in estimation"):
        MNLogit("occupation ~ educ", penalty="l2").fit(kept, validation=impossible)


# By folds


def divide(setup, seed):
    return folds(setup.problem, setup.sample.clusters, seed, 5)[0]


def fold_persons(setup, panel, seed) -> list[set]:
    """Persons of every fold, told by the exact rows that are judged."""
    tagged = setup.problem.dense[:, 0]
    assert len(np.unique(tagged)) == len(panel)
    owner = dict(zip(tagged, panel.origin_ids, strict=True))
    return [{owner[value] for value in part.judged.dense[:, 0]} for part in divide(setup, seed)]


def test_folds_divide_origin_persons() -> None:
    base = careers(60, 3)
    frame = base.to_frame().assign(tag=np.arange(len(base)) + 0.5)
    plain = CareerPanel(frame, "person", "year", "occupation", static=["sex"], dynamic=["educ", "tag"])
    setup = make_setup(plain, "occupation ~ tag", 0.1)
    groups = fold_persons(setup, plain, 0)
    assert len(groups) == 5
    assert sorted(person for fold in groups for person in fold) == sorted(plain.persons)
    assert {len(fold) for fold in groups} == {12}
    for part in divide(setup, 0):
        assert part.problem.rows + part.judged.rows == len(plain)
    assert fold_persons(setup, plain, 0) == groups
    assert fold_persons(setup, plain, 1) != groups


def test_copies_of_a_person_stay_together() -> None:
    base = careers(30, 3)
    frame = base.to_frame().assign(tag=base.origin_ids + 0.5)
    panel = CareerPanel(frame, "person", "year", "occupation", static=["tag"]).resample(seed=4)
    origins = len(np.unique(panel.origin_ids))
    assert origins < len(panel.persons)  # some were drawn more than once
    setup = make_setup(panel, "occupation ~ tag", 0.1)
    for part in divide(setup, 0):
        assert not set(part.problem.dense[:, 0]) & set(part.judged.dense[:, 0])
    judged = [set(part.judged.dense[:, 0]) for part in divide(setup, 0)]
    assert sum(map(len, judged)) == origins


def test_cross_validation_is_seeded(parts) -> None:
    train = parts[0]
    model = MNLogit("occupation ~ lag(occupation) + educ", penalty="l2")
    first, same, other, default = (model.fit(train, seed=seed) for seed in (0, 0, 7, None))
    assert first.path.frame.equals(same.path.frame)
    assert first.params.equals(same.params)
    assert default.path.frame.equals(first.path.frame)
    assert not other.path.frame.equals(first.path.frame)
    assert "by 5-fold cross-validation over persons" in plain_text(first)
    again = model.replace(alpha=first.alpha).fit(train)
    assert again.params.to_numpy() == pytest.approx(first.params.to_numpy(), abs=1e-9)


def test_rows_of_a_data_frame_are_their_own_persons() -> None:
    fitted = MNLogit("y ~ x + g", penalty="l2").fit(choices_frame(), seed=1)
    assert "cross-validation over rows" in plain_text(fitted)


def test_an_outcome_that_only_one_fold_holds_is_left_out_of_the_scores() -> None:
    df = choices_frame(200)
    df.loc[17, "y"] = "boat"
    fitted = MNLogit("y ~ x + g", penalty="l2").fit(df, seed=1)
    without = MNLogit("y ~ x + g", penalty="l2").fit(df.drop(index=17), seed=1)
    # A score of one impossible row would be tens of nats over 200 rows.
    assert fitted.path.frame["score"].max() == pytest.approx(without.path.frame["score"].max(), abs=0.02)
    assert "boat" in fitted.choices
    assert fitted.info.unseen == ()


def test_cross_validation_needs_persons_and_outcomes() -> None:
    df = choices_frame(5).assign(y=list("abbbb"))
    with pytest.raises(DataError, match="without one fold, only one outcome is left"):
        MNLogit("y ~ x", penalty="l2").fit(df)
    with pytest.raises(DataError, match="every outcome occurs in one fold only"):
        MNLogit("y ~ x", penalty="l2").fit(df.assign(y=list("abcde")))
    one = careers(1, 3, records=(8, 8))
    with pytest.raises(DataError, match="at least two persons; give a validation sample"):
        MNLogit("occupation ~ exper", penalty="l2").fit(one)


# Weights


def test_weights_are_repetitions(parts) -> None:
    train = parts[0]
    rng = np.random.default_rng(0)
    weights = pd.Series(rng.integers(0, 3, len(train.persons)), index=train.persons)
    frame = train.to_frame()
    copies = []
    for copy in range(2):
        part = frame[frame["person"].map(weights) > copy].copy()
        part["person"] += 10_000 * copy
        copies.append(part)
    roles = {"static": ["sex", "birth_year"], "dynamic": ["educ", "exper"], "lagged": ["wage"]}
    repeated = CareerPanel(
        pd.concat(copies, ignore_index=True), "person", "year", "occupation", titles=train.choices, **roles
    )
    model = MNLogit("occupation ~ lag(occupation) + educ", penalty="l2", alpha=0.01)
    by_person, plain = model.fit(train, weights=weights), model.fit(repeated)
    assert by_person.params.to_numpy() == pytest.approx(plain.params.to_numpy(), abs=1e-8)
    assert by_person.objective == pytest.approx(plain.objective, abs=1e-12)
    by_row = model.fit(train, weights=pd.Series(train.person_ids, index=train.index).map(weights))
    assert by_row.params.equals(by_person.params)
    assert by_person.info.weighted
    tuned = MNLogit("occupation ~ lag(occupation) + educ", penalty="l2").fit(train, weights=weights, seed=0)
    assert np.isfinite(tuned.path.frame["score"]).all()


def test_survey_weights(parts) -> None:
    frame = parts[0].to_frame()
    frame["w"] = (frame["person"] % 3 + 1).astype(float)
    roles = {"static": ["sex", "birth_year"], "dynamic": ["educ", "exper"], "lagged": ["wage"]}
    panel = CareerPanel(frame, "person", "year", "occupation", titles=parts[0].choices, weights="w", **roles)
    model = MNLogit("occupation ~ educ", penalty="l2", alpha=0.1)
    survey = model.replace(weighted=True).fit(panel)
    given = model.fit(panel, weights=frame.groupby("person")["w"].first())
    assert survey.params.to_numpy() == pytest.approx(given.params.to_numpy(), abs=1e-10)
    assert not np.allclose(survey.params, model.fit(panel).params)
    with pytest.raises(OptionError, match="weighted=True needs survey weights"):
        model.replace(weighted=True).fit(parts[0])
    with pytest.raises(DataError, match="weights is a list; give a pandas Series"):
        model.fit(panel, weights=[1.0] * len(panel))


def test_outcomes_that_only_rows_of_weight_zero_have() -> None:
    df = choices_frame(200)
    df.loc[:4, "y"] = "boat"
    weights = pd.Series((df["y"] != "boat").astype(float), index=df.index)
    fitted = MNLogit("y ~ x", penalty="l2", alpha=0.1).fit(df, weights=weights)
    assert fitted.info.unseen == ("boat",)
    assert fitted.info.log_likelihood == pytest.approx(fitted.log_likelihood(df).sum())
    plain = MNLogit("y ~ x", penalty="l2", alpha=0.1).fit(df.drop(index=range(5)))
    # Columns are scaled by the weighted sample, so the estimates agree.
    assert fitted.params.to_numpy() == pytest.approx(plain.params.to_numpy(), abs=1e-9)
