"""Linear and nonlinear functions of coefficients."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from econllm.errors import DataError, OptionError
from econllm.inference import lincom, nlcom, parse_hypothesis, relative_risk_ratios, wald_test
from tests.inference.samples import INDEX, TITLES, anes, random_cov, sample

COLUMNS = ["estimate", "std_error", "statistic", "p_value", "lower", "upper"]


@pytest.fixture(scope="module")
def election():
    return anes()


def test_lincom_as_statsmodels(election) -> None:
    fit, params, cov = election
    texts = ["[2]educ - [3]educ", "2*[2]age + [6]income / 4", "educ"]
    matrix = np.vstack([parse_hypothesis(text, params.index)[0] for text in texts])
    theirs = fit.t_test(matrix)
    mine = lincom(params, cov, texts, level=0.9)
    assert mine.estimates.columns.tolist() == COLUMNS
    assert mine.estimates.index.tolist() == texts[:2] + [f"[{r}]educ" for r in range(1, 7)]
    for name, other in (("estimate", "effect"), ("std_error", "sd"), ("statistic", "tvalue"), ("p_value", "pvalue")):
        assert mine.estimates[name].to_numpy() == pytest.approx(np.ravel(getattr(theirs, other)), rel=1e-8), name
    assert mine.estimates[["lower", "upper"]].to_numpy() == pytest.approx(theirs.conf_int(0.1), rel=1e-8)
    assert mine.cov.to_numpy() == pytest.approx(matrix @ cov @ matrix.T, rel=1e-8, abs=1e-14)


def test_a_constant_moves_the_estimate_only() -> None:
    params, cov = sample()
    plain, moved = (lincom(params, cov, text).estimates.iloc[0] for text in ("[2]educ", "[2]educ - 1.5"))
    assert moved["estimate"] == pytest.approx(plain["estimate"] - 1.5)
    assert moved["std_error"] == plain["std_error"]
    assert moved["statistic"] ** 2 == pytest.approx(wald_test(params, cov, "[2]educ = 1.5").statistic)


def test_exponentiated_combinations() -> None:
    params, cov = sample()
    plain, ratio = (lincom(params, cov, "[2]educ - [3]educ, [5]exper", exp=exp) for exp in (False, True))
    a, b = plain.estimates, ratio.estimates
    assert b["estimate"].to_numpy() == pytest.approx(np.exp(a["estimate"].to_numpy()))
    assert b["std_error"].to_numpy() == pytest.approx(np.exp(a["estimate"].to_numpy()) * a["std_error"].to_numpy())
    assert b[["lower", "upper"]].to_numpy() == pytest.approx(np.exp(a[["lower", "upper"]].to_numpy()))
    assert b["p_value"].tolist() == a["p_value"].tolist()
    assert np.diag(ratio.cov) == pytest.approx(b["std_error"].to_numpy() ** 2)
    assert "z and p are of the combination" in " ".join(str(ratio).split())
    delta = nlcom(params, cov, "exp([2]educ - [3]educ), exp([5]exper)")
    assert delta.cov.to_numpy() == pytest.approx(ratio.cov.to_numpy(), rel=1e-12)


def test_names_and_titles() -> None:
    params, cov = sample()
    assert lincom(params, cov, {"gap": "[2]educ - [3]educ"}).cov.index.tolist() == ["gap"]
    named = lincom(params, cov, {"educ": "2 * educ", "one": "[Managers]exper"}, titles=TITLES)
    assert named.estimates.index.tolist()[0] == "educ: 2 * [Managers]educ"
    assert named.estimates.index.tolist()[-1] == "one"
    text = str(lincom(params, cov, "[2]educ", level=0.9))
    assert "90% CI" in text
    assert f"{params[2, 'educ']:.4f}" in text
    assert lincom(params, cov, "[2]educ").to_frame().columns.tolist() == COLUMNS


def test_relative_risk_ratios() -> None:
    params, cov = sample()
    ratios = relative_risk_ratios(params, cov, 0.9)
    assert ratios.index.equals(params.index)
    b, se = params.to_numpy(), np.sqrt(np.diag(cov))
    assert ratios["estimate"].to_numpy() == pytest.approx(np.exp(b))
    assert ratios["std_error"].to_numpy() == pytest.approx(np.exp(b) * se)
    assert ratios["upper"].to_numpy() == pytest.approx(np.exp(b + stats.norm.ppf(0.95) * se))
    assert ratios["p_value"].to_numpy() == pytest.approx(2 * stats.norm.sf(np.abs(b / se)))
    text = lincom(params, cov, "educ", level=0.9, exp=True).estimates
    assert text.to_numpy() == pytest.approx(ratios.xs("educ", level="term").to_numpy())
    assert relative_risk_ratios(params + 1000, cov)["estimate"].eq(np.inf).all()


def test_ratio_by_the_known_formula(election) -> None:
    _, params, cov = election
    i, j = params.index.get_loc((2, "educ")), params.index.get_loc((2, "income"))
    a, b = params.iloc[i], params.iloc[j]
    variance = (a / b) ** 2 * (cov[i, i] / a**2 + cov[j, j] / b**2 - 2 * cov[i, j] / (a * b))
    found = nlcom(params, cov, "[2]educ / [2]income").estimates.iloc[0]
    assert found["estimate"] == pytest.approx(a / b, rel=1e-14)
    assert found["std_error"] == pytest.approx(np.sqrt(variance), rel=1e-12)
    assert found["statistic"] == pytest.approx(a / b / np.sqrt(variance), rel=1e-12)
    assert found["upper"] - found["lower"] == pytest.approx(2 * stats.norm.ppf(0.975) * np.sqrt(variance), rel=1e-12)


def test_linear_functions_are_linear() -> None:
    params, cov = sample()
    text = "2*[2]educ - [3]exper / 4 + 1, [5]educ - stay()"
    linear, delta = lincom(params, cov, text), nlcom(params, cov, text)
    assert delta.estimates.to_numpy() == pytest.approx(linear.estimates.to_numpy(), rel=1e-12)
    assert delta.cov.to_numpy() == pytest.approx(linear.cov.to_numpy(), rel=1e-12)


A, B = "[2]educ", "[3]exper"
positive = st.floats(0.2, 3.0)
leaves = st.sampled_from([A, B, "2", "0.5", "1.25"])


def grow(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions that stay positive, so that every function of them exists."""
    pair = st.tuples(part, part)
    return st.one_of(
        pair.map(lambda p: f"({p[0]} + {p[1]})"),
        pair.map(lambda p: f"{p[0]} * {p[1]}"),
        pair.map(lambda p: f"({p[0]}) / ({p[1]})"),
        part.map(lambda p: f"sqrt({p})"),
        part.map(lambda p: f"log(1 + {p})"),
        part.map(lambda p: f"exp(-({p}))"),
        part.map(lambda p: f"(({p}) ** -1.5 + 1)"),
        pair.map(lambda p: f"(1 + ({p[0]})) ^ (-1 / (1 + {p[1]}))"),
    )


def plain_value(text: str, a: complex, b: complex) -> complex:
    """The same expression by Python; only texts that the strategy above has written come here."""
    code = text.replace(A, "a").replace(B, "b").replace("^", "**")
    return eval(code, {"__builtins__": {}}, {"a": a, "b": b, "sqrt": np.sqrt, "log": np.log, "exp": np.exp})


@settings(max_examples=150, deadline=None)
@given(st.recursive(leaves, grow, max_leaves=6).filter(lambda text: A in text or B in text), positive, positive)
def test_derivatives_by_the_complex_step(text, a, b) -> None:
    params = pd.Series(0.0, INDEX)
    params[2, "educ"], params[3, "exper"] = a, b
    value = plain_value(text, a, b)
    slopes = [plain_value(text, a + 1e-30j, b).imag / 1e-30, plain_value(text, a, b + 1e-30j).imag / 1e-30]
    # A covariance with one nonzero entry shows one derivative.
    for slope, pair in zip(slopes, [(2, "educ"), (3, "exper")], strict=True):
        cov = np.zeros((len(INDEX), len(INDEX)))
        cov[INDEX.get_loc(pair), INDEX.get_loc(pair)] = 1.0
        found = nlcom(params, cov, text).estimates.iloc[0]
        assert found["estimate"] == pytest.approx(value.real, rel=1e-12)
        assert found["std_error"] == pytest.approx(abs(slope), rel=1e-8, abs=1e-10 * abs(value))


def test_callables_agree_with_texts(election) -> None:
    _, params, cov = election
    text = nlcom(params, cov, "[2]educ / [2]income, exp([3]age) * 2")

    def both(b: pd.Series) -> list[float]:
        return [b[2, "educ"] / b[2, "income"], np.exp(b[3, "age"]) * 2]

    called = nlcom(params, cov, both)
    assert called.estimates.index.tolist() == ["both[0]", "both[1]"]
    assert called.estimates.to_numpy() == pytest.approx(text.estimates.to_numpy(), rel=1e-8)
    assert called.cov.to_numpy() == pytest.approx(text.cov.to_numpy(), rel=1e-8, abs=1e-16)
    named = nlcom(params, cov, lambda b: pd.Series({"ratio": b[2, "educ"] / b[2, "income"]}))
    assert named.estimates.index.tolist() == ["ratio"]
    single = nlcom(params, cov, lambda b: b[2, "educ"] ** 2)
    assert single.estimates["std_error"].iloc[0] == pytest.approx(
        2 * abs(params[2, "educ"]) * lincom(params, cov, "[2]educ").estimates["std_error"].iloc[0], rel=1e-9
    )
    with pytest.raises(OptionError, match="2 dimensions"):
        nlcom(params, cov, lambda _: np.eye(2))


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e7])
def test_steps_follow_the_size_of_coefficients(scale) -> None:
    params, cov = sample()
    where = params.index.get_loc((2, "educ"))
    params.iloc[where] = 0.0
    cov = cov * scale**2
    found = nlcom(params * scale, cov, lambda b: np.exp(b[2, "educ"] / scale))
    assert found.estimates["std_error"].iloc[0] == pytest.approx(np.sqrt(cov[where, where]) / scale, rel=1e-8)


def test_replications() -> None:
    params, cov = sample()
    draws = np.random.default_rng(0).multivariate_normal(params, 0.01 * cov, size=400)
    draws[:, INDEX.get_loc((3, "exper"))] = np.abs(draws[:, INDEX.get_loc((3, "exper"))]) + 1
    ratio = draws[:, INDEX.get_loc((2, "educ"))] / draws[:, INDEX.get_loc((3, "exper"))]
    for function in (f"{A} / {B}", lambda b: b[2, "educ"] / b[3, "exper"]):
        found = nlcom(params, cov, function, replicates=draws, level=0.9)
        line = found.estimates.iloc[0]
        assert line["estimate"] == pytest.approx(params[2, "educ"] / params[3, "exper"], rel=1e-12)
        assert line["std_error"] == pytest.approx(ratio.std(ddof=1), rel=1e-10)
        assert line[["lower", "upper"]].tolist() == pytest.approx(np.quantile(ratio, [0.05, 0.95]).tolist(), rel=1e-10)
        assert "400 bootstrap replications" in " ".join(str(found).split())
    two = nlcom(params, cov, f"{A}, 2*{A}", replicates=draws)
    assert two.cov.iloc[1, 0] == pytest.approx(2 * two.cov.iloc[0, 0])
    params[2, "educ"], draws[:, INDEX.get_loc((2, "educ"))] = 1.0, 1.0
    draws[:3, INDEX.get_loc((2, "educ"))] = -1.0
    some = " ".join(str(nlcom(params, cov, f"log({A}) + {B}", replicates=draws)).split())
    assert "397 bootstrap replications" in some
    assert "3 replications, where a function has no value, were left out" in some
    with pytest.raises(DataError, match=r"shape \(400, 2\)"):
        nlcom(params, cov, A, replicates=draws[:, :2])
    with pytest.raises(DataError, match="at least two rows"):
        nlcom(params, cov, A, replicates=draws[:1])


def test_combinations_without_variance_have_no_test() -> None:
    spread = np.vstack([np.zeros(3), np.eye(3)]) - 0.25
    params = pd.Series(spread @ [1.0, 2.0, 4.0], pd.MultiIndex.from_product([[1, 2, 3, 4], ["x"]]))
    line = lincom(params, spread @ random_cov(3) @ spread.T, "[1]x + [2]x + [3]x + [4]x").estimates.iloc[0]
    assert line["std_error"] == 0
    assert np.isnan(line["statistic"])
    assert np.isnan(line["p_value"])


def test_a_negative_variance_is_no_standard_error() -> None:
    """Covariances clustered two ways need not be positive semi-definite."""
    params, cov = sample()
    cov[INDEX.get_loc((2, "educ")), INDEX.get_loc((2, "educ"))] = -1.0
    assert np.isnan(lincom(params, cov, "[2]educ").estimates["std_error"].iloc[0])
    assert np.isnan(relative_risk_ratios(params, cov).loc[(2, "educ"), "std_error"])


def test_missing_covariances_show_as_missing() -> None:
    params, cov = sample()
    cov[INDEX.get_loc((2, "educ"))] = np.nan
    assert lincom(params, cov, "[2]educ").estimates["std_error"].isna().all()
    assert lincom(params, cov, "[3]educ").estimates["std_error"].notna().all()
    assert relative_risk_ratios(params, cov)["std_error"].isna().sum() == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[2]educ = 0", "equals sign; wald_test"),
        ("2 + 3", "names no coefficient"),
        ("", "is empty"),
        ([], "no expression"),
        ("[2]educ / ([2]educ - [2]educ)", "no finite value or derivative"),
        ("log([2]educ - [2]educ - 1)", "no finite value or derivative"),
        ("exp(1000 + [2]educ)", "no finite value or derivative"),
        ("sqrt([2]educ - [2]educ)", "no finite value or derivative"),
        ("lambda: 0", "no coefficient is called 'lambda"),
        ("[2]educ.real", "no coefficient is called 'educ.real'"),
        (3, "give a text"),
    ],
)
def test_messages(text, message) -> None:
    params, cov = sample()
    with pytest.raises(OptionError, match=message):
        nlcom(params, cov, text)


def test_lincom_points_to_nlcom() -> None:
    params, cov = sample()
    with pytest.raises(OptionError, match="nlcom"):
        lincom(params, cov, "[2]educ / [2]exper")
    with pytest.raises(OptionError, match="level"):
        lincom(params, cov, "[2]educ", level=95)
