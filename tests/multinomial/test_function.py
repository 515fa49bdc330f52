"""The function form: the same options with the same defaults, and the same results."""

import dataclasses
import inspect

import numpy as np
import pandas as pd
import pytest
from logit_samples import careers, choices_frame

import econllm as el
from econllm.errors import OptionError
from econllm.multinomial import MNLogit, mnlogit


def test_its_arguments_are_the_options_and_those_of_fit() -> None:
    arguments = inspect.signature(mnlogit).parameters
    options = {field.name: field for field in dataclasses.fields(MNLogit)}
    fit = inspect.signature(MNLogit.fit).parameters
    extra = [name for name in fit if name not in ("self", "data")]
    assert list(arguments) == ["formula", "data", *(n for n in options if n != "formula"), *extra]
    for name, argument in arguments.items():
        if name in ("formula", "data"):
            assert argument.default is inspect.Parameter.empty
            continue
        assert argument.kind is inspect.Parameter.KEYWORD_ONLY
        if name in options:
            assert argument.default == options[name].default
            assert argument.annotation == options[name].type
        else:
            assert argument.default == fit[name].default
            assert argument.annotation == fit[name].annotation
    assert "kwargs" not in arguments
    assert el.mnlogit is mnlogit


# A value for every option that is not the default, in models that take them.
CASES = [
    {
        "base": "walk",
        "cov_type": "clustered",
        "cluster": "village",
        "ssc": "parameters",
        "strata": "region",
        "offset": "o",
        "choice_sets": "able",
        "missing": "drop",
        "tol": 1e-8,
        "max_iter": 300,
        "device": "cpu",
        "context": {"twice": 2.0},
        "weight_type": "frequency",
        "weights": pd.Series(1 + np.arange(200) % 2),
    },
    {
        "penalty": "elasticnet",
        "alpha": "cv",
        "l1_ratio": 0.3,
        "penalty_factors": {"x": 2},
        "rule": "one_se",
        "folds": 3,
        "path": 6,
        "seed": 4,
        "pseudo_count": 2.0,
    },
    {"cov_type": "bootstrap", "replications": 3, "draws": "multinomial", "n_jobs": 1, "seed": 7},
]


@pytest.fixture(scope="module")
def df() -> pd.DataFrame:
    out = choices_frame(200)
    out["village"] = np.arange(200) // 4
    out["region"] = out["village"] % 2
    for code in ("bus", "car", "walk"):
        out[f"o[{code}]"], out[f"able[{code}]"] = 0.1, True
    return out


@pytest.mark.parametrize("case", CASES)
def test_equal_results(df, case) -> None:
    given = {name: value for name, value in case.items() if name in ("weights", "seed")}
    options = {name: value for name, value in case.items() if name not in given}
    one, two = mnlogit("y ~ x", df, **case), MNLogit("y ~ x", **options).fit(df, **given)
    assert one.model == two.model
    for name, value in options.items():
        assert getattr(one.model, name) == value
    assert one.params.equals(two.params)
    assert one.std_errors.equals(two.std_errors)
    assert np.array_equal(one.log_proba(df), two.log_proba(df))


def test_every_option_is_tried(df) -> None:
    tried = {name for case in CASES for name in case} | {"formula", "data", "two_stage", "weighted"}
    tried |= {"validation", "checkpoint"}
    assert tried == set(inspect.signature(mnlogit).parameters)


def test_panels_validation_and_checkpoints(tmp_path) -> None:
    panel = careers(60, 3)
    train, valid = panel.split([0.6, 0.4], seed=0)
    chosen = mnlogit("occupation ~ educ", train, penalty="l2", alpha="validation", validation=valid)
    same = MNLogit("occupation ~ educ", penalty="l2", alpha="validation").fit(train, validation=valid)
    assert chosen.alpha == same.alpha
    staged = mnlogit("occupation ~ educ", panel, two_stage=True)
    assert isinstance(staged, el.TwoStageMNLogitResults)
    mnlogit("occupation ~ educ", panel, cov_type="bootstrap", replications=2, checkpoint=tmp_path / "runs")
    assert len(list((tmp_path / "runs").glob("*.npy"))) == 2
    with pytest.raises(OptionError, match="needs survey weights"):
        mnlogit("occupation ~ educ", panel, weighted=True)
    with pytest.raises(TypeError, match="penalti"):
        mnlogit("occupation ~ educ", panel, penalti="l2")
