"""Without a penalty: the same estimates as statsmodels."""

import numpy as np
import pandas as pd
import patsy
import pytest
import statsmodels.api as sm

from econllm.datasets import load_wage_panel
from econllm.errors import DataError, OptionError
from econllm.multinomial import MNLogit

ANES = "PID ~ logpopul + selfLR + age + educ + income"
FAIR = "rate_marriage ~ age + yrs_married + religious"


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    anes, fair = (getattr(sm.datasets, name).load_pandas().data for name in ("anes96", "fair"))
    return {"anes": anes, "fair": fair, "wage": load_wage_panel()}


def reference(df: pd.DataFrame, formula: str, outcome: pd.Series | None = None):
    left, right = formula.split("~")
    x = patsy.dmatrix(right, df, return_type="dataframe")
    y = df[left.strip()] if outcome is None else outcome
    return sm.MNLogit(y, x).fit(method="newton", maxiter=100, disp=0, tol=1e-12), x


def renamed(column: str) -> str:
    """patsy's C(x)[T.2.0] is C(x)[2] here."""
    return column.replace("[T.", "[").replace(".0]", "]")


def assert_equal(fitted, theirs, x: pd.DataFrame, codes: list) -> None:
    """Coefficient by coefficient, found by its labels."""
    terms = [renamed(column) for column in x.columns]
    assert fitted.params.index.equals(fitted.std_errors.index)
    assert set(fitted.params.index) == {(code, term) for code in codes for term in terms}
    params = pd.DataFrame(np.asarray(theirs.params), index=terms, columns=codes)
    errors = pd.DataFrame(np.asarray(theirs.bse), index=terms, columns=codes)
    for (code, term), value in fitted.params.items():
        assert value == pytest.approx(params.loc[term, code], abs=1e-6, rel=1e-6)
        assert fitted.std_errors[code, term] == pytest.approx(errors.loc[term, code], abs=1e-8, rel=1e-5)
    assert fitted.info.log_likelihood == pytest.approx(theirs.llf, abs=1e-6)
    assert fitted.info.parameters == theirs.params.size
    assert fitted.converged


@pytest.mark.parametrize(
    ("data", "formula"),
    [
        ("anes", ANES),
        ("fair", FAIR),
        ("wage", "occupation ~ educ + exper + black + married"),
        ("fair", "rate_marriage ~ age + C(religious)"),
        ("wage", "occupation ~ C(educ > 12) * exper + black"),
        ("anes", "PID ~ 0 + selfLR + age"),
    ],
)
def test_coefficients_errors_and_likelihood(frames, data, formula) -> None:
    theirs, x = reference(frames[data], formula)
    fitted = MNLogit(formula).fit(frames[data])
    assert_equal(fitted, theirs, x, list(fitted.choices.codes[1:]))
    inside = fitted.predict_proba(frames[data]).to_numpy() - np.asarray(theirs.predict(x))
    assert np.abs(inside).max() < 1e-9


def test_inference_columns(frames) -> None:
    theirs, x = reference(frames["anes"], ANES)
    table = MNLogit(ANES).fit(frames["anes"]).tidy()
    shape = (6, len(x.columns))
    for mine, other in (("statistic", theirs.tvalues), ("p_value", theirs.pvalues)):
        assert pytest.approx(np.asarray(other), rel=1e-5, abs=1e-9) == table[mine].to_numpy().reshape(shape).T
    interval = np.asarray(theirs.conf_int(0.1)).reshape(*shape, 2)
    mine = MNLogit(ANES).fit(frames["anes"]).conf_int(0.9).to_numpy().reshape(*shape, 2)
    assert mine == pytest.approx(interval, rel=1e-5, abs=1e-7)


def test_another_base_is_the_same_model_against_it(frames) -> None:
    df = frames["anes"]
    recoded = df["PID"].map({3: -1}).fillna(df["PID"])  # 3 becomes the first, the others keep their order
    theirs, x = reference(df, ANES, recoded)
    fitted = MNLogit(ANES, base=3).fit(df)
    assert_equal(fitted, theirs, x, [0, 1, 2, 4, 5, 6])
    plain = MNLogit(ANES).fit(df)
    assert fitted.predict_proba(df).to_numpy() == pytest.approx(plain.predict_proba(df).to_numpy(), abs=1e-12)
    contrast = plain.params.xs("age", level="term")
    assert fitted.params[4, "age"] == pytest.approx(contrast[4] - contrast[3], abs=1e-9)


def test_integer_weights_are_repeated_rows(frames) -> None:
    df = frames["anes"].reset_index(drop=True)
    weights = pd.Series(np.random.default_rng(0).integers(0, 4, len(df)).astype(float))
    repeated = df.loc[df.index.repeat(weights.astype(int))]
    counted, plain = MNLogit(ANES, weight_type="frequency").fit(df, weights=weights), MNLogit(ANES).fit(repeated)
    assert counted.params.to_numpy() == pytest.approx(plain.params.to_numpy(), abs=1e-8)
    assert counted.objective == pytest.approx(plain.objective, abs=1e-12)
    assert counted.std_errors.to_numpy() == pytest.approx(plain.std_errors.to_numpy(), rel=1e-6)
    for name in ("n", "log_likelihood", "null_log_likelihood", "pseudo_r2", "aic", "bic", "cov_type"):
        left, right = counted.glance()[name].item(), plain.glance()[name].item()
        assert left == (right if isinstance(right, str) else pytest.approx(right, rel=1e-10))
    assert counted.info.log_likelihood == pytest.approx(plain.info.log_likelihood, rel=1e-10)
    # As inverse probabilities of selection the same weights give the same coefficients, but sandwich errors.
    sampled = MNLogit(ANES).fit(df, weights=weights)
    assert sampled.params.to_numpy() == pytest.approx(plain.params.to_numpy(), abs=1e-8)
    assert sampled.cov_type == "robust"
    with pytest.raises(OptionError, match="not valid with probability weights"):
        MNLogit(ANES, cov_type="nonrobust").fit(df, weights=weights)
    with pytest.raises(DataError, match=r"needs whole numbers; 1 of 944 weights are none, the first 0[.]5"):
        MNLogit(ANES, weight_type="frequency").fit(df, weights=weights.where(weights.index != 3, 0.5))


def test_columns_far_from_zero_are_not_taken_for_constants(frames) -> None:
    df = frames["anes"].assign(stamp=lambda d: 1.7e6 + d["age"])
    fitted = MNLogit("PID ~ stamp + educ").fit(df)
    plain = MNLogit("PID ~ age + educ").fit(df)
    assert fitted.params[1, "stamp"] == pytest.approx(plain.params[1, "age"], abs=1e-6)
    assert fitted.std_errors[1, "stamp"] == pytest.approx(plain.std_errors[1, "age"], rel=1e-4)
