import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import econllm as el
from econllm.formula import DesignSpec
from econllm.logit.coordinates import Scaling, Stacked, stack


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    df = pd.DataFrame({"y": rng.choice(["a", "b"], 500), "x": rng.normal(50, 10, 500)})
    df["g"] = np.where(np.arange(500) < 5, "rare", "common")
    return df


def scaling(formula: str, data, weights=None) -> dict[str, float]:
    _, design = DesignSpec.fit(formula, data)
    stacked = stack(design)
    found = Scaling.fit(stacked, weights, design.intercept)
    return dict(zip(stacked.columns, found.scale, strict=True))


def test_dense_columns_by_their_standard_deviation(frame):
    weights = np.linspace(0.5, 1.5, 500)
    assert scaling("y ~ x", frame)["x"] == pytest.approx(frame["x"].std(ddof=0))
    mean = np.average(frame["x"], weights=weights)
    expected = np.sqrt(np.average((frame["x"] - mean) ** 2, weights=weights))
    assert scaling("y ~ x", frame, weights)["x"] == pytest.approx(expected)


def test_indicators_are_left_as_they_are(frame):
    assert scaling("y ~ g", frame) == {"g[common]": 1.0, "g[rare]": 1.0}


def test_interactions_of_numbers_with_rare_levels_weigh_like_their_indicators(frame):
    found = scaling("y ~ x:g", frame)
    for level in ("common", "rare"):
        x = frame.loc[frame["g"] == level, "x"]
        assert found[f"x:g[{level}]"] == pytest.approx(np.sqrt((x**2).mean()))


def test_shares_are_left_as_they_are():
    panel = el.datasets.simulate_careers(100, 5, seed=0)
    assert set(scaling("occupation ~ bag(occupation)", panel).values()) == {1.0}


def test_many_rare_shares_and_interactions_do_not_overfit():
    """Scaled by their standard deviation, columns of rare levels would escape the penalty."""
    train, test = el.datasets.simulate_careers(400, 60, seed=1).split([0.6, 0.4])
    plain, bag, slopes = (
        el.MNLogit(f"occupation ~ lag(occupation) + {more}", penalty="l2", alpha=1 / len(train)).fit(train)
        for more in ("educ", "educ + bag(occupation)", "educ + lag(occupation):educ")
    )
    base = plain.perplexity(test).value
    assert bag.perplexity(test).value < 1.1 * base
    assert slopes.perplexity(test).value < 1.1 * base


def test_unused_dimensions_of_an_embedding_are_not_blown_up() -> None:
    rng = np.random.default_rng(0)
    dense = np.column_stack([rng.normal(size=50), rng.normal(size=50) * 1e-30, rng.normal(size=50) * 0.01])
    terms = ("embed(text)",) * 3
    x = Stacked(sparse.csr_array((50, 0)), dense, ("a", "b", "c"), terms, np.ones(3, bool))
    found = Scaling.fit(x, None, True)
    assert found.constant.tolist() == [False, True, False]
    assert found.scale[1] == 1
    # A column of its own keeps its scale, however small.
    alone = Stacked(x.sparse, dense, ("a", "b", "c"), ("a", "b", "c"), np.ones(3, bool))
    assert not Scaling.fit(alone, None, True).constant.any()
