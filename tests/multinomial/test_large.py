"""Standard errors by conjugate gradients against the covariance that is formed."""

import numpy as np
import pandas as pd
import pytest
from logit_samples import careers, choices_frame

from econllm.errors import DataError, OptionError
from econllm.multinomial import MNLogit


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    df = choices_frame(200)
    rng = np.random.default_rng(1)
    df["village"] = rng.integers(25, size=200)
    for code in ("bus", "car", "walk"):
        df[f"price[{code}]"] = rng.normal(size=200)
    return df


# Information alone holds neither with a penalty nor with probability weights.
VALID = [
    (kind, penalty, weighted)
    for kind in ("nonrobust", "robust", "clustered")
    for penalty in (None, "l2")
    for weighted in (None, "probability", "frequency")
    if kind != "nonrobust" or (penalty is None and weighted != "probability")
]


@pytest.mark.parametrize("base", [None, "walk"])
@pytest.mark.parametrize(("kind", "penalty", "weighted"), VALID)
def test_equals_the_covariance_that_is_formed(frame, kind, penalty, base, weighted) -> None:
    cluster = "village" if kind == "clustered" else None
    options = {"penalty": penalty, "alpha": 0.05} if penalty else {}
    weights = None if weighted is None else pd.Series(1 + np.arange(200) % 3, frame.index)
    model = MNLogit("y ~ x + g | price[alt]", cov_type=kind, cluster=cluster, base=base, tol=1e-13, **options)
    fitted = model.replace(weight_type=weighted or "probability").fit(frame, weights=weights)
    by_directions = fitted.directional(frame, kind, cluster=cluster, weights=weights)
    found = by_directions.of(np.eye(len(fitted.params)))
    assert found == pytest.approx(fitted.cov.to_numpy(), rel=1e-5, abs=1e-8)
    assert by_directions.description == fitted.cov_description


def test_combinations_and_effects(frame) -> None:
    fitted = MNLogit("y ~ x + g", cov_type="clustered", cluster="village").fit(frame)
    bare = MNLogit("y ~ x + g", cov_type=None).fit(frame)
    covariance = bare.directional(frame, "clustered", cluster="village")
    expected = fitted.lincom(["[car]x - [walk]x", "[car]x"]).estimates
    assert covariance.lincom(["[car]x - [walk]x", "[car]x"]).estimates.to_numpy() == pytest.approx(
        expected.to_numpy(), rel=1e-4
    )
    effects = bare.marginal_effects(frame, ["x"], covariance=covariance).frame
    assert effects["std_error"].to_numpy() == pytest.approx(
        fitted.marginal_effects(frame, ["x"]).frame["std_error"].to_numpy(), rel=1e-4
    )


def test_stages_of_a_two_stage_model() -> None:
    panel = careers(150, 4)
    fitted = MNLogit("occupation ~ educ + exper", two_stage=True).fit(panel)
    for stage in (fitted.move, fitted.destination):
        found = stage.directional(panel).of(np.eye(len(stage.params)))
        assert found == pytest.approx(stage.cov.to_numpy(), rel=1e-4, abs=1e-8)


def test_refusals(frame) -> None:
    fitted = MNLogit("y ~ x + g").fit(frame)
    with pytest.raises(DataError, match=r"needs the estimation sample: these data have 150 rows .* 200 and 3"):
        fitted.directional(frame.iloc[:150], "robust")
    with pytest.raises(OptionError, match="needs cluster='column'"):
        fitted.directional(frame)
    with pytest.raises(OptionError, match="cluster has no effect with cov_type='robust'"):
        fitted.directional(frame, "robust", cluster="village")
    with pytest.raises(OptionError, match="Did you mean 'robust'"):
        fitted.directional(frame, "robst")
    lasso = MNLogit("y ~ x", penalty="l1", alpha=0.01).fit(frame)
    with pytest.raises(OptionError, match="no valid standard errors"):
        lasso.directional(frame, "robust")


def test_other_data_of_the_same_size_are_refused(frame) -> None:
    fitted = MNLogit("y ~ x").fit(frame)
    other = frame.assign(x=frame["x"].to_numpy()[::-1])
    with pytest.raises(DataError, match="needs the estimation sample"):
        fitted.directional(other, "robust")
    with pytest.raises(DataError, match="weights"):
        fitted.directional(frame, "robust", weights=pd.Series(1.0 + frame.index % 2, frame.index))
    weights = pd.Series(1.0 + frame.index % 2, frame.index)
    weighted = MNLogit("y ~ x").fit(frame, weights=weights)
    with pytest.raises(DataError, match="weights"):
        weighted.directional(frame, "robust")
