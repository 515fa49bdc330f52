"""The same estimates as nnet and survival in R, stored under tests/reference with the scripts that made them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference.data import FRAMES, md5

from econllm.multinomial import MNLogit

FOLDER = Path(__file__).parents[1] / "reference"
NNET, CONDITIONAL = (json.loads((FOLDER / f"{name}.json").read_text("utf-8")) for name in ("nnet", "conditional"))


def labels(case: dict[str, Any]) -> pd.MultiIndex:
    """Outcomes as the data code them, with the terms: JSON has texts only."""
    responses = [int(name) if name.isdigit() else name for name in case["responses"]]
    return pd.MultiIndex.from_arrays([responses, case["terms"]])


def assert_coefficients(fitted, case: dict[str, Any]) -> None:
    index = labels(case)
    assert len(fitted.params) == len(index)
    assert fitted.params.loc[index].to_numpy() == pytest.approx(np.array(case["estimates"]), rel=1e-6, abs=1e-6)
    assert fitted.converged


def assert_inference(fitted, case: dict[str, Any]) -> None:
    """Standard errors, covariance where it is stored, log-likelihood."""
    index = labels(case)
    errors = np.array(case["std_errors"])
    assert fitted.std_errors.loc[index].to_numpy() == pytest.approx(errors, rel=1e-5)
    if "cov" in case:
        difference = fitted.cov.loc[index, index].to_numpy() - np.array(case["cov"])
        assert np.abs(difference / np.outer(errors, errors)).max() < 1e-5
    assert fitted.info.log_likelihood == pytest.approx(case["log_likelihood"], rel=1e-9)


def assert_probabilities(fitted, case: dict[str, Any], df: pd.DataFrame) -> None:
    theirs = np.array(case["probabilities"])
    mine = fitted.predict_proba(df.head(len(theirs)))
    assert [str(code) for code in mine.columns] == case["outcomes"]
    assert mine.to_numpy() == pytest.approx(theirs, abs=1e-7)


@pytest.mark.parametrize(("name", "hashed"), [*NNET["md5"].items(), *CONDITIONAL["md5"].items()])
def test_data_are_those_that_r_read(name, hashed) -> None:
    assert md5(FRAMES[name]()) == hashed


@pytest.mark.parametrize(
    ("name", "frame", "predicted"),
    [("plain", "choices", "choices"), ("factor", "choices", "choices"), ("wage", "wage", "profiles")],
)
def test_multinom(name, frame, predicted) -> None:
    case = NNET["cases"][name]
    fitted = MNLogit(case["formula"], cov_type="nonrobust").fit(FRAMES[frame]())
    assert_coefficients(fitted, case)
    assert_inference(fitted, case)
    assert_probabilities(fitted, case, FRAMES[predicted]())


def test_multinom_with_counts() -> None:
    case, df = NNET["cases"]["weighted"], FRAMES["choices"]()
    fitted = MNLogit(case["formula"], cov_type="nonrobust", weight_type="frequency").fit(df, weights=df["count"])
    assert_coefficients(fitted, case)
    assert_inference(fitted, case)
    assert_probabilities(fitted, case, df)


def test_nnet_with_decay_is_the_l2_penalty() -> None:
    case, df = NNET["cases"]["decay"], FRAMES["choices"]()
    fitted = MNLogit(case["formula"], penalty="l2", alpha=case["alpha"], tol=1e-14).fit(df)
    assert_coefficients(fitted, case)
    assert_probabilities(fitted, case, df)
    assert fitted.info.log_likelihood == pytest.approx(case["log_likelihood"], abs=1e-6)


@pytest.mark.parametrize("name", CONDITIONAL["cases"])
def test_clogit(name) -> None:
    case, df = CONDITIONAL["cases"][name], FRAMES["travel"]()
    model = MNLogit(case["formula"], cov_type="nonrobust", choice_sets="available" if case["choice_sets"] else None)
    counts = {"weights": df["count"]} if case["weighted"] else {}
    fitted = (model.replace(weight_type="frequency") if counts else model).fit(df, **counts)
    assert_coefficients(fitted, case)
    assert_inference(fitted, case)
    assert_probabilities(fitted, case, df)
    unavailable = ~df.filter(like="available[").astype(bool).to_numpy()
    zero = fitted.predict_proba(df).to_numpy() == 0
    assert np.array_equal(zero, unavailable if case["choice_sets"] else np.zeros_like(zero))
