"""Warnings say which column or option they are about, and what to do."""

import warnings

import numpy as np
import pandas as pd
import pytest
from logit_samples import careers, choices_frame, plain_text

from econllm.errors import CollinearityWarning, ConvergenceWarning, SeparationWarning
from econllm.logit import newton
from econllm.multinomial import MNLogit


def test_warnings_point_to_the_line_of_the_user() -> None:
    df = choices_frame().assign(one=1.0)
    df.loc[df["g"] == "v", "y"] = "bus"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MNLogit("y ~ x + one + g").fit(df)
        MNLogit("y ~ x + one + g", penalty="l2", alpha=0.1).fit(df)
    kinds = [w.category for w in caught]
    assert kinds == [CollinearityWarning, SeparationWarning, CollinearityWarning]
    assert {w.filename for w in caught} == {__file__}


def test_convergence(monkeypatch) -> None:
    monkeypatch.setattr(newton, "MAX_PARAMETERS", 1)
    df = choices_frame()
    with pytest.warns(
        ConvergenceWarning, match=r"within max_iter=3 iterations \(.*\); raise max_iter or set penalty='l2'"
    ):
        fitted = MNLogit("y ~ x + g", max_iter=3).fit(df)
    assert not fitted.converged
    assert "NOT CONVERGED in 3 iterations" in str(fitted)
    with pytest.warns(ConvergenceWarning, match=r"raise max_iter\.$"):
        MNLogit("y ~ x + g", penalty="l2", alpha=1e-4, max_iter=3).fit(df)


def test_columns_without_information_are_omitted() -> None:
    df = choices_frame().assign(one=1.0, twin=lambda d: 2 * d["x"] - 3)
    plain = MNLogit("y ~ x").fit(df)
    for formula, name in (("y ~ x + one", "'one'"), ("y ~ x + twin", "'twin'"), ("y ~ one + x", "'one'")):
        with pytest.warns(CollinearityWarning, match=f"1 columns carry no information .* omitted: {name}"):
            fitted = MNLogit(formula).fit(df)
        assert fitted.params.to_numpy() == pytest.approx(plain.params.to_numpy(), abs=1e-9)
        assert fitted.std_errors.to_numpy() == pytest.approx(plain.std_errors.to_numpy(), abs=1e-9)
        assert f"Omitted, spanned by other columns: {name.strip(chr(39))}." in plain_text(fitted)
        assert fitted.log_proba(df) == pytest.approx(plain.log_proba(df), abs=1e-9)


def test_without_an_intercept_a_constant_column_takes_its_place() -> None:
    df = choices_frame().assign(one=1.0)
    fitted, usual = MNLogit("y ~ 0 + one + x").fit(df), MNLogit("y ~ x").fit(df)
    assert fitted.params.index.unique("term").tolist() == ["one", "x"]
    assert fitted.params.to_numpy() == pytest.approx(usual.params.to_numpy(), abs=1e-9)
    assert fitted.std_errors.to_numpy() == pytest.approx(usual.std_errors.to_numpy(), abs=1e-9)


def test_factors_that_span_each_other() -> None:
    df = choices_frame()
    df["h"] = df["g"].map({"u": "low", "v": "high", "w": "high"})
    with pytest.warns(CollinearityWarning, match="1 columns"):
        fitted = MNLogit("y ~ g + h").fit(df)
    assert fitted.log_proba(df) == pytest.approx(MNLogit("y ~ g").fit(df).log_proba(df), abs=1e-8)


def test_penalised_constant_and_twin() -> None:
    df = choices_frame().assign(one=7.0, twin=lambda d: d["x"])
    with pytest.warns(CollinearityWarning, match="column 'one' is constant in the estimation sample"):
        fitted = MNLogit("y ~ x + one", penalty="l2", alpha=0.01).fit(df)
    assert fitted.params.xs("one", level="term").abs().max() < 1e-12
    twins = MNLogit("y ~ x + twin", penalty="l2", alpha=0.01).fit(df)
    assert twins.params["bus", "x"] == pytest.approx(twins.params["bus", "twin"], abs=1e-9)
    # Without an intercept a constant column is one, and its coefficient is none of zero.
    free = MNLogit("y ~ 0 + x + one", penalty="l2", alpha=0.01).fit(df)
    assert free.params.xs("one", level="term").abs().max() > 0


def test_levels_that_do_not_occur_are_no_constants() -> None:
    panel = careers(60, 4)
    absent = panel.subset(panel.persons[~np.isin(panel.persons, panel.person_ids[panel.outcome == 2])])
    fitted = MNLogit("occupation ~ bag(occupation) + lag(occupation):educ", penalty="l2", alpha=0.1).fit(absent)
    assert len(fitted.info.unseen) == 1
    assert np.isfinite(fitted.log_proba(panel)).all()


def test_separation_on_the_wage_panel(wage_panel) -> None:
    train, _, test = wage_panel.split([0.7, 0.1, 0.2], seed=0)
    with pytest.warns(SeparationWarning, match=r"column 'lag\(occupation\)\[\d\]' predicts outcome .*set penalty='l2'"):
        fitted = MNLogit("occupation ~ lag(occupation)").fit(train)
    assert np.isfinite(fitted.log_proba(test)).all()
    assert np.abs(np.exp(fitted.log_proba(test)).sum(axis=1) - 1).max() < 1e-9
    assert fitted.perplexity(test).value < 10
    assert np.isfinite(fitted.params).all()
    # No test outcome is impossible for a separated fit in words, only improbable.
    assert np.isfinite(fitted.log_likelihood(test)).all()


@pytest.mark.parametrize("newton_steps", [True, False])
@pytest.mark.parametrize("kind", ["numeric", "reference level", "level"])
def test_separated_columns_are_named(kind, newton_steps, monkeypatch) -> None:
    if not newton_steps:
        monkeypatch.setattr(newton, "MAX_PARAMETERS", 1)
    df = choices_frame(300)
    if kind == "numeric":
        df["s"] = np.where(df["y"] == "bus", 1.0, -1.0) * np.linspace(0.1, 2, len(df))
        name = "'s'"
    else:
        level = {"reference level": "u", "level": "v"}[kind]
        df = df[(df["g"] != level) | (df["y"] != "walk")].rename(columns={"g": "s"})
        name = r"'s\[v\]'|'s\[w\]'" if level == "u" else r"'s\[v\]'"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = MNLogit("y ~ s + x", tol=1e-6 if newton_steps else 1e-9).fit(df)
    messages = [str(w.message) for w in caught if issubclass(w.category, SeparationWarning)]
    assert len(messages) == 1
    assert any(part.strip("'").replace("\\", "") in messages[0] for part in name.split("|"))
    assert np.isfinite(fitted.log_proba(df)).all()


def test_large_coefficients_are_no_separation() -> None:
    """An effect that is huge over a heavy-tailed column's range, and one that is badly determined."""
    panel = careers(300, 4)
    MNLogit("occupation ~ sex * year").fit(panel)
    rng = np.random.default_rng(0)
    x = rng.standard_normal(4000)
    x[:2] = [40.0, -40.0]
    y = np.where(x + rng.logistic(size=4000) > 0, "yes", "no")
    fitted = MNLogit("y ~ x").fit(pd.DataFrame({"y": y, "x": x}))
    assert 40 * fitted.params["yes", "x"] > 15
    assert fitted.tstats["yes", "x"] > 10
