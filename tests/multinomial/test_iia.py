"""The test of independence of irrelevant alternatives."""

import numpy as np
import pandas as pd
import pytest
from logit_samples import careers, choices_frame

from econllm.errors import DataError, OptionError
from econllm.multinomial import MNLogit
from econllm.multinomial.fitting import read
from econllm.multinomial.iia import influence


def nested(n: int, seed: int, alike: bool) -> pd.DataFrame:
    """Four outcomes; tastes for c and d are their own as in a multinomial logit, or the same (red and blue buses)."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=n), rng.normal(size=n)
    tastes = rng.gumbel(size=(n, 4))
    if alike:
        tastes[:, 3] = tastes[:, 2]
    utility = np.column_stack([np.zeros(n), -x, x, x + 2 * w]) + tastes
    return pd.DataFrame({"y": np.array(list("abcd"))[utility.argmax(axis=1)], "x": x, "w": w})


def test_the_size_is_right_and_the_power_is_there() -> None:
    model = MNLogit("y ~ x + w", cov_type=None)
    values = []
    for seed in range(16):
        df = nested(400, seed, alike=False)
        values.append(model.fit(df).iia_test(df, ["d"]).p_value)
    # More than four of 16 draws at five percent have a probability of 0.1%.
    assert (np.array(values) < 0.05).sum() <= 4
    assert 0.3 < np.mean(values) < 0.85
    df = nested(800, 0, alike=True)
    assert model.fit(df).iia_test(df, ["d"]).p_value < 0.001


def information(fitted, df: pd.DataFrame, proba: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Expected information of constants and x, the first outcome the base, rows counted by shares."""
    x = np.column_stack([np.ones(len(df)), df["x"]])
    return sum(
        s * np.kron(np.diag(p) - np.outer(p, p), np.outer(row, row))
        for s, row, p in zip(share, x, proba[:, 1:], strict=True)
    )


def test_independent_rows_by_hand() -> None:
    df = nested(400, 1, alike=True)
    model = MNLogit("y ~ x", cov_type=None, tol=1e-13)
    full, part = model.fit(df), model.fit(df[df["y"] != "c"])
    proba = full.predict_proba(df)
    rest = proba.drop(columns="c")
    share = rest.sum(axis=1)
    large = np.linalg.inv(information(full, df, proba.to_numpy(), np.ones(400)))
    small = np.linalg.inv(information(full, df, rest.div(share, axis=0).to_numpy(), share.to_numpy()))
    at = [full.params.index.get_loc(label) for label in part.params.index]
    gap = part.params - full.params[part.params.index]
    statistic = gap @ np.linalg.solve(small - large[np.ix_(at, at)], gap)
    found = full.iia_test(df, ["c"])
    assert found.statistic == pytest.approx(statistic, rel=1e-4)
    assert found.df == len(gap)


def test_records_of_persons_by_hand() -> None:
    panel = careers(200, 4)
    code = panel.choices.codes[2]
    model = MNLogit("occupation ~ educ", cov_type=None, tol=1e-13)
    full = model.fit(panel)
    rows = read(model, panel, None)
    robust = model.replace(cov_type="robust", ssc=None).fit(panel)
    own = influence(full, rows)
    assert own.T @ own == pytest.approx(robust.cov.to_numpy(), rel=1e-6)
    inside = panel.to_frame()["occupation"].to_numpy() != code
    part = model.fit(panel.to_frame()[inside].astype({"occupation": int}))
    change = -own[:, [full.params.index.get_loc(label) for label in part.params.index]]
    change[inside] += influence(part, read(model, panel.to_frame()[inside].astype({"occupation": int}), None))
    sums = pd.DataFrame(change).groupby(panel.to_frame()["person"].to_numpy()).sum().to_numpy()
    gap = part.params - full.params[part.params.index]
    statistic = gap @ np.linalg.solve(sums.T @ sums, gap)
    found = full.iia_test(panel, [code])
    assert found.statistic == pytest.approx(statistic, rel=1e-4)


def test_panels_sum_over_persons_and_frequencies_are_repeated_rows() -> None:
    panel = careers(120, 4)
    code = panel.choices.codes[-1]
    model = MNLogit("occupation ~ educ", cov_type=None)
    found = model.fit(panel).iia_test(panel, [code])
    assert np.isfinite(found.statistic)
    assert found.df == 4
    rows = model.fit(panel.to_frame()).iia_test(panel.to_frame(), [code])
    # The same estimates; the variance differs, because records of a person go together.
    assert found.statistic != pytest.approx(rows.statistic, rel=1e-3)
    df = choices_frame(120)
    counts = pd.Series(np.arange(120) % 3, df.index)
    longer = df.loc[df.index.repeat(counts)].reset_index(drop=True)
    short = MNLogit("y ~ x", cov_type=None, weight_type="frequency", tol=1e-13)
    one = short.fit(df, weights=counts).iia_test(df, ["walk"], weights=counts)
    two = MNLogit("y ~ x", cov_type=None, tol=1e-13).fit(longer).iia_test(longer, ["walk"])
    assert one.statistic == pytest.approx(two.statistic, rel=1e-6)


def test_alternative_specific_columns() -> None:
    df = nested(400, 2, alike=False)
    rng = np.random.default_rng(0)
    for code in "abcd":
        df[f"price[{code}]"] = rng.normal(size=400)
    found = MNLogit("y ~ x | price[alt]", cov_type=None).fit(df).iia_test(df, ["d"])
    assert found.df == 5
    assert 0 < found.p_value <= 1


def test_the_destination_stage_of_a_two_stage_model() -> None:
    panel = careers(200, 4)
    fitted = MNLogit("occupation ~ educ", two_stage=True).fit(panel)
    found = fitted.destination.iia_test(panel, [panel.choices.codes[-1]])
    assert found.df == 4
    whole = MNLogit("occupation ~ educ").fit(panel).iia_test(panel, [panel.choices.codes[-1]])
    assert found.statistic != pytest.approx(whole.statistic, rel=1e-3)
    with pytest.raises(OptionError, match=r"fewer than two outcomes"):
        fitted.move.iia_test(panel, ["move"])


def test_refusals() -> None:
    df = choices_frame(150)
    fitted = MNLogit("y ~ x").fit(df)
    with pytest.raises(OptionError, match=r"omit names 'wak', which is no outcome. Did you mean 'walk'"):
        fitted.iia_test(df, ["wak"])
    with pytest.raises(OptionError, match=r"omit='walk' must be a list"):
        fitted.iia_test(df, "walk")
    with pytest.raises(OptionError, match=r"omit holds the base outcome 'bus'; fit with another base"):
        fitted.iia_test(df, ["bus"])
    with pytest.raises(OptionError, match=r"fewer than two outcomes"):
        fitted.iia_test(df, ["car", "walk"])
    with pytest.raises(DataError, match=r"it takes no penalty"):
        MNLogit("y ~ x", penalty="l2", alpha=0.1).fit(df).iia_test(df, ["car"])
    weights = pd.Series(1.0 + df.index % 2, df.index)
    with pytest.raises(DataError, match=r"no such weights"):
        MNLogit("y ~ x").fit(df, weights=weights).iia_test(df, ["car"], weights=weights)
